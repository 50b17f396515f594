"""How long a run is: its recipe's steps, or those that fit into a given time, or a finished run and some time more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from srbench.errors import InputError
from srbench.training.loop.distributed import Processes
from srbench.training.loop.options import RunOptions
from srbench.training.loop.pace import first_look
from srbench.training.loop.state import RunFacts, load_state
from srbench.training.recipe.schema import Recipe


@dataclass(frozen=True)
class Length:
    """The recipe of a run with its final number of steps, and where that number comes from.

    Attributes:
        recipe: with ``steps`` and ``val_every`` as they are run.
        budget: seconds that the steps follow from; 0 where the recipe gave them.
        extensions: seconds by which the run was made longer after its end, each time.
    """

    recipe: Recipe
    budget: float = 0.0
    extensions: tuple[float, ...] = ()

    @property
    def seconds(self) -> float:
        """The time that the steps follow from at last; 0 where the recipe gave them."""
        return self.extensions[-1] if self.extensions else self.budget

    def notes(self) -> list[str]:
        """What a card says of it."""
        longer = ", ".join(f"{seconds:g} s" for seconds in self.extensions)
        return [
            *([f"steps follow from a budget of {self.budget:g} s{self._plans()}"] if self.budget else []),
            *([f"made longer after its end by {longer}"] if longer else []),
        ]

    def _plans(self) -> str:
        made = [str(first) for first, *_ in self.recipe.planned if first]
        return f", planned after step {', '.join(made)}" if made else ""


def decide_length(recipe: Recipe, options: RunOptions, folder: Path, processes: Processes) -> Length:
    """The length of a run as far as it is known before the first step, which all processes agree on.

    Args:
        recipe: whose steps count where no time is given; where one is, :class:`Pace` replaces them soon.
        options: the budget or the extension, and whether the run goes on.
        folder: the run's.
        processes: of the run.

    Raises:
        InputError: a run that cannot be made longer.
    """
    return processes.agree(_decided(recipe, options, folder))


def _decided(recipe: Recipe, options: RunOptions, folder: Path) -> Length:
    if options.extend:
        return longer(recipe, folder, options.extend)
    kept = planned(recipe, folder) if options.resume and not options.overwrite else None
    if kept and (options.budget or kept.seconds):
        return kept
    if not options.budget:
        return Length(recipe)
    open_end = {"steps": max(recipe.steps, 2 * first_look(recipe)), "planned": ()}
    return Length(recipe.model_copy(update=open_end), options.budget)


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_budget(text: str, option: str = "--budget") -> float:
    """Seconds in ``90s``, ``20m`` or ``1.5h``; InputError for anything else.

    >>> parse_budget("20m")
    1200.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    if not found or float(found[1]) == 0:
        raise InputError(f"{option} {text!r} is no time; expected a number with s, m or h, such as 20m")
    return float(found[1]) * _UNITS[found[2]]


def planned(recipe: Recipe, folder: Path) -> Length | None:
    """The length of the run in ``folder``; None without a state there.

    A resumed run keeps its schedule, whatever time it is given now.
    """
    state = load_state(folder)
    return None if state is None else _kept(recipe, state.facts)


def longer(recipe: Recipe, folder: Path, seconds: float) -> Length:
    """The run in ``folder``, which has ended, with as many steps more as fit into ``seconds`` at its pace until now.

    :class:`Pace` plans them anew where the pace is another one. An extension of so many seconds that was broken off is kept, so
    that the same call goes on.

    Raises:
        InputError: there is no run, it has not ended, or its crops grow with the steps.
    """
    state = load_state(folder)
    if state is None:
        raise InputError(f"{folder} holds no run to extend; train it first, with --budget for a time")
    kept = _kept(recipe, state.facts)
    if state.step < kept.recipe.steps:
        if kept.extensions and kept.extensions[-1] == seconds:
            return kept
        raise InputError(f"{folder} is at step {state.step} of {kept.recipe.steps}: --resume ends it, then --extend")
    if recipe.grow:
        raise InputError(f"--extend cannot go on with {folder}: its crops grow with the steps, and would shrink again")
    spent = state.facts.progress.seconds
    steps = kept.recipe.steps + max(1, int(seconds * kept.recipe.steps / max(spent, 1e-9)))
    made = kept.recipe.replanned(state.step, steps, kept.recipe.val_every)
    return Length(made, kept.budget, (*kept.extensions, seconds))


def _kept(recipe: Recipe, facts: RunFacts) -> Length:
    kept = {key: getattr(facts.recipe, key) for key in ("steps", "val_every", "planned")}
    return Length(recipe.model_copy(update=kept), facts.budget, facts.extensions)
