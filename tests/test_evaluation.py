"""Cells: what is measured, stored, kept and refused; ``evaluate`` and ``score`` from Python."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import srbench
from srbench.errors import InputError, SrbenchError, UnavailableError, UnknownNameError
from srbench.evaluation.run import EvalPlan, run
from srbench.images import imresize, write_image
from srbench.inference import Inference
from srbench.models import MODELS, create_model
from srbench.results import load_results, read_results
from srbench.subjects import SubjectOptions
from tests.builders import smooth, store_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(3):
        write_image(tmp_path / "photos" / f"p{i}.png", smooth(50 + i, 61, i))
    return tmp_path / "photos"


@pytest.fixture
def zoo(srbench_home: Path) -> Path:
    """A home with one small checkpoint, fsrcnn_s_x4.tiny."""
    store_checkpoint("fsrcnn_s", "tiny", skip="bicubic")
    return srbench_home


class Nearest(nn.Module):
    """A network of a user's own."""

    def __init__(self, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=self.scale, mode="nearest")


def test_a_module_of_ones_own_scores_like_the_interpolator(folder: Path) -> None:
    ours = srbench.evaluate("nearest", folder, scale=4, metrics=["psnr", "ssim"])
    theirs = srbench.evaluate(Nearest(), folder, scale=4, metrics=["psnr", "ssim"])
    assert theirs.metrics["psnr"].values == ours.metrics["psnr"].values
    assert theirs.images == ["p0", "p1", "p2"]
    assert theirs.frame.shape[0] == 6
    assert theirs.mean("psnr") == pytest.approx(theirs.frame.query("metric == 'psnr'")["value"].mean())
    luma = srbench.evaluate(Nearest(), folder, scale=4, metrics=["psnr"], channels="y")
    assert luma.mean("psnr") != ours.mean("psnr")  # chroma by bicubic moves the rounded luma


