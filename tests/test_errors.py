"""pydantic's complaints as one line: the place, the value, what is expected, the nearest name."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from srbench.errors import InputError, SrbenchError, UnknownNameError, first_problem


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    weight: float = 0.0


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channel: Literal["y", "rgb"] = "y"
    steps: int = Field(default=1, ge=1)
    table: Inner | None = None
    many: dict[str, Inner] = {}
    values: list[float] = []

    @model_validator(mode="after")
    def _rule(self) -> Outer:
        if self.steps == 7:
            raise ValueError("7 steps are not\nallowed")
        return self


def problem(given: Any, allowed: Any = Outer) -> SrbenchError:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    return first_problem(caught.value, "x.toml", allowed)


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        ({"chanel": 1}, UnknownNameError, ["'chanel'", "x.toml", "Did you mean 'channel'?", "steps"]),
        ({"table": {"wieght": 1}}, UnknownNameError, ["'wieght'", "table of x.toml", "Did you mean 'weight'?"]),
        ({"many": {"l1": {"wieght": 1}}}, UnknownNameError, ["many.l1 of x.toml", "Did you mean 'weight'?"]),
        ({"channel": "rgbb"}, InputError, ["x.toml: channel = 'rgbb'", "Did you mean 'rgb'?"]),
        ({"steps": 0}, InputError, ["x.toml: steps = 0: ", "greater than or equal to 1"]),
        ({"steps": 7}, InputError, ["x.toml: 7 steps"]),
        ({"values": [1, "a\nb"]}, InputError, ["values.1 = 'a"]),
        ([], InputError, ["x.toml: ", "dictionary"]),
    ],
)
def test_the_first_problem_is_one_line(given: Any, kind: type[SrbenchError], expected: list[str]) -> None:
    found = problem(given)
    assert type(found) is kind
    assert "\n" not in str(found)
    assert [part for part in expected if part not in str(found)] == []


def test_a_huge_value_is_shortened_and_a_table_is_not_shown() -> None:
    assert len(str(problem({"steps": "9" * 10_000 + "x"}))) < 300
    assert "l1" not in str(problem({"many": {"l1": {"weight": "x"}}, "steps": 7})).partition(": ")[2].replace(
        "many.l1", ""
    )


def test_keys_may_be_given_as_names() -> None:
    assert "Did you mean 'grid'?" in str(problem({"grit": 1}, ["set", "grid"]))
