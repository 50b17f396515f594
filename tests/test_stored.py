"""A record that lacks metrics gets these alone: no stored score is measured again, and none is of another SR image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from srbench import measure
from srbench.errors import UnavailableError
from srbench.evaluation import quality, stored
from srbench.evaluation.run import EvalOutcome, EvalPlan, run
from srbench.images import write_image
from srbench.metrics import METRICS, Metric
from srbench.results import Result, read_results, write_result
from tests.builders import smooth, store_checkpoint

NAME = "fsrcnn_s_x4.tiny"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(3):
        write_image(tmp_path / "photos" / f"p{i}.png", smooth(84 + i, 81, i))
    return tmp_path / "photos"


@pytest.fixture
def zoo(srbench_home: Path) -> Path:
    store_checkpoint("fsrcnn_s", "tiny", skip="bicubic")
    return srbench_home


def evaluated(folder: Path, *metrics: str, **options: object) -> EvalOutcome:
    return run(EvalPlan(names=(NAME,), datasets=(str(folder),), metrics=metrics, **options), quiet=True)  # type: ignore[arg-type]


def the_record() -> Result:
    [record] = read_results()
    return record


def moved(metric: str, by: float) -> Result:
    """The record with other scores of one metric, properly stored: what is kept can be told from what is measured."""
    record = the_record()
    values = [(value or 0.0) + by for value in record.metrics[metric].values]
    metrics = record.metrics | {metric: record.metrics[metric].model_copy(update={"values": values})}
    write_result(record.model_copy(update={"metrics": metrics}))
    return the_record()


def test_what_is_stored_stays_in_every_bit_and_what_lacks_is_added(zoo: Path, folder: Path) -> None:
    evaluated(folder, "psnr", "ssim")
    before = moved("ssim", 1e-9)
    outcome = evaluated(folder, "psnr", "ssim", "lattice")
    assert (outcome.measured, outcome.errors) == (1, [])
    after = the_record()
    assert {name: after.metrics[name] for name in ("psnr", "ssim")} == before.metrics
    assert after.metrics["lattice"].status == "ok"
    assert after.created == before.created
    assert after.provenance["added"].startswith("lattice: 20")
    assert {k: v for k, v in after.provenance.items() if k != "added"} == before.provenance
    outcome = evaluated(folder, "lattice")
    assert (outcome.measured, outcome.kept) == (0, 1), "the record holds"
    evaluated(folder, "lr-psnr", "lattice")
    assert [part.split(":")[0] for part in the_record().provenance["added"].split("; ")] == ["lattice", "lr-psnr"]


def test_only_what_lacks_is_computed(zoo: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(folder, "ssim", "psnr", "lr-psnr")
    asked: list[str] = []
    get = measure.get_metric
    monkeypatch.setattr(measure, "get_metric", lambda name: asked.append(name) or get(name))  # type: ignore[func-returns-value]
    evaluated(folder, "lattice", "ssim", "lr-psnr")
    assert asked[:2] == ["lattice", "psnr"], "PSNR is the witness that SR is still the same"
    assert not {"ssim", "lr-psnr"} & set(asked)
    asked.clear()
    evaluated(folder, "lattice", "ssim", overwrite=True)
    assert asked[:4] == ["lattice", "ssim", "psnr", "lr-psnr"]


def test_a_record_of_other_sr_is_not_filled_up(zoo: Path, folder: Path) -> None:
    evaluated(folder, "psnr")
    tolerance = METRICS.get("psnr").tolerance
    moved("psnr", 0.9 * tolerance)
    assert evaluated(folder, "ssim").errors == []
    before = moved("psnr", 2 * tolerance)
    outcome = evaluated(folder, "lattice")
    assert len(outcome.errors) == 1
    assert "p0 now has psnr" in outcome.errors[0]
    assert "--overwrite measures all anew" in outcome.errors[0]
    assert the_record() == before
    assert evaluated(folder, "lattice", overwrite=True).errors == []
    assert set(the_record().metrics) == {"lattice", "psnr", "ssim"}
    assert "added" not in the_record().provenance


def test_without_psnr_another_metric_is_the_witness(zoo: Path, folder: Path) -> None:
    evaluated(folder, "ssim")
    before = moved("ssim", 0.01)
    assert "now has ssim" in evaluated(folder, "psnr").errors[0]
    assert the_record() == before


def test_a_record_of_other_data_or_weights_is_measured_whole(zoo: Path, folder: Path) -> None:
    evaluated(folder, "psnr", "ssim")
    before = moved("ssim", 1e-9)
    next(folder.glob("p2*")).unlink()
    assert evaluated(folder, "lattice").errors == []
    after = the_record()
    assert set(after.metrics) == {"lattice", "psnr", "ssim"}
    assert len(after.images) == 2
    assert after.metrics["ssim"].values != before.metrics["ssim"].values[:2], "measured anew"
    assert "added" not in after.provenance


def test_a_metric_that_can_be_had_again_is_measured_alone(
    zoo: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated(folder, "psnr", "ssim", "lattice")
    record = moved("ssim", 1e-9)
    gone = record.metrics["lattice"].model_copy(update={"status": "unavailable", "reason": "no weights", "values": []})
    write_result(record.model_copy(update={"metrics": record.metrics | {"lattice": gone}}))
    assert evaluated(folder, "psnr", "ssim", "lattice").measured == 1
    after = the_record()
    assert after.metrics["lattice"].status == "ok"
    assert after.metrics["ssim"] == record.metrics["ssim"]


def test_whether_a_metric_is_to_be_had_is_tried_on_an_image_that_it_takes(
    zoo: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated(folder, "psnr")
    gone = the_record().metrics["psnr"].model_copy(update={"status": "unavailable", "reason": "x", "values": []})
    record = the_record().model_copy(update={"metrics": {metric.name: gone for metric in METRICS}})

    def absent() -> None:
        raise UnavailableError("unavailable", "no weights")

    for metric in METRICS:
        monkeypatch.setattr(stored, "get_metric", lambda _, metric=metric: replace(metric, ready=absent))
        assert not stored._returned(metric.name, record), metric.name
        if metric.ready is None:
            monkeypatch.setattr(stored, "get_metric", lambda _, metric=metric: metric)
            assert stored._returned(metric.name, record), metric.name


def test_images_are_saved_without_touching_the_record(zoo: Path, folder: Path, tmp_path: Path) -> None:
    evaluated(folder, "psnr", "ssim")
    before = moved("ssim", 1e-9)
    evaluated(folder, "psnr", save_images=tmp_path / "made")
    assert the_record() == before
    assert len(list((tmp_path / "made").rglob("*.png"))) == 3


def test_a_cell_that_fails_now_leaves_the_record(zoo: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(folder, "psnr")
    before = the_record()

    def fails(*_: object) -> None:
        raise UnavailableError("oom", "no memory")

    monkeypatch.setattr(quality, "super_resolve", fails)
    assert any("no memory" in text for text in evaluated(folder, "ssim").errors)
    assert the_record() == before


def test_a_metric_that_cannot_score_is_added_with_its_reason(
    zoo: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated(folder, "psnr")

    def fails(*_: object) -> None:
        from srbench.errors import UnavailableError

        raise UnavailableError("failed", "never: has no number")

    never = Metric("never", fails, "rgb", "full", "", False, 2, 1, "has no number", "2026")  # type: ignore[arg-type]
    monkeypatch.setitem(METRICS._things, "never", never)
    outcome = evaluated(folder, "never")
    assert the_record().metrics["never"].status == "failed"
    assert any("never failed" in text for text in outcome.errors)
