"""The session of a lent GPU: its loads, the order of its parts, and what becomes of those that fail or take too long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests import gpu_session
from tests.gpu_session import PARTS, Part, Session

PASS = ("timeit", "-n", "1", "-r", "1", "pass")


def session(tmp_path: Path, jobs: int = 4, seconds: float = 60.0) -> Session:
    (tmp_path / "logs").mkdir()
    return Session(tmp_path, "cpu", seconds, jobs, dict(os.environ))


def test_loads_hold_every_file_once_below_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_session, "LIMIT", 100)
    sizes = {"a/w.safetensors": 90, "b.png": 60, "c/d.png": 50, "e.png": 30, "f.png": 10}
    for name, size in sizes.items():
        path = tmp_path / "all" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    assert gpu_session._in_loads(tmp_path) == 3
    loads = {load.name: [path for path in load.rglob("*") if path.is_file()] for load in tmp_path.iterdir()}
    assert all(sum(path.stat().st_size for path in load) <= 100 for load in loads.values())
    found = {str(path.relative_to(tmp_path / name)) for name, load in loads.items() for path in load}
    assert found == set(sizes)
    assert [path.name for path in loads["3"]] == ["w.safetensors"]  # weights come last
    gpu_session.unpack(tmp_path, tmp_path / "whole")
    assert {str(p.relative_to(tmp_path / "whole")) for p in (tmp_path / "whole").rglob("*") if p.is_file()} == found


def test_a_child_waits_for_its_parent_and_is_lost_with_it(tmp_path: Path) -> None:
    parts = [
        Part("child", 0.5, PASS, after=("parent",)),
        Part("lost", 0.5, PASS, after=("broken",)),
        Part("broken", 0.5, ("timeit", "-n", "x")),
        Part("parent", 0.5, PASS),
    ]
    run = session(tmp_path)
    assert run.run(parts) == 1
    outcomes = {name: row["outcome"] for name, row in run.summary.items()}
    lost = "not begun: what it needs failed"
    assert outcomes == {"broken": "failed", "parent": "done", "child": "done", "lost": lost}
    names = list(run.summary)
    assert names.index("parent") < names.index("child")


def test_a_part_that_takes_too_long_is_ended_and_the_others_go_on(tmp_path: Path) -> None:
    parts = [
        Part("long", 0.02, ("timeit", "-n", "1", "-r", "1", "import time; time.sleep(60)")),
        Part("short", 0.5, PASS),
    ]
    run = session(tmp_path, seconds=50.0)
    assert run.run(parts) == 0
    assert {name: row["outcome"] for name, row in run.summary.items()} == {
        "short": "done",
        "long": "ended at its share",
    }


def test_the_parts_name_each_other_and_what_stands_alone_runs_alone(tmp_path: Path) -> None:
    names = [part.name for part in PARTS]
    assert len(set(names)) == len(names)
    assert all(set(part.after) <= set(names[: names.index(part.name)]) for part in PARTS)
    parts = [Part("a", 0.5, PASS), Part("alone", 0.5, PASS, alone=True), Part("b", 0.5, PASS)]
    run = session(tmp_path)
    assert run.run(parts) == 0
    assert list(run.summary) == ["a", "alone", "b"]


def test_a_part_is_interrupted_once_so_that_it_can_save_what_it_has(tmp_path: Path) -> None:
    then = "signal.signal(2, signal.SIG_DFL), time.sleep(1.5), os._exit(7)"
    saves = f"import os, signal, time; signal.signal(2, lambda *_: ({then}))"
    parts = [Part("saving", 0.1, ("timeit", "-n", "1", "-r", "1", "-s", saves, "time.sleep(60)"))]
    run = session(tmp_path, jobs=1, seconds=40.0)
    begun = run._begin(parts[0], 3.0)
    while run._goes_on(begun):
        time.sleep(0.1)
    assert begun.process.returncode == 7, "a second signal would have ended it"
