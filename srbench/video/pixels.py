"""Pixel formats: which one the output has where the encoder does not have the input's, and what is lost by that."""

from __future__ import annotations

from dataclasses import replace

from srbench.errors import UnknownNameError
from srbench.video.options import CODECS, Colours, VideoOptions

_BT709, _LIMITED = 1, 1
_LOSSES = {2: "fewer bits", 1: "less chroma"}  # FFmpeg's; that of RGB to luma and chroma is of rounding alone


def pixel_format(of_input: str, options: VideoOptions) -> str:
    """The pixel format of the output: what was asked for, else the input's, else what loses least of it.

    RGB and gray become 4:2:0 with an encoder that is not lossless, as a folder's frames do: few players show 4:4:4 of H.264.
    None has transparency, which no clip is written with.

    Raises:
        UnknownNameError: no such encoder, or it does not have the format that was asked for.
    """
    import av
    from av.codec.codec import find_best_pix_fmt_of_list

    try:
        encoder = av.codec.Codec(options.codec, "w")
    except ValueError:
        raise UnknownNameError("codec", options.codec, CODECS) from None
    known = [one.name for one in encoder.video_formats or ()]
    if options.pixel_format:
        if options.pixel_format not in known:
            raise UnknownNameError("pixel format", options.pixel_format, known, options.codec)
        return options.pixel_format
    if of_input in known and not _has_alpha(of_input):
        return of_input
    found, _ = find_best_pix_fmt_of_list([one for one in known if not _has_alpha(one)], _like(of_input, encoder.lossy))
    return found.name if found is not None else of_input


def _like(of_input: str, lossy: bool) -> str:
    import av

    held = av.VideoFormat(of_input, 16, 16)
    if not lossy or not (is_rgb(of_input) or _is_gray(of_input)):
        return of_input
    return "yuv420p10le" if any(one.bits > 8 for one in held.components) else "yuv420p"


def is_rgb(name: str) -> bool:
    """Whether its components, or those of its palette, are red, green and blue."""
    import av

    held = av.VideoFormat(name, 16, 16)
    return bool(held.is_rgb or held.has_palette)


def _is_gray(name: str) -> bool:
    import av

    return not is_rgb(name) and sum(not one.is_alpha for one in av.VideoFormat(name, 16, 16).components) == 1


def _has_alpha(name: str) -> bool:
    import av

    return any(one.is_alpha for one in av.VideoFormat(name, 16, 16).components)


def lost_by(of_input: str, of_output: str) -> str:
    """What frames lose by another pixel format, in words; empty for nothing."""
    from av.codec.codec import find_best_pix_fmt_of_list

    _, loss = find_best_pix_fmt_of_list([of_output], of_input)
    flags = int(loss) & (~1 if _is_gray(of_input) else ~0)
    return " and ".join(word for flag, word in _LOSSES.items() if flags & flag)


def tagged(colours: Colours, of_input: str, of_output: str) -> Colours:
    """The input's colours as the output is to be marked: of RGB, luma and chroma are made by BT.709, and so they are marked."""
    if is_rgb(of_input) and not is_rgb(of_output):
        return replace(colours, matrix=_BT709, range=_LIMITED)
    return colours
