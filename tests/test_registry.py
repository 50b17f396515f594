"""Registries: filled on first use, by modules and entry points; nothing twice, nothing swallowed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from srbench import registry
from srbench.errors import SrbenchError, UnknownNameError, nearest, unknown
from srbench.registry import Registry


@dataclass(frozen=True)
class Thing:
    name: str


@dataclass
class EntryPoint:
    """As importlib.metadata's, with what the registry uses of it."""

    thing: Thing

    def load(self) -> Thing:
        return self.thing


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package ``plugs`` whose modules register in ``plugs.THINGS``; no entry points."""
    folder = tmp_path / "plugs"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from srbench.registry import Registry\nTHINGS = Registry('thing', 'plugs', 'plugs.things')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "entry_points", lambda group: [])
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "plugs"]:
        del sys.modules[name]


def module(folder: Path, file: str, *names: str) -> None:
    lines = ["from tests.test_registry import Thing", "from plugs import THINGS"]
    (folder / f"{file}.py").write_text("\n".join([*lines, *(f"THINGS.register(Thing({name!r}))" for name in names)]))


def things(package: Path) -> Registry[Thing]:
    import plugs  # type: ignore[import-not-found]

    found: Registry[Thing] = plugs.THINGS
    return found


def test_modules_are_found_when_first_asked(package: Path) -> None:
    module(package, "one", "bicubic", "edsr")
    module(package, "_hidden", "secret")
    found = things(package)
    assert "plugs.one" not in sys.modules
    assert found.names() == ["bicubic", "edsr"]
    assert found.names("b*") == ["bicubic"]
    assert [thing.name for thing in found] == ["bicubic", "edsr"]
    assert len(found) == 2
    assert "edsr" in found
    assert "secret" not in found


def test_an_unknown_name_gets_the_nearest(package: Path) -> None:
    module(package, "one", "bicubic", "edsr")
    with pytest.raises(
        UnknownNameError, match=r"unknown thing 'bicubik'\. Did you mean 'bicubic'\? Known: bicubic, edsr"
    ):
        things(package).get("bicubik")


def test_a_name_cannot_be_taken_twice(package: Path) -> None:
    module(package, "one", "edsr")
    module(package, "two", "edsr")
    with pytest.raises(SrbenchError, match="'edsr' is registered twice"):
        things(package).names()


def test_a_broken_module_raises_its_own_error(package: Path) -> None:
    (package / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        things(package).get("edsr")


def test_entry_points_add_things_of_other_packages(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(package, "one", "edsr")
    found = things(package)

    def points(group: str) -> list[EntryPoint]:
        assert group == "plugs.things"
        return [EntryPoint(Thing("mine"))]

    monkeypatch.setattr(registry, "entry_points", points)
    assert found.names() == ["edsr", "mine"]


def test_entry_points_take_no_name_either(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(package, "one", "edsr")
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint(Thing("edsr"))])
    with pytest.raises(SrbenchError, match="registered twice"):
        things(package).names()


def test_messages_say_where_and_what_is_allowed() -> None:
    assert unknown("metric", "x", []) == "unknown metric 'x'. Known: (none)"
    assert "in recipe.toml" in unknown("key", "stesp", ["steps"], "recipe.toml")
    assert nearest("PSRN", ["psnr", "ssim"]) == "psnr"
    assert nearest("zzz", ["psnr", "ssim"]) is None
