"""Composite scores: formulas over stored scores, the challenges' and one's own."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from srbench.cli import main
from srbench.cli.composite import _score
from srbench.composites import COSTS, Composite, list_composites, load_composite
from srbench.errors import InputError, UnknownNameError
from srbench.formula import Formula
from srbench.reports import build_tables
from srbench.reports.tables.composite import composite_scores, reference
from srbench.results import write_result
from srbench.speed_results import SpeedResult, VariantSpeed, write_speed
from srbench.stats import holm, mean_interval, paired_test
from tests.test_reports import IMAGES, cell, scores

GAIN = np.random.default_rng(4).normal(0.1, 0.05, 14)


def composite(formula: str, higher: bool = True, **constants: float) -> Composite:
    return Composite(name="mine", version=1, formula=formula, higher_is_better=higher, constants=constants)


def table():
    both = [
        cell("a_x4.c", metrics={"psnr": scores(IMAGES), "lpips": scores(0.3 - GAIN, "lpips")}),
        cell("b_x4.c", metrics={"psnr": scores(IMAGES + GAIN), "lpips": scores([0.3] * 14, "lpips")}),
        cell("c_x4.c", metrics={"psnr": scores(IMAGES)}),
    ]
    return build_tables(both)[0]


@given(a=st.floats(0.1, 9), b=st.floats(0.1, 9), c=st.floats(0.1, 9))
def test_a_formula_is_what_python_makes_of_it(a: float, b: float, c: float) -> None:
    text = "-a + 2 * (b - c) ** 2 / max(a, b, 3) + exp(min(a, c) / 10) - log10(b) * sqrt(abs(a - b)) + log(c)"
    names = {"a": a, "b": b, "c": c}
    functions = {n: getattr(math, n) for n in ("exp", "log", "log10", "sqrt")} | {"max": max, "min": min, "abs": abs}
    expected = eval(text, {"__builtins__": {}}, functions | names)
    assert float(Formula(text)({k: np.array(v) for k, v in names.items()})) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("psnr +", "no formula"),
        ("", "no formula"),
        ("1 + 1", "names no metric"),
        ("__import__('os').system('true')", "not allowed|unknown function"),
        ("psnr.real", "'psnr.real' is not allowed"),
        ("psnr[0]", "not allowed"),
        ("[psnr for psnr in lpips]", "not allowed"),
        ("psnr if ssim else 1", "not allowed"),
        ("psnr // 2", "not allowed"),
        ("psnr + True", "'True' is not allowed"),
        ("psnr * 1" + "0" * 400, "not allowed"),
        ("psnr + 'x'", "not allowed"),
        ("hypot(psnr, 1)", "unknown function 'hypot'. Known: abs"),
        ("sqrt(psnr, 2)", r"sqrt\(\) has 2 values; expected 1"),
        ("max(psnr)", r"max\(\) has 1 values; expected 2 or more"),
        ("(" * 80 + "psnr" + ")" * 80 + "+" + "-" * 80 + "psnr", "deep|no formula"),
        ("psnr + " * 400 + "1", "characters"),
    ],
)
def test_what_is_no_arithmetic_is_refused(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        Formula(text)


def test_the_challenges_formulas_give_their_own_examples() -> None:
    """The report's baseline scores exp(2); of the perceptual track each term is as its README has it."""
    efficiency = load_composite("ntire2025-efficiency").with_constants({"reference_ms": 16.69})
    given = {"ms": 16.69, "mult_adds": efficiency.constants["reference_mult_adds"], "parameters": 276_000.0}
    values = {k: np.array(v) for k, v in (given | efficiency.constants).items()}
    assert float(efficiency.parsed(values)) == pytest.approx(7.3891, abs=5e-5)
    perceptual = load_composite("ntire2025-perceptual")
    one = {"lpips": 0.2, "dists": 0.1, "clipiqa": 0.6, "maniqa": 0.5, "musiq": 70.0}
    for niqe, term in ((4.0, 0.6), (12.0, 0.0)):
        values = {k: np.array(v) for k, v in (one | {"niqe": niqe}).items()}
        assert float(perceptual.parsed(values)) == pytest.approx(0.8 + 0.9 + 0.6 + 0.5 + 0.7 + term)


def test_each_year_s_baseline_scores_what_its_organisers_say() -> None:
    for year, parameters in ((2024, 317_000.0), (2025, 276_000.0)):
        one = load_composite(f"ntire{year}-efficiency").with_constants({"reference_ms": 16.69})
        given = {"ms": 16.69, "mult_adds": one.constants["reference_mult_adds"], "parameters": parameters}
        values = {k: np.array(v) for k, v in (given | one.constants).items()}
        assert float(one.parsed(values)) == pytest.approx(7.3891, abs=5e-5)
    # 16.70 G for 256×256 input are 14.68 G for 320×180.
    assert one.constants["reference_mult_adds"] == pytest.approx(14.678, abs=1e-3)


