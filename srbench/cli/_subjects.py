"""Options by which every command names what is measured, and says how it is applied."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from srbench.errors import InputError
from srbench.inference import DEFAULTS, Inference, options

if TYPE_CHECKING:
    from srbench.subjects import OptionValue

Command = Callable[..., Any]
AUTO = "auto"

_NAMING = (
    click.option(
        "--weights", type=click.Path(dir_okay=False), help="A file of weights, for the class or model that is named."
    ),
    click.option("--model", "architecture", metavar="NAME", help="The architecture of a file of weights."),
    click.option("--channels", type=click.Choice(["y", "rgb"]), help="What a file or class of your own works on."),
    click.option(
        "--option", "constructor", multiple=True, metavar="KEY=VALUE", help="For a class's or model's constructor."
    ),
    click.option("--key", metavar="NAME", help="Which state dict of a file of weights, where it holds several."),
    click.option(
        "--trait",
        "traits",
        multiple=True,
        metavar="NAME=VALUE",
        help="What a file or class does not say of itself: range=255, bgr=true, multiple_of=8, pre_upsampled=true …",
    ),
)


def subject_options(command: Command) -> Command:
    """Options that say what a text names; the command takes them as ``named``, a mapping of ``SubjectOptions``."""

    @functools.wraps(command)
    def run(weights: str | None, architecture: str | None, channels: str | None, key: str | None, **given: Any) -> Any:
        named: dict[str, object] = {"weights": weights, "model": architecture, "channels": channels, "key": key}
        named["options"] = read_pairs(given.pop("constructor"), "--option")
        named["traits"] = read_pairs(given.pop("traits"), "--trait")
        return command(**given, named={name: value for name, value in named.items() if value})

    for option in reversed(_NAMING):
        run = option(run)
    return run


def inference_options(command: Command) -> Command:
    """An option for each field of ``Inference``; the command takes the whole as ``inference``."""

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        asked = {}
        for name, option in options().items():
            asked[name] = given.pop(name)
            if option.formerly and (former := given.pop(f"former_{name}")) not in (None, False):
                hint(option.formerly, f"--{name}")
                asked[name] = former
        return command(**given, inference=Inference.of(asked))

    for name, option in reversed(options().items()):
        default = "auto" if name == "device" else DEFAULTS[name]
        kind: Any = {"type": click.IntRange(0)}
        if isinstance(default, bool):
            kind = {"is_flag": True}
        elif isinstance(default, str):
            choices = click.Choice([default, *map(str, option.words.values())]) if option.words else str
            kind = {"type": choices, "show_default": True}
        run = click.option(f"--{name}", name, default=default, help=option.help, **kind)(run)
        if option.formerly:
            run = click.option(option.formerly, f"former_{name}", default=None, hidden=True, **kind)(run)
    return run


class _TileEdge(click.IntRange):
    """A whole number from 0, or ``auto``."""

    name = "integer or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == AUTO else super().convert(value, param, ctx)


def automatic_tiles(command: Command) -> Command:
    """``--tile auto`` for a command with ``inference_options``, above which it stands; the command takes ``automatic``."""

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        automatic = given["tile"] == AUTO
        return command(**{**given, "tile": 0 if automatic else given["tile"]}, automatic=automatic)

    made: Any = run
    option = next(one for one in made.__click_params__ if one.name == "tile")
    option.type, option.help = _TileEdge(0), f"{option.help.rstrip('.')}; auto: as large as memory allows."
    return run


def hint(former: str, now: str) -> None:
    """Say that an option has another name now; the former one goes on working."""
    click.echo(f"Note: {former} is {now} now", err=True)


def read_pairs(given: Iterable[str], option: str) -> dict[str, OptionValue | list[float]]:
    """``KEY=VALUE`` texts; a value is read as JSON where it is some, else it is text.

    Args:
        given: such as ``width=64``, ``skip=bicubic`` or ``mean=[103.5, 116.3, 123.7]``.
        option: that they were given with.

    Raises:
        InputError: a text of another form, or JSON that is no number, truth value, text or list of numbers.
    """
    found: dict[str, OptionValue | list[float]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(f"{option} {text!r}: expected KEY=VALUE such as width=64")
        try:
            read = json.loads(value)
        except ValueError:
            read = value
        if isinstance(read, list) and all(isinstance(one, int | float) for one in read):
            read = [float(one) for one in read]
        elif not isinstance(read, str | int | float | bool | None):
            raise InputError(f"{option} {text!r}: expected a number, true, false, null, text or a list of numbers")
        if any(
            isinstance(one, float) and not math.isfinite(one) for one in (read if isinstance(read, list) else [read])
        ):
            raise InputError(f"{option} {text!r}: expected a finite number")
        found[key] = read
    return found
