"""What a number means: how LR was made, which channel is measured, what is rounded, which border is cropped.

The same ×4 images score 28.43 dB (Y), 27.11 (full-range luma) or 26.70 (RGB) on Set5, so a number without its protocol says
little. Trainer and evaluator read the same Protocol; its short id stands beside every number.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from srbench.degradations import get_degradation
from srbench.errors import InputError, SrbenchError, UnknownNameError
from srbench.records import parse, read_toml

# Fields that records of earlier versions do not have: left out of records and hashes while they have these values, so that
# what was measured before keeps its id and its place.
_LATER = {
    "seed": 0,
    "lr_rounding": "each_axis",
    "modulus_by_set": {},
    "sr": "rounded",
    "clip_enlarged": False,
    "inference": "whole",
}


class Protocol(BaseModel):
    """One way to measure.

    Attributes:
        name: what people call it.
        channel: ``y`` measures BT.601 studio luma, ``rgb`` all three channels together. ``ycbcr`` (Y, Cb and Cr together)
            and ``y-full`` (luma from 0 to 255) are what some programs take for these.
        luma: ``float`` leaves Y as computed from 8-bit RGB; ``rounded`` rounds it to 8 bits (MATLAB's rgb2ycbcr on uint8).
        degradation: how LR is made from HR; ``bicubic`` is MATLAB's imresize. ``srbench ls degradations`` lists the others,
            which take parameters as in ``jpeg:quality=30``.
        lr: ``uint8`` rounds LR as a file would; ``float`` keeps it, and only its luma; ``float-rgb`` keeps all its channels.
        gray: ``rgb`` makes a gray file three-channel, so that its Y is studio range; ``keep`` measures its values as they are.
        modulus: HR is cropped to multiples of it; None stands for the scale.
        edges: how the resize that makes LR continues the image: ``mirror`` (as MATLAB does today) or ``clamp``.
        shave_extra: the cropped border is scale + this, in pixels.
        version: raised by any change that moves a number.
        seed: of a degradation that draws random numbers.
        lr_rounding: of 8-bit bicubic LR: after ``each_axis`` (MATLAB on uint8) or ``once`` (MATLAB on doubles, BasicSR).
        modulus_by_set: a modulus for single datasets: ``{set5 = 12}``, or ``["set5=12"]`` as records have it.
        sr: ``rounded`` to 8 bits, ``truncated`` to 8 bits (a cast without rounding), or ``float``: measured as it is.
            ``each_axis`` is ``rounded`` for networks and has interpolators work on 8-bit samples, rounded after each axis, as
            MATLAB does with an 8-bit LR image.
        clip_enlarged: whether the upscaled luma that a pre-upsampled network sees is clipped to 16–235.
        inference: ``whole`` images, or in ``quarters`` that overlap by 10 LR pixels (EDSR's chop), which changes networks
            with global pooling and cuts the receptive field of others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    channel: Literal["y", "rgb", "ycbcr", "y-full"] = "y"
    luma: Literal["float", "rounded"] = "float"
    degradation: str = "bicubic"
    lr: Literal["uint8", "float", "float-rgb"] = "uint8"
    gray: Literal["rgb", "keep"] = "rgb"
    modulus: int | None = Field(default=None, ge=1)
    edges: Literal["mirror", "clamp"] = "mirror"
    shave_extra: int = Field(default=0, ge=-8, le=64)
    version: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)
    lr_rounding: Literal["each_axis", "once"] = "each_axis"
    modulus_by_set: dict[str, Annotated[int, Field(ge=1)]] = {}
    sr: Literal["rounded", "each_axis", "truncated", "float"] = "rounded"
    clip_enlarged: bool = False
    inference: Literal["whole", "quarters"] = "whole"

    @field_validator("degradation")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            return get_degradation(value).text
        except SrbenchError as error:
            raise ValueError(str(error)) from None

    @field_validator("modulus_by_set", mode="before")
    @classmethod
    def _by_set(cls, value: object) -> object:
        if isinstance(value, list) and all(isinstance(item, str) and "=" in item for item in value):
            return dict(sorted(item.split("=", 1) for item in value))
        return value

    @model_validator(mode="after")
    def _possible(self) -> Protocol:
        if self.lr == "float" and (self.channel != "y" or self.luma != "rounded"):
            raise ValueError("lr = 'float' leaves luma alone: it needs channel = 'y' and luma = 'rounded'")
        if self.gray == "keep" and (self.channel != "y" or self.luma != "rounded"):
            raise ValueError(
                "gray = 'keep' needs channel = 'y' and luma = 'rounded': a gray file's values are its luma"
            )
        if self.lr != "uint8" and not get_degradation(self.degradation).degradation.exact:
            raise ValueError(f"lr = {self.lr!r} needs degradation = 'bicubic': {self.degradation} ends in 8 bits")
        if self.lr_rounding == "once" and self.lr != "uint8":
            raise ValueError(f"lr_rounding = 'once' needs lr = 'uint8': with lr = {self.lr!r} nothing is rounded")
        if self.clip_enlarged and not self.y_only:
            raise ValueError("clip_enlarged needs lr = 'float': only there do luma networks see upscaled luma")
        return self

    @model_serializer(mode="wrap")
    def _as_record(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        if self.modulus_by_set:  # records hold no tables in tables
            fields["modulus_by_set"] = [f"{name}={modulus}" for name, modulus in sorted(self.modulus_by_set.items())]
        return {key: value for key, value in fields.items() if key not in _LATER or value != _LATER[key]}

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def id(self) -> str:
        """``standard.v1`` for a preset; a user's own protocol has a hash of its fields, ``mine-3f9a1c.v1``."""
        if PRESETS.get(self.name) == self:
            return f"{self.name}.v{self.version}"
        fields = json.dumps(self.model_dump(exclude={"name"}), sort_keys=True)
        return f"{self.name}-{hashlib.sha256(fields.encode()).hexdigest()[:6]}.v{self.version}"

    @property
    def y_only(self) -> bool:
        """Whether only Y exists: LR is unrounded luma, so that there is no RGB image to show a network."""
        return self.lr == "float"

    @property
    def lr_is_files(self) -> bool:
        """Whether LR cannot be computed: it comes as files."""
        return get_degradation(self.degradation).degradation.files

    @property
    def scales(self) -> tuple[int, ...] | None:
        """The upscaling factors that it is defined at, by a preset's tables or by the degradation; None for all."""
        by_tables = _SCALES.get(self.name) if PRESETS.get(self.name) == self else None
        return by_tables or get_degradation(self.degradation).degradation.scales

    def not_at(self, scale: int) -> str:
        """Why nothing can be measured at a scale; empty where it can."""
        if self.scales is None or scale in self.scales:
            return ""
        if reason := get_degradation(self.degradation).not_at(scale):
            return reason
        known = ", ".join(f"x{one}" for one in self.scales)
        return (
            f"{self.id} is defined at {known}, as its tables are, not at x{scale}; "
            f"a protocol file with degradation = {self.degradation!r} and a name of its own is measured at any scale"
        )

    def modulus_for(self, scale: int, dataset: str = "") -> int:
        """HR is cropped to multiples of this; always a multiple of the scale.

        Args:
            scale: the upscaling factor.
            dataset: the set's name; a folder ``dir-Set5`` counts as set5.

        Raises:
            InputError: the protocol's modulus is no multiple of the scale.
        """
        own = self.modulus_by_set.get(dataset.lower().removeprefix("dir-").partition("_")[0])
        modulus = own or self.modulus or scale
        if modulus % scale:
            raise InputError(f"protocol {self.name}: modulus {modulus} is no multiple of the scale {scale}")
        return modulus

    def shave(self, scale: int) -> int:
        """Pixels cropped on each side."""
        return max(0, scale + self.shave_extra)

    def describe(self) -> str:
        """One line for a report."""
        what = {
            "y": f"Y (BT.601 studio, {self.luma})",
            "rgb": "RGB",
            "ycbcr": "Y, Cb and Cr together",
            "y-full": f"luma from 0 to 255 ({self.luma})",
        }[self.channel]
        extra = f" {'+' if self.shave_extra > 0 else '−'} {abs(self.shave_extra)}" if self.shave_extra else ""
        crop = f"multiples of {self.modulus or 'the scale'}"
        crop += "".join(f" ({name}: of {value})" for name, value in sorted(self.modulus_by_set.items()))
        lr = {"uint8": "8-bit", "float": "unrounded Y", "float-rgb": "unrounded RGB"}[self.lr]
        lr += " rounded once" if self.lr_rounding == "once" else ""
        gray = "gray files as RGB" if self.gray == "rgb" else "gray files as they are"
        sr = {
            "rounded": "SR rounded to 8 bits",
            "each_axis": "SR rounded to 8 bits, by interpolators after each axis",
            "truncated": "SR truncated to 8 bits",
            "float": "SR not rounded",
        }[self.sr]
        how = "MATLAB bicubic" if self.degradation == "bicubic" else self.degradation
        more = "; the upscaled luma clipped to 16–235" if self.clip_enlarged else ""
        more += "; images in quarters" if self.inference == "quarters" else ""
        return (
            f"{what}; {sr}; border of scale{extra} cropped; HR cropped to {crop}; "
            f"LR by {how} ({self.edges} edges, {lr}); {gray}{more}"
        )


# Preset and the tables that it is comparable with, the usual ones first.
_PRESETS = (
    (Protocol(name="standard"), "tables of EDSR, RCAN, SwinIR, PAN, IMDN"),
    (Protocol(name="classic", luma="rounded", lr="float", gray="keep"), "tables of SRCNN, FSRCNN, VDSR, SelfExSR"),
    (
        Protocol(name="rgb", channel="rgb", modulus=12),
        "tables of BasicSR and mmagic (HR cropped to multiples of 12)",
    ),
    (Protocol(name="div2k-edsr", channel="rgb", shave_extra=6), "the EDSR paper and NTIRE 2017 on DIV2K-val"),
    (
        Protocol(name="rcan-bd", luma="rounded", gray="keep", degradation="bd", sr="each_axis"),
        "tables of BD at x3 (RDN, RCAN)",
    ),
    (
        Protocol(name="rcan-dn", luma="rounded", gray="keep", degradation="dn", sr="each_axis"),
        "tables of DN at x3 (RDN, RCAN)",
    ),
    (Protocol(name="bsrn", lr_rounding="once"), "tables of BSRN (LR by BasicSR's generator)"),
    (Protocol(name="vapsr", lr_rounding="once", modulus_by_set={"set5": 12}), "tables of VapSR"),
    (Protocol(name="carn", luma="rounded", sr="truncated"), "tables of LESRCNN; CARN's sample script"),
    (Protocol(name="lapsrn", lr="float-rgb"), "tables of LapSRN"),
    (Protocol(name="dncnn", luma="rounded", lr="float", gray="keep", sr="float"), "DnCNN-3 and projects after VDSR"),
    (Protocol(name="idn", luma="rounded", lr="float", gray="keep", edges="clamp"), "tables of IDN"),
    (
        Protocol(name="vdsr", luma="rounded", lr="float", gray="keep", edges="clamp", clip_enlarged=True),
        "VDSR's own figures",
    ),
    (Protocol(name="edsr-chop", inference="quarters"), "EDSR-PyTorch with --chop, and projects after it (A2N)"),
    (Protocol(name="ycbcr", channel="ycbcr"), "programs that measure all of YCbCr and call it Y"),
    (Protocol(name="y-full", channel="y-full"), "pyiqa's psnry; OpenCV's dnn_superres"),
)

PRESETS: dict[str, Protocol] = {protocol.name: protocol for protocol, _ in _PRESETS}

COMPARABLE = {protocol.name: tables for protocol, tables in _PRESETS}

_SCALES = {
    "rcan-bd": (3,),
    "rcan-dn": (3,),
}  # of presets whose tables have one scale alone, for which their LR was made

WARNINGS = {
    "ycbcr": "PSNR over Y, Cb and Cr together is higher than over Y, as chroma is smooth: compare with no table of Y",
    "y-full": "luma from 0 to 255 gives 1.3 dB less than studio luma: compare with no table of Y",
}
"""Presets that exist to explain a figure and not to measure by, and why."""


def get_protocol(name: str | Path) -> Protocol:
    """A preset by name, or a protocol from a TOML file of its fields.

    Raises:
        UnknownNameError: neither a preset nor a file.
        InputError: the line, key or value of the file that is wrong.

    >>> get_protocol("standard").id
    'standard.v1'
    """
    text = str(name)
    if text in PRESETS:
        return PRESETS[text]
    if not text.endswith(".toml"):
        raise UnknownNameError("protocol", text, [*PRESETS, "FILE.toml"])
    try:
        fields = read_toml(text, "a protocol")
    except FileNotFoundError:
        raise InputError(f"{text}: no such protocol file") from None
    fields.setdefault("name", Path(text).stem.lower())
    protocol = parse(Protocol, fields, text)
    if protocol.name in PRESETS and PRESETS[protocol.name] != protocol:
        raise InputError(f"{text}: name {protocol.name!r} belongs to a preset with other fields; choose another")
    return protocol
