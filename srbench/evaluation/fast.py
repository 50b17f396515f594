"""Which variant ``srbench eval --fast`` uses: the fastest on this device that hardly changes the image."""

from __future__ import annotations

from dataclasses import replace

import torch

from srbench.evaluation.cost import input_size
from srbench.evaluation.device import describe
from srbench.evaluation.speed import holds, run
from srbench.evaluation.speed_rows import QUICK, Limits
from srbench.evaluation.subjects import Subject, find_subject
from srbench.evaluation.targets import Target
from srbench.evaluation.variants import BASE, Variant, default_variants, parse_variant
from srbench.models import MODELS
from srbench.speed_results import SpeedResult, find_speed

MOST_DB = 0.01
"""A variant that changes the mean PSNR of the sample images by this much, up or down, is not used."""
_SMALL = (96, 96)
_GLANCE = replace(QUICK, seconds=1.0)


def fastest(target: Target, scale: int) -> Target:
    """The target in its fastest variant that changes PSNR by less than ``MOST_DB``, which its results will name.

    From the speed record of this device, at 1280×720 output or at 96×96 input; where there is none, a glance at 96×96 is
    taken and stored. What is no checkpoint of the zoo is left as it is.
    """
    if target.facts["model"] not in MODELS or not target.facts.get("recipe") or scale not in target.scales:
        return target
    if "." not in target.checkpoint or target.checkpoint.partition(".")[2] != target.facts["recipe"]:
        return target
    subject = find_subject(target.checkpoint, scale)
    variant = choose(_record(subject, target.device))
    settings = replace(
        target.settings,
        fused=variant.fused,
        channels_last=variant.channels_last,
        precision=variant.precision,
    )
    return replace(target, settings=settings)


def choose(record: SpeedResult) -> Variant:
    """The fastest variant of a record that eager evaluation can use and that changes PSNR by less than ``MOST_DB``."""
    best, least = BASE, record.base.median_ms
    for name, speed in record.variants.items():
        variant = parse_variant(name)
        usable = variant == variant.eager
        if not (speed.ok and usable) or speed.psnr_change is None or abs(speed.psnr_change) >= MOST_DB:
            continue
        if speed.median_ms is not None and (least is None or speed.median_ms < least):
            best, least = variant, speed.median_ms
    return best


def _record(subject: Subject, device: torch.device) -> SpeedResult:
    slug = describe(device).slug
    ways = [variant for variant in default_variants(device) if variant == variant.eager]
    for size in (input_size(subject.scale), _SMALL):
        known = find_speed(slug, subject.name, subject.scale, size)
        if known is not None and holds(known, subject, [BASE], Limits(seconds=0.0, quick=True)):
            return known
    return run([subject], ways, device, _GLANCE, _SMALL)[0]
