"""The sampler: batches that depend on seed and step alone, and crops that fit their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.errors import InputError
from srbench.images import imresize, luma, write_image
from srbench.training.data.images import TrainingImages, load_images, upscaling_margin
from srbench.training.data.sampler import Sampler, Share

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for index, (height, width) in enumerate([(50, 61), (48, 48), (90, 70), (75, 64)]):
        write_image(folder / f"p{index}.png", random.integers(0, 256, (height, width, 3), dtype=np.uint8))
    return folder


def load(folder: Path, scale: int = 4, patch: int = 6, **options: object) -> TrainingImages:
    return load_images(sorted(folder.glob("*.png")), scale, patch, **options)  # type: ignore[arg-type]


def test_lr_is_the_matlab_resize_of_every_image_and_copy(folder: Path) -> None:
    images = load(folder, rescale=(0.9, 0.5))
    assert len(images.hr) == 4 + 4 + 4
    for hr, lr in zip(images.hr, images.lr, strict=True):
        assert hr.shape[0] % 4 == 0
        np.testing.assert_array_equal(lr, imresize(hr, 0.25))


def test_copies_too_small_for_a_crop_are_left_out_and_images_named(folder: Path) -> None:
    images = load(folder, patch=15, rescale=(0.5,))
    assert len(images.hr) == 2
    assert images.too_small == ("p0.png", "p1.png")
    with pytest.raises(InputError, match=r"none of the 4 training images holds a crop of 400×400"):
        load(folder, patch=100)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), step=st.integers(0, 10**6), world=st.sampled_from([1, 2, 4]))
def test_ranks_share_one_global_batch(folder: Path, seed: int, step: int, world: int) -> None:
    images = load(folder)
    whole = Sampler(images, 6, 4, seed).gather(step)
    parts = [Sampler(images, 6, 4, seed, share=Share(rank, world)).gather(step) for rank in range(world)]
    for index in range(2):
        np.testing.assert_array_equal(np.concatenate([part[index] for part in parts]), whole[index])


def test_another_seed_or_step_gives_another_batch(folder: Path) -> None:
    images = load(folder)
    hr = Sampler(images, 6, 4, 0).gather(0)[1]
    assert not np.array_equal(hr, Sampler(images, 6, 4, 1).gather(0)[1])
    assert not np.array_equal(hr, Sampler(images, 6, 4, 0).gather(1)[1])


def test_batches_prefetched_equal_those_gathered_and_can_start_anywhere(folder: Path) -> None:
    sampler = Sampler(load(folder), 6, 4, 0)
    everything = list(sampler.batches(0, 6, CPU))
    for step, (lr, hr) in enumerate(sampler.batches(3, 6, CPU, ahead=True), 3):
        assert torch.equal(lr, everything[step][0])
        assert torch.equal(hr, everything[step][1])
        assert torch.equal(hr, sampler.tensors(*sampler.gather(step), CPU)[1])


def test_lr_and_hr_crops_show_the_same_place_in_each_of_eight_orientations() -> None:
    hr = np.add.outer(np.arange(32) * 4, np.arange(40) * 2)[..., None].repeat(3, 2).astype(np.uint8)
    lr = imresize(hr, 0.25)
    sampler = Sampler(TrainingImages([hr] * 8, [lr] * 8, 4, 0), 4, 8, 0)
    seen = set()
    for step in range(20):
        small, large = sampler.tensors(*sampler.gather(step), CPU)
        # Of a plane, the mean of each 4×4 block is the LR pixel.
        blocks = torch.nn.functional.avg_pool2d(large, 4)
        assert (blocks - small)[..., 1:-1, 1:-1].abs().max() < 1.2 / 255
        seen |= {int(orientation) for orientation in sampler.draw(step).orientation}
    assert seen == set(range(8))
    assert not Sampler(TrainingImages([hr] * 8, [lr] * 8, 4, 0), 4, 8, 0, augment=False).draw(0).orientation.any()


def test_luma_is_studio_range(folder: Path) -> None:
    images = load(folder)
    rgb = Sampler(images, 6, 4, 0).gather(0)[1]
    y = Sampler(images, 6, 4, 0, channels="y").tensors(rgb, rgb, CPU)[1]
    assert y.shape == (4, 1, 24, 24)
    np.testing.assert_allclose(y[:, 0].numpy(), luma(rgb) / 255, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_an_upscaled_crop_equals_the_crop_of_the_upscaled_image(folder: Path, scale: int) -> None:
    images = load(folder, scale, margin=upscaling_margin(True))
    sampler = Sampler(images, 6, 4, 3, augment=False, pre_upsampled=True)
    edge = images.margin
    for step in range(10):
        crops = sampler.draw(step)
        small, large = sampler.tensors(*sampler.gather(step), CPU)
        assert small.shape == large.shape
        for row, (image, top, left) in enumerate(zip(crops.image, crops.top, crops.left, strict=True)):
            lr = images.lr[image][edge:-edge, edge:-edge].astype(np.float64)
            whole = imresize(lr, float(scale)) / 255
            window = whole[top * scale : (top + 6) * scale, left * scale : (left + 6) * scale]
            np.testing.assert_allclose(small[row].permute(1, 2, 0).numpy(), window, atol=2e-6)


def test_a_image_that_cannot_be_read_is_named_or_skipped_on_demand(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes((folder / "p0.png").read_bytes()[:200])
    paths = [*sorted(folder.glob("*.png")), broken]
    with pytest.raises(InputError, match=r"broken\.png"):
        load_images(paths, 4, 6)
    images = load_images(paths, 4, 6, skip_bad=True)
    assert (len(images.hr), images.bad) == (4, ("broken.png",))


def test_batches_that_cannot_be_made_are_refused(folder: Path) -> None:
    images = load(folder)
    with pytest.raises(InputError, match="4 training images and copies are fewer than a batch of 5"):
        Sampler(images, 6, 5, 0)
    with pytest.raises(InputError, match="batch of 4 cannot be shared equally by 3"):
        Sampler(images, 6, 4, 0, share=Share(0, 3))
    with pytest.raises(InputError, match="patch of 60"):
        Sampler(images, 60, 4, 0)
