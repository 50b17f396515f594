"""What a stopped run was of: a statement beside its work, without which nothing of that is taken up again.

Names prove nothing: a checkpoint may be trained anew under its name. The statement holds the sha256 of the weights and of the
network's structure, how it is applied, which input it was and how the output is made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path

import torch

import srbench
from srbench.errors import InputError, SrbenchError
from srbench.files import write_text
from srbench.subjects.larger import MOST
from srbench.subjects.modules import digest_of
from srbench.upscale_files import Plan, Way
from srbench.upscaler import Upscaler

STATEMENT = ".srbench-run.json"  # in a folder that a run fills, until it has ended

_WORDS = {
    "input": "another input",
    "networks": "other weights",
    "inference": "other options of inference",
    "size": "another size",
}


def facts_of(
    inputs: Iterable[Path], upscaler: Upscaler | None, way: Way, options: Mapping[str, object]
) -> dict[str, object]:
    """What decides each byte of a run's output, as far as files and options do.

    Args:
        inputs: files, told apart by name, size and time of change.
        upscaler: the network; None where ``way.network`` gives one for each size.
        way: how large, and how.
        options: name → value that JSON can hold, of how the output is encoded.
    """
    networks = _networks(way) if upscaler is None else [upscaler]
    return {
        "input": _digest_of_files(inputs),
        "networks": [_identity(one) for one in networks],
        "inference": [_how(networks[0]), type(way.run).__name__],
        "size": asdict(way.wanted),
        "versions": [srbench.__version__, torch.__version__],
        **{f"option {name}": value for name, value in options.items()},
    }


def _networks(way: Way) -> list[Upscaler]:
    """Those of every scale that images of any size may need."""
    assert way.network is not None
    found = [way.network(2)]
    with contextlib.suppress(SrbenchError):
        while found[-1].scale < MOST:
            found.append(way.network(found[-1].scale + 1))
    return found


def _digest_of_files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        held = path.stat()
        digest.update(f"{path.name} {held.st_size} {held.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _identity(upscaler: Upscaler) -> str:
    how = f"{upscaler.name} {upscaler.traits} {upscaler.edges} {upscaler.clip_enlarged} {digest_of(upscaler.network)}"
    return hashlib.sha256(how.encode()).hexdigest()


def _how(upscaler: Upscaler) -> str:
    inference = upscaler.inference
    return " ".join(f"{one.name}={getattr(inference, one.name)}" for one in fields(inference))


class Statement:
    """A file that says what a run is of, for as long as the run has not ended.

    Args:
        path: the file.
        facts: of ``facts_of``.
    """

    def __init__(self, path: Path, facts: Mapping[str, object]) -> None:
        self.path = path
        self._facts: dict[str, object] = json.loads(json.dumps(facts))

    def begin(self) -> None:
        """Write it."""
        write_text(self.path, json.dumps(self._facts, indent=1))

    def found(self, else_: str = "leave --resume out to begin anew") -> bool:
        """Whether a stopped run of exactly this kind left its statement; False where there is none.

        Args:
            else_: what to do where it is of another run.

        Raises:
            InputError: it is of another run, with what differs.
        """
        try:
            there = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        except ValueError:
            raise InputError(f"{self.path}: is damaged; {else_}") from None
        there = there if isinstance(there, dict) else {}
        other = [name for name in {**self._facts, **there} if self._facts.get(name) != there.get(name)]
        if other:
            said = ", ".join(dict.fromkeys(_words(name, there) for name in other))
            raise InputError(f"{self.path.parent}: holds the work of another run ({said}); {else_}")
        return True

    def end(self) -> None:
        """Take it away."""
        self.path.unlink(missing_ok=True)


def _words(name: str, theirs: Mapping[str, object]) -> str:
    if name.startswith("option "):
        return f"{name.removeprefix('option ')} was {theirs.get(name)!r}"
    return f"made by versions {theirs.get(name)}" if name == "versions" else _WORDS.get(name, name)


@contextlib.contextmanager
def into_folder(plan: Plan, target: Path, facts: Mapping[str, object], resume: bool) -> Iterator[None]:
    """Around a run that fills a folder with images: its statement lies there until all of them do.

    Args:
        plan: of the run, which leaves out what is there where it goes on.
        target: the folder.
        facts: of ``facts_of``.
        resume: go on with what a stopped run left; without such a run begin one, where nothing is there.

    Raises:
        InputError: the folder holds the work of another run, or some of the images and no statement of where they are from.
    """
    statement = Statement(target / STATEMENT, facts)
    if resume and not statement.found() and plan.existing and plan.jobs:
        raise InputError(
            f"{target}: has {plan.existing} of the images, and no stopped run left them; --skip-existing takes them as they are"
        )
    statement.begin()
    yield
    statement.end()
