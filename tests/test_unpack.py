"""Zip archives that would write elsewhere, or are no archives, are refused before anything is written."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.datasets.unpack import unpack
from srbench.errors import InputError


def write_zip(path: Path, *names: str, kind: int = 0) -> Path:
    """A zip whose last entry is of a Unix file kind."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (kind if name == names[-1] else 0) << 16
            archive.writestr(entry, b"/etc/hostname")
    return path


def test_images_are_unpacked(tmp_path: Path) -> None:
    unpack(write_zip(tmp_path / "set.zip", "inner/", "inner/a.png", "b.png"), tmp_path / "out")
    assert (tmp_path / "out/inner/a.png").read_bytes() == (tmp_path / "out/b.png").read_bytes() == b"/etc/hostname"


@pytest.mark.parametrize("name", ["../evil.png", "inner/../../evil.png", "/evil.png", "..\\evil.png", "C:evil.png"])
def test_entry_that_leaves_the_folder(tmp_path: Path, name: str) -> None:
    archive = write_zip(tmp_path / "set.zip", "good.png", name)
    with pytest.raises(InputError, match=r"set.zip: entry .*evil.png' would leave the folder; nothing was unpacked"):
        unpack(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_link_or_device(tmp_path: Path, kind: int) -> None:
    archive = write_zip(tmp_path / "set.zip", "good.png", "inner/a.png", kind=kind | 0o777)
    with pytest.raises(InputError, match=r"entry 'inner/a.png' is a link or a device"):
        unpack(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.png", "b.png", "a.png"], "'a.png' comes twice"),
        (["in/a.png", "in/A.PNG"], "'in/A.PNG' comes twice"),
        (["in/a.png", "in//a.png"], "'in//a.png' comes twice"),
        (["a", "a/b.png"], "'a' is a file and a folder"),
        (["a/b.png", "A"], "'a' is a file and a folder"),
        ([""], "would leave the folder"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_that_overwrite_one_another(tmp_path: Path, names: list[str], words: str) -> None:
    archive = write_zip(tmp_path / "set.zip", *names)
    with pytest.raises(InputError, match=rf"set\.zip: .*{words}.*nothing was unpacked"):
        unpack(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [archive]


def test_a_bomb_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        made.writestr("a.png", bytes(2**27))
    assert archive.stat().st_size < 2**18
    with pytest.raises(InputError, match=r"would become 134,217,728"):
        unpack(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [archive]


def test_an_entry_that_lies_about_its_size_gives_no_more(tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.png", bytes(2**20))
    archive.write_bytes(archive.read_bytes().replace((2**20).to_bytes(4, "little"), (8).to_bytes(4, "little")))
    with pytest.raises(InputError, match="sound zip archive"):
        unpack(archive, tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 8


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"no zip at all",
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"1" * 50, b"9" * 50),
    ],
    ids=["text", "half", "changed"],
)
def test_damaged_archive(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.png", b"1" * 50)
    (tmp_path / "set.zip").write_bytes(damage(buffer.getvalue()))
    with pytest.raises(InputError, match=r"set.zip: expected a sound zip archive"):
        unpack(tmp_path / "set.zip", tmp_path / "out")


def _lost_sizes(content: bytes) -> bytes:
    """The list of entries says that the file is empty; its own header knows better."""
    at = content.index(b"PK\x01\x02") + 16
    return content[:at] + bytes(12) + content[at + 12 :]


def _offset_before_the_file(content: bytes) -> bytes:
    at = content.index(b"PK\x05\x06") + 16
    return content[:at] + (2**31).to_bytes(4, "little") + content[at + 4 :]


def _long_name(content: bytes) -> bytes:
    """Python quotes the whole wrong name in its message."""
    return content[:26] + (40_000).to_bytes(2, "little") + content[28:]


@pytest.mark.parametrize("damage", [_lost_sizes, _offset_before_the_file, _long_name])
def test_damaged_lists_of_entries(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.png", b"\x01\n" * 50_000)
    (tmp_path / "set.zip").write_bytes(damage(buffer.getvalue()))
    with pytest.raises(InputError, match=r"set\.zip: ") as caught:
        unpack(tmp_path / "set.zip", tmp_path / "out")
    assert len(str(caught.value)) < 400


@settings(max_examples=60, deadline=None)
@given(names=st.lists(st.text("./\\a:b", min_size=1, max_size=8), min_size=1, max_size=4, unique=True))
def test_no_name_leaves_the_folder(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    place = tmp_path_factory.mktemp("unpack")
    archive = write_zip(place / "set.zip", *names)
    with suppress(InputError):
        unpack(archive, place / "out")
    assert {path.name for path in place.iterdir()} <= {"set.zip", "out"}
