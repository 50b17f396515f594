"""``srbench zoo``: authors' weights with a card in zoo/published: which there are, and fetch them."""

from __future__ import annotations

import click

from srbench.cli._common import json_option, print_json, print_table


@click.group()
def command() -> None:
    """List and fetch authors' own weights, whose papers' figures they give."""


@command.command("ls")
@json_option
def ls(as_json: bool) -> None:
    """List the cards of zoo/published and whether the files are here.

    SRBENCH_CHECKPOINTS names a folder that holds some already, under any names; others are fetched by `srbench zoo get`.
    """
    from srbench.published import list_published, local_file

    rows = []
    for card in list_published():
        found = local_file(card)
        rows.append({**card.model_dump(mode="json"), "url": card.url, "where": str(found) if found else None})
    if as_json:
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
