"""What an encoder takes, by FFmpeg's own word: constant quality, a preset, any other of its options; and what it is told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from srbench.errors import InputError, UnknownNameError
from srbench.video.options import CODECS, VideoOptions

CRF = 18
"""Constant quality where none is asked for."""

_X26X = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_PRESETS = dict.fromkeys(("libx264", "libx264rgb", "libx265"), _X26X)
"""Of encoders that take any text for it; the others say what they take."""
_LARGEST_CRF = dict.fromkeys(("libx264", "libx264rgb", "libx265"), 51)
"""Of encoders whose own word is no limit: FFmpeg would take a larger one for this, and not say so."""
_GENERAL = (
    "b", "bf", "bufsize", "compression_level", "flags", "g", "global_quality", "keyint_min", "level", "maxrate", "minrate",
    "profile", "qcomp", "qmax", "qmin", "refs", "slices", "trellis",
)  # fmt: skip
"""What FFmpeg lets any encoder be told, as far as it means something for more than one; colours and sizes are the clip's."""
_RATES = ("b", "cq", "lossless", "qp")
"""Whoever gives one of these wants no constant quality."""
_FIRST = (*_RATES, "quality", "rc", "profile", "preset", "cpu-used", "deadline", "speed")
"""What those look for whom ``--crf`` and ``--preset`` do not help."""
_SHOWN = 12
_SEPARATOR = ":"

# What makes other bits in each run is off. Several threads do, and one is enough on a CPU: it works while the network does.
# x264's mbtree did in one run of ten at 96×72 and in most at 200×152, with one thread as with many.
_ALONE = {
    "libx264": {"x264-params": "mbtree=0"},
    "libx265": {"x265-params": "pools=none:frame-threads=1:log-level=error"},
    "libsvtav1": {"svtav1-params": "lp=1"},
}


def check_options(options: VideoOptions) -> None:
    """Look whether the encoder takes what it is to be told.

    Raises:
        InputError: it has no constant quality or no presets, or a value is outside what it takes.
        UnknownNameError: no such encoder, preset or option.
    """
    takes = _takes(options.codec)
    told = _further(options, takes)
    if options.crf is not None:
        _check_crf(options, takes)
    if options.preset:
        _check_preset(options, takes)
    for name, value in told.items():
        _check_value(f"--encoder-option {name}={value}", options.codec, takes[name], value)


def settings(options: VideoOptions, colours: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the encoder is told by name.

    Args:
        options: that ``check_options`` let pass.
        colours: further options, of what the clip says of its colours.
    """
    takes = _takes(options.codec)
    further = _further(options, takes)
    by_rate = any(name in further for name in _RATES)
    crf = CRF if options.crf is None and "crf" in takes and not by_rate else options.crf
    found = {} if crf is None else {"crf": str(crf)}
    if options.preset:
        found["preset"] = options.preset
    alone = _ALONE.get(options.codec, {}) if options.threads == 1 else {}
    for more in (alone, colours or {}, further):
        for name, value in more.items():
            listed = name.endswith("-params") and name in found  # of the encoder's own: names and values in a list
            found[name] = f"{found[name]}{_SEPARATOR}{value}" if listed else value
    return found


def unasked(options: VideoOptions) -> str:
    """What a user should know where nobody says how well an encoder encodes that has no constant quality; else empty."""
    import av

    if not av.codec.Codec(options.codec, "w").lossy or options.encoder or "crf" in (takes := _takes(options.codec)):
        return ""
    return f"{options.codec} has no --crf and encodes as well as it does by default; {_instead(takes)}"


def _takes(codec: str) -> dict[str, Any]:
    """The encoder's own options and the general ones, by name; UnknownNameError for no encoder."""
    import av

    try:
        known = av.CodecContext.create(codec, "w").supported_options
    except ValueError:
        raise UnknownNameError("codec", codec, CODECS) from None
    found = {one.name: one for one in known.generic if one.name in _GENERAL}
    return found | {one.name: one for one in known.private}


def _own(takes: Mapping[str, Any]) -> Iterator[str]:
    return (name for name in takes if name not in _GENERAL)


def _further(options: VideoOptions, takes: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for text in options.encoder:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InputError(f"--encoder-option {text!r}: expected NAME=VALUE, such as g=48")
        if name in ("crf", "preset"):
            raise InputError(f"--encoder-option {text}: give it as --{name} {value}")
        if name not in takes:
            raise UnknownNameError("encoder option", name, takes, options.codec)
        found[name] = value
    return found


def _check_crf(options: VideoOptions, takes: Mapping[str, Any]) -> None:
    import av

    if "crf" not in takes:
        codec = av.codec.Codec(options.codec, "w")
        why = "is lossless" if codec.lossless and not codec.lossy else "has no constant quality of that name"
        raise InputError(f"--crf {options.crf}: {options.codec} {why}; {_instead(takes)}")
    most = min(_LARGEST_CRF.get(options.codec, math.inf), takes["crf"].max)
    if options.crf is not None and options.crf > most:
        raise InputError(f"--crf {options.crf}: {options.codec} ends at {most:g}")


def _check_preset(options: VideoOptions, takes: Mapping[str, Any]) -> None:
    if "preset" not in takes:
        raise InputError(f"--preset {options.preset!r}: {options.codec} has none; {_instead(takes)}")
    if known := _PRESETS.get(options.codec) or tuple(one.name for one in takes["preset"].choices):
        if options.preset not in known:
            raise UnknownNameError("preset", options.preset, known, options.codec)
    else:
        _check_value(f"--preset {options.preset}", options.codec, takes["preset"], options.preset)


def _instead(takes: Mapping[str, Any]) -> str:
    own = sorted(_own(takes), key=lambda name: name not in _FIRST)
    listed = ", ".join(own[:_SHOWN]) + (" …" if len(own) > _SHOWN else "")
    return f"--encoder-option NAME=VALUE gives what it takes: {listed or 'g, qmin, qmax'}"


def _check_value(where: str, codec: str, option: Any, value: str) -> None:
    """Of numbers and named choices; the rest FFmpeg judges when the encoder is opened."""
    from av.codec.context import OptionType

    choices = [one.name for one in option.choices]
    if option.type not in (OptionType.INT, OptionType.INT64, OptionType.FLOAT, OptionType.DOUBLE) or value in choices:
        return
    try:
        number = _number(value)
    except ValueError:
        number = math.nan
    if not option.min <= number <= option.max:
        allowed = f"a number from {option.min:g} to {option.max:g}" + "".join(f", {name}" for name in choices)
        raise InputError(f"{where}: {codec} takes {allowed}")


def _number(text: str) -> float:
    """As FFmpeg reads it: 2M is two million."""
    factor = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:], 1.0)
    return float(text[:-1] if factor != 1.0 else text) * factor
