"""A whole evaluation: which cells there are, which of them are stored already, and the rest one after the other.

Under ``torchrun`` the cells are shared out among the processes; results are files, so nothing else is exchanged.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from srbench.datasets.local import ImageSet, find_dataset
from srbench.errors import InputError, SrbenchError, UnavailableError
from srbench.evaluation.distinct import distinct, outdated
from srbench.evaluation.fast import fastest
from srbench.evaluation.progress import Progress
from srbench.evaluation.quality import Samples, variant_name
from srbench.evaluation.stored import run_cell, stored
from srbench.inference import Inference
from srbench.measure import DEFAULT_METRICS
from srbench.metrics import get_metric
from srbench.models import MODELS
from srbench.protocol import Protocol, get_protocol
from srbench.results import Result, read_results
from srbench.subjects import Subject, SubjectOptions, everything, resolve, unique
from srbench.zoo import list_checkpoints


@dataclass(frozen=True)
class EvalPlan:
    """What ``srbench eval`` was asked for; see its options.

    Attributes:
        names: texts as :func:`srbench.subjects.resolve` takes them.
        named: what goes with them.
        every: all checkpoints and interpolators, too.
        name: that the records of a file or class of the user's own get; by default one made of its text.
        lr_files: LR comes from files; ``lr_folder`` says from where, if not from beside the HR images.
        recursive: folders with their subfolders.
    """

    names: tuple[str, ...] = ()
    every: bool = False
    named: SubjectOptions = field(default_factory=SubjectOptions)
    datasets: tuple[str, ...] = ("sample",)
    scale: int | None = None
    protocols: tuple[str, ...] = ("standard",)
    metrics: tuple[str, ...] = DEFAULT_METRICS
    lr_files: bool = False
    lr_folder: Path | None = None
    recursive: bool = False
    inference: Inference = field(default_factory=Inference)
    save_images: Path | None = None
    overwrite: bool = False
    data_root: str | None = None
    fast: bool = False
    name: str = ""

    @property
    def from_files(self) -> bool:
        """Whether LR is read and not made."""
        return self.lr_files or self.lr_folder is not None

    @property
    def variant(self) -> str:
        """Of its records, where ``fast`` does not choose one for each network."""
        return variant_name(self.inference.variant, self.from_files)


@dataclass
class EvalOutcome:
    """What came of a plan.

    Attributes:
        cells: ``(checkpoint, dataset, scale, protocol id)`` of each of its cells, those of all processes.
        measured: cells computed now.
        kept: cells found stored.
        errors: one line a dataset or cell that could not be used, or that ran out of memory or failed.
        rank: of this process.
        notes: what a reader of the numbers must know, such as tiles that overlap too little, or what has no number.
    """

    cells: set[CellKey] = field(default_factory=set)
    measured: int = 0
    kept: int = 0
    errors: list[str] = field(default_factory=list)
    rank: int = 0
    notes: list[str] = field(default_factory=list)

    def take(self, label: str, done: CellDone) -> None:
        """Count a cell, and keep what is to be said of it under its label."""
        self.measured += done.state == "measured"
        self.kept += done.state == "kept"
        self.errors += [done.reason] if done.state == "failed" else []
        self.errors += [f"{label}: {fault}" for fault in done.faults]
        self.notes += [f"{label}: {note}" for note in done.notes]


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
QualityCell = tuple[Subject, ImageSet, int, Protocol]
CellKey = tuple[str, str, int, str]
State = Literal["measured", "kept", "failed"]


def run(plan: EvalPlan, quiet: bool = False, root: Path | None = None) -> EvalOutcome:
    """Measure every cell of a plan that is not stored; names are checked before anything is computed.

    A cell that cannot have a number (no checkpoint, another scale, an unsuitable protocol) leaves no record; it becomes a line
    in ``EvalOutcome.notes`` if it was asked for by name. A dataset that cannot be read becomes a line in
    ``EvalOutcome.errors``, and the others are measured all the same.

    Raises:
        UnknownNameError: a name that does not exist.
        InputError: a file of weights or an option that cannot be used.
        UnavailableError: nothing that was asked for can have a number.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    planned = plan_cells(plan, root)
    outcome = planned.outcome
    outcome.rank = rank
    measure_cells(plan, planned.cells[rank::world], outcome, root, quiet=quiet or rank > 0)
    outcome.notes += planned.last_notes(root)
    wait(world)
    outcome.errors = list(dict.fromkeys(outcome.errors))
    return outcome


