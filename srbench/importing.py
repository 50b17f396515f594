"""Weights from elsewhere as a checkpoint of the zoo: recognised, put into our keys and range, with a card that says whence.

What the file does not say (licence, training data) is stated by who imports it, or is unknown and called so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from srbench.datasets.catalog import CATALOG
from srbench.datasets.hashes import digest_of
from srbench.datasets.overlaps import shipped
from srbench.errors import InputError
from srbench.names import check_name
from srbench.provenance import source
from srbench.subjects.files import notes_of
from srbench.weights import open_weights
from srbench.weights.recognise import Recognised, Wanted, recognise
from srbench.weights.white import folded, sample_input
from srbench.zoo import NOT_STATED, Card, Imported, checkpoint_name, module_of, save_checkpoint, zoo_root

_SAME = 1e-4  # of white: what float32 may lose where a range is folded into the weights


@dataclass(frozen=True)
class Statement:
    """What is said of weights by who imports them; empty where nothing is.

    Attributes:
        url: where the file is to be had.
        citation: of the paper or project.
        licence: of the weights.
        recipe: how they were trained.
        trained_on: sets of images; those of the catalog are known by their names.
    """

    url: str = ""
    citation: str = ""
    licence: str = ""
    recipe: str = ""
    trained_on: tuple[str, ...] = ()


def import_weights(
    path: Path,
    name: str,
    said: Statement | None = None,
    *,
    wanted: Wanted | None = None,
    key: str = "",
    zoo: Path | None = None,
    overwrite: bool = False,
) -> Card:
    """Write foreign weights to the zoo.

    Args:
        path: a file of weights in any layout that is known.
        name: the last part of the checkpoint's name, or the whole, such as ``edsr_x4.official``.
        said: what is known of the weights.
        wanted: scale, architecture, channels, options and range, where the file leaves them open.
        key: which state dict of the file, where it holds several.
        zoo: its folder; zoo/ by default.
        overwrite: replace a checkpoint of the same name.

    Returns:
        the card that was written.

    Raises:
        InputError: a file that cannot be read, holds no network or several; an architecture that the zoo cannot hold; a name
            that cannot be used or is taken.
        UnknownNameError: no such architecture or option.
    """
    wanted, file = wanted or Wanted(), open_weights(path, key)
    found = recognise(file, wanted.scale, wanted.model, wanted.options, channels=wanted.channels, range=wanted.range)
    _refuse_other_programs(found)
    _refuse_numbers_that_are_none(found)
    scales = list(found.scales)
    recipe = _last_part(name, found.model, scales)
    stem = (zoo or zoo_root()) / found.model / checkpoint_name("", scales, recipe).removeprefix("_")
    if stem.with_name(f"{stem.name}.toml").exists() and not overwrite:
        taken = checkpoint_name(found.model, scales, recipe)
        raise InputError(f"the zoo has a checkpoint {taken}; --overwrite replaces it, another --name keeps both")
    card = _card(found, recipe, said or Statement())
    state, done = _weights(found, card)
    assert card.imported is not None
    report = [*notes_of(found), *done]
    card = card.model_copy(update={"imported": card.imported.model_copy(update={"report": report})})
    weights = save_checkpoint(state, card, zoo)
    return card.model_copy(update={"file": weights.name})


def _refuse_other_programs(found: Recognised) -> None:
    if found.origin != "srbench":
        raise InputError(
            f"{found.file.path} is {found.display}, an architecture that the zoo cannot hold, since srbench has no code of its "
            f"own for it: `srbench eval {found.file.path}` measures the file itself"
        )


def _refuse_numbers_that_are_none(found: Recognised) -> None:
    for key, tensor in found.state.items():
        if tensor.is_floating_point() and not (finite := torch.isfinite(tensor)).all():
            count = int((~finite).sum())
            raise InputError(
                f"{found.file.path}: {key} holds {count} values that are NaN or infinite; expected numbers"
            )


def _last_part(name: str, model: str, scales: Sequence[int]) -> str:
    """The recipe part that a name means; InputError where the whole name is one of something else."""
    stem = checkpoint_name(model, list(scales), "")
    if name.startswith(stem):
        name = name.removeprefix(stem)
    elif "_x" in name.partition(".")[0] and "." in name:
        raise InputError(
            f"--name {name!r} names other weights: these are {stem.rstrip('.')}, so that {stem}… is expected"
        )
    return check_name("checkpoint", name)


def _card(found: Recognised, recipe: str, said: Statement) -> Card:
    """The card without its report; what a published card says counts where the user says nothing."""
    known = found.card
    data, rest = _stated_data(said.trained_on)
    stated = "+".join(said.trained_on) or (known.training if known else "")
    if stated and not said.trained_on:
        rest = [stated]
    network = found.build(found.scales[0])
    return Card(
        name=checkpoint_name(found.model, list(found.scales), recipe),
        model=found.model,
        scales=list(found.scales),
        channels=found.channels,
        recipe=recipe,
        options=dict(found.options),
        parameters=sum(one.numel() for one in network.parameters() if one.requires_grad),
        data=data,
        steps=0,
        samples_seen=0,
        seed=0,
        commit=source(),
        hardware="",
        wall_time_s=0.0,
        precision="",
        untold=[f"training data {NOT_STATED}"]
        if not stated
        else [f"{one}, whose images are not known here" for one in rest],
        imported=Imported(
            file=found.file.path.name,
            sha256=found.file.sha256,
            layout=found.layout,
            url=said.url or (known.url if known else ""),
            citation=said.citation or (known.paper if known else ""),
            licence=said.licence or (known.licence if known else ""),
            recipe=said.recipe,
            trained_on=stated,
            doubts=list(found.doubts),
        ),
    )


def _stated_data(stated: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The stated sets whose images the package knows, with their digests, and the others."""
    data, rest = {}, []
    for name in (part.strip() for text in stated for part in text.split("+")):
        known = shipped(name.lower()) if name.lower() in CATALOG else []
        if known:
            data[name.lower()] = digest_of({one.file: one.sha256 for one in known})
        elif name:
            rest.append(name)
    return data, rest


