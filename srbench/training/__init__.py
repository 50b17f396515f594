"""From images and a recipe to a checkpoint in zoo/.

Rooms, each of which may use those before it::

    recipe/   what a run learns from and how
    data/     files → batches of crops
    optim/    a loss → new weights
    losses/   what a network is told to make small
    loop/     one run
    after/    many runs: ablations, tables, figures
    zoo.py    one network by one recipe, and every network by every recipe
    jobs.py   the same in a job a network, on many machines
"""
