"""Checkpoint × dataset × scale × protocol → Result: the one place where quality is measured."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

import srbench
from srbench.datasets.local import ImageSet
from srbench.datasets.pairs import Sample, load_sample
from srbench.errors import InputError, UnavailableError
from srbench.evaluation.measure import DEFAULT_METRICS, Measure, planar, unit
from srbench.evaluation.targets import Target
from srbench.images import as_rgb, round_u8, write_image
from srbench.inference import Upscaler, check_finite, tile_difference, tile_overlap, upscale
from srbench.metrics import get_metric
from srbench.protocol import Protocol
from srbench.results import Result, find_result, write_result

CACHE_BYTES = 256 * 2**20  # decoded images kept between cells; larger sets stream


class Samples:
    """The samples of one dataset, scale and protocol: kept in memory while they are few, read again where they are many."""

    def __init__(self, images: ImageSet, scale: int, protocol: Protocol, lr_files: bool = False) -> None:
        self.images, self.scale, self.protocol, self.lr_files = images, scale, protocol, lr_files
        self._kept: dict[Path, Sample] = {}
        self._bytes = 0

    def __iter__(self) -> Iterator[Sample]:
        for path in self.images.paths:
            yield self.sample(path)

    def sample(self, path: Path) -> Sample:
        """The sample of one HR file."""
        if path in self._kept:
            return self._kept[path]
        found = load_sample(self.images, path, self.scale, self.protocol, self.lr_files)
        size = found.hr.nbytes + found.lr.nbytes
        if self._bytes + size <= CACHE_BYTES:
            self._kept[path] = found
            self._bytes += size
        return found


def cell_hash(
    target: Target, images: ImageSet, scale: int, protocol: Protocol, metrics: Iterable[str], lr_files: bool = False
) -> str:
    """sha256 of everything that changes a number of this cell."""
    lr = {path.name: _file_hash(images.lr_path(path, scale)) for path in images.paths} if lr_files else None
    facts = {
        "weights": target.identity,
        "data": images.digest,
        "lr_files": lr,
        "scale": scale,
        "protocol": protocol.model_dump(),
        "variant": target.variant,
        "precision": target.precision,
        "metrics": {name: get_metric(name).version for name in sorted(set(metrics))},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored(
    target: Target,
    images: ImageSet,
    scale: int,
    protocol: Protocol,
    metrics: Sequence[str],
    lr_files: bool = False,
    root: Path | None = None,
) -> Result | None:
    """The record of this cell if it still holds: same hash, and every metric asked for (or still not to be had)."""
    variant = variant_name(target.variant, lr_files)
    found = find_result(target.checkpoint, images.name, scale, protocol.id, variant, root)
    if found is None:
        return None
    if not found.ok:
        return found if _still(target, scale, protocol, found) else None
    try:
        known = cell_hash(target, images, scale, protocol, found.metrics, lr_files)
    except InputError:  # a metric that this version no longer has
        return None
    if known != found.cell_hash or not set(metrics) <= set(found.metrics):
        return None
    return None if any(_returned(name, found) for name in metrics) else found


def _still(target: Target, scale: int, protocol: Protocol, found: Result) -> bool:
    """Whether a cell without a number still has none, for the same reason; one that failed in the middle is tried again."""
    if reason := target.reason_against(protocol):
        return (found.status, found.reason) == ("unsupported_protocol", reason)
    if target.identity and scale in target.scales:
        return False
    try:
        target.upscaler(scale)
    except UnavailableError as error:
        return (found.status, found.reason) == (error.status, error.reason)
    return False


def _returned(name: str, found: Result) -> bool:
    """Whether a metric that had no number then could give one now."""
    if found.metrics[name].status != "unavailable":
        return False
    from srbench.metrics import Pair

    noise = torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8)
    try:
        get_metric(name).score(Pair(noise, noise, noise[..., ::4, ::4], 4))
    except UnavailableError:
        return False
    return True


def variant_name(variant: str, lr_files: bool) -> str:
    """The variant part of a result's name."""
    return "+".join(part for part in (variant, "lrfiles" if lr_files else "") if part)


