"""Clips through an upscaler: frames stream, all else in the file is copied, and a run that was stopped goes on.

Frames are encoded in segments, which lie in a hidden folder beside the output until the last is there; the output is then put
together in one go, with the times that the frames have in the input. What is encoded so far is thus never lost, and the output
appears whole or not at all. PyAV (extra ``video``) reads and writes.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError, UnknownNameError
from srbench.files import replacing, write_text
from srbench.photos import Photo
from srbench.upscale_files import Way, upscale_photo
from srbench.upscaler import Upscaler

SUFFIXES = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov", ".webm": "webm"}
CODECS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1")

_MATRICES = (1, 4, 5, 7, 9)  # that libswscale converts by
_BT601, _LIMITED, _FULL = 5, 1, 2
_UNKNOWN = 2  # of matrix, transfer and primaries
# What makes other bits in each run is off. Several threads do, and one is enough: it works while the network does. x264's mbtree
# did in one run of ten at 96×72 and in most at 200×152, with one thread as with many.
_ALONE = {
    "libx264": {"x264-params": "mbtree=0"},
    "libx265": {"x265-params": "pools=none:frame-threads=1:log-level=error"},
    "libsvtav1": {"svtav1-params": "lp=1"},
}
_COPIED = ("audio", "subtitle")

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class VideoOptions:
    """How the output is encoded.

    Attributes:
        codec: an encoder of FFmpeg.
        crf: its constant quality; smaller is better and larger.
        pixel_format: such as ``yuv420p`` or ``yuv420p10le``; the input's by default, where the encoder has it.
        segment: frames that a stopped run loses at most.
    """

    codec: str = "libx264"
    crf: int = 18
    pixel_format: str = ""
    segment: int = 100


@dataclass(frozen=True)
class _Colours:
    """What the numbers of a frame mean: FFmpeg's matrix, range, transfer and primaries."""

    matrix: int
    range: int
    transfer: int
    primaries: int

    @property
    def conversion(self) -> tuple[int, int]:
        """Matrix and range to convert by where the file does not say: BT.601 and studio range."""
        return self.matrix if self.matrix in _MATRICES else _BT601, self.range or _LIMITED


@dataclass(frozen=True)
class _Clip:
    """What must be known of the input before its first frame is upscaled."""

    rate: Fraction
    time_base: Fraction
    frames: int | None
    pixel_format: str
    colours: _Colours


def upscale_video(
    upscaler: Upscaler | None,
    source: Path | str,
    target: Path | str,
    options: VideoOptions | None = None,
    way: Way | None = None,
    *,
    resume: bool = False,
    progress: Progress = lambda *_: None,
) -> Path:
    """Upscale a clip: each frame, at its time; audio and subtitles are copied packet by packet.

    Rotation is applied to the frames. Matrix, range, transfer and primaries are those of the input. Where the pixel format needs
    even sizes, the last row or column is repeated.

    Args:
        upscaler: the network; None where ``way.network`` gives it.
        source: a file that FFmpeg reads.
        target: a file whose suffix is one of ``SUFFIXES``.
        options: how it is encoded.
        way: how large, and how.
        resume: go on from the segments that a stopped run of the same kind left.
        progress: told how many frames are done, and of how many, where the file says so.

    Returns:
        ``target``.

    Raises:
        InputError: no video in the file, a damaged file, an encoder or stream that the format of ``target`` cannot hold, segments
            of another run.
        UnknownNameError: no such encoder.
    """
    source, target, options = Path(source), Path(target), options or VideoOptions()
    if target.exists() and target.resolve() == source.resolve():
        raise InputError(f"{target}: would overwrite its own input; choose another OUT")
    with _one_line(source):
        clip = _look(source, target, options)
        parts = _Parts(source, target, options, upscaler, way or Way())
        parts.begin(resume)
        _encode(parts, clip, progress)
        with replacing(target) as staging:
            _put_together(parts, clip, staging)
        parts.remove()
    return target


