"""Sets of clips: found in the layouts of the field, measured frame by frame and between frames, means as in the literature."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from skimage.metrics import peak_signal_noise_ratio

import srbench
from srbench.cli import main
from srbench.clip_results import ClipResult, read_clip_result, read_clip_results
from srbench.datasets import catalog
from srbench.datasets.clips import clips_of, from_clips, without_ends
from srbench.datasets.entry import Dataset
from srbench.datasets.local import find_dataset
from srbench.datasets.verify import verify
from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.evaluation.clips import ClipPlan, find_clips, measure_clips, stored_clips
from srbench.evaluation.quality import Samples
from srbench.images import imresize, read_image, write_image
from srbench.protocol import get_protocol
from srbench.subjects import resolve
from srbench.temporal import TEMPORAL, Step, luma_of
from srbench.temporal.diff_psnr import diff_psnr
from srbench.temporal.tof import Tof, tv_l1
from tests.builders import moving, noise, write_clips


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("set") / "mine", 3, (64, 80))


def luma(frame: np.ndarray) -> np.ndarray:
    return luma_of(frame.transpose(2, 0, 1))


# Sets


def test_a_folder_of_folders_is_a_set_of_clips(clips: Path) -> None:
    found = from_clips(clips)
    assert found.name == "dir-mine"
    assert clips_of(map(found.title, found.paths)) == {
        "astronaut": [0, 1, 2],
        "chelsea": [3, 4, 5],
        "coffee": [6, 7, 8],
    }
    assert found.title(found.paths[4]) == "chelsea/00000001"
    assert len(find_clips(clips / "GT" / "coffee")) == 3, "one clip by itself"
    assert [path.stem for path in without_ends(found, 1).paths] == ["00000001"] * 3
    with pytest.raises(InputError, match="astronaut has 3 frames; without 2 at either end none is left"):
        find_clips(clips, trim=2)


def test_layouts_of_clips(tmp_path: Path) -> None:
    for place in (
        "walk/img_2.png",
        "walk/img_10.png",
        "city/original/1.png",
        "BIx4/walk/x.png",
        "x4/1.png",
        ".a/1.png",
    ):
        write_image(tmp_path / "set" / place, noise(8, 8))
    (tmp_path / "set" / "x4" / "deep").mkdir()
    found = from_clips(tmp_path / "set")
    assert [found.title(path) for path in found.paths] == ["city/1", "walk/img_2", "walk/img_10"], (
        "numbers count as such"
    )
    with pytest.raises(InputError, match="no clips"):
        from_clips(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        from_clips(tmp_path / "none")
    write_image(tmp_path / "set" / "walk" / "img_2.bmp", noise(8, 8))
    with pytest.raises(InputError, match="one stem"):
        from_clips(tmp_path / "set")


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A set of the catalog with two short clips."""
    entry = Dataset(
        name="two", title="t", folder="Two", split="test", count=5, licence="l", homepage="http://h", manual="take it",
        clips={"Walk": 2, "City": 3},
    )  # fmt: skip
    monkeypatch.setattr(catalog, "CATALOG", {"two": entry})
    for module in ("srbench.datasets.local", "srbench.evaluation.clips"):
        monkeypatch.setattr(f"{module}.CATALOG", {"two": entry})
    return entry


@pytest.mark.parametrize("inside", ["Two/GT", "two", "TWO/hr"])
def test_a_set_of_the_catalog(tmp_path: Path, two: Dataset, inside: str) -> None:
    for clip, count in (("walk", 2), ("City", 3)):
        for index in range(count):
            write_image(tmp_path / inside / clip / f"{index}.png", noise(8, 8, index))
    found = find_clips("two", tmp_path)
    assert [found.title(path) for path in found.paths] == ["Walk/0", "Walk/1", "City/0", "City/1", "City/2"]
    assert len(found.hashes()) == 5, "frames of two clips may have one name"
    whole = verify(two, tmp_path)
    assert (whole.status, whole.found) == ("unverified", 5)
    (tmp_path / inside / "City" / "1.png").unlink()
    with pytest.raises(UnavailableError, match=r"has 2 of the 5 images of two, without City \(2 of 3 frames\)"):
        find_dataset("two", tmp_path)


def test_vid4_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(
        UnavailableError, match=r"vid4 is not in .*by hand: take Vid4.zip .* calendar, city, foliage, walk"
    ):
        find_clips("vid4", tmp_path)
    entry = catalog.get_dataset("vid4")
    assert sum(entry.clips.values()) == entry.count
    with pytest.raises(InputError, match="set5 is a set of images, not of clips; expected vid4"):
        find_clips("set5")
    with pytest.raises(UnknownNameError, match="vid4"):
        find_clips("vid")


# Measures of change


