"""An exported file beside PyTorch: difference, PSNR, time and size."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from srbench.datasets.local import find_dataset
from srbench.errors import UnavailableError
from srbench.evaluation.changes import difference
from srbench.evaluation.quality import Samples
from srbench.evaluation.timed_image import network_input
from srbench.evaluation.timing import Stopwatch, TimedCell, Work, cpu_clock, interleave
from srbench.images import as_rgb, imresize, planar, read_image, round_u8, to_tensor
from srbench.inference import Inference
from srbench.measure import Measure, unit
from srbench.models._fused import can_fuse
from srbench.protocol import get_protocol
from srbench.upscaler import Upscaler, network_pass, upscale
from srbench.weights.exported import Measured

PROTOCOL = "standard"
_WAYS = ("channels_last", "fused", "fused+channels_last", "bf16+channels_last", "fused+bf16+channels_last")
_PASSES = 30
_SLOW = 3.0
"""Seconds of a pass from which other variants than the plain one are not tried."""


@dataclass(frozen=True)
class Look:
    """What is measured, and how long.

    Attributes:
        dataset: name or folder.
        images: at most; 0 for all.
        data_root: where sets of the catalog are looked for.
        seconds: of each thing that is timed.
        size: height and width of the LR image that is timed.
        random: weights are random, so that PSNR means nothing.
        clipped: the file's output is, as 8-bit values are.
    """

    dataset: str
    images: int
    data_root: str | None
    seconds: float
    size: tuple[int, int]
    random: bool = False
    clipped: bool = False


@dataclass(frozen=True)
class Quality:
    """What both made of the images.

    Attributes:
        count: images.
        greatest: difference of a sample on the 0–255 scale.
        before: mean PSNR of PyTorch's images in dB.
        after: of the file's.
    """

    count: int
    greatest: float
    before: float
    after: float


def measure(plain: Upscaler, exported: Upscaler, files: Sequence[Path], look: Look, *, whole: bool) -> Measured:
    """Compare a file with the upscaler that it was made of.

    Args:
        plain: PyTorch's, on the CPU.
        exported: the file's.
        files: of the exported network.
        look: what to measure.
        whole: the file holds the whole upscaler, so that the whole is timed.
    """
    quality = _quality(plain, exported, look)
    times, best = _times(plain, exported, look, whole=whole)
    weights = sum(p.numel() * 4 for p in (*plain.network.parameters(), *plain.network.buffers()))
    loss = {} if look.random else _loss(quality)
    return Measured(
        dataset=look.dataset,
        images=quality.count,
        protocol=get_protocol(PROTOCOL).id,
        max_difference=quality.greatest,
        input=look.size,
        ms=statistics.median(times["file"]) * 1e3,
        ms_torch=statistics.median(times["torch"]) * 1e3,
        best_variant=best,
        ms_best=statistics.median(times[best]) * 1e3 if best else None,
        passes=len(times["file"]),
        threads=torch.get_num_threads(),
        clock="processor" if torch.get_num_threads() == 1 else "wall",
        mb=sum(file.stat().st_size for file in files) / 1e6,
        mb_torch=weights / 1e6,
        **loss,
    )


def _loss(quality: Quality) -> dict[str, float]:
    lost = quality.before - quality.after
    if not math.isfinite(lost):
        return {}
    return {"psnr_torch": quality.before, "psnr": quality.after, "loss_db": lost}


def _quality(plain: Upscaler, exported: Upscaler, look: Look) -> Quality:
    samples = Samples(find_dataset(look.dataset, look.data_root), plain.scale, get_protocol(PROTOCOL))
    measures = [Measure(["psnr"], samples.protocol, samples.scale, references=samples.references) for _ in range(2)]
    greatest, count = 0.0, 0
    for sample in samples:
        if look.images and count >= look.images:
            break
        count += 1
        lr, hr = planar(sample.lr), planar(sample.hr)
        made = [upscale(upscaler, unit(lr)) for upscaler in (plain, exported)]
        if look.clipped:
            made[0] = made[0].clamp(0.0, 1.0)
        greatest = max(greatest, difference(*made))
        for measure_, sr in zip(measures, made, strict=True):
            measure_.add(sample.name, round_u8(sr.mul(255.0)), hr, lr)
    before, after = (_mean(one.scores()["psnr"].values) for one in measures)
    return Quality(count, greatest, before, after)


def _mean(values: Iterable[float | None]) -> float:
    kept = [value for value in values if value is not None]
    return math.fsum(kept) / len(kept) if kept else math.nan


def _times(
    plain: Upscaler, exported: Upscaler, look: Look, *, whole: bool
) -> tuple[dict[str, list[float]], str]:  # fmt: skip
    """Seconds of alternating passes of the file, of PyTorch and of our other variants, and the name of the fastest of these."""
    x = _lr(look.size) if whole else network_input(plain, look.size, 1)
    run: Callable[[Upscaler, Tensor], Tensor] = upscale if whole else network_pass
    ways = {"file": exported, "torch": plain}
    first = _clock()(lambda: run(plain, x))
    if first < _SLOW:
        ways |= {
            name: plain.with_(Inference.parse(name)) for name in _WAYS if can_fuse(plain.network) or "fused" not in name
        }
    cells = [TimedCell((name, ""), _work(run, upscaler, x)) for name, upscaler in ways.items()]
    interleave(cells, _clock(), look.seconds, _PASSES)
    times = {cell.key[0]: cell.times for cell in cells if cell.status == "ok" and cell.times}
    for name in ("file", "torch"):
        if name not in times:
            cell = next(cell for cell in cells if cell.key[0] == name)
            raise UnavailableError(cell.status, f"{name}: {cell.reason}")
    tried = [name for name in times if name not in ("file", "torch")]
    return times, min(tried, key=lambda name: statistics.median(times[name]), default="")


def _clock() -> Stopwatch:
    """On one thread the processor's time, which a busy machine does not stretch; else the wall's."""
    return processor_clock if torch.get_num_threads() == 1 else cpu_clock


def processor_clock(work: Work) -> float:
    """Seconds that this process's threads computed."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _work(run: Callable[[Upscaler, Tensor], Tensor], upscaler: Upscaler, x: Tensor) -> Callable[[], Tensor]:
    return lambda: run(upscaler, x)


def _lr(size: tuple[int, int]) -> Tensor:
    image = to_tensor(as_rgb(read_image(find_dataset("sample").paths[0])))
    made: Tensor = imresize(image, size=size)
    return made.clamp(0.0, 1.0)
