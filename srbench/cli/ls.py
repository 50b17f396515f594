"""``srbench ls``: what there is to choose from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from srbench.cli._common import json_option, print_json, print_table
from srbench.errors import InputError
from srbench.files import listed

if TYPE_CHECKING:
    from srbench.metrics import Metric

Rows = list[dict[str, Any]]


def _matches(name: str, pattern: str) -> bool:
    from fnmatch import fnmatch

    return fnmatch(name, pattern)


def _models(pattern: str) -> Rows:
    from srbench.models import MODELS
    from srbench.zoo import list_checkpoints

    trained: dict[str, list[str]] = {}
    for card in list_checkpoints():
        trained.setdefault(card.model, []).append(card.name)
    return [
        {
            "name": model.name,
            "year": model.paper.year,
            "paper": model.paper.title,
            "url": model.paper.url,
            "channels": "any" if model.interpolator else model.channels,
            "scales": list(model.scales),
            "further_scales": list(model.further),
            "parameters": {f"x{scale}": model.parameters[scale] for scale in model.scales},
            "options": dict(model.options),
            "checkpoints": trained.get(model.name, []),
        }
        for model in MODELS
        if _matches(model.name, pattern)
    ]


def _state(metric: Metric) -> str:
    """``ready``, or why it has no number here and what to do."""
    from srbench.errors import UnavailableError

    try:
        if metric.ready is not None:
            metric.ready()
    except UnavailableError as error:
        return f"{error.status}: {error.reason}"
    return "ready"


def _metrics(pattern: str) -> Rows:
    from srbench.metrics import METRICS

    return [
        {
            "name": metric.name,
            "unit": metric.unit,
            "better": "higher" if metric.higher_is_better else "lower",
            "sees": metric.space,
            "needs": sorted(metric.needs),
            "minimum": metric.minimum,
            "version": metric.version,
            "state": _state(metric),
            "summary": metric.summary,
            "source": metric.source,
            "licence": metric.licence,
        }
        for metric in METRICS
        if _matches(metric.name, pattern)
    ]


def _datasets(pattern: str) -> Rows:
    from srbench.datasets.catalog import CATALOG

    return [
        {
            "name": entry.name,
            "split": entry.split,
            "images": entry.count,
            "protocol": entry.default_protocol,
            "licence": entry.licence,
            "title": entry.title,
            "homepage": entry.homepage,
        }
        for entry in CATALOG.values()
        if _matches(entry.name, pattern)
    ]


def _checkpoints(pattern: str) -> Rows:
    from srbench.zoo import NOT_STATED, list_checkpoints

    return [
        {
            "name": card.name,
            "model": card.model,
            "scales": card.scales,
            "channels": card.channels,
            "parameters": card.parameters,
            "options": card.options,
            "trained on": " + ".join(card.trained_on.split("+")) or NOT_STATED,
            "steps": None if card.imported else card.steps,
            "precision": card.precision,
            "seed": None if card.imported else card.seed,
            "sha256": card.sha256,
            "created": card.created,
        }
        for card in list_checkpoints(pattern)
    ]


def _protocols(pattern: str) -> Rows:
    from srbench.protocol import PRESETS

    return [
        {"name": name, "id": protocol.id, "what": protocol.describe()}
        for name, protocol in PRESETS.items()
        if _matches(name, pattern)
    ]


def _degradations(pattern: str) -> Rows:
    from srbench.degradations import DEGRADATIONS

    return [
        {
            "name": one.name,
            "parameters": ", ".join(f"{key}={value:g}" for key, value in one.parameters.items()),
            "scales": one.scales or "any",
            "random": one.random,
            "version": one.version,
            "what": one.summary,
            "source": one.source,
        }
        for one in DEGRADATIONS
        if _matches(one.name, pattern)
    ]


def _composites(pattern: str) -> Rows:
    from srbench.composites import list_composites

    return [
        {
            "name": one.name,
            "version": one.version,
            "better": "higher" if one.higher_is_better else "lower",
            "formula": one.formula,
            "needs": ", ".join(f"{name}: {what}" for name, what in one.asked.items()),
            "summary": one.summary,
            "source": one.source,
        }
        for one in list_composites()
        if _matches(one.name, pattern)
    ]


def _recipes(pattern: str) -> Rows:
    import tomllib

    from srbench.training.recipe.load import recipe_folders

    rows: Rows = []
    for folder in recipe_folders():
        for path in listed(folder, "*.toml"):
            model = path.stem.rpartition(".")[0]
            if not _matches(path.stem, pattern) or any(row["name"] == path.stem for row in rows):
                continue
            try:
                values = tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise InputError(f"recipe {path} is not TOML: {error}") from None
            facts = {key: values.get(key) for key in ("data", "scale", "steps", "skip", "loss")}
            rows.append({"name": path.stem, "for": model or "every model", **facts, "file": str(path)})
    return rows


_KINDS: dict[str, Callable[[str], Rows]] = {
    "models": _models,
    "metrics": _metrics,
    "composites": _composites,
    "datasets": _datasets,
    "checkpoints": _checkpoints,
    "protocols": _protocols,
    "degradations": _degradations,
    "recipes": _recipes,
}
_ONLY_IN_JSON = {"url", "further_scales", "options", "homepage", "source", "sha256", "file", "licence"}


@click.command()
@click.argument("kind", required=False, type=click.Choice(list(_KINDS)))
@click.argument("pattern", default="*")
@json_option
def command(kind: str | None, pattern: str, as_json: bool) -> None:
    """List what there is of a KIND, all or the names that match a shell PATTERN such as '*srcnn*'; without KIND, the kinds.

    \b
    srbench ls              the kinds, and how many there are of each
    srbench ls models       parameters per scale, and what is trained
    srbench ls checkpoints 'fsrcnn*' --json
    """
    if kind is None:
        _print_kinds(as_json)
        return
    rows = _KINDS[kind](pattern)
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(f"no {kind}" + (f" match {pattern!r}" if pattern != "*" else " yet"))
        return
    hidden = _ONLY_IN_JSON - {"licence"} if kind == "datasets" else _ONLY_IN_JSON
    columns = [key for key in rows[0] if key not in hidden]
    print_table("", columns, ([_cell(key, row[key]) for key in columns] for row in rows))
    for row in rows:
        if row.get("state", "ready") != "ready":
            click.echo(f"\n{row['name']}: {row['state']}")


def _print_kinds(as_json: bool) -> None:
    counts = {kind: len(list_all("*")) for kind, list_all in _KINDS.items()}
    if as_json:
        print_json(counts)
    else:
        print_table(
            "", ["kind", "there are", "listed by"], ([kind, n, f"srbench ls {kind}"] for kind, n in counts.items())
        )


def _cell(column: str, value: Any) -> str:
    """Short text: ``2 3 4`` of a list, one number where all scales have the same."""
    if column == "state":
        return str(value).partition(":")[0]
    if isinstance(value, str):
        return value
    if column == "scales":
        return " ".join(f"x{scale}" for scale in value)
    if column == "parameters":
        counts = dict.fromkeys(f"{n:,}" for n in (value.values() if isinstance(value, dict) else [value]))
        return " / ".join(counts)
    if isinstance(value, dict):
        return ", ".join(
            f"{weight:g} {term}" if isinstance(weight, int | float) else term for term, weight in value.items()
        )
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    if isinstance(value, int) and column in ("steps", "images"):
        return f"{value:,}"
    return "" if value is None else str(value)
