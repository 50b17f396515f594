"""``upscale`` keeps the colours that a file declares, and leaves out bad files where it is asked to."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageCms

from srbench.cli import main
from srbench.images import read_profile, write_image
from tests.builders import smooth


@cache  # it holds the time at which it was made
def profile(kind: str = "sRGB") -> bytes:
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()
    return made.replace(b"sRGB", b"P3!!", 1)  # told from Pillow's own by a word of its description


def upscale(*arguments: object) -> str:
    done = CliRunner().invoke(main, ["upscale", *map(str, arguments), "--checkpoint", "bicubic", "--scale", "2"])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_a_colour_profile_is_carried(tmp_path: Path, suffix: str) -> None:
    """Without it a viewer shows Display P3 as sRGB: colours shift by up to 17 of 255."""
    Image.fromarray(smooth(24, 30)).save(tmp_path / f"a{suffix}", icc_profile=profile(), quality=95)
    upscale(tmp_path / f"a{suffix}", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as made:
        assert made.info["icc_profile"] == profile()
        assert made.size == (60, 48)
    upscale(tmp_path / f"a{suffix}", tmp_path / f"again{suffix}")
    assert read_profile(tmp_path / f"again{suffix}") == profile()


def test_no_profile_where_there_is_none_or_it_does_not_fit(tmp_path: Path) -> None:
    write_image(tmp_path / "plain.png", smooth(24, 30))
    upscale(tmp_path / "plain.png", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as made:
        assert "icc_profile" not in made.info
    Image.fromarray(smooth(24, 30)[..., 0]).save(tmp_path / "gray.png", icc_profile=profile())
    assert read_profile(tmp_path / "gray.png") is None, "a profile of RGB is none of a gray image"
    write_image(tmp_path / "made.bmp", smooth(24, 30), profile())
    assert read_profile(tmp_path / "made.bmp") is None


def test_bad_files_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        write_image(tmp_path / "in" / name, smooth(24, 30))
    (tmp_path / "in" / "b.png").write_bytes((tmp_path / "in" / "b.png").read_bytes()[:200])
    command = ["upscale", str(tmp_path / "in"), str(tmp_path / "out"), "--checkpoint", "bicubic", "--scale", "2"]
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, "b.png" in done.output) == (1, True)
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(main, [*command, "--skip-bad"])
    assert done.exit_code == 0
    assert "left out: " in done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    for name in ("a.png", "c.png"):
        (tmp_path / "in" / name).write_bytes(b"")
    done = CliRunner().invoke(main, [*command, "--skip-bad"])
    assert "none of its 3 images can be read" in done.output


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "a.png", smooth(24, 30))
    write_image(tmp_path / "in" / "deeper" / "b.png", smooth(24, 30))
    (tmp_path / "in" / "notes.txt").write_text("x")
    assert "left out: 1 file that is no image (1 .txt), 1 subfolder (deeper)" in upscale(
        tmp_path / "in", tmp_path / "out"
    )


def test_values_do_not_change_by_a_profile(tmp_path: Path) -> None:
    image = smooth(24, 30)
    write_image(tmp_path / "a.png", image, profile())
    with Image.open(tmp_path / "a.png") as made:
        assert np.array_equal(np.array(made), image)
