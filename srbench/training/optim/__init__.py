"""How a loss becomes new weights: needs a recipe's values and knows nothing of images.

- ``optimisers``: the recipe's optimiser, which may be two that share a network's parameters;
- ``muon``, ``adam``: the optimisers of matrices and of the vectors beside them;
- ``schedule``: the learning rate of a step;
- ``descent``: one step along a loss: gradients, their mean over processes, their norm, the optimisers;
- ``average``: averaged weights (EMA);
- ``precision``: the type that a network computes in, and the scale of a loss in float16;
- ``norms``: batch norm that keeps its statistics, towards the end or for a while.
"""
