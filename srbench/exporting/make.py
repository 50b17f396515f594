"""From a subject to a file with its card: the one way that the command line and Python share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from srbench.errors import InputError, UnknownNameError
from srbench.evaluation.variants import runtime_of
from srbench.exporting.calibrate import CROPS, DEFAULT, calibration_images
from srbench.exporting.form import export_form, in_half, least_side
from srbench.exporting.formats import Format, Job
from srbench.exporting.measured import Look, measure
from srbench.exporting.whole import Bytes, in_units, whole
from srbench.files import staging_folder
from srbench.images import imresize, ycbcr
from srbench.provenance import versions
from srbench.subjects import Subject, resolve_one
from srbench.upscaler import Upscaler
from srbench.weights import digest_of
from srbench.weights.exported import ExportCard, Precision, card_path, write_card

Dtype = Literal["float32", "uint8"]
SAMPLE_SIDE = 512
"""HR pixels of the images of ``sample``, whose LR size is the usual one of a file of fixed size."""


@dataclass(frozen=True)
class How:
    """How a network is exported and measured.

    Attributes:
        whole: RGB in and RGB out, with all that stands around the network.
        dtype: of input and output; ``uint8`` for a whole upscaler alone.
        fused: the fused form.
        precision: ``fp32``, ``fp16`` or ``int8``.
        size: LR height and width: of a file of fixed size, and of the image that is timed; 512 / scale by default.
        calibrate: training images for int8: a dataset or a folder.
        dataset: that the loss is measured on.
        images: of it, at most; 0 for all.
        data_root: where sets of the catalog are looked for.
        seconds: of each thing that is timed.

    Raises:
        InputError: values that do not go together.
    """

    whole: bool = False
    dtype: Dtype = "float32"
    fused: bool = False
    precision: Precision = "fp32"
    size: tuple[int, int] | None = None
    calibrate: str = DEFAULT
    dataset: str = "sample"
    images: int = 0
    data_root: str | None = None
    seconds: float = 2.0

    def __post_init__(self) -> None:
        for name, allowed in (("dtype", ("float32", "uint8")), ("precision", ("fp32", "fp16", "int8"))):
            if getattr(self, name) not in allowed:
                raise UnknownNameError(name, str(getattr(self, name)), allowed)
        if self.dtype == "uint8" and not self.whole:
            raise InputError("8-bit images are for a whole upscaler: give whole, too (--whole --dtype uint8)")
        if self.size is not None and min(self.size) < 8:
            raise InputError(f"the size must be at least 8×8 LR pixels, not {self.size[1]}×{self.size[0]}")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """From keyword arguments; UnknownNameError with the nearest for a wrong one."""
        names = [one.name for one in fields(cls)]
        for name in given:
            if name not in names:
                raise UnknownNameError("argument", name, names, "export()")
        return cls(**given)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the file.
        card: what it is and what it costs; it lies beside it.
    """

    path: Path
    card: ExportCard


def export_subject(
    subject: Subject, kind: Format, out: Path, how: How, progress: Callable[[str], Any] = lambda _: None
) -> Exported:
    """Write a subject's network in a format, measure the file, and write its card; all or nothing appears.

    Args:
        subject: at one scale.
        kind: the format.
        out: the file.
        how: what goes into it.
        progress: told what is being done.

    Raises:
        InputError: an interpolator; a network that the format cannot express.
        UnavailableError: an extra that is not installed; calibration images that are not here.
        OSError: a place that cannot be written.
    """
    if subject.kind == "interpolator":
        raise InputError(f"{subject.name} is an interpolator: there is no network to export")
    kind.check(how.precision, eight_bit=how.dtype == "uint8")
    if out.is_dir():
        raise InputError(f"{out} is a folder; expected a file such as {out / ('model' + kind.suffix)}")
    with staging_folder(out.parent, out.name) as folder:
        plain = subject.upscaler()
        if runtime_of(plain.network):
            raise InputError(f"{subject.name} is a file of another runtime already; export what it was made of")
        progress(f"{subject.name}: writing {kind.title}")
        made = _Plan(subject, plain, kind, how)
        path = folder / out.name
        written = kind.write(made.job(), path)
        files = [path, *(path.with_suffix(suffix) for suffix in kind.others)]
        card = made.card(digest_of(files), written)
        write_card(path, card)
        progress(f"{subject.name}: measuring on {how.dataset}")
        look = Look(
            how.dataset,
            how.images,
            how.data_root,
            how.seconds,
            made.size,
            random=subject.random_weights,
            clipped=how.dtype == "uint8",
        )
        exported = resolve_one(path).upscaler()
        card = card.model_copy(update={"measured": measure(plain, exported, files, look, whole=how.whole)})
        write_card(path, card)
        for file in (*files, card_path(path)):
            file.replace(out.parent / file.name)
    return Exported(out, card)


