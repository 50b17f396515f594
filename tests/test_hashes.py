"""sha256 of images: few are read anew, many are remembered until anything about a file changes; never a reason to fail."""

from __future__ import annotations

import hashlib
import os
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srbench.datasets import hashes
from srbench.datasets.local import find_dataset
from srbench.errors import InputError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "_FEW", 0)  # any set is a large one


def fill(folder: Path, *names: str) -> Path:
    """A folder of files that hold their own names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


@given(st.lists(st.binary(max_size=64), min_size=1, max_size=5), st.randoms())
def test_digest_depends_on_names_and_bytes_and_not_on_order(contents: list[bytes], random) -> None:
    named = {f"{i}.png": hashlib.sha256(content).hexdigest() for i, content in enumerate(contents)}
    mixed = list(named.items())
    random.shuffle(mixed)
    assert hashes.digest_of(dict(mixed)) == hashes.digest_of(named)
    first, *_ = named
    other = {**named, first: hashlib.sha256(contents[0] + b"x").hexdigest()}
    assert hashes.digest_of(other) != hashes.digest_of(named)
    renamed = {f"other-{name}": value for name, value in named.items()}
    assert hashes.digest_of(renamed) != hashes.digest_of(named)


@pytest.fixture
def tomorrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache does not trust files that were written this moment."""
    monkeypatch.setattr(hashes.time, "time_ns", lambda: time.clock_gettime_ns(time.CLOCK_REALTIME) + 10**13)


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    read: list[Path] = []
    plain = hashes.sha256
    monkeypatch.setattr(hashes, "sha256", lambda path: read.append(path) or plain(path))
    return read


def test_hashes_are_remembered_until_a_file_changes(
    tmp_path: Path, tomorrow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_dataset(fill(tmp_path / "mine", "a.png", "b.png"))
    read = count_reads(monkeypatch)
    assert found.hashes()["a.png"] == hashlib.sha256(b"a.png").hexdigest()
    assert len(read) == 2
    found.hashes()
    assert len(read) == 2
    (tmp_path / "mine/a.png").write_bytes(b"other")
    assert found.hashes()["a.png"] == hashlib.sha256(b"other").hexdigest()
    assert read[2:] == [tmp_path / "mine/a.png"]


def test_files_written_this_moment_are_read_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_dataset(fill(tmp_path / "mine", "a.png"))
    read = count_reads(monkeypatch)
    found.hashes()
    found.hashes()
    assert len(read) == 2


@pytest.mark.parametrize("replaced", [False, True])
def test_a_change_that_keeps_size_and_time_is_noticed(tmp_path: Path, tomorrow: None, replaced: bool) -> None:
    path = fill(tmp_path / "mine", "a.png") / "a.png"
    found = find_dataset(path.parent)
    before, digest = path.stat(), found.hashes()["a.png"]
    if replaced:
        (tmp_path / "other").write_bytes(b"b.png")
        (tmp_path / "other").replace(path)
    else:
        path.write_bytes(b"b.png")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert found.hashes()["a.png"] == hashlib.sha256(b"b.png").hexdigest() != digest


def test_a_small_set_is_read_anew_each_time_and_a_large_one_is_not(
    tmp_path: Path, tomorrow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_dataset(fill(tmp_path / "mine", "a.png", "b.png"))
    read = count_reads(monkeypatch)
    monkeypatch.setattr(hashes, "_FEW", 3)
    found.hashes()
    found.hashes()
    assert len(read) == 4
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(hashes, "_FEW_BYTES", 10)
    found.hashes()
    found.hashes()
    assert len(read) == 6


def test_broken_or_unwritable_cache_only_costs_time(
    tmp_path: Path, tomorrow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_dataset(fill(tmp_path / "mine", "a.png"))
    expected = {"a.png": hashlib.sha256(b"a.png").hexdigest()}
    assert found.hashes() == expected
    (memory,) = (tmp_path / "cache/hashes").iterdir()
    for broken in ("{", "[]", '{"a.png": "no list"}', '{"a.png": [1]}'):
        memory.write_text(broken)
        assert found.hashes() == expected
    (tmp_path / "file").write_text("a file in the place of the cache")
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "file"))
    assert found.hashes() == expected


def _hash_many(folder: str) -> str:
    return find_dataset(folder).digest


def test_files_of_the_same_name_in_other_folders(tmp_path: Path, tomorrow: None) -> None:
    one, other = fill(tmp_path / "one", "a.png"), fill(tmp_path / "other", "a.png")
    (other / "a.png").write_bytes(b"b.png")
    found = [find_dataset(one), find_dataset(other)]
    for _ in range(2):
        assert found[0].hashes() != found[1].hashes()


def test_several_processes_share_the_cache(tmp_path: Path, tomorrow: None) -> None:
    folder = fill(tmp_path / "mine", *(f"{i}.png" for i in range(40)))
    expected = find_dataset(folder).digest
    for memory in (tmp_path / "cache/hashes").iterdir():
        memory.unlink()
    with get_context("fork").Pool(4) as pool:
        assert set(pool.map(_hash_many, [str(folder)] * 16)) == {expected}
    assert [path.suffix for path in (tmp_path / "cache/hashes").iterdir()] == [".json"], "no temporary file is left"


@pytest.mark.parametrize("kind", ["dead link", "circle", "pipe", "folder"])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere" if kind == "dead link" else "a.png")
    with pytest.raises(InputError, match=r"a\.png: "):
        hashes.sha256_of([path])
