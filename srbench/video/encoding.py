"""Upscaled frames into segments of video, and what of a format and an encoder must be known before."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError, UnknownNameError
from srbench.files import replacing, write_text
from srbench.video.carried import copied
from srbench.video.encoders import check_options, settings
from srbench.video.grading import told
from srbench.video.options import CODECS, SUFFIXES, Clip, VideoOptions
from srbench.video.parts import Parts
from srbench.video.pipeline import Ahead, Behind
from srbench.video.pixels import is_rgb
from srbench.video.sources import Source

Pixels = npt.NDArray[Any]
Upscale = Callable[[Pixels], Callable[[], Pixels]]
"""Puts a frame through the network; what it returns does the rest and gives the SR frame."""
Progress = Callable[[int, int | None], None]

_FULL = 2
_TRIED_SIDE = 256  # pixels; encoders of devices refuse much smaller images


def check_output(source: Path, target: Path, options: VideoOptions) -> None:
    """Look whether a video file can be written, and hold what is copied into it.

    Raises:
        InputError: a suffix or an encoder of another kind, an option that the encoder does not take, or a stream that the format
            has no place for.
        UnknownNameError: no such encoder, preset or option.
    """
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
    check_options(options)
    known = av.open(io.BytesIO(), "w", format=SUFFIXES[target.suffix.lower()]).supported_codecs
    for kind, name in [("video", encoder.canonical_name), *_copied_codecs(source)]:
        if name not in known:
            raise InputError(f"{target}: {target.suffix} cannot hold {kind} of {name}{_other_place(target, name)}")


def _other_place(target: Path, codec: str) -> str:
    import av

    suffixes = [
        suffix
        for suffix in (".mkv", *SUFFIXES)
        if suffix != target.suffix.lower()
        and codec in av.open(io.BytesIO(), "w", format=SUFFIXES[suffix]).supported_codecs
    ]
    return f"; {suffixes[0]} holds it" if suffixes else f", nor can {', '.join(SUFFIXES)}"


def check_encoder(clip: Clip, options: VideoOptions) -> None:
    """Try the encoder before any frame is upscaled; InputError where it does not open: no such device, another pixel format."""
    import av

    context: Any = av.CodecContext.create(options.codec, "w")
    context.height = context.width = _TRIED_SIDE
    context.time_base = 1 / clip.rate
    _set(context, clip, options)
    try:
        context.open()
    except av.FFmpegError as error:
        given = f" and {', '.join(options.encoder)}" if options.encoder else ""
        way = "leave these out, or choose others" if given else f"expected one such as {', '.join(CODECS)}"
        raise InputError(
            f"codec {options.codec!r} cannot be used here with {clip.pixel_format}{given}: {error.strerror}; {way}"
        ) from None


def _set(context: Any, clip: Clip, options: VideoOptions) -> None:
    """What an encoder is told, but for sizes and times."""
    context.pix_fmt = clip.pixel_format
    context.colorspace, context.color_range = clip.colours.matrix, clip.colours.conversion[1]
    if is_rgb(clip.pixel_format):
        context.color_range = _FULL
    context.color_trc, context.color_primaries = clip.colours.transfer, clip.colours.primaries
    context.thread_count = options.threads
    context.options = settings(options, told(clip.grading, options.codec))
    if options.codec == "libsvtav1":
        os.environ.setdefault(
            "SVT_LOG", "1"
        )  # faults alone: else it writes its settings over the progress, a segment each time


def _copied_codecs(source: Path) -> list[tuple[str, str]]:
    import av

    if source.is_dir():
        return []
    with av.open(str(source)) as opened:
        return [(one.type, one.codec_context.codec.canonical_name) for one in copied(opened)]


def encode(
    parts: Parts, source: Source, clip: Clip, upscale: Upscale, options: VideoOptions, progress: Progress
) -> None:
    """Every segment that is not there yet."""
    done = 0
    with (
        contextlib.ExitStack() as held,  # left last: by then nothing is encoded any more
        source.opened() as frames,
        ThreadPoolExecutor(1) as reading,
        ThreadPoolExecutor(1) as writing,
    ):

        def read() -> tuple[tuple[int, int], Pixels] | None:
            raw = next(frames, None)
            return None if raw is None else (source.times(raw), source.pixels(raw, clip))

        ahead, behind = Ahead(reading, read), Behind(writing)
        for index in range(10**6):
            if parts.file(index).is_file():
                count = sum(1 for _ in islice(frames, options.segment))
            else:
                segment = _Segment(parts, index, clip, options, held)
                told = _counting(ahead.take(options.segment), done, clip.frames, progress)
                count = segment.write(told, upscale, behind)
            done += count
            if count < options.segment:
                behind.end()
                return


def _counting(items: Iterator[Any], done: int, frames: int | None, progress: Progress) -> Iterator[Any]:
    for number, item in enumerate(items, done + 1):
        yield item
        progress(number, frames)


class _Segment:
    """One segment, written by the thread of ``behind``: the network goes on with the next one while its last frames are encoded.

    Args:
        parts: where it lies.
        index: its number.
        clip: what it shows.
        options: how it is encoded.
        held: its file while it is not whole. Segments are written one after the other, so that there is one at most.
    """

    def __init__(self, parts: Parts, index: int, clip: Clip, options: VideoOptions, held: contextlib.ExitStack) -> None:
        self._parts, self._index, self._clip, self._options, self._held = parts, index, clip, options, held
        self._times: list[tuple[int, int]] = []

    def write(self, frames: Iterator[tuple[tuple[int, int], Pixels]], upscale: Upscale, behind: Behind) -> int:
        """Upscale frames and have them encoded; their number. Without any no file is made."""
        for at, pixels in frames:
            end = upscale(pixels)
            self._times.append(at)
            behind.put(self._encode, end, len(self._times) - 1)
        if self._times:
            behind.put(self._end)
        return len(self._times)

    def _begin(self, shape: tuple[int, ...]) -> None:
        import av

        staging = self._held.enter_context(replacing(self._parts.file(self._index)))
        self._out = self._held.enter_context(av.open(str(staging), "w", format="matroska"))
        self._stream = self._encoder(self._out, shape)

    def _end(self) -> None:
        self._out.mux(self._stream.encode(None))
        self._out.close()
        write_text(self._parts.times(self._index), json.dumps(self._times))
        self._held.close()

    def _encoder(self, out: Any, shape: tuple[int, ...]) -> Any:
        clip, options = self._clip, self._options
        stream = out.add_stream(options.codec, rate=clip.rate)
        stream.height, stream.width = shape[:2]
        context = stream.codec_context
        _set(context, clip, options)
        if clip.aspect is not None:
            context.sample_aspect_ratio = (clip.aspect * shape[0] / shape[1]).limit_denominator(10_000)
        return stream

    def _encode(self, end: Callable[[], Pixels], index: int) -> None:
        import av

        pixels = _even(end(), self._clip.pixel_format)
        if index == 0:
            self._begin(pixels.shape)
        matrix, range_ = self._clip.colours.conversion
        frame = av.VideoFrame.from_ndarray(pixels, "rgb48le" if pixels.dtype == np.uint16 else "rgb24")
        frame = frame.reformat(
            format=self._clip.pixel_format,
            dst_colorspace=matrix,
            dst_color_range=range_,
            src_color_range=_FULL,
            interpolation="BICUBIC",
        )
        frame.pts, frame.time_base = index, 1 / self._clip.rate
        self._out.mux(self._stream.encode(frame))


def _even(pixels: Pixels, pixel_format: str) -> Pixels:
    """With its last row or column repeated where the pixel format shares chroma among two."""
    import av

    chroma = av.VideoFormat(pixel_format, 16, 16).components
    down, across = ((16 // min(getattr(one, side) for one in chroma)) for side in ("height", "width"))
    missing = [(0, -pixels.shape[0] % down), (0, -pixels.shape[1] % across), (0, 0)]
    return np.pad(pixels, missing, mode="edge") if any(after for _, after in missing) else pixels
