"""``srbench report``: render reports/ from results/, or say what is stale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli._common import device_option, json_option, name_broken, print_json

if TYPE_CHECKING:
    from srbench.reports.files import Source


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 and name what is stale.")
@click.option(
    "--images", metavar="SET", help="Make SR images of a dataset first (needs torch) and show them in the page."
)
@click.option("--scale", type=click.IntRange(2, 8), default=4, show_default=True, help="Of --images.")
@click.option(
    "--quality", type=click.IntRange(1, 100), help="Of --images: store lossy WebP. Without it nothing is lost."
)
@click.option("--models", help="Of --images: checkpoints, comma-separated; the best of each architecture by default.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Of --images: the page for local use.")
@click.option("--data-root", type=click.Path(exists=True, file_okay=False), help="Folder with the datasets.")
@click.option("--wide", is_flag=True, help="Print every table with all its columns and rows.")
@device_option
@json_option
def command(
    check: bool,
    images: str | None,
    scale: int,
    quality: int | None,
    models: str | None,
    output: str | None,
    data_root: str | None,
    wide: bool,
    device: str,
    as_json: bool,
) -> None:
    """Render reports/ and the README's excerpt from the records in results/, and print the best of each architecture.

    \b
    srbench report                  writes leaderboard.md, index.html and figures/
    srbench report --check          for CI: are they up to date?
    srbench report --json           the leaderboard's rows, unrounded
    srbench report --images sample  the SR images that reports/index.html shows
    srbench report --images set14   a page with whole images, for local use

    A record that is broken, or whose content is not what its checksum says, is named and left out, and the command fails.
    Works without torch, except for --images; --json writes no file.
    """
    from srbench.errors import SrbenchError
    from srbench.home import home
    from srbench.migration import broken_ablations
    from srbench.reports import stale_files, write_reports
    from srbench.reports.files import read_source
    from srbench.reports.plain import leaderboard_rows

    root = home()
    if images:
        asked = _Asked(images, scale, quality, tuple(models.split(",")) if models else (), device, data_root)
        path = Path(output or root / "reports" / "local" / f"{Path(images).name}_x{scale}.html")
        if not _made_committed(read_source(root=root), asked, path):
            return
    broken = broken_ablations(root)
    stale: list[str] = []
    if check:
        stale = [str(path.relative_to(root)) for path in stale_files(root=root, broken=broken)]
    if as_json:
        print_json(leaderboard_rows(read_source(root=root, broken=broken).tables))
    elif not check:
        written = write_reports(root=root, redraw=True, broken=broken)
        _show(read_source(root=root, broken=broken), wide)
        click.echo(f"wrote {len(written)} file{'s' if len(written) != 1 else ''} below {root}", err=True)
    if faults := name_broken(broken):
        raise SrbenchError(f"{faults} of the records are broken")
    if stale:
        raise SrbenchError(f"stale: {', '.join(stale)}; run `srbench report`")


def _show(source: Source, wide: bool) -> None:
    """The tables of the overview on the terminal; all of them where ``wide``."""
    from srbench.cli._tables import print_tables
    from srbench.reports.tables import overview

    found = overview(source.tables)
    print_tables(source.tables if wide or not found else found.tables, wide, condense=True)


@dataclass(frozen=True)
class _Asked:
    """What ``--images`` and its options ask for."""

    dataset: str
    scale: int
    quality: int | None
    models: tuple[str, ...]
    device: str
    data_root: str | None

    @property
    def committed(self) -> bool:
        """Whether the images stand in the committed page: of ``sample`` alone, whose licence allows it."""
        return self.dataset == "sample"


def _made_committed(source: Source, asked: _Asked, path: Path) -> bool:
    """Make the images of the committed page, or a page for local use at ``path``; whether it was the first."""
    if asked.committed:
        _make(source, asked, source.image_folder)
    else:
        click.echo(f"wrote {_local_page(source, asked, path)}")
    return asked.committed


def _make(source: Source, asked: _Asked, folder: Path) -> None:
    from srbench.evaluation.upscaled import upscaled
    from srbench.reports.page.making import Wanted, best_checkpoints, store_images

    weights = best_checkpoints(source.tables, source.cards, asked.dataset, asked.scale, asked.models)
    wanted = Wanted(asked.dataset, asked.scale, weights, whole=not asked.committed, quality=asked.quality)
    made = upscaled(list(weights), asked.dataset, asked.scale, device=asked.device, data_root=asked.data_root)
    store_images(folder, wanted, made, lambda name: click.echo(f"{name}: {len(weights)} networks", err=True))


def _local_page(source: Source, asked: _Asked, path: Path) -> Path:
    """A page whose images lie in a folder of its name beside it, and inside it."""
    from srbench.files import write_text
    from srbench.reports.page.build import render_page
    from srbench.reports.page.images import stored_images

    folder = path.with_suffix("")
    _make(source, asked, folder)
    write_text(path, render_page(source.tables, source.cards, stored_images(folder, source.cards), folder))
    return path