def test_evaluate_equals_a_plain_loop(folder: Path) -> None:
    from skimage.color import rgb2ycbcr
    from skimage.metrics import structural_similarity

    result = srbench.evaluate("bicubic", folder, scale=4, metrics=["psnr", "ssim"])
    for i, seed in enumerate((0, 1, 2)):
        hr = smooth(50 + seed, 61, seed)[: (50 + seed) // 4 * 4, :60]
        sr = imresize(imresize(hr, 0.25).astype(np.float64), 4.0)
        y = [rgb2ycbcr(p)[4:-4, 4:-4, 0] for p in (hr, np.clip(np.floor(sr + 0.5), 0, 255).astype(np.uint8))]
        psnr = 10 * math.log10(255**2 / np.mean((y[0] - y[1]) ** 2))
        ssim = structural_similarity(
            *y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
        )  # fmt: skip
        # the evaluator enlarges in float32: a sample near a half may be rounded the other way
        assert result.metrics["psnr"].values[i] == pytest.approx(psnr, abs=1e-3)
        assert result.metrics["ssim"].values[i] == pytest.approx(ssim, abs=1e-5)


def test_cells_are_stored_kept_and_measured_again(zoo: Path, folder: Path) -> None:
    plan = EvalPlan(names=("fsrcnn_s", "bicubic"), datasets=(str(folder),), metrics=("psnr",))
    assert (run(plan, quiet=True).measured, len(read_results())) == (2, 2)
    assert run(plan, quiet=True).kept == 2
    more = EvalPlan(names=("bicubic",), datasets=(str(folder),), metrics=("ssim",))
    assert run(more, quiet=True).measured == 1
    assert set(read_results()[0].metrics) == {"psnr", "ssim"}, "a metric that was there is kept up to date"
    assert run(EvalPlan(**{**plan.__dict__, "overwrite": True}), quiet=True).measured == 2
    write_image(folder / "p1.png", smooth(51, 61, 9))
    assert run(plan, quiet=True).measured == 2, "another image is another cell"


def test_all_are_the_checkpoints_and_interpolators_and_each_record_has_numbers(zoo: Path, folder: Path) -> None:
    plan = EvalPlan(every=True, datasets=(str(folder),), metrics=("psnr",), protocols=("standard", "classic"))
    run(plan, quiet=True)
    frame = load_results()
    interpolators = {model.name for model in MODELS if model.interpolator}
    for protocol in ("standard.v1", "classic.v1"):
        assert set(frame[frame.protocol == protocol].checkpoint) == {*interpolators, "fsrcnn_s_x4.tiny"}
    assert not frame.value.isna().any()
    assert run(plan, quiet=True).measured == 0, "nothing is computed again"


@pytest.mark.parametrize(
    ("plan", "status"),
    [
        ({"names": ("fsrcnn_s_x4.tiny",), "scale": 2}, "unsupported_scale"),
        ({"names": ("bicubic",), "scale": 7}, "unsupported_scale"),
        ({"names": ("edsr",)}, "no_weights"),
        ({"names": ("edsr",), "protocols": ("classic",)}, "unsupported_protocol"),
    ],
)
def test_what_can_have_no_number_is_said_and_leaves_no_record(
    zoo: Path, folder: Path, plan: dict[str, Any], status: str
) -> None:
    asked = EvalPlan(**plan, datasets=(str(folder),), metrics=("psnr",))
    with pytest.raises(UnavailableError) as error:
        run(asked, quiet=True)
    assert error.value.status == status
    outcome = run(
        dataclasses.replace(asked, names=("nearest", *asked.names), scale=4, protocols=("standard",)), quiet=True
    )
    assert sum("below bicubic" not in note for note in outcome.notes) == (asked.names == ("edsr",))
    assert {result.status for result in read_results()} == {"ok"}
    result = srbench.evaluate(Nearest(), folder, scale=4, protocol="classic", metrics=["psnr"])
    assert result.status == "unsupported_protocol", "from Python it is a Result"


def test_variants_have_records_of_their_own(zoo: Path, folder: Path) -> None:
    for inference in (Inference(), Inference(ensemble=True), Inference(tile=8), Inference(tile=8, overlap=0)):
        run(EvalPlan(names=("fsrcnn_s",), datasets=(str(folder),), metrics=("psnr",), inference=inference), quiet=True)
    found = {result.variant: result for result in read_results()}
    assert sorted(found) == ["", "ensemble", "tile8", "tile8-0"]
    assert found["tile8"].mean("psnr") == pytest.approx(found[""].mean("psnr"), abs=1e-4)
    assert "equal to the whole image" in found["tile8"].provenance["tiling"]
    assert "of 255 off" in found["tile8-0"].provenance["tiling"]


def test_images_are_saved(zoo: Path, folder: Path, tmp_path: Path) -> None:
    plan = EvalPlan(names=("bicubic",), datasets=(str(folder),), metrics=("psnr",), save_images=tmp_path / "sr")
    run(plan, quiet=True)
    made = tmp_path / "sr" / "dir-photos_x4" / "bicubic"
    assert sorted(p.name for p in made.iterdir()) == ["p0.png", "p1.png", "p2.png"]
    again = srbench.score(made, folder, 4, metrics=["psnr"])
    assert again.metrics["psnr"].values == read_results()[0].metrics["psnr"].values


def test_a_bad_image_costs_its_dataset_and_no_other(zoo: Path, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_image(other / "a.png", smooth(40, 40))
    write_image(other / "b.png", smooth(40, 40, 2))
    (other / "b.png").write_bytes((other / "b.png").read_bytes()[:500])
    outcome = run(EvalPlan(names=("bicubic",), datasets=(str(other), str(folder)), metrics=("psnr",)), quiet=True)
    assert len(outcome.errors) == 1
    assert "b.png" in outcome.errors[0]
    assert [result.dataset for result in read_results()] == ["dir-photos"]


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"names": ("fsrcn",)}, "fsrcnn"),
        ({"names": ("fsrcnn_s_x4.tyni",)}, "fsrcnn_s_x4.tiny"),
        ({"names": ("bicubic",), "metrics": ("pnsr",)}, "psnr"),
        ({"names": ("bicubic",), "protocols": ("clasic",)}, "classic"),
        ({"names": ("bicubic",), "datasets": ("set55",)}, "set5"),
    ],
)
def test_unknown_names_stop_before_anything_is_computed(
    zoo: Path, plan: dict[str, tuple[str, ...]], words: str
) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{words}'"):
        run(EvalPlan(**plan), quiet=True)  # type: ignore[arg-type]
    assert not (zoo / "results").exists()


def test_changed_weights_are_refused(zoo: Path, folder: Path) -> None:
    path = zoo / "zoo" / "fsrcnn_s" / "x4.tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    outcome = run(EvalPlan(names=("fsrcnn_s",), datasets=(str(folder),), metrics=("psnr",)), quiet=True)
    assert "sha256" in outcome.errors[0]
    assert read_results() == []


