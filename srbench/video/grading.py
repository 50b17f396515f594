"""What a clip says of the screen that it was graded on and of how bright it gets (HDR10), and how encoders are told."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Pair = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Screen:
    """Mastering display metadata of SMPTE ST 2086.

    Attributes:
        primaries: x and y of red, green and blue in CIE 1931.
        white: x and y of the white point.
        luminance: least and greatest, in cd/m².
    """

    primaries: tuple[Pair, Pair, Pair]
    white: Pair
    luminance: Pair


@dataclass(frozen=True)
class Grading:
    """What is known of it; None for what is not.

    Attributes:
        screen: that it was graded on.
        light: greatest light level of a pixel and greatest average of a frame, in cd/m².
    """

    screen: Screen | None = None
    light: tuple[int, int] | None = None


_SCREEN = struct.Struct("=20i2i")  # FFmpeg's: ten fractions, then whether there are primaries, and luminance
_LIGHT = struct.Struct("=2I")
_SCREENS, _LIGHTS = "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"

_LOST = {
    "A53_CC": "closed captions",
    "AFD": "active format description",
    "AMBIENT_VIEWING_ENVIRONMENT": "ambient viewing environment",
    "DOVI_METADATA": "Dolby Vision",
    "DOVI_RPU_BUFFER": "Dolby Vision",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "ICC_PROFILE": "colour profile",
    "S12M_TIMECODE": "time code",
    "SPHERICAL": "spherical mapping",
    "STEREO3D": "3D layout",
}
"""Of frames, that no encoder is told by name. What else there is says nothing of the image, has been applied to it, or is in
every stream of its kind (pan and scan, and a time code, of MPEG-2)."""


def grading_of(frame: Any) -> Grading:
    """What the side data of a frame say."""
    held = {one.type.name: bytes(one) for one in frame.side_data}
    screen, light = None, None
    if len(held.get(_SCREENS, b"")) >= _SCREEN.size:
        *numbers, primaries, luminance = _SCREEN.unpack_from(held[_SCREENS])
        parts = [Fraction(a, b) if b else Fraction(0) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
        if primaries and luminance:
            red, green, blue, white, luminances = ((parts[at], parts[at + 1]) for at in range(0, 10, 2))
            screen = Screen((red, green, blue), white, luminances)
    if len(held.get(_LIGHTS, b"")) >= _LIGHT.size:
        light = _LIGHT.unpack_from(held[_LIGHTS])
    return Grading(screen, light)


def lost_of(frame: Any) -> list[str]:
    """What the side data of a frame say that no output says, in words."""
    return list(dict.fromkeys(_LOST[one.type.name] for one in frame.side_data if one.type.name in _LOST))


@dataclass(frozen=True)
class _Way:
    """How an encoder is told: the option of FFmpeg, names within it, and how it writes chromaticities and luminances."""

    option: str
    screen: str
    light: str
    chromaticity: Callable[[Fraction], str]
    luminance: Callable[[Fraction], str]


def _of_50000(value: Fraction) -> str:
    return str(round(value * 50_000))


def _of_10000(value: Fraction) -> str:
    return str(round(value * 10_000))


def _decimal(value: Fraction) -> str:
    return f"{float(value):.6f}"


_X264 = _Way("x264-params", "mastering-display", "cll", _of_50000, _of_10000)
_WAYS = {
    "libx264": _X264,
    "libx264rgb": _X264,
    "libx265": _Way("x265-params", "master-display", "max-cll", _of_50000, _of_10000),
    "libsvtav1": _Way("svtav1-params", "mastering-display", "content-light", _decimal, _decimal),
}


def told(grading: Grading, codec: str) -> dict[str, str]:
    """Options by which an encoder writes it into its stream; none where it has no way."""
    way, words = _WAYS.get(codec), []
    if way is None:
        return {}
    if grading.screen is not None:
        words.append(f"{way.screen}={_screen(grading.screen, way)}")
    if grading.light is not None:
        words.append(f"{way.light}={grading.light[0]},{grading.light[1]}")
    return {way.option: ":".join(words)} if words else {}


def unheard(grading: Grading, codec: str) -> list[str]:
    """What an encoder cannot be told, in words."""
    if codec in _WAYS:
        return []
    held = ((grading.screen, "mastering display"), (grading.light, "content light level"))
    return [f"{name} (kept by {', '.join(_WAYS)})" for value, name in held if value is not None]


def _screen(screen: Screen, way: _Way) -> str:
    red, green, blue = screen.primaries
    least, most = screen.luminance
    points = (("G", green), ("B", blue), ("R", red), ("WP", screen.white))
    written = "".join(f"{name}({way.chromaticity(x)},{way.chromaticity(y)})" for name, (x, y) in points)
    return f"{written}L({way.luminance(most)},{way.luminance(least)})"