@contextlib.contextmanager
def _one_line(source: Path) -> Iterator[None]:
    import av

    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno == 28:
            raise OSError(28, "No space left on device", str(error.filename or "")) from None
        where = getattr(error, "filename", None) or source
        raise InputError(f"{where}: {getattr(error, 'strerror', None) or error}") from None


def _look(source: Path, target: Path, options: VideoOptions) -> _Clip:
    """Look at the input's streams, and whether the output can hold them."""
    import av

    with av.open(str(source)) as opened:
        if not opened.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in opened.streams})) or "nothing"
            raise InputError(f"{source}: has no video stream; it has {kinds}")
        _check_output(opened, target, options)
        stream = opened.streams.video[0]
        frame = next(opened.decode(stream), None)
        if frame is None:
            raise InputError(f"{source}: its video stream has no frame that can be decoded")
        context = stream.codec_context
        full = frame.format.name.startswith("yuvj")
        colours = _Colours(
            int(frame.colorspace),
            _FULL if full else int(frame.color_range),
            int(context.color_trc),
            int(context.color_primaries),
        )
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        pixel_format = _pixel_format(frame.format.name.replace("yuvj", "yuv"), options)
        return _Clip(Fraction(rate), Fraction(stream.time_base), stream.frames or None, pixel_format, colours)


def _check_output(opened: Any, target: Path, options: VideoOptions) -> None:
    import io

    import av

    if target.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{target}: cannot write {target.suffix or 'a file without suffix'}; expected {', '.join(SUFFIXES)}"
        )
    try:
        encoder = av.codec.Codec(options.codec, "w")
    except ValueError:
        raise UnknownNameError("codec", options.codec, CODECS) from None
    if encoder.type != "video":
        raise InputError(
            f"codec {options.codec!r} is of {encoder.type}; expected one of video, such as {', '.join(CODECS)}"
        )
    format_ = SUFFIXES[target.suffix.lower()]
    known = av.open(io.BytesIO(), "w", format=format_).supported_codecs
    wanted = [("video", encoder.canonical_name)]
    wanted += [(one.type, one.codec_context.codec.canonical_name) for one in opened.streams if one.type in _COPIED]
    for kind, name in wanted:
        if name not in known:
            raise InputError(f"{target}: {target.suffix} cannot hold {kind} of {name}; .mkv holds it")


def _pixel_format(of_input: str, options: VideoOptions) -> str:
    import av

    known = [one.name for one in av.codec.Codec(options.codec, "w").video_formats or ()]
    if options.pixel_format and options.pixel_format not in known:
        raise UnknownNameError("pixel format", options.pixel_format, known, options.codec)
    return options.pixel_format or (of_input if of_input in known else known[0])