def test_weights_from_elsewhere(zoo: Path, folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    torch.save({"params_ema": create_model("msrresnet", 4).state_dict()}, tmp_path / "x.pth")
    named: SubjectOptions = {"model": "msrresnet", "weights": tmp_path / "x.pth"}
    plan = EvalPlan(named=named, scale=4, datasets=(str(folder),), metrics=("psnr",))
    run(plan, quiet=True)
    (found,) = read_results()
    assert (found.checkpoint, found.model, found.status) == ("msrresnet_x4.x", "msrresnet", "ok")
    with pytest.raises(InputError, match=r"x\.pth"):
        run(dataclasses.replace(plan, named={**named, "model": "edsr_baseline"}), quiet=True)


def test_score_of_arrays_files_and_folders(folder: Path, tmp_path: Path) -> None:
    hr = smooth(48, 60)
    sr = np.clip(hr.astype(int) + 3, 0, 255).astype(np.uint8)
    assert srbench.score(hr, hr, scale=4, metrics=["psnr"]).mean("psnr") == math.inf
    value = srbench.score(sr, hr, scale=4, metrics=["psnr"]).mean("psnr")
    write_image(tmp_path / "sr.png", sr)
    write_image(tmp_path / "hr.png", hr)
    assert srbench.score(tmp_path / "sr.png", tmp_path / "hr.png", scale=4, metrics=["psnr"]).mean("psnr") == value
    for name in ("p0_x4.png", "p1x4.png", "p7.png"):
        write_image(tmp_path / "made" / name, smooth(48, 60))
    found = srbench.score(tmp_path / "made", folder, scale=4, metrics=["psnr"])
    assert found.images == ["p0", "p1"]
    assert (found.provenance["sr_only"], found.provenance["hr_only"]) == ("p7.png", "p2.png")


def test_score_refuses_what_does_not_fit(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SR is 40×40"):
        srbench.score(smooth(40, 40), smooth(48, 60), scale=4, metrics=["psnr"])
    with pytest.raises(InputError, match="float64"):
        srbench.score(smooth(48, 60) / 255, smooth(48, 60), scale=4, metrics=["psnr"])
    write_image(tmp_path / "made" / "zebra.png", smooth(48, 60))
    with pytest.raises(InputError, match=r"zebra.*p0"):
        srbench.score(tmp_path / "made", folder, scale=4)
    write_image(tmp_path / "made" / "p0.png", smooth(20, 20))
    with pytest.raises(InputError, match=r"p0\.png: SR is 20×20; HR, cropped to multiples of 4, is 60×48"):
        srbench.score(tmp_path / "made", folder, scale=4)


def test_a_image_too_small_for_a_metric_costs_that_metric_alone(tmp_path: Path) -> None:
    write_image(tmp_path / "small" / "a.png", smooth(16, 16))
    result = srbench.evaluate("bicubic", tmp_path / "small", scale=4, metrics=["psnr", "ssim"])
    assert result.metrics["psnr"].status == "ok"
    assert result.metrics["ssim"].status == "failed"
    assert "a" in result.metrics["ssim"].reason


def test_records_say_how_they_were_made(zoo: Path, folder: Path) -> None:
    run(EvalPlan(names=("fsrcnn_s",), datasets=(str(folder),), metrics=("psnr",)), quiet=True)
    (path,) = (zoo / "results").rglob("*.json")
    record = json.loads(path.read_text())
    assert record["options"] == {"skip": "bicubic"}
    assert record["protocol_fields"]["channel"] == "y"
    assert len(record["weights_sha256"]) == len(record["data_sha256"]) == len(record["cell_hash"]) == 64


def test_evaluate_asks_for_a_scale(folder: Path) -> None:
    with pytest.raises(SrbenchError, match="scale"):
        srbench.evaluate("bicubic", folder)
    with pytest.raises(SrbenchError, match="scale"):
        srbench.evaluate(nn.Identity(), folder)


@pytest.mark.slow
def test_processes_share_the_cells_and_agree_with_one(zoo: Path, folder: Path) -> None:
    import os
    import subprocess
    import sys

    plan = EvalPlan(
        names=("bicubic", "nearest", "lanczos", "fsrcnn_s"), datasets=(str(folder),), metrics=("psnr", "ssim")
    )
    run(plan, quiet=True)
    alone = {r.checkpoint: (r.metrics["psnr"].values, r.metrics["ssim"].values) for r in read_results()}
    for path in (zoo / "results").rglob("*.json"):
        path.unlink()
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "srbench", "eval"]
    command += [*plan.names, "--datasets", str(folder), "--metrics", "psnr,ssim"]
    done = subprocess.run(command, env={**os.environ, "SRBENCH_HOME": str(zoo)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shared = {r.checkpoint: (r.metrics["psnr"].values, r.metrics["ssim"].values) for r in read_results()}
    assert shared.keys() == alone.keys()
    for name, (psnr, ssim) in shared.items():
        assert psnr == pytest.approx(alone[name][0], abs=1e-3)
        assert ssim == pytest.approx(alone[name][1], abs=1e-5)
