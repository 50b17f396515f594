"""From files to batches: needs a recipe's values and knows nothing of networks.

- ``sets``, ``guard``: training sets by name, without what test images show;
- ``pairs``: LR images that come with the HR images;
- ``decode``, ``cache``, ``stream``, ``images``: files → pixels and LR images, in memory, mapped from a cache on disk, or
  decoded when they are drawn;
- ``sampler``, ``stages``: crops of a step as tensors, over the stages of a run.
"""
