"""LR of training and validation by any degradation: the same pieces as in evaluation, random ones drawn for every crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srbench.datasets.pairs import degrade, prepare_hr
from srbench.degradations import How, get_degradation
from srbench.errors import InputError
from srbench.images import imresize
from srbench.protocol import Protocol
from srbench.training.data.images import load_images
from srbench.training.data.sampler import Sampler, Share
from srbench.training.loop.validation import Validation
from srbench.training.recipe.schema import Recipe
from tests.builders import small_recipe, write_images


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return sorted(write_images(tmp_path / "photos").iterdir())


@pytest.mark.parametrize("degradation", ["bicubic", "bd", "jpeg:quality=20", "opencv-bicubic"])
def test_whole_images_are_degraded_once(paths: list[Path], degradation: str) -> None:
    images = load_images(paths, 4, 6, degradation=degradation)
    for hr, lr in zip(images.hr, images.lr, strict=True):
        assert np.array_equal(lr, get_degradation(degradation)(np.asarray(hr), How(4)))
    assert images.degradation == ""


def test_caches_of_other_degradations_are_others(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    for degradation in ("bicubic", "bd", "bicubic", "dn"):
        images = load_images(paths, 4, 6, memory=0, degradation=degradation)
        expected = "bicubic" if degradation == "dn" else degradation
        lr = get_degradation(expected)(np.asarray(images.hr[0]), How(4))
        around = images.margin
        assert np.array_equal(images.lr[0][around:-around, around:-around], lr)
    assert len(list((tmp_path / "cache" / "training").glob("*.bin"))) == 2


@pytest.mark.parametrize("degradation", ["dn", "gaussian8", "two-stage"])
def test_random_ones_are_drawn_for_every_crop(paths: list[Path], degradation: str) -> None:
    """A pure function of seed, step and place in the batch, whatever the processes; never twice the same."""
    images = load_images(paths, 4, 12, degradation=degradation)
    sampler = Sampler(images, 12, 4, seed=0)
    lr, hr = sampler.gather(5)
    assert (lr.shape, hr.shape) == ((4, 12, 12, 3), (4, 48, 48, 3))
    again = Sampler(images, 12, 4, seed=0).gather(5)
    assert np.array_equal(lr, again[0])
    parts = [Sampler(images, 12, 4, seed=0, share=Share(rank, 2)).gather(5)[0] for rank in range(2)]
    assert np.array_equal(np.concatenate(parts), lr)
    assert not np.array_equal(lr, imresize_each(hr))
    noise = [made.astype(int) - imresize(one, 0.25).astype(int) for made, one in zip(lr, hr, strict=True)]
    assert not np.array_equal(noise[0], noise[1])
    upscaled = Sampler(load_images(paths, 4, 12, margin=3, degradation=degradation), 12, 4, seed=0, pre_upsampled=True)
    assert upscaled.gather(5)[0].shape == (4, 18, 18, 3)


def imresize_each(hr: np.ndarray) -> np.ndarray:
    return np.stack([imresize(one, 0.25) for one in hr])


def test_validation_is_degraded_alike(paths: list[Path]) -> None:
    from srbench.images import read_image

    held = Validation(paths[:2], 4, "dn")
    protocol = Protocol(name="validation", degradation="dn")
    for path, (hr, lr) in zip(paths[:2], held._pairs, strict=True):
        assert np.array_equal(hr, prepare_hr(read_image(path), 4, protocol))
        assert np.array_equal(lr, degrade(hr, 4, protocol, path.stem))
    assert held.bicubic() < Validation(paths[:2], 4).bicubic() - 1


def test_the_recipe_key(paths: list[Path]) -> None:
    assert Recipe().degradation == "bicubic"
    assert small_recipe(paths[0].parent, degradation=" jpeg:quality=40").degradation == "jpeg"
    with pytest.raises(InputError, match="Did you mean 'bicubic'"):
        small_recipe(paths[0].parent, degradation="bicubik")
    with pytest.raises(InputError, match="LR files alone"):
        small_recipe(paths[0].parent, degradation="real")


def test_a_run_learns_from_it(paths: list[Path], srbench_home: Path) -> None:
    from srbench.training.loop.options import RunOptions
    from srbench.training.loop.trainer import train

    card = train(
        "fsrcnn_s", small_recipe(paths[0].parent, degradation="jpeg:quality=20"), RunOptions(zoo=srbench_home / "zoo")
    )
    assert card.config["degradation"] == "jpeg:quality=20"
