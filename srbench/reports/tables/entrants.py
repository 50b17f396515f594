"""Who stands in a row: a record's facts, its card's, and those of the architecture, put together once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from srbench.facts import display_name, model_facts
from srbench.reports.tables.rows import Entrant, Kind
from srbench.results import Fields, Result
from srbench.zoo import Card


def entrant_of(result: Result, card: Card | None = None) -> Entrant:
    """Who a record is of.

    Args:
        result: the record.
        card: the card of its checkpoint where the zoo has one with the same weights; without it nothing is known of the
            training but the recipe's name.
    """
    facts = model_facts(result.model)
    kind: Kind = "interpolator" if result.parameters == 0 and result.checkpoint == result.model else "network"
    recipe, stem = result.recipe, result.checkpoint
    if card is not None:
        recipe, stem = card.base_recipe, card.family
    options = _changed(result.options)
    trained = card if card is not None and card.imported is None else None  # of imported weights none of this is known
    return Entrant(
        checkpoint=result.checkpoint,
        model=result.model,
        display=result.checkpoint if result.own else facts.display,
        kind=kind,
        variant=result.variant,
        marks=_marks(options, result.variant, result.precision),
        recipe="" if result.own else recipe,
        seed=trained.seed if trained else None,
        family=f"{stem} {sorted(options.items())} {result.variant} {result.precision}",
        options=options,
        channels=result.channels,
        parameters=result.parameters,
        adversarial=card.adversarial if card else False,
        trained_on=tuple(part for part in result.trained_on.split("+") if part),
        minutes=trained.wall_time_s / 60 if trained else None,
        steps=trained.steps if trained else None,
        precision=result.precision,
        weights_sha256=result.weights_sha256,
        own=result.own,
        year=facts.year,
        paper=facts.url,
    )


def entrant_of_card(card: Card) -> Entrant:
    """Who a checkpoint of the zoo is, without a record."""
    facts = model_facts(card.model)
    return Entrant(
        checkpoint=card.name,
        model=card.model,
        display=facts.display,
        recipe=card.base_recipe,
        seed=card.seed,
        family=card.family,
        channels=card.channels,
        parameters=card.parameters,
        adversarial=card.adversarial,
        year=facts.year,
        paper=facts.url,
    )


def entrant_of_model(name: str, kind: Kind = "network", scale: int | None = None) -> Entrant:
    """An architecture without weights, or one that only papers measured."""
    facts = model_facts(name)
    return Entrant(
        checkpoint=name,
        model=name,
        display=facts.display or display_name(name),
        kind=kind,
        parameters=facts.parameters.get(scale or 0),
        channels=facts.channels if facts.scales else "",
        year=facts.year,
        paper=facts.url,
    )


def distinct_names(who: Sequence[Entrant]) -> list[str]:
    """The shortest names that tell entrants apart: ``FSRCNN``, ``FSRCNN paper``, ``FSRCNN common seed 1``, or the label."""
    seeds = [f" seed {entrant.seed}" if entrant.seed else "" for entrant in who]
    steps = (
        [f"{entrant.display} {entrant.recipe}".strip() for entrant in who],
        [f"{entrant.display} {entrant.recipe}".strip() + seed for entrant, seed in zip(who, seeds, strict=True)],
        [entrant.label for entrant in who],
        [entrant.name for entrant in who],
    )
    names = [entrant.display for entrant in who]
    for longer in steps:
        names = [long if names.count(name) > 1 else name for long, name in zip(longer, names, strict=True)]
    return names


def _changed(options: Fields) -> Fields:
    return {name: value for name, value in sorted(options.items()) if value not in (None, "", "none")}


def _marks(options: Mapping[str, object], variant: str, precision: str) -> tuple[str, ...]:
    marks = [f"{value} skip" if name == "skip" else f"{name}={value}" for name, value in options.items()]
    marks += [part for part in variant.split("+") if part]
    if precision not in ("", "fp32", *variant.split("+")):
        marks.append(precision)
    return tuple(marks)
