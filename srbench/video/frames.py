"""Upscaled frames into a folder of images; those that are there already are left as they are."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy.typing as npt

from srbench.errors import InputError
from srbench.images import list_images
from srbench.photos import Photo, for_format, write_photo
from srbench.resuming import Statement
from srbench.video.options import Clip
from srbench.video.pipeline import Ahead, Behind
from srbench.video.sources import Source

Pixels = npt.NDArray[Any]


class FramesOut:
    """The folder that frames are written to.

    Args:
        target: the folder.
        statement: of the run; it lies in the folder until the run has ended.
        suffix: of the frames, such as ``.png``.
    """

    def __init__(self, target: Path, statement: Statement, suffix: str) -> None:
        self._target, self._statement, self._suffix = target, statement, suffix

    def begin(self, resume: bool) -> None:
        """InputError where images are there that are not to be gone on with, or that no stopped run of the same kind left."""
        if resume and self._statement.found(f"choose another OUT, or empty {self._target}"):
            return
        if self._target.is_dir() and (there := list_images(self._target)):
            stopped = self._statement.path.exists()
            way = (
                "--resume goes on with the stopped run that made them" if stopped else "choose another OUT, or empty it"
            )
            raise InputError(f"{self._target}: has images already ({there[0].name} …); {way}")
        self._statement.begin()

    def fill(
        self,
        source: Source,
        clip: Clip,
        upscale: Callable[[Pixels], Callable[[], Pixels]],
        progress: Callable[[int, int | None], None],
    ) -> None:
        """Write every frame that is not there yet, ``000001.png`` and so on, each whole or not at all."""
        number = 0
        with source.opened() as frames, ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:

            def read() -> tuple[Path, Pixels] | None:
                nonlocal number
                for raw in frames:
                    number += 1
                    path = self._target / f"{number:06}{self._suffix}"
                    if not path.is_file():
                        return path, source.pixels(raw, clip)
                return None

            behind = Behind(writing)
            for path, pixels in Ahead(reading, read).take(10**9):
                behind.put(self._write, path, upscale(pixels))
                progress(int(path.stem), clip.frames)
            behind.end()
        self._statement.end()

    def _write(self, path: Path, end: Callable[[], Pixels]) -> None:
        write_photo(path, for_format(Photo(end()), self._suffix))