def measure_cell(
    target: Target,
    samples: Samples,
    metrics: Sequence[str] = DEFAULT_METRICS,
    save_images: Path | None = None,
    on_image: Callable[[str], None] | None = None,
) -> Result:
    """Measure one cell; a cell that can have no number is a Result with status and reason.

    Args:
        target: what to measure. samples: on what. metrics: names.
        save_images: folder for the SR images as PNG, ``<stem>.png``.
        on_image: called with each image's name when it is done.

    Raises:
        InputError: an image that cannot be read or used; nothing is kept of the cell then.
    """
    images, scale, protocol = samples.images, samples.scale, samples.protocol
    common: dict[str, Any] = {
        **target.facts,
        "dataset": images.name,
        "scale": scale,
        "protocol": protocol.id,
        "protocol_fields": protocol.model_dump(),
        "variant": variant_name(target.variant, samples.lr_files),
        "data_sha256": images.digest,
        "precision": target.precision,
        "device": target.device.type,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "provenance": provenance(target.device),
    }
    if reason := target.reason_against(protocol):
        return Result(**common, status="unsupported_protocol", reason=reason)
    started = time.perf_counter()
    try:
        upscaler = target.upscaler(scale).with_(edges=protocol.edges)
        measure = Measure(metrics, protocol, scale, target.device)
        for sample in samples:
            lr = planar(sample.lr, target.device)
            made = upscale(upscaler, unit(lr))
            check_finite(made)
            sr = round_u8(made.mul_(255.0))
            measure.add(sample.name, sr, planar(sample.hr, target.device), lr)
            if save_images is not None:
                write_image(save_images / f"{sample.name}.png", _image(sr))
            if on_image:
                on_image(sample.name)
        if target.tile:
            common["provenance"]["tiling"] = _tiling(upscaler, samples)
    except UnavailableError as error:
        return Result(**common, status=error.status, reason=error.reason)
    return Result(
        **common,
        images=measure.images,
        metrics=measure.scores(),
        seconds=time.perf_counter() - started,
        cell_hash=cell_hash(target, images, scale, protocol, metrics, samples.lr_files),
    )


def run_cell(target: Target, samples: Samples, metrics: Sequence[str], root: Path | None = None, **more: Any) -> Result:
    """Measure one cell and store its record; metrics that the old record had as well are kept up to date."""
    old = find_result(
        target.checkpoint,
        samples.images.name,
        samples.scale,
        samples.protocol.id,
        variant_name(target.variant, samples.lr_files),
        root,
    )
    kept = [name for name in (old.metrics if old else ()) if _known(name)]
    result = measure_cell(target, samples, list(dict.fromkeys([*metrics, *kept])), **more)
    write_result(result, root)
    return result


def _known(name: str) -> bool:
    from srbench.metrics import METRICS

    return name in METRICS


def _image(sr: torch.Tensor) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = sr[0].permute(1, 2, 0).contiguous().cpu().numpy()
    return as_rgb(array[..., 0]) if array.shape[2] == 1 else array


def _tiling(upscaler: Upscaler, samples: Samples) -> str:
    """What tiles change: nothing where they overlap by the receptive field, else the greatest difference on all images."""
    overlap, covers = tile_overlap(upscaler)
    if covers:
        return f"overlap {overlap} covers the receptive field: equal to the whole image"
    found = {s.name: tile_difference(upscaler, unit(planar(s.lr, upscaler.device))) for s in samples}
    worst = max(found, key=lambda name: found[name])
    return f"overlap {overlap} is less than the receptive field: up to {found[worst]:.3g} of 255 off ({worst})"


def provenance(device: torch.device) -> dict[str, str]:
    """Versions and machine, as text."""
    found = {
        "srbench": srbench.__version__,
        "commit": _commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
        "machine": platform.machine(),
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _commit() -> str:
    """The source checkout's commit; empty for an installed package."""
    folder = Path(srbench.__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return ""
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip()
