"""Images that show what a test image shows are found again, whatever was done to them, and others are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from srbench.cli import main
from srbench.datasets import overlaps as module
from srbench.datasets.catalog import CATALOG
from srbench.datasets.local import find_dataset
from srbench.datasets.overlaps import known, of_test_sets, overlaps, shipped, trained_images
from srbench.datasets.prints import Index, make_print, window_hashes
from srbench.errors import InputError
from srbench.evaluation.quality import Samples, measure_cell
from srbench.images import read_image, write_image
from srbench.protocol import get_protocol
from srbench.subjects import resolve
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.trainer import Trainer, train
from tests.builders import small_recipe, smooth, write_images

TRAINING = [name for name, entry in CATALOG.items() if entry.split == "train" and shipped(name)]
TURNS = [None, *Image.Transpose]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_FOUND", {})


def sample(name: str) -> Image.Image:
    (path,) = [path for path in find_dataset("sample") if path.stem == name]
    return Image.fromarray(read_image(path)).convert("RGB")


def changed(image: Image.Image, area: float = 1.0, factor: float = 1.0, quality: int = 0, seed: int = 0) -> Image.Image:
    """A crop of a part of the area at some place, scaled, encoded as JPEG."""
    width, height = (int(side * area**0.5) for side in image.size)
    random = np.random.default_rng(seed)
    left, top = (
        int(random.integers(0, whole - part + 1)) for whole, part in zip(image.size, (width, height), strict=True)
    )
    image = image.crop((left, top, left + width, top + height))
    image = image.resize((round(width * factor), round(height * factor)), Image.Resampling.BICUBIC)
    if quality:
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=quality)
        image = Image.open(encoded)
    return image


def test_hashes_of_windows_are_those_of_imagehash() -> None:
    import imagehash

    windows = np.stack([smooth(32, 32, seed)[..., 0] for seed in range(40)])
    theirs = [int(str(imagehash.phash(Image.fromarray(window))), 16) for window in windows]
    assert window_hashes(windows.astype(np.float32)).tolist() == theirs


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize("turn", TURNS)
def test_a_copy_in_any_orientation_is_found(name: str, turn: Image.Transpose | None) -> None:
    image = changed(sample(name), 0.65, 0.7, 60, seed=3)
    match = Index([make_print(np.asarray(sample(name)))]).matches(
        make_print(np.asarray(image.transpose(turn) if turn is not None else image))
    )
    assert match[0].scale == pytest.approx(1 / 0.7, rel=0.1)
    assert (match[0].orientation == 0) == (turn is None)


def test_a_copy_of_an_image_with_little_in_it_is_found_as_a_whole() -> None:
    """The rocket flies at night: few windows have anything in them, and a part of it may have too few."""
    copy = changed(sample("rocket"), 1.0, 0.5, 60).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert Index([make_print(np.asarray(sample("rocket")))]).matches(make_print(np.asarray(copy)))


@pytest.mark.data
@pytest.mark.parametrize(
    "how",
    [{"area": 0.5}, {"factor": 0.4}, {"factor": 1.7}, {"quality": 30}, {"area": 0.5, "factor": 0.6, "quality": 50}],
    ids=["cropped", "reduced", "enlarged", "re-encoded", "all"],
)
def test_copies_of_every_test_image_are_found(how: dict[str, float], data_root: Path) -> None:
    tests = [one for name in ("set5", "set14") for one in shipped(name)]
    index, names = Index([one.print for one in tests]), [one.name for one in tests]
    for set_name in ("set5", "set14"):
        images = find_dataset(set_name, data_root)
        for path in images:
            copy = changed(Image.fromarray(read_image(path)).convert("RGB"), **how).transpose(
                Image.Transpose.FLIP_LEFT_RIGHT
            )  # type: ignore[arg-type]
            found = {names[number] for number in index.matches(make_print(np.asarray(copy)))}
            assert f"{set_name}/{images.title(path)}" in found
            assert found <= ALIKE.get(images.title(path), {f"{set_name}/{images.title(path)}"})


# Two test images are parts of others: face and head of one portrait, butterfly of monarch.
ALIKE = {
    name: set(pair)
    for pair in (("set14/face", "set5/head"), ("set14/monarch", "set5/butterfly"))
    for name in (one.partition("/")[2] for one in pair)
}


def test_of_all_training_images_one_shows_a_test_image() -> None:
    assert {"t91", "bsds200", "bsds500-test"} <= set(TRAINING)
    trained = [one for name in TRAINING for one in shipped(name)]
    tests = [one for name in ("set5", "set14", "sample") for one in shipped(name)]
    assert len(trained) == 491
    assert len(tests) == 23
    (found,) = overlaps(trained, tests)
    assert (found.image, found.shows) == ("bsds200/302003", "set5/woman")
    assert 1 / found.match.scale == pytest.approx(1.39, abs=0.01)
    assert set(CATALOG["bsds200"].leaks) == {"302003"}


@pytest.mark.data
def test_prints_of_the_package_are_those_of_the_images(data_root: Path) -> None:
    images = find_dataset("set5", data_root)
    for made, held in zip(known(images, anew=True), shipped("set5"), strict=True):
        assert (made.name, made.sha256, made.print.size) == (held.name, held.sha256, held.print.size)
        assert (
            np.isin(made.print.hashes, held.print.hashes).mean() > 0.95
        )  # the last bits of a sum differ between machines


def mixed(folder: Path) -> Path:
    """Images of one's own, and parts of two test images among them."""
    write_images(folder, 6)
    changed(sample("coffee"), 0.5, 0.5).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mine.png")
    changed(sample("chelsea"), 0.6).save(folder / "p9.jpg", quality=60)
    return folder


