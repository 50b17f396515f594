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

from srbench.errors import InputError, UnknownNameError
from srbench.images import SUFFIXES as IMAGES
from srbench.images import list_images
from srbench.photos import read_photo
from srbench.video.options import CODECS, Clip, Colours, VideoOptions

Pixels = npt.NDArray[Any]

_LIMITED, _FULL = 1, 2
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


class VideoFile:
    """The first video stream of a file.

    Args:
        path: whatever FFmpeg reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def inputs(self) -> list[Path]:
        """The file."""
        return [self.path]

    def look(self, options: VideoOptions) -> Clip:
        """Look at the stream and its first frame; InputError where there is none."""
        import av

        with av.open(str(self.path)) as opened:
            if not opened.streams.video:
                kinds = ", ".join(sorted({stream.type for stream in opened.streams})) or "nothing"
                raise InputError(f"{self.path}: has no video stream; it has {kinds}")
            stream = opened.streams.video[0]
            frame = next(opened.decode(stream), None)
            if frame is None:
                raise InputError(f"{self.path}: its video stream has no frame that can be decoded")
            context = stream.codec_context
            full = frame.format.name.startswith("yuvj")
            colours = Colours(
                int(frame.colorspace),
                _FULL if full else int(frame.color_range),
                int(context.color_trc),
                int(context.color_primaries),
            )
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            format_ = pixel_format(frame.format.name.replace("yuvj", "yuv"), options)
            time_base = Fraction(stream.time_base)
            interlaced = bool(frame.interlaced_frame)
            return Clip(
                Fraction(rate), time_base, stream.frames or None, format_, colours, _aspect(stream, frame), interlaced
            )

    @contextlib.contextmanager
    def opened(self) -> Iterator[Iterator[Any]]:
        """Decoded frames, not yet converted to RGB."""
        import av

        with av.open(str(self.path)) as opened:
            stream = opened.streams.video[0]
            stream.thread_type = "AUTO"
            yield opened.decode(stream)

    def pixels(self, raw: Any, clip: Clip) -> Pixels:
        """RGB of a decoded frame, upright; 16 bits where it has more than 8."""
        matrix, range_ = clip.colours.conversion
        deep = any(one.bits > 8 for one in raw.format.components)
        made = raw.reformat(
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


def pixel_format(of_input: str, options: VideoOptions) -> str:
    """The pixel format of the output; UnknownNameError where the encoder does not have the one that was asked for."""
    import av

    try:
        known = [one.name for one in av.codec.Codec(options.codec, "w").video_formats or ()]
    except ValueError:
        raise UnknownNameError("codec", options.codec, CODECS) from None
    if options.pixel_format and options.pixel_format not in known:
        raise UnknownNameError("pixel format", options.pixel_format, known, options.codec)
    return options.pixel_format or (of_input if of_input in known else known[0])
