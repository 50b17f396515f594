"""Composite scores: one number from several that are stored. No image is measured again.

A composite is a named, versioned formula over metrics (``lpips``, ``lr_psnr``) and costs (``parameters``, ``mult_adds``, ``ms``,
``memory_mb``). Those of challenges are built in; one's own is a TOML file::

    name = "mine"
    version = 1
    formula = "psnr / 40 + weight * (1 - lpips)"
    higher_is_better = true

    [constants]
    weight = 2.0
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from srbench.errors import InputError, UnknownNameError, first_problem
from srbench.formula import Formula
from srbench.names import check_name

SUFFIX = ".toml"


@dataclass(frozen=True)
class Cost:
    """Something besides metrics that a formula can take.

    Attributes:
        unit: what it is counted in.
        summary: one line.
    """

    unit: str
    summary: str


COSTS: dict[str, Cost] = {
    "parameters": Cost("", "trainable parameters"),
    "mult_adds": Cost("G", "multiply-adds of 1280×720 output, in 1e9, as `srbench speed` counted them"),
    "ms": Cost("ms", "median time of one pass for 1280×720 output on the device that the tables show"),
    "memory_mb": Cost("MB", "the most memory that such a pass took"),
}


class Composite(BaseModel):
    """A named formula.

    Attributes:
        name: its name.
        version: raised by a change that moves a number.
        formula: over metrics, costs and constants.
        higher_is_better: direction.
        digits: decimals to show.
        summary: one line.
        source: where it is defined.
        constants: values of the formula's other names.
        asked: constants that have no value of their own, with what each one is: they must be given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    version: int = Field(ge=1)
    formula: str = Field(min_length=1)
    higher_is_better: bool
    digits: int = Field(default=4, ge=0, le=8)
    summary: str = ""
    source: str = ""
    constants: dict[str, float] = {}
    asked: dict[str, str] = {}

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        try:
            check_name("composite", name)
        except Exception as error:
            raise ValueError(str(error)) from None
        return name

    @model_validator(mode="after")
    def _is_a_formula(self) -> Composite:
        try:
            names = set(self.parsed.names)
        except InputError as error:
            raise ValueError(str(error)) from None
        if unused := sorted(({*self.constants, *self.asked}) - names):
            raise ValueError(f"the formula does not use the constant {unused[0]!r}")
        if taken := sorted({*self.constants, *self.asked} & COSTS.keys()):
            raise ValueError(f"{taken[0]!r} is a cost, no constant")
        return self

    @cached_property
    def parsed(self) -> Formula:
        """The formula, checked."""
        return Formula(self.formula, "formula")

    @property
    def terms(self) -> tuple[str, ...]:
        """The formula's names that are no constants: metrics (with ``_`` for ``-``) and costs."""
        return tuple(name for name in self.parsed.names if name not in self.constants and name not in self.asked)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The terms that are metrics, as the formula writes them."""
        return tuple(name for name in self.terms if name not in COSTS)

    @property
    def references(self) -> dict[str, str]:
        """Constants that are a cost of the network compared with, such as ``reference_ms``, and which cost."""
        return {name: cost for cost in COSTS if (name := f"reference_{cost}") in {*self.constants, *self.asked}}

    @property
    def label(self) -> str:
        """``ntire2025-perceptual.v1``."""
        return f"{self.name}.v{self.version}"

    def with_constants(self, given: Mapping[str, float]) -> Composite:
        """The composite with some constants replaced; raises InputError where one is missing or no constant."""
        known = {*self.constants, *self.asked}
        for name in given:
            if name not in known:
                raise UnknownNameError("constant", name, known, f"the composite {self.name}")
        if missing := [(name, what) for name, what in self.asked.items() if name not in given]:
            lacking, what = missing[0]
            other = ", or --reference NAME for what `srbench speed NAME` has timed" * (lacking in self.references)
            raise InputError(f"{self.name} needs {lacking} ({what}): --set {lacking}=VALUE{other}")
        return self.model_copy(update={"constants": {**self.constants, **given}, "asked": {}})


def _efficiency(year: int, *, baseline: str, mult_adds: float, parameters: float, source: str) -> Composite:
    """The overall score of NTIRE's efficient super-resolution.

    Their runtime is the mean over the LR images of DIV2K_LSDIR's validation and test set on one GPU (RTX A6000 in 2025: 16.69 ms
    for EFDN; RTX 3090 in 2024: 13.54 ms for RLFN), five runs each. A time holds on its device alone, so it is asked for.

    Args:
        year: of the challenge.
        baseline: the network that the others are measured by.
        mult_adds: its own for 256×256 input, in 1e9; the challenge calls them FLOPs, as fvcore does.
        parameters: its own.
        source: where that is said.
    """
    return Composite(
        name=f"ntire{year}-efficiency",
        version=1,
        formula="0.7 * exp(2 * ms / reference_ms) + 0.15 * exp(2 * mult_adds / reference_mult_adds)"
        " + 0.15 * exp(2 * parameters / reference_parameters)",
        higher_is_better=False,
        summary=f"NTIRE {year} efficient super-resolution ×4: time, mult-adds and parameters against {baseline}, which scores "
        "7.3891; networks below the challenge's PSNR are not ranked there",
        source=source,
        # For the 320×180 of 1280×720 output.
        constants={
            "reference_mult_adds": mult_adds * (320 * 180) / (256 * 256),
            "reference_parameters": parameters,
        },
        asked={"reference_ms": f"{baseline}'s own ms for 1280×720 output on the same device"},
    )


_BUILT_IN = (
    Composite(
        name="ntire2025-perceptual",
        version=1,
        formula="(1 - lpips) + (1 - dists) + clipiqa + maniqa + musiq / 100 + max(0, (10 - niqe) / 10)",
        higher_is_better=True,
        summary="NTIRE 2025 image super-resolution ×4, perceptual track; of the metrics' means",
        source="Chen et al., NTIRE 2025 Challenge on Image Super-Resolution (×4), CVPRW 2025, arXiv:2504.14582",
    ),
    Composite(
        name="pi",
        version=1,
        formula="((10 - ma) + niqe_pi) / 2",
        higher_is_better=False,
        summary="Perceptual Index of the 2018 PIRM challenge",
        source="Blau, Mechrez, Timofte, Michaeli, Zelnik-Manor: The 2018 PIRM Challenge, ECCVW 2018, arXiv:1809.07517",
    ),
    _efficiency(
        2025,
        baseline="EFDN",
        mult_adds=16.70,
        parameters=276_000.0,
        source="Ren et al., The Tenth NTIRE 2025 Efficient Super-Resolution Challenge Report, CVPRW 2025, arXiv:2504.10686; "
        "github.com/Amazingren/NTIRE2025_ESR",
    ),
    _efficiency(
        2024,
        baseline="RLFN",
        mult_adds=19.70,
        parameters=317_000.0,
        source="Ren et al., The Ninth NTIRE 2024 Efficient Super-Resolution Challenge Report, CVPRW 2024; "
        "github.com/Amazingren/NTIRE2024_ESR",
    ),
)


def list_composites() -> list[Composite]:
    """Those that are built in, by name."""
    return sorted(_BUILT_IN, key=lambda one: one.name)


def load_composite(text: str) -> Composite:
    """A composite by its name, or from a TOML file.

    Args:
        text: the name of a built-in one, or the path of a file that ends in ``.toml``.

    Raises:
        UnknownNameError: no such name, or an unknown key in the file.
        InputError: the file cannot be read, or is no composite.
    """
    if not text.endswith(SUFFIX):
        found = next((one for one in _BUILT_IN if one.name == text), None)
        if found is None:
            raise UnknownNameError("composite", text, [one.name for one in _BUILT_IN], "srbench (a file ends in .toml)")
        return found
    path = Path(text)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    if isinstance(constants := values.get("constants"), dict):  # 2 is as good as 2.0
        values["constants"] = {k: float(v) if type(v) is int else v for k, v in constants.items()}
    try:
        return Composite.model_validate(values)
    except ValidationError as error:
        raise first_problem(error, str(path), Composite) from None
