"""Folders as people have them: pairs in one folder, LR images elsewhere, names of other systems, sets encoded again."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import srbench
from srbench.cli import main
from srbench.datasets import layouts, names
from srbench.datasets.local import find_dataset
from srbench.datasets.pairs import load_sample
from srbench.errors import InputError
from srbench.images import imresize, natural_order, read_image, write_image
from srbench.protocol import PRESETS
from srbench.training.data.sets import find_training_sets
from tests import layouts_table
from tests.builders import smooth


@pytest.fixture(autouse=True)
def _own_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    if "data_root" not in request.fixturenames:
        monkeypatch.delenv("SRBENCH_DATA", raising=False)


def write(folder: Path, *files: str, side: int = 48) -> Path:
    for number, name in enumerate(files):
        write_image(folder / name, smooth(side, side, number))
    return folder


# Pairs in one folder


PAIRS = [
    ("{}_HR.png", "{}_LR.png"),
    ("{}_GT.png", "{}_LQ.png"),
    ("{}_HR.png", "{}_LR4.png"),
    ("{}_HR_x4.png", "{}_LRBI_x4.png"),
    ("{}_SRF_4_HR.png", "{}_SRF_4_LR.png"),
    ("HR_{}.png", "LR_{}.png"),
    ("{}.png", "{}x4.png"),
    ("{}.png", "{}_x4.png"),
    ("{}.png", "{}_4x.png"),
    ("{}.png", "{}_LR.png"),
]


@pytest.mark.parametrize(("hr", "lr"), PAIRS)
def test_lr_files_beside_their_hr_are_no_hr_images(tmp_path: Path, hr: str, lr: str) -> None:
    """Three pairs were six HR images, in evaluation and in training."""
    for i in range(3):
        write_image(tmp_path / "mixed" / hr.format(f"img_{i}"), smooth(48, 48, i))
        write_image(tmp_path / "mixed" / lr.format(f"img_{i}"), imresize(smooth(48, 48, i), 0.25))
        write_image(tmp_path / "alone" / f"img_{i}.png", smooth(48, 48, i))
    mixed, alone = (srbench.evaluate("bicubic", tmp_path / f, 4, metrics=["psnr"]) for f in ("mixed", "alone"))
    assert mixed.images == alone.images == ["img_0", "img_1", "img_2"]
    assert mixed.metrics["psnr"].values == alone.metrics["psnr"].values
    (trained_on,) = find_training_sets(str(tmp_path / "mixed"))
    assert len(trained_on) == 3
    found = find_dataset(tmp_path / "mixed")
    assert "3 LR files of pairs" in found.remarks()[0]
    for path in found.paths:
        assert np.array_equal(
            load_sample(found, path, 4, PRESETS["standard"], lr_files=True).lr, imresize(found.read(path), 0.25)
        )


def test_names_that_only_look_like_pairs(tmp_path: Path) -> None:
    """x4 in an image's own name, at full size; numbers after HR; a role without any partner."""
    write(tmp_path, "cat.png", "catx4.png", "frame_HR_1.png", "frame_HR_2.png", "other_LR.png")
    found = find_dataset(tmp_path)
    assert [found.title(path) for path in found] == ["cat", "catx4", "frame_HR_1", "frame_HR_2", "other_LR"]
    assert found.remarks() == []


def test_a_folder_of_lr_alone_is_said(tmp_path: Path) -> None:
    assert "every name says LR" in find_dataset(write(tmp_path, "a_LR.png", "b_LR4.png")).remarks()[0]


def test_a_folder_of_lr_named_by_scale_is_said(tmp_path: Path) -> None:
    """DIV2K_valid_LR_bicubic/X4, given in the place of DIV2K_valid_HR."""
    assert "every name says x4" in find_dataset(write(tmp_path, "0801x4.png", "0802x4.png")).remarks()[0]


def test_two_lr_files_of_one_hr_at_one_scale_are_named(tmp_path: Path) -> None:
    write(tmp_path, "a_HR.png")
    write(tmp_path, "a_LR.png", "a_LQ.png", side=12)
    with pytest.raises(InputError, match=r"a_LQ\.png and a_LR\.png could each be the LR image of a_HR\.png"):
        find_dataset(tmp_path)


def test_images_beside_pairs_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a_HR.png", "a_SRF_4_bicubic.png")
    write(tmp_path, "a_LR.png", side=12)
    found = find_dataset(tmp_path)
    assert (len(found), found.left_out.unpaired) == (1, ("a_SRF_4_bicubic.png",))