class _Parts:
    """The folder of segments: each with the times of its frames, and what run they are of."""

    def __init__(self, source: Path, target: Path, options: VideoOptions, upscaler: Upscaler | None, way: Way) -> None:
        self.source, self.target, self.options = source, target, options
        self.upscaler, self.way = upscaler, way
        self.folder = target.absolute().parent / f".{target.name}.parts"

    def _run(self) -> str:
        held = self.source.stat()
        network = (
            ""
            if self.upscaler is None
            else f"{self.upscaler.name} x{self.upscaler.scale} {self.upscaler.inference.variant}"
        )
        return json.dumps(
            {
                "input": [self.source.name, held.st_size, held.st_mtime_ns],
                "options": asdict(self.options),
                "network": network,
                "wanted": asdict(self.way.wanted),
            }
        )

    def begin(self, resume: bool) -> None:
        """Make the folder, or check that the one there is of the same run."""
        stated = self.folder / "run.json"
        if resume and stated.is_file():
            if stated.read_text(encoding="utf-8") != self._run():
                raise InputError(
                    f"{self.folder}: holds segments of another run (input, network or options); leave --resume out"
                )
            return
        self.remove()
        self.folder.mkdir(parents=True)
        write_text(stated, self._run())

    def file(self, index: int) -> Path:
        """The segment of that number; it is there once it is whole."""
        return self.folder / f"{index:06}.mkv"

    def times(self, index: int) -> Path:
        """When its frames are shown and for how long."""
        return self.folder / f"{index:06}.json"

    def remove(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _encode(parts: _Parts, clip: _Clip, progress: Progress) -> None:
    """Every segment that is not there yet; the next frame is decoded and the last one encoded while the network runs."""
    import av

    done = 0
    with av.open(str(parts.source)) as opened, ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
        stream = opened.streams.video[0]
        stream.thread_type = "AUTO"
        frames = opened.decode(stream)
        for index in range(10**6):
            if parts.file(index).is_file():
                skipped = sum(1 for _ in islice(frames, parts.options.segment))
                done += skipped
                if skipped < parts.options.segment:
                    return
                continue
            first = next(frames, None)
            if first is None:
                return
            count = _encode_segment(
                parts, clip, index, _read_ahead(reading, first, frames, parts.options.segment), writing, progress, done
            )
            done += count
            if count < parts.options.segment:
                return


def _read_ahead(reading: ThreadPoolExecutor, first: Any, frames: Iterator[Any], most: int) -> Iterator[Any]:
    frame = first
    for left in range(most - 1, -1, -1):
        ahead = reading.submit(next, frames, None) if left else None
        yield frame
        frame = ahead.result() if ahead else None
        if frame is None:
            return


def _encode_segment(
    parts: _Parts,
    clip: _Clip,
    index: int,
    frames: Iterator[Any],
    writing: ThreadPoolExecutor,
    progress: Progress,
    done: int,
) -> int:
    import av

    times: list[tuple[int, int]] = []
    with replacing(parts.file(index)) as staging:
        written: Future[None] | None = None
        with av.open(str(staging), "w", format="matroska") as out:
            encoder: Any = None
            for frame in frames:
                times.append((int(frame.pts or 0), int(frame.duration or 0)))
                made = upscale_photo(parts.upscaler, Photo(_pixels(frame, clip)), parts.way).pixels
                made = _even(made, clip.pixel_format)
                encoder = encoder or _encoder(out, made.shape, clip, parts.options)
                if written is not None:
                    written.result()
                written = writing.submit(_write, out, encoder, made, len(times) - 1, clip)
                progress(done + len(times), clip.frames)
            if written is not None:
                written.result()
            out.mux(encoder.encode(None))
        write_text(parts.times(index), json.dumps(times))
    return len(times)


def _pixels(frame: Any, clip: _Clip) -> npt.NDArray[Any]:
    """RGB of a frame, upright; 16 bits where it has more than 8."""
    matrix, range_ = clip.colours.conversion
    deep = any(one.bits > 8 for one in frame.format.components)
    made = frame.reformat(
        format="rgb48le" if deep else "rgb24",
        src_colorspace=matrix,
        src_color_range=range_,
        dst_color_range=_FULL,
        interpolation="BICUBIC",
    )
    array: npt.NDArray[Any] = made.to_ndarray()
    turned = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(array, turned)) if turned else array


