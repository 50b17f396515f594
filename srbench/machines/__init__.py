"""Work shared out among machines: jobs of similar cost, submitted to SLURM or started here, and what ran where.

- ``packing``: which pieces of work go into which job;
- ``cluster``: jobs submitted, watched, requeued (submitit, extra);
- ``journal``: files on the shared folder that say what was planned, and what became of it.

Nothing here knows what a piece of work is: evaluation puts cells into jobs, training puts networks.
"""
