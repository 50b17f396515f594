"""What a variant does to the image: change of PSNR on a stated set, greatest difference of an output sample."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from srbench.datasets.local import find_dataset
from srbench.evaluation.measure import Measure, planar, unit
from srbench.evaluation.quality import Samples
from srbench.images import round_u8
from srbench.inference import Upscaler, network_pass, upscale
from srbench.protocol import get_protocol

PSNR_SET = "sample"
PROTOCOL = "standard"
_PATCH = 48


def psnr_set(scale: int) -> str:
    """What ``psnr_changes`` measures on, for a record."""
    return f"{PSNR_SET} ×{scale}, {get_protocol(PROTOCOL).id}"


def psnr_changes(base: Upscaler, variants: Mapping[str, Upscaler]) -> dict[str, float]:
    """Mean PSNR of each variant less the base's, in dB, over the images of ``PSNR_SET``."""
    found = _mean_psnr({"": base, **variants})
    return {name: found[name] - found[""] for name in variants}


def _mean_psnr(upscalers: Mapping[str, Upscaler]) -> dict[str, float]:
    scale = next(iter(upscalers.values())).scale
    samples = Samples(find_dataset(PSNR_SET), scale, get_protocol(PROTOCOL))
    means = {}
    for name, upscaler in upscalers.items():
        measure = Measure(["psnr"], samples.protocol, scale, upscaler.device)
        for sample in samples:
            lr = planar(sample.lr, upscaler.device)
            sr = round_u8(upscale(upscaler, unit(lr)).mul_(255.0))
            measure.add(sample.name, sr, planar(sample.hr, upscaler.device), lr)
        values = [value for value in measure.scores()["psnr"].values if value is not None]
        means[name] = sum(values) / len(values)
    return means


def difference(made: torch.Tensor, expected: torch.Tensor) -> float:
    """Greatest difference of two outputs in [0, 1], on the 0–255 scale."""
    return float((made.detach().float() - expected.detach().float()).abs().max()) * 255.0


def patch_difference(base: Upscaler, variant: Upscaler, image: torch.Tensor) -> float:
    """``difference`` on the middle of an image, for networks whose whole images take too long."""
    height, width = image.shape[-2:]
    top, left = max(0, (height - _PATCH) // 2), max(0, (width - _PATCH) // 2)
    x = image[:1, :, top : top + _PATCH, left : left + _PATCH].contiguous()
    return difference(network_pass(variant, x), network_pass(base, x))
