"""The cells of an evaluation in jobs on many machines: packed by cost, each job's records files on the shared folder.

A job resolves the plan anew on its own machine and measures the cells that it was given by name; what it is told beyond that is
in no file. A cell whose job was lost has no entry in a journal, and no record: the same command packs it into the next jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from srbench.errors import InputError, counted
from srbench.evaluation.cell_cost import CellModel, amount_of, fit
from srbench.evaluation.progress import Progress
from srbench.evaluation.quality import Samples
from srbench.evaluation.run import (
    CellDone,
    EvalOutcome,
    EvalPlan,
    QualityCell,
    State,
    cell_key,
    kept_record,
    measure_cells,
    plan_cells,
)
from srbench.machines.cluster import Again, Cluster, Handle, check, earlier, submit
from srbench.machines.journal import (
    Clock,
    Entry,
    Launch,
    Planned,
    add,
    jobs_root,
    journal_path,
    list_launches,
    new_folder,
    read_journal,
    read_journals,
    read_launch,
    started_here,
    write_launch,
)
from srbench.machines.packing import pack
from srbench.process import set_up_process

_POLL = 0.5  # seconds between looks at the journals
_REMEMBERED = 5  # launches whose cells the cost model is fitted to


@dataclass(frozen=True)
class EvalJob(Again):
    """Measures some cells of a plan.

    Attributes:
        plan: as it was submitted.
        device: as the user named it: ``auto`` is decided where the job runs.
        root: the results folder; home's if None.
        work: names of the cells.
        journal: takes a line a cell.
    """

    plan: EvalPlan
    device: str
    root: Path | None
    work: frozenset[str]
    journal: Path

    def __call__(self) -> None:
        """Measure what this job has not measured yet, also after it was requeued."""
        from srbench.provenance import machine

        set_up_process()
        plan = replace(self.plan, inference=replace(self.plan.inference, device=self.device))
        there = {entry.work for entry in read_journal(self.journal) if entry.state != "failed"}
        cells = [cell for cell in plan_cells(plan, self.root).cells if work_name(cell) in self.work - there]
        amounts = {work_name(cell): amount_of(*cell[:3]) for cell in cells}
        clock = Clock(machine(plan.inference.torch_device).get("gpu", plan.inference.torch_device.type))

        def note(cell: QualityCell, done: CellDone) -> None:
            name = work_name(cell)
            entry = clock.entry(
                name, done.state, done.reason, notes=done.notes, faults=done.faults, amount=amounts[name]
            )
            add(self.journal, entry)

        measure_cells(plan, cells, EvalOutcome(), self.root, quiet=True, done=note)


@dataclass(frozen=True)
class Submitted:
    """One job that is waited for.

    Attributes:
        handle: asks the scheduler.
        number: in its launch.
        journal: that it writes.
        work: names of its cells.
    """

    handle: Handle
    number: int
    journal: Path
    work: frozenset[str]

    def lost(self, seen: Iterable[str], wanted: Iterable[str]) -> str:
        """What to say where it ended without some of the cells that are wanted; empty where it has done them."""
        lost = sorted((self.work & set(wanted)) - set(seen))
        if not lost:
            return ""
        return (
            f"job {self.number} ({self.handle.id}) ended without {len(lost)} of its {len(self.work)} cells, such as {lost[0]} "
            f"({self.handle.why()}); the same command measures them"
        )


def work_name(cell: QualityCell) -> str:
    """What a cell is called in journals."""
    name, dataset, scale, protocol = cell_key(cell)
    return f"{name} {dataset} x{scale} {protocol}"


def run_in_jobs(
    plan: EvalPlan,
    cluster: Cluster,
    device: str = "auto",
    *,
    root: Path | None = None,
    quiet: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[EvalOutcome, list[Path]]:
    """Measure every cell of a plan that is not stored, in jobs, and wait for them.

    Args:
        plan: what to measure.
        cluster: where jobs run.
        device: that each job computes on.
        root: the results folder, which the machines share; home's by default.
        quiet: show no progress.
        say: told what was submitted.

    Returns:
        as of :func:`srbench.evaluation.run.run`, with a line in ``errors`` for each job that ended without some of its cells;
        and the folders of the launches that had a part in it.

    Raises:
        UnavailableError: as ``check``.
        InputError: as ``submit``; or the plan's own.
    """
    check(cluster)
    planned = plan_cells(plan, root)
    outcome = planned.outcome
    names = {work_name(cell): cell for cell in planned.cells}
    waited = [] if plan.overwrite else list(_running(set(names), root))
    taken = set().union(*(job.work for job in waited)) & set(names)
    if taken:
        say(f"{len(taken)} cells are with jobs that were started before and still run")
    cells = [cell for cell in _lacking(plan, planned.cells, outcome, root) if work_name(cell) not in taken]
    if cells:
        made = _launch(plan, cells, cluster, device, root)
        say(f"{counted(len(cells), 'cell')} in {counted(len(made), 'job')}: {made[0].journal.parent}")
        waited += made
    with Progress(sum(len(cell[1]) for cell in planned.cells), quiet) as progress:
        _watch(waited, names, outcome, progress)
        progress.close(f"{outcome.measured} measured, {outcome.kept} as stored")
    outcome.notes += planned.last_notes(root)
    outcome.errors = list(dict.fromkeys(outcome.errors))
    return outcome, list(dict.fromkeys(job.journal.parent for job in waited))


def _lacking(
    plan: EvalPlan, cells: Iterable[QualityCell], outcome: EvalOutcome, root: Path | None
) -> list[QualityCell]:
    """The cells without a record that holds; the others are counted."""
    found = []
    for subject, images, scale, protocol in cells:
        # Which variant --fast takes depends on the machine: there the jobs look for themselves.
        samples = Samples(images, scale, protocol, plan.from_files)
        if not plan.fast and (record := kept_record(plan, subject, samples, root)):
            outcome.take(f"{subject.name} on {images.name} x{scale}", CellDone.of_record(record))
        else:
            found.append((subject, images, scale, protocol))
    return found


def _launch(
    plan: EvalPlan, cells: Sequence[QualityCell], cluster: Cluster, device: str, root: Path | None
) -> list[Submitted]:
    folder = new_folder("eval")
    model = cost_model()
    costs = [model(amount_of(*cell[:3])) for cell in cells]
    packed = pack(costs, cluster.jobs)
    groups = [frozenset(work_name(cells[index]) for index in indices) for indices in packed]
    calls = [EvalJob(plan, device, root, work, journal_path(folder, number)) for number, work in enumerate(groups)]
    handles = submit(cluster, folder, calls, "eval")
    total = sum(costs) or 1.0
    jobs = [
        Planned(id=handle.id, work=tuple(sorted(work)), share=sum(costs[index] for index in indices) / total)
        for handle, work, indices in zip(handles, groups, packed, strict=True)
    ]
    write_launch(folder, started_here("eval", cluster.kind, _where(root), jobs))
    return [Submitted(handle, number, calls[number].journal, groups[number]) for number, handle in enumerate(handles)]


def _where(root: Path | None) -> str:
    return str(root.resolve()) if root else ""


def cost_model() -> CellModel:
    """Fitted to the cells of the last launches; where these are too few, multiply-adds and pixels alone."""
    folders = list_launches(jobs_root())[-_REMEMBERED:]
    try:
        return fit(read_journals(folders)).model
    except InputError:
        return CellModel()


def _running(names: set[str], root: Path | None) -> Iterator[Submitted]:
    """Jobs of earlier launches into the same results folder that still run and have cells of these names."""
    for folder in list_launches(jobs_root()):
        try:
            launch: Launch = read_launch(folder)
        except InputError:
            continue
        if launch.command != "eval" or launch.where != _where(root):
            continue
        for number, (handle, job) in enumerate(zip(earlier(launch, folder), launch.jobs, strict=False)):
            if names & set(job.work) and not handle.ended():
                yield Submitted(handle, number, journal_path(folder, number), frozenset(job.work))


def _watch(jobs: Sequence[Submitted], cells: dict[str, QualityCell], outcome: EvalOutcome, progress: Progress) -> None:
    """Wait for all jobs, and count what they say of these cells."""
    seen: dict[str, Entry] = {}
    waiting = list(jobs)
    while waiting:
        ended = [job for job in waiting if job.handle.ended()]
        for job in waiting:  # after the look at who has ended: to their journals nothing is added later
            for entry in read_journal(job.journal):
                if entry.work in cells:
                    if entry.work not in seen:
                        progress.start(entry.work, len(cells[entry.work][1]))
                        progress.end()
                    seen[entry.work] = entry
        waiting = [job for job in waiting if job not in ended]
        if waiting:
            time.sleep(_POLL)
    for entry in seen.values():
        name, dataset, scale, _ = cell_key(cells[entry.work])
        state: State = "failed" if entry.state == "failed" else "kept" if entry.state == "kept" else "measured"
        outcome.take(f"{name} on {dataset} x{scale}", CellDone(state, entry.reason, entry.notes, entry.faults))
    outcome.errors += [text for job in jobs if (text := job.lost(seen, cells))]
