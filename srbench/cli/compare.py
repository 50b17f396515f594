"""``srbench compare``: models on the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from srbench.cli._common import Finite, json_option, print_json

if TYPE_CHECKING:
    from srbench.reports.tables.comparison import Comparison


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--dataset", default="set14", show_default=True, help="A dataset that all were measured on.")
@click.option("--metric", default="psnr", show_default=True, help="A metric that all were measured with.")
@click.option("--scale", type=click.IntRange(1), help="Needed only where all were measured at several scales.")
@click.option("--protocol", default="standard", show_default=True, help="A protocol's name or id.")
@click.option(
    "--apart",
    type=Finite(0, min_open=True),
    help="A difference that matters, such as 0.05: how many images tell it apart?",
)
@json_option
def command(
    models: tuple[str, ...],
    dataset: str,
    metric: str,
    scale: int | None,
    protocol: str,
    apart: float | None,
    as_json: bool,
) -> None:
    """Compare two or more MODELS image by image, from the records in results/.

    \b
    srbench compare fsrcnn_x4.tuned espcn_x4.tuned --dataset set14 --metric psnr
    srbench compare edsr_baseline srresnet rrdb_s     the best checkpoint of each
    srbench compare 'srgan_x4.*' srresnet_x4.tuned-nearest --metric lpips
    srbench compare mynet.py:MyNet bicubic --dataset set5

    Prints the mean difference to the best with its 95 % interval, the p of the Wilcoxon signed-rank test (of several models
    raised by Holm's method), effect sizes, and each image. Where the images are too few for the difference found, or for that of
    --apart, it says how many would do (power of 80 %, simulated from the differences image by image).
    """
    from srbench.cli._tables import columns_of_terminal
    from srbench.door import recorded_names
    from srbench.reports.tables.comparison import compare, rank_all
    from srbench.reports.terminal_compare import render_comparison, render_ranking
    from srbench.results import read_results

    results = read_results()
    names = recorded_names(results, models, dataset, scale, protocol)
    if len(names) < 2:
        raise click.UsageError("name two models or more")
    if len(names) == 2:
        found = compare(results, names[0], names[1], dataset, metric, scale, protocol, apart)
        if as_json:
            print_json(_plain(found))
        else:
            click.echo(render_comparison(found), nl=False)
        return
    ranking = rank_all(results, names, dataset, metric, scale, protocol, apart)
    if as_json:
        others = [_plain(other) | {"holm": p} for other, p in zip(ranking.others, ranking.holm, strict=True)]
        print_json({"best": ranking.best, "others": others})
    else:
        click.echo(render_ranking(ranking, columns_of_terminal()), nl=False)


def _plain(found: Comparison) -> dict[str, object]:
    """The comparison as JSON has it, with infinity as text and the verdict."""
    from dataclasses import asdict

    from srbench.reports.plain import plain

    record: dict[str, object] = {
        key: plain(value) for key, value in asdict(found).items() if key not in ("images", "interval")
    }
    record["interval"] = list(found.interval) if found.interval else None
    record["images"] = [{"image": name, "a": plain(x), "b": plain(y)} for name, x, y in found.images]
    return record | {"verdict": found.verdict, "warning": found.warning}
