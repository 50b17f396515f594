"""NIQE: how far an image's statistics are from those of natural images. No reference; small is good.

Mittal, Soundararajan, Bovik: Making a "Completely Blind" Image Quality Analyzer, IEEE SPL 2013, doi:10.1109/LSP.2012.2227726.

Two numbers go by the name in papers on super-resolution, and differ by tenths:

- ``niqe``: the authors' MATLAB code applied to the RGB image: gray by ``rgb2gray``, the whole image.
- ``niqe-pi``: of RGB as in the Perceptual Index (Blau, Mechrez, Timofte, Michaeli, Zelnik-Manor: The 2018 PIRM Challenge on
  Perceptual Image Super-Resolution, ECCV Workshops 2018, arXiv:1809.07517): luma of ``rgb2ycbcr``, without a border of 4 pixels.

Where an image is flat, the authors' code counts the last bits of sums; here what is 0 but for them is 0, and the score may differ
from theirs by hundredths.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from srbench.errors import InputError, install
from srbench.images import imresize
from srbench.metrics import METRICS, Metric, no_reference
from srbench.metrics._files import DataFile
from srbench.metrics._images import numbers
from srbench.metrics._scene_statistics import Floats, asymmetric_fit, gray_levels, normalised

BLOCK = 96
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_BORDER = 4

NATURAL = DataFile(
    name="niqe_pris_params.npz",
    sha256="2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296",
    package="basicsr",
    inside="metrics/niqe_pris_params.npz",
    install=install("basicsr"),
    licence="LIVE, University of Texas at Austin: free for any purpose with its notice",
)
"""The authors' mean and covariance of 125 natural images' features."""


@cache
def _natural(path: str) -> tuple[Floats, Floats]:
    with np.load(path, allow_pickle=False) as file:
        return file["mu_pris_param"].reshape(-1).astype(np.float64), file["cov_pris_param"].astype(np.float64)


@torch.no_grad()
def niqe(sr: Tensor, perceptual_index: bool = False) -> Tensor:
    """NIQE of each image, float64 ``(N,)``; below 4 for most photographs, computed on the CPU.

    Args:
        sr: ``(N, 3, H, W)`` RGB or ``(N, 1, H, W)`` gray on the 0–255 scale, rounded to 8 bits first. At least 96×192 or 192×96
            of what is looked at: two blocks, for there is no covariance of one.
        perceptual_index: luma instead of gray, without a border of 4 pixels.

    Raises:
        InputError: not of this form, or too small.
        UnavailableError: the model is not to be had, an image holds NaN or infinity, or is so flat that no block has
            statistics.
    """
    name = "niqe-pi" if perceptual_index else "niqe"
    border = _BORDER if perceptual_index else 0
    if perceptual_index:
        gray = gray_levels(name, sr, BLOCK + 2 * border, _LUMA, 16.0)[:, border:-border, border:-border]
    else:
        gray = gray_levels(name, sr, BLOCK)
    height, width = gray.shape[-2:]
    if (height // BLOCK) * (width // BLOCK) < 2:
        raise InputError(
            f"{name}: a {width}×{height} image is too small; expected at least two blocks of {BLOCK}×{BLOCK}"
        )
    model = _natural(str(NATURAL.find(name)))
    return numbers(name, torch.tensor([_distance(one, *model) for one in gray], dtype=torch.float64, device=sr.device))


def _distance(gray: Floats, mean: Floats, covariance: Floats) -> float:
    """Of one image, from the model of natural ones."""
    rows, columns = gray.shape[0] // BLOCK, gray.shape[1] // BLOCK
    whole = gray[: rows * BLOCK, : columns * BLOCK]
    half: Floats = imresize(torch.from_numpy(whole)[None, None], 0.5)[0, 0].numpy()
    features = np.concatenate([_features(whole, BLOCK), _features(half, BLOCK // 2)], axis=1)
    complete = features[~np.isnan(features).any(axis=1)]
    if len(complete) < 2:
        return float("nan")
    apart = mean - np.nanmean(features, axis=0)
    both = np.linalg.pinv((covariance + np.cov(complete, rowvar=False)) / 2)
    return float(np.sqrt(apart @ both @ apart))


def _features(gray: Floats, block: int) -> Floats:
    """18 features of each block, ``(blocks, 18)``, column by column as MATLAB goes."""
    plane = normalised(gray, "edge")
    rows, columns = plane.shape[0] // block, plane.shape[1] // block
    blocks = plane.reshape(rows, block, columns, block).transpose(2, 0, 1, 3).reshape(-1, block, block)
    shape, left, right, _ = asymmetric_fit(blocks.reshape(len(blocks), -1))
    found = [shape, (left * _unit(shape) + right * _unit(shape)) / 2]
    for shift in _SHIFTS:
        product = blocks * np.roll(blocks, shift, axis=(1, 2))
        shape, left, right, factor = asymmetric_fit(product.reshape(len(blocks), -1))
        unit = _unit(shape)
        # Γ(2/α)/Γ(1/α) times the difference of the scales; the factor holds one root of Γ(3/α)/Γ(1/α) more.
        found += [shape, (right - left) * factor, left * unit, right * unit]
    return np.stack(found, axis=1)


def _unit(shape: Floats) -> Floats:
    """``√(Γ(1/α)/Γ(3/α))``: the scale of a distribution of root mean square 1."""
    from scipy.special import gammaln

    return np.asarray(np.exp((gammaln(1 / shape) - gammaln(3 / shape)) / 2), dtype=np.float64)


def _score(perceptual_index: bool, sr: Tensor, _nothing: None) -> Tensor:
    return niqe(sr, perceptual_index)


for _pi, _what in (
    (False, "of gray, whole images, as its authors' MATLAB code"),
    (True, "of luma, whole images without 4 pixels at each edge, as PIRM"),
):
    METRICS.register(
        Metric(
            name="niqe-pi" if _pi else "niqe",
            prepare=no_reference,
            score=partial(_score, _pi),
            space="rgb",
            crop="full",
            unit="",
            higher_is_better=False,
            digits=3,
            version=1,
            summary=f"distance from the statistics of natural images: {_what}; no reference",
            source="arXiv:1809.07517" if _pi else "doi:10.1109/LSP.2012.2227726",
            needs=frozenset(),
            least=0.0,
            tolerance=1e-3,
            minimum=BLOCK + 2 * _BORDER if _pi else BLOCK,
            licence=NATURAL.licence,
            ready=partial(NATURAL.find, "niqe"),
        )
    )
