"""The catalog's facts, and how sets and folders of images are found on disk."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from srbench.datasets.catalog import CATALOG, get_dataset
from srbench.datasets.entry import Archive, Dataset, File
from srbench.datasets.local import find_dataset, find_datasets
from srbench.errors import InputError, UnavailableError, UnknownNameError

WANTED = (
    "set5 set14 bsd100 urban100 manga109 div2k-val div2k-train flickr2k t91 bsds200 bsds500-test general100 sample vid4"
)


@pytest.fixture(autouse=True)
def _own_folders(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    if "data_root" not in request.fixturenames:
        monkeypatch.delenv("SRBENCH_DATA", raising=False)


def fill(folder: Path, *names: str) -> Path:
    """A folder of files that have the right names; only the names count when a set is looked for."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def make_set5(root: Path, inside: str = "Set5/HR") -> Path:
    return fill(root / inside, *get_dataset("set5").names)


# The catalog


def test_catalog_has_the_sets_of_the_field() -> None:
    assert set(CATALOG) == set(WANTED.split())


@pytest.mark.parametrize("entry", CATALOG.values(), ids=lambda entry: entry.name)
def test_entry_is_whole(entry: Dataset) -> None:
    assert entry.split in ("test", "val", "train")
    assert entry.licence
    assert entry.homepage.startswith("http")
    assert entry.manual
    assert not entry.names or len(set(entry.names)) == entry.count
    assert not entry.downloadable or entry.names, "what can be downloaded must be known by name"
    for file in entry.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 0
        # A branch would move; only a commit keeps the bytes.
        assert not file.url or re.search(r"/[0-9a-f]{40}/", file.url)


def test_manual_sets_make_no_claim_of_a_hash() -> None:
    for name in ("urban100", "manga109", "flickr2k", "general100"):
        entry = get_dataset(name)
        assert not entry.hashed
        assert not entry.downloadable


def test_default_protocols_exist() -> None:
    from srbench.protocol import PRESETS

    assert {entry.default_protocol for entry in CATALOG.values()} <= set(PRESETS)


@pytest.mark.data
def test_listings_agree_with_the_manifest(data_root: Path) -> None:
    manifest = data_root / "MANIFEST.tsv"
    if not manifest.is_file():
        pytest.skip("no MANIFEST.tsv beside the images")
    with manifest.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if "reduced" not in row["path"]]
    theirs = {(r["path"], int(r["size"]), r["sha256"], r["commit"], r["source_repo"]) for r in rows}
    ours = set()
    for entry in CATALOG.values():
        for item in entry.files:
            if item.url:
                owner, repo, commit = item.url.removeprefix("https://raw.githubusercontent.com/").split("/")[:3]
                ours.add((f"{entry.folder}/{item.path}", item.size, item.sha256, commit, f"{owner}/{repo}"))
    assert ours == theirs


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown dataset 'set55'.*Did you mean 'set5'\?"):
        find_dataset("set55")


# Sets by name


@pytest.mark.parametrize("inside", ["Set5/HR", "set5", "SET5/hr", "Set5"])
def test_layouts_of_the_data_root(tmp_path: Path, inside: str) -> None:
    folder = make_set5(tmp_path, inside)
    found = find_dataset("set5", tmp_path)
    assert found.name == "set5"
    assert [path.name for path in found.paths] == ["baby.png", "bird.png", "butterfly.png", "head.png", "woman.png"]
    assert found.folder == folder


def test_environment_and_download_cache_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_set5(tmp_path / "cache" / "datasets")
    assert find_dataset("Set5").folder == tmp_path / "cache/datasets/Set5/HR"
    make_set5(tmp_path / "mine")
    monkeypatch.setenv("SRBENCH_DATA", str(tmp_path / "mine"))
    assert find_dataset("set5").folder == tmp_path / "mine/Set5/HR"


def test_absent_set_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"srbench data get set14") as caught:
        find_dataset("set14", tmp_path)
    assert caught.value.status == "unavailable"
    with pytest.raises(UnavailableError, match=r"by hand: .*SelfExSR.*Urban100/HR"):
        find_dataset("urban100", tmp_path)


def test_part_of_a_set_is_not_the_set(tmp_path: Path) -> None:
    fill(tmp_path / "DIV2K_val/HR", "0801.png", "0829.png", "0845.png", "0853x4.png")
    with pytest.raises(UnavailableError, match=r"has 3 of the 100 images of div2k-val, without 0802.png"):
        find_dataset("div2k-val", tmp_path)
    fill(tmp_path / "Urban100", "a.png", "b.png")
    with pytest.raises(UnavailableError, match=r"has 2 of the 100 images of urban100;"):
        find_dataset("urban100", tmp_path)


@pytest.mark.data
def test_reduced_images_are_a_folder_and_not_div2k(data_root: Path) -> None:
    with pytest.raises(UnavailableError):
        find_dataset("div2k-val", data_root)
    found = find_dataset(data_root / "DIV2K_val_reduced")
    assert (found.name, len(found), found.entry) == ("dir-DIV2K_val_reduced", 4, None)


def test_images_that_are_not_the_sets_are_named(tmp_path: Path) -> None:
    make_set5(tmp_path)
    with pytest.raises(InputError, match=r"baby.png: not the image of set5: expected sha256 1584.*, got [0-9a-f]{64}"):
        find_dataset("set5", tmp_path).check()


