"""Where frames come from: a video file, or a folder of images in the order of the numbers in their names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError
from srbench.images import SUFFIXES as IMAGES
from srbench.images import list_images
from srbench.photos import read_photo
from srbench.video.carried import is_cover, left_out
from srbench.video.grading import grading_of, lost_of
from srbench.video.options import Clip, Colours, VideoOptions
from srbench.video.pixels import lost_by, pixel_format, tagged

Pixels = npt.NDArray[Any]

_LIMITED, _FULL = 1, 2
_SHORT_SECONDS, _SHORT_SHARE = Fraction(1, 4), Fraction(1, 20)  # sound may well end a little after the frames
_BT709, _SRGB = 1, 13  # of matrix and primaries; of transfer


class Source(Protocol):
    """Frames in their order. What ``opened`` yields is cheap to skip; ``pixels`` does the work."""

    path: Path

    def look(self, options: VideoOptions) -> Clip:
        """What is known beforehand."""

    def inputs(self) -> list[Path]:
        """The files that it consists of."""

    def opened(self) -> AbstractContextManager[Iterator[Any]]:
        """Raw frames."""

    def pixels(self, raw: Any, clip: Clip) -> Pixels:
        """RGB of a raw frame, upright: uint8 or, where it has more bits, uint16 ``(h, w, 3)``."""

    def times(self, raw: Any) -> tuple[int, int]:
        """When a raw frame is shown, and for how long (0 if unknown), in the clip's time base."""

    def left_out(self, suffix: str) -> list[str]:
        """What it holds that an output of that suffix does not, a line each; a folder of frames has no suffix."""

    def found(self) -> list[str]:
        """What a user should know of the frames that were read, a line each; told after the last one."""