def _even(pixels: npt.NDArray[Any], pixel_format: str) -> npt.NDArray[Any]:
    """With its last row or column repeated where the pixel format shares chroma among two."""
    import av

    chroma = av.VideoFormat(pixel_format, 16, 16).components
    down, across = ((16 // min(getattr(one, side) for one in chroma)) for side in ("height", "width"))
    missing = [(0, -pixels.shape[0] % down), (0, -pixels.shape[1] % across), (0, 0)]
    return np.pad(pixels, missing, mode="edge") if any(after for _, after in missing) else pixels


def _encoder(out: Any, shape: tuple[int, ...], clip: _Clip, options: VideoOptions) -> Any:
    stream = out.add_stream(options.codec, rate=clip.rate)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = clip.pixel_format
    context = stream.codec_context
    context.colorspace, context.color_range = clip.colours.matrix, clip.colours.conversion[1]
    context.color_trc, context.color_primaries = clip.colours.transfer, clip.colours.primaries
    context.thread_count = 1
    context.options = {
        **({} if options.codec == "ffv1" else {"crf": str(options.crf)}),
        **_ALONE.get(options.codec, {}),
    }
    return stream


def _write(out: Any, encoder: Any, pixels: npt.NDArray[Any], index: int, clip: _Clip) -> None:
    import av

    matrix, range_ = clip.colours.conversion
    frame = av.VideoFrame.from_ndarray(pixels, "rgb48le" if pixels.dtype == np.uint16 else "rgb24")
    frame = frame.reformat(
        format=clip.pixel_format,
        dst_colorspace=matrix,
        dst_color_range=range_,
        src_color_range=_FULL,
        interpolation="BICUBIC",
    )
    frame.pts, frame.time_base = index, 1 / clip.rate
    out.mux(encoder.encode(frame))


# Putting together


def _put_together(parts: _Parts, clip: _Clip, staging: Path) -> None:
    """The segments' packets at the times of the input's frames, and every packet of its audio and subtitles."""
    import av

    with (
        av.open(str(parts.source)) as opened,
        av.open(str(parts.file(0))) as first,
        av.open(str(staging), "w", format=SUFFIXES[parts.target.suffix.lower()]) as out,
    ):
        out.metadata.update(opened.metadata)
        video = out.add_stream_from_template(first.streams.video[0])
        video.time_base = clip.time_base
        copied = {one.index: out.add_stream_from_template(one) for one in opened.streams if one.type in _COPIED}
        for one in opened.streams:
            if one.index in copied:
                copied[one.index].metadata.update(one.metadata)
        others = _copied(opened, copied) if copied else iter(())
        for _, _, packet, stream in heapq.merge(_video(parts, clip, video), others, key=lambda item: item[:2]):
            packet.stream = stream
            out.mux(packet)


def _copied(opened: Any, copied: dict[int, Any]) -> Iterator[tuple[Fraction, int, Any, Any]]:
    for packet in opened.demux([one for one in opened.streams if one.index in copied]):
        if packet.dts is not None:
            yield packet.dts * packet.time_base, 1, packet, copied[packet.stream.index]


def _video(parts: _Parts, clip: _Clip, stream: Any) -> Iterator[tuple[Fraction, int, Any, Any]]:
    """Packets in the order in which they are decoded; each is decoded as early as the reordering of all demands."""
    import av

    times = _all_times(parts)
    order = [first + rank for first, ranks in _ranks(parts) for rank in ranks]
    delay = max((place - rank for rank, place in zip(order, range(len(order)), strict=True)), default=0)
    position = 0
    for index in range(10**6):
        if not parts.file(index).is_file():
            return
        with av.open(str(parts.file(index))) as segment:
            for packet in segment.demux(video=0):
                if packet.pts is None:  # the end; Matroska stores no decoding times
                    continue
                packet.pts, packet.duration = times[order[position]]
                early = position - delay
                packet.dts = times[early][0] if early >= 0 else times[0][0] + early
                packet.time_base = clip.time_base
                position += 1
                yield packet.dts * clip.time_base, 0, packet, stream


def _all_times(parts: _Parts) -> list[tuple[int, int]]:
    """When each frame is shown, and until when: the next one, or its own duration for the last."""
    found: list[tuple[int, int]] = []
    index = 0
    while parts.file(index).is_file():
        found += [(pts, duration) for pts, duration in json.loads(parts.times(index).read_text(encoding="utf-8"))]
        index += 1
    starts = [pts for pts, _ in found]
    return [(pts, after - pts) for pts, after in pairwise(starts)] + found[-1:]


def _ranks(parts: _Parts) -> Iterator[tuple[int, list[int]]]:
    """For each segment the number of its first frame, and its packets' places among its frames."""
    import av

    first, index = 0, 0
    while parts.file(index).is_file():
        with av.open(str(parts.file(index))) as segment:
            shown = [packet.pts for packet in segment.demux(video=0) if packet.pts is not None]
        places = {pts: rank for rank, pts in enumerate(sorted(shown))}
        yield first, [places[pts] for pts in shown]
        first, index = first + len(shown), index + 1
