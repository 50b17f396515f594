"""One image, many metrics: what each metric is shown under a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from srbench.errors import InputError, UnavailableError
from srbench.images import luma, round_u8, shave, ycbcr
from srbench.metrics import Metric, Pair, get_metric
from srbench.protocol import Protocol
from srbench.results import MetricScores

DEFAULT_METRICS = ("psnr", "ssim", "lpips", "lr-psnr")


class Measure:
    """Scores of many images, gathered metric by metric.

    A metric that cannot score an image (no backbone, image too small) has a status and a reason; the others go on.

    Args:
        metrics: names.
        protocol: what to measure.
        scale: the upscaling factor.
        device: where metrics run; the CPU by default.
    """

    def __init__(
        self, metrics: Sequence[str], protocol: Protocol, scale: int, device: torch.device | None = None
    ) -> None:
        self.metrics = [get_metric(name) for name in dict.fromkeys(metrics)]
        if not self.metrics:
            raise InputError("no metric is named; `srbench ls metrics` lists them")
        self.protocol = protocol
        self.scale = scale
        self.device = device or torch.device("cpu")
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
        views: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}
        border = self.protocol.shave(self.scale)
        self.images.append(name)
        for metric in self.metrics:
            values = self._values[metric.name]
            if metric.name in self._failed:
                values.append(None)
                continue
            if "lr" in metric.needs and lr is None:
                self._fail(metric, "unavailable", "no LR image to compare with")
                continue
            key = (metric.space, metric.crop)
            if key not in views:
                pair = (sr, hr) if metric.crop == "full" else (shave(sr, border), shave(hr, border))
                view = partial(measured, protocol=self.protocol) if metric.space == "channel" else _shown
                views[key] = (view(pair[0]), view(pair[1]))
            try:
                values.append(float(metric.score(Pair(*views[key], lr, self.scale))[0]))
            except UnavailableError as error:
                self._fail(metric, error.status, error.reason)
            except InputError as error:
                self._fail(metric, "failed", f"{name}: {error}")

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
    scaled = made.mul_(255.0)
    if protocol.sr in ("rounded", "each_axis"):
        return round_u8(scaled)
    clipped = scaled.clamp_(0.0, 255.0)
    return clipped.to(torch.uint8) if protocol.sr == "truncated" else clipped


def check_scale(scale: object) -> None:
    """Raise InputError where a scale is no whole number of at least 1."""
    if not isinstance(scale, int) or isinstance(scale, bool) or scale < 1:
        raise InputError(f"the scale must be a whole number of at least 1, not {scale!r}")


def unit(image: Tensor) -> Tensor:
    """0–255 → [0, 1]; uint8 becomes float32, a float type is kept."""
    return (image if image.is_floating_point() else image.to(torch.float32)).div(255.0)
