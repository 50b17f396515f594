"""Which folder is home."""

from __future__ import annotations

from pathlib import Path

import pytest

import srbench
from srbench.home import home

CHECKOUT = Path(srbench.__file__).resolve().parent.parent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SRBENCH_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("file", ["zoo/recipes/common.toml", "zoo/espcn/x4.common.toml", "results/quality/a.json"])
def test_the_current_folder_with_files_of_srbench(here: Path, file: str) -> None:
    (here / file).parent.mkdir(parents=True)
    (here / file).touch()
    assert home() == here


@pytest.mark.parametrize("folder", ["results", "results/mine", "zoo", "zoo/animals"])
def test_a_results_or_zoo_of_something_else_is_not_home(here: Path, folder: str) -> None:
    (here / folder).mkdir(parents=True)
    assert home() == CHECKOUT


def test_the_variable_wins(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "results" / "quality").mkdir(parents=True)
    monkeypatch.setenv("SRBENCH_HOME", str(here / "other"))
    assert home() == here / "other"


def test_nothing_anywhere_is_the_current_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srbench.home.__file__", str(here / "site-packages" / "srbench" / "home.py"))
    assert home() == here
