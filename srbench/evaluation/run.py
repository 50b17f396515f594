"""A whole evaluation: which cells there are, which of them are stored already, and the rest one after the other.

Under ``torchrun`` the cells are shared out among the processes; results are files, so nothing else is exchanged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srbench.datasets.local import ImageSet, find_dataset
from srbench.errors import InputError, SrbenchError, UnavailableError
from srbench.evaluation import targets as T
from srbench.evaluation.fast import fastest
from srbench.evaluation.measure import DEFAULT_METRICS
from srbench.evaluation.quality import Samples, run_cell, stored
from srbench.metrics import get_metric
from srbench.protocol import Protocol, get_protocol
from srbench.results import read_results


@dataclass(frozen=True)
class Plan:
    """What ``srbench eval`` was asked for; see its options."""

    names: tuple[str, ...] = ()
    every: bool = False
    model: str | None = None
    weights: Path | None = None
    channels: str | None = None
    datasets: tuple[str, ...] = ("sample",)
    scale: int | None = None
    protocols: tuple[str, ...] = ("standard",)
    metrics: tuple[str, ...] = DEFAULT_METRICS
    lr_files: bool = False
    settings: T.Settings = field(default_factory=T.Settings)
    save_images: Path | None = None
    overwrite: bool = False
    data_root: str | None = None
    fast: bool = False


@dataclass
class Outcome:
    """What came of a plan.

    Attributes:
        keys: ``(dataset, scale, protocol id)`` of its cells. measured, kept: cells computed now, and found stored.
        errors: one line a dataset or cell that could not be used. rank: of this process.
        notes: what a reader of the numbers must know, such as tiles that overlap too little.
    """

    keys: set[tuple[str, int, str]] = field(default_factory=set)
    measured: int = 0
    kept: int = 0
    errors: list[str] = field(default_factory=list)
    rank: int = 0
    notes: list[str] = field(default_factory=list)


Cell = tuple[T.Target, ImageSet, int, Protocol]


def run(plan: Plan, quiet: bool = False, root: Path | None = None) -> Outcome:
    """Measure every cell of a plan that is not stored; names are checked before anything is computed.

    Raises:
        UnknownNameError, InputError: in a name, a file of weights or a setting. A dataset that cannot be read is a line in
        ``Outcome.errors``; the others are measured all the same.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    outcome = Outcome(rank=rank)
    protocols = [get_protocol(name) for name in plan.protocols]
    if not protocols or not plan.metrics:
        raise InputError(f"no {'metric' if protocols else 'protocol'} is named; see `srbench ls`")
    for name in plan.metrics:
        get_metric(name)
    found = _targets(plan)
    sets = _datasets(plan, outcome)
    cells = list(_cells(plan, found, sets, protocols, root))
    outcome.keys = {(images.name, scale, protocol.id) for _, images, scale, protocol in cells}
    with _progress(quiet or rank > 0) as bar:
        task = bar.add_task("", total=len(cells))
        samples: Samples | None = None
        for number, (target, images, scale, protocol) in enumerate(cells):
            if number % world != rank:
                continue
            bar.update(task, completed=number, description=f"{target.checkpoint} · {images.name} ×{scale}")
            try:
                if plan.fast:
                    target = fastest(target, scale)
                known = None
                if not plan.overwrite and plan.save_images is None:
                    known = stored(target, images, scale, protocol, plan.metrics, plan.lr_files, root)
                if known is not None:
                    outcome.kept += 1
                    continue
                if samples is None or (samples.images, samples.scale, samples.protocol) != (images, scale, protocol):
                    samples = Samples(images, scale, protocol, plan.lr_files)
                folder = _folder(plan, target, images, scale)
                made = run_cell(target, samples, plan.metrics, root, save_images=folder)
                outcome.measured += 1
                if "of 255 off" in (tiling := made.provenance.get("tiling", "")):
                    outcome.notes.append(f"{target.checkpoint} on {images.name} x{scale}: tiles: {tiling}")
            except InputError as error:
                outcome.errors.append(f"{target.checkpoint} on {images.name} x{scale}: {error}")
        bar.update(task, completed=len(cells), description=f"{outcome.measured} measured, {outcome.kept} as stored")
    wait(world)
    outcome.errors = list(dict.fromkeys(outcome.errors))
    return outcome


def _targets(plan: Plan) -> list[T.Target]:
    settings = plan.settings
    found = T.everything(settings) if plan.every else []
    if plan.weights is not None and plan.model and plan.scale:
        found.append(T.of_weights(plan.model, plan.weights, plan.scale, settings, plan.channels))
    for name in plan.names:
        if ":" in name:
            if plan.scale is None:
                raise InputError(f"{name}: a class of your own needs --scale")
            found.append(T.of_class(name, plan.scale, settings, plan.channels or "rgb", plan.weights))
        else:
            found += T.named(name, settings)
    return list({target.checkpoint: target for target in found}.values())


def _datasets(plan: Plan, outcome: Outcome) -> list[ImageSet]:
    sets = []
    for spec in plan.datasets:
        try:
            images = find_dataset(spec, plan.data_root)
            images.check()
        except (InputError, UnavailableError) as error:
            outcome.errors.append(str(error))
            continue
        sets.append(images)
    if not sets:
        raise SrbenchError(outcome.errors[0] if outcome.errors else "no dataset is named")
    return sets


def _cells(
    plan: Plan, found: list[T.Target], sets: list[ImageSet], protocols: list[Protocol], root: Path | None
) -> Iterator[Cell]:
    """Every cell, dataset by dataset, so that decoded images are used by all targets before the next set is read.

    Without ``--scale``, interpolators and networks without weights run at the scales of the checkpoints of the plan and of
    the results that exist; ×4 where there are none.
    """
    own = {s for t in found if t.identity and t.channels != "any" for s in t.scales}
    present = own or {result.scale for result in read_results(root)} or {4}
    named = {target.checkpoint for target in found} if not plan.every else set(plan.names)
    for images in sets:
        for protocol in protocols:
            for scale in sorted({plan.scale} if plan.scale else present):
                for target in found:
                    # A target that was asked for by name at a scale it lacks gets a record that says so.
                    if scale in target.scales or (plan.scale and target.checkpoint in named):
                        yield target, images, scale, protocol


def _folder(plan: Plan, target: T.Target, images: ImageSet, scale: int) -> Path | None:
    if plan.save_images is None:
        return None
    name = "+".join(part for part in (target.checkpoint, target.variant) if part)
    return plan.save_images / f"{images.name}_x{scale}" / name


def _progress(quiet: bool) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
        transient=False,
    )


def wait(world: int) -> None:
    """Wait for the other processes: the first one's report sees every record, and no process ends before it is written."""
    if world > 1:
        from accelerate import PartialState

        PartialState(cpu=True).wait_for_everyone()
