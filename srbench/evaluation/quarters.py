"""Inference in overlapping quarters, as EDSR-PyTorch's ``--chop`` does it: part of a protocol, since it changes numbers.

Each quarter sees 10 LR pixels of its neighbours. That cuts the receptive field of deep networks, and a network with global
pooling sees other means than on the whole image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from srbench.upscaler import Upscaler, upscale

SHAVE = 10
LARGEST = 160_000
"""LR pixels of a quarter from which on it is cut into quarters itself."""


def in_quarters(upscaler: Upscaler, lr: Tensor) -> Tensor:
    """Super-resolve ``lr`` ``(N, C, h, w)`` quarter by quarter; the halves meet in the middle of the image.

    An image too small for two overlapping halves is upscaled as a whole.
    """
    height, width = lr.shape[-2:]
    rows, columns = height // 2, width // 2
    tall, wide = rows + SHAVE, columns + SHAVE
    if tall > height or wide > width:
        return upscale(upscaler, lr)
    parts = [lr[..., top : top + tall, left : left + wide] for top in (0, height - tall) for left in (0, width - wide)]
    small = tall * wide < LARGEST
    made = [upscale(upscaler, part) if small else in_quarters(upscaler, part) for part in parts]
    scale = upscaler.scale
    rows, columns, height, width = (scale * side for side in (rows, columns, height, width))
    below, right = height - rows, width - columns
    upper = torch.cat([made[0][..., :rows, :columns], made[1][..., :rows, -right:]], dim=-1)
    lower = torch.cat([made[2][..., -below:, :columns], made[3][..., -below:, -right:]], dim=-1)
    return torch.cat([upper, lower], dim=-2)
