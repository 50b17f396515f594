"""LR-PSNR: is the SR image consistent with the LR image that it was made from?

The SR image is downscaled by MATLAB's bicubic (mirrored edges), which makes the LR images, and the two are compared.
Lugmayr, Danelljan, Timofte and others: NTIRE 2021 Learning the Super-Resolution Space Challenge, CVPR Workshops 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor

from srbench.errors import InputError, UnavailableError
from srbench.images import imresize
from srbench.metrics import METRICS, Metric, Truth
from srbench.metrics._images import check
from srbench.metrics.psnr import decibels


@torch.no_grad()
def lr_psnr(sr: Tensor, lr: Tensor, scale: int) -> Tensor:
    """PSNR in dB between the downscaled SR and the LR images, float64 ``(N,)``.

    Args:
        sr: ``(N, C, H, W)`` on the 0–255 scale, whole.
        lr: ``(N, C, H/scale, W/scale)``. If it is uint8, SR is rounded to 8 bits while it is downscaled, as LR was;
            if it is float, nothing is rounded.
        scale: the upscaling factor.

    Raises:
        InputError: LR does not have the size of SR over ``scale``, or another number of channels.
    """
    check("lr-psnr", sr, sr)
    height, width = sr.shape[-2:]
    expected = (height // scale, width // scale)
    if height % scale or width % scale or tuple(lr.shape[-2:]) != expected:
        found = "×".join(map(str, lr.shape[:-3:-1]))
        raise InputError(f"lr-psnr: the LR image is {found} (W×H); expected a {scale}th of the SR's {width}×{height}")
    unrounded = lr.is_floating_point() or sr.is_floating_point()
    small: Tensor = imresize(sr.double() if unrounded else sr, size=expected)
    return decibels("lr-psnr", small, lr)


def _prepare(truth: Truth) -> tuple[Tensor, int]:
    if truth.lr is None:
        raise UnavailableError("unavailable", "lr-psnr needs the LR image that the SR image was made from")
    return truth.lr, truth.scale


def _score(sr: Tensor, reference: tuple[Tensor, int]) -> Tensor:
    return lr_psnr(sr, *reference)


METRICS.register(
    Metric(
        name="lr-psnr",
        prepare=_prepare,
        score=_score,
        space="rgb",
        crop="full",
        unit="dB",
        higher_is_better=True,
        digits=2,
        version=1,
        summary="PSNR of the SR image downscaled again against its LR image; of RGB, whole images",
        source="Lugmayr et al., NTIRE 2021 Learning the Super-Resolution Space Challenge, CVPRW 2021",
        needs=frozenset({"lr"}),
        tolerance=0.01,  # at 50 dB a few samples that round the other way are seen
    )
)
