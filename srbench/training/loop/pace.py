"""The steps of a run that was given a time: planned from its own first steps, and anew while it goes.

No step is tried out and thrown away. What was decided when is in the recipe (``planned``), so that a run that was stopped, and
one that has no clock but the recipe, make the same steps.
"""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict

from srbench.training.recipe.schema import Recipe

_VALIDATIONS = 20
_VALIDATION_SHARE = 0.1  # of the time, at most
_LOOKS = (0.02, *(number / 20 for number in range(1, 20)))
"""Parts of the time after which the plan is compared with the pace. What else the machine does changes the pace."""
_FIRST_VALIDATION = 0.05  # of the time, at most, for a validation before the first step
_OFF = 0.02  # of the time; a forecast that is off by less changes no plan
_WINDOW = 0.08  # of the time, that the pace is measured over


class PaceFacts(BaseModel):
    """What a run has measured of its pace, as a saved state holds it.

    Attributes:
        validations: how many.
        validating: their seconds.
        estimate: seconds that one takes, before there was any.
        look: number of steps after which the plan is looked at next; 0 for a run without a time.
        since: seconds of the run before its present time began; not 0 where a run that has ended is made longer.
        marks: steps, and seconds of training without validations, at each look.
    """

    model_config = ConfigDict(extra="forbid")

    validations: int = 0
    validating: float = 0.0
    estimate: float = 0.0
    look: int = 0
    since: float = 0.0
    marks: list[tuple[int, float]] = []


def first_look(recipe: Recipe) -> int:
    """The number of steps after which a pace can be told at all: a generator may learn from some batches only."""
    return recipe.discriminator.n_critic if recipe.discriminator else 1


class Pace:
    """Measures a run's pace and plans its steps.

    Attributes:
        facts: of a saved state.

    Args:
        budget: seconds from the first validation, or from the end that a run had before, to the checkpoint in the zoo; 0 plans
            nothing. After the last validation the weights are measured once more, as they are stored.
        recipe: the run's.
        facts: of the earlier sittings of a run that goes on.
    """

    def __init__(self, budget: float, recipe: Recipe, facts: PaceFacts | None = None) -> None:
        self._budget = budget
        self.facts = facts or PaceFacts(look=first_look(recipe) if budget else 0)

    def has_room(self, estimate: float) -> bool:
        """Whether a validation of about so many seconds may be made before the first step, where it tells least."""
        self.facts.estimate = estimate
        return estimate <= _FIRST_VALIDATION * self._budget

    def begin(self, spent: float) -> None:
        """The first step starts after so many seconds."""
        self.facts.marks = [(0, spent - self.facts.validating)]

    def begin_again(self, recipe: Recipe, done: int, spent: float) -> None:
        """A run that had ended goes on for the time: its steps are planned by its pace until then.

        Args:
            recipe: with the steps that are planned now.
            done: steps that were made.
            spent: seconds of the run.
        """
        facts = self.facts
        facts.since, facts.marks = spent, [(done, spent - facts.validating)]
        facts.look = done + max(1, int(_LOOKS[0] * (recipe.steps - done)))

    def validated(self, seconds: float) -> None:
        """Count a validation."""
        self.facts.validations += 1
        self.facts.validating += seconds

    def due(self, done: int) -> bool:
        """Whether the plan is looked at after ``done`` steps; the same answer in all processes of a run."""
        return bool(self._budget) and done == self.facts.look

    def plan(self, recipe: Recipe, done: int, spent: float) -> Recipe:
        """The recipe with the number of steps that the time has room for; the same one where that is planned already.

        Args:
            recipe: as it is followed now.
            done: steps that were made.
            spent: seconds of the run.
        """
        facts = self.facts
        facts.marks.append((done, spent - facts.validating))
        spent -= facts.since
        pace = self._pace(recipe)
        new, first = recipe, len(facts.marks) == 2
        if first or abs(self._end(recipe, done, spent, pace) - self._budget) > _OFF * self._budget:
            new = self._fitting(recipe, done, spent, pace)
            # The first step may have taken long for reasons of its own: a second one must be there to tell.
            if first and new.steps == done and spent < self._budget:
                new = recipe.replanned(done, 2 * done, 2 * done)
        share = next((share for share in _LOOKS if share * self._budget > spent), 1.0)
        ahead = (share * self._budget - spent) / max(pace * _weight(new, done), 1e-9)
        early = max(done - facts.marks[0][0], 8) if len(facts.marks) < 5 else math.inf
        facts.look = done + max(1, int(min(math.ceil(ahead), early)))
        if spent < self._budget / 2:
            facts.look = min(facts.look, max(new.steps, done + 1))
        return new

    def _pace(self, recipe: Recipe) -> float:
        """Seconds of a step of the first stage's crops, over the last part of the run; its first step is left out if possible."""
        *earlier, (done, busy) = self.facts.marks
        long_ago = [mark for mark in earlier[1:] if busy - mark[1] >= _WINDOW * self._budget]
        start, since = long_ago[-1] if long_ago else earlier[min(1, len(earlier) - 1)]
        return (busy - since) / max(1.0, _work(recipe, start, done))

    def _end(self, recipe: Recipe, done: int, spent: float, pace: float) -> float:
        """Seconds of the run at its end, by a plan."""
        last, every = recipe.steps, recipe.val_every
        validations = last // every - done // every + (last % every > 0) + 1  # that of the weights as they are stored
        return spent + pace * _work(recipe, done, last) + self._validation * validations

    @property
    def _validation(self) -> float:
        facts = self.facts
        return facts.validating / facts.validations if facts.validations else facts.estimate

    def _fitting(self, recipe: Recipe, done: int, spent: float, pace: float) -> Recipe:
        count = min(_VALIDATIONS, max(1, int(_VALIDATION_SHARE * self._budget / max(self._validation, 1e-9))))

        def planned(steps: int) -> Recipe:
            return recipe.replanned(done, steps, math.ceil(steps / count))

        cheapest = min(recipe.patch, *recipe.grow, recipe.patch) ** 2 / recipe.patch**2
        low, high = done, done + max(1, int((self._budget - spent) / max(pace * cheapest, 1e-9)))
        while low < high:  # the largest number of steps that ends in time, to the nearest
            middle = (low + high + 1) // 2
            if (
                self._end(planned(middle), done, spent, pace)
                <= self._budget + pace * _weight(planned(middle), middle - 1) / 2
            ):
                low = middle
            else:
                high = middle - 1
        return planned(low)


def _weight(recipe: Recipe, step: int) -> float:
    """What a step costs, in steps of the first stage's crops."""
    patch = next((patch for start, stop, patch in recipe.stages() if start <= step < stop), recipe.patch)
    return (patch / recipe.patch) ** 2


def _work(recipe: Recipe, start: int, stop: int) -> float:
    """The cost of the steps from ``start`` to ``stop`` (not included), in steps of the first stage's crops."""
    return sum(
        max(0, min(stop, end) - max(start, first)) * (patch / recipe.patch) ** 2
        for first, end, patch in recipe.stages()
    )