QUIET = RunOptions(progress=False, threads=1)


def test_a_run_leaves_out_what_test_images_show(
    tmp_path: Path, srbench_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = mixed(tmp_path / "photos")
    card = train("fsrcnn_s", small_recipe(folder, val=("p0", "p9")), RunOptions(threads=1))
    assert sorted(card.left_out) == ["dir-photos/mine", "dir-photos/p9"]
    assert card.overlaps == []
    said = " ".join(capsys.readouterr().err.split())
    assert "dir-photos/mine shows what sample/coffee shows, there 2.0" in said
    assert "left out" in said
    assert "8 images compared with" in said
    clean = write_images(tmp_path / "clean", 6)
    alone = train("fsrcnn_s", small_recipe(clean, val=("p0",)), RunOptions(progress=False, threads=1, name="alone"))
    assert alone.left_out == []
    assert [point["val_psnr"] for point in alone.curve] == [point["val_psnr"] for point in card.curve]


def test_what_is_allowed_stands_on_the_card_and_on_each_record(tmp_path: Path, srbench_home: Path) -> None:
    folder = mixed(tmp_path / "photos")
    recipe = small_recipe(folder, val=("p0", "p9"))
    card = train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1, allow_overlap=True))
    assert sorted(card.overlaps) == ["dir-photos/mine is sample/coffee", "dir-photos/p9 is sample/chelsea"]
    assert card.left_out == []
    (subject,) = resolve(card.name)
    record = measure_cell(subject, Samples(find_dataset("sample"), 4, get_protocol("standard")), ["psnr"])
    seen = (
        "trained on 2 of the 4 images that it is measured on: chelsea (as dir-photos/p9), coffee (as dir-photos/mine)"
    )
    assert seen in record.notes
    other = measure_cell(
        subject, Samples(find_dataset(write_images(tmp_path / "o", 2)), 4, get_protocol("standard")), ["psnr"]
    )
    assert not [note for note in other.notes if "trained on" in note]


