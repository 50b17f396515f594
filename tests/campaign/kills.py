"""SIGKILLs at random moments: what was there stays, nothing torn is seen, and who goes on ends in the bits of a run left alone.

Processes are forks of one that has imported everything, so that a kill costs a fraction of a second. A place (a home or a
data folder) is killed in again and again until a process ends in it by itself; it is then compared and a new one begins.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LEFT_ALONE = 0.1  # of the processes
LIMIT_S = 300.0  # no process may take longer, however busy the machine is

Facts = Mapping[str, object]
"""What of a place must be equal, by name."""


@dataclass(frozen=True)
class Victim:
    """A command to kill.

    Attributes:
        name: of the row in the table.
        prepare: fills an empty folder with what each place begins with.
        work: the command, in a process of its own, in the place that is its current folder; SystemExit says how it ended.
        facts: what a finished place holds, but for times and dates.
        seen: what a reader sees in a place after a kill; raises what a reader raises, and AssertionError for what is torn.
            What was seen once must be seen again after the next kill.
    """

    name: str
    prepare: Callable[[Path], None]
    work: Callable[[Path], None]
    facts: Callable[[Path], Facts]
    seen: Callable[[Path], Facts]


@dataclass
class Killed:
    """What came of a victim's kills.

    Attributes:
        kills: processes that were killed while they lived.
        ended: places in which a process ended by itself, and which were compared.
        torn: kills after which a reader saw something broken, or no longer what it had seen.
        other: ended places whose content was not that of a run left alone.
        wrong: what was wrong, a line each.
    """

    name: str
    kills: int = 0
    ended: int = 0
    torn: int = 0
    other: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def kill(victim: Victim, folder: Path, count: int, seed: int = 0) -> Killed:
    """Kill a victim ``count`` times; all randomness but the machine's own follows from the seed."""
    one_thread()
    tally, source, begun = Killed(victim.name), random.Random(f"{victim.name} {seed}"), time.monotonic()
    template = folder / "template"
    template.mkdir(parents=True)
    victim.prepare(template)
    _finish(victim, _place(template, folder / "first"))
    _import_as(folder / "first")
    whole = _place(template, folder / "whole")
    took = _finish(victim, whole)
    expected, number = victim.facts(whole), 0
    while tally.kills < count:
        number += 1
        place = _place(template, folder / f"place{number}")
        before: Facts = {}
        ended = False
        while tally.kills < count and not ended:
            moment = took * source.random() if source.random() >= LEFT_ALONE else LIMIT_S
            started = time.monotonic()
            ended = not _kill_after(victim, place, moment)
            if ended and not before:  # a machine is not always as busy as at first
                took = time.monotonic() - started
            if not ended:
                tally.kills += 1
                before = _look(victim, place, before, tally)
        if not ended:
            took = _finish(victim, place)
        tally.ended += 1
        _compare(victim, place, expected, tally)
        shutil.rmtree(place)
    tally.seconds = time.monotonic() - begun
    return tally


def start(work: Callable[[Path], None], place: Path, said: str = "") -> int:
    """A process that does the work in ``place``; its number. What it says goes into ``place.said``, or so called a file."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.chdir(place)
        output = os.open(place.with_suffix(f".{said or 'said'}"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        work(place)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        place.with_suffix(".modules").write_text("\n".join(sys.modules))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int, within: float) -> int | None:
    """The exit code of a process that ends within some seconds, else None."""
    deadline = time.monotonic() + within
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(0.002, left))


def leftovers(place: Path) -> list[str]:
    """Staging files and folders in a place."""
    return sorted(str(path.relative_to(place)) for path in place.rglob(".*") if ".staging" in path.name)


def _kill_after(victim: Victim, place: Path, seconds: float) -> bool:
    """Whether the process was killed; False where it ended well before."""
    pid = start(victim.work, place)
    code = ended(pid, seconds)
    if code is None:
        os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{victim.name} ended with {code}: {place.with_suffix('.said').read_text()[-2000:]}")
    return code != 0


def _finish(victim: Victim, place: Path) -> float:
    begun = time.monotonic()
    if _kill_after(victim, place, LIMIT_S):
        raise RuntimeError(f"{victim.name} takes longer than {LIMIT_S:g} s")
    return time.monotonic() - begun


def _look(victim: Victim, place: Path, before: Facts, tally: Killed) -> Facts:
    try:
        found = victim.seen(place)
        lost = [name for name, value in before.items() if found.get(name) != value]
        assert not lost, f"no longer there, or not as it was: {', '.join(lost[:3])}"
    except Exception as error:
        tally.torn += 1
        tally.wrong.append(f"{victim.name}, kill {tally.kills}: {type(error).__name__}: {error}")
        return before
    return found


def _compare(victim: Victim, place: Path, expected: Facts, tally: Killed) -> None:
    found = victim.facts(place)
    differing = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    if differing or (left := leftovers(place)):
        tally.other += 1
        tally.wrong.append(f"{victim.name}, after kill {tally.kills}: {', '.join((differing or left)[:3])}")


def _place(template: Path, place: Path) -> Path:
    shutil.copytree(template, place)
    return place


def _import_as(place: Path) -> None:
    """Import what the process in ``place`` imported, so that the next ones need not."""
    for name in place.with_suffix(".modules").read_text().splitlines():
        if name not in sys.modules and not name.startswith("__"):
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def one_thread() -> None:
    """A fork has the thread alone that made it: libraries must not think that it has others."""
    import torch

    torch.set_num_threads(1)
