"""Known values that any installation must reproduce: bicubic's published figures, MATLAB's LR files, metrics by hand.

Published bicubic figures are those that the papers of SRCNN, VDSR and DRCN print for MATLAB's imresize.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch

from srbench.datasets.local import find_dataset
from srbench.datasets.pairs import lr_difference
from srbench.errors import UnavailableError
from srbench.evaluation import evaluate
from srbench.metrics import Pair, get_metric
from srbench.protocol import get_protocol

# dataset → scale → PSNR in dB, SSIM; with the tolerances that the papers' rounding and MATLAB versions leave.
BICUBIC = {
    "set5": {2: (33.66, 0.9299), 3: (30.39, 0.8682), 4: (28.42, 0.8104)},
    "set14": {2: (30.24, 0.8688), 3: (27.55, 0.7742), 4: (26.00, 0.7027)},
}
TOLERANCE = {"set5": (0.005, 0.0005), "set14": (0.01, 0.001)}


@dataclass(frozen=True)
class Check:
    """One line of the table. ``ok`` is None where the check could not be made, with the reason in ``found``."""

    what: str
    expected: str
    found: str
    ok: bool | None


def checks(data_root: str | None = None) -> Iterator[Check]:
    """Every check, as it is done."""
    yield from _metrics()
    yield from _lpips()
    for dataset, scales in BICUBIC.items():
        for scale, (psnr, ssim) in scales.items():
            yield from _guarded(
                f"bicubic {dataset} ×{scale}, classic", partial(_bicubic, dataset, scale, psnr, ssim, data_root)
            )
    for scale in (2, 3, 4):
        yield from _guarded(f"LR of set5 ×{scale} against MATLAB's files", partial(_lr_files, scale, data_root))
    yield from _sample()


def _guarded(what: str, make: partial[Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from make()
    except UnavailableError as error:
        yield Check(what, "", f"{error.status}: {error.reason}", None)


def _bicubic(dataset: str, scale: int, psnr: float, ssim: float, data_root: str | None) -> Iterator[Check]:
    result = evaluate("bicubic", dataset, scale, "classic", ["psnr", "ssim"], data_root=data_root)
    db, similarity = TOLERANCE[dataset]
    for metric, expected, tolerance, digits in (("psnr", psnr, db, 3), ("ssim", ssim, similarity, 4)):
        got = result.mean(metric)
        yield Check(
            f"bicubic {dataset} ×{scale}, {result.protocol}, {metric}",
            f"{expected:.{digits - 1 if metric == 'psnr' else 4}f} ± {tolerance:g}",
            f"{got:.{digits}f}",
            abs(got - expected) <= tolerance,
        )


def _lr_files(scale: int, data_root: str | None) -> Iterator[Check]:
    found = lr_difference(find_dataset("set5", data_root), scale, get_protocol("standard"))
    differing = sum(found.values())
    yield Check(f"LR of set5 ×{scale} against MATLAB's files", "0 differing samples", f"{differing}", differing == 0)


def _metrics() -> Iterator[Check]:
    """Values that can be worked out by hand."""
    black = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    one = black + 1
    values = [
        ("psnr of images one level apart", "psnr", one, 10 * math.log10(255.0**2), 1e-9),
        ("psnr of images 255 levels apart", "psnr", black + 255, 0.0, 1e-12),
        ("psnr of equal images", "psnr", black, math.inf, 0.0),
        ("ssim of equal images", "ssim", black, 1.0, 1e-12),
        # constant images have no variance: SSIM is its luminance term alone
        ("ssim of levels 0 and 1", "ssim", one, 2.55**2 / (1 + 2.55**2), 1e-9),
    ]
    for what, name, sr, expected, tolerance in values:
        got = float(get_metric(name)(Pair(sr, black, None, 4))[0])
        yield Check(what, f"{expected:.6g}", f"{got:.6g}", got == expected or abs(got - expected) <= tolerance)


def _lpips() -> Iterator[Check]:
    grey = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
    what = "lpips of equal images"
    try:
        got = float(get_metric("lpips")(Pair(grey, grey, None, 4))[0])
    except UnavailableError as error:
        yield Check(what, "0", f"{error.status}: {error.reason}", None)
        return
    yield Check(what, "0", f"{got:.6g}", abs(got) < 1e-7)


def _sample() -> Iterator[Check]:
    """Bicubic beats nearest on real images, and the order of interpolators is the known one."""
    found = {name: evaluate(name, "sample", 4, metrics=["psnr"]).mean("psnr") for name in ("nearest", "bicubic")}
    ok = found["bicubic"] > found["nearest"] + 0.5
    text = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    yield Check("sample ×4, standard: bicubic above nearest", "by more than 0.5 dB", text, ok)
