"""``srbench selftest``: does this installation measure what the field measures?"""

from __future__ import annotations

import click

from srbench.cli._common import data_root_option, json_option, print_json, print_table


@click.command()
@data_root_option
@json_option
@click.option("--published", is_flag=True, help="Authors' weights against the figures of their papers instead.")
@click.option(
    "--weights", type=click.Path(exists=True, file_okay=False), help="Folder of authors' weights, for --published."
)
@click.option("--allow-missing", is_flag=True, help="Exit 0 although some checks lack their data.")
def command(data_root: str | None, as_json: bool, published: bool, weights: str | None, allow_missing: bool) -> None:
    """Bicubic against published figures, LR against MATLAB's files, metrics against known values.

    Needs no trained weights. Exit code 0 only if every check passes; a check without its data does not pass
    (`srbench data get set5` and `set14` bring it), unless --allow-missing is given.

    With --published, every file of authors' weights that is at hand (`srbench zoo get`, or --weights DIR) is measured and
    compared with what its paper prints: 0.01 dB and 0.0002 SSIM are allowed, or a written reason.
    """
    from dataclasses import asdict

    if weights and not published:
        raise click.UsageError("--weights is the folder of authors' weights: add --published")
    if published:
        _published(weights, data_root, as_json)
        return

    from srbench.evaluation.selftest import checks

    done = list(checks(data_root))
    words = {True: "ok", False: "WRONG", None: "missing"}
    if as_json:
        print_json([asdict(check) for check in done])
    else:
        rows = [[check.what, check.expected, check.found, words[check.ok]] for check in done]
        print_table("selftest", ["check", "expected", "found", ""], rows)
    wrong = sum(check.ok is False for check in done)
    missing = sum(check.ok is None for check in done)
    if not as_json:
        click.echo(f"{len(done) - wrong - missing} hold, {wrong} do not, {missing} could not be made")
    if wrong or (missing and not allow_missing):
        click.get_current_context().exit(1)


def _published(weights: str | None, data_root: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    from srbench.evaluation.authors import Row, rows

    done: list[Row] = []
    reasons: dict[str, int] = {}
    lines = []
    for row in rows(weights, data_root):
        done.append(row)
        mark = f"[{reasons.setdefault(row.reason, len(reasons) + 1)}]" if row.reason else ""
        lines.append([*_cells(row), {True: "ok", False: "WRONG", None: ""}[row.ok] + mark])
    if as_json:
        print_json([asdict(row) for row in done])
    else:
        heads = ["checkpoint", "set", "published", "measured", "Δ dB", "Δ SSIM", "protocol that fits", ""]
        print_table("authors' weights against the figures of their papers", heads, lines)
        for reason, number in reasons.items():
            click.echo(f"[{number}] {reason}")
        hold, wrong = (sum(row.ok is state for row in done) for state in (True, False))
        explained = len(done) - hold - wrong
        click.echo(f"{hold} hold, {wrong} do not, {explained} have nothing to compare with or a written reason")
    if any(row.ok is False for row in done):
        click.get_current_context().exit(1)


def _cells(row: object) -> list[str]:
    from srbench.evaluation.authors import Row

    assert isinstance(row, Row)

    def pair(values: tuple[float | None, float | None], psnr: int) -> str:
        return " / ".join("–" if v is None else f"{v:.{digits}f}" for v, digits in zip(values, (psnr, 4), strict=True))

    def delta(index: int, digits: int) -> str:
        measured, published = row.measured[index], row.published[index]
        return "–" if measured is None or published is None else f"{measured - published:+.{digits}f}"

    where = f"{row.dataset} ×{row.scale}" if row.dataset else ""
    fits = (
        row.protocol
        if row.ok or row.published == (None, None)
        else f"none ({row.protocol} tried)"
        if row.protocol
        else ""
    )
    return [row.checkpoint, where, pair(row.published, 2), pair(row.measured, 3), delta(0, 3), delta(1, 4), fits]