def timed(
    name: str, ms: float, *, scale: int = 4, size: tuple[int, int] = (180, 320), device: str = "cpu-2"
) -> SpeedResult:
    variant = VariantSpeed(n=12, times_ms=[ms] * 12, median_ms=ms, p10_ms=ms, p90_ms=ms, peak_memory_bytes=5 * 10**7)
    return SpeedResult(
        name=name, model=name.partition("_")[0], scale=scale, random_weights=True, device=device, device_type="cpu",
        device_name="CPU", torch="2", threads=2, input=size, output=(720, 1280), run="r", seconds=1, spread_limit=0.25,
        variants={"eager": variant}, cost={"mult_adds": 3 * 10**9, "parameters": 1000},
    )  # fmt: skip


def test_a_network_s_own_records_are_the_reference() -> None:
    efficiency = load_composite("ntire2025-efficiency")
    records = [
        timed("other", 7.0, device="gpu"),
        timed("other", 1.0, size=(90, 160)),
        timed("other", 2.0, scale=2),
        timed("other", 9.0),
        timed("none", 3.0).model_copy(update={"cost": {}}),
        timed("slow", 1.0, device="gpu"),
    ]
    found = reference(efficiency, records, "other", 4, "cpu-2")
    assert found.constants == {"reference_ms": 9.0, "reference_mult_adds": 3.0, "reference_parameters": 1000.0}
    assert (found.name, found.device, found.doubts) == ("other", "CPU, 2 threads", ())
    assert reference(efficiency, records, "other", 4, "gpu").constants["reference_ms"] == 7.0
    with pytest.raises(
        UnknownNameError, match=r"unknown reference 'slow' in the speed records of cpu-2 at x4 .*srbench speed"
    ):
        reference(efficiency, records, "slow", 4, "cpu-2")
    with pytest.raises(InputError, match="the speed record of none on cpu-2 has no parameters"):
        reference(efficiency, records, "none", 4, "cpu-2")
    with pytest.raises(InputError, match="mine compares with no network: it has no constant such as reference_ms"):
        reference(composite("psnr / 2"), records, "other", 4, "cpu-2")
    mine = composite("ms / reference_ms + memory_mb / reference_memory_mb", reference_ms=1.0, reference_memory_mb=2.0)
    assert reference(mine, records, "other", 4, "").constants == {"reference_ms": 7.0, "reference_memory_mb": 50.0}


def test_a_reference_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_HOME", str(tmp_path))
    for name in ("a_x4.c", "b_x4.c"):
        write_result(cell(name, metrics={"psnr": scores(IMAGES)}, parameters=1000), tmp_path / "results")
        write_speed(timed(name, 10.0 if name[0] == "a" else 20.0), tmp_path / "results")
    asked = ["composite", "ntire2025-efficiency", "--json"]
    found = json.loads(CliRunner().invoke(main, [*asked, "--reference", "a_x4.c"]).output)
    assert found["reference"] == "a_x4.c"
    values = {one["checkpoint"]: one["value"] for one in found["scores"]}
    assert values["a_x4.c"] == pytest.approx(math.exp(2))
    assert values["b_x4.c"] == pytest.approx(0.7 * math.exp(4) + 0.3 * math.exp(2))
    found = json.loads(CliRunner().invoke(main, [*asked, "--reference", "a_x4.c", "--set", "reference_ms=20"]).output)
    assert found["constants"]["reference_ms"] == 20, "what is set goes before"
    ran = CliRunner().invoke(main, asked[:2])
    assert ran.exit_code == 1
    assert "--set reference_ms=VALUE, or --reference NAME" in ran.output
    ran = CliRunner().invoke(main, [*asked[:2], "--reference", "c_x4.c"])
    assert ran.exit_code == 1
    assert ran.output.count("\n") == 1, "one line"


def test_a_linear_formula_is_that_of_the_images() -> None:
    found = composite_scores(table(), composite("psnr / 40 + weight * (1 - lpips)", weight=2.0))
    best, second, last = found
    mine = {"a_x4.c": IMAGES / 40 + 2 * (0.7 + GAIN), "b_x4.c": (IMAGES + GAIN) / 40 + 2 * 0.7}
    assert [one.who.checkpoint for one in found] == ["a_x4.c", "b_x4.c", "c_x4.c"]
    for one in (best, second):
        assert one.value == pytest.approx(mine[one.who.checkpoint].mean())
        assert one.each == pytest.approx(mine[one.who.checkpoint])
        assert one.interval == pytest.approx(mean_interval(mine[one.who.checkpoint]))
    assert best.p is None
    assert second.p == pytest.approx(holm([paired_test(mine["b_x4.c"], mine["a_x4.c"])])[0])
    assert (last.value, last.status) == (None, "not_measured")
    assert last.reason.endswith("lpips not asked for: `srbench eval NAME --datasets set14 --scale 4 --metrics lpips`")


