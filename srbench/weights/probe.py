"""A network tried on an image whose answer is known: what its weights do not say, its output may.

Scale, a missing skip, the range and a shift by a pixel leave no trace in keys and shapes. The image is made here of edges,
lines, smooth shades and texture; a trained network reproduces it better than bicubic, a misunderstood one far worse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from srbench.constants import constant
from srbench.images import imresize

SIDE = 96  # a multiple of every scale; small, as a probe must not cost more than reading the file
_BORDER = 8
MARGIN = 3.0
"""dB by which one reading must beat the others to be believed."""

K = TypeVar("K")


@constant
def sample(side: int = SIDE) -> Tensor:
    """``(1, 3, side, side)`` in [0, 1]: discs, bars of several widths, shades and a fine texture, antialiased."""
    finer = 4
    y, x = torch.meshgrid(*[torch.linspace(0, 1, side * finer, dtype=torch.float64)] * 2, indexing="ij")
    shade = 0.45 + 0.25 * torch.sin(2.2 * x + 0.7) * torch.cos(1.7 * y)
    image = torch.stack([shade, 0.9 * shade + 0.05 * x, 0.8 * shade + 0.1 * y])
    discs = (
        (0.3, 0.35, 0.2, (0.85, 0.7, 0.55)),
        (0.72, 0.6, 0.16, (0.2, 0.3, 0.45)),
        (0.6, 0.2, 0.09, (0.9, 0.9, 0.85)),
    )
    for top, left, radius, colour in discs:
        inside = ((y - top) ** 2 + (x - left) ** 2) < radius**2
        image = torch.where(inside, torch.tensor(colour, dtype=torch.float64)[:, None, None], image)
    bars = torch.sin(2 * torch.pi * 9 * (0.8 * x + 0.6 * y)) > 0.75
    image = torch.where(bars & (y > 0.5) & (x < 0.5), 0.35 * image, image)
    image = image + 0.03 * torch.sin(2 * torch.pi * 14 * x) * torch.sin(2 * torch.pi * 11 * y) * (y < 0.4)
    return torch.nn.functional.avg_pool2d(image[None], finer).clamp(0, 1).float()


@dataclass(frozen=True)
class Seen:
    """What a network made of the sample.

    Attributes:
        gain: PSNR against bicubic's, dB; negative where bicubic is better, minus infinity where the output is unusable.
        reason: why it is unusable; empty where it is usable.
    """

    gain: float
    reason: str = ""


def psnr(a: Tensor, b: Tensor) -> float:
    """On [0, 1], without the border."""
    inner = (..., slice(_BORDER, -_BORDER), slice(_BORDER, -_BORDER))
    return float(-10 * torch.log10((a[inner] - b[inner]).square().mean().clamp_min(1e-12)))


def look(
    network: Callable[[Tensor], Tensor],
    scale: int,
    planes: int,
    pre_upsampled: bool = False,
    white: float = 1.0,
    side: int = SIDE,
) -> Seen:
    """Try a network on the sample.

    Args:
        network: ``(1, planes, h, w)`` → ``(1, planes, scale·h, scale·w)``.
        scale: the enlargement that it is held to have.
        planes: 1 (luma) or 3 (RGB).
        pre_upsampled: whether it wants its input enlarged.
        white: what white is for it, 1 or 255.
        side: of the HR image.
    """
    hr = sample(side)
    if planes == 1:
        hr = (hr * torch.tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1) / 255).sum(1, keepdim=True) + 16 / 255
    lr = imresize(hr, 1 / scale)
    enlarged = imresize(lr, float(scale))
    try:
        with torch.no_grad():
            made = network((enlarged if pre_upsampled else lr).clone() * white) / white
    except Exception as error:  # whatever a stranger's network does with an image
        return Seen(
            -torch.inf, f"fails on an image of {lr.shape[-1]}×{lr.shape[-2]}: {type(error).__name__}: {_line(error)}"
        )
    if not isinstance(made, Tensor) or made.shape != hr.shape:
        what = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        return Seen(-torch.inf, f"makes {what} of {tuple(lr.shape)}; at x{scale} it should be {tuple(hr.shape)}")
    if not torch.isfinite(made).all():
        return Seen(-torch.inf, "makes NaN or infinity")
    return Seen(psnr(made.float(), hr) - psnr(enlarged, hr))


def best(readings: Mapping[K, Seen], margin: float = MARGIN) -> K | None:
    """The reading that is better than all others by a margin; None where there is no such one, as of untrained weights."""
    order = sorted(readings, key=lambda key: readings[key].gain, reverse=True)
    if not order or readings[order[0]].gain < -margin:
        return None
    if len(order) > 1 and readings[order[0]].gain - readings[order[1]].gain < margin:
        return None
    return order[0]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
