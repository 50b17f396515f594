"""``srbench data``: what it lists and what it finds wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from srbench.cli import main
from srbench.datasets.catalog import CATALOG, get_dataset


@pytest.fixture(autouse=True)
def _own_folders(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    if "data_root" not in request.fixturenames:
        monkeypatch.delenv("SRBENCH_DATA", raising=False)


def data(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


def fill(folder: Path, names: tuple[str, ...]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def test_ls_states(tmp_path: Path) -> None:
    fill(tmp_path / "Set5/HR", get_dataset("set5").names)
    fill(tmp_path / "Set14/HR", get_dataset("set14").names[:3])
    fill(tmp_path / "Urban100", tuple(f"img_{i:03}.png" for i in range(1, 101)))
    listed = json.loads(data("ls", "--json", "--data-root", tmp_path).output)
    assert [row["name"] for row in listed] == list(CATALOG)
    states = {row["name"]: (row["state"], row["found"]) for row in listed}
    assert states["sample"] == ("present", 4)
    assert states["set5"] == ("present", 5)
    assert states["set14"] == ("incomplete", 3)
    assert states["urban100"] == ("unverified", 100)
    assert states["t91"] == ("absent", 0)
    table = data("ls", "--data-root", tmp_path).output
    assert "incomplete 3 of 14" in table
    assert str(tmp_path / "Set5/HR") in table
    assert "srbench data get t91" in table
    assert "by hand: http://www.manga109.org" in table


@pytest.mark.data
def test_verify_real_sets(data_root: Path) -> None:
    done = data("verify", "set5", "set14", "sample", "--json")
    assert done.exit_code == 0
    found = json.loads(done.output)
    assert [(one["name"], one["status"], one["found"]) for one in found] == [
        ("set5", "verified", 5),
        ("set14", "verified", 14),
        ("sample", "verified", 4),
    ]


@pytest.mark.data
def test_verify_lists_what_is_wrong(data_root: Path, tmp_path: Path) -> None:
    folder, source = tmp_path / "Set5/HR", data_root / "Set5/HR"
    folder.mkdir(parents=True)
    for name in ("baby.png", "bird.png", "head.png", "woman.png"):
        (folder / name).write_bytes((source / name).read_bytes())
    (folder / "butterfly.png").write_bytes(b"moth")
    (folder / "woman.png").rename(folder / "women.png")
    done = data("verify", "set5", "--data-root", tmp_path)
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert lines[0] == f"set5: wrong, 4 of 5 images in {folder}"
    assert "  missing    HR/woman.png" in lines
    assert "  extra      women.png" in lines
    assert any(line.startswith("  different  HR/butterfly.png: expected sha256 58be740f") for line in lines)
    assert sum(line.startswith(("  missing", "  extra", "  different")) for line in lines) == 3


@pytest.mark.data
def test_verify_reads_the_lr_files_where_they_are(data_root: Path, tmp_path: Path) -> None:
    entry = get_dataset("set5")
    for file in entry.files:
        if file.hr or "X4" in file.path:
            (tmp_path / "Set5" / file.path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "Set5" / file.path).write_bytes((data_root / "Set5" / file.path).read_bytes())
    assert data("verify", "set5", "--data-root", tmp_path).exit_code == 0
    (tmp_path / "Set5/LR_bicubic/X4/birdx4.png").unlink()
    done = data("verify", "set5", "--data-root", tmp_path)
    assert (done.exit_code, "missing    LR_bicubic/X4/birdx4.png" in done.output) == (1, True)


def test_verify_without_known_hashes_says_so(tmp_path: Path) -> None:
    fill(tmp_path / "General100/HR", tuple(f"im_{i}.bmp" for i in range(1, 101)))
    done = data("verify", "general100", "--data-root", tmp_path)
    assert done.exit_code == 0
    assert "general100: unverified, 100 of 100 images" in done.output
    assert "the catalog has no sha256 of these images" in done.output
    (tmp_path / "General100/HR/im_7.bmp").unlink()
    done = data("verify", "general100", "--data-root", tmp_path)
    assert (done.exit_code, "99 of 100" in done.output) == (1, True)


def test_verify_of_an_absent_set(tmp_path: Path) -> None:
    done = data("verify", "set5", "--data-root", tmp_path)
    assert (done.exit_code, done.output) == (1, "set5: absent, 0 of 5 images\n")


def test_get_without_a_source_shows_the_manual_way(tmp_path: Path) -> None:
    done = data("get", "manga109", "--data-root", tmp_path / "data")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: manga109 has no verified download; by hand: register at www.manga109.org")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_get_of_what_is_here_needs_no_network() -> None:
    done = data("get", "sample")
    assert (done.exit_code, "verified, licence: CC0 or public domain" in done.output) == (0, True)


def test_unknown_set_is_one_line() -> None:
    for verb in ("get", "verify"):
        done = data(verb, "urban10")
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        assert "Did you mean 'urban100'?" in done.stderr
