"""``srbench data``: which sets there are, where they lie, get them, check them."""

from __future__ import annotations

from typing import Any

import click

from srbench.cli._common import data_root_option, json_option, print_json, print_table
from srbench.errors import counted


@click.group()
def command() -> None:
    """List, download and verify the sets of images."""


@command.command("ls")
@data_root_option
@json_option
def ls(data_root: str | None, as_json: bool) -> None:
    """List the sets that srbench knows and whether they are here (without reading images).

    State: present, unverified (here, but no sha256 is known to compare with), incomplete, absent.
    """
    from srbench.datasets.catalog import CATALOG
    from srbench.datasets.local import data_roots, locate
    from srbench.datasets.verify import state

    roots = data_roots(data_root)
    rows: list[dict[str, Any]] = []
    for entry in CATALOG.values():
        found = locate(entry, roots)
        rows.append(
            {
                "name": entry.name,
                "images": entry.count,
                "found": len(found.paths),
                "split": entry.split,
                "licence": entry.licence,
                "state": state(entry, found),
                "where": str(found.folder) if found.folder else None,
                "protocol": entry.default_protocol,
                "download": entry.downloadable,
                "title": entry.title,
                "homepage": entry.homepage,
            }
        )
    if as_json:
        print_json(rows)
        return
    cells = [[row[key] for key in ("name", "images", "split", "licence")] + _state_cells(row) for row in rows]
    print_table("", ("set", "images", "split", "licence", "state", "where", "protocol"), cells)


def _state_cells(row: dict[str, Any]) -> list[str]:
    here = f"{row['state']} {row['found']} of {row['images']}" if row["state"] == "incomplete" else row["state"]
    way = (
        "" if row["where"] else f"srbench data get {row['name']}" if row["download"] else f"by hand: {row['homepage']}"
    )
    return [here, row["where"] or way, row["protocol"]]


@command.command("look")
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--recursive", is_flag=True, help="Take the images of subfolders as well.")
@click.option("--lr-folder", type=click.Path(exists=True, file_okay=False), help="The folder of its LR images.")
@json_option
def look(folder: str, recursive: bool, lr_folder: str | None, as_json: bool) -> None:
    """Show what srbench makes of FOLDER: its HR images, the LR images of each scale, and what it ignores.

    No image is decoded. docs/layouts.md shows the layouts that are understood.
    """
    from dataclasses import asdict
    from pathlib import Path

    from srbench.datasets.local import find_dataset
    from srbench.datasets.look import look as look_at

    found = look_at(find_dataset(Path(folder), recursive=recursive, lr_folder=lr_folder))
    if as_json:
        print_json(asdict(found))
        return
    some = ", ".join(found.images[:5]) + (" …" if len(found.images) > 5 else "")
    click.echo(f"{found.name}: {counted(len(found.images), 'HR image')}: {some}")
    for scale, where in found.lr.items():
        click.echo(f"  LR x{scale}  {where}")
    if not found.lr:
        click.echo("  LR     none; a protocol makes its own")
    for line in found.remarks:
        click.echo(f"  note   {line}")


@command.command("overlap")
@click.argument("first", metavar="A")
@click.argument("second", metavar="[B]", required=False)
@data_root_option
@json_option
@click.pass_context
def overlap(ctx: click.Context, first: str, second: str | None, data_root: str | None, as_json: bool) -> None:
    """Name the images of A that show what an image of B shows: scaled, cropped, flipped, turned, or encoded anew.

    \b
    srbench data overlap photos              with every test set of the catalog
    srbench data overlap bsds200 set5
    srbench data overlap photos photos       doubles within one folder

    A and B are catalog names, folders, or several joined by +. Exit code 1 if there is any.
    """
    import time

    from srbench.datasets.local import find_datasets
    from srbench.datasets.overlaps import known, of_test_sets, overlaps

    begun = time.perf_counter()
    images = [one for found in find_datasets(first, data_root) for one in known(found)]
    others = images if second == first else of_test_sets(data_root)
    if second and second != first:
        others = [one for found in find_datasets(second, data_root) for one in known(found)]
    found = [one for one in overlaps(images, others) if second != first or one.image < one.shows]
    if as_json:
        print_json([{"image": one.image, "shows": one.shows, "says": one.describe()} for one in found])
    else:
        for one in found:
            click.echo(one.describe())
        seconds = time.perf_counter() - begun
        click.echo(
            f"{counted(len(images), 'image')} compared with {len(others):,} in {seconds:.1f} s: {counted(len(found), 'overlap')}",
            err=True,
        )
    if found:
        ctx.exit(1)


