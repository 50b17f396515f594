"""Alarms before a wrong number is believed: each wrong thing is said, and nothing is said of what is right."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import srbench
from srbench.degradations import How, get_degradation
from srbench.evaluation.alarms import identical, other_scale
from srbench.evaluation.run import EvalPlan, run
from srbench.images import imresize, planar, write_image
from srbench.results import MetricScores, Result, read_results
from srbench.subjects import Subject
from tests.builders import smooth
from tests.test_evaluation import Nearest


def photo(seed: int, side: int = 160) -> np.ndarray:
    """Edges and texture, so that a shift of one pixel costs several dB."""
    rng = np.random.default_rng(seed)
    image = np.zeros((side, side, 3))
    for _ in range(60):
        top, left = rng.integers(0, side - 8, 2)
        height, width = rng.integers(6, side // 3, 2)
        image[top : top + height, left : left + width] = rng.integers(20, 236, 3)
    return np.clip(image + 10, 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(3):
        write_image(tmp_path / "photos" / f"p{i}.png", photo(i))
    return tmp_path / "photos"


class Sharp(nn.Module):
    """Better than bicubic: it knows where the edges of ``photo`` are not (a sharpened bicubic)."""

    scale = 4

    def forward(self, x: Tensor) -> Tensor:
        large: Tensor = imresize(x, 4.0)
        blurred = F.avg_pool2d(F.pad(large, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
        return large + 0.3 * (large - blurred)


def notes(network: nn.Module, folder: Path, **more: object) -> list[str]:
    result = srbench.evaluate(network, folder, 4, metrics=["psnr"], **more)  # type: ignore[arg-type]
    assert result.ok
    return result.notes


def changed(change: object) -> nn.Module:
    class Changed(Sharp):
        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = change(super().forward(x))  # type: ignore[operator]
            return made

    return Changed()


def test_nothing_is_said_of_what_is_right(folder: Path) -> None:
    assert notes(Sharp(), folder) == []
    for name in ("bicubic", "nearest", "lanczos"):
        assert srbench.evaluate(name, folder, 4, metrics=["psnr"]).notes == []


def test_below_bicubic(folder: Path) -> None:
    (found,) = notes(Nearest(), folder)
    assert found.startswith("below bicubic: ")
    ours = srbench.evaluate("bicubic", folder, 4, metrics=["psnr"]).mean("psnr")
    assert f"where bicubic has {ours:.2f} dB" in found


@pytest.mark.parametrize(
    ("shift", "words"), [((0, 1), "left"), ((0, -1), "right"), ((1, 0), "up"), ((-1, -1), "down and right")]
)
def test_a_shift_is_said_with_its_direction(tmp_path: Path, shift: tuple[int, int], words: str) -> None:
    for i in range(3):
        write_image(tmp_path / f"p{i}.png", smooth(96, 96, i))
    found = notes(changed(lambda y: torch.roll(y, shift, (-2, -1))), tmp_path)
    assert any(f"SR is shifted: moved by one pixel {words} it is" in note for note in found), found


def test_other_order_of_channels(folder: Path) -> None:
    assert any("taken as BGR" in note for note in notes(changed(lambda y: y.flip(1)), folder))


def test_another_range(folder: Path) -> None:
    found = notes(changed(lambda y: y * 255), folder)
    assert any("another range (0–255 instead of 0–1?)" in note for note in found)
    hr = photo(0)
    dark = srbench.score((hr > 127).astype(np.uint8), hr, 4, metrics=["psnr"])
    assert any("stored as 8 bits without × 255" in note for note in dark.notes)


@pytest.mark.parametrize(
    ("name", "scale", "said"),
    [("EDSR_x2.pth", 4, True), ("EDSR_x4.pth", 4, False), ("x2_to_x4.pth", 3, False), ("LRbicx3", 4, True)],
)
def test_a_scale_in_a_name(name: str, scale: int, said: bool) -> None:
    assert bool(other_scale({"the file of weights": name}, scale)) == said


def test_weights_for_another_scale_are_said(folder: Path, tmp_path: Path) -> None:
    """FSRCNN has the same shapes at ×2 and ×4: only the numbers can tell."""
    from srbench.models import create_model

    torch.manual_seed(0)
    torch.save(create_model("fsrcnn", 2).state_dict(), tmp_path / "fsrcnn_x2.pth")
    found = srbench.evaluate(tmp_path / "fsrcnn_x2.pth", folder, 4, metrics=["psnr"], model="fsrcnn").notes
    assert any("is called fsrcnn_x2.pth, which says x2; it is measured at x4" in note for note in found)
    assert any("below bicubic" in note for note in found)


def test_luma_of_eight_bits_is_said() -> None:
    """A program that rounds Y, Cb and Cr before it makes RGB of them."""
    from srbench.images import rgb, ycbcr

    rng = np.random.default_rng(0)
    hr = np.clip(photo(0).astype(int) + rng.integers(-9, 10, (160, 160, 3)), 0, 255).astype(np.uint8)
    close = np.clip(hr.astype(int) + rng.integers(-2, 3, hr.shape), 0, 255).astype(np.uint8)
    x = planar(close).to(torch.float64) / 255
    coarse = rgb(torch.round(ycbcr(x) * 255) / 255).mul(255).round().clamp(0, 255).to(torch.uint8)
    through = np.ascontiguousarray(coarse[0].permute(1, 2, 0).numpy())
    assert any("8-bit YCbCr" in note for note in srbench.score(through, hr, 4, metrics=["psnr"]).notes)
    assert srbench.score(close, hr, 4, metrics=["psnr"]).notes == []


def test_one_image_is_no_plural() -> None:
    scores = MetricScores(unit="dB", higher_is_better=True, digits=2, version=1, space="y", values=[math.inf])
    assert identical(["a"], scores).startswith("the one image is identical to HR")


def test_identical_images_are_said(folder: Path, tmp_path: Path) -> None:
    for i in range(3):
        write_image(tmp_path / "sr" / f"p{i}.png", photo(i) + np.uint8(2 * (i != 1)))
    result = srbench.score(tmp_path / "sr", folder, 4, metrics=["psnr"])
    assert result.mean("psnr") == math.inf
    rest = np.mean([value for value in result.metrics["psnr"].values if value != math.inf])
    assert f"1 of 3 images is identical to HR (p1); the mean over the others is {rest:.2f} dB" in result.notes
    everything = srbench.score(folder, folder, 4, metrics=["psnr"])
    assert "all 3 images are identical to HR: SR and HR may be the same files" in everything.notes


LR = {
    "OpenCV's bicubic": lambda hr: get_degradation("opencv-bicubic")(hr, How(4)),
    "Pillow's bicubic": lambda hr: get_degradation("pillow-bicubic")(hr, How(4)),
    "blur and decimation": lambda hr: get_degradation("bd")(hr, How(4)),
    "nearest": lambda hr: imresize(hr, 0.25, method="nearest"),
    "another reduction": lambda hr: imresize(hr[:, ::-1], 0.25),
    "rounded otherwise": lambda hr: get_degradation("bicubic")(hr, How(4, rounded="once")),
}


@pytest.mark.parametrize("kind", LR)
def test_lr_files_of_another_kernel(folder: Path, tmp_path: Path, kind: str) -> None:
    for i in range(3):
        write_image(tmp_path / "lr" / f"p{i}.png", LR[kind](photo(i)))
    (found, *_) = srbench.evaluate("bicubic", folder, 4, metrics=["psnr"], lr_folder=tmp_path / "lr").notes
    assert "the LR files" in found
    assert kind in found


def test_lr_files_of_the_protocol_are_right(folder: Path, tmp_path: Path) -> None:
    for i in range(3):
        write_image(tmp_path / "lr" / f"p{i}.png", imresize(photo(i), 0.25))
    assert srbench.evaluate("bicubic", folder, 4, metrics=["psnr"], lr_folder=tmp_path / "lr").notes == []


def test_notes_are_kept_and_said_again(folder: Path, tmp_path: Path, srbench_home: Path) -> None:
    for i in range(3):
        write_image(tmp_path / "lr" / f"p{i}.png", imresize(photo(i), 0.25, method="nearest"))
    plan = EvalPlan(
        names=("bicubic",), scale=4, datasets=(str(folder),), metrics=("psnr",), lr_folder=tmp_path / "lr"
    )  # fmt: skip
    first = run(plan, quiet=True)
    (record,) = read_results()
    assert "they are as by nearest" in record.notes[0]
    again = run(plan, quiet=True)
    assert (first.measured, again.kept) == (1, 1)
    assert any("they are as by nearest" in note for note in again.notes)


def test_records_without_notes_are_read() -> None:
    assert (
        Result(checkpoint="a", model="a", dataset="b", scale=4, protocol="standard.v1", status="oom", reason="x").notes
        == []
    )


# Quiet on good input


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("dataset", ["set5", "sample"])
def test_the_whole_zoo_is_quiet(dataset: str, data_root: Path) -> None:
    """Below bicubic is said of GANs that are, and nothing else of anything."""
    from srbench.datasets.local import find_dataset
    from srbench.evaluation.quality import Samples, measure_cell
    from srbench.protocol import get_protocol
    from srbench.subjects import everything

    samples: dict[int, Samples] = {}
    for subject in everything():
        for scale in subject.scales:
            if subject.obstacle(scale, get_protocol("standard")):
                continue
            there = samples.setdefault(
                scale, Samples(find_dataset(dataset, data_root), scale, get_protocol("standard"))
            )
            result = measure_cell(subject, there, ["psnr"])
            notes = [note for note in result.notes if not note.startswith("trained on ")]
            assert (len(notes) < len(result.notes)) == (dataset == "set5" and _saw_woman(subject)), subject.name
            if "gan" in subject.name and result.mean("psnr") < there.bicubic_psnr:
                assert [note.partition(":")[0] for note in notes] == ["below bicubic"], subject.name
            else:
                assert notes == [], subject.name


def _saw_woman(subject: Subject) -> bool:
    """Whether a network was trained on BSDS200 before its image of Set5's woman was left out."""
    return "bsds200" in subject.data and "bsds500-test" not in subject.data