@pytest.mark.parametrize("measure", TEMPORAL, ids=lambda one: one.name)
def test_a_measure_keeps_its_contract(measure: object) -> None:
    """Perfect SR has the best value; worse flicker is worse; the order of what is measured does not matter."""
    from srbench.temporal import TemporalMetric

    assert isinstance(measure, TemporalMetric)
    hr = [luma(frame) for frame in moving(noise_image(), 2, (48, 56))]
    best = measure.score(Step((hr[0], hr[1]), (hr[0], hr[1])))
    assert best == (math.inf if measure.higher_is_better else 0)
    rng, flicker = np.random.default_rng(0), []
    for sigma in (2.0, 8.0):
        sr = [frame + rng.normal(0, sigma, frame.shape) for frame in hr]
        flicker.append(measure.score(Step((sr[0], sr[1]), (hr[0], hr[1]))))
    assert (flicker[0] > flicker[1]) == measure.higher_is_better
    assert measure.score(Step((hr[0], hr[1]), (hr[0], hr[1]))) == best, "nothing is left over from other frames"
    with pytest.raises(InputError, match="one size"):
        Step((hr[0], hr[1][1:]), (hr[0], hr[1]))


def noise_image() -> np.ndarray:
    made: np.ndarray = imresize(noise(40, 40), 4.0)
    return made


def test_frame_differences_agree_with_scikit_image() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.uniform(0, 255, (20, 24)) for _ in range(4)]
    ours = diff_psnr(Step((frames[0], frames[1]), (frames[2], frames[3])))
    theirs = peak_signal_noise_ratio(frames[3] - frames[2], frames[1] - frames[0], data_range=255)
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_the_flow_finds_a_known_motion() -> None:
    """A view that moves by (0.3, -0.7) pixels: things move the other way; TV-L1 is within a tenth of a pixel on the mean."""
    before, after = (luma(frame) for frame in moving(noise_image(), 2, (96, 96), (0.3, -0.7)))
    flow = tv_l1(before, after)[:, 8:-8, 8:-8].mean(axis=(1, 2))
    assert flow == pytest.approx([-0.3, 0.7], abs=0.1)


def test_tof_of_a_wobble_is_its_size() -> None:
    """SR that pans by 1 pixel where HR pans by a half is half a pixel off; at the borders things come in that no flow knows."""
    hr = [luma(frame) for frame in moving(noise_image(), 2, (96, 96), (0.0, 0.5))]
    sr = [luma(frame) for frame in moving(noise_image(), 2, (96, 96), (0.0, 1.0))]
    assert Tof()(Step((sr[0], sr[1]), (hr[0], hr[1]))) == pytest.approx(0.5, abs=0.12)
    with pytest.raises(InputError, match="16×16"):
        Tof()(Step((sr[0][:9], sr[1][:9]), (hr[0][:9], hr[1][:9])))