@command.command("prints")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--out", type=click.Path(file_okay=False), help="Another folder than the package's.")
@data_root_option
def prints(names: tuple[str, ...], out: str | None, data_root: str | None) -> None:
    """Write what sets of the catalog are known again by into the package, from their images.

    They hold no image: hashes of windows, and where these lie.
    """
    from pathlib import Path

    from srbench.datasets.catalog import get_dataset
    from srbench.datasets.local import find_dataset
    from srbench.datasets.overlaps import known, packed, shipped_file
    from srbench.files import write_bytes

    for entry in [get_dataset(name) for name in names]:
        images = find_dataset(entry.name, data_root)
        images.check()
        held = known(images, anew=True)
        path = shipped_file(entry.name, Path(out) if out else None)
        write_bytes(path, packed(held))
        click.echo(f"{entry.name}: {counted(len(held), 'image')} in {path} ({path.stat().st_size / 1000:.0f} kB)")


@command.command("lr")
@click.argument("out", type=click.Path(file_okay=False))
@click.option("--datasets", required=True, help="Catalog names or folders, comma-separated.")
@click.option("--scale", required=True, type=click.IntRange(2, 8), help="The upscaling factor.")
@click.option("--protocol", default="standard", show_default=True, help="A preset or a TOML file.")
@click.option(
    "--degradation", default="", help="In the place of the protocol's: bd, jpeg:quality=30 … (ls degradations)."
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of degradations that draw random numbers.")
@click.option("--with-hr", is_flag=True, help="Write HR as the protocol crops it, too.")
@data_root_option
def lr(
    out: str,
    datasets: str,
    scale: int,
    protocol: str,
    degradation: str,
    seed: int,
    with_hr: bool,
    data_root: str | None,
) -> None:
    """Write the LR images that a protocol means into OUT, for any other program to upscale.

    \b
    srbench data lr --datasets set14 --scale 4 out/
    other-program out/set14_x4 sr/
    srbench score --sr sr/ --hr set14 --scale 4 --lr out/set14_x4 --name Other

    A manifest beside the images says how they were made; ``score --lr`` reads it.
    """
    from pathlib import Path

    from srbench.cli._common import split_datasets
    from srbench.datasets.local import find_dataset
    from srbench.datasets.lr_out import with_degradation, write_lr
    from srbench.protocol import get_protocol

    chosen = with_degradation(get_protocol(protocol), degradation, seed)
    for spec in split_datasets(datasets):
        images = find_dataset(spec, data_root)
        images.check()
        folder = write_lr(images, scale, chosen, Path(out), with_hr=with_hr)
        click.echo(
            f"wrote {counted(len(images), 'LR image')} of {images.name} into {folder}: {chosen.degradation}, {chosen.id}"
        )


@command.command("subimages")
@click.argument("data", metavar="SETS")
@click.argument("out", type=click.Path(file_okay=False))
@click.option("--size", type=int, default=480, show_default=True, help="Side of a part, in HR pixels.")
@click.option("--step", type=int, help="From one part to the next [half the size].")
@click.option(
    "--lr", "scale", type=click.IntRange(2), help="Cut the LR images of this scale that lie beside the sets, too."
)
@click.option("--allow-overlap", is_flag=True, help="Keep images that show what test images show.")
@data_root_option
def subimages(
    data: str, out: str, size: int, step: int | None, scale: int | None, allow_overlap: bool, data_root: str | None
) -> None:
    """Cut the images of SETS into small overlapping PNGs in OUT/HR, which a training run decodes sooner than large ones.

    \b
    srbench data subimages div2k-train div2k-480
    srbench train edsr_baseline --data div2k-480/HR
    srbench data subimages photos photos-480 --lr 4   LR of the pairs in OUT/LR_x4

    SETS are catalog names or folders, joined with +. Images that show what a test image shows are left out, as in training:
    a part of one is no longer recognised for certain. The same command goes on where it was stopped.
    """
    import sys
    from pathlib import Path

    from srbench.datasets.subimages import Cut, check, cut
    from srbench.training.data.guard import guard
    from srbench.training.data.pairs import find_lr, misfit
    from srbench.training.data.sets import find_training_sets

    how = Cut(size=size, step=size // 2 if step is None else step, scale=scale or 0, compared=True)
    check(how)
    sets = find_training_sets(data, data_root)
    guarded = guard(sets, [path for images in sets for path in images.paths], [], data_root, allow_overlap)
    for line in guarded.lines():
        click.echo(line, err=True)
    lr = find_lr(sets, "beside", scale) if scale else {}
    how = how.model_copy(update={"overlaps": guarded.marks})
    with click.progressbar(length=len(guarded.train), label="cutting", file=sys.stderr) as bar:
        made = cut(guarded.train, Path(out), how, lr, lambda: bar.update(1), misfit)
    click.echo(
        f"{made.folder}: {counted(made.count, 'part')} of {counted(len(guarded.train), 'image')}, {made.bytes / 1e6:,.1f} MB"
    )
    if made.small:
        some = ", ".join(made.small[:3]) + (" …" if len(made.small) > 3 else "")
        click.echo(
            f"{counted(len(made.small), 'image')} with a side below {size} pixels, whose parts are smaller: {some}"
        )


@command.command("get")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@data_root_option
def get(names: tuple[str, ...], data_root: str | None) -> None:
    """Download sets and verify their sha256; files that are already here are kept.

    They go to the data root or, without one, to the download cache. A download that is cut off or wrong leaves nothing
    behind. If no source is known, you are told how to get the set by hand.
    """
    import sys

    from srbench.datasets.catalog import get_dataset
    from srbench.datasets.fetch import fetch
    from srbench.datasets.verify import verify

    entries = [get_dataset(name) for name in names]
    for entry in entries:
        folder = fetch(entry, data_root, progress=sys.stderr.isatty())
        found = verify(entry, data_root)
        click.echo(
            f"{entry.name}: {counted(found.found, 'image')} in {folder}, {found.status}, licence: {entry.licence}"
        )
        if found.status == "unverified":
            click.echo(f"{entry.name}: no sha256 of its images is known; over all of them it is {found.digest}")


@command.command("verify")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@data_root_option
@json_option
@click.pass_context
def verify(ctx: click.Context, names: tuple[str, ...], data_root: str | None, as_json: bool) -> None:
    """Read sets again and check their count and each sha256; exit code 1 if anything is wrong.

    A set whose hashes are not on record is "unverified": its count is checked, and the hash that it has is shown.
    """
    from dataclasses import asdict

    from srbench.datasets.catalog import get_dataset
    from srbench.datasets.verify import Verification
    from srbench.datasets.verify import verify as check

    found: list[Verification] = [check(get_dataset(name), data_root) for name in names]
    if as_json:
        print_json([{**asdict(one), "status": one.status, "ok": one.ok} for one in found])
    else:
        for one in found:
            _print_verification(one)
    if not all(one.ok for one in found):
        ctx.exit(1)


def _print_verification(found: Any) -> None:
    where = f" in {found.folder}" if found.folder else ""
    click.echo(f"{found.name}: {found.status}, {found.found} of {counted(found.expected, 'image')}{where}")
    if found.folder is None:
        return
    for path in found.missing:
        click.echo(f"  missing    {path}")
    for path in found.extra:
        click.echo(f"  extra      {path}")
    for path, expected, got in found.different:
        click.echo(f"  different  {path}: expected sha256 {expected}, got {got}")
    if found.recoded:
        click.echo(f"  {len(found.recoded)} encoded otherwise, with the same pixels: {', '.join(found.recoded[:3])} …")
    if found.reference == "none":
        click.echo("  unverified: the catalog has no sha256 of these images")
    click.echo(f"  sha256 over all images: {found.digest}")
