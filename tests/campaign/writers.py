"""Rounds of several processes that fill one home with the same cells at once."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.crashes import prepare_eval, records, work_eval
from tests.campaign.kills import LIMIT_S, Facts, ended, leftovers, one_thread, start

WRITERS = 8


@dataclass
class Rounds:
    """What came of the rounds.

    Attributes:
        done: how many were made.
        wrong: what was wrong, a line a round.
    """

    done: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def write_at_once(folder: Path, rounds: int) -> Rounds:
    """Rounds of eight processes; each ends well, and the records are those of one process alone."""
    one_thread()
    template = folder / "template"
    template.mkdir(parents=True)
    prepare_eval(template)
    begun, tally = time.monotonic(), Rounds()
    expected = _round(template, folder / "alone", 1, tally)
    for number in range(1, rounds + 1):
        found = _round(template, folder / f"round{number}", WRITERS, tally)
        tally.done += 1
        if found != expected:
            tally.wrong.append(f"round {number}: other records")
    tally.seconds = time.monotonic() - begun
    return tally


def _round(template: Path, place: Path, writers: int, tally: Rounds) -> Facts:
    shutil.copytree(template, place)
    started = [start(work_eval, place, f"writer{number}") for number in range(writers)]
    codes = [ended(pid, LIMIT_S) for pid in started]
    found = records(place)
    if any(codes) or (left := leftovers(place)):
        tally.wrong.append(f"{place.name}: {f'exit codes {codes}' if any(codes) else left}")
    shutil.rmtree(place)
    return found
