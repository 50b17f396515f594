"""Checkpoint × dataset × scale × protocol → Result: the one place where quality is measured."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from srbench.bands import can_band, in_bands
from srbench.datasets.local import ImageSet
from srbench.datasets.pairs import Sample, load_sample
from srbench.errors import UnavailableError
from srbench.evaluation.alarms import Middle, Watch, below_bicubic, identical, middle, other_scale
from srbench.evaluation.leaks import trained_on_test_images
from srbench.evaluation.lr_check import lr_check
from srbench.evaluation.quarters import in_quarters
from srbench.files import sha256
from srbench.images import as_rgb, planar, round_u8, write_image
from srbench.inference import Inference
from srbench.measure import DEFAULT_METRICS, Measure, to_sr, unit
from srbench.metrics import get_metric
from srbench.models import create_model, get_model
from srbench.process import blocks_are_kept, large_blocks_go_back
from srbench.protocol import Protocol
from srbench.provenance import machine, versions
from srbench.references import References
from srbench.results import Result
from srbench.subjects import Subject
from srbench.upscaler import Upscaler, for_model, tile_difference, tile_overlap, upscale


class Samples:
    """The samples of one dataset, scale and protocol: kept in memory as far as the budget goes, else read again when needed.

    Attributes:
        references: the samples, and what metrics and alarms have prepared of them, for all that is measured on them: all that an
            evaluation keeps, in one budget.
    """

    def __init__(self, images: ImageSet, scale: int, protocol: Protocol, lr_files: bool = False) -> None:
        self.images, self.scale, self.protocol, self.lr_files = images, scale, protocol, lr_files
        self.references = References()

    def __iter__(self) -> Iterator[Sample]:
        for path in self.images.paths:
            yield self.sample(path)

    def sample(self, path: Path) -> Sample:
        """The sample of one HR file."""

        def read() -> Sample:
            return load_sample(self.images, path, self.scale, self.protocol, self.lr_files)

        return self.references.get(("sample", path), read)

    def middle(self, sample: Sample) -> Middle:
        """What the alarms compare an image with."""
        return self.references.get(("middle", sample.name), lambda: middle(sample.hr, sample.lr, self.scale))

    @cached_property
    def bicubic_psnr(self) -> float:
        """Mean PSNR of bicubic on these samples under the protocol, in dB."""
        plain = for_model(get_model("bicubic"), create_model("bicubic", self.scale), self.scale)
        measure = Measure(["psnr"], self.protocol, self.scale, references=self.references)
        for sample in self:
            lr = planar(sample.lr)
            with large_blocks_go_back(sample.pixels):
                measure.add(sample.name, super_resolve(plain, lr, self.protocol), planar(sample.hr), lr)
        values = [value for value in measure.scores()["psnr"].values if value is not None]
        return math.fsum(values) / len(values)

    @cached_property
    def lr_notes(self) -> list[str]:
        """What LR files are, compared with the LR that the protocol makes; nothing where it makes its own."""
        if not self.lr_files or self.protocol.lr_is_files:
            return []
        check = lr_check(self.protocol, self.scale)
        for sample in self:
            check.look(sample.hr, sample.lr, sample.name)
        named = self.images.lr_root or self.images.lr_folder(self.scale)
        texts = {"the folder of LR files": named.name} if named is not None else {}
        return [*check.notes(), *other_scale(texts, self.scale)]


def cell_hash(subject: Subject, inference: Inference, samples: Samples, metrics: Iterable[str]) -> str:
    """sha256 of everything that changes a number of this cell; empty where the subject's weights cannot be told from others."""
    if not subject.identity:
        return ""
    images, scale = samples.images, samples.scale
    lr = {path.name: sha256(images.lr_path(path, scale)) for path in images.paths} if samples.lr_files else None
    facts = {
        "weights": subject.identity,
        "data": images.digest,
        "lr_files": lr,
        "scale": scale,
        "protocol": samples.protocol.model_dump(),
        "variant": inference.variant,
        "precision": inference.precision,
        "metrics": {name: get_metric(name).version for name in sorted(set(metrics))},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def variant_name(variant: str, lr_files: bool) -> str:
    """The variant part of a result's name."""
    return "+".join(part for part in (variant, "lrfiles" if lr_files else "") if part)


def measure_cell(
    subject: Subject,
    samples: Samples,
    metrics: Sequence[str] = DEFAULT_METRICS,
    inference: Inference | None = None,
    *,
    save_images: Path | None = None,
    on_image: Callable[[str], None] | None = None,
    on_sr: Callable[[Sample, torch.Tensor], None] = lambda *_: None,
) -> Result:
    """Measure one cell; a cell that can have no number is a Result with status and reason.

    Args:
        subject: what to measure.
        samples: on what.
        metrics: names.
        inference: how it is applied; plainly on the CPU by default.
        save_images: folder for the SR images as PNG, ``<stem>.png``.
        on_image: called with each image's name when it is done.
        on_sr: called with each sample and its SR, as the protocol measures it.

    Raises:
        InputError: an image that cannot be read or used; nothing is kept of the cell then.
    """
    inference = inference or Inference()
    scale, protocol = samples.scale, samples.protocol
    common = _facts(subject, inference, samples)
    if obstacle := subject.obstacle(scale, protocol):
        return Result(**common, status=obstacle.status, reason=obstacle.reason)
    started = time.perf_counter()
    leaks = trained_on_test_images(subject, samples.images)  # it may read all images, and does so before they are kept
    try:
        upscaler = subject.upscaler(scale, inference)
        upscaler = upscaler.with_(edges=protocol.edges, clip_enlarged=protocol.clip_enlarged)
        scored_on = inference.metric_device
        measure = Measure(metrics, protocol, scale, scored_on, samples.references)
        watch = Watch() if subject.kind != "interpolator" else None
        for sample in samples:
            with large_blocks_go_back(sample.pixels):
                lr = planar(sample.lr, scored_on)
                sr = super_resolve(upscaler, lr, protocol).to(scored_on)
                measure.add(sample.name, sr, planar(sample.hr, scored_on), lr)
                if watch is not None:
                    watch.look(sr, samples.middle(sample))
                if save_images is not None:
                    write_image(save_images / f"{sample.name}.png", _image(sr))
                on_sr(sample, sr)
                del lr, sr  # before the next image is read, or the notes look at whole images
            if on_image:
                on_image(sample.name)
        if inference.tile:
            common["provenance"]["tiling"] = _tiling(upscaler, samples)
    except UnavailableError as error:
        return Result(**common, status=error.status, reason=error.reason)
    return Result(
        **common,
        images=measure.images,
        metrics=measure.scores(),
        notes=[*leaks, *_notes(subject, samples, watch, measure)],
        seconds=time.perf_counter() - started,
        cell_hash=cell_hash(subject, inference, samples, metrics),
    )


def _notes(subject: Subject, samples: Samples, watch: Watch | None, measure: Measure) -> list[str]:
    """What a reader of the numbers must know. An interpolator is what it is: only its data can be wrong."""
    found = [*subject.doubts, *samples.lr_notes]
    scores = measure.scores().get("psnr")
    psnr = [value for value in scores.values if value is not None] if scores else []
    if watch is not None:
        found += watch.notes()
        if watch.doubtful and psnr:
            found.append(below_bicubic(math.fsum(psnr) / len(psnr), samples.bicubic_psnr))
        if subject.weights_file is not None and subject.kind == "file":
            found += other_scale({"the file of weights": subject.weights_file.name}, samples.scale)
    if scores and psnr:
        found.append(identical(measure.images, scores))
    return [text for text in found if text]


def super_resolve(upscaler: Upscaler, lr: torch.Tensor, protocol: Protocol) -> torch.Tensor:
    """SR as the protocol measures it.

    Args:
        upscaler: with the protocol's edges.
        lr: ``(N, C, h, w)`` on the 0–255 scale, uint8 or float.
        protocol: says how it is applied and what is rounded.

    Returns:
        uint8 ``(N, C, H, W)``; float on the 0–255 scale if the protocol does not round SR.
    """
    if protocol.sr == "each_axis" and upscaler.channels == "any" and lr.dtype == torch.uint8:
        made: torch.Tensor = upscaler.network(lr)  # imresize rounds 8-bit samples after each axis
        return made
    if protocol.inference == "quarters":
        return to_sr(in_quarters(upscaler, unit(lr)), protocol)
    if can_band(upscaler, lr):
        return _in_bands(upscaler, lr, protocol)
    return to_sr(upscale(upscaler, unit(lr)), protocol)


def _in_bands(upscaler: Upscaler, lr: torch.Tensor, protocol: Protocol) -> torch.Tensor:
    """The same SR image, of which only the bytes that are measured are ever whole."""
    height, width = (side * upscaler.scale for side in lr.shape[-2:])
    kind = to_sr(unit(lr[..., :1, :1]), protocol).dtype
    sr = torch.empty((*lr.shape[:2], height, width), dtype=kind)  # apart from what is kept for the next band
    with blocks_are_kept():
        for top, band in in_bands(upscaler, lr, unit):
            sr[..., top : top + band.shape[-2], :] = to_sr(band.contiguous(), protocol)
            del band  # before the next is computed
    return sr


def _facts(subject: Subject, inference: Inference, samples: Samples) -> dict[str, Any]:
    """What a Result says of a cell whatever comes of it."""
    images, device = samples.images, inference.torch_device
    return {
        "checkpoint": subject.name,
        "model": subject.model,
        "parameters": subject.parameters,
        "channels": subject.channels,
        "options": dict(subject.options),
        "recipe": subject.recipe,
        "trained_on": subject.trained_on,
        "weights_sha256": subject.weights_sha256,
        "own": subject.own,
        "dataset": images.name,
        "scale": samples.scale,
        "protocol": samples.protocol.id,
        "protocol_fields": samples.protocol.model_dump(),
        "variant": variant_name(inference.variant, samples.lr_files),
        "data_sha256": images.digest,
        "precision": inference.precision,
        "device": device.type,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "provenance": {**versions(), **machine(device), **({} if images.entry else {"folder": images.place})},
    }


def _image(sr: torch.Tensor) -> np.ndarray[Any, Any]:
    sr = round_u8(sr) if sr.is_floating_point() else sr
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
