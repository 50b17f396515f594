"""Our weights in the keys of BasicSR, spandrel and KAIR, wherever their network computes the same as ours.

What ours adds (a bicubic skip), or what theirs does differently (BasicSR's RRDBNet gives ×4 where asked for ×3, spandrel takes
such a file for ×2), makes a file that loads and shows something else: such a conversion is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from srbench.errors import InputError

_NAMES = {"basicsr": "BasicSR", "spandrel": "spandrel", "kair": "KAIR"}


@dataclass(frozen=True)
class Converted:
    """Weights for another project.

    Attributes:
        state: in its keys.
        wrapper: the name that the project keeps a state dict under; empty for none.
        summary: for people: which network of that project reads it, and with what.
    """

    state: dict[str, Tensor]
    wrapper: str
    summary: str


def convert(network: nn.Module, model: str, scale: int, options: Mapping[str, object], target: str) -> Converted:
    """The weights of a network in the keys of another project.

    Args:
        network: of the registry, with its weights.
        model: its name there.
        scale: its enlargement.
        options: of its architecture, where they are not the paper's.
        target: ``basicsr``, ``spandrel`` or ``kair``.

    Raises:
        InputError: the project has no such network, or one that computes something else.
    """
    whose = _NAMES[target]
    skip = options.get("skip")
    if skip not in (None, "none"):
        raise InputError(
            f"{model} was trained with a {skip} skip, which no network of {whose} adds: it would show what is missing from the "
            "image in the place of the image"
        )
    family = _family(model)
    makers = _TARGETS[target]
    if family not in makers:
        known = ", ".join(sorted(makers))
        raise InputError(f"{whose} has no network that computes what {model} does; it has those of {known}")
    state = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    return makers[family](state, scale)


def write(made: Converted, path: Path) -> None:
    """Write a converted file: safetensors where its name ends so, else PyTorch's format.

    Raises:
        InputError: a suffix that neither has.
    """
    import io

    import torch
    from safetensors.torch import save

    from srbench.files import write_bytes

    suffix = path.suffix.lower()
    if suffix not in (".pth", ".pt", ".safetensors"):
        raise InputError(
            f"{path}: cannot write {suffix or 'a file without suffix'}; expected .pth, .pt or .safetensors"
        )
    state = {key: value.contiguous().clone() for key, value in made.state.items()}
    if suffix == ".safetensors":
        write_bytes(path, save(state))
        return
    buffer = io.BytesIO()  # torch does not say that a disk is full in a way that names the file
    torch.save({made.wrapper: state} if made.wrapper else state, buffer)
    write_bytes(path, buffer.getvalue())


def _family(model: str) -> str:
    if model in ("esrgan", "rrdb", "esrgan_s", "rrdb_s"):
        return "rrdb"
    return {"edsr_baseline": "edsr"}.get(model, model)


State = dict[str, Tensor]


def _rrdb_facts(state: State) -> str:
    features, growth = state["conv_first.weight"].shape[0], state["body.0.rdb1.conv1.weight"].shape[0]
    blocks = 1 + max(int(found[1]) for key in state if (found := re.match(r"body\.(\d+)\.", key)))
    return f"num_feat={features}, num_block={blocks}, num_grow_ch={growth}"


def _no_three(scale: int, who: str, instead: str) -> None:
    if scale == 3:
        raise InputError(f"{who} takes an RRDBNet ×3 for {instead}: its image would have another size")


def _folds(state: State, scale: int, who: str) -> None:
    planes = state["conv_last.weight"].shape[0]
    if scale == 2 and state["conv_first.weight"].shape[1] != 4 * planes:
        raise InputError(f"{who}'s RRDBNet ×2 folds 2×2 pixels first; this one does not")


def _basicsr_rrdb(state: State, scale: int) -> Converted:
    _no_three(scale, "BasicSR", "×4")
    _folds(state, scale, "BasicSR")
    return Converted(state, "params", f"RRDBNet(3, 3, scale={scale}, {_rrdb_facts(state)}) of BasicSR")


def _basicsr_edsr(state: State, scale: int) -> Converted:
    features = state["conv_first.weight"].shape[0]
    blocks = 1 + max(int(found[1]) for key in state if (found := re.match(r"body\.(\d+)\.", key)))
    res_scale = 0.1 if features >= 256 else 1
    facts = f"num_feat={features}, num_block={blocks}, upscale={scale}, res_scale={res_scale}, img_range=255."
    return Converted(state, "params", f"EDSR(3, 3, {facts}) of BasicSR")


def _basicsr_msrresnet(state: State, scale: int) -> Converted:
    return Converted(state, "params", f"MSRResNet(3, 3, upscale={scale}) of BasicSR")


def _spandrel_rrdb(state: State, scale: int) -> Converted:
    _no_three(scale, "spandrel", "×2")
    if (growth := state["body.0.rdb1.conv1.weight"].shape[0]) != 32:
        raise InputError(f"spandrel builds an RRDBNet with a growth of 32 channels alone; this one has {growth}")
    return Converted(state, "params", f"ESRGAN ×{scale} ({_rrdb_facts(state)}) of spandrel")


_KAIR_RRDB = (
    (r"body\.(\d+)\.rdb(\d)\.", r"RRDB_trunk.\1.RDB\2."),
    (r"conv_body\.", "trunk_conv."),
    (r"conv_up(\d)\.", r"upconv\1."),
    (r"conv_hr\.", "HRconv."),
)
_KAIR_MSRRESNET = ((r"body\.", "recon_trunk."), (r"conv_hr\.", "HRconv."))


def _kair_rrdb(state: State, scale: int) -> Converted:
    if scale != 4:
        raise InputError(
            f"KAIR's RRDBNet at ×{scale} is another network (its ×2 does not fold pixels, and it has no ×3)"
        )
    return Converted(
        _renamed(state, _KAIR_RRDB), "", f"RRDBNet(sf=4) of KAIR, network_rrdbnet.py ({_rrdb_facts(state)})"
    )


def _kair_msrresnet(state: State, scale: int) -> Converted:
    return Converted(_renamed(state, _KAIR_MSRRESNET), "", f"MSRResNet1(upscale={scale}) of KAIR, network_msrresnet.py")


def _renamed(state: State, rules: tuple[tuple[str, str], ...]) -> State:
    found = {}
    for key, value in state.items():
        name = key
        for pattern, replacement in rules:
            name, changed = re.subn(f"^{pattern}", replacement, key)
            if changed:
                break
        found[name] = value
    return found


_TARGETS: dict[str, dict[str, Callable[[State, int], Converted]]] = {
    "basicsr": {"rrdb": _basicsr_rrdb, "edsr": _basicsr_edsr, "msrresnet": _basicsr_msrresnet},
    "spandrel": {"rrdb": _spandrel_rrdb},
    "kair": {"rrdb": _kair_rrdb, "msrresnet": _kair_msrresnet},
}
