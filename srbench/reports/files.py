"""Which file of reports/ holds what, how it is written, and whether it is stale; likewise the generated parts of both READMEs.

Committed reports show the zoo; what a user measured of their own stands in own.md alone, which git ignores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from srbench.clip_results import ClipResult, read_clip_results
from srbench.errors import InputError, SrbenchError
from srbench.files import listed, write_text
from srbench.home import home
from srbench.markdown import marks, with_part
from srbench.reports.aims import read_aims, render_adversarial, render_aims
from srbench.reports.clips_page import render_clip_sections, render_clips
from srbench.reports.markdown import render_excerpt, render_leaderboard, render_own
from srbench.reports.order import render_order
from srbench.reports.page.build import render_page
from srbench.reports.page.images import StoredImage, stored_images
from srbench.reports.plots import plan
from srbench.reports.speed_page import render_speed
from srbench.reports.tables import build_tables
from srbench.reports.tables.clips import ClipTable, build_clip_tables
from srbench.reports.tables.order import order_of
from srbench.reports.tables.rows import Table
from srbench.reports.training import render_curves
from srbench.results import Result, read_results
from srbench.speed_results import SpeedResult, read_speeds
from srbench.zoo import Card, list_checkpoints


@dataclass(frozen=True)
class Source:
    """Everything that reports are made from.

    Attributes:
        root: the folder that holds results/, zoo/, reports/ and README.md.
        results: the quality records; own records are among them.
        broken: takes what is wrong with each broken card and speed record, which is then left out; None to raise it.
    """

    root: Path
    results: tuple[Result, ...]
    broken: list[SrbenchError] | None = None

    @cached_property
    def cards(self) -> list[Card]:
        """Of the zoo."""
        return list_checkpoints(root=self.root / "zoo", broken=self.broken)

    @cached_property
    def speeds(self) -> list[SpeedResult]:
        """The speed records."""
        return read_speeds(self.root / "results", self.broken)

    @cached_property
    def clips(self) -> list[ClipResult]:
        """The records of clips."""
        return read_clip_results(self.root / "results", self.broken)

    @cached_property
    def clip_tables(self) -> list[ClipTable]:
        """Those of the zoo on sets of the catalog."""
        return build_clip_tables(self.clips, self.cards)

    @cached_property
    def tables(self) -> list[Table]:
        """The zoo's tables."""
        return build_tables(self.results, self.speeds, self.cards, own=False)

    @cached_property
    def images(self) -> list[StoredImage]:
        """Stored SR images of the zoo's weights."""
        return stored_images(self.image_folder, self.cards)

    @property
    def image_folder(self) -> Path:
        """Where they lie."""
        return self.root / "reports" / "images"

    @cached_property
    def own_tables(self) -> list[Table]:
        """The tables that something of the user's own stands in, the zoo beside it."""
        places = {(result.dataset, result.scale) for result in self.results if not result.of_zoo}
        if not places:
            return []
        beside = [result for result in self.results if (result.dataset, result.scale) in places]
        return build_tables(beside, self.speeds, self.cards, derive=False)


def read_source(
    results: Iterable[Result] | None = None, root: Path | None = None, broken: list[SrbenchError] | None = None
) -> Source:
    """What reports are made from: all records of ``root`` (home by default), or those given; ``broken`` as in ``Source``."""
    root = root or home()
    found = read_results(root / "results", broken) if results is None else results
    return Source(root, tuple(found), broken)


def read_all_tables() -> list[Table]:
    """The tables of all records at home, the user's own among them."""
    source = read_source()
    return build_tables(source.results, source.speeds, source.cards)


# Marked parts of the two READMEs, each with what fills it.
Part = Callable[[Source], str]
_README: dict[str, Part] = {"leaderboard": lambda source: render_excerpt(source.tables)}
_ZOO: dict[str, Part] = {
    "curves": lambda source: render_curves(source.cards),
    "order": lambda source: render_order(order_of(source.cards, source.results)),
    "aims": lambda source: render_aims(read_aims(source.root / "zoo" / "aims.toml"), source.cards, source.results),
    "adversarial": lambda source: render_adversarial(source.cards, source.results),
}


def write_reports(
    results: Iterable[Result] | None = None,
    root: Path | None = None,
    redraw: bool = False,
    broken: list[SrbenchError] | None = None,
) -> list[Path]:
    """Render everything and replace what changed, each file in one step.

    Args:
        results: all records; those of results/ by default.
        root: the folder that holds reports/ and README.md; home by default.
        redraw: draw the figures even where no text changed and all are there; drawing takes longer than all the rest.
        broken: takes what is wrong with each broken record, which is then left out.

    Returns:
        The files that were written; README.md and zoo/README.md only where they have their marks.
    """
    source = read_source(results, root, broken)
    changed = {path: text for path, text in _texts(source).items() if _read(path) != text}
    folder = _figures(source)
    drawn = {folder / plot.file: plot for plot in plan(source.tables)}
    if changed or redraw or not all(path.is_file() for path in drawn):
        figures = {path: plot.draw() for path, plot in drawn.items()}
        changed |= {path: text for path, text in figures.items() if _read(path) != text}
        for path in listed(folder, "*.svg"):
            if path not in drawn:
                path.unlink()
    for path, text in changed.items():
        write_text(path, text)
    return list(changed)


def stale_files(
    results: Iterable[Result] | None = None, root: Path | None = None, broken: list[SrbenchError] | None = None
) -> list[Path]:
    """The generated files that are missing, and the texts that differ from what ``write_reports`` would write.

    Figures are not compared: another version of matplotlib draws other bytes.
    """
    source = read_source(results, root, broken)
    texts = [path for path, text in _texts(source).items() if _read(path) != text]
    figures = [_figures(source) / plot.file for plot in plan(source.tables)]
    return texts + [path for path in figures if not path.is_file()]


def _figures(source: Source) -> Path:
    return source.root / "reports" / "figures"


def _texts(source: Source) -> dict[Path, str]:
    """Every generated text by its path."""
    reports = source.root / "reports"
    files = {
        reports / "leaderboard.md": render_leaderboard(source.tables, source.clip_tables),
        reports / "index.html": render_page(source.tables, source.cards, source.images, source.image_folder),
    }
    own_clips = build_clip_tables(source.clips, source.cards, own=True)
    if source.own_tables or own_clips:
        files[reports / "own.md"] = render_own(source.own_tables, render_clip_sections(own_clips))
    if source.clip_tables:
        files[reports / "clips.md"] = render_clips(source.clip_tables)
    if source.speeds:
        files[reports / "speed.md"] = render_speed(source.speeds, source.cards)
    for path, parts in ((source.root / "README.md", _README), (source.root / "zoo" / "README.md", _ZOO)):
        text = _read(path)
        there = [name for name in parts if text is not None and marks(name)[0] in text]
        if text is not None and there:
            for name in there:
                text = with_part(text, name, parts[name](source), path)
            files[path] = text
    return files


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a UTF-8 text") from None
