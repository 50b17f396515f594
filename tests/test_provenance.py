"""A record says which code made it, and whether that code was what the commit holds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import srbench
from srbench import provenance
from srbench.provenance import source_commit


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a package and a folder of records in it, in the place of ours."""
    package = tmp_path / "srbench"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "x.json").write_text("{}")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *command], check=True)
    monkeypatch.setattr(srbench, "__file__", str(package / "__init__.py"))
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook
    source_commit.cache_clear()
    return tmp_path


def test_a_clean_checkout_is_its_commit_also_with_new_records(checkout: Path) -> None:
    (checkout / "results" / "x.json").write_text('{"new": 1}')
    commit = source_commit()
    assert len(commit) == 12
    assert int(commit, 16)


@pytest.mark.parametrize("name", ["__init__.py", "new.py"])
def test_an_edited_or_new_file_of_the_package_marks_the_commit(checkout: Path, name: str) -> None:
    (checkout / "srbench" / name).write_text("x = 1\n")
    assert source_commit().endswith("+edited")


def test_an_installed_package_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srbench, "__file__", str(tmp_path / "srbench" / "__init__.py"))
    source_commit.cache_clear()
    assert source_commit() == ""


def test_an_archive_of_a_commit_knows_it(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = source_commit()
    monkeypatch.delenv("GIT_DIR")
    (checkout / "srbench" / "_commit.txt").write_text("$Format:%H$\n")
    (checkout / ".gitattributes").write_text("srbench/_commit.txt export-subst\n")
    git = ["git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "second"], check=True)
    source_commit.cache_clear()
    second = source_commit()
    assert second != whole
    unpacked = checkout / "unpacked"
    unpacked.mkdir()
    archive = subprocess.run([*git, "archive", "HEAD"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", str(unpacked)], input=archive, check=True)
    monkeypatch.setattr(srbench, "__file__", str(unpacked / "srbench" / "__init__.py"))
    source_commit.cache_clear()
    assert source_commit() == second
    for text in ("$Format:%H$", "0" * 39, "é", ""):  # as in a checkout or a wheel of it
        (unpacked / "srbench" / "_commit.txt").write_text(text, encoding="utf-8")
        source_commit.cache_clear()
        assert source_commit() == ""


def test_archives_of_this_checkout_take_the_commit_in() -> None:
    root = Path(__file__).resolve().parent.parent
    assert (root / "srbench" / "_commit.txt").read_text().startswith("$Format:%H$")
    assert "srbench/_commit.txt export-subst" in (root / ".gitattributes").read_text().splitlines()


@pytest.fixture(autouse=True)
def _forget() -> object:
    yield
    provenance.source_commit.cache_clear()
