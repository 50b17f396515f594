"""Images cut into parts: nothing is left out, pairs stay pairs, a stopped cut goes on, leaks are found before the cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from srbench.cli import main
from srbench.datasets.local import find_dataset
from srbench.datasets.subimages import Cut, cut, cut_of, starts
from srbench.errors import InputError
from srbench.images import imresize, read_image, write_image
from srbench.training.data.guard import guard
from srbench.training.data.images import load_images
from srbench.training.data.pairs import find_lr
from tests.builders import noise, smooth


@given(st.integers(1, 400), st.integers(1, 16), st.integers(1, 16), st.sampled_from([1, 2, 3, 4]))
def test_parts_cover_a_side_and_lie_within_it(length: int, size: int, step: int, multiple: int) -> None:
    size, step, length = size * multiple, min(step, size) * multiple, length * multiple
    found = starts(length, size, step, multiple)
    covered = {pixel for start in found for pixel in range(start, min(start + size, length))}
    assert covered == set(range(length))
    assert all(start % multiple == 0 and start + min(size, length) <= length for start in found)
    assert found == sorted(set(found))


def test_parts_are_the_images_pixels_and_pairs_stay_pairs(tmp_path: Path) -> None:
    for index in range(2):
        hr = smooth(96, 150, index)[:, :148]
        write_image(tmp_path / "set" / "HR" / f"a{index}.png", hr)
        write_image(tmp_path / "set" / "LR_x4" / f"a{index}.png", imresize(hr, 0.25))
    images = find_dataset(tmp_path / "set" / "HR")
    made = cut(images.paths, tmp_path / "out", Cut(size=64, step=32, scale=4), find_lr([images], "beside", 4))
    assert (made.count, made.small) == (2 * 2 * 4, ())
    hr = read_image(tmp_path / "set" / "HR" / "a0.png")
    np.testing.assert_array_equal(read_image(made.folder / "a0_s001.png"), hr[:64, :64])
    np.testing.assert_array_equal(read_image(made.folder / "a0_s008.png"), hr[-64:, -64:])
    parts = find_dataset(made.folder)
    pairs = load_images(parts.paths, 4, 8, lr=find_lr([parts], "beside", 4))
    assert len(pairs.hr) == 16
    assert {lr.shape for lr in pairs.lr} == {(16, 16, 3)}


def test_a_stopped_cut_goes_on_and_another_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(3):
        write_image(tmp_path / "set" / f"a{index}.png", noise(70, 80, index))
    paths, out, how = find_dataset(tmp_path / "set").paths, tmp_path / "out", Cut(size=32, step=16)
    whole = cut(paths, tmp_path / "whole", how)
    with monkeypatch.context() as stopping:
        stopping.setattr("srbench.datasets.subimages.write_image", stop_after(5))
        with pytest.raises(KeyboardInterrupt):
            cut(paths, out, how)
    assert 0 < len(list(out.rglob("*.png"))) < whole.count
    again = cut(paths, out, how)
    assert (again.count, again.bytes) == (whole.count, whole.bytes)
    for path in sorted(out.rglob("*.png")):
        assert path.read_bytes() == (tmp_path / "whole" / "HR" / path.name).read_bytes()
    with pytest.raises(InputError, match="holds parts of 32 pixels every 16; expected another folder"):
        cut(paths, out, Cut(size=32, step=32))
    with pytest.raises(InputError, match="holds parts of other images"):
        cut(paths[1:], out, how)
    with pytest.raises(InputError, match=r"is not empty and holds no subimages\.json"):
        cut(paths, tmp_path / "set", how)


def stop_after(count: int) -> Any:
    written: list[Path] = []

    def write(path: Path, image: Any) -> None:
        if len(written) == count:
            raise KeyboardInterrupt
        written.append(path)
        write_image(path, image)

    return write


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--size", "8"], "--size 8: expected parts of at least 16 pixels"),
        (["--size", "32", "--step", "33"], "--step 33: expected 1 to 32"),
        (["--size", "32", "--step", "0"], "--step 0: expected 1 to 32"),
        (["--size", "30", "--step", "15", "--lr", "4"], "--size 30: expected a multiple of 4"),
        (["--lr", "3"], "has no folder of LR images at x3"),
    ],
)
def test_what_cannot_be_cut_is_one_line(options: list[str], expected: str, tmp_path: Path) -> None:
    write_image(tmp_path / "set" / "a.png", noise(70, 80))
    refused = CliRunner().invoke(main, ["data", "subimages", str(tmp_path / "set"), str(tmp_path / "out"), *options])
    assert refused.exit_code == 1
    assert expected in refused.output
    assert refused.output.count("Error") == 1
    assert not (tmp_path / "out").exists()


def test_pairs_of_another_scale_are_named(tmp_path: Path) -> None:
    write_image(tmp_path / "HR" / "a.png", noise(96, 96))
    write_image(tmp_path / "half.png", noise(48, 48))
    path = tmp_path / "HR" / "a.png"
    with pytest.raises(InputError, match=r"half\.png: LR is 48×48 and its HR a\.png 96×96, which is not x4"):
        cut([path], tmp_path / "out", Cut(size=32, step=16, scale=4), {path: tmp_path / "half.png"})


def test_pairs_that_are_shifted_are_named_before_they_are_cut(tmp_path: Path) -> None:
    hr = smooth(240, 240, seed=3)
    write_image(tmp_path / "set" / "HR" / "a.png", hr)
    write_image(tmp_path / "set" / "LR_x4" / "a.png", np.roll(imresize(hr, 0.25), 1, 0))
    arguments = ["data", "subimages", str(tmp_path / "set"), str(tmp_path / "out"), "--size", "64", "--lr", "4"]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1
    assert "a.png is shifted by +1.0 rows and +0.0 columns of LR pixels against a.png" in refused.output
    write_image(tmp_path / "set" / "LR_x4" / "a.png", imresize(hr, 0.25))
    assert CliRunner().invoke(main, arguments).exit_code == 0


@pytest.mark.data
def test_images_that_show_test_images_are_not_cut(tmp_path: Path) -> None:
    for name in ("baby", "bird"):
        path = next(one for one in find_dataset("set5").paths if one.stem == name)
        write_image(tmp_path / "photos" / f"{name}.png", read_image(path))
    write_image(tmp_path / "photos" / "other.png", smooth(256, 256))
    arguments = ["data", "subimages", str(tmp_path / "photos"), str(tmp_path / "out"), "--size", "64"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert {path.name.partition("_")[0] for path in (tmp_path / "out" / "HR").iterdir()} == {"other"}
    parts = find_dataset(tmp_path / "out" / "HR")
    guarded = guard([parts], list(parts.paths), [])
    assert "parts were compared as whole images when they were cut" in guarded.compared
    assert (guarded.marks, len(guarded.train)) == ([], len(parts.paths))

    arguments[3] = str(tmp_path / "all")
    assert CliRunner().invoke(main, [*arguments, "--allow-overlap"]).exit_code == 0
    made = cut_of(tmp_path / "all" / "HR")
    assert made is not None
    assert made.overlaps == ["dir-photos/baby is set5/baby", "dir-photos/bird is set5/bird"]
    kept = find_dataset(tmp_path / "all" / "HR")
    with pytest.raises(InputError, match=r"was cut with --allow-overlap \(dir-photos/baby is set5/baby\)"):
        guard([kept], list(kept.paths), [])
    assert guard([kept], list(kept.paths), [], allow=True).marks == made.overlaps
