"""Training sets: short names of the field, joined sets, folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srbench.datasets.local import ImageSet
from srbench.errors import SrbenchError
from srbench.images import write_image
from srbench.training.data import sets
from srbench.training.data.sets import find_training_sets


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("div2k", ["div2k-train"]),
        ("DF2K", ["div2k-train", "flickr2k"]),
        ("df2k + t91", ["div2k-train", "flickr2k", "t91"]),
        ("t91+bsds200", ["t91", "bsds200"]),
    ],
)
def test_short_names_become_the_catalogs(spec: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def find(spec: str, data_root: Path | str | None) -> list[ImageSet]:
        asked.append(spec)
        return []

    monkeypatch.setattr(sets, "find_datasets", find)
    find_training_sets(spec)
    assert [part.strip() for text in asked for part in text.split("+")] == expected


def test_a_folder_is_taken_as_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("div2k", "own"):
        write_image(tmp_path / name / "a.png", np.zeros((8, 8, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    assert [images.name for images in find_training_sets("div2k")] == ["dir-div2k"]
    assert [images.name for images in find_training_sets("./own")] == ["dir-own"]


@pytest.mark.data
def test_joined_sets_are_found(data_root: Path) -> None:
    assert [len(images) for images in find_training_sets("t91+bsds200", data_root)] == [91, 199]
    with pytest.raises(SrbenchError, match="div2k-train"):
        find_training_sets("df2k", data_root)


@pytest.mark.data
def test_what_a_test_set_shows_is_not_trained_on(data_root: Path) -> None:
    names = {path.stem for images in find_training_sets("bsds200", data_root) for path in images.paths}
    assert "302003" not in names  # Set5's woman
    assert "76002" in names
