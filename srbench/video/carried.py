"""What of a file goes into the output besides its frames, and what does not and is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_COPIED = ("audio", "subtitle")
_ATTACHING = (".mkv",)
_COVERED = (".mkv", ".mp4")
_MIMES = {"mjpeg": ("image/jpeg", ".jpg"), "png": ("image/png", ".png")}
_OF_FILE = ("encoder", "software", "major_brand", "minor_version", "compatible_brands")
_OF_STREAM = (
    "encoder", "duration", "vendor_id", "handler_name", "alpha_mode", "rotate",
    "bps", "number_of_frames", "number_of_bytes", "source_id", "_statistics", "filename", "mimetype",
)  # fmt: skip
"""What programs write of the input's bytes. It would be wrong, or none of a clip's matter, in the output."""


def is_cover(stream: Any) -> bool:
    """Whether a stream of video is one image, for players to show beside the name."""
    from av.stream import Disposition

    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def copied(opened: Any) -> list[Any]:
    """Streams whose packets go into the output as they are; InputError later where its format does not hold them."""
    return [one for one in opened.streams if one.type in _COPIED and one.codec_context is not None]


def left_out(opened: Any, stream: Any, suffix: str) -> list[str]:
    """What does not go into an output of that suffix; one without is a folder of frames, which holds nothing else.

    Args:
        opened: the input.
        stream: of its frames.
        suffix: of the output.
    """
    goes = {stream.index, *(one.index for one in copied(opened))} if suffix else {stream.index}
    names = Counter(
        _name(one)
        for one in opened.streams
        if one.index not in goes and not _attached(one, suffix.lower()) and not _said_elsewhere(one, opened, stream)
    )
    found = [name if number == 1 else f"{number}× {name}" for name, number in names.items()]
    return found + (["chapters"] if not suffix and opened.chapters() else [])


def _said_elsewhere(one: Any, opened: Any, stream: Any) -> bool:
    """Whether a stream of data holds what QuickTime's kind of file says with it: chapters, or the time code of the frames."""
    if one.type != "data":
        return False
    return bool(one.name == "bin_data" and opened.chapters()) or (
        "timecode" in one.metadata and one.metadata["timecode"] == stream.metadata.get("timecode")
    )


def _attached(stream: Any, suffix: str) -> bool:
    if is_cover(stream):
        return suffix in _COVERED and stream.codec_context is not None and stream.codec_context.codec.name in _MIMES
    return stream.type == "attachment" and suffix in _ATTACHING


def _name(stream: Any) -> str:
    if is_cover(stream):
        return "a cover"
    if stream.type == "attachment":
        return f"the attachment {stream.name or 'without a name'}"
    return f"another stream of {stream.type}" if stream.type == "video" else stream.type


def attach(opened: Any, out: Any, suffix: str) -> list[tuple[Any, Any]]:
    """Add attachments, such as the fonts of subtitles, and covers to the output, before its first packet.

    Returns:
        Packets to be written first, each with its stream: covers are attachments in Matroska, and streams elsewhere.
    """
    first = []
    for one in opened.streams:
        if not _attached(one, suffix):
            continue
        if one.type == "attachment":
            out.add_attachment(one.name or "attachment", one.mimetype or "application/octet-stream", one.data)
            continue
        packet = _packet(opened.name, one.index)
        if suffix in _ATTACHING:
            mime, end = _MIMES[one.codec_context.codec.name]
            out.add_attachment(one.metadata.get("filename") or f"cover{end}", mime, bytes(packet))
        else:
            cover = out.add_stream_from_template(one, opaque=True)
            cover.disposition = one.disposition
            first.append((packet, cover))
    return first


def _packet(file: str, index: int) -> Any:
    """The image of a cover; read apart, so that nothing else is skipped on the way to it."""
    import av

    with av.open(file) as opened:
        return next(iter(opened.demux(opened.streams[index])))


def words_of_file(metadata: dict[str, str]) -> dict[str, str]:
    """What a file says of itself that holds for the output, too."""
    return {name: value for name, value in metadata.items() if name.lower() not in _OF_FILE}


def words_of_stream(metadata: dict[str, str]) -> dict[str, str]:
    """What a stream says of itself that holds for the upscaled one, too."""
    return {
        "title" if name == "name" else name: value  # as MP4 reads what it writes of a title
        for name, value in metadata.items()
        if not name.lower().startswith(_OF_STREAM) and (name, value) != ("language", "und")  # undetermined
    }


def unsaid(source: Path, target: Path) -> list[str]:
    """What the input says of itself and the output does not, as its format has no word for it: read back from both."""
    import av

    with av.open(str(source)) as before, av.open(str(target)) as after:
        pairs = [("", words_of_file(before.metadata), words_of_file(after.metadata))]
        for number, (one, other) in enumerate(_pairs(before, after)):
            pairs.append((f" of stream {number}", words_of_stream(one.metadata), words_of_stream(other.metadata)))
        found = [
            f"{name!r}{where}"
            for where, said, there in pairs
            for name, value in said.items()
            if name.lower() not in {other.lower() for other in there}
            and not (where and pairs[0][2].get(name) == value)  # the file says it of all, such as when it was made
        ]
        missing = len(before.chapters()) - len(after.chapters())
        return found + ([f"{missing} chapters"] if missing > 0 else [])


def _pairs(before: Any, after: Any) -> Iterator[tuple[Any, Any]]:
    """The stream of frames and those that are copied, with what became of each."""
    frames = [next(one for one in opened.streams.video if not is_cover(one)) for opened in (before, after)]
    yield frames[0], frames[1]
    yield from zip(copied(before), copied(after), strict=False)