def test_tof_agrees_with_its_authors_flow() -> None:
    """Farnebäck's flow of OpenCV with the parameters of TecoGAN's script ranks degrees of flicker as TV-L1 does."""
    cv2 = pytest.importorskip("cv2")

    def farneback(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        pair = [np.clip(frame + 0.5, 0, 255).astype(np.uint8) for frame in (before, after)]
        found: np.ndarray = cv2.calcOpticalFlowFarneback(*pair, None, 0.5, 3, 15, 3, 5, 1.2, 0)
        return found[..., ::-1].transpose(2, 0, 1)

    hr = [luma(frame) for frame in moving(noise_image(), 2, (96, 96))]
    rng = np.random.default_rng(0)
    waves = rng.normal(0, 1, (2, 96, 96))
    scores = []
    for sigma in (0.0, 1.0, 4.0, 16.0):
        step = Step((hr[0] + sigma * waves[0], hr[1] + sigma * waves[1]), (hr[0], hr[1]))
        scores.append((Tof()(step), Tof(farneback)(step)))
    ours, theirs = zip(*scores, strict=True)
    assert list(ours) == sorted(ours)
    assert list(theirs) == sorted(theirs)


def test_the_flow_of_hr_is_computed_once() -> None:
    seen = []

    def flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        seen.append(before)
        return np.zeros((2, *before.shape))

    tof, frames = Tof(flow), [np.full((16, 16), float(value)) for value in range(4)]
    for sr in frames[2:]:
        tof(Step((sr, sr), (frames[0], frames[1])))
    assert len(seen) == 3


# Measuring


def test_a_cell_has_the_means_of_the_literature(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "uneven" / "a").mkdir(parents=True)
    for clip, names in (("a", ["0", "1"]), ("b", ["0", "1", "2"])):
        for name in names:
            write_image(tmp_path / "uneven" / clip / f"{name}.png", noise(32, 32, int(name) + len(names)))
    [subject] = resolve("bicubic")
    samples = Samples(find_clips(tmp_path / "uneven"), 2, get_protocol("standard"))
    result = measure_clips(subject, samples, ClipPlan(metrics=("psnr",)))
    values = result.frames.metrics["psnr"].values
    assert result.clip_mean("a", "psnr") == pytest.approx(np.mean(values[:2]))
    assert result.mean("psnr") == pytest.approx((np.mean(values[:2]) + np.mean(values[2:])) / 2)
    assert result.frame_mean("psnr") == pytest.approx(np.mean(values))
    assert result.pairs == ["a/1", "b/1", "b/2"], "no change leads from one clip to the next"
    assert len(result.temporal["tof"].values) == 3
    with pytest.raises(UnknownNameError, match="clip 'c'"):
        result.clip_mean("c", "psnr")
    with pytest.raises(UnknownNameError, match="psnr"):
        result.mean("psrn")


def test_changes_are_those_of_the_measured_frames(clips: Path) -> None:
    """As computed by hand: LR by bicubic, SR in 8 bits, luma, a border of the scale."""
    upscaler = srbench.load("bicubic", scale=4)
    [subject] = resolve("bicubic")
    images = find_clips(clips / "GT" / "coffee")
    result = measure_clips(subject, Samples(images, 4, get_protocol("standard")), ClipPlan(metrics=("psnr",)))
    hr = [read_image(path) for path in images.paths[:2]]
    sr = [upscaler(imresize(frame, 1 / 4)) for frame in hr]
    cropped = [luma(frame)[4:-4, 4:-4] for frame in (*sr, *hr)]
    expected = diff_psnr(Step((cropped[0], cropped[1]), (cropped[2], cropped[3])))
    assert result.temporal["diff-psnr"].values[0] == pytest.approx(expected, abs=1e-9)


def test_a_network_is_better_than_nearest_in_time_too(clips: Path) -> None:
    samples = Samples(find_clips(clips), 4, get_protocol("standard"))
    found = {
        name: measure_clips(resolve(name)[0], samples, ClipPlan(metrics=("psnr",)))
        for name in ("nearest", "fsrcnn_x4.tuned")
    }
    near, network = found["nearest"], found["fsrcnn_x4.tuned"]
    assert network.mean("tof") < near.mean("tof")
    assert network.mean("diff-psnr") > near.mean("diff-psnr")


def test_on_the_command_line(clips: Path, tmp_path: Path) -> None:
    def run(*more: object, code: int = 0) -> str:
        fixed = ["clips", "bicubic", "--datasets", str(clips), "--scale", "4", "--results", str(tmp_path / "r")]
        done = CliRunner().invoke(main, [*fixed, *map(str, more)])
        assert done.exit_code == code, done.output
        return done.output

    text = run("--trim", 0, "--metrics", "psnr")
    assert [word in text for word in ("chelsea", "mean of clips", "mean of frames", "diff-psnr")] == [True] * 4
    path = tmp_path / "r" / "clips" / "dir-mine_x4" / "standard.v1" / "bicubic.json"
    before = path.stat().st_mtime_ns
    run("--metrics", "psnr")
    assert path.stat().st_mtime_ns == before, "what is stored is not measured again"
    run("--metrics", "psnr", "--temporal", "diff-psnr")
    assert path.stat().st_mtime_ns != before
    told = json.loads(run("--metrics", "psnr", "--temporal", "diff-psnr", "--json"))
    assert told[0]["pairs"][0] == "astronaut/00000001"
    run("--trim", 1)
    assert sorted(one.frames.variant for one in read_clip_results(tmp_path / "r")) == ["", "trim1"]
    assert "unavailable" in run("--trim", 1), "a clip of one frame has no change"
    assert "Did you mean 'tof'" in run("--temporal", "tov", code=1)
    assert "00000000.png: LR is 80×64" in run("--lr-folder", clips / "GT", code=1)


def test_a_changed_record_is_refused(clips: Path, tmp_path: Path) -> None:
    fixed = [
        "clips",
        "bicubic",
        "--datasets",
        str(clips),
        "--scale",
        "4",
        "--results",
        str(tmp_path),
        "--temporal",
        "diff-psnr",
    ]
    assert CliRunner().invoke(main, fixed).exit_code == 0
    [path] = (tmp_path / "clips").rglob("*.json")
    result = read_clip_result(path)
    with pytest.raises(ValueError, match="numbers for"):
        ClipResult.model_validate({**result.model_dump(), "pairs": result.pairs[1:]})
    path.write_text(path.read_text(encoding="utf-8").replace('"trim": 0', '"trim": 1'), encoding="utf-8")
    with pytest.raises(InputError, match="checksum"):
        read_clip_result(path)
    assert "checksum" in CliRunner().invoke(main, fixed).output
    samples = Samples(find_clips(clips), 4, get_protocol("standard"))
    with pytest.raises(InputError, match="checksum"):
        stored_clips(resolve("bicubic")[0], samples, ClipPlan(temporal=("diff-psnr",)), tmp_path)
