"""LR images that come with HR images: used or refused, never ignored, and never used where they do not fit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srbench.datasets.local import find_dataset
from srbench.errors import InputError
from srbench.images import imresize, luma, read_image, write_image
from srbench.models import get_model
from srbench.training.data.decode import Wanted, decode
from srbench.training.data.images import load_images
from srbench.training.data.pairs import find_lr, misfit, read_pair, unused_lr
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.trainer import Trainer, train
from srbench.training.loop.validation import Validation
from srbench.training.recipe.schema import Recipe
from srbench.training.zoo import RecipeRequest
from srbench.upscaler import for_model
from srbench.zoo import load_checkpoint
from tests.builders import noise, small_recipe, smooth, write_images

QUIET = RunOptions(progress=False, threads=1)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """``photos/HR`` and ``photos/LR_bicubic/X4``, of several sizes."""
    for index, size in enumerate([(64, 72), (80, 64), (64, 64), (96, 68), (64, 72), (72, 72)]):
        hr = smooth(*size, seed=index)
        write_image(tmp_path / "photos" / "HR" / f"p{index}.png", hr)
        write_image(tmp_path / "photos" / "LR_bicubic" / "X4" / f"p{index}.png", imresize(hr, 0.25))
    return tmp_path / "photos"


def test_lr_files_equal_to_bicubic_train_the_same_weights(pairs: Path, srbench_home: Path) -> None:
    recipe = small_recipe(pairs, rescale=[])
    with pytest.raises(
        InputError, match=r"has LR images at x4 in .*'beside' trains on them, data_lr = 'none' makes LR"
    ):
        train("fsrcnn_s", recipe, QUIET)
    made = train("fsrcnn_s", recipe.model_copy(update={"data_lr": "none"}), QUIET)
    weights = (srbench_home / "zoo" / "fsrcnn_s" / "x4.tuned.safetensors").read_bytes()
    for given in ("beside", str(pairs / "LR_bicubic" / "X4")):
        card = train(
            "fsrcnn_s",
            recipe.model_copy(update={"data_lr": given}),
            RunOptions(progress=False, threads=1, overwrite=True),
        )
        assert (srbench_home / "zoo" / "fsrcnn_s" / "x4.tuned.safetensors").read_bytes() == weights
        assert card.curve[-1]["val_psnr"] == made.curve[-1]["val_psnr"]
        assert set(card.data) == {"dir-photos", "lr"}


def test_a_run_on_pairs_resumes_to_the_same_bits(
    pairs: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, after = small_recipe(pairs, rescale=[], data_lr="beside"), Trainer._after
    train("fsrcnn_s", recipe, QUIET)
    file = srbench_home / "zoo" / "fsrcnn_s" / "x4.tuned.safetensors"
    whole = file.read_bytes()

    def stopping(run: Trainer, done: int, batch: object, stop: object) -> None:
        stop.asked = done == 5  # type: ignore[attr-defined]
        after(run, done, batch, stop)  # type: ignore[arg-type]

    with monkeypatch.context() as once:
        once.setattr(Trainer, "_after", stopping)
        with pytest.raises(InterruptedRunError):
            train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1, overwrite=True))
    train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1, resume=True, cache_memory=0))
    assert file.read_bytes() == whole


def test_lr_of_another_scale_is_named(pairs: Path) -> None:
    path = pairs / "LR_bicubic" / "X4" / "p1.png"
    write_image(path, imresize(read_image(pairs / "HR" / "p1.png"), 1 / 2))
    found = decode(pairs / "HR" / "p1.png", Wanted(4, lr={pairs / "HR" / "p1.png": path}), 32)
    assert "LR is 32×40 and its HR p1.png 64×80, which is x2; x4 needs 16×20" in found.error
    hr = find_dataset(pairs)
    with pytest.raises(InputError, match="no folder of LR images at x3"):
        find_lr([hr], "beside", 3)
    with pytest.raises(InputError, match=r"p1\.png: LR is 32×40"):
        load_images(hr.paths, 4, 8, lr=find_lr([hr], "beside", 4))
    kept = load_images(hr.paths, 4, 8, lr=find_lr([hr], "beside", 4), skip_bad=True)
    assert kept.bad == ("p1.png",)
    assert len(kept.hr) == 5


@pytest.mark.parametrize(("rows", "columns"), [(1, 0), (0, -1), (2, 1)])
def test_a_shifted_lr_is_named_with_its_shift(rows: int, columns: int) -> None:
    hr = smooth(240, 240, seed=3)
    lr = np.roll(imresize(hr, 0.25), (rows, columns), (0, 1))
    assert misfit(hr, lr, 4) == f"is shifted by {rows:+.1f} rows and {columns:+.1f} columns of LR pixels against"


def test_other_images_are_no_pair() -> None:
    assert misfit(smooth(160, 160, 1), imresize(smooth(160, 160, 2), 0.25), 4).startswith(
        "does not show the same (correlation"
    )
    assert misfit(noise(160, 160, 1), imresize(noise(160, 160, 2), 0.25), 4)


def test_lr_of_other_colours_or_levels_is_named() -> None:
    hr = np.stack([smooth(160, 160, seed)[..., 0] for seed in (1, 1, 2)], axis=-1)
    lr = imresize(hr, 0.25)
    assert misfit(hr, lr, 4) == ""
    assert misfit(hr, np.ascontiguousarray(lr[..., ::-1]), 4) == "has red and blue swapped against"
    assert misfit(hr, luma(lr).round().astype(np.uint8)[..., None].repeat(3, -1), 4) == "is gray, unlike"
    assert misfit(hr, (lr // 2 + 100).astype(np.uint8), 4).endswith("brighter than")
    assert misfit(hr, (lr // 2).astype(np.uint8), 4).endswith("darker than")
    tinted = np.clip(lr + np.array([12, 0, -12]), 0, 255).astype(np.uint8)
    assert misfit(hr, tinted, 4) == ""


@pytest.mark.data
def test_swapped_channels_of_real_images_are_noticed(data_root: Path) -> None:
    from srbench.images import as_rgb, crop_to_multiple

    for path in find_dataset("set14", data_root):
        hr = crop_to_multiple(as_rgb(read_image(path)), 4)
        swapped = np.ascontiguousarray(imresize(hr, 0.25)[..., ::-1])
        gray = bool((hr[..., 0] == hr[..., 2]).all())
        assert bool(misfit(hr, swapped, 4)) is not gray, path


@pytest.mark.data
@pytest.mark.parametrize("degradation", ["bicubic", "bd", "jpeg:quality=10", "gaussian8", "two-stage", "dn"])
def test_degraded_lr_of_the_same_image_is_a_pair(degradation: str, data_root: Path) -> None:
    from srbench.degradations import How, get_degradation
    from srbench.images import as_rgb, crop_to_multiple

    for name in ("set5", "set14"):
        for path in find_dataset(name, data_root):
            hr = crop_to_multiple(as_rgb(read_image(path)), 12)
            chosen = get_degradation(degradation)
            assert (
                misfit(hr, chosen(hr, How(4 if degradation != "bd" else 3)), 4 if degradation != "bd" else 3) == ""
            ), path


def test_lr_images_of_another_scale_beside_a_folder_are_told(
    pairs: Path, srbench_home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = "LR images at x4 alone: those at x2 are made from HR"
    assert unused_lr([find_dataset(pairs)], 4) == []
    assert said in unused_lr([find_dataset(pairs)], 2)[0]
    recipe = small_recipe(pairs, scale=2, patch=8)
    train("fsrcnn_s", recipe, RunOptions(threads=1))
    assert said in capfd.readouterr().err
    train("fsrcnn_s", recipe.model_copy(update={"data_lr": "none"}), RunOptions(threads=1, overwrite=True))
    assert said not in capfd.readouterr().err


def test_a_pair_that_is_left_out_is_not_called_unreadable(
    pairs: Path, srbench_home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = pairs / "LR_bicubic" / "X4" / "p3.png"
    write_image(path, imresize(smooth(96, 68, seed=99), 0.25))
    recipe = small_recipe(pairs, rescale=[], data_lr="beside", patch=8, val=["p1"])
    card = train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1, skip_bad=True))
    assert "unreadable, or their LR does not fit, and left out: p3.png" in card.notes


def test_hr_that_was_cropped_for_its_lr_fits(tmp_path: Path) -> None:
    hr = smooth(67, 75)
    write_image(tmp_path / "hr.png", hr)
    write_image(tmp_path / "lr.png", imresize(np.ascontiguousarray(hr[:60, :72]), 0.25))
    large, small = read_pair(tmp_path / "hr.png", tmp_path / "lr.png", 4)
    assert large.shape == (60, 72, 3)
    assert small.shape == (15, 18, 3)


def test_keys_that_contradict_pairs_are_refused(pairs: Path) -> None:
    with pytest.raises(ValueError, match="give one of them"):
        Recipe(data_lr="beside", degradation="jpeg")
    with pytest.raises(ValueError, match=r"rescale = \[\]"):
        Recipe(data_lr="beside", rescale=(0.5,))
    changes = {"data": str(pairs), "data_lr": "beside"}
    assert RecipeRequest(changes=changes).resolve("fsrcnn_s")[0].rescale == ()
    with pytest.raises(InputError, match="is no folder"):
        find_lr([find_dataset(pairs)], "besides", 4)


def test_gray_and_16_bit_images_are_trained_on(tmp_path: Path, srbench_home: Path) -> None:
    folder = write_images(tmp_path / "mixed", 5)
    Image.fromarray(smooth(64, 72)[..., 0]).save(folder / "gray.png")
    Image.fromarray(smooth(64, 72)[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    images = load_images(find_dataset(folder).paths, 4, 8)
    assert images.bad == ()
    assert len(images.hr) == 7
    assert {hr.shape[2] for hr in images.hr} == {3}
    assert np.array_equal(images.hr[0], images.hr[1])  # deep.png and gray.png hold the same


@pytest.mark.slow
@pytest.mark.data
def test_training_on_jpeg_pairs_beats_training_on_bicubic_where_lr_is_jpeg(
    tmp_path: Path, srbench_home: Path, data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from srbench.datasets.lr_out import with_degradation, write_lr
    from srbench.protocol import get_protocol

    chosen = with_degradation(get_protocol("standard"), "jpeg:quality=20")
    folder = write_lr(find_dataset("t91", data_root), 4, chosen, tmp_path / "lr")
    values = {"patch": 16, "batch": 16, "steps": 300, "val_every": 300, "rescale": [], "val": 5, "channels": "y"}
    recipe = small_recipe(Path("t91"), **values)
    pairs = train("fsrcnn_s", recipe.model_copy(update={"data_lr": str(folder)}), QUIET)
    plain = train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1, name="plain"))
    images = find_dataset("t91", data_root)
    lr = find_lr([images], str(folder), 4)
    judge = Validation([path for path in images.paths if path.stem in pairs.notes.partition(";")[0]], 4, lr=lr)
    scores = {}
    for name in (pairs.name, plain.name):
        scores[name] = judge.scores(for_model(get_model("fsrcnn_s"), load_checkpoint(name), 4, "y"))["val_psnr"]
    with capsys.disabled():
        sys.stderr.write(f"\nPSNR on JPEG LR: {scores}, bicubic {judge.bicubic():.3f}\n")
    assert scores[pairs.name] > scores[plain.name] + 0.05
