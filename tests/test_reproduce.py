"""``srbench reproduce``: what is measured anew, when it counts as equal, and what is said where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from srbench.cli import main
from srbench.errors import InputError, UnavailableError
from srbench.evaluation import evaluate
from srbench.evaluation.reproduce import reproduce
from srbench.metrics import METRICS
from srbench.results import find_result, read_results, result_path, write_result


def srbench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def stored(srbench_home: Path) -> Path:
    """Bicubic on sample ×4, as it is measured now."""
    return write_result(evaluate("bicubic", "sample", 4, metrics=["psnr", "ssim"]))


def changed(path: Path, by: float, **fields: object) -> Path:
    """The record of ``path`` with another score for its first image, properly stored."""
    record = read_results()[0]
    psnr = record.metrics["psnr"]
    values = [(psnr.values[0] or 0.0) + by, *psnr.values[1:]]
    metrics = record.metrics | {"psnr": psnr.model_copy(update={"values": values})}
    return write_result(record.model_copy(update={"metrics": metrics, **fields}))


def test_a_record_of_now_is_reproduced(stored: Path, tmp_path: Path) -> None:
    before = stored.read_bytes()
    done = srbench("reproduce", stored, "--keep", tmp_path / "new")
    assert done.exit_code == 0, done.output
    assert "1 of 1 reproduced, largest difference 0.000 dB" in done.stdout
    assert "astronaut" in done.stdout, "a single record shows every image"
    assert stored.read_bytes() == before
    kept = find_result("bicubic", "sample", 4, "standard.v1", root=tmp_path / "new")
    assert kept is not None
    assert kept.metrics == read_results()[0].metrics


def test_the_tolerance_is_the_metrics_own(stored: Path) -> None:
    tolerance = METRICS.get("psnr").tolerance
    assert srbench("reproduce", changed(stored, 0.9 * tolerance)).exit_code == 0
    record = read_results()[0]
    done = srbench("reproduce", changed(stored, 2 * tolerance, weights_sha256="a" * 64))
    assert done.exit_code == 1
    assert "psnr: NOT reproduced" in done.stdout
    assert "ssim: reproduced" in done.stdout
    assert "weights: aaaaaaaaaaaa then" in done.stdout, "what differs is said"
    assert "0 of 1 reproduced" in done.stdout
    assert record.ok


def test_a_checkpoint_is_all_its_records_that_the_options_leave(stored: Path) -> None:
    write_result(evaluate("bicubic", "sample", 3, metrics=["psnr"]))
    assert "2 of 2 reproduced" in srbench("reproduce", "bicubic").stdout
    done = srbench("reproduce", "bicubic", "--scale", 3, "--leaderboard")
    assert "1 of 1 reproduced" in done.stdout
    assert "sample ×3, standard.v1" in done.stdout


def test_a_tolerance_is_stated_by_every_metric() -> None:
    assert all(0 < metric.tolerance <= 0.05 for metric in METRICS)


def test_an_image_that_is_no_longer_there_is_no_reproduction(stored: Path) -> None:
    record = read_results()[0]
    less = {
        name: scores.model_copy(update={"values": [*scores.values, 30.0]}) for name, scores in record.metrics.items()
    }
    more = record.model_copy(update={"images": [*record.images, "gone"], "metrics": less})
    found = reproduce(more)
    assert not found.equal
    assert ("gone", 30.0, None) in found.metrics[0].scores


def test_a_metric_whose_weights_are_not_here_is_named_and_not_counted(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = read_results()[0]
    lpips = record.metrics["ssim"].model_copy(update={"version": METRICS.get("lpips").version})
    write_result(record.model_copy(update={"metrics": record.metrics | {"lpips": lpips}}))

    def missing(*_: object) -> None:
        raise UnavailableError("unavailable", "the weights of alexnet are not to be had")

    monkeypatch.setattr("srbench.metrics.lpips._network", missing)
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    done = srbench("reproduce", stored)
    assert done.exit_code == 0, done.output
    assert "lpips: not measured here: " in done.stdout
    assert "1 of 1 reproduced, largest difference 0.000 dB (without lpips: see above)" in done.stdout
    only = record.model_copy(update={"metrics": {"lpips": lpips}})
    assert not reproduce(only).equal, "nothing measured is nothing reproduced"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.json"], "no such record"),
        (["bicubik"], "Did you mean 'bicubic'"),
        (["bicubic", "--scale", "2"], "no record of any dataset at x2"),
    ],
)
def test_bad_requests_are_one_line(stored: Path, arguments: list[str], words: str) -> None:
    done = srbench("reproduce", *arguments)
    assert done.exit_code == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_records_that_cannot_be_measured_again_say_why(stored: Path) -> None:
    record = read_results()[0]
    with pytest.raises(InputError, match="is a folder: name it with --dataset"):
        reproduce(record.model_copy(update={"dataset": "dir-photos"}))
    with pytest.raises(InputError, match=r"standard\.v7 is standard\.v1 by now"):
        reproduce(record.model_copy(update={"protocol": "standard.v7"}))
    with pytest.raises(InputError, match="its record has no number: oom, too large"):
        reproduce(record.model_copy(update={"status": "oom", "reason": "too large"}))
    assert result_path(record).is_file()
