"""The atomic writer: whole or not at all, errors that name the file, and what killed processes left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from srbench import files
from srbench.files import listed, replacing, staging_folder, staging_name, sweep, write_bytes, write_text


def test_writes_whole_files_readable_by_all_in_new_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.json"
    write_text(path, "ä\n")
    assert path.read_bytes() == "ä\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644
    write_bytes(path, b"\r\n")
    assert path.read_bytes() == b"\r\n"
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as staging:
            assert staging.suffix == ".png"
            staging.write_bytes(b"ha")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        fail()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_an_error_of_the_disk_names_the_file_that_was_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((os, "fsync", full) if name == "fsync" else (Path, "replace", full)))
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(tmp_path / "x.json", "new")
    assert caught.value.filename == str(tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "x.json"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file where a folder is wanted")
    with pytest.raises(NotADirectoryError, match=r"x\.json"):
        write_text(tmp_path / "a" / "b" / "x.json", "new")


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom srbench.files import listed, replacing, staging_folder\n"
        "with staging_folder(sys.argv[1], 'set5') as folder, replacing(sys.argv[1] + '/x.json') as staging:\n"
        "    (folder / 'part').write_bytes(b'1'); staging.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode < 0
    assert len(list(tmp_path.iterdir())) == 2
    kept = [tmp_path / ".hidden", tmp_path / staging_name("ours.json"), tmp_path / ".x.0123abcd-1-00000000.staging"]
    for path in kept:
        path.write_bytes(b"")
    write_text(tmp_path / "y.json", "new")
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "y.json"])


def test_a_listing_passes_over_what_another_process_is_writing(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", "in/c.json"):
        write_text(tmp_path / name, "{}")
    with replacing(tmp_path / "d.json"), replacing(tmp_path / "in" / "e.json"), staging_folder(tmp_path, "set") as half:
        (half / "f.json").write_text("{}")
        assert listed(tmp_path, "*.json") == [tmp_path / "a.json", tmp_path / "b.json"]
        assert listed(tmp_path, "*/*.json") == [tmp_path / "in" / "c.json"]
        assert listed(tmp_path, "**/*.json") == [tmp_path / name for name in ("a.json", "b.json", "in/c.json")]
    assert listed(tmp_path / "nowhere", "*") == []
    hidden = tmp_path / ".home"
    write_text(hidden / "x.json", "{}")
    assert listed(hidden, "*") == [hidden / "x.json"]


def test_names_of_any_length_and_with_odd_suffixes_are_staged_and_swept(tmp_path: Path) -> None:
    for name in ("a" * 240 + ".json", "x4.seed2.2", "no suffix", ".hidden", "ü.safetensors", "像" * 80 + ".png"):
        write_text(tmp_path / name, "x")
        name_of_dead = staging_name(name).replace(f"-{os.getpid()}-", "-99999999-")
        (tmp_path / name_of_dead).write_bytes(b"")
        assert sweep(tmp_path) == [tmp_path / name_of_dead]


def test_a_staging_folder_goes_with_its_block(tmp_path: Path) -> None:
    with staging_folder(tmp_path / "new", "set5") as folder:
        (folder / "x").write_bytes(b"")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_process_id_that_lives_is_alive() -> None:
    assert files._alive(os.getpid())
    assert files._alive(1)
    assert not files._alive(99999999)
