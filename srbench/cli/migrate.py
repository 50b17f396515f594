"""``srbench migrate``: give records of an earlier srbench what records have today."""

from __future__ import annotations

import click


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a record has no checksum.")
def command(check: bool) -> None:
    """Give older records their checksum, and verify those that have one.

    \b
    srbench migrate              results/, the cards and ablations of zoo/
    srbench migrate --check      for CI: has every record its checksum?

    A record whose content is not what its checksum says is named and left as it is: measure it anew, or take the file from a
    copy. The command fails then.
    """
    from srbench.errors import SrbenchError
    from srbench.home import home
    from srbench.migration import migrate

    root = home()
    done = migrate(root, write=not check)
    for line in done.broken:
        click.echo(f"Broken: {line}", err=True)
    without = len(done.sealed)
    click.echo(f"{done.sound} records had their checksum, {without} {'have none' if check else 'got one'}")
    if done.broken:
        raise SrbenchError(f"{len(done.broken)} of the records are broken")
    if check and without:
        raise SrbenchError(f"{without} records have no checksum, such as {done.sealed[0]}; run `srbench migrate`")
