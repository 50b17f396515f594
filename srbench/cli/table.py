"""``srbench table``: a table for a paper, from the records."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli._common import split


@click.command()
@click.argument("models", nargs=-1)
@click.option("--all", "every", is_flag=True, help="The best checkpoint of each architecture, worst first.")
@click.option("--datasets", default="set5,set14", show_default=True, help="Columns, comma-separated.")
@click.option("--scale", type=click.IntRange(1), default=4, show_default=True, help="Of all columns.")
@click.option("--metrics", default="psnr,ssim", show_default=True, help="Columns of each dataset, comma-separated.")
@click.option("--protocol", default="standard", show_default=True, help="A protocol's name or id.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["latex", "md", "markdown", "csv", "html"]),
    default="md",
    show_default=True,
    help="markdown is md; latex needs booktabs; csv has unrounded numbers.",
)
@click.option("--published", is_flag=True, help="Published figures behind ours, in parentheses.")
@click.option("-o", "--out", type=click.Path(dir_okay=False), help="Write to this file.")
def command(
    models: tuple[str, ...],
    every: bool,
    datasets: str,
    scale: int,
    metrics: str,
    protocol: str,
    form: str,
    published: bool,
    out: str | None,
) -> None:
    """A table for a paper: MODELS (checkpoints, patterns, architectures) by datasets and metrics, from results/.

    \b
    srbench table --all --format latex --published
    srbench table bicubic fsrcnn --datasets set5,set14 --metrics psnr,ssim,lpips
    srbench table 'espcn_x4.*' --format csv -o espcn.csv

    The best of each column is bold, the second underlined; the protocol stands in the caption. Nothing is measured.
    """
    from srbench.files import write_text
    from srbench.reports import build_tables
    from srbench.reports.paper.table import paper_table, render
    from srbench.results import read_results
    from srbench.zoo import list_checkpoints

    if bool(models) == every:
        raise click.UsageError("name models, or give --all")
    tables = build_tables(read_results(), cards=list_checkpoints(), derive=False, own=bool(models))
    found = paper_table(
        tables,
        models,
        split(datasets),
        scale=scale,
        metrics=split(metrics),
        protocol=protocol,
        published=published,
    )
    text = render(found, "md" if form == "markdown" else form)
    if out:
        write_text(Path(out), text)
        click.echo(f"wrote {out}", err=True)
    else:
        click.echo(text, nl=False)
    lacking = [name for _, name, cells in found.rows if any(cell.value is None for cell in cells)]
    if lacking:
        click.echo(f"Note: some cells have no number: {', '.join(lacking)}", err=True)