# LR folders


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in layouts.LAYOUTS])
@pytest.mark.parametrize("name", ["{}.png", "{}x4.png", "{}_x4.png", "{}_LRBI_x4.png", "{}_LR4.png", "{}_LR.PNG"])
def test_every_layout_of_lr_files(tmp_path: Path, pattern: str, name: str) -> None:
    top = tmp_path / "data"
    hr = top / ("HR/Set5" if pattern.startswith(("LR/{n}", "LR/LRBI", "LRBI/{n}")) else "Set5")
    write(hr, "baby.png", "bird.png")
    inside = top if "{n}" in pattern else hr
    write(inside / pattern.format(s=4, n="Set5"), name.format("baby"), name.format("bird"), side=12)
    found = find_dataset(hr)
    assert [found.lr_path(path, 4).name for path in found] == [name.format("baby"), name.format("bird")]
    assert found.lr_folder(2) is None


def test_two_folders_of_lr_are_named_and_one_is_chosen(tmp_path: Path) -> None:
    write(tmp_path / "Set5/HR", "baby.png")
    for place in ("LR_bicubic/X4", "LRbicx4"):
        write(tmp_path / "Set5" / place, "baby.png", side=12)
    found = find_dataset(tmp_path / "Set5")
    with pytest.raises(InputError, match=r"LR_bicubic/X4 and .*LRbicx4 could each hold its LR images at x4"):
        found.lr_path(found.paths[0], 4)
    chosen = find_dataset(tmp_path / "Set5", lr_folder=tmp_path / "Set5" / "LRbicx4")
    assert chosen.lr_path(chosen.paths[0], 4) == tmp_path / "Set5/LRbicx4/baby.png"
    above = find_dataset(tmp_path / "Set5", lr_folder=tmp_path / "Set5" / "LR_bicubic")
    assert above.lr_path(above.paths[0], 4) == tmp_path / "Set5/LR_bicubic/X4/baby.png"
    with pytest.raises(InputError, match="nowhere: no such folder"):
        find_dataset(tmp_path / "Set5", lr_folder=tmp_path / "nowhere")


def test_two_files_that_could_be_the_lr_are_named(tmp_path: Path) -> None:
    write(tmp_path / "Set5/HR", "baby.png")
    write(tmp_path / "Set5/LR/X4", "baby_LR.png", "babyx4.png", side=12)
    found = find_dataset(tmp_path / "Set5")
    with pytest.raises(InputError, match=r"baby_LR\.png and babyx4\.png could each be the LR image of baby\.png"):
        found.lr_path(found.paths[0], 4)


def test_a_folder_of_lr_without_a_scale_is_taken_at_its_own(tmp_path: Path) -> None:
    write(tmp_path / "HR", "baby.png")
    write(tmp_path / "LR", "baby.png", side=24)
    found = find_dataset(tmp_path / "HR")
    assert found.lr_folder(2) == tmp_path / "LR"
    assert found.lr_folder(4) is None


def test_names_are_compared_in_one_form(tmp_path: Path) -> None:
    """File systems of Apple store decomposed letters; cameras write capitals; converters add a second suffix."""
    cafe = "Caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    write(tmp_path / "HR", f"{unicodedata.normalize('NFD', cafe)}.bmp.png", "DSC_1.PNG")
    write(tmp_path / "LR/X4", f"{cafe.upper()}x4.png", "dsc_1.tif", side=12)
    found = find_dataset(tmp_path)
    assert [found.title(path) for path in found] == [cafe, "DSC_1"]
    assert [found.lr_path(path, 4).name for path in found] == [f"{cafe.upper()}x4.png", "dsc_1.tif"]


@given(st.text(st.characters(categories=("L", "N", "Pd")), min_size=1, max_size=12), st.sampled_from("2348"))
def test_a_name_with_a_role_gives_the_image_back(image: str, scale: str) -> None:
    own = names.fold(names.stem(f"{image}.png"))
    for ending, role in ((f"_SRF_{scale}_HR", "hr"), (f"_LR{scale}", "lr"), (f"_LRBI_x{scale}", "lr"), ("_GT", "hr")):
        found = names.parse(f"{image}{ending}.png")
        assert (found.role, found.key) == (role, own)
        assert ending == "_GT" or found.scale == int(scale)


@pytest.mark.parametrize(
    ("text", "scales"),
    [
        ("EDSR_x2.pth", {2}), ("EDSRx4", {4}), ("4x-UltraSharp", {4}), ("X3", {3}), ("img_SRF_2_HR", {2}), ("LRbicx4", {4}),
        ("fsrcnn-56-12-4", set()), ("box2", set()), ("0x4f", set()), ("1024x2048", set()), ("RealESRGAN_x4plus", {4}),
    ],
)  # fmt: skip
def test_scales_in_names(text: str, scales: set[int]) -> None:
    assert names.scales_in(text) == scales