def test_test_images_alone_are_no_training_data(tmp_path: Path, srbench_home: Path) -> None:
    with pytest.raises(
        InputError, match=r"each of the 3 training images shows what a test image shows.*--allow-overlap"
    ):
        train("fsrcnn_s", small_recipe(Path("sample"), val=1), QUIET)
    folder = write_images(tmp_path / "photos")
    with pytest.raises(InputError, match="each of the 2 validation images shows"):
        train("fsrcnn_s", small_recipe(folder, val=2, val_data="sample"), QUIET)


def test_an_evaluation_knows_what_older_checkpoints_were_trained_on() -> None:
    """A card of before the leak was left out holds the digest of all 200 images."""
    from srbench.datasets.hashes import digest_of

    held = shipped("bsds200")
    before = digest_of({one.file: one.sha256 for one in held})
    after = digest_of({one.file: one.sha256 for one in held if "302003" not in one.name})
    assert len(trained_images("bsds200", before) or ()) == 200
    assert len(trained_images("bsds200", after) or ()) == 199
    assert len(trained_images("bsds200", after, ["bsds200/100075"]) or ()) == 198
    assert trained_images("bsds200", "0" * 64) is None


def test_a_resumed_run_leaves_out_the_same(tmp_path: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mixed(tmp_path / "photos")
    recipe, after = small_recipe(folder, val=("p0", "p1")), Trainer._after

    def stopping(run: Trainer, done: int, batch: object, stop: object) -> None:
        stop.asked = done == 6  # type: ignore[attr-defined]
        after(run, done, batch, stop)  # type: ignore[arg-type]

    with monkeypatch.context() as once:
        once.setattr(Trainer, "_after", stopping)
        with pytest.raises(InterruptedRunError):
            train("fsrcnn_s", recipe, QUIET)
    with pytest.raises(
        InputError, match=r"was started with dir-photos/mine, dir-photos/p9 left out .*now it is nothing"
    ):
        train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1, resume=True, allow_overlap=True))
    assert train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1, resume=True)).steps == 12


def test_prints_of_large_folders_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = find_dataset(write_images(tmp_path / "photos"))
    monkeypatch.setattr(module, "_FEW", 4)
    monkeypatch.setattr(module, "_MEMORY", {})
    made = known(images)
    monkeypatch.setattr(module, "_MEMORY", {})
    monkeypatch.setattr(module, "make_print", None)
    again = known(images)
    assert [one.name for one in again] == [one.name for one in made]
    assert all(np.array_equal(one.print.hashes, other.print.hashes) for one, other in zip(made, again, strict=True))
    assert all(np.array_equal(one.print.places, other.print.places) for one, other in zip(made, again, strict=True))


def test_the_command_names_overlaps_and_doubles(tmp_path: Path) -> None:
    folder = mixed(tmp_path / "photos")
    found = CliRunner().invoke(main, ["data", "overlap", str(folder)])
    assert found.exit_code == 1
    assert "dir-photos/mine shows what sample/coffee shows" in found.output
    write_image(tmp_path / "a" / "one.png", np.asarray(sample("chelsea")))
    write_image(tmp_path / "a" / "two.png", np.asarray(changed(sample("chelsea"), 0.7)))
    doubles = CliRunner().invoke(main, ["data", "overlap", str(tmp_path / "a"), str(tmp_path / "a"), "--json"])
    assert doubles.output.count('"image"') == 1
    clean = CliRunner().invoke(main, ["data", "overlap", str(write_images(tmp_path / "clean")), str(tmp_path / "a")])
    assert clean.exit_code == 0
    assert ": 0 overlaps" in clean.output


def test_a_damaged_file_of_prints_is_as_none(tmp_path: Path) -> None:
    assert of_test_sets()
    for content in (b"", b"\x00" * 64, module.packed(shipped("set5"))[:-9]):
        (tmp_path / "x").write_bytes(content)
        assert module.unpacked(tmp_path / "x") == []
