"""What the user sees of a run while it goes: a progress bar, a JSONL log, sample images, trackers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from srbench.images import write_image
from srbench.training.data.decode import U8
from srbench.training.loop.folder import SAMPLES
from srbench.training.loop.log import LOG, log_line
from srbench.training.loop.trackers import TrackedRun, Trackers, check_trackers

_STRIPS = 8  # sets of sample images over a run


class Watch:
    """Log lines to the run's JSONL file, and a progress bar (a line per validation where there is no terminal).

    Args:
        folder: the run's.
        title: shown before the bar.
        steps: how many the run has.
        show: draw anything at all.
        main: this process writes and draws; the others of a run do neither.
        trackers: who else is told, see ``trackers.py``.

    Raises:
        UnknownNameError: no such tracker.
        UnavailableError: a tracker whose package is not installed.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        steps: int,
        show: bool = True,
        main: bool = True,
        trackers: tuple[str, ...] = (),
    ) -> None:
        self._main, self._steps, self._folder, self._title = main, steps, folder, title
        check_trackers(trackers)
        self._wanted, self._seen = trackers, False
        self._trackers: Trackers | None = None
        self._console = Console(stderr=True, quiet=not (show and main), soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            disable=not self._console.is_terminal,
            refresh_per_second=2,
        )
        self._task = self._bar.add_task(title, total=steps, facts="")
        self._file: TextIO | None = None
        self._val = ""
        self._warned = ""

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if self._file:
            self._file.close()
        if self._trackers:
            self._trackers.finish()

    def log(self, step: int, facts: Mapping[str, Any]) -> None:
        """Write one line, and show it."""
        if not self._main:
            return
        self._write(step, facts)
        if "val_psnr" in facts:
            self._val = f"val {facts['val_psnr']:.2f} dB  "
            if not self._console.is_terminal:
                self.say(
                    f"step {step}: " + ", ".join(f"{key} {value:.5g}" for key, value in facts.items() if key != "step")
                )
        if "samples_per_s" in facts:
            self._advance(step, f"loss {facts['loss']:.5f}  {self._val}{facts['samples_per_s']:.0f} samples/s")

    def _write(self, step: int, facts: Mapping[str, Any]) -> None:
        if self._file is None:  # not before the first line: a start rewrites or removes what an earlier run left
            self._file = (self._folder / LOG).open("a", encoding="utf-8")
            self._trackers = Trackers(self._wanted, TrackedRun(self._folder, self._title, step))
        self._file.write(log_line(step, facts))
        self._file.flush()
        if self._trackers:
            self._trackers.log(step, facts)

    def _advance(self, step: int, shown: str) -> None:
        if self._seen:
            self._bar.update(self._task, completed=step, facts=shown)
        else:  # a resumed run has not done its first steps in no time
            self._bar.reset(self._task, completed=step, facts=shown)
        self._seen = True

    def follow(self, steps: int) -> None:
        """The run has another length."""
        self._steps = steps
        self._bar.update(self._task, total=steps)

    def wants_images(self, step: int, val_every: int) -> bool:
        """Whether the validation of this step is one of the few of a run whose images are kept."""
        return step * _STRIPS // self._steps > max(0, step - val_every) * _STRIPS // self._steps

    def images(self, step: int, samples: Sequence[tuple[U8, U8, U8]]) -> None:
        """Keep LR, SR and HR crops, uint8 ``(H, W, 3)`` and of one size each, as columns of images."""
        columns = [np.concatenate(crops) for crops in zip(*samples, strict=True)]
        for name, column in zip(("lr", f"sr-{step:08d}", "hr"), columns, strict=True):
            write_image(self._folder / SAMPLES / f"{name}.png", column)
        if self._trackers:
            self._trackers.images(step, dict(zip(("lr", "sr", "hr"), columns, strict=True)))

    def warn(self, text: str) -> None:
        """A line of its own, once while it stays the same."""
        if text and text.partition(":")[0] != self._warned:
            self.say(f"warning: {text}")
        self._warned = text.partition(":")[0]

    def counting(self, title: str, total: int) -> Callable[[], None]:
        """A second bar, which each call of the result moves by one and the last one hides."""
        task = self._bar.add_task(title, total=total, facts="")

        def advance() -> None:
            self._bar.advance(task)
            self._bar.update(task, visible=not self._bar.tasks[task].finished)

        return advance

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text, highlight=False, markup=False)  # a name may hold brackets