@pytest.mark.data
def test_real_sets_are_what_the_catalog_says(data_root: Path) -> None:
    for name in ("set5", "set14", "t91", "bsds200"):
        found = find_dataset(name, data_root)
        assert len(found) == get_dataset(name).count
        assert found.verifiable
        found.check()


def test_sample_needs_no_data_root() -> None:
    found = find_dataset("sample")
    found.check()
    assert [path.name for path in found] == ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"]


# LR folders


def test_lr_folder_and_names(tmp_path: Path) -> None:
    make_set5(tmp_path)
    fill(tmp_path / "Set5/LR_bicubic/X4", "babyx4.png", "bird.png", "HEAD_X4.png")
    found = find_dataset("set5", tmp_path)
    folder = found.lr_folder(4)
    assert folder == tmp_path / "Set5/LR_bicubic/X4"
    named = [found.lr_path(path, 4).name for path in found.paths if path.stem in ("baby", "bird", "head")]
    assert named == ["babyx4.png", "bird.png", "HEAD_X4.png"]
    with pytest.raises(InputError, match=r"no LR image of woman.png; expected womanx4.png or woman.png"):
        found.lr_path(found.paths[-1], 4)
    assert found.lr_folder(2) is None
    with pytest.raises(UnavailableError, match="no folder of LR images at x2") as caught:
        found.lr_path(found.paths[0], 2)
    assert str(tmp_path) not in caught.value.reason


def test_lr_folder_of_div2k_layout(tmp_path: Path) -> None:
    fill(tmp_path / "DIV2K/DIV2K_valid_HR", *get_dataset("div2k-val").names)
    fill(tmp_path / "DIV2K/DIV2K_valid_LR_bicubic/X2", "0801x2.png")
    fill(tmp_path / "DIV2K/DIV2K_train_LR_bicubic/X4", "0001x4.png")
    found = find_dataset("div2k-val", tmp_path)
    assert found.lr_path(found.paths[0], 2).name == "0801x2.png"
    assert found.lr_folder(4) is None


@pytest.mark.data
def test_each_lr_file_of_set5_is_found(data_root: Path) -> None:
    found = find_dataset("set5", data_root)
    for scale in (2, 3, 4):
        assert [found.lr_path(path, scale).stem for path in found] == [f"{path.stem}x{scale}" for path in found]


# Folders


def test_folder_is_natural_sorted_without_hidden_and_deeper_files(tmp_path: Path) -> None:
    folder = fill(tmp_path / "my set", "img_10.png", "img_2.PNG", ".hidden.png", "notes.txt")
    fill(folder / "deeper", "other.png")
    (folder / "folder.png").mkdir()
    found = find_dataset(str(folder))
    assert (found.name, [path.name for path in found]) == ("dir-my_set", ["img_2.PNG", "img_10.png"])
    assert (found.entry, found.verifiable) == (None, False)
    found.check()


def test_folder_with_an_hr_folder_only(tmp_path: Path) -> None:
    fill(tmp_path / "mine/HR", "a.png")
    assert find_dataset(tmp_path / "mine").paths == (tmp_path / "mine/HR/a.png",)
    assert find_dataset(tmp_path / "mine/HR").name == find_dataset(tmp_path / "mine").name == "dir-mine"


def test_name_wins_over_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "sample", "a.png")
    assert find_dataset("sample").name == "sample"
    assert find_dataset("./sample").name == "dir-sample"
    assert find_dataset(Path("sample")).name == "dir-sample"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no images; expected png"),
        (("notes.txt",), "no images; expected png"),
        (("baby.png", "baby.jpg"), r"baby.jpg and baby.png have one stem|baby.png and baby.jpg have one stem"),
    ],
)
def test_unusable_folders(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_dataset(fill(tmp_path / "mine", *names))


def test_folder_that_is_not_there_or_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        find_dataset(str(tmp_path / "nowhere"))
    folder = fill(tmp_path / "locked", "a.png")

    def refuse(self: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"locked: the folder cannot be read"):
        find_dataset(str(folder))


def test_sets_are_joined_by_plus(tmp_path: Path) -> None:
    make_set5(tmp_path)
    fill(tmp_path / "a+b", "x.png")
    assert [found.name for found in find_datasets("set5 + sample", tmp_path)] == ["set5", "sample"]
    assert [found.name for found in find_datasets(str(tmp_path / "a+b"))] == ["dir-a_b"]
    with pytest.raises(InputError, match="names no dataset"):
        find_datasets(" + ")


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x.png", "HR/../../x.png", "HR\\..\\x.png", "C:x.png", "x\0.png"]
)
def test_a_path_of_an_entry_stays_in_its_folder(path: str) -> None:
    with pytest.raises(InputError, match="no path inside"):
        File(path, 1, "0" * 64)
    with pytest.raises(InputError, match="no path inside"):
        replace(get_dataset("set5"), folder=path)
    with pytest.raises(InputError, match="no path inside"):
        replace(get_dataset("set5"), aliases=("B", path))
    with pytest.raises(InputError, match="no path inside"):
        Archive("https://example.org/a.zip", 1, None, path)
