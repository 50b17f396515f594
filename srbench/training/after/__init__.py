"""What is done with runs and checkpoints when they have ended, or while they go: it starts runs, looks at them, tabulates them.

- ``ablate``, ``table``: a grid of runs and its table;
- ``runs``, ``figures``: what lies under runs/, without torch, and its curves and images;
- ``gate``: whether an adversarially trained checkpoint is better than its parent;
- ``half``: checkpoints of the zoo in half precision.
"""
