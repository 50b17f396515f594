"""A run's folder, runs/<checkpoint>: who holds it, how a run starts or goes on in it, and how a user stops one."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from srbench.errors import InputError, InUseError
from srbench.files import listed
from srbench.records import write_toml
from srbench.training.loop.log import LOG, forget_after

if TYPE_CHECKING:
    from srbench.training.loop.state import RunState
    from srbench.training.recipe.schema import Recipe

RECIPE = "recipe.toml"
LOCK = "lock"
SAMPLES = "samples"
BOARD = "tensorboard"
CSV = "log.csv"


def start_or_resume(
    folder: Path,
    recipe: Recipe,
    resume: bool,
    overwrite: bool,
    extend: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> RunState | None:
    """Prepare the folder of a run; the state to go on from, or None for a fresh start.

    Args:
        folder: the run's.
        recipe: that the run follows; one that goes on was started with the same.
        resume: go on from a state that is there.
        overwrite: start again whatever is there.
        extend: go on although the run that is there had fewer steps.
        say: told what is damaged and does without.

    Raises:
        InputError: the folder holds a run and neither ``resume`` nor ``overwrite`` was asked for, or the run to resume
            has another recipe.
    """
    from srbench.training.loop.state import load_state, remove_states, settle

    state = load_state(folder) if not overwrite else None
    if state is not None and not (resume or extend):
        raise InputError(
            f"{folder} holds a run at step {state.step}; --resume goes on, --overwrite starts again, --name keeps both"
        )
    if state is not None:
        wanted = recipe.model_dump(mode="json")
        # A state of before a key was there was made as the key's default says.
        for key, stored in state.facts.recipe.model_dump(mode="json").items():
            if wanted[key] != stored and not (extend and key in ("steps", "planned")):
                raise InputError(f"{folder} was started with {key} = {stored!r}, not {wanted[key]!r}")
        if state.fault:
            say(f"warning: {state.fault}; going on from the state before it, of step {state.step}")
            settle(folder)
        if lost := forget_after(folder, state.step).remark(folder):
            say(f"warning: {lost}")
        write_recipe(folder, recipe)
        return state
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOG).unlink(missing_ok=True)  # a folder is a run's once it has a log; all else is there by then
    remove_states(folder)
    for old in (SAMPLES, BOARD):
        shutil.rmtree(folder / old, ignore_errors=True)
    (folder / CSV).unlink(missing_ok=True)
    write_recipe(folder, recipe)
    (folder / LOG).write_text("", encoding="utf-8")
    return None


def check_writable(folder: Path) -> None:
    """Raise InputError where nothing can be written to ``folder``, which need not exist; nothing of the try stays."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {place}: {error.strerror or error}") from None


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write the flat recipe of a run into its folder."""
    write_toml(folder / RECIPE, recipe.model_dump(mode="json", exclude_none=True))


@contextmanager
def claim(folder: Path, main: bool = True) -> Iterator[None]:
    """Hold a run's folder while the block runs; other processes than the ``main`` one of a run hold nothing.

    The lock is the kernel's, so a killed process holds nothing. The file names who held it last.

    Raises:
        InUseError: another process holds it, with its number and machine.
        InputError: the disk is full. What was saved last stays whole.
    """
    if not main:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        if not any(_soon(lambda: lock(file))):
            file.seek(0)
            owner = file.read().strip()
            raise InUseError(
                f"{folder} is in use by another run{f' ({owner})' if owner else ''}; "
                f"wait for it, or give this one a --name"
            )
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # By name: the states' own module stands on this one's folder.
            kept = "the last saved state is whole" if listed(folder, "state.*") else "nothing was saved yet"
            raise InputError(
                f"the disk that holds {folder} is full; {kept}: make room, then go on with --resume"
            ) from None


def _soon(attempt: Callable[[], bool]) -> Iterator[bool]:
    """A few attempts: who lists the runs holds each lock for an instant."""
    for pause in (0.05, 0.1, 0.2, 0.0):
        yield attempt()
        time.sleep(pause)


def lock(file: TextIO) -> bool:
    """Take the kernel's lock of an open file until it is closed; False where another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows has no flock; a second run is then not refused
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Stop:
    """Whether the user asked the run to end; it then ends after a whole step, with its state saved."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, _frame: FrameType | None) -> None:
        """Signal handler; a second signal ends the program at once."""
        self.asked = True
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM set ``asked`` while the block runs; only in the main thread, as Python demands."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
