"""A set of the catalog that was encoded again, renamed or mixed with other images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from srbench.datasets.catalog import get_dataset
from srbench.datasets.local import find_dataset
from srbench.datasets.pairs import load_sample
from srbench.datasets.verify import verify
from srbench.errors import InputError, UnavailableError
from srbench.images import read_image, write_image
from srbench.protocol import PRESETS
from tests.builders import smooth
from tests.test_folders import write


@pytest.fixture(autouse=True)
def _own_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    if "data_root" not in request.fixturenames:
        monkeypatch.delenv("SRBENCH_DATA", raising=False)


def recode(source: Path, folder: Path, suffix: str, rename: str = "") -> Path:
    folder.mkdir(parents=True)
    for number, path in enumerate(sorted(source.iterdir())):
        stem = rename.format(number + 1) if rename else path.stem
        Image.open(path).save(folder / f"{stem}{suffix}")
    return folder


@pytest.mark.data
def test_a_set_in_another_format_is_the_set(tmp_path: Path, data_root: Path) -> None:
    """Set14 as PNG was not found; as a folder it had other hashes than Set14."""
    recode(data_root / "Set14/HR", tmp_path / "data/Set14/HR", ".png")
    there, again = find_dataset("set14", data_root), find_dataset("set14", tmp_path / "data")
    again.check()
    assert [again.title(path) for path in again] == [there.title(path) for path in there]
    assert again.digest == there.digest, "its stored results still hold"
    found = verify("set14", tmp_path / "data")
    assert (found.status, len(found.recoded)) == ("verified", 14)


@pytest.mark.data
def test_a_set_under_other_names_is_the_set(tmp_path: Path, data_root: Path) -> None:
    recode(data_root / "Set14/HR", tmp_path / "data/Set14", ".png", "img_{:03d}")
    there, again = find_dataset("set14", data_root), find_dataset("set14", tmp_path / "data")
    again.check()
    assert again.digest == there.digest
    assert [again.title(path) for path in again] == [there.title(path) for path in there]
    assert again.paths[0].name == "img_001.png"


@pytest.mark.data
def test_other_images_under_other_names_are_counted(tmp_path: Path, data_root: Path) -> None:
    folder = recode(data_root / "Set14/HR", tmp_path / "data/Set14", ".png", "img_{:03d}")
    write_image(folder / "img_003.png", smooth(48, 48))
    with pytest.raises(UnavailableError, match=r"14 found under other names than those of set14 \(img_001\.png"):
        find_dataset("set14", tmp_path / "data")


@pytest.mark.data
def test_a_gray_image_stored_with_three_channels_is_gray(tmp_path: Path, data_root: Path) -> None:
    folder = recode(data_root / "Set14/HR", tmp_path / "data/Set14/HR", ".png")
    Image.open(folder / "bridge.png").convert("RGB").save(folder / "bridge.png")
    there, again = find_dataset("set14", data_root), find_dataset("set14", tmp_path / "data")
    again.check()
    for name, found in (("there", there), ("again", again)):
        (path,) = (path for path in found if found.title(path) == "bridge")
        assert load_sample(found, path, 4, PRESETS["classic"]).hr.max() > 235, f"{name}: full range, as a gray file is"


@pytest.mark.data
def test_another_image_under_a_sets_name_is_refused(tmp_path: Path, data_root: Path) -> None:
    folder = recode(data_root / "Set14/HR", tmp_path / "data/Set14/HR", ".png")
    image = read_image(folder / "zebra.png")
    image[0, 0, 0] ^= 1
    write_image(folder / "zebra.png", image)
    with pytest.raises(InputError, match=r"zebra\.png: not the image of set14: .* and other pixels"):
        find_dataset("set14", tmp_path / "data").check()


@pytest.mark.data
def test_images_that_are_not_of_the_set_are_counted(tmp_path: Path, data_root: Path) -> None:
    shutil.copytree(data_root / "Set5/HR", tmp_path / "data/Set5/HR")
    write(tmp_path / "data/Set5/HR", "mine.png")
    found = find_dataset("set5", tmp_path / "data")
    assert (len(found), found.left_out.foreign) == (5, ("mine.png",))


def test_what_is_never_trained_on_is_left_out_under_any_name(tmp_path: Path) -> None:
    from srbench.datasets.image_set import ImageSet
    from srbench.training.data.sets import without_leaks

    paths = (tmp_path / "img_001.png", tmp_path / "img_002.png", tmp_path / "302003.bmp.png")
    images = ImageSet("bsds200", paths, get_dataset("bsds200"), titles={paths[1]: "302003"})
    assert without_leaks(images).paths == paths[:1]


def test_pairs_of_a_set_whose_names_are_not_known(tmp_path: Path) -> None:
    """Urban100 as SelfExSR has it: HR and LR in one folder, 200 files."""
    for number in range(100):
        for role in ("HR", "LR"):
            path = tmp_path / "Urban100" / f"img_{number + 1:03d}_SRF_4_{role}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"")
    found = find_dataset("urban100", tmp_path)
    assert (len(found), found.title(found.paths[0])) == (get_dataset("urban100").count, "img_001")
