"""Where else a run's log lines and sample images go: Accelerate's trackers, and a CSV file, by one interface."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from srbench.errors import MissingExtraError, UnknownNameError
from srbench.files import write_text
from srbench.training.data.decode import U8
from srbench.training.loop.folder import BOARD, CSV


class Tracker(Protocol):
    """What a run asks of a tracker: the part of Accelerate's ``GeneralTracker`` that it uses."""

    def log(self, values: dict[str, Any], step: int | None = None) -> None:
        """Take the numbers of one log line."""

    def finish(self) -> None:
        """The run ends or pauses."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run.

    Attributes:
        folder: the run's.
        name: of the checkpoint.
        step: the first that this sitting logs; what an earlier one wrote of it and of later ones is void.
    """

    folder: Path
    name: str
    step: int


class CsvTracker:
    """Log lines as one table, a column a value; a line without a value leaves its cell empty."""

    def __init__(self, run: TrackedRun) -> None:
        self._path = run.folder / CSV
        self._columns, self._rows = ["step"], _rows_before(self._path, run.step)
        self._grow([key for row in self._rows for key in row])
        self._write_all()

    def log(self, values: dict[str, Any], step: int | None = None) -> None:
        """Add a row; a value that no line had before makes a column."""
        row = {"step": step, **values}
        self._rows.append(row)
        if self._grow(row):
            self._write_all()
            return
        with self._path.open("a", encoding="utf-8", newline="") as file:
            self._writer(file).writerow(row)

    def finish(self) -> None:
        """Nothing is open between two rows."""

    def _grow(self, keys: Any) -> bool:
        new = [key for key in dict.fromkeys(keys) if key not in self._columns]
        self._columns += new
        return bool(new)

    def _writer(self, file: Any) -> Any:
        return csv.DictWriter(file, self._columns, lineterminator="\n")

    def _write_all(self) -> None:
        import io

        text = io.StringIO()
        self._writer(text).writeheader()
        self._writer(text).writerows(self._rows)
        write_text(self._path, text.getvalue())


def _rows_before(path: Path, step: int) -> list[dict[str, Any]]:
    """The rows of an earlier sitting that still hold, without what a kill cut off."""
    rows = []
    with suppress(FileNotFoundError), path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            with suppress(ValueError, TypeError):
                if int(row["step"]) < step:
                    rows.append({key: value for key, value in row.items() if key and value})
    return rows


def _tensorboard(run: TrackedRun) -> Tracker:
    from accelerate.tracking import TensorBoardTracker

    # purge_step hides what a killed run wrote of later steps
    return _started(lambda: TensorBoardTracker(BOARD, str(run.folder), purge_step=run.step))


def _wandb(run: TrackedRun) -> Tracker:
    from accelerate.tracking import WandBTracker

    # A resumed run goes on in its own curve.
    given = {"name": run.name, "id": run.name, "resume": "allow", "dir": str(run.folder)}
    return _started(lambda: WandBTracker("srbench", **given))


def _started(make: Callable[[], Any]) -> Tracker:
    import torch
    from accelerate import PartialState

    threads = torch.get_num_threads()
    PartialState()  # which Accelerate's trackers ask who is first; it may set threads, on which the last bits depend
    torch.set_num_threads(threads)
    tracker = make()
    if hasattr(tracker, "start"):  # which older versions do not have: they start when they are made
        tracker.start()
    made: Tracker = tracker
    return made


TRACKERS: Mapping[str, tuple[Callable[[TrackedRun], Tracker], str]] = {
    "csv": (CsvTracker, ""),
    "tensorboard": (_tensorboard, "tensorboard"),
    "wandb": (_wandb, "wandb"),
}
"""By name: what makes the tracker, and the package that it needs, which is an extra of the same name."""


def check_trackers(names: tuple[str, ...]) -> None:
    """Raise where a tracker cannot be had, before a run begins.

    Raises:
        UnknownNameError: no such tracker.
        UnavailableError: its package is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise UnknownNameError("tracker", name, TRACKERS, "--track")
        package = TRACKERS[name][1]
        if package and find_spec(package) is None:
            raise MissingExtraError(f"--track {name} needs the extra", name)


class Trackers:
    """All trackers of a run, each told the same.

    Args:
        names: of ``TRACKERS``.
        run: what they are told of it.
    """

    def __init__(self, names: tuple[str, ...], run: TrackedRun) -> None:
        self._all = [TRACKERS[name][0](run) for name in names]

    def log(self, step: int, facts: Mapping[str, Any]) -> None:
        """The numbers of one log line; texts are no curves."""
        numbers = {key: value for key, value in facts.items() if isinstance(value, int | float)}
        for tracker in self._all:
            tracker.log(numbers, step=step)

    def images(self, step: int, columns: Mapping[str, U8]) -> None:
        """Columns of sample images, uint8 ``(H, W, 3)`` by name, for the trackers that show images."""
        for tracker in self._all:
            show = getattr(tracker, "log_images", None)
            if show is not None:
                how = {"dataformats": "NHWC"} if getattr(tracker, "name", "") == "tensorboard" else {}
                show({f"samples/{name}": column[None] for name, column in columns.items()}, step=step, **how)

    def finish(self) -> None:
        """The run ends or pauses."""
        for tracker in self._all:
            with suppress(OSError):  # a writer's thread may meet a full disk, which the log and the state report
                tracker.finish()
