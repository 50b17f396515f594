"""Which protocol gives a figure: what papers and scripts do otherwise is tried until one combination reproduces it.

Errors are summed once for every choice of channels and luma; borders, crops and averages then cost nothing. What changes the
LR image or the network's pass costs a pass over the images each and is tried in the order of ``WAYS``: the usual first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from srbench.datasets.image_set import ImageSet
from srbench.datasets.pairs import load_sample
from srbench.datasets.pixels import gray_plane
from srbench.errors import InputError, SrbenchError, UnavailableError
from srbench.evaluation.figure import Figure
from srbench.evaluation.quarters import in_quarters
from srbench.images import as_rgb, planar, shave
from srbench.inference import Inference
from srbench.measure import measured, to_sr, unit
from srbench.metrics.ssim import ssim
from srbench.protocol import PRESETS, Protocol
from srbench.subjects import Subject
from srbench.upscaler import Upscaler, upscale

U8 = npt.NDArray[np.uint8]
Average = Literal["images", "error"]

BORDERS = (0, 2, 4, 6, 8)
_WIDTH_DB = 0.5  # around the figure, in which tried values are counted for the probability of a chance hit
_WIDTH_SSIM = 0.02


@dataclass(frozen=True)
class Tried:
    """One combination and what it gives.

    Attributes:
        protocol: its fields.
        average: ``images`` takes the mean of the images' PSNR, ``error`` the PSNR of their mean squared error.
        psnr: in dB.
        ssim: None where it was not needed.
        preset: the nearest preset.
        differs: what is different from that preset, such as ``channel = rgb``.
    """

    protocol: Protocol
    average: Average
    psnr: float
    ssim: float | None
    preset: str
    differs: tuple[str, ...]

    @property
    def cost(self) -> int:
        """How far-fetched it is: fields that differ, and one for a preset that is not ``standard``."""
        return len(self.differs) + (self.preset != "standard")


@dataclass(frozen=True)
class Explanation:
    """What came of a search.

    Attributes:
        figure: what was sought.
        hits: combinations that give it, simplest first, each with the probability that among as simple ones there is a hit
            by chance.
        nearest: the combinations that come nearest, where there is no hit.
        tried: how many there were.
        ways: the LR images and passes that were tried, in words.
        skipped: ways that could not be tried, and why.
    """

    figure: Figure
    hits: tuple[tuple[Tried, float], ...]
    nearest: tuple[Tried, ...]
    tried: int
    ways: tuple[str, ...]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """One image as it is measured.

    Attributes:
        sr: ``(1, C, H, W)`` on the 0–255 scale, uint8 or float.
        hr: uint8 ``(1, C, H, W)``.
    """

    sr: Tensor
    hr: Tensor


_CLASSIC: dict[str, Any] = {"luma": "rounded", "lr": "float", "gray": "keep"}

Way = tuple[str, dict[str, Any]]

# What changes LR or the pass, in the order in which it is tried. Each is tried with every border, channel, crop and average.
# A search ends after a group in which the figure was found: its members are too alike to be told apart by a set of five.
GROUPS: tuple[tuple[Way, ...], ...] = (
    (("MATLAB bicubic, 8-bit LR", {}),),
    (("unrounded luma as LR", _CLASSIC),),
    (("8-bit LR rounded once", {"lr_rounding": "once"}), ("edges clamped", {"edges": "clamp"})),
    (
        ("unrounded luma as LR, edges clamped", {**_CLASSIC, "edges": "clamp"}),
        ("unrounded luma as LR, enlarged luma clipped", {**_CLASSIC, "clip_enlarged": True}),
        (
            "unrounded luma as LR, edges clamped, enlarged luma clipped",
            {**_CLASSIC, "edges": "clamp", "clip_enlarged": True},
        ),
    ),
    (("unrounded RGB as LR", {"lr": "float-rgb"}),),
    (
        ("HR in multiples of 12", {"modulus": 12}),
        ("HR in multiples of 12, LR rounded once", {"modulus": 12, "lr_rounding": "once"}),
    ),
    (("images in quarters", {"inference": "quarters"}),),
    (("gray files kept, 8-bit LR", {"luma": "rounded", "gray": "keep"}),),
    (("OpenCV's bicubic", {"degradation": "opencv-bicubic"}), ("Pillow's bicubic", {"degradation": "pillow-bicubic"})),
    (
        ("blur and decimation", {"degradation": "bd", "luma": "rounded", "gray": "keep", "sr": "each_axis"}),
        ("bicubic and noise", {"degradation": "dn", "luma": "rounded", "gray": "keep", "sr": "each_axis"}),
    ),
)
WAYS: tuple[Way, ...] = tuple(way for group in GROUPS for way in group)


def explain_images(
    pairs: Iterable[tuple[U8, U8]], scale: int, figure: Figure, names: Sequence[tuple[str, str]] = ()
) -> Explanation:
    """Explain a figure by SR images that are there: channel, luma, border, crop, gray files and average are tried.

    Args:
        pairs: SR and HR, uint8 ``(H, W, 3)`` or ``(H, W)``; HR may be larger than SR, as before a crop.
        scale: the upscaling factor.
        figure: what is to be reproduced.
        names: what each pair's SR and HR are called in messages.

    Raises:
        InputError: no image, or SR larger than HR by more than a crop.
    """
    called = itertools.chain(names, itertools.repeat(("SR", "HR")))
    images = [_aligned(sr, hr, scale, who) for (sr, hr), who in zip(pairs, called, strict=False)]
    if not images:
        raise InputError("explain: no SR image goes with an HR image")
    tried: list[Tried] = []
    for gray in ("rgb", "keep") if any(gray_plane(hr) is not None for _, hr in images) else ("rgb",):
        shown = [_as_shown(sr, hr, gray) for sr, hr in images]
        fields = {"gray": gray, "luma": "rounded"} if gray == "keep" else {}
        tried += _measured(shown, fields, scale, figure, crops=(None, 12))
    return _found(figure, tried, ("the SR images as they are",), ())


def explain_subject(
    subject: Subject,
    images: ImageSet,
    figure: Figure,
    inference: Inference | None = None,
    *,
    thorough: bool = False,
    on_way: Callable[[str], None] = lambda _: None,
) -> Explanation:
    """Explain a figure by a network, whose LR images and passes are tried as well, the usual first.

    Args:
        subject: at one scale.
        images: the dataset that the figure is of.
        figure: what is to be reproduced.
        inference: how the network is applied; plainly on the CPU by default.
        thorough: go on after a group of ways that gives the figure.
        on_way: called with each way that is tried, in words.

    Raises:
        InputError: an image that cannot be read.
        UnavailableError: no way suits the network.
    """
    search = _Search(subject, images, figure, inference or Inference(), on_way)
    for group in GROUPS:
        for way in group:
            search.try_way(*way)
        if not thorough and any(_hits(one, figure) for one in search.tried):
            break
    if not search.tried:
        reason = "; ".join(search.skipped) or f"nothing can be tried with {subject.name}"
        raise UnavailableError("unsupported_protocol", reason)
    return _found(figure, search.tried, tuple(search.ways), tuple(search.skipped))


@dataclass
class _Search:
    """What was tried with a network so far."""

    subject: Subject
    images: ImageSet
    figure: Figure
    inference: Inference
    on_way: Callable[[str], None]
    tried: list[Tried] = field(default_factory=list)
    ways: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def try_way(self, text: str, fields: dict[str, Any]) -> None:
        """One way, where it can give other numbers and the network can go it."""
        subject, scale = self.subject, self.subject.scale
        protocol = Protocol(name="explained", **fields)
        if not _worth_trying(fields, subject, self.images, scale):
            return
        if obstacle := subject.obstacle(scale, protocol):
            self.skipped.append(f"{text}: {obstacle.reason}")
            return
        self.on_way(text)
        upscaler = subject.upscaler(scale, self.inference)
        upscaler = upscaler.with_(edges=protocol.edges, clip_enlarged=protocol.clip_enlarged)
        try:
            self.tried += _by_way(upscaler, self.images, protocol, fields, self.figure)
        except UnavailableError as error:
            self.skipped.append(f"{text}: {error.reason}")
            return
        self.ways.append(text)


def _worth_trying(fields: dict[str, Any], subject: Subject, images: ImageSet, scale: int) -> bool:
    """Whether a way can give other numbers than those before it."""
    if fields.get("clip_enlarged"):
        return subject.architecture is not None and subject.architecture.pre_upsampled
    if fields.get("modulus"):
        return 12 % scale == 0
    if fields.get("inference") == "quarters":
        return subject.kind != "interpolator"
    if fields.get("gray") == "keep" and len(fields) == 2:
        return any(gray_plane(images.read(path)) is not None for path in images.paths)
    return True


def _by_way(
    upscaler: Upscaler, images: ImageSet, protocol: Protocol, fields: dict[str, Any], figure: Figure
) -> list[Tried]:
    """Every combination of what can be measured on the images that one way makes."""
    scale, kinds = upscaler.scale, ["rounded", "truncated", "float"]
    if protocol.sr == "each_axis" and upscaler.channels == "any":
        kinds.insert(0, "each_axis")
    shown: dict[str, list[Shown]] = {kind: [] for kind in kinds}
    for path in images.paths:
        sample = load_sample(images, path, scale, protocol)
        lr, hr = planar(sample.lr, upscaler.device), planar(sample.hr)
        x = unit(lr)
        made = (in_quarters(upscaler, x) if protocol.inference == "quarters" else upscale(upscaler, x)).cpu()
        for kind in kinds:
            sr = (
                upscaler.network(lr)
                if kind == "each_axis"
                else to_sr(made.clone(), protocol.model_copy(update={"sr": kind}))
            )
            shown[kind].append(Shown(sr, hr))
    tried = []
    for kind, found in shown.items():
        kept = {key: value for key, value in fields.items() if key != "sr"}
        tried += _measured(found, kept | ({} if kind == "rounded" else {"sr": kind}), scale, figure)
    return tried


def _aligned(sr: U8, hr: U8, scale: int, who: tuple[str, str] = ("SR", "HR")) -> tuple[U8, U8]:
    """SR and HR cropped to what they share, a multiple of the scale."""
    height, width = (min(a, b) // scale * scale for a, b in zip(sr.shape[:2], hr.shape[:2], strict=True))
    most = [max(12, 2 * scale) + b for b in hr.shape[:2]]
    if (
        not height
        or not width
        or sr.shape[0] > most[0]
        or sr.shape[1] > most[1]
        or min(hr.shape[:2]) > 2 * min(height, width)
    ):
        raise InputError(
            f"{who[0]} is {sr.shape[1]}×{sr.shape[0]} and {who[1]} {hr.shape[1]}×{hr.shape[0]}: not of one image at x{scale}"
        )
    return sr[:height, :width], hr[:height, :width]


def _as_shown(sr: U8, hr: U8, gray: str) -> Shown:
    plane = gray_plane(hr) if gray == "keep" else None
    if plane is not None:
        own = gray_plane(sr)
        return Shown(planar(sr[..., 1] if own is None else own), planar(plane))
    return Shown(planar(as_rgb(sr)), planar(as_rgb(hr)))


def _measured(
    shown: Sequence[Shown], fields: dict[str, Any], scale: int, figure: Figure, crops: Sequence[int | None] = (None,)
) -> list[Tried]:
    """Every combination of channel, luma, border, crop and average on SR images."""
    luma_alone = fields.get("lr") == "float"
    keeps_gray = fields.get("gray") == "keep"
    channels = [("y", "rounded")] if luma_alone or keeps_gray else _CHANNELS
    borders = dict.fromkeys((scale, *BORDERS, scale + 6))
    found: list[Tried] = []
    for channel, luma in channels:
        try:
            protocol = Protocol(name="explained", **{**fields, "channel": channel, "luma": luma})
        except ValueError:  # a combination that no protocol has
            continue
        views = [_View(measured(one.sr, protocol), measured(one.hr, protocol)) for one in shown]
        for border, crop in itertools.product(borders, crops):
            if crop is not None and (crop % scale or not any(view.cuts(crop) for view in views)):
                continue
            changed = {"shave_extra": border - scale, **({"modulus": crop} if crop else {})}
            if min(view.smallest(crop) for view in views) <= 2 * border:
                continue
            found += _averages(views, protocol.model_copy(update=changed), border, crop, figure)
    return found


_CHANNELS: Sequence[tuple[str, str]] = (
    ("y", "float"), ("y", "rounded"), ("rgb", "float"), ("y-full", "float"), ("y-full", "rounded"), ("ycbcr", "float"),
)  # fmt: skip


class _View:
    """What is compared of one image, and the sums of its squared errors over every rectangle from the corner."""

    def __init__(self, sr: Tensor, hr: Tensor) -> None:
        self.sr, self.hr = sr, hr
        squares = (sr.to(torch.float64) - hr.to(torch.float64)).square().mean(dim=1)[0].numpy()
        self._sums = np.zeros((squares.shape[0] + 1, squares.shape[1] + 1))
        self._sums[1:, 1:] = squares.cumsum(axis=0).cumsum(axis=1)

    def _size(self, crop: int | None) -> tuple[int, int]:
        height, width = self.hr.shape[-2:]
        return (height, width) if crop is None else (height // crop * crop, width // crop * crop)

    def cuts(self, crop: int) -> bool:
        return self._size(crop) != self._size(None)

    def smallest(self, crop: int | None) -> int:
        return min(self._size(crop))

    def error(self, border: int, crop: int | None) -> float:
        """Mean squared error inside a border."""
        height, width = self._size(crop)
        s, bottom, right = self._sums, height - border, width - border
        total = s[bottom, right] - s[border, right] - s[bottom, border] + s[border, border]
        return max(0.0, float(total)) / ((bottom - border) * (right - border))

    def ssim(self, border: int, crop: int | None) -> float:
        height, width = self._size(crop)
        return float(
            ssim(shave(self.sr[..., :height, :width], border), shave(self.hr[..., :height, :width], border))[0]
        )


def _averages(
    views: Sequence[_View], protocol: Protocol, border: int, crop: int | None, figure: Figure
) -> Iterator[Tried]:
    errors = [view.error(border, crop) for view in views]
    values: dict[Average, float] = {
        "images": sum(_psnr(error) for error in errors) / len(errors),
        "error": _psnr(sum(errors) / len(errors)),
    }
    similar: float | None = None
    for average, psnr in values.items():
        if average == "error" and len(views) == 1:
            continue
        if figure.ssim is not None and abs(psnr - figure.psnr) <= _WIDTH_DB:
            similar = similar if similar is not None else _ssim(views, border, crop)
        preset, differs = _nearest_preset(protocol)
        more = ("average = PSNR of the mean error",) if average == "error" else ()
        yield Tried(protocol, average, psnr, similar, preset, differs + more)


def _ssim(views: Sequence[_View], border: int, crop: int | None) -> float:
    try:
        return sum(view.ssim(border, crop) for view in views) / len(views)
    except SrbenchError:  # smaller than SSIM's window
        return math.nan


def _psnr(error: float) -> float:
    return 10 * math.log10(255**2 / error) if error else math.inf


def _nearest_preset(protocol: Protocol) -> tuple[str, tuple[str, ...]]:
    """The preset with the fewest other fields, the first of several, and these fields."""
    own = protocol.model_dump(exclude={"name", "version"})
    best: tuple[str, tuple[str, ...]] | None = None
    for name, preset in PRESETS.items():
        theirs = preset.model_dump(exclude={"name", "version"})
        keys = [key for key in {**own, **theirs} if own.get(key) != theirs.get(key)]
        differs = tuple(f"{key} = {_text(getattr(protocol, key))}" for key in keys)
        if best is None or len(differs) + (name != "standard") < len(best[1]) + (best[0] != "standard"):
            best = (name, differs)
    assert best is not None
    return best


def _text(value: object) -> str:
    return "the scale" if value is None else str(value)


def _hits(one: Tried, figure: Figure) -> bool:
    return figure.is_psnr(one.psnr) and (figure.ssim is None or (one.ssim is not None and figure.is_ssim(one.ssim)))


def _found(figure: Figure, tried: Sequence[Tried], ways: tuple[str, ...], skipped: tuple[str, ...]) -> Explanation:
    hits = sorted((one for one in tried if _hits(one, figure)), key=lambda one: (one.cost, abs(one.psnr - figure.psnr)))
    nearest = sorted(tried, key=lambda one: (_distance(one, figure), one.cost))[:5] if not hits else []
    return Explanation(
        figure,
        tuple((hit, chance(figure, [one for one in tried if one.cost <= hit.cost])) for hit in hits),
        tuple(nearest),
        len(tried),
        ways,
        skipped,
    )


def _distance(one: Tried, figure: Figure) -> float:
    """How far off in last digits, PSNR and SSIM together."""
    off = abs(one.psnr - figure.psnr) / figure.step
    if figure.ssim is None:
        return off
    return off + (
        abs(one.ssim - figure.ssim) / figure.ssim_step if one.ssim is not None and one.ssim == one.ssim else 1e3
    )


def chance(figure: Figure, tried: Sequence[Tried]) -> float:
    """Probability that one of these combinations gives the figure by accident.

    As many values as were found within half a dB, spread evenly there, fall into the figure's last digit with this
    probability. Equal values count once.

    Args:
        figure: what was sought.
        tried: the combinations, hits included.
    """
    values = {(round(one.psnr, 4), round(one.ssim or 0.0, 6)) for one in tried}
    near = [(psnr, similar) for psnr, similar in values if abs(psnr - figure.psnr) <= _WIDTH_DB]
    expected = len(near) * figure.step / (2 * _WIDTH_DB)
    if figure.ssim is not None and near:
        alike = sum(abs(similar - figure.ssim) <= _WIDTH_SSIM for _, similar in near)
        expected *= alike / len(near) * figure.ssim_step / (2 * _WIDTH_SSIM)
    return 1 - math.exp(-expected)
