"""A short part of the fuzzing campaign, the same every time; ``make campaign N=10000`` runs the long one."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from srbench.errors import InputError
from tests.campaign import Fuzzer, Verdict, campaign, damage
from tests.campaign.__main__ import fuzzers, put, rows_of, show


@pytest.mark.parametrize("name", fuzzers())
def test_damaged_files_are_read_right_or_refused_clearly(name: str, tmp_path: Path) -> None:
    tally = campaign(fuzzers()[name], tmp_path, 300)
    assert tally.wrong == []
    assert min(tally.counts[Verdict.RIGHT], tally.counts[Verdict.CLEAR]) > 10, "it tries one thing alone"


def test_the_campaign_itself_notices_what_is_wrong(tmp_path: Path) -> None:
    """One that cannot find anything finds nothing."""
    faults = [
        lambda: None,
        lambda: (_ for _ in ()).throw(InputError("mutant: damaged")),
        lambda: (_ for _ in ()).throw(InputError("mutant: two\nlines")),
        lambda: (_ for _ in ()).throw(InputError("no name")),
        lambda: (_ for _ in ()).throw(KeyError("x")),
        lambda: (_ for _ in ()).throw(AssertionError("other pixels")),
    ]
    queue = iter(faults)
    tally = campaign(Fuzzer("test", lambda _: None, lambda *_: next(queue)()), tmp_path, len(faults))
    assert [tally.counts[verdict] for verdict in Verdict] == [1, 1, 4]
    assert [line.partition(":")[0] for line in tally.wrong] == [f"test --seed 0 --only {n}" for n in (2, 3, 4, 5)]
    assert "| test | 6 | 1 | 1 | 4 |" in show("campaign", rows_of([tally]))


def test_rows_that_are_written_leave_the_others_as_they_are(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- crashes:start -->\n<!-- crashes:end -->\nb\n")
    put(page, "crashes", {"train": [1000, 5, 0, 0], "eval": [2, 1, 0, 0]})
    put(page, "crashes", {"eval": [200, 9, 1, 0]})
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("a", "b")
    assert lines[4:7] == ["| eval | 200 | 9 | 1 | 0 |", "| train | 1,000 | 5 | 0 | 0 |", "| all | 1,200 | 14 | 1 | 0 |"]


def test_damage_is_a_function_of_its_seed_and_takes_files_of_any_length() -> None:
    for size in (0, 1, 3, 100):
        content = bytes(size)
        assert [damage(content, random.Random(i)) for i in range(50)] == [
            damage(content, random.Random(i)) for i in range(50)
        ]


@pytest.mark.slow
def test_what_is_killed_goes_on_and_writers_agree() -> None:
    """In a process of its own, as its children are forks, which must not have this one's threads."""
    command = [
        sys.executable,
        "-m",
        "tests.campaign",
        "data-get",
        "eval",
        "export",
        "report",
        "train",
        "train-gan",
        "writers",
    ]
    root = Path(__file__).resolve().parent.parent
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--kills", "4", "--rounds", "1"],
        capture_output=True,
        text=True,
        cwd=root,
        env=environment,
        timeout=590,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| 8 | 1 | 0 |" in done.stdout
