"""The folder of segments beside an output that is not whole yet."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from srbench.resuming import Statement


class Parts:
    """Segments with the times of their frames, and the statement of what run they are of.

    Args:
        target: the video file that they will become.
        facts: of the run, as ``resuming.facts_of`` gives them.
    """

    def __init__(self, target: Path, facts: Mapping[str, object]) -> None:
        self.target = target
        self.folder = target.absolute().parent / f".{target.name}.parts"
        self._statement = Statement(self.folder / "run.json", facts)

    def begin(self, resume: bool) -> None:
        """Make the folder anew; or, to go on, check that the one there is of the same run."""
        if resume and self._statement.found():
            return
        self.remove()
        self.folder.mkdir(parents=True)
        self._statement.begin()

    def file(self, index: int) -> Path:
        """The segment of that number; it is there once it is whole."""
        return self.folder / f"{index:06}.mkv"

    def times(self, index: int) -> Path:
        """When its frames are shown and for how long."""
        return self.folder / f"{index:06}.json"

    def remove_if_empty(self) -> None:
        """Take the folder away where no segment is whole yet: there is nothing to go on with."""
        if not self.file(0).is_file():
            self.remove()

    def remove(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)
