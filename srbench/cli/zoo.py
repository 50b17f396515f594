"""``srbench zoo``: weights that others trained: authors' own with a card in zoo/published, and any file, imported."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli._common import json_option, print_json, print_table


@click.group()
def command() -> None:
    """List and fetch authors' own weights, and import any others into the zoo."""


@command.command("ls")
@json_option
def ls(as_json: bool) -> None:
    """List the cards of zoo/published and whether the files are here; then what was imported.

    SRBENCH_CHECKPOINTS names a folder that holds some already, under any names; others are fetched by `srbench zoo get`.
    """
    from srbench.published import list_published, local_file
    from srbench.zoo import NOT_STATED, list_checkpoints

    rows = []
    for card in list_published():
        found = local_file(card)
        rows.append({**card.model_dump(mode="json"), "url": card.url, "where": str(found) if found else None})
    imported = [(card, card.imported) for card in list_checkpoints() if card.imported]
    if as_json:
        rows += [card.model_dump(mode="json") for card, _ in imported]
        print_json(rows)
        return
    cells = [
        [
            row["name"],
            row["display"],
            ", ".join(f"x{scale}" for scale in row["scales"]),
            f"{row['bytes'] / 1e6:.2f} MB",
            row["licence"],
            len(row["figures"]),
            row["where"] or f"srbench zoo get {row['name']}",
        ]
        for row in rows
    ]
    print_table("", ("name", "network", "scales", "size", "licence", "figures", "where"), cells)
    if imported:
        lines = [
            [card.name, origin.file, origin.sha256[:16], origin.licence or NOT_STATED, origin.trained_on or NOT_STATED]
            for card, origin in imported
        ]
        print_table("\nImported:", ("checkpoint", "file", "its sha256", "licence", "trained on"), lines)


@command.command("get")
@click.argument("names", nargs=-1, required=True)
def get(names: tuple[str, ...]) -> None:
    """Download authors' weights from their own repository, at a fixed commit, and verify them.

    Then `srbench eval NAME --datasets set5` measures them. The licence is the authors'; see `srbench zoo ls`.
    """
    from srbench.published import fetch, find_published

    for card in [find_published(name) for name in names]:
        path = fetch(card.name, progress=True)
        click.echo(f"{card.name}: {path} (sha256 {card.sha256[:16]}…, licence: {card.licence})")
        if card.notes:
            click.echo(f"  {card.notes}")


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--name", required=True, help="What to call it: the part after the dot, or the whole, such as edsr_x4.official."
)
@click.option("--url", default="", help="Where the file is to be had.")
@click.option("--citation", default="", help="Of the paper or project.")
@click.option("--licence", default="", help="Of the weights.")
@click.option("--recipe", default="", metavar="TEXT", help="How they were trained, as their source says.")
@click.option(
    "--trained-on",
    multiple=True,
    metavar="SET",
    help="Sets they were trained on: catalog names, which are compared with test sets, or any text.",
)
@click.option("--scale", type=click.IntRange(1), help="The upscaling factor, where the file leaves it open.")
@click.option("--model", metavar="NAME", help="The architecture, where several fit.")
@click.option("--channels", type=click.Choice(["y", "rgb"]), help="What the network works on.")
@click.option(
    "--option", "options", multiple=True, metavar="KEY=VALUE", help="Of the architecture, where shapes do not say it."
)
@click.option(
    "--range", "white", type=click.Choice(["1", "255"]), help="What white is for the network, where it is not found."
)
@click.option("--key", default="", metavar="NAME", help="Which state dict of the file, where it holds several.")
@click.option("--zoo", type=click.Path(file_okay=False, path_type=Path), help="Zoo folder [zoo/].")
@click.option("--overwrite", is_flag=True, help="Replace a checkpoint of the same name.")
@json_option
def import_(
    file: Path,
    name: str,
    url: str,
    citation: str,
    licence: str,
    recipe: str,
    trained_on: tuple[str, ...],
    scale: int | None,
    model: str | None,
    channels: str | None,
    options: tuple[str, ...],
    white: str | None,
    key: str,
    zoo: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make a checkpoint of the zoo of FILE, weights of any origin whose architecture srbench has.

    \b
    srbench zoo import EDSR_x4.pth --name official \\
      --trained-on div2k-train --licence MIT
    srbench eval edsr_x4.official --datasets set5
    srbench train edsr_x4.official --data photos --name mine

    The card says what the file was taken for and what was done to it, and what you state of its source. Without --trained-on,
    or with sets whose images are not known here, each record says that nobody can tell whether it has seen the test images.
    """
    from srbench.cli._subjects import read_pairs
    from srbench.datasets.catalog import CATALOG
    from srbench.errors import nearest
    from srbench.importing import Statement, import_weights
    from srbench.weights.recognise import Wanted
    from srbench.zoo import NOT_STATED

    said = Statement(url, citation, licence, recipe, trained_on)
    wanted = Wanted(scale, model, channels, read_pairs(options, "--option"), float(white) if white else None)
    card = import_weights(file, name, said, wanted=wanted, key=key, zoo=zoo, overwrite=overwrite)
    assert card.imported is not None
    if as_json:
        print_json(card.model_dump(mode="json"))
        return
    click.echo(f"{card.name}: written to the zoo")
    for line in (*card.imported.report, *card.imported.doubts):
        click.echo(f"  {line}")
    click.echo(
        f"  licence: {card.imported.licence or NOT_STATED}; trained on: {card.imported.trained_on or NOT_STATED}"
    )
    for unknown in card.untold if card.imported.trained_on else ():
        guess = nearest(unknown.partition(",")[0].lower(), CATALOG)
        click.echo(f"  {unknown}" + (f" (did you mean {guess!r}?)" if guess else ""))
