"""``score``: which SR file goes with which HR image, whose it is, and what its size and colours may be."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import srbench
from srbench.cli import main
from srbench.datasets.local import from_folder
from srbench.errors import InputError
from srbench.evaluation import score_methods
from srbench.evaluation.matching import methods
from srbench.images import imresize, write_image
from srbench.results import read_results
from srbench.zoo import list_checkpoints
from tests.builders import smooth


def photo(seed: int, side: int = 48) -> np.ndarray:
    return smooth(side, side, seed)


NAMES = ("baby", "bird", "img_1", "img_10")


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        write_image(tmp_path / "HR" / f"{name}.png", photo(seed))
    return tmp_path / "HR"


def made(folder: Path, *patterns: str, error: int = 3) -> Path:
    """SR images of all HR images, one for each pattern."""
    for number, pattern in enumerate(patterns):
        for seed, name in enumerate(NAMES):
            sr = np.clip(photo(seed).astype(int) + error + number, 0, 255).astype(np.uint8)
            write_image(folder / pattern.format(name), sr)
    return folder


# Names


@pytest.mark.parametrize(
    "pattern",
    ["{}.png", "{}x4.png", "{}_x4.png", "{}_SR.png", "{}_4x_out.png", "{}_SRF_4_SR.png", "{}.bmp.png", "{}_x4_SR.PNG"],
)
def test_names_of_one_method(hr: Path, tmp_path: Path, pattern: str) -> None:
    (found,) = methods(made(tmp_path / "out", pattern), from_folder(hr), 4)
    assert (found.method, len(found.pairs), found.sr_only, found.hr_only) == ("", 4, (), ())
    assert [name for name, _, _ in found.pairs] == list(NAMES)


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        ("{}_EDSR.png", "EDSR"), ("{}_x4_SwinIR.png", "SwinIR"), ("{}_RCAN_x4.png", "RCAN"), ("{}-my net.png", "my net"),
        ("{}_SRF_4_A+.png", "A+"), ("{}x4_HAN_best.png", "HAN_best"),
    ],
)  # fmt: skip
def test_a_method_is_learned_from_the_files(hr: Path, tmp_path: Path, pattern: str, method: str) -> None:
    (found,) = methods(made(tmp_path / "out", pattern), from_folder(hr), 4)
    assert (found.method, len(found.pairs)) == (method, 4)


def test_several_methods_in_one_folder(hr: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "out", "{}_EDSR.png", "{}_x4_SwinIR.png", "{}.png")
    (folder / "bird_EDSR.png").unlink()
    write_image(folder / "zebra.png", photo(9))
    found = {one.method: one for one in methods(folder, from_folder(hr), 4)}
    assert sorted(found) == ["", "EDSR", "SwinIR"]
    assert found["EDSR"].hr_only == ("bird.png",)
    assert found["SwinIR"].hr_only == ()
    assert "zebra.png" in found[""].sr_only


@pytest.mark.parametrize("below", ["", "HR/", "HR/x4/", "x4/", "images/"])
def test_a_folder_a_method(hr: Path, tmp_path: Path, below: str) -> None:
    made(tmp_path / "methods", f"EDSR/{below}{{}}.png", f"SwinIR/{below}{{}}_x4.png")
    found = methods(tmp_path / "methods", from_folder(hr), 4)
    assert [(one.method, len(one.pairs)) for one in found] == [("EDSR", 4), ("SwinIR", 4)]


def test_pairs_and_results_of_methods_in_one_folder(tmp_path: Path) -> None:
    """As SelfExSR publishes them: HR, LR and the results of methods side by side."""
    for seed in range(2):
        top = tmp_path / "image_SRF_4"
        write_image(top / f"img_{seed}_SRF_4_HR.png", photo(seed))
        write_image(top / f"img_{seed}_SRF_4_LR.png", imresize(photo(seed), 0.25))
        for name, error in (("bicubic", 9), ("SelfExSR", 3)):
            write_image(
                top / f"img_{seed}_SRF_4_{name}.png", np.clip(photo(seed).astype(int) + error, 0, 255).astype(np.uint8)
            )
    results = score_methods(top, top, 4, metrics=["psnr"])
    assert {r.checkpoint: r.images for r in results} == {"bicubic": ["img_0", "img_1"], "SelfExSR": ["img_0", "img_1"]}


def test_ends_that_are_no_methods(hr: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(NAMES):
        write_image(tmp_path / "out" / f"{name}_{seed:03d}.png", photo(seed))
    (found,) = methods(tmp_path / "out", from_folder(hr), 4)
    assert (found.method, len(found.pairs)) == ("", 4)


def test_names_that_fit_nothing(hr: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "out" / "zebra.png", photo(0))
    with pytest.raises(InputError, match=r"no image is named like one of .*: SR has zebra, HR has baby, bird, img_1"):
        methods(tmp_path / "out", from_folder(hr), 4)
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(InputError, match="no images of dir-"):
        methods(tmp_path / "empty", from_folder(hr), 4)


# Records


def test_records_like_those_of_eval(hr: Path, tmp_path: Path, srbench_home: Path) -> None:
    folder = made(tmp_path / "out", "{}.png")
    command = ["score", "--sr", str(folder), "--hr", str(hr), "--scale", "4", "--metrics", "psnr,ssim"]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert read_results() == [], "nothing is stored unless it is asked for"
    done = CliRunner().invoke(main, [*command, "--name", "SwinIR official"])
    assert done.exit_code == 0, done.output
    (found,) = read_results()
    assert (found.checkpoint, found.own, len(found.images)) == ("SwinIR official", True, 4)
    assert len(found.cell_hash) == len(found.data_sha256) == len(found.weights_sha256) == 64
    ours = srbench.evaluate("bicubic", hr, 4, metrics=["psnr"])
    assert (found.dataset, found.data_sha256) == (ours.dataset, ours.data_sha256)
    made(folder, "{}.png", error=7)
    done = CliRunner().invoke(main, [*command, "--name", "SwinIR official"])
    assert done.exit_code != 0
    assert "SwinIR official" in done.output
    assert read_results() == [found], "nothing is lost"
    assert CliRunner().invoke(main, [*command, "--name", "SwinIR official", "--overwrite"]).exit_code == 0
    assert read_results()[0].cell_hash != found.cell_hash


def test_further_metrics_of_the_same_images_join_their_record(hr: Path, tmp_path: Path, srbench_home: Path) -> None:
    command = [
        "score",
        "--sr",
        str(made(tmp_path / "out", "{}.png")),
        "--hr",
        str(hr),
        "--scale",
        "4",
        "--name",
        "theirs",
    ]
    for metrics in ("psnr", "ssim"):
        assert CliRunner().invoke(main, [*command, "--metrics", metrics]).exit_code == 0
    (both,) = read_results()
    assert set(both.metrics) == {"psnr", "ssim"}
    assert CliRunner().invoke(main, [*command, "--metrics", "psnr,ssim", "--overwrite"]).exit_code == 0
    (anew,) = read_results()
    assert (anew.cell_hash, anew.metrics) == (both.cell_hash, both.metrics)


@pytest.mark.parametrize("name", ["bicubic", "fsrcnn", "fsrcnn_x4.tuned", "imdn_x3.authors"])
def test_no_record_takes_the_name_of_what_srbench_has(
    name: str, hr: Path, tmp_path: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = Path(__file__).resolve().parent.parent / "zoo"
    monkeypatch.setattr(
        "srbench.evaluation.scoring.list_checkpoints", lambda broken: list_checkpoints(root=zoo, broken=broken)
    )
    several = name == "bicubic"
    folder = made(tmp_path / "out", *([f"{{}}_{name}.png", "{}_other.png"] if several else ["{}.png"]))
    command = ["score", "--sr", str(folder), "--hr", str(hr), "--scale", "4", "--metrics", "psnr", "--overwrite"]
    done = CliRunner().invoke(main, [*command, *(["--record"] if several else ["--name", name])])
    assert done.exit_code != 0
    assert f"--name {name}" in done.output
    assert read_results() == []


def test_several_records_and_a_table(hr: Path, tmp_path: Path, srbench_home: Path) -> None:
    folder = made(tmp_path / "out", "{}_EDSR.png", "{}_SwinIR.png")
    command = ["score", "--sr", str(folder), "--hr", str(hr), "--scale", "4", "--metrics", "psnr"]
    done = CliRunner().invoke(main, [*command, "--record"])
    assert done.exit_code == 0, done.output
    assert [result.checkpoint for result in read_results()] == ["EDSR", "SwinIR"]
    assert "EDSR" in done.output
    done = CliRunner().invoke(main, [*command, "--name", "mine"])
    assert "has images of 2 methods (EDSR, SwinIR)" in done.output
    (folder / "baby_EDSR.png").unlink()
    done = CliRunner().invoke(main, [*command, "--record"])
    assert "EDSR lacks 1 image of" in done.output
    shown = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
    assert [one["checkpoint"] for one in shown] == ["EDSR", "SwinIR"]


# Sizes and colours


def test_sr_larger_than_the_cropped_hr_is_cropped_as_hr_is(tmp_path: Path) -> None:
    """HR of 50×50: a program may give 50×50, or 52×52 from LR rounded up; under ``rgb`` HR is 48×48."""
    hr = photo(0, 50)
    larger = np.pad(hr, ((0, 2), (0, 2), (0, 0)), mode="edge")
    for sr in (hr, larger, hr[:48, :50]):
        found = srbench.score(np.clip(sr.astype(int) + 2, 0, 255).astype(np.uint8), hr, 4, "rgb", ["psnr"])
        assert found.mean("psnr") == pytest.approx(20 * math.log10(255 / 2), abs=0.1)
        assert "cropped as HR is" in found.notes[0]
    with pytest.raises(InputError, match="SR is 53×50"):
        srbench.score(np.pad(hr, ((0, 0), (0, 3), (0, 0))), hr, 4, metrics=["psnr"])
    with pytest.raises(InputError, match="SR is 40×48"):
        srbench.score(hr[:48, :40], hr, 4, metrics=["psnr"])


def test_gray_sr_of_a_coloured_hr_is_refused_or_taken_as_luma() -> None:
    """The luma of HR itself scored 40 dB under ``standard``."""
    from srbench.images import luma

    hr = photo(0)
    y = np.floor(luma(hr) + 0.5).astype(np.uint8)
    with pytest.raises(InputError, match="SR is gray and its HR has colours"):
        srbench.score(y, hr, 4, metrics=["psnr"])
    found = srbench.score(y, hr, 4, "classic", ["psnr"])
    assert found.mean("psnr") == math.inf
    assert "taken as luma" in found.notes[0]
    gray = np.repeat(hr[..., :1], 3, axis=2)
    assert srbench.score(gray[..., 0], gray, 4, metrics=["psnr"]).mean("psnr") == math.inf


def test_lr_files_are_used_and_checked(hr: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "out", "{}.png")
    for seed, name in enumerate(NAMES):
        write_image(tmp_path / "lr" / f"{name}.png", imresize(photo(seed), 0.25))
        write_image(tmp_path / "other" / f"{name}.png", imresize(photo(seed), 0.25, method="nearest"))
    same, own = (srbench.score(folder, hr, 4, metrics=["lr-psnr"], lr=lr) for lr in (tmp_path / "lr", None))
    assert same.metrics == own.metrics
    assert same.notes == own.notes
    other = srbench.score(folder, hr, 4, metrics=["lr-psnr"], lr=tmp_path / "other")
    assert other.metrics != own.metrics
    assert "they are as by nearest" in other.notes[0]


def test_a_file_is_measured_against_a_file(hr: Path) -> None:
    [one, *_] = sorted(hr.glob("*.png"))
    for given, what in (("set5", "a catalog name"), (str(hr), "a folder"), ("nowhere.png", "no file that is there")):
        with pytest.raises(InputError, match=f"HR .*{given} is {what}; SR .*{one.name} is a file") as error:
            srbench.score(one, given, 4)
        assert "\n" not in str(error.value)
