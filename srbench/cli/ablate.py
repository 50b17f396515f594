"""``srbench ablate FILE.toml``: a grid of training runs into one table."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli._common import data_root_option, device_option, json_option, print_json


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--table", "only_table", is_flag=True, help="Train nothing: the table of what is there.")
@click.option("--threads", type=int, default=0, help="CPU threads [torch's default].")
@click.option(
    "--dirty", is_flag=True, help="Train although the package's files differ from their commit; cards say so."
)
@click.option("--skip-bad", is_flag=True, help="Leave out images that cannot be read; they are counted.")
@data_root_option
@device_option
@json_option
def command(
    file: Path,
    only_table: bool,
    threads: int,
    dirty: bool,
    skip_bad: bool,
    data_root: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Train every cell of the grid in FILE that is missing, and tabulate mean, spread between seeds and tests.

    \b
    recipe = "tuned"               # or a list, as of model, data, seed, steps
    model = ["fsrcnn", "espcn"]
    seed = [0, 1, 2]
    budget = "3m"                  # a cell; or steps
    within = ["model"]             # compare rows of the same network only
    [set]                          # recipe values of every cell
    val_data = "bsds200"           # so that all data are judged on the same
    [grid]                         # recipe key = values
    lr = [1e-3, 4e-3]

    Runs, checkpoints, table.md and table.json lie in runs/ablate-NAME. After Ctrl-C or a crash the same command goes on;
    a cell that failed is tried again. Started several times at once,
    the processes share the cells. A table.json as FILE is shown as it is. Rows of three seeds or more have a p, from a
    test over seeds and images.
    """
    from srbench.inference import pick_device
    from srbench.stats import seeded_test
    from srbench.training.after.ablate import AblationOutcome, ablate, cells, folder_of, outcomes, read_plan
    from srbench.training.after.table import as_json as json_of
    from srbench.training.after.table import make_rows, markdown, page, stored, write_table
    from srbench.training.loop.distributed import is_main
    from srbench.training.loop.options import RunOptions

    if file.suffix == ".json":
        held, within = stored(file)
        click.echo(page(file.stem, make_rows(held, seeded_test, within), within), nl=False)
        return
    plan = read_plan(file)
    planned = cells(plan, "cpu" if pick_device(device).type == "cpu" else "full")
    folder = folder_of(plan)

    def report(found: list[AblationOutcome]) -> None:
        write_table(folder, plan.name, found, seeded_test, plan.within)

    if only_table:
        found = outcomes(plan, planned)
    else:
        options = RunOptions(device=device, threads=threads, data_root=data_root, skip_bad=skip_bad, dirty=dirty)
        found = ablate(plan, planned, options, lambda text: click.echo(text, err=True), report)
    if not is_main():
        return
    if as_json:
        print_json(json_of(found, seeded_test, plan.within))
    else:
        click.echo(markdown(make_rows(found, seeded_test, plan.within)), nl=False)
    if not only_table:
        report(found)
        click.echo(f"wrote {folder / 'table.md'}", err=True)
    if failed := sum(not outcome.card for outcome in found) if not only_table else 0:
        click.echo(f"Error: {failed} of {len(found)} cells failed; their reasons stand in the table", err=True)
        click.get_current_context().exit(1)
