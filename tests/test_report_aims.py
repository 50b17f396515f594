"""The tables of zoo/README.md that set aims beside what was reached, and adversarial checkpoints beside their parents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from srbench.errors import SrbenchError
from srbench.markdown import marks
from srbench.reports.aims import Aim, read_aims, render_adversarial, render_aims
from srbench.reports.files import stale_files, write_reports
from srbench.results import Result, read_results
from srbench.zoo import Card, list_checkpoints
from tests.builders import make_card


def card(model: str, recipe: str = "tuned", **changes: Any) -> Card:
    facts = {"wall_time_s": 90.0, "precision": "bf16", "sha256": "now", "created": "2026-01-02"}
    return make_card(model, recipe, **(facts | changes))


def result(name: str, dataset: str, **scores: float) -> Result:
    metrics = {
        metric.replace("_", "-"): {
            "unit": "", "higher_is_better": metric != "lpips", "digits": 2, "version": 1, "space": "y", "values": [value],
        }
        for metric, value in scores.items()
    }  # fmt: skip
    facts = {
        "checkpoint": name,
        "model": name.partition("_x4")[0],
        "dataset": dataset,
        "scale": 4,
        "weights_sha256": "now",
    }
    return Result.model_validate(facts | {"protocol": "standard.v1", "images": ["p"], "metrics": metrics})


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_an_aim_stands_beside_what_all_seeds_reached() -> None:
    cards = [
        card("fsrcnn"),
        card("fsrcnn", "tuned-seed1", seed=1, wall_time_s=600.0),
        card("fsrcnn", "paper"),
        card("srresnet"),
    ]
    found = [
        result("fsrcnn_x4.tuned", "set5", psnr=30.796),
        result("fsrcnn_x4.tuned-seed1", "set5", psnr=30.9),
        result("fsrcnn_x4.tuned-seed1", "set14", psnr=27.5),
        result("fsrcnn_x4.paper", "set5", psnr=1.0),
        result("srresnet_x4.tuned", "set5", psnr=31.0),
    ]
    aims = [
        Aim(checkpoint="fsrcnn_x4.tuned", psnr=30.8, remark="not shown where the aim is met"),
        Aim(checkpoint="srresnet_x4.tuned", psnr=31.5, remark="an hour"),
        Aim(checkpoint="vdsr_x4.tuned", psnr=31.15),
    ]
    assert cells(render_aims(aims, cards, found)) == [
        ["fsrcnn_x4.tuned", "30.71 (classic)", "30.80", "**30.80 to 30.90**", "27.50", "2 to 10", ""],
        ["srresnet_x4.tuned", "32.05 (standard)", "31.50", "31.00", "–", "2", "an hour"],
        ["vdsr_x4.tuned", "–", "31.15", "–", "–", "–", ""],
    ]
    assert "no entry" in render_aims([], cards, found)
    assert r"a \| b" in render_aims([Aim(checkpoint="vdsr_x4.tuned", psnr=31.15, remark="a | b")], [], [])


def test_an_aim_is_met_by_measured_weights_of_this_zoo_and_by_every_seed() -> None:
    aims = [Aim(checkpoint="espcn_x4.tuned", psnr=30.0, remark="why")]
    own, seed = card("espcn"), card("espcn", "tuned-seed1", seed=1)
    longer = card("espcn", "tuned-seed2", seed=2, config={"steps": 9})
    found = [result("espcn_x4.tuned", "set5", psnr=30.5), result("espcn_x4.tuned-seed2", "set5", psnr=31.0)]
    assert cells(render_aims(aims, [own, longer], found))[0][3:] == ["**30.50**", "–", "2", ""]
    assert cells(render_aims(aims, [own, seed], found))[0][3:] == ["30.50", "–", "2", "why"]
    replaced = card("espcn", sha256="later")
    assert cells(render_aims(aims, [replaced], found))[0][3:] == ["–", "–", "2", "why"]


def test_an_adversarial_checkpoint_stands_beside_the_parent_it_really_had() -> None:
    adversarial = {"init_from": "srresnet_x4.tuned", "config": {"loss": {"l1": 1.0, "adversarial": 0.1}}}
    cards = [
        card("srresnet"),
        card("srresnet", "tuned-frozen", init_from="srresnet_x4.tuned", config={"loss": {"l1": 1.0}}),
        card("srgan", "srgan", init_sha256="now", **adversarial),
        card("srgan", "of-old", **adversarial),
        card("srgan", "earlier", **(adversarial | {"created": "2026-01-01"})),
        card("srgan", "replaced", init_sha256="old", **adversarial),
        card("srgan", "alone", **(adversarial | {"init_from": "srresnet_x4.gone"})),
        card("srgan", "scratch", **(adversarial | {"init_from": None})),
    ]
    found = [
        result("srresnet_x4.tuned", "set5", lpips=0.1892, psnr=31.0, lattice=0.1),
        result("srgan_x4.srgan", "set5", lpips=0.1364, lr_psnr=47.94, lattice=1.5),
        result("srgan_x4.replaced", "set5", lpips=0.15, lr_psnr=40.0),
    ]
    none = ["– → –", "– → –", "– → –", "–"]
    found_rows = cells(render_adversarial(cards, found))
    assert [row[3] for row in found_rows] == ["Set5", "Set14"] * 6
    assert [row[:3] + row[4:] for row in found_rows[::2]] == [
        ["srgan_x4.srgan", "srresnet_x4.tuned", "2", "0.189 → 0.136", "– → –", "0.1 → 1.5", "47.9"],
        ["srgan_x4.of-old", "srresnet_x4.tuned", "2", "0.189 → –", "– → –", "0.1 → –", "–"],
        ["srgan_x4.earlier", "srresnet_x4.tuned (replaced since)", "2", *none],
        ["srgan_x4.replaced", "srresnet_x4.tuned (replaced since)", "2", "– → 0.150", "– → –", "– → –", "40.0"],
        ["srgan_x4.alone", "srresnet_x4.gone (replaced since)", "2", *none],
        ["srgan_x4.scratch", "–", "2", *none],
    ]
    assert "srbench train srgan_s" in render_adversarial(cards[:2], found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[aim]\n", "is not a list of aims"),
        ('[[aims]]\ncheckpoint = "a"\npsnr = 30\n', r"unknown key 'aims' in .*aims\.toml\. Did you mean 'aim'"),
        ('[[aim]]\ncheckpoint = "a"\npsnr = -1\n', r"aim\.0\.psnr = -1: .*greater than 0"),
        ('[[aim]]\ncheckpoint = "a"\npsnr = 30\nlpips = 1\n', r"unknown key 'lpips' in aim\.0 of"),
        ("[[aim]]\npsnr = 30\n", r"aim\.0\.checkpoint: Field required"),
    ],
)
def test_what_is_no_aim_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "aims.toml"
    assert read_aims(path) == []
    path.write_text(text)
    with pytest.raises(SrbenchError, match=message) as error:
        read_aims(path)
    assert "\n" not in str(error.value)


def test_both_are_generated_in_the_zoos_readme(tmp_path: Path) -> None:
    readme = tmp_path / "zoo" / "README.md"
    readme.parent.mkdir()
    readme.write_text("".join(f"{start}\nold\n{end}\n" for start, end in map(marks, ("aims", "adversarial"))))
    (tmp_path / "zoo" / "aims.toml").write_text('[[aim]]\ncheckpoint = "vdsr_x4.tuned"\npsnr = 31.15\n')
    assert readme in write_reports([], tmp_path)
    assert "| vdsr_x4.tuned |" in readme.read_text()
    assert "old" not in readme.read_text()
    assert readme not in stale_files([], tmp_path)


def test_the_committed_aims_are_of_checkpoints_that_are_there() -> None:
    zoo = Path(__file__).parents[1] / "zoo"
    aims = read_aims(zoo / "aims.toml")
    assert {aim.checkpoint for aim in aims} <= {c.name for c in list_checkpoints(root=zoo)}
    assert len({aim.checkpoint for aim in aims}) == len(aims) > 5
    lines = render_aims(aims, list_checkpoints(root=zoo), read_results(zoo.parent / "results")).splitlines()[2:]
    assert all("**" in line or not line.endswith("|  |") for line in lines), "an aim that is missed says why"