def test_a_curved_formula_is_of_the_means() -> None:
    found = composite_scores(table(), composite("max(0, 0.1 - lpips) + exp(psnr / 10)", higher=False))[0]
    psnr = IMAGES.mean() if found.who.checkpoint == "a_x4.c" else (IMAGES + GAIN).mean()
    lpips = (0.3 - GAIN).mean() if found.who.checkpoint == "a_x4.c" else 0.3
    assert found.value == pytest.approx(max(0, 0.1 - lpips) + math.exp(psnr / 10))
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]


def test_what_has_no_value_says_why() -> None:
    flat = table()
    with pytest.raises(UnknownNameError, match=r"unknown name 'lpisp' in the formula of mine. Did you mean 'lpips'"):
        composite_scores(flat, composite("psnr - lpisp"))
    assert all(one.status == "not_measured" for one in composite_scores(flat, composite("psnr - lr_psnr")))
    assert "srbench speed" in composite_scores(flat, composite("psnr - ms"))[0].reason
    assert composite_scores(flat, composite("log(0 - psnr)"))[0].status == "failed"
    assert composite_scores(flat, composite("psnr / (psnr - psnr)"))[0].status == "failed"
    with pytest.raises(InputError, match="ntire2025-efficiency needs reference_ms"):
        load_composite("ntire2025-efficiency").with_constants({})
    with pytest.raises(UnknownNameError, match="unknown constant 'reference_s'"):
        load_composite("ntire2025-efficiency").with_constants({"reference_s": 1.0})


@pytest.mark.parametrize("one", list_composites(), ids=lambda one: one.name)
def test_built_in_ones_name_costs_and_metrics_alone(one: Composite) -> None:
    assert one.source
    assert one.summary
    assert set(one.terms) <= {*COSTS, *one.metrics}
    assert load_composite(one.name) == one


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name="mine"\nversion=1\nformula="2*psnr+w"\nhigher_is_better=true\n[constants]\nw=3\n')
    assert load_composite(str(path)).constants == {"w": 3.0}
    for text, what in (
        ('name="m"\nversion=1\nformula="psnr"\nhigher_is_better=true\nhihger=1\n', "unknown key 'hihger'"),
        ('name="m n"\nversion=1\nformula="psnr"\nhigher_is_better=true\n', "composite name 'm n'"),
        ('name="m"\nversion=0\nformula="psnr"\nhigher_is_better=true\n', "version = 0"),
        ('name="m"\nversion=1\nformula="psnr["\nhigher_is_better=true\n', "no formula"),
        (
            'name="m"\nversion=1\nformula="psnr"\nhigher_is_better=true\n[constants]\nw=3\n',
            "does not use the constant 'w'",
        ),
        ("name=", "is not TOML"),
    ):
        path.write_text(text)
        with pytest.raises((InputError, UnknownNameError), match=what):
            load_composite(str(path))
    with pytest.raises(InputError, match="no such file"):
        load_composite("nowhere.toml")
    with pytest.raises(UnknownNameError, match="Did you mean 'ntire2025-perceptual'"):
        load_composite("ntire2025-perceptional")


def test_the_command_prints_ranks_and_what_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_HOME", str(tmp_path))
    for row in (
        cell("a_x4.c", metrics={"psnr": scores(IMAGES)}),
        cell("b_x4.c", metrics={"psnr": scores(IMAGES + GAIN)}),
    ):
        write_result(row, tmp_path / "results")
    path = tmp_path / "mine.toml"
    path.write_text('name="mine"\nversion=3\nformula="psnr / 10"\nhigher_is_better=true\n')
    ran = CliRunner().invoke(main, ["composite", str(path), "--json"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.output)
    assert found["composite"] == "mine.v3"
    assert [one["checkpoint"] for one in found["scores"]] == ["b_x4.c", "a_x4.c"]
    ran = CliRunner().invoke(main, ["composite", "ntire2025-efficiency", "--set", "reference_ms=fast"])
    assert ran.exit_code == 1
    assert "expected NAME=VALUE" in ran.output


@pytest.mark.parametrize(
    ("value", "text"),
    [(3726113859048933163008.0, "3.726e+21"), (-2.5e7, "−2.500e+07"), (8427.37142, "8427.3714"), (None, "–")],
)
def test_a_score_that_ran_away_has_no_twenty_digits(value: float | None, text: str) -> None:
    assert _score(value, 4) == text
