"""What a variant does to the image: change of PSNR on a stated set, greatest difference of an output sample."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import torch

from srbench.datasets.local import find_dataset
from srbench.errors import UnavailableError
from srbench.evaluation.quality import Samples
from srbench.images import planar, round_u8
from srbench.measure import Measure, unit
from srbench.protocol import get_protocol
from srbench.upscaler import Upscaler, network_pass, upscale

PSNR_SET = "sample"
PROTOCOL = "standard"
_PATCH = 48


def psnr_set(scale: int) -> str:
    """What ``psnr_changes`` measures on, for a record."""
    return f"{PSNR_SET} ×{scale}, {get_protocol(PROTOCOL).id}"


def psnr_changes(base: Upscaler, variants: Mapping[str, Upscaler]) -> dict[str, float]:
    """Mean PSNR of each variant less the base's, in dB, over the images of ``PSNR_SET``.

    A variant that has none, such as one that makes NaN in half precision, is left out; all where the base has none.
    """
    samples = Samples(find_dataset(PSNR_SET), base.scale, get_protocol(PROTOCOL))
    found: dict[str, float] = {}
    try:
        before = _mean_psnr(base, samples)
    except UnavailableError:
        return found
    for name, upscaler in variants.items():
        with contextlib.suppress(UnavailableError):
            found[name] = _mean_psnr(upscaler, samples) - before
    return found


def _mean_psnr(upscaler: Upscaler, samples: Samples) -> float:
    measure = Measure(["psnr"], samples.protocol, samples.scale, upscaler.device, samples.references)
    for sample in samples:
        lr = planar(sample.lr, upscaler.device)
        sr = round_u8(upscale(upscaler, unit(lr)).mul_(255.0))
        measure.add(sample.name, sr, planar(sample.hr, upscaler.device), lr)
    values = [value for value in measure.scores()["psnr"].values if value is not None]
    return sum(values) / len(values)


def difference(made: torch.Tensor, expected: torch.Tensor) -> float:
    """Greatest difference of two outputs in [0, 1], on the 0–255 scale."""
    return float((made.detach().float() - expected.detach().float()).abs().max()) * 255.0


def patch_difference(base: Upscaler, variant: Upscaler, image: torch.Tensor) -> float:
    """``difference`` on the middle of an image, for networks whose whole images take too long."""
    height, width = image.shape[-2:]
    top, left = max(0, (height - _PATCH) // 2), max(0, (width - _PATCH) // 2)
    x = image[:1, :, top : top + _PATCH, left : left + _PATCH].contiguous()
    return difference(network_pass(variant, x), network_pass(base, x))