@dataclass(frozen=True)
class Planned:
    """The cells of a plan before the first is measured.

    Attributes:
        cells: those that can have a number, dataset by dataset.
        sets: the image sets.
        outcome: names of the cells, and what is known already to be wrong or worth a note.
    """

    cells: list[QualityCell]
    sets: list[ImageSet]
    outcome: EvalOutcome

    def last_notes(self, root: Path | None) -> list[str]:
        """What is to be said once all is measured: records that hold for other images."""
        return [text for images in self.sets if (text := outdated(images, root))]


def plan_cells(plan: EvalPlan, root: Path | None = None) -> Planned:
    """What a plan asks for, with every name checked and nothing computed; raises as :func:`run`."""
    outcome = EvalOutcome()
    protocols = [get_protocol(name) for name in plan.protocols]
    if not protocols or not plan.metrics:
        raise InputError(f"no {'metric' if protocols else 'protocol'} is named; see `srbench ls`")
    for name in plan.metrics:
        get_metric(name)
    named = _named(plan)
    found = unique([*(everything() if plan.every else []), *named])
    sets = _datasets(plan, outcome, root)
    lacking: dict[str, UnavailableError] = {}
    cells = list(_cells(plan, found, sets, protocols, {subject.name for subject in named}, lacking, root))
    if lacking and not cells:
        raise next(iter(lacking.values()))
    outcome.notes += lacking
    outcome.notes += [note for subject in named for note in subject.notes]
    outcome.cells = {cell_key(cell) for cell in cells}
    return Planned(cells, sets, outcome)


def cell_key(cell: QualityCell) -> CellKey:
    """What names a cell: checkpoint, dataset, scale, protocol id."""
    subject, images, scale, protocol = cell
    return subject.name, images.name, scale, protocol.id


@dataclass(frozen=True)
class CellDone:
    """What became of one cell.

    Attributes:
        state: ``measured``, ``kept`` (its record holds) or ``failed``.
        reason: why it failed.
        notes: what a reader of its numbers must know.
        faults: why it, or one of its metrics, has no number although it should.
    """

    state: State
    reason: str = ""
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @classmethod
    def of_record(cls, kept: Result) -> CellDone:
        """Of a cell whose record holds."""
        return cls("kept", notes=tuple(kept.notes), faults=tuple(kept.faults))


def measure_cells(
    plan: EvalPlan,
    cells: Sequence[QualityCell],
    outcome: EvalOutcome,
    root: Path | None = None,
    *,
    quiet: bool = False,
    done: Callable[[QualityCell, CellDone], None] = lambda _cell, _done: None,
) -> None:
    """Measure cells one after the other and store their records.

    Args:
        plan: that they belong to.
        cells: in an order that keeps those of one set, scale and protocol together, which then share decoded images.
        outcome: takes what comes of them.
        root: the results folder; home's by default.
        quiet: show no progress.
        done: told of each cell when its record is written, or when it has failed.
    """
    with Progress(sum(len(images) for _, images, _, _ in cells), quiet) as progress:
        samples: Samples | None = None
        for subject, images, scale, protocol in cells:
            label = f"{subject.name} on {images.name} x{scale}"
            progress.start(f"{subject.name} · {images.name} ×{scale}", len(images))
            if samples is None or (samples.images, samples.scale, samples.protocol) != (images, scale, protocol):
                samples = Samples(images, scale, protocol, plan.from_files)
            try:
                made = _run_cell(plan, subject, samples, root, progress)
            except InputError as error:
                made = CellDone("failed", f"{label}: {error}")
            outcome.take(label, made)
            done((subject, images, scale, protocol), made)
            progress.end()
        progress.close(f"{outcome.measured} measured, {outcome.kept} as stored")


def _run_cell(plan: EvalPlan, subject: Subject, samples: Samples, root: Path | None, progress: Progress) -> CellDone:
    """Measure and store one cell unless its record holds."""
    if kept := kept_record(plan, subject, samples, root):
        return CellDone.of_record(kept)
    inference = _inference(plan, subject, samples)
    made = run_cell(
        subject,
        samples,
        plan.metrics,
        inference,
        save_images=_folder(plan, subject, inference, samples),
        root=root,
        on_image=progress.image,
        replace=plan.overwrite,
    )
    tiling = made.provenance.get("tiling", "")
    notes = (*made.notes, *([f"tiles: {tiling}"] if "of 255 off" in tiling else []))
    return CellDone("measured", notes=notes, faults=tuple(made.faults))


