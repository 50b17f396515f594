"""From a clip to a clip, whatever each of them is: a video file or a folder of frames.

Frames of a video file are encoded in segments, which lie in a hidden folder beside the output until the last is there; the output
is then put together in one go, with the times that the frames have in the input. What is encoded so far is thus never lost, and
the output appears whole or not at all. Frames of a folder are files, each of which appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy.typing as npt

from srbench.errors import InputError
from srbench.files import replacing
from srbench.images import SUFFIXES as IMAGES
from srbench.photos import Photo
from srbench.resuming import STATEMENT, Statement, facts_of
from srbench.upscale_files import Way, begin_photo
from srbench.upscaler import Upscaler
from srbench.video.carried import unsaid
from srbench.video.encoders import unasked
from srbench.video.encoding import Progress, check_encoder, check_output, encode
from srbench.video.frames import FramesOut
from srbench.video.grading import unheard
from srbench.video.joining import put_together
from srbench.video.options import Clip, VideoOptions
from srbench.video.parts import Parts
from srbench.video.sources import source_of

_FULL = {errno.ENOSPC: "No space left on device", errno.EDQUOT: "Disk quota exceeded", errno.EFBIG: "File too large"}

_HDR = {16: "PQ", 18: "HLG"}

Pixels = npt.NDArray[Any]


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

    Rotation is applied to the frames. Matrix, range, transfer and primaries are those of the input; frames of a folder are sRGB
    and are written as BT.709. Where the pixel format needs even sizes, the last row or column is repeated.

    Args:
        upscaler: the network; None where ``way.network`` gives it.
        source: a file that FFmpeg reads, or a folder of frames of one size.
        target: a file whose suffix is one of ``SUFFIXES``, or a folder for frames, without a suffix or there already.
        options: how it is encoded.
        way: how large, and how.
        resume: go on with what a stopped run of the same input, weights and options left.
        progress: told how many frames are done, and of how many, where the file says so.

    Returns:
        ``target``.

    Raises:
        InputError: no video in the file, a damaged file, frames of several sizes, an encoder or stream that the format of
            ``target`` cannot hold, what another run left.
        UnknownNameError: no such encoder.
    """
    source, target, options, way = Path(source), Path(target), options or VideoOptions(), way or Way()
    if target.exists() and target.resolve() == source.resolve():
        raise InputError(f"{target}: would overwrite its own input; choose another OUT")
    to_folder = target.is_dir() or not target.suffix

    def begun(pixels: Pixels) -> Callable[[], Pixels]:
        end = begin_photo(upscaler, Photo(pixels), way)
        return lambda: end().pixels

    with _one_line(source, target):
        frames = source_of(source)
        if to_folder:
            _check_folder(source, target, options)
            clip = frames.look(options)
            _say(way, [*clip.notes, *frames.left_out(""), *_as_images(source, clip)])
            facts = facts_of(frames.inputs(), upscaler, way, {"format": options.format, "fps": options.fps})
            out = FramesOut(target, Statement(target / STATEMENT, facts), f".{options.format}")
            out.begin(resume)
            out.fill(frames, clip, begun, progress)
            _say(way, frames.found())
            return target
        check_output(source, target, options)
        clip = frames.look(options)
        _say(way, [*clip.notes, *frames.left_out(target.suffix), *_unheard(source, clip, options)])
        check_encoder(clip, options)
        _say(way, [text] if (text := unasked(options)) else [])
        parts = Parts(target, facts_of(frames.inputs(), upscaler, way, asdict(options)))
        parts.begin(resume)
        try:
            encode(parts, frames, clip, begun, options, progress)
        except BaseException:
            parts.remove_if_empty()
            raise
        _say(way, frames.found())
        with replacing(target) as staging:
            put_together(parts, source, clip, staging)
        parts.remove()
        _say(way, _unsaid(source, target))
    return target


def _say(way: Way, notes: Iterable[str]) -> None:
    for note in notes:
        way.say(note)


def _unheard(source: Path, clip: Clip, options: VideoOptions) -> list[str]:
    names = unheard(clip.grading, options.codec)
    return [f"{source}: {options.codec} is not told of its {' and '.join(names)}"] if names else []


def _as_images(source: Path, clip: Clip) -> list[str]:
    name = _HDR.get(clip.colours.transfer)
    return [f"{source}: its frames are of {name}, which no image says: programs will show them as sRGB"] if name else []


def _unsaid(source: Path, target: Path) -> list[str]:
    names = [] if source.is_dir() else unsaid(source, target)
    return [f"{target}: {target.suffix} has no place for what the input says: {', '.join(names)}"] if names else []


def _check_folder(source: Path, target: Path, options: VideoOptions) -> None:
    if f".{options.format}" not in IMAGES:
        raise InputError(f"format {options.format!r}: frames are written as {', '.join(one[1:] for one in IMAGES)}")
    if target.is_file():
        raise InputError(f"{target}: is a file; frames of {source.name} go into a folder")


@contextlib.contextmanager
def _one_line(source: Path, target: Path) -> Iterator[None]:
    import av

    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise OSError(error.errno, _FULL[error.errno], str(error.filename or target)) from None
        where = str(getattr(error, "filename", None) or source)
        where = str(source) if where.endswith("()") else where  # PyAV names its own function there
        text = getattr(error, "strerror", None) or str(error)
        if isinstance(error, av.error.InvalidDataError | av.error.EOFError):
            text = "holds no clip that FFmpeg can read, or was cut off (an MP4's index stands at its end)"
        raise InputError(f"{where}: {text}") from None
