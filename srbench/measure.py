"""One image, many metrics: what each metric is shown under a protocol."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from srbench.errors import InputError, UnavailableError
from srbench.images import luma, round_u8, shave, ycbcr
from srbench.metrics import Metric, Part, Truth, get_metric
from srbench.metrics._images import Rows, check_alike, check_size, sums_of
from srbench.process import LARGE, blocks_are_kept, free_memory
from srbench.protocol import Protocol
from srbench.references import References
from srbench.results import MetricScores

_SHARE = 0.85  # of what is free; others use the machine, too
DEFAULT_METRICS = ("psnr", "ssim", "lpips", "lr-psnr")


class Measure:
    """Scores of many images, gathered metric by metric.

    A metric that cannot score an image (no backbone, image too small) has a status and a reason; the others go on.

    Args:
        metrics: names.
        protocol: what to measure.
        scale: the upscaling factor.
        device: where metrics run; the CPU by default.
        references: what was prepared of the HR images, shared by all that is measured on them: one name stands for one HR
            image, and for one LR image at a scale. None: nothing is kept.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        protocol: Protocol,
        scale: int,
        device: torch.device | None = None,
        references: References | None = None,
    ) -> None:
        self.metrics = [get_metric(name) for name in dict.fromkeys(metrics)]
        if not self.metrics:
            raise InputError("no metric is named; `srbench ls metrics` lists them")
        self.protocol = protocol
        self.scale = scale
        self._where = (protocol.id, scale)
        self.device = device or torch.device("cpu")
        self.references = References(0) if references is None else references
        self.images: list[str] = []
        self._values: dict[str, list[float | None]] = {metric.name: [] for metric in self.metrics}
        self._failed: dict[str, tuple[str, str]] = {}
        for metric in self.metrics:
            if protocol.y_only and metric.space == "rgb":
                reason = f"{metric.name} needs an RGB image; {protocol.id} has luma alone"
                self._failed[metric.name] = ("unsupported_protocol", reason)

    def add(self, name: str, sr: Tensor, hr: Tensor, lr: Tensor | None) -> None:
        """Score one image.

        Args:
            name: the image's.
            sr: uint8 ``(1, 3, H, W)``; ``(1, 1, H, W)`` luma under a protocol that only has luma, and for gray files that a
                protocol keeps. Float on the 0–255 scale under a protocol that does not round SR.
            hr: uint8, of the same shape.
            lr: what ``sr`` was made from, on the 0–255 scale, or None.
        """
        border = self.protocol.shave(self.scale)
        made, true = (_Views(image, self.protocol, border, self.metrics) for image in (sr, hr))
        self.images.append(name)
        for metric in self.metrics:
            if metric.name in self._failed:
                self._values[metric.name].append(None)
                continue
            if "lr" in metric.needs and lr is None:
                self._fail(metric, "unavailable", "no LR image to compare with")
                continue
            if reason := _does_not_fit(metric, hr):
                self._fail(metric, "oom", f"{name}: {reason}")
                continue
            try:
                reference = self._reference(metric, name, true, lr)
                self._values[metric.name].append(float(made.score(metric, reference)[0]))
            except UnavailableError as error:
                self._fail(metric, error.status, error.reason)
            except InputError as error:
                self._fail(metric, "failed", f"{name}: {error}")

    def _reference(self, metric: Metric, name: str, true: _Views, lr: Tensor | None) -> Any:
        """What a metric prepares of an HR image: kept, or made now."""
        return self.references.get(
            (self._where, str(true.image.device), name, metric.space, metric.crop, metric.prepare, metric.by_rows),
            lambda: metric.prepare(Truth(true.seen_by(metric), lr, self.scale)),
        )

    def _fail(self, metric: Metric, status: str, reason: str) -> None:
        self._failed[metric.name] = (status, reason)
        self._values[metric.name].append(None)

    def scores(self) -> dict[str, MetricScores]:
        """What was gathered, ready for a Result."""
        found = {}
        for metric in self.metrics:
            status, reason = self._failed.get(metric.name, ("ok", ""))
            found[metric.name] = MetricScores(
                unit=metric.unit,
                higher_is_better=metric.higher_is_better,
                digits=metric.digits,
                version=metric.version,
                space=metric.space,
                status=status,
                reason=reason,
                values=self._values[metric.name] if status == "ok" else [],
            )
        return found


def _does_not_fit(metric: Metric, hr: Tensor) -> str:
    """Why a large image is not begun, nothing where it fits: the system would end the process, and all other scores with it."""
    height, width = hr.shape[-2:]
    needed = metric.memory * height * width
    if not needed or height * width <= LARGE or hr.device.type != "cpu" or needed <= (free := free_memory()) * _SHARE:
        return ""
    return f"{metric.name} takes about {needed / 2**30:.1f} GiB on {width}×{height} pixels, and {free / 2**30:.1f} GiB are free"


