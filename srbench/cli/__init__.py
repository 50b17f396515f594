"""The command line: one short file a command, each with a click command named ``command``; heavy imports inside it.

Errors become one line on standard error and exit code 1 here and nowhere else; a usage error is exit code 2.
"""

from __future__ import annotations

import importlib
import io
import os
import pkgutil
import struct
import sys
import warnings
from pathlib import PurePath
from typing import Any, TextIO

import click

from srbench import __version__
from srbench.errors import SrbenchError, nearest


class Commands(click.Group):
    """A group whose commands are the modules of this package; a module is imported when its command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        names = [m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")]
        return sorted(name.rstrip("_").replace("_", "-") for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        stem = cmd_name.replace("-", "_")
        module = importlib.import_module(f"{__name__}.{stem}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            guess = nearest(args[0], self.list_commands(ctx))
            hint = f" Did you mean {guess!r}?" if guess else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(1)
        except Exception as error:
            line = one_line(error)
            if line is None or (ctx.obj and ctx.obj.get("debug")):
                raise
            click.echo(f"Error: {' '.join(line.split())}", err=True)
            ctx.exit(1)


# What a file, a name or a machine can cause anywhere; whoever reads a file names it, and this is the net below them. Any other
# exception is a fault of ours and keeps its traceback.
_CAUSES: dict[type[Exception], str] = {
    UnicodeError: "text that cannot be read or written here",
    RecursionError: "nested too deeply",
    OverflowError: "a number that is too large",
    MemoryError: "the memory does not suffice",
    struct.error: "the file is damaged",
}


def one_line(error: Exception) -> str | None:
    """What to tell the user of an exception; None for one that nobody but us can mend."""
    if isinstance(error, SrbenchError):
        return str(error)
    if isinstance(error, ImportError):
        missing = (error.name or "").partition(".")[0]
        if missing in ("", __name__.partition(".")[0]):
            return None
        return f"this command needs {missing}, which cannot be imported here ({error})"
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or file_in_work(error) or '(no file)'}"
    for kind, cause in _CAUSES.items():
        if isinstance(error, kind):
            place = file_in_work(error)
            return f"{place + ': ' if place else ''}{cause} ({type(error).__name__}: {str(error)[:200]})"
    return None


def file_in_work(error: Exception) -> str:
    """The file that was being worked on when an exception without a file's name came up; empty where none is known.

    It is what the innermost of our own functions calls its ``path``, ``file`` or ``folder``.
    """
    found = ""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_globals.get("__name__", "").startswith("srbench."):
            values = (frame.f_locals.get(name) for name in ("path", "file", "folder"))
            named = next((str(value) for value in values if isinstance(value, str | PurePath)), "")
            found = named or found
        trace = trace.tb_next
    return found


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning of ours is for the user, in one line; another's names the place that has to be looked at."""
    ours = f"{os.sep}srbench{os.sep}" in filename and category is UserWarning
    text = f"warning: {message}\n" if ours else warnings.formatwarning(message, category, filename, lineno, line)
    click.echo(text, file=file, err=file is None, nl=False)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="srbench")
@click.option("--debug", is_flag=True, help="Show the whole traceback of an error.")
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    metavar="N",
    help="Refuse images of more pixels (SRBENCH_MAX_PIXELS; 50000000 without it).",
)
@click.pass_context
def main(ctx: click.Context, debug: bool, max_pixels: int | None) -> None:
    """Single-image super-resolution models, trained, measured and compared under one protocol.

    \b
    srbench selftest                           bicubic, metrics: known values
    srbench eval --all --datasets set5,set14   measure; see reports/leaderboard.md
    srbench train fsrcnn                       train a model into zoo/
    srbench score --sr DIR --hr DIR --scale 4  measure another program's images
    """
    from srbench.process import set_up_process

    ctx.obj = {"debug": debug}
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):  # a name of any bytes can be shown, and by a terminal of any encoding
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if max_pixels is not None:  # in the environment, where processes that a command starts find it as well
        os.environ["SRBENCH_MAX_PIXELS"] = str(max_pixels)
    set_up_process()
