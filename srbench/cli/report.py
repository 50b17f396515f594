"""``srbench report``: render reports/ from results/, or say what is stale."""

from __future__ import annotations

import click

from srbench.cli._common import json_option, print_json


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 and name what is stale.")
@json_option
def command(check: bool, as_json: bool) -> None:
    """Render reports/ and the README's excerpt from the records in results/.

    \b
    srbench report               leaderboard.md, index.html and figures/ in reports/
    srbench report --check       for CI: are they up to date?
    srbench report --json        the leaderboard's rows, unrounded

    A record that is broken, or whose content is not what its checksum says, is named and left out, and the command fails.
    Works without torch; --json writes no file.
    """
    from srbench.errors import SrbenchError
    from srbench.home import home
    from srbench.reports import stale_files, write_reports
    from srbench.reports.files import read_source
    from srbench.reports.plain import leaderboard_rows

    root = home()
    broken: list[SrbenchError] = []
    stale: list[str] = []
    if check:
        stale = [str(path.relative_to(root)) for path in stale_files(root=root, broken=broken)]
    if as_json:
        print_json(leaderboard_rows(read_source(root=root, broken=broken).tables))
    elif not check:
        for path in write_reports(root=root, redraw=True, broken=broken):
            click.echo(f"wrote {path}")
    for line in dict.fromkeys(map(str, broken)):
        click.echo(f"Left out: {line}", err=True)
    if broken:
        raise SrbenchError(f"{len(set(map(str, broken)))} of the records are broken")
    if stale:
        raise SrbenchError(f"stale: {', '.join(stale)}; run `srbench report`")
