"""Fuzzers: seeded damage to what srbench reads, by the thousand, and whether each file is read right or refused clearly.

``make campaign N=10000`` runs them all; ``tests/test_campaign.py`` runs a short part. A fuzzer is a function that yields
:class:`Try`s for ever, each a function of its seed and number alone, so that what went wrong can be done again:
``python -m tests.campaign images --seed 7 --only 1234``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from srbench.errors import SrbenchError

SLOW_S = 10.0  # longer than any of these small files may take


class Verdict(Enum):
    """What became of one damaged file."""

    RIGHT = "right"
    CLEAR = "clear error"
    WRONG = "wrong"


@dataclass(frozen=True)
class Fuzzer:
    """One kind of file.

    Attributes:
        name: what is damaged.
        prepare: makes what the tries need in an empty folder.
        attempt: one try; raises AssertionError where a damaged file was read wrongly, SrbenchError where it was refused.
    """

    name: str
    prepare: Callable[[Path], object]
    attempt: Callable[[object, random.Random, Path], None]


@dataclass
class Tally:
    """Counts of one fuzzer, and what went wrong."""

    name: str
    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        """How many tries were made."""
        return sum(self.counts.values())


def campaign(fuzzer: Fuzzer, folder: Path, count: int, seed: int = 0, first: int = 0) -> Tally:
    """``count`` tries of a fuzzer from number ``first`` on, in an empty folder."""
    tally = Tally(fuzzer.name)
    folder.mkdir(parents=True, exist_ok=True)
    prepared = fuzzer.prepare(folder)
    begun = time.perf_counter()
    for number in range(first, first + count):
        verdict, complaint = judge(fuzzer, prepared, random.Random(f"{fuzzer.name} {seed} {number}"), folder)
        tally.counts[verdict] += 1
        if verdict is Verdict.WRONG:
            tally.wrong.append(f"{fuzzer.name} --seed {seed} --only {number}: {complaint}")
    tally.seconds = time.perf_counter() - begun
    return tally


def judge(fuzzer: Fuzzer, prepared: object, random_: random.Random, folder: Path) -> tuple[Verdict, str]:
    """One try: right, refused in one line that names the file, or wrong with the reason."""
    begun = time.perf_counter()
    try:
        fuzzer.attempt(prepared, random_, folder)
    except SrbenchError as error:
        text = str(error)
        if "\n" in text or len(text) > 1000:
            return Verdict.WRONG, f"the message is not one line: {text[:200]!r}"
        if "mutant" not in text:
            return Verdict.WRONG, f"the message does not name the file: {text!r}"
        verdict = Verdict.CLEAR
    except AssertionError as error:
        return Verdict.WRONG, f"read as something else: {str(error)[:300]}"
    except Exception as error:
        return Verdict.WRONG, f"{type(error).__name__}: {str(error)[:300]}"
    else:
        verdict = Verdict.RIGHT
    if time.perf_counter() - begun > SLOW_S:
        return Verdict.WRONG, f"took more than {SLOW_S:g} s"
    return verdict, ""


def damage(content: bytes, random_: random.Random) -> bytes:
    """One to four faults as disks, networks and people make them; in one of ten no fault at all."""
    mutant = bytearray(content)
    if random_.random() < 0.1:
        return content
    for _ in range(random_.choice((1, 1, 1, 2, 4))):
        random_.choice(_FAULTS)(mutant, random_)
    return bytes(mutant)


def _flip(mutant: bytearray, random_: random.Random) -> None:
    if mutant:
        mutant[random_.randrange(len(mutant))] ^= 1 << random_.randrange(8)


def _set(mutant: bytearray, random_: random.Random) -> None:
    if mutant:
        mutant[random_.randrange(len(mutant))] = random_.choice((0, 1, 127, 128, 255, random_.randrange(256)))


def _set_head(mutant: bytearray, random_: random.Random) -> None:
    """Headers are where sizes, types and offsets stand."""
    if mutant:
        mutant[random_.randrange(min(64, len(mutant)))] = random_.randrange(256)


def _set_word(mutant: bytearray, random_: random.Random) -> None:
    """Four bytes become a number that programs stumble over."""
    if len(mutant) >= 4:
        at = random_.randrange(len(mutant) - 3)
        value = random_.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**16, len(mutant)))
        mutant[at : at + 4] = value.to_bytes(4, random_.choice(("big", "little")))


def _cut(mutant: bytearray, random_: random.Random) -> None:
    del mutant[random_.randrange(len(mutant) + 1) :]


def _remove(mutant: bytearray, random_: random.Random) -> None:
    at = random_.randrange(len(mutant) + 1)
    del mutant[at : at + random_.randrange(1, 64)]


def _insert(mutant: bytearray, random_: random.Random) -> None:
    at = random_.randrange(len(mutant) + 1)
    mutant[at:at] = random_.randbytes(random_.randrange(1, 64))


def _repeat(mutant: bytearray, random_: random.Random) -> None:
    if mutant:
        at = random_.randrange(len(mutant))
        part = bytes(mutant[at : at + random_.randrange(1, 64)])
        mutant[at:at] = part


def _zero(mutant: bytearray, random_: random.Random) -> None:
    """A block that the disk lost."""
    if mutant:
        at = random_.randrange(len(mutant))
        size = min(len(mutant) - at, random_.choice((8, 64, 512)))
        mutant[at : at + size] = bytes(size)


_FAULTS = (_flip, _flip, _set, _set_head, _set_word, _cut, _remove, _insert, _repeat, _zero)
