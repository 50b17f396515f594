"""Speed records as typed rows, one a network, scale, variant, size and device. Never across devices."""

from __future__ import annotations

from collections.abc import Sequence

from srbench.reports.tables.rows import Speed
from srbench.speed_results import BASE, SpeedResult, VariantSpeed, is_usual, throughput
from srbench.zoo import Card

FEWEST = 10
"""Passes below which a time has no percentiles and is marked."""


def speeds(records: Sequence[SpeedResult], cards: Sequence[Card] = ()) -> tuple[Speed, ...]:
    """Every time of every record; those of weights that the zoo has replaced are left out (``replaced``)."""
    gone = {id(record) for record in replaced(records, cards)}
    return tuple(
        _speed(record, name, variant)
        for record in records
        if id(record) not in gone
        for name, variant in record.variants.items()
        if variant.ok
    )


def replaced(records: Sequence[SpeedResult], cards: Sequence[Card]) -> list[SpeedResult]:
    """Records of weights that are not those of the zoo's checkpoint of the same name."""
    weights = {card.name: card.sha256 for card in cards}
    return [record for record in records if weights.get(record.name, record.weights_sha256) != record.weights_sha256]


def pick_device(found: Sequence[Speed]) -> str:
    """The device with the most times, the first by name of several; "" where nothing was timed."""
    devices = [speed.device for speed in found]
    return max(sorted(set(devices)), key=devices.count) if devices else ""


def device_text(record: SpeedResult) -> str:
    """A record's device in words."""
    return f"{record.device_name}, {record.threads} threads" if record.device_type == "cpu" else record.device_name


def _speed(record: SpeedResult, name: str, variant: VariantSpeed) -> Speed:
    cost = record.cost
    weight = cost.get("weight_bytes")
    return Speed(
        name=record.name,
        model=record.model,
        scale=record.scale,
        variant="" if name == BASE else name,
        device=record.device,
        device_text=device_text(record),
        latency_ms=variant.median_ms or 0.0,
        n=variant.n,
        p10_ms=variant.p10_ms,
        p90_ms=variant.p90_ms,
        images_per_s=throughput(variant),
        memory_mb=None if variant.peak_memory_bytes is None else variant.peak_memory_bytes / 1e6,
        mult_adds=cost.get("mult_adds"),
        paper_mult_adds=cost.get("paper_mult_adds"),
        weight_mb=None if weight is None else weight / 1e6,
        psnr_change=0.0 if name == BASE and not record.random_weights else variant.psnr_change,
        size=record.input,
        usual=is_usual(record),
        random_weights=record.random_weights,
        glance=record.quick,
        doubts=doubts(record, variant),
    )


def doubts(record: SpeedResult, variant: VariantSpeed) -> tuple[str, ...]:
    """Why a time is to be read with care."""
    found = []
    if variant.n < FEWEST:
        found.append(f"n = {variant.n}")
    if record.drift is not None and abs(record.drift) > record.spread_limit:
        found.append(f"drift {record.drift:+.0%}".replace("-", "−"))
    if variant.noisy:
        found.append(f"spread over {record.spread_limit:.0%}")
    if record.quick:
        found.append("a glance")
    return tuple(found)