class _Views:
    """An SR or HR image as metrics see it, each view made once.

    Args:
        image: as in ``Measure.add``.
        protocol: what to measure.
        border: pixels that it leaves out.
        metrics: all that look at it.
    """

    def __init__(self, image: Tensor, protocol: Protocol, border: int, metrics: Sequence[Metric]) -> None:
        self.image, self._protocol, self._border, self._metrics = image, protocol, border, metrics
        self._made: dict[tuple[str, str, bool], Any] = {}
        self._wholes: dict[Hashable, Any] = {}
        self._sums: dict[str, Sequence[list[float]]] = {}

    def seen_by(self, metric: Metric) -> Any:
        """The part and the channels that a metric looks at; of a large image as ``Rows``, where the metric takes these."""
        by_rows = self._by_rows(metric)
        key = (metric.space, metric.crop, by_rows)
        if key not in self._made:
            inner = self.image if metric.crop == "full" else shave(self.image, self._border)
            self._made[key] = self._view(inner, metric.space, by_rows)
        return self._made[key]

    def score(self, metric: Metric, reference: Any) -> Tensor:
        """A metric's score against its reference; what several metrics are parts of is made once."""
        if self._by_rows(metric):
            return self._score_by_rows(metric, reference)
        if not isinstance(metric.score, Part):
            return metric.score(self.seen_by(metric), reference)
        key = (metric.score.whole, metric.prepare, metric.space, metric.crop, metric.by_rows)
        if key not in self._wholes:
            self._wholes[key] = metric.score.whole(self.seen_by(metric), reference)
        return metric.score.take(self._wholes[key])

    def _by_rows(self, metric: Metric) -> bool:
        return metric.by_rows is not None and metric.space == "channel" and self.image[0, 0].numel() > LARGE

    def _score_by_rows(self, metric: Metric, reference: Rows) -> Tensor:
        """A metric's score of a large image, whose rows all such metrics see together."""
        seen: Rows = self.seen_by(metric)
        check_alike(metric.name, seen, reference.shape, reference.device)
        check_size(metric.name, seen.shape, minimum=metric.minimum)
        if metric.name not in self._sums:
            sums = {
                one.name: one.by_rows
                for one in self._metrics
                if one.by_rows is not None
                and (one.prepare, one.space, one.crop) == (metric.prepare, metric.space, metric.crop)
                and one.minimum <= min(seen.shape[-2:])
            }
            with blocks_are_kept():
                self._sums.update(zip(sums, sums_of(list(sums.values()), seen, reference), strict=True))
        assert metric.by_rows is not None
        return metric.by_rows.end(self._sums[metric.name], seen)

    def _view(self, inner: Tensor, space: str, by_rows: bool) -> Any:
        if by_rows:
            return Rows(inner, partial(measured, protocol=self._protocol))
        return measured(inner, self._protocol) if space == "channel" else _shown(inner)


def measured(image: Tensor, protocol: Protocol) -> Tensor:
    """The channels that a protocol compares.

    Args:
        image: uint8 or float ``(N, 3, H, W)`` or ``(N, 1, H, W)`` on the 0–255 scale.
        protocol: gives the channel and its rounding.

    Returns:
        ``(N, 3, H, W)``, or ``(N, 1, H, W)`` of luma; one channel stays as it is.
    """
    if protocol.channel == "rgb" or image.shape[1] == 1:
        return image
    if protocol.channel == "ycbcr":
        made = ycbcr(image.to(torch.float64) / 255.0) * 255.0
    elif protocol.channel == "y-full":
        made = full_luma(image)
    else:
        made = luma(image)
    # An SR image that is not rounded keeps its luma, too.
    return round_u8(made) if protocol.luma == "rounded" and not image.is_floating_point() else made


def full_luma(image: Tensor) -> Tensor:
    """BT.601 luma from 0 to 255 of RGB ``(N, 3, H, W)`` on the 0–255 scale → float64 ``(N, 1, H, W)``, not rounded."""
    red, green, blue = image.to(torch.float64).unbind(1)
    return (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]


def _shown(image: Tensor) -> Tensor:
    """What a metric of RGB images sees: 8 bits, three channels."""
    whole = round_u8(image) if image.is_floating_point() else image
    return whole.expand(-1, 3, -1, -1) if whole.shape[1] == 1 else whole


def to_sr(made: Tensor, protocol: Protocol) -> Tensor:
    """A network's output as the protocol measures it; ``made`` may be written to.

    Args:
        made: float ``(N, C, H, W)`` in [0, 1], not clipped.
        protocol: says whether SR is rounded.

    Returns:
        uint8, rounded or truncated; or float on the 0–255 scale, clipped.
    """
    if protocol.sr in ("rounded", "each_axis"):
        return round_u8(made, white=1.0)
    clipped = made.mul_(255.0).clamp_(0.0, 255.0)
    return clipped.to(torch.uint8) if protocol.sr == "truncated" else clipped


def check_scale(scale: object) -> None:
    """Raise InputError where a scale is no whole number of at least 1."""
    if not isinstance(scale, int) or isinstance(scale, bool) or scale < 1:
        raise InputError(f"the scale must be a whole number of at least 1, not {scale!r}")


def unit(image: Tensor) -> Tensor:
    """0–255 → [0, 1]; uint8 becomes float32, a float type is kept."""
    return (image if image.is_floating_point() else image.to(torch.float32)).div(255.0)