class _Plan:
    """The module that goes into the file, and what its card says."""

    def __init__(self, subject: Subject, plain: Upscaler, kind: Format, how: How) -> None:
        self.subject, self.plain, self.kind, self.how = subject, plain, kind, how
        self.traits, self.scale = plain.traits, plain.scale
        self.size = how.size or (SAMPLE_SIDE // self.scale,) * 2
        self.planes = 3 if how.whole or self.traits.channels == "rgb" else 1
        inner = 1 if self.traits.channels == "y" else 3
        form = export_form(plain.network, inner, how.fused)
        self.least = least_side(form)
        self.module = self._module(form)

    @property
    def enlarged(self) -> bool:
        """The file wants upscaled images."""
        return self.traits.pre_upsampled and not self.how.whole

    def _module(self, form: nn.Module) -> nn.Module:
        network = in_half(form) if self.how.precision == "fp16" and self.kind.name == "onnx" else form
        network = in_units(network, self.traits)
        if self.how.whole:
            traits = self.traits if self.fitted else _any_size(self.plain).traits
            network = whole(
                network,
                self.scale,
                traits,
                self.plain.edges,
                clip=self.plain.clip_enlarged,
                least=self.least if self.fitted else 1,
            )
        return (Bytes(network) if self.how.dtype == "uint8" else network).eval()

    @property
    def fitted(self) -> bool:
        """The file itself extends images to the sizes that the network takes; ncnn pads by constants alone."""
        return self.how.whole and self.kind.name != "ncnn"

    def job(self) -> Job:
        factor = self.scale if self.enlarged else 1
        size = (self.size[0] * factor, self.size[1] * factor)
        return Job(
            self.module, self.planes, size, self.how.dtype == "uint8", self.how.precision, self._calibration()
        )  # fmt: skip

    def _calibration(self) -> list[Tensor]:
        if self.how.precision != "int8":
            return []
        images = calibration_images(self.how.calibrate, self.scale, self.size, self.how.data_root)
        return [self._as_input(image).contiguous() for image in images]

    def _as_input(self, x: Tensor) -> Tensor:
        if self.how.dtype == "uint8":
            return (x * 255.0).add(0.5).floor().to(torch.uint8)
        if self.planes == 1:
            x = ycbcr(x)[:, :1]
        if self.enlarged:
            x = imresize(x, float(self.scale))
        return x

    def card(self, sha256: str, written: Mapping[str, str]) -> ExportCard:
        how, traits = self.how, self.traits
        factor = self.scale if self.enlarged else 1
        free = self.kind.free
        unfit = not self.fitted
        return ExportCard(
            sha256=sha256,
            format=self.kind.name,
            subject=self.subject.name,
            model=self.subject.model,
            weights_sha256=self.subject.weights_sha256,
            scale=self.scale,
            channels="rgb" if self.planes == 3 else "y",
            range=255.0 if how.dtype == "uint8" else 1.0,
            dtype=how.dtype,
            layout=self.kind.layout,
            height=0 if free[0] else self.size[0] * factor,
            width=0 if free[1] else self.size[1] * factor,
            batch=0 if free[2] else 1,
            pre_upsampled=self.enlarged,
            multiple_of=traits.multiple_of if unfit else 1,
            minimum=max(traits.minimum, self.least) if unfit else 1,
            receptive_radius=None if how.whole else traits.receptive_radius,
            whole=how.whole,
            fused=how.fused,
            precision=how.precision,
            calibration=f"{how.calibrate}, {CROPS} crops at most" if how.precision == "int8" else "",
            versions={**versions(), **written},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _any_size(upscaler: Upscaler) -> Upscaler:
    from dataclasses import replace

    return replace(upscaler, traits=replace(upscaler.traits, multiple_of=1, minimum=1))
