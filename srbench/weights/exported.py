"""The card beside an exported file: what the file cannot say of itself, and what it was measured to cost.

``model.onnx`` has ``model.onnx.toml``, sealed as all records are; it speaks of the file whose sha256 it holds and of no other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from srbench.errors import InputError
from srbench.records import parse, read_toml, unseal, write_toml
from srbench.weights import WeightsFile

FormatName = Literal["onnx", "litert", "ncnn"]
Precision = Literal["fp32", "fp16", "int8"]
NAMED_LOSS = 0.01
"""dB from which a file's loss is said aloud."""


class Measured(BaseModel):
    """What an exported file costs beside PyTorch, measured when it was made.

    Attributes:
        dataset: whose images were upscaled by both.
        images: how many.
        protocol: id of the one that PSNR was measured under.
        max_difference: the greatest of all samples of all images, before rounding, on the 0–255 scale.
        psnr_torch: mean PSNR of PyTorch's images in dB; None for random weights.
        psnr: of the file's.
        loss_db: what the file loses; negative where it gains.
        input: height and width of the image that was timed, as the network gets it.
        ms: median of a pass.
        ms_torch: of PyTorch's, in alternating passes of the same process.
        best_variant: the fastest way srbench itself has of running the network, of those that were tried.
        ms_best: of that.
        passes: how many of each.
        threads: of both.
        clock: ``wall``, or ``processor`` time, which a busy machine does not stretch and which one thread alone is measured by.
        mb: of the file in millions of bytes, with all that belongs to it.
        mb_torch: of the weights in float32.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    images: int
    protocol: str
    max_difference: float
    psnr_torch: float | None = None
    psnr: float | None = None
    loss_db: float | None = None
    input: tuple[int, int]
    ms: float
    ms_torch: float
    best_variant: str = ""
    ms_best: float | None = None
    passes: int
    threads: int
    clock: Literal["wall", "processor"] = "wall"
    mb: float
    mb_torch: float

    @property
    def lossy(self) -> bool:
        """Whether it loses so much that this is said."""
        return self.loss_db is not None and self.loss_db > NAMED_LOSS


class ExportCard(BaseModel):
    """What was exported, how, and what must be known to feed it.

    Attributes:
        sha256: of the file; of all its parts in turn where there are several.
        format: ``onnx``, ``litert`` or ``ncnn``.
        subject: what was exported.
        model: its architecture.
        weights_sha256: of the subject's own weights.
        scale: the upscaling factor.
        channels: what the file takes: ``y`` or ``rgb``.
        range: what white is for it, 1 or 255.
        dtype: of its input and output.
        layout: ``NCHW`` or ``NHWC``.
        batch: fixed number of images; 0 where any.
        height: fixed height of its input; 0 where any.
        width: likewise.
        pre_upsampled: its input is upscaled already.
        multiple_of: its input's sides must be multiples of this.
        minimum: and at least this.
        receptive_radius: pixels of its input on each side that count; None where unknown.
        whole: it holds the whole upscaler, RGB in and RGB out.
        fused: it holds the fused form.
        precision: ``fp32``, ``fp16`` or ``int8``.
        calibration: the images that int8 was calibrated on.
        measured: what it costs.
        versions: of all that made it.
        created: when, UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    format: FormatName
    subject: str
    model: str = ""
    weights_sha256: str = ""
    scale: int
    channels: Literal["y", "rgb"]
    range: float = 1.0
    dtype: Literal["float32", "uint8"] = "float32"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    batch: int = 0
    height: int = 0
    width: int = 0
    pre_upsampled: bool = False
    multiple_of: int = 1
    minimum: int = 1
    receptive_radius: int | None = None
    whole: bool = False
    fused: bool = False
    precision: Precision = "fp32"
    calibration: str = ""
    measured: Measured | None = None
    versions: dict[str, str] = {}
    created: str = ""


def card_path(path: Path) -> Path:
    """Where the card of a file stands."""
    return path.with_name(path.name + ".toml")


def write_card(path: Path, card: ExportCard) -> None:
    """Write the card of the file at ``path``."""
    write_toml(card_path(path), card.model_dump(mode="json", exclude_none=True))


def read_card(path: Path) -> ExportCard:
    """The card of the file at ``path``.

    Raises:
        FileNotFoundError: it has none.
        InputError: damaged, changed by hand, or no card.
    """
    place = card_path(path)
    return parse(ExportCard, unseal(read_toml(place, "a card of an exported file"), place), str(place))


def card_beside(file: WeightsFile) -> tuple[ExportCard | None, list[str]]:
    """The card that speaks of this very file, and what to say of it; None where there is none, or it is another file's.

    Raises:
        InputError: a damaged card.
    """
    try:
        card = read_card(file.path)
    except FileNotFoundError:
        return None, []
    except InputError as error:
        raise InputError(
            f"{error}; export {file.path.name} anew, or remove the card: the file is then probed"
        ) from None
    if card.sha256 != file.sha256:
        return None, [f"{card_path(file.path).name} is the card of another file, so this one was probed"]
    return card, [f"exported from {card.subject}, as its card says"]
