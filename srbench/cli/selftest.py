"""``srbench selftest``: does this installation measure what the field measures?"""

from __future__ import annotations

import click

from srbench.cli._common import data_root_option, json_option, print_json, print_table


@click.command()
@data_root_option
@json_option
@click.option("--allow-missing", is_flag=True, help="Exit 0 although some checks lack their data.")
def command(data_root: str | None, as_json: bool, allow_missing: bool) -> None:
    """Bicubic against published figures, LR against MATLAB's files, metrics against known values.

    Needs no trained weights. Exit code 0 only if every check passes; a check without its data does not pass
    (`srbench data get set5` and `set14` bring it), unless --allow-missing is given.
    """
    from dataclasses import asdict

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
