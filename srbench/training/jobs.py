"""Every network of every recipe, each in a job of its own on many machines; a child waits for its parent.

A job trains with ``resume``, so that one that was preempted or lost goes on from its last saved state, in the same launch or in
the next.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from srbench.errors import SrbenchError
from srbench.machines.cluster import Again, Cluster, Handle, check, submit
from srbench.machines.journal import (
    Clock,
    Planned,
    add,
    journal_path,
    new_folder,
    read_journal,
    started_here,
    write_launch,
)
from srbench.process import set_up_process
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.zoo import RecipeRequest, ZooOutcome, ZooTask, train_model, zoo_tasks
from srbench.zoo import Card, list_checkpoints

_POLL = 1.0  # seconds between looks at the zoo
_GRACE = 120.0  # seconds; SLURM's kill follows its SIGTERM within its KillWait or GraceTime


@dataclass(frozen=True)
class TrainJob(Again):
    """Trains one network.

    Attributes:
        model: its name.
        request: its recipe.
        options: of the run.
        name: of the checkpoint.
        journal: takes a line at the end.
    """

    model: str
    request: RecipeRequest
    options: RunOptions
    name: str
    journal: Path

    def __call__(self) -> None:
        """Train, or go on."""
        from srbench.inference import pick_device
        from srbench.provenance import machine

        set_up_process()
        device = pick_device(self.options.device)
        clock = Clock(machine(device).get("gpu", device.type))
        try:
            train_model(self.model, self.request, replace(self.options, resume=True, progress=False))
        except InterruptedRunError as error:
            add(self.journal, clock.entry(self.name, "stopped", str(error)))
            if os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
                time.sleep(_GRACE)  # SLURM ends the job, and starts a preempted one anew: returning would say "done"
        except SrbenchError as error:
            add(self.journal, clock.entry(self.name, "failed", " ".join(str(error).split())))
        else:
            add(self.journal, clock.entry(self.name, "trained"))


def train_in_jobs(
    requests: Sequence[RecipeRequest],
    options: RunOptions,
    cluster: Cluster,
    say: Callable[[str], None] = lambda _: None,
    trained: Callable[[Card], None] = lambda _: None,
) -> tuple[ZooOutcome, list[Path]]:
    """As :func:`srbench.training.zoo.train_zoo`, with a job for each network.

    Args:
        requests: the recipes.
        options: of every run.
        cluster: where jobs run, and how many at a time.
        say: told what is skipped, submitted, and what failed.
        trained: given each new card.

    Returns:
        what became of them, and the folder of the launch; none where nothing was to be trained.

    Raises:
        UnavailableError: as ``check``.
        UnknownNameError: a recipe that serves no network.
        InputError: as ``submit``.
    """
    check(cluster)
    tasks = [(task, task.there(options, say)) for task in zoo_tasks(requests)]
    cards = [card for _, found in tasks for card in found]
    waiting = [task for task, found in tasks if not found]
    if not waiting:
        return ZooOutcome(tuple(cards), ()), []
    launch = _Launch(options, cluster, new_folder("train"), say)
    failed: list[str] = []
    while waiting or launch.running:
        for task in launch.ended():
            found = list_checkpoints(task.name, options.zoo)
            cards += found
            if found:
                trained(found[0])
            else:
                failed.append(task.name)
        orphans = [task for task in waiting if task.parent in failed]
        for task in orphans:
            say(f"{task.model} failed: its parent {task.parent} failed")
        failed += [task.name for task in orphans]
        lacking = {task.name for task in (*waiting, *launch.running.values())}
        ready = [task for task in waiting if task not in orphans and task.parent not in lacking]
        started = ready[: cluster.jobs - len(launch.running)]
        launch.start(started)
        waiting = [task for task in waiting if task not in started and task not in orphans]
        if launch.running:
            time.sleep(_POLL)
    return ZooOutcome(tuple(cards), tuple(failed)), [launch.folder]


class _Launch:
    """The jobs that were submitted so far."""

    def __init__(self, options: RunOptions, cluster: Cluster, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.running: dict[int, ZooTask] = {}
        self._options, self._cluster, self._say = options, cluster, say
        self._handles: list[Handle] = []
        self._planned: list[Planned] = []

    def start(self, tasks: Sequence[ZooTask]) -> None:
        """Submit a job a task."""
        if not tasks:
            return
        first = len(self._handles)
        calls = [
            TrainJob(task.model, task.request, self._options, task.name, journal_path(self.folder, first + index))
            for index, task in enumerate(tasks)
        ]
        handles = submit(self._cluster, self.folder, calls, "train")
        for number, (task, handle) in enumerate(zip(tasks, handles, strict=True), first):
            self.running[number] = task
            self._say(f"{task.name}: job {number} ({handle.id})")
            self._planned.append(Planned(id=handle.id, work=(task.name,)))
        self._handles += handles
        where = str(self._options.zoo.resolve()) if self._options.zoo else ""
        write_launch(self.folder, started_here("train", self._cluster.kind, where, self._planned))

    def ended(self) -> list[ZooTask]:
        """The tasks whose jobs have ended since the last call; what went wrong is said."""
        numbers = [number for number in self.running if self._handles[number].ended()]
        for number in numbers:
            task = self.running[number]
            last = read_journal(journal_path(self.folder, number))[-1:]
            if not last:
                why = self._handles[number].why()
                self._say(f"{task.model}: job {number} ended without a checkpoint ({why}); the same command goes on")
            elif last[0].state != "trained":
                self._say(f"{task.model} {last[0].state}: {last[0].reason}")
        return [self.running.pop(number) for number in numbers]
