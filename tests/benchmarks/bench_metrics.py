"""PSNR and SSIM from 8-bit RGB images to two numbers, the Y conversion included, against BasicSR's and scikit-image's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from srbench.images import luma, shave
from srbench.interop.basicsr import import_basicsr
from srbench.metrics.psnr import psnr
from srbench.metrics.ssim import ssim
from tests.benchmarks.conftest import record, take_turns

BORDER = 4
U8 = npt.NDArray[np.uint8]


def ours(sr: U8, hr: U8, y_channel: bool) -> tuple[float, float]:
    planes = [shave(torch.from_numpy(p).permute(2, 0, 1)[None], BORDER) for p in (sr, hr)]
    if y_channel:
        planes = [luma(p) for p in planes]
    return psnr(*planes).item(), ssim(*planes).item()


def basicsr(sr: U8, hr: U8, y_channel: bool) -> tuple[float, float]:
    metrics = import_basicsr("basicsr.metrics")
    bgr = sr[..., ::-1], hr[..., ::-1]
    options = {"crop_border": BORDER, "test_y_channel": y_channel}
    return metrics.calculate_psnr(*bgr, **options), metrics.calculate_ssim(*bgr, **options)


def scikit_image(sr: U8, hr: U8, y_channel: bool) -> tuple[float, float]:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    planes = [shave(p, BORDER) for p in (sr, hr)]
    planes = [luma(p) if y_channel else p.astype(np.float64) for p in planes]
    structure = structural_similarity(
        *planes,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=None if y_channel else -1,
    )
    return peak_signal_noise_ratio(*planes, data_range=255), structure


Measure = Callable[[U8, U8, bool], tuple[float, float]]
PEERS: dict[str, Measure] = {"basicsr": basicsr, "scikit-image": scikit_image}


@pytest.mark.parametrize(("peer", "target"), [("basicsr", 4.0), ("scikit-image", 2.0)])
def test_y_2k(benchmark: Any, images_2k: tuple[U8, U8], peer: str, target: float) -> None:
    ratio = compare(benchmark, "PSNR + SSIM (Y), 2040×1356 RGB", images_2k, True, peer, 9, target)
    assert ratio >= target


@pytest.mark.parametrize("peer", PEERS)
def test_rgb_2k(benchmark: Any, images_2k: tuple[U8, U8], peer: str) -> None:
    compare(benchmark, "PSNR + SSIM (RGB), 2040×1356 RGB", images_2k, False, peer, 5)


@pytest.mark.parametrize("peer", PEERS)
def test_y_small(benchmark: Any, images_small: tuple[U8, U8], peer: str) -> None:
    compare(benchmark, "PSNR + SSIM (Y), 256×256 RGB", images_small, True, peer, 50)


def compare(
    benchmark: Any,
    case: str,
    images: tuple[U8, U8],
    y_channel: bool,
    peer: str,
    rounds: int,
    target: float | None = None,
) -> float:
    """The ratio of the peer's time to ours; both must give the same numbers."""
    sides = {"srbench": lambda: ours(*images, y_channel), peer: lambda: PEERS[peer](*images, y_channel)}
    assert sides[peer]() == pytest.approx(sides["srbench"](), abs=1e-5)
    return record(benchmark, case, benchmark.pedantic(take_turns, (sides, rounds), rounds=1), target)