def _weights(found: Recognised, card: Card) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict as it is stored, and what was done for it; InputError where a card cannot say the network."""
    said = [f"{len(found.file.state)} tensors read, {card.parameters:,} parameters"]
    state = found.build(found.scales[0]).state_dict()
    if found.range != 1:
        state = folded(found.build(found.scales[0]), found.range, found.channels)
        said.append(
            f"range 0–{found.range:g} folded into the first and the last convolution: the checkpoint works on 0–1"
        )
    worst = 0.0
    for scale in found.scales:
        network = module_of(card, scale).eval()
        if network.state_dict().keys() != state.keys() or not _same_shapes(network.state_dict(), state):
            scales = ", ".join(f"x{one}" for one in found.scales)
            raise InputError(f"{found.file.path} serves {scales} with a network each: --scale chooses one")
        network.load_state_dict(state)
        worst = max(worst, _difference(network, found.build(scale), found.range, found.channels))
    if not worst <= _SAME:
        raise InputError(
            f"{found.file.path} cannot be put into the zoo: its weights in our network give another image, by {worst:.2g} of "
            f"white; `srbench eval {found.file.path}` measures the file itself"
        )
    said.append(f"checkpoint and file differ by at most {worst:.1e} of white on a test image")
    return state, said


def _same_shapes(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(one[key].shape == other[key].shape for key in other)


@torch.no_grad()
def _difference(network: nn.Module, original: nn.Module, white: float, channels: str) -> float:
    x = sample_input(channels)
    made: Tensor = network(x)
    theirs: Tensor = original(x * white) / white
    return float((made - theirs).abs().max())