# What else is in a folder


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "deeper/b.png", "LR_x4/a.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    for name in ("notes.txt", "clip.gif", "Makefile", ".hidden.txt"):
        (tmp_path / name).write_text("x")
    found = find_dataset(tmp_path)
    assert len(found) == 1
    assert found.remarks() == [
        f"{found.name}: 1 HR image; left out: 1 link that leads nowhere (gone.png), "
        "3 files that are no images (1 .gif, 1 .txt, 1 without suffix), 2 subfolders (LR_x4, deeper); "
        "--recursive reads subfolders"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
def test_pipes_and_devices_are_no_images(tmp_path: Path) -> None:
    write(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    (remark,) = find_dataset(tmp_path).remarks()
    assert "left out: 2 files that are no images (2 pipe or device)" in remark


def test_recursive_takes_subfolders_and_no_lr(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "deeper/a.png", "deeper/still/a.png", "LR_x4/a.png")
    found = find_dataset(tmp_path, recursive=True)
    assert sorted(found.title(path) for path in found) == ["a", "deeper/a", "deeper/still/a"]
    assert len(found.hashes()) == 3
    result = srbench.evaluate("bicubic", tmp_path, 4, metrics=["psnr"])
    assert result.images == ["a"]
    write(tmp_path / "lr", "a.png", "deeper/a.png", "deeper/still/a.png", side=12)
    chosen = find_dataset(tmp_path, recursive=True, lr_folder=tmp_path / "lr")
    where = {chosen.title(path): chosen.lr_path(path, 4).relative_to(tmp_path / "lr").as_posix() for path in chosen}
    assert where == {"a": "a.png", "deeper/a": "deeper/a.png", "deeper/still/a": "deeper/still/a.png"}


def test_superscript_digits_sort(tmp_path: Path) -> None:
    """int("²") is an error."""
    write(tmp_path, "1²2.png", "10.png", "2.png")
    assert [path.name for path in find_dataset(tmp_path)] == sorted(["1²2.png", "2.png", "10.png"], key=natural_order)


# Files of real life


def test_phone_jpegs_give_their_first_frame(tmp_path: Path) -> None:
    first, second = (Image.fromarray(smooth(48, 48, seed)) for seed in (0, 1))
    first.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[second], quality=95)
    first.save(tmp_path / "plain.jpg", quality=95)
    with Image.open(tmp_path / "phone.jpg") as file:
        assert (file.format, file.n_frames) == ("MPO", 2)
    assert np.array_equal(read_image(tmp_path / "phone.jpg"), read_image(tmp_path / "plain.jpg"))


def test_tiffs_with_further_bands_are_refused(tmp_path: Path) -> None:
    """Pillow drops the bands that its mode has no place for, such as near infrared."""
    import struct

    side = 8
    entries = [
        (256, 3, 1, side), (257, 3, 1, side), (258, 3, 5, 200), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 300),
        (277, 3, 1, 5), (278, 3, 1, side), (279, 4, 1, side * side * 5), (338, 3, 2, 0),
    ]  # fmt: skip
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries))
    head += b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", 0)
    data = head.ljust(200, b"\0") + struct.pack("<5H", 8, 8, 8, 8, 8)
    (tmp_path / "five.tif").write_bytes(data.ljust(300, b"\0") + bytes(side * side * 5))
    with Image.open(tmp_path / "five.tif") as file:
        assert file.mode == "RGB"
    with pytest.raises(InputError, match=r"five\.tif: has 5 bands; expected 1 or 3"):
        read_image(tmp_path / "five.tif")


# On the command line


def test_a_comma_in_a_path_and_brackets_in_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from srbench.cli._common import split_datasets

    write(tmp_path / "a,b", "cat[hr].png")
    assert split_datasets(f"set5, {tmp_path}/a,b,set14") == ["set5", f"{tmp_path}/a,b", "set14"]
    assert split_datasets("set5,,set14,set5") == ["set5", "set14"]
    done = CliRunner().invoke(
        main, ["score", "--sr", f"{tmp_path}/a,b", "--hr", f"{tmp_path}/a,b", "--scale", "4", "--metrics", "psnr"]
    )
    assert "cat[hr]" in done.output


def test_look_at_a_folder(tmp_path: Path) -> None:
    write(tmp_path, "a_HR.png", "b_HR.png")
    write(tmp_path, "a_LR4.png", "b_LR4.png", side=12)
    done = CliRunner().invoke(main, ["data", "look", str(tmp_path)])
    assert "2 HR images: a, b" in done.output
    assert f"LR x4  {tmp_path}/a_LR4.png" in done.output


# The page


def test_the_page_of_layouts_is_what_srbench_does() -> None:
    assert len(layouts_table.TREES) >= 20
    assert layouts_table.PAGE.read_text(encoding="utf-8") == layouts_table.page()
