"""What a number means: how LR was made, which channel is measured, what is rounded, which border is cropped.

The same ×4 images score 28.43 dB (Y), 27.11 (full-range luma) or 26.70 (RGB) on Set5, so a number without its protocol says
little. Trainer and evaluator read the same Protocol; its short id stands beside every number.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from srbench.errors import InputError, UnknownNameError
from srbench.records import parse, read_toml


class Protocol(BaseModel):
    """One way to measure.

    Attributes:
        name: what people call it.
        channel: ``y`` measures BT.601 studio luma, ``rgb`` all three channels together.
        luma: ``float`` leaves Y as computed from 8-bit RGB; ``rounded`` rounds it to 8 bits (MATLAB's rgb2ycbcr on uint8).
        degradation: how LR is made from HR; ``bicubic`` is MATLAB's imresize.
        lr: ``uint8`` rounds LR as a file would; ``float`` keeps it.
        gray: ``rgb`` makes a gray file three-channel, so that its Y is studio range; ``keep`` measures its values as they are.
        modulus: HR is cropped to multiples of it; None stands for the scale.
        edges: how the resize that makes LR continues the image: ``mirror`` (as MATLAB does today) or ``clamp``.
        shave_extra: the cropped border is scale + this, in pixels.
        version: raised by any change that moves a number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    channel: Literal["y", "rgb"] = "y"
    luma: Literal["float", "rounded"] = "float"
    degradation: Literal["bicubic"] = "bicubic"
    lr: Literal["uint8", "float"] = "uint8"
    gray: Literal["rgb", "keep"] = "rgb"
    modulus: int | None = Field(default=None, ge=1)
    edges: Literal["mirror", "clamp"] = "mirror"
    shave_extra: int = Field(default=0, ge=-8, le=64)
    version: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _possible(self) -> Protocol:
        if self.lr == "float" and (self.channel != "y" or self.luma != "rounded"):
            raise ValueError("lr = 'float' leaves luma alone: it needs channel = 'y' and luma = 'rounded'")
        if self.lr == "uint8" and self.gray == "keep":
            raise ValueError("gray = 'keep' needs lr = 'float': 8-bit images are RGB")
        return self

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

    def modulus_for(self, scale: int) -> int:
        """HR is cropped to multiples of this; always a multiple of the scale."""
        modulus = self.modulus or scale
        if modulus % scale:
            raise InputError(f"protocol {self.name}: modulus {modulus} is no multiple of the scale {scale}")
        return modulus

    def shave(self, scale: int) -> int:
        """Pixels cropped on each side."""
        return max(0, scale + self.shave_extra)

    def describe(self) -> str:
        """One line for a report."""
        what = {"y": f"Y (BT.601 studio, {self.luma})", "rgb": "RGB"}[self.channel]
        extra = f" + {self.shave_extra}" if self.shave_extra else ""
        crop = f"multiples of {self.modulus or 'the scale'}"
        lr = "8-bit" if self.lr == "uint8" else "unrounded Y"
        gray = "gray files as RGB" if self.gray == "rgb" else "gray files as they are"
        return (
            f"{what}; SR rounded to 8 bits; border of scale{extra} cropped; HR cropped to {crop}; "
            f"LR by MATLAB bicubic ({self.edges} edges, {lr}); {gray}"
        )


_STANDARD = Protocol(name="standard")
_CLASSIC = Protocol(name="classic", luma="rounded", lr="float", gray="keep")
_RGB = Protocol(name="rgb", channel="rgb", modulus=12)
_DIV2K_EDSR = Protocol(name="div2k-edsr", channel="rgb", shave_extra=6)

PRESETS: dict[str, Protocol] = {p.name: p for p in (_STANDARD, _CLASSIC, _RGB, _DIV2K_EDSR)}

COMPARABLE = {
    "standard": "tables of EDSR, RCAN, SwinIR",
    "classic": "tables of SRCNN, FSRCNN, VDSR, SelfExSR",
    "rgb": "tables of BasicSR and mmagic (HR cropped to multiples of 12)",
    "div2k-edsr": "the EDSR paper and NTIRE 2017 on DIV2K-val",
}


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