def kept_record(plan: EvalPlan, subject: Subject, samples: Samples, root: Path | None = None) -> Result | None:
    """The record that stands for a cell of the plan, so that it is not measured; None where it has to be."""
    if plan.overwrite or plan.save_images is not None:
        return None
    return stored(subject, _inference(plan, subject, samples), samples, plan.metrics, root)


def _inference(plan: EvalPlan, subject: Subject, samples: Samples) -> Inference:
    return fastest(subject, samples.scale, plan.inference) if plan.fast else plan.inference


def _named(plan: EvalPlan) -> list[Subject]:
    """What was asked for by name; a file of weights goes with the classes among the names, or with the models."""
    given = plan.named
    if (weights := given.get("weights")) and not plan.names:
        return resolve(weights, plan.scale, **_without_weights(given))
    own = [name for name in plan.names if ":" in name]
    found = []
    for name in plan.names:
        found += resolve(name, plan.scale, **(given if name in own or not own else _without_weights(given)))
    return _renamed(unique(found), plan.name)


def _renamed(found: list[Subject], name: str) -> list[Subject]:
    """What is the user's own under the name that they chose; InputError where that is not one thing or the zoo's name."""
    if not name:
        return found
    own = [subject for subject in found if subject.own]
    if len(own) != 1:
        raise InputError(f"--name {name!r} is for one file or class of your own; {len(own)} of {len(found)} are named")
    if not NAME.fullmatch(name):
        raise InputError(
            f"--name {name!r}: expected letters, digits, '.', '_' and '-', beginning with a letter or digit"
        )
    if name in MODELS or any(card.name == name for card in list_checkpoints()):
        raise InputError(f"--name {name!r} is the name of something in the zoo: choose another")
    return [replace(subject, name=name) if subject is own[0] else subject for subject in found]


def _without_weights(given: SubjectOptions) -> SubjectOptions:
    kept: Any = {name: value for name, value in given.items() if name != "weights"}
    return kept


def _datasets(plan: EvalPlan, outcome: EvalOutcome, root: Path | None) -> list[ImageSet]:
    sets = []
    for spec in plan.datasets:
        try:
            images = find_dataset(spec, plan.data_root, recursive=plan.recursive, lr_folder=plan.lr_folder)
            images.check()
        except (InputError, UnavailableError) as error:
            outcome.errors.append(str(error))
            continue
        sets.append(images)
    if not sets:
        raise SrbenchError(outcome.errors[0] if outcome.errors else "no dataset is named")
    sets = distinct(sets, root)
    outcome.notes += [remark for images in sets for remark in images.remarks()]
    return sets


def _cells(
    plan: EvalPlan,
    found: list[Subject],
    sets: list[ImageSet],
    protocols: list[Protocol],
    named: set[str],
    lacking: dict[str, UnavailableError],
    root: Path | None,
) -> Iterator[QualityCell]:
    """Every cell that can have a number, dataset by dataset, so that decoded images serve all subjects before the next set.

    Without ``--scale``, interpolators run at the scales of the other subjects of the plan or, where there are none, of the
    results that exist; ×4 where there are none either. Why one of ``named`` has no cell goes into ``lacking``, by its reason.
    """
    own = {s for t in found if t.kind != "interpolator" and not t.random_weights for s in t.scales}
    present = own or {result.scale for result in read_results(root, broken=[])} or {4}
    for images in sets:
        for protocol in protocols:
            for scale in sorted({plan.scale} if plan.scale else present):
                for subject in found:
                    obstacle = subject.obstacle(scale, protocol)
                    if obstacle is None:
                        yield subject, images, scale, protocol
                    elif subject.name in named and (plan.scale or subject.random_weights or scale in subject.scales):
                        lacking.setdefault(obstacle.reason, obstacle)


def _folder(plan: EvalPlan, subject: Subject, inference: Inference, samples: Samples) -> Path | None:
    if plan.save_images is None:
        return None
    name = "+".join(part for part in (subject.name, inference.variant) if part)
    return plan.save_images / f"{samples.images.name}_x{samples.scale}" / name


def wait(world: int) -> None:
    """Wait for the other processes: the first one's report sees every record, and no process ends before it is written."""
    if world > 1:
        from accelerate import PartialState

        PartialState(cpu=True).wait_for_everyone()
