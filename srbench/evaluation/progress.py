"""How far an evaluation is: images, not cells, with what is running, images a second and the time left."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Task


class Progress:
    """A line on standard error that counts images; a context manager.

    Args:
        images: of the whole run.
        quiet: whether nothing is to be shown.
    """

    def __init__(self, images: int, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.table import Column
        from rich.text import Text

        measured = self

        class Rate(ProgressColumn):
            """Images a second, of those that were measured and not found stored."""

            def render(self, task: Task) -> Text:  # noqa: ARG002
                return Text(measured.rate)

        self._bars = Bars(
            TextColumn(
                "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
            ),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("images"),
            Rate(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            disable=quiet,
            expand=True,
        )
        self._task = self._bars.add_task("", total=images)
        self._before = 0
        self._cell = 0
        self._done = 0
        self._seconds = 0.0
        self._last = time.perf_counter()

    def __enter__(self) -> Progress:
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, trace)

    @property
    def rate(self) -> str:
        """``3.2/s``; empty before the first image."""
        return f"{self._done / self._seconds:.2g}/s" if self._done and self._seconds else ""

    def start(self, what: str, images: int) -> None:
        """A cell of so many images begins."""
        self._cell = images
        self._last = time.perf_counter()
        self._bars.update(self._task, description=what)

    def image(self, _: str) -> None:
        """One image of the cell is measured."""
        now = time.perf_counter()
        self._done += 1
        self._seconds += now - self._last
        self._last = now
        self._bars.advance(self._task)

    def end(self) -> None:
        """The cell is done: what was not measured one by one was stored, or failed."""
        self._before += self._cell
        self._bars.update(self._task, completed=self._before)

    def close(self, summary: str) -> None:
        """The run is done."""
        self._bars.update(self._task, description=summary)
