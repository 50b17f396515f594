"""How ``srbench eval --fast`` applies a subject: in the fastest variant on this device that hardly changes the image."""

from __future__ import annotations

from dataclasses import replace

import torch

from srbench.evaluation.cost import input_size
from srbench.evaluation.device import describe
from srbench.evaluation.speed import holds, run
from srbench.evaluation.speed_rows import QUICK, Limits
from srbench.evaluation.variants import default_variants
from srbench.inference import Inference
from srbench.speed_results import SpeedResult, find_speed
from srbench.subjects import Subject

MOST_DB = 0.01
"""A variant that changes the mean PSNR of the sample images by this much, up or down, is not used."""
_SMALL = (96, 96)
_GLANCE = replace(QUICK, seconds=1.0)


def fastest(subject: Subject, scale: int, inference: Inference) -> Inference:
    """The inference with the fastest variant that changes PSNR by less than ``MOST_DB``; results will name it.

    From the speed record of this device, at 1280×720 output or at 96×96 input; where there is none, a glance at 96×96 is
    taken and stored. What is no checkpoint of the zoo is applied as it was asked for.
    """
    if subject.kind != "checkpoint" or scale not in subject.scales:
        return inference
    chosen = choose(_record(subject.at(scale), inference.torch_device))
    return replace(inference, fused=chosen.fused, layout=chosen.layout, precision=chosen.precision)


def choose(record: SpeedResult) -> Inference:
    """The fastest variant of a record that eager evaluation can use and that changes PSNR by less than ``MOST_DB``."""
    best, least = Inference(), record.base.median_ms
    for name, speed in record.variants.items():
        way = Inference.parse(name)
        usable = way == way.eager
        if not (speed.ok and usable) or speed.psnr_change is None or abs(speed.psnr_change) >= MOST_DB:
            continue
        if speed.median_ms is not None and (least is None or speed.median_ms < least):
            best, least = way, speed.median_ms
    return best


def _record(subject: Subject, device: torch.device) -> SpeedResult:
    slug = describe(device).slug
    ways = [way for way in default_variants(device) if way == way.eager]
    for size in (input_size(subject.scale), _SMALL):
        known = find_speed(slug, subject.name, subject.scale, size)
        if known is not None and holds(known, subject, [Inference(device)], Limits(seconds=0.0, quick=True)):
            return known
    return run([subject], ways, device, _GLANCE, _SMALL)[0]
