"""Lattice: does an SR image carry the grid of its own upsampler?

A network that upsamples by ``scale`` makes ``scale`` kinds of output pixels along each axis, and one whose layers do not treat
them alike prints a pattern of that period, as transposed convolutions and pixel shuffle at a bad start do (Odena, Dumoulin,
Olah: Deconvolution and Checkerboard Artifacts, Distill, 2016, doi:10.23915/distill.00003). LPIPS takes the pattern for texture
and rewards it. In the spectrum it stands as peaks at the multiples of ``1/scale`` cycles a pixel, where a natural image has
nothing special.

Defined here as: the luma of the image, in blocks of ``16·scale`` pixels that overlap by half, under a Hann window; the mean of
their periodograms; for each multiple of ``1/scale`` on both axes, the power of its bin over the mean power of the bins around it
(9×9 without the inner 3×3, into which the window spreads a peak), in dB; the mean of these. The power that rounding to 8 bits
adds is added to both, so that a flat image has 0 dB. HR and networks without the fault lie near 0, a visible lattice lies at
5 dB and more; interpolators lie well below 0, for their kernels suppress just these frequencies.
"""

from __future__ import annotations

import torch
from torch import Tensor

from srbench.metrics import METRICS, Metric, Truth
from srbench.metrics._images import check_finite, check_image, check_size, numbers

SPACING = 16  # bins between two multiples of 1/scale: the ring around one reaches halfway to the next at most
_REACH, _INNER = 4, 1
_LUMA = (0.299, 0.587, 0.114)  # BT.601
_ROUNDING = 1.0 / 12.0  # variance of rounding to whole numbers


@torch.no_grad()
def lattice(sr: Tensor, scale: int) -> Tensor:
    """Power at the upsampler's frequencies over that around them, in dB, float64 ``(N,)``; about 0 for natural images.

    Args:
        sr: ``(N, 3, H, W)`` RGB or ``(N, 1, H, W)`` luma on the 0–255 scale, at least ``16·scale`` in height and width.
            Computed in float64.
        scale: the upscaling factor; at 1 there is no lattice, and the score is 0.

    Raises:
        InputError: not of this form, or too small.
        UnavailableError: an image holds NaN or infinity.
    """
    side = SPACING * scale
    check_image("lattice", "SR", sr)
    check_size("lattice", sr.shape, (1, 3), side)
    check_finite("lattice", sr)
    planes = sr.to(torch.float64)
    plane = (planes * planes.new_tensor(_LUMA)[:, None, None]).sum(dim=1) if sr.shape[1] == 3 else planes[:, 0]
    return numbers("lattice", torch.stack([_decibels(_spectrum(one, side), scale) for one in plane]))


def _spectrum(plane: Tensor, side: int) -> Tensor:
    """The mean periodogram of a plane's blocks (Welch's method), and the power of rounding: ``(side, side)``."""
    window = torch.hann_window(side, dtype=torch.float64, device=plane.device)
    window = window[:, None] * window
    total = torch.zeros(side, side, dtype=torch.float64, device=plane.device)
    blocks = plane.unfold(0, side, side // 2).unfold(1, side, side // 2)
    for row in blocks:  # a row of blocks at a time, for the memory
        centred = row - row.mean(dim=(-2, -1), keepdim=True)
        total += torch.fft.fft2(centred * window).abs().square().sum(dim=0)
    return total / (blocks.shape[0] * blocks.shape[1]) + _ROUNDING * window.square().sum()


def _decibels(power: Tensor, scale: int) -> Tensor:
    """The mean over the multiples of ``1/scale`` on both axes of bin over ring, in dB."""
    side = power.shape[0]
    near = torch.arange(-_REACH, _REACH + 1, device=power.device)
    ring = ((near.abs()[:, None] > _INNER) | (near.abs() > _INNER)).to(power.dtype)
    found = []
    for multiple in range(1, scale):
        for row, column in ((0, multiple * SPACING), (multiple * SPACING, 0)):
            around = power[((row + near) % side)[:, None], (column + near) % side]
            found.append(10.0 * torch.log10(power[row, column] / ((around * ring).sum() / ring.sum())))
    return torch.stack(found).mean() if found else power.new_zeros(())


def _scale(truth: Truth) -> int:
    return truth.scale


METRICS.register(
    Metric(
        name="lattice",
        prepare=_scale,
        score=lattice,
        space="channel",
        crop="shave",
        unit="dB",
        higher_is_better=False,
        digits=1,
        version=1,
        summary="power at multiples of 1/scale over that of the frequencies around them, of luma, border cropped; no reference",
        source="doi:10.23915/distill.00003 (Odena, Dumoulin, Olah, 2016); defined in srbench.metrics.lattice",
        needs=frozenset(),
        tolerance=0.05,
        minimum=2 * SPACING,
    )
)
