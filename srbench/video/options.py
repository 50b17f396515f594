"""How the output is encoded, and what a clip is besides its frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from srbench.errors import InputError
from srbench.video.grading import Grading

SUFFIXES = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov", ".webm": "webm"}
CODECS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1")

_MATRICES = (1, 4, 5, 7, 9)  # that libswscale converts by
_BT601, _LIMITED = 5, 1
_MOST_FPS = 1000


@dataclass(frozen=True)
class VideoOptions:
    """How the output is encoded.

    Attributes:
        codec: an encoder of FFmpeg.
        crf: its constant quality; smaller is better and larger. 18 by default, where the encoder has one.
        preset: how long it may search, such as ``veryfast``; its own choice by default.
        encoder: further options of the encoder, each as ``NAME=VALUE``, such as ``tune=film``.
        pixel_format: such as ``yuv420p`` or ``yuv420p10le``; the input's by default, where the encoder has it.
        segment: frames that a stopped run loses at most.
        threads: of the encoder. With one, the same run makes the same bits; more help where a GPU makes frames faster than one
            thread encodes them.
        fps: frames a second of a folder of frames, such as ``25`` or ``24000/1001``; a file has its own times.
        format: of a folder of frames that is written: a suffix without its dot.
    """

    codec: str = "libx264"
    crf: int | None = None
    preset: str = ""
    encoder: tuple[str, ...] = ()
    pixel_format: str = ""
    segment: int = 100
    threads: int = 1
    fps: str = "25"
    format: str = "png"

    @property
    def rate(self) -> Fraction:
        """``fps`` as a number; InputError where it is none that a clip can have."""
        try:
            rate = Fraction(self.fps)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not 0 < rate <= _MOST_FPS or rate.denominator > 10**6:
            raise InputError(f"--fps {self.fps!r}: expected frames a second, such as 25, 23.976 or 24000/1001")
        return rate


@dataclass(frozen=True)
class Colours:
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
class Clip:
    """What must be known of the input before its first frame is upscaled.

    Attributes:
        rate: frames a second, on average.
        time_base: unit of the frames' times, in seconds.
        frames: how many there are; None where the file does not say.
        pixel_format: of the output.
        colours: of the output, and of the input where it is a file.
        aspect: width by height of what is shown, upright, where the input's pixels are not square; else None.
        size: height and width of its frames as they are stored, before rotation; None where any is taken as it comes.
        notes: what a user should know of the input, a line each.
        grading: what it says of its screen and of its light.
    """

    rate: Fraction
    time_base: Fraction
    frames: int | None
    pixel_format: str
    colours: Colours
    aspect: Fraction | None = None
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    grading: Grading = field(default_factory=Grading)
