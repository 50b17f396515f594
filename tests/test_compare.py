"""``srbench compare``: the paired comparison of two stored cells."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.reports.tables.comparison import compare, rank_all
from srbench.reports.terminal_compare import render_comparison, render_ranking
from srbench.results import write_result
from srbench.stats import holm, mean_interval, paired_test
from tests.test_reports import IMAGES, bare, cell, scores

GAIN = np.random.default_rng(9).normal(0.05, 0.02, 14)
A = cell("a_x4.c", metrics={"psnr": scores(IMAGES + GAIN)})
B = cell("b_x4.c", metrics={"psnr": scores(IMAGES)})


def test_figures_are_those_of_stats() -> None:
    found = compare([A, B], "a_x4.c", "b_x4.c", "set14")
    difference = IMAGES + GAIN - IMAGES
    assert found.difference == pytest.approx(GAIN.mean())
    assert found.interval == mean_interval(difference)
    assert found.p == paired_test(IMAGES + GAIN, IMAGES) < 0.01
    assert (found.wins, found.losses, found.ties) == (int((GAIN > 0).sum()), int((GAIN < 0).sum()), 0)
    assert found.verdict.startswith("a_x4.c is better")
    assert compare([A, B], "b_x4.c", "a_x4.c", "set14").verdict.startswith("a_x4.c is better")


def test_images_are_matched_by_name() -> None:
    turned = B.model_copy(update={"images": B.images[::-1], "metrics": {"psnr": scores(IMAGES[::-1])}})
    assert compare([A, turned], "a_x4.c", "b_x4.c", "set14") == compare([A, B], "a_x4.c", "b_x4.c", "set14")


def test_direction_infinity_and_small_sets() -> None:
    low = cell("low", metrics={"lpips": scores(IMAGES / 100, "lpips")})
    high = cell("high", metrics={"lpips": scores(IMAGES / 100 + 0.01, "lpips")})
    found = compare([low, high], "low", "high", "set14", "lpips")
    assert (found.wins, found.losses) == (14, 0)
    assert found.verdict.startswith("low is better")
    perfect = cell("perfect", metrics={"psnr": scores([math.inf] * 14)})
    found = compare([perfect, B], "perfect", "b_x4.c", "set14")
    assert (found.difference, found.interval, found.wins) == (math.inf, None, 14)
    found = compare([perfect, perfect], "perfect", "perfect", "set14")
    assert (found.difference, found.ties, found.p) == (0.0, 14, 1.0)
    small = [cell("a", n=5), cell("b", 0.5, n=5)]
    assert compare(small, "a", "b", "set14").verdict == "5 images cannot tell them apart: the least p is 0.0625"


def test_the_newest_common_protocol_and_the_only_common_scale_are_taken() -> None:
    second = [r.model_copy(update={"protocol": "standard.v2"}) for r in (A, B)]
    third = A.model_copy(update={"protocol": "standard.v3"})
    other = A.model_copy(update={"scale": 2})
    assert compare([A, B, *second, third, other], "a_x4.c", "b_x4.c", "set14").protocol == "standard.v2"
    assert compare([A, B, *second], "a_x4.c", "b_x4.c", "set14", protocol="standard.v1").protocol == "standard.v1"
    both = [other, B.model_copy(update={"scale": 2}), A, B]
    with pytest.raises(InputError, match=r"x2, x4: choose with --scale"):
        compare(both, "a_x4.c", "b_x4.c", "set14")
    assert compare(both, "a_x4.c", "b_x4.c", "set14", scale=2).scale == 2


def test_bad_requests_say_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'b_x4\.c'"):
        compare([A, B], "a_x4.c", "b_x4.d", "set14")
    with pytest.raises(UnknownNameError, match="Did you mean 'set14'"):
        compare([A, B], "a_x4.c", "b_x4.c", "set13")
    with pytest.raises(UnknownNameError, match="psnr"):
        compare([A, B], "a_x4.c", "b_x4.c", "set14", "psmr")
    with pytest.raises(InputError, match="protocol 'rgb'"):
        compare([A, B], "a_x4.c", "b_x4.c", "set14", protocol="rgb")
    with pytest.raises(InputError, match="no result at x3"):
        compare([A, B], "a_x4.c", "b_x4.c", "set14", scale=3)
    with pytest.raises(UnavailableError, match="drrn has no psnr: no_weights, no checkpoint yet"):
        compare([A, bare("drrn")], "a_x4.c", "drrn", "set14")
    with pytest.raises(InputError, match="different images"):
        compare([A, cell("c", n=13)], "a_x4.c", "c", "set14")
    newer = B.model_copy(update={"metrics": {"psnr": scores(IMAGES, version=2)}})
    with pytest.raises(InputError, match="version 1 of psnr"):
        compare([A, newer], "a_x4.c", "b_x4.c", "set14")


def test_several_are_each_compared_with_the_best() -> None:
    noise = np.tile([0.2, -0.2], 7)
    c = cell("c_x4.c", metrics={"psnr": scores(IMAGES + GAIN.mean() - 0.001 + noise)})
    d = cell("d_x4.c", metrics={"psnr": scores(IMAGES - 1)})
    found = rank_all([A, B, c, d], ["b_x4.c", "a_x4.c", "d_x4.c", "c_x4.c"], "set14")
    best, second = "a_x4.c", "c_x4.c"
    assert found.best == best
    assert [one.a for one in found.others] == [second, "b_x4.c", "d_x4.c"]
    assert all(one.b == best for one in found.others)
    assert found.holm == holm([one.p for one in found.others])
    text = render_ranking(found, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert f"not told apart from {best}" in text
    with pytest.raises(InputError, match="two different"):
        rank_all([A], ["a_x4.c", "a_x4.c"], "set14")


def test_more_models_than_fit_are_counted() -> None:
    many = [cell(f"network-{i}_x4.tuned", -i / 100) for i in range(20)]
    text = render_ranking(rank_all(many, [m.checkpoint for m in many], "set14"), 80)
    assert "more models in a wider terminal" in text


def test_command(srbench_home: Path) -> None:
    ensemble = B.model_copy(update={"variant": "ensemble"})
    for result in (A, B, ensemble):
        write_result(result)
    run = CliRunner().invoke
    done = run(main, ["compare", "a_x4.c", "b_x4.c+ensemble"])
    assert done.exit_code == 0, done.output
    assert "PSNR (dB) on set14 x4, standard.v1" in done.output
    assert "95 % interval of the mean difference: [+0.0" in done.output
    assert "a_x4.c is better (p = " in done.output
    record = json.loads(run(main, ["compare", "a_x4.c", "b_x4.c", "--json"]).output)
    assert record["p"] < 0.01
    assert len(record["images"]) == 14
    assert record["difference"] == pytest.approx(GAIN.mean())
    write_result(cell("b_x4.d", -1.0))
    several = json.loads(run(main, ["compare", "*_x4.*", "--json"]).output)
    assert several["best"] == "a_x4.c"
    assert [other["a"] for other in several["others"]] == ["b_x4.c", "b_x4.c+ensemble", "b_x4.d"]
    assert run(main, ["compare", "a_x4.c"]).exit_code == 2
    wrong = run(main, ["compare", "a_x4.c", "b_x4.x"])
    assert wrong.exit_code == 1
    assert len(wrong.output.strip().splitlines()) == 1


def test_what_both_invent_stands_beside_them() -> None:
    invented = {"hallucination": scores(0.2 + GAIN, "lpips"), "lr-psnr": scores(IMAGES + 20)}
    a = cell("a_x4.c", metrics={"psnr": scores(IMAGES + GAIN), **invented})
    b = cell("b_x4.c", metrics={"psnr": scores(IMAGES), "hallucination": scores([0.1] * 14, "lpips")})
    found = compare([a, b], "a_x4.c", "b_x4.c", "set14")
    assert [one.metric for one in found.beside] == ["hallucination"], "b has no LR-PSNR"
    one = found.beside[0]
    assert one.a == (pytest.approx((0.2 + GAIN).mean()), pytest.approx(GAIN.std(ddof=1)))
    assert one.b == (pytest.approx(0.1), pytest.approx(0.0))
    assert one.p == paired_test(0.2 + GAIN, [0.1] * 14)
    assert "beside it" in render_comparison(found)
    assert compare([a, b], "a_x4.c", "b_x4.c", "set14", "hallucination").beside == ()


def test_what_each_of_several_invents_stands_beside_them() -> None:
    cells = []
    for place, name in enumerate(("a_x4.c", "b_x4.c", "c_x4.c")):
        metrics = {"psnr": scores(IMAGES - place), "hallucination": scores([0.11 * (place + 1)] * 14, "lpips")}
        if place < 2:
            metrics["omission"] = scores([0.5] * 14, "lpips")
        cells.append(cell(name, metrics=metrics))
    text = render_ranking(rank_all(cells, ["a_x4.c", "b_x4.c", "c_x4.c"], "set14"), 80)
    table = text[text.index("beside it") :].splitlines()
    assert table[0].split() == ["beside", "it", "hallucination"], "not all have omission"
    assert [line.split()[:2] for line in table[1:4]] == [["A", "0.1100"], ["B", "0.2200"], ["C", "0.3300"]]


def test_how_many_images_a_difference_needs_is_said_where_they_are_too_few() -> None:
    found = compare([A, B], "a_x4.c", "b_x4.c", "set14")
    assert found.warning == "", "0.05 ± 0.02 is clear"
    assert found.power is not None
    assert f"power: about {found.power.needed} images tell" in render_comparison(found)
    assert found.effect.rank_biserial > 0.9
    doubtful = compare([A, B], "a_x4.c", "b_x4.c", "set14", apart=0.005)
    assert doubtful.power is not None
    assert doubtful.power.needed is not None
    assert doubtful.power.needed > 14
    assert f"about {doubtful.power.needed} images" in doubtful.warning
    assert doubtful.warning in render_comparison(doubtful)
    three = [A, B, cell("c_x4.c", metrics={"psnr": scores(IMAGES - 0.001)})]
    ranking = rank_all(three, ["a_x4.c", "b_x4.c", "c_x4.c"], "set14")
    assert all(other.power is not None for other in ranking.others)
    with pytest.raises(InputError, match="apart"):
        compare([A, B], "a_x4.c", "b_x4.c", "set14", apart=0.0)


@pytest.mark.parametrize(
    ("interval", "said"),
    [((-0.03, 0.85), " by the test, but the interval holds 0 (p = "), ((0.03, 0.85), " (p = "), (None, " (p = ")],
)
def test_a_verdict_says_where_the_interval_holds_nought(interval: tuple[float, float] | None, said: str) -> None:
    """Most images may differ a little one way and a few much the other: the ranks see the former, the mean the latter."""
    found = replace(compare([A, B], "a_x4.c", "b_x4.c", "set14"), interval=interval)
    assert found.verdict.startswith(f"a_x4.c is better{said}")
