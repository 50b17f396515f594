"""Fills the documentation with what the code knows, when the site is built: tables, the commands' help, the API's names.

A page asks for it by a line ``<!-- generate: NAME -->``. An unknown name, or one that makes nothing, stops the build.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from mkdocs.exceptions import PluginError

from srbench.markdown import Markup, table

ROOT = Path(__file__).resolve().parent.parent
_MARKER = re.compile(r"^<!-- generate: ([a-z-]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """MkDocs calls this for each page; see its manual, *Events*."""

    def fill(match: re.Match[str]) -> str:
        maker = MAKERS.get(match[1])
        if maker is None:
            raise PluginError(f"{page.file.src_uri}: nothing is called {match[1]!r}; known: {', '.join(MAKERS)}")
        text = maker()
        if not text.strip():
            raise PluginError(f"{page.file.src_uri}: {match[1]} is empty")
        return text

    return _MARKER.sub(fill, markdown)


def _grid(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose cells are Markdown written here, or text of the package's own."""
    return table(heads, [[Markup(str(cell).replace("|", r"\|")) for cell in row] for row in rows])


def layers() -> str:
    """The import table that tests/test_architecture.py enforces, read from that test, with what each part says it is."""
    package = ROOT / "srbench"
    rows = [(f"`{part}`", _first_line(package / part), _names(row)) for part, row in _literal("MAY_IMPORT").items()]
    return _grid(["part", "what it is", "may import"], rows)


def rooms() -> str:
    """The rooms of training and which of the others each may use, from the same test."""
    training = ROOT / "srbench" / "training"
    rows = [(f"`{room}`", _first_line(training / room), _names(row)) for room, row in _literal("ROOMS").items() if room]
    return _grid(["room", "what it is", "may use"], rows)


def _literal(name: str) -> dict[str, str]:
    tree = ast.parse((ROOT / "tests/test_architecture.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    raise PluginError(f"tests/test_architecture.py has no table {name}")


def _names(row: str) -> str:
    return ", ".join(f"`{name}`" for name in row.split()) or "–"


def _first_line(part: Path) -> str:
    """The first sentence of a module's or package's docstring, as Markdown."""
    file = part / "__init__.py" if part.is_dir() else part.with_suffix(".py")
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=[.;])\s|\n\n", said.replace("``", "`"))[0].replace("\n", " ").rstrip(".:;")


def protocols() -> str:
    """The presets with what they measure and what they compare with."""
    from srbench.protocol import COMPARABLE, PRESETS

    def scales(protocol: Any) -> str:
        return ", ".join(f"×{scale}" for scale in protocol.scales or ()) or "all"

    rows = [(f"`{p.id}`", p.describe(), scales(p), COMPARABLE[name]) for name, p in PRESETS.items()]
    return _grid(["id", "what is measured", "scales", "comparable with"], rows)


def degradations() -> str:
    """The registered degradations with their parameters and sources."""
    from srbench.degradations import DEGRADATIONS

    def row(one: Any) -> Iterator[object]:
        given = ",".join(f"{key}={value:g}" for key, value in one.parameters.items())
        yield from (f"`{one.name}{':' if given else ''}{given}`", one.summary, one.source)

    return _grid(["degradation", "what it does", "source"], [tuple(row(one)) for one in DEGRADATIONS])


def protocol_fields() -> str:
    """The fields of a protocol's TOML file with their defaults."""
    from srbench.protocol import Protocol

    fields = [(name, field) for name, field in Protocol.model_fields.items() if name != "name"]
    return _grid(["field", "default"], [(f"`{name}`", f"`{field.default!r}`") for name, field in fields])


def models() -> str:
    """Every registered architecture with its paper and exact size."""
    from srbench.models import MODELS

    def row(model: Any) -> Iterator[object]:
        sizes = dict(model.parameters)
        yield f"`{model.name}`"
        yield f"[{model.paper.title}]({model.paper.url}) ({model.paper.year})" if model.paper else "–"
        yield {"y": "Y", "rgb": "RGB"}[model.channels]
        yield ", ".join(f"×{scale}" for scale in model.scales)
        yield ", ".join(f"{count:,}" for count in dict.fromkeys(sizes.values())) or "0"

    return _grid(["model", "paper", "channels", "scales", "parameters"], [list(row(model)) for model in MODELS])


def metrics() -> str:
    """Every registered metric with its direction and source."""
    from srbench.metrics import METRICS

    rows = [
        (
            f"`{m.name}`",
            m.summary,
            m.unit or "–",
            "↑" if m.higher_is_better else "↓",
            {"channel": "the protocol's channel", "rgb": "8-bit RGB"}[m.space],
            m.minimum,
            m.version,
            m.source,
            m.licence or "–",
        )
        for m in METRICS
    ]
    heads = [
        "metric",
        "what it is",
        "unit",
        "better",
        "sees",
        "least size",
        "version",
        "source",
        "licence of its weights",
    ]
    return _grid(heads, rows)


def datasets() -> str:
    """The catalogue of sets of images."""
    from srbench.datasets.catalog import CATALOG

    rows = [(f"`{d.name}`", d.title, d.count, d.split, f"[{d.licence}]({d.homepage})") for d in CATALOG.values()]
    return _grid(["dataset", "images", "count", "split", "licence"], rows)


def commands() -> str:
    """The help of every command, as a terminal shows it."""
    from srbench.cli import main

    def walk(group: click.Group, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        for name in group.list_commands(click.Context(group)):
            command = group.get_command(click.Context(group), name)
            if command is not None:
                yield (*names, name), command
                if isinstance(command, click.Group):
                    yield from walk(command, (*names, name))

    parts = []
    for names, command in walk(main, ("srbench",)):
        text = command.get_help(click.Context(command, info_name=" ".join(names), max_content_width=100))
        parts.append(f"{'#' * len(names)} {' '.join(names)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def door() -> str:
    """A directive of mkdocstrings for each name that ``import srbench`` gives."""
    import srbench

    names = [name for name in srbench.__all__ if not name.startswith("__")]
    return "\n".join(f"::: srbench.{name}\n" for name in names)


MAKERS: dict[str, Callable[[], str]] = {
    "layers": layers,
    "rooms": rooms,
    "protocols": protocols,
    "degradations": degradations,
    "protocol-fields": protocol_fields,
    "models": models,
    "metrics": metrics,
    "datasets": datasets,
    "commands": commands,
    "door": door,
}
