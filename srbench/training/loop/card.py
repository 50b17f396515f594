"""What is written of a run when it has ended: the card of its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from srbench.provenance import hardware, is_edited, source
from srbench.training.loop.budget import Length
from srbench.training.loop.distributed import Processes
from srbench.training.loop.own import OwnModel
from srbench.training.loop.start import Build
from srbench.training.loop.state import Origin
from srbench.zoo import Card, checkpoint_name


@dataclass(frozen=True)
class RunRecord:
    """What a run was.

    Attributes:
        build: the network.
        tag: the recipe part of its name.
        length: its recipe and where the steps come from.
        origin: of its first weights.
        data: training set → digest.
        curve: of its validations.
        seconds: of training.
        overlaps: training images that show what test images show, where that was allowed.
        left_out: such images that were left out.
        remarks: what else the card's notes say, in order.
    """

    build: Build
    tag: str
    length: Length
    origin: Origin
    data: dict[str, str]
    curve: list[dict[str, int | float]]
    seconds: float
    overlaps: list[str]
    left_out: list[str]
    remarks: tuple[str, ...]


def make_card(record: RunRecord, network: nn.Module, processes: Processes) -> Card:
    """The card of a run's checkpoint.

    Args:
        record: what the run was.
        network: that it trained.
        processes: that it ran in.
    """
    recipe, build, origin = record.length.recipe, record.build, record.origin
    edited = "trained by code that differs from its commit (--dirty)" if is_edited() else ""
    return Card(
        name=checkpoint_name(build.model.name, [recipe.scale], record.tag),
        model=build.model.name,
        scales=[recipe.scale],
        channels=build.channels,
        recipe=record.tag,
        options=build.options,
        source=build.model.source if isinstance(build.model, OwnModel) else None,
        parameters=sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
        data=record.data,
        steps=recipe.steps,
        samples_seen=recipe.steps * recipe.batch,
        seed=recipe.seed,
        commit=source(),
        hardware=hardware(processes.device, processes.world),
        wall_time_s=round(record.seconds, 1),
        precision=recipe.precision,
        init_from=recipe.init_from or None,
        init_sha256=origin.init_sha256 or None,
        config=recipe.model_dump(mode="json"),
        curve=record.curve,
        overlaps=list(dict.fromkeys([*record.overlaps, *origin.overlaps])),
        untold=origin.untold,
        left_out=record.left_out,
        notes="; ".join([*record.remarks, *record.length.notes(), *filter(None, [origin.warm, edited])]),
    )


def left_out(val: list[Path], too_small: tuple[str, ...], bad: tuple[str, ...], paired: bool) -> str:
    """Which images were not trained on, and why."""
    shown = f"validation images: {', '.join(path.stem for path in val)}"
    return "; ".join([shown, *reasons(too_small, bad, paired)])


def reasons(too_small: Sequence[str], bad: Sequence[str], paired: bool, most: int | None = None) -> list[str]:
    """Which images were left out and why, a line a reason.

    Args:
        too_small: names of files whose images are smaller than a crop.
        bad: names of files that cannot be read, or whose LR image does not belong to them.
        paired: whether they have LR images.
        most: name no more of each.
    """
    unusable = "unreadable, or their LR does not fit, and left out" if paired else "unreadable and left out"
    found = (("smaller than a crop and left out", too_small), (unusable, bad))
    return [f"{why}: {_listed(names, most)}" for why, names in found if names]


def _listed(names: Sequence[str], most: int | None) -> str:
    more = f" and {len(names) - most} more" if most is not None and len(names) > most else ""
    return ", ".join(names[:most]) + more
