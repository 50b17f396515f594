"""Images of 16 bits a channel are trained and validated on, cut into parts, and compared with test images like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from srbench.datasets.local import find_dataset
from srbench.datasets.subimages import Cut, cut
from srbench.images import read_image
from srbench.photos import read_rounded
from srbench.png import encode_png
from srbench.training.data.guard import guard
from srbench.training.loop.validation import Validation
from tests.builders import smooth


def deepened(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """The same image in 16 bits, with low bytes that rounding takes away again."""
    low = np.random.default_rng(0).integers(-128, 129, image.shape)
    return (image.astype(np.int64) * 257 + low).clip(0, 65535).astype(np.uint16)


def write_deep(path: Path, image: npt.NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(deepened(image)))
    return path


def test_16_bits_are_rounded_to_the_8_they_came_from(tmp_path: Path) -> None:
    image = smooth(40, 56)
    assert np.array_equal(read_rounded(write_deep(tmp_path / "colour.png", image)), image)
    gray = np.ascontiguousarray(image[..., 0])
    assert np.array_equal(read_rounded(write_deep(tmp_path / "gray.png", gray)), gray)


def test_a_test_image_is_known_again_in_16_bits(tmp_path: Path) -> None:
    sample = find_dataset("sample")
    astronaut = next(path for path in sample.paths if path.stem == "astronaut")
    write_deep(tmp_path / "photos" / "a.png", read_image(astronaut))
    write_deep(tmp_path / "photos" / "b.png", smooth(200, 220, 3))
    photos = find_dataset(tmp_path / "photos")
    found = guard([photos], list(photos.paths), [])
    assert found.left_out == ["dir-photos/a"]
    assert found.compared.startswith("2 images compared")


def test_the_guard_says_which_images_it_could_not_compare(tmp_path: Path) -> None:
    for number in range(2):
        Image.fromarray(smooth(96, 96, number)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    photos = find_dataset(tmp_path)
    said = guard([photos], list(photos.paths), []).compared
    assert said.startswith("2 images compared")
    assert said.endswith("; not compared, as they cannot be read: broken.png")


@pytest.mark.parametrize("planes", [1, 3])
def test_validation_takes_16_bits(tmp_path: Path, planes: int) -> None:
    image = smooth(64, 72) if planes == 3 else np.ascontiguousarray(smooth(64, 72)[..., 0])
    Image.fromarray(image).save(tmp_path / "plain.png")
    deep = write_deep(tmp_path / "deep.png", image)
    assert Validation([deep], 4).bicubic() == Validation([tmp_path / "plain.png"], 4).bicubic()


def test_parts_are_cut_from_16_bits(tmp_path: Path) -> None:
    image = smooth(64, 64)
    deep = write_deep(tmp_path / "in" / "deep.png", image)
    made = cut([deep], tmp_path / "out", Cut(size=32, step=32))
    assert made.count == 4
    assert np.array_equal(read_image(tmp_path / "out" / "HR" / "deep_s001.png"), image[:32, :32])
