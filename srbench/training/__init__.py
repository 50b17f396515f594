"""From images and a recipe to a checkpoint in zoo/: recipe → sampler → losses → trainer → checkpoint."""