class VideoFile:
    """The first video stream of a file that is no cover.

    Args:
        path: whatever FFmpeg reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, None] = {}  # in order, each once

    def inputs(self) -> list[Path]:
        """The file."""
        return [self.path]

    def look(self, options: VideoOptions) -> Clip:
        """Look at the stream and its first frame; InputError where there is none."""
        import av

        with av.open(str(self.path)) as opened:
            stream = self._stream(opened)
            frame = next(self._decoded(opened, stream), None)
            if frame is None:
                raise InputError(f"{self.path}: its video stream has no frame that can be decoded")
            context = stream.codec_context
            of_input = frame.format.name.replace("yuvj", "yuv")
            made = pixel_format(of_input, options)
            colours = Colours(
                int(frame.colorspace),
                _FULL if frame.format.name.startswith("yuvj") else int(frame.color_range),
                int(context.color_trc),
                int(context.color_primaries),
            )
            lost = "" if options.pixel_format else lost_by(of_input, made)
            notes = [*_notes(stream, frame), *([f"is {of_input}, and is written as {made}: {lost}"] if lost else [])]
            return Clip(
                _rate(stream),
                Fraction(stream.time_base),
                stream.frames or None,
                made,
                tagged(colours, of_input, made),
                _aspect(stream, frame),
                (frame.height, frame.width),
                tuple(f"{self.path}: {note}" for note in notes),
                grading_of(frame),
            )

    def _stream(self, opened: Any) -> Any:
        """The stream that is upscaled."""
        for stream in opened.streams.video:
            if not is_cover(stream):
                return stream
        kinds = sorted({"a cover" if is_cover(stream) else stream.type for stream in opened.streams})
        raise InputError(f"{self.path}: has no video stream; it has {', '.join(kinds) or 'nothing'}")

    def left_out(self, suffix: str) -> list[str]:
        """Streams, attachments and covers that the format has no place for, in one line."""
        import av

        with av.open(str(self.path)) as opened:
            names = left_out(opened, self._stream(opened), suffix)
        return [f"{self.path}: left out: {', '.join(names)}"] if names else []

    @contextlib.contextmanager
    def opened(self) -> Iterator[Iterator[Any]]:
        """Decoded frames, not yet converted to RGB."""
        import av

        with av.open(str(self.path)) as opened:
            stream = self._stream(opened)
            stream.thread_type = "AUTO"
            yield self._timed(opened, stream)

    def _timed(self, opened: Any, stream: Any) -> Iterator[Any]:
        """Frames, each after the one before: bare streams (.h264) have no times, and some files have some twice."""
        step, last, end = 1 / (_rate(stream) * stream.time_base), None, Fraction(0)
        side: set[str] = set()
        for number, frame in enumerate(self._decoded(opened, stream)):
            if frame.pts is None:
                frame.pts = round(number * step)
            if last is not None and frame.pts <= last:
                if last - frame.pts > step:
                    raise InputError(
                        f"{self.path}: frame {number + 1} goes back from {float(last * stream.time_base):.2f} s to "
                        f"{float(frame.pts * stream.time_base):.2f} s: damaged, or of parts that each begin anew; "
                        "give it one time line first"
                    )
                frame.pts = last + 1
            last, end = frame.pts, (frame.pts + (frame.duration or 0)) * stream.time_base
            side.update(lost_of(frame))
            yield frame
        if side:
            self._say(f"left out: {', '.join(sorted(side))}, which no encoder is told of frames that are made anew")
        said = _seconds(opened, stream)
        if said is not None and said - end > max(_SHORT_SECONDS, said * _SHORT_SHARE):
            self._say(
                f"says that it lasts {float(said):.2f} s, and its frames end at {float(end):.2f} s: cut off, or damaged"
            )

    def _decoded(self, opened: Any, stream: Any) -> Iterator[Any]:
        """Frames; what cannot be decoded is left out, and said with what is damaged, as players go on there."""
        import av

        missing, damaged, first = 0, 0, None
        for packet in opened.demux(stream):
            frames = []
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                missing += 1
                first = packet if first is None else first
            for frame in frames:
                damaged += frame.is_corrupt
                first = frame if frame.is_corrupt and first is None else first
                yield frame
        if first is not None:
            at = "" if first.pts is None else f", the first at {float(first.pts * stream.time_base):.2f} s"
            self._say(f"{missing} of its packets cannot be decoded, and {damaged} of its frames are damaged{at}")

    def _say(self, text: str) -> None:
        self._found.setdefault(f"{self.path}: {text}")

    def found(self) -> list[str]:
        """Where frames end early, and frames of another size."""
        return list(self._found)

    def pixels(self, raw: Any, clip: Clip) -> Pixels:
        """RGB of a decoded frame, upright; 16 bits where it has more than 8."""
        matrix, range_ = clip.colours.conversion
        deep = any(one.bits > 8 for one in raw.format.components)
        height, width = clip.size or (raw.height, raw.width)
        if (raw.height, raw.width) != (height, width):
            self._say(
                f"has frames of {raw.width}×{raw.height} among those of {width}×{height}; they are resized to these"
            )
        made = raw.reformat(
            width=width,
            height=height,
            format="rgb48le" if deep else "rgb24",
            src_colorspace=matrix,
            src_color_range=range_,
            dst_color_range=_FULL,
            interpolation="BICUBIC",
        )
        array: Pixels = made.to_ndarray()
        turned = round(raw.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(array, turned)) if turned else array

    def times(self, raw: Any) -> tuple[int, int]:
        """As the file says."""
        return int(raw.pts or 0), int(raw.duration or 0)


class FrameFolder:
    """The images of a folder, each for the same time.

    Args:
        path: the folder; those within it are left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = [file for file in list_images(path) if file.is_file()]
        self._size: tuple[int, int] | None = None
        if not self._files:
            raise InputError(f"{path}: no frames; expected {', '.join(IMAGES)}")

    def inputs(self) -> list[Path]:
        """The frames' files."""
        return self._files

    def look(self, options: VideoOptions) -> Clip:
        """The first frame says size and depth; sRGB is written as BT.709 in studio range."""
        rate = options.rate
        first = self._read(self._files[0])
        self._size = first.shape[:2]
        format_ = pixel_format("yuv420p10le" if first.dtype == np.uint16 else "yuv420p", options)
        return Clip(rate, 1 / rate, len(self._files), format_, Colours(_BT709, _LIMITED, _SRGB, _BT709))

    @contextlib.contextmanager
    def opened(self) -> Iterator[Iterator[Any]]:
        """Number and file of each frame."""
        yield enumerate(self._files)

    def pixels(self, raw: Any, clip: Clip) -> Pixels:  # noqa: ARG002
        """The image; InputError where it is no frame of this clip."""
        return self._read(raw[1])

    def times(self, raw: Any) -> tuple[int, int]:
        """Its number; one unit long."""
        return raw[0], 1

    def left_out(self, suffix: str) -> list[str]:  # noqa: ARG002
        """Nothing."""
        return []

    def found(self) -> list[str]:
        """Nothing: frames that do not fit are refused."""
        return []

    def _read(self, file: Path) -> Pixels:
        photo = read_photo(file)
        if photo.alpha is not None:
            raise InputError(f"{file}: has transparent pixels, which a clip cannot hold: flatten it first")
        height, width = photo.pixels.shape[:2]
        if self._size is not None and (height, width) != self._size:
            raise InputError(
                f"{file}: is {width}×{height}, and {self._files[0].name} is {self._size[1]}×{self._size[0]}; "
                "the frames of a clip are of one size"
            )
        return np.repeat(photo.pixels[..., None], 3, axis=2) if photo.pixels.ndim == 2 else photo.pixels


def _rate(stream: Any) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or 25)


def _notes(stream: Any, frame: Any) -> Iterator[str]:
    """What of the frames does not go into the output, or looks otherwise there."""
    if frame.interlaced_frame:
        yield "is interlaced; upscaling enlarges its combs, so deinterlace it first"
    if stream.metadata.get("alpha_mode") == "1":  # VP9: beside the frames, where its decoder does not look
        yield "has transparency; a clip is written without it"
    elif any(one.is_alpha for one in frame.format.components) and frame.to_ndarray(format="rgba")[..., 3].min() < 255:
        yield "has transparent pixels; a clip is written without transparency"


def _seconds(opened: Any, stream: Any) -> Fraction | None:
    """When the video ends, as the file says; the container's word where the stream has none (Matroska)."""
    if stream.duration:
        return Fraction(stream.duration + (stream.start_time or 0)) * Fraction(stream.time_base)
    return Fraction(opened.duration, 10**6) if opened.duration else None


def _aspect(stream: Any, frame: Any) -> Fraction | None:
    pixel = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not pixel or pixel == 1:
        return None
    aspect = Fraction(pixel) * Fraction(frame.width, frame.height)
    return 1 / aspect if round(frame.rotation / 90) % 2 else aspect


def source_of(path: Path) -> Source:
    """A file or a folder as a clip; InputError for a pipe or a device, which would be waited for."""
    if path.exists() and not (path.is_dir() or path.is_file()):
        raise InputError(f"{path}: not a regular file")
    return FrameFolder(path) if path.is_dir() else VideoFile(path)
