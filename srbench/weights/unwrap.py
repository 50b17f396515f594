"""What was read → the one state dict that is meant: wrappers, averages, prefixes, two networks in one file.

Training programs put weights beside optimisers and settings, under names of their own, once or several times; wrappers such as
data parallelism, compilation and averaging put a prefix before each key. All of that comes off here, in any nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from srbench.errors import InputError

# By what a part of a name says: an average of the weights is what papers report, a generator is meant before anything else.
_AVERAGE = re.compile(
    r"(params|model|net|net_?g|netG|generator|g|state_dict|weights|network)?[-_]?(ema|swa|averaged?)([-_]?(model|net|state|"
    r"state_dict|params|weights|generator|g))?|averaged_model|shadow(_params)?",
    re.IGNORECASE,
)
_GENERATOR = re.compile(
    r"params|generator(_state_dict)?|net_?g(_state_dict)?|model_?g|gen|g|sr(_?(net|model))?|upscaler", re.IGNORECASE
)
_PLAIN = re.compile(
    r"(model_|net_|network_)?state(_dict)?|(state_dict_)?model|net(work)?|weights?|module|params_dict|student|backbone",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r".*discriminator.*|(net|model)?_?d|.*(loss|criteri|lpips|vgg|perceptual|critic|teacher|degrad|metric).*|net_?d\w*"
    r"|optim\w*|.*scheduler.*|.*scaler.*|callbacks|loops|hyper_parameters|rng\w*|.*optimi[sz]er.*|step_counter"
    r"|data_preprocessor|.*kernel.*",
    re.IGNORECASE,
)
_BARRED = re.compile(
    r"optim\w*|.*optimi[sz]er.*|.*scheduler.*|.*scaler.*|callbacks|loops|hyper_parameters|rng\w*", re.IGNORECASE
)
_PREFIXES = (
    "module.",
    "_orig_mod.",
    "model.",
    "net.",
    "generator.",
    "generator_ema.",
    "netG.",
    "net_g.",
    "g.",
    "model_ema.",
    "ema_model.",
    "averaged_model.",
    "ema.",
    "student.",
    "state_dict.",
    "params.",
)
SKIPPED = "network."
"""Before every key of a network of ours with a bicubic skip, and of many a wrapper: who asks for a network must try both."""
_WITHIN = re.compile(r"(^|\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_COUNTERS = re.compile(r"(n_averaged|num_updates|decay|step|steps|iter(ation)?s?|epoch|global_step|step_counter)")


@dataclass(frozen=True)
class Candidate:
    """A state dict in a file.

    Attributes:
        key: where it stands, dotted; empty for the whole file.
        state: names as the network's, without prefixes.
        prefix: what was taken off each name.
        rank: 0 is meant before 1; 9 is no network that makes images.
    """

    key: str
    state: dict[str, Tensor]
    prefix: str
    rank: int

    def __str__(self) -> str:
        return f"{self.key or 'the file itself'} ({len(self.state)} tensors)"


def candidates(tree: object) -> list[Candidate]:
    """Every state dict in what was read, the likeliest first."""
    found: list[Candidate] = []
    for key, tensors in _mappings(tree):
        found += _split(key, tensors)
    most = max(
        (len(c.state) for c in found), default=0
    )  # a tensor beside a state dict makes no network of the whole file
    found = [replace(c, rank=8) if not c.key and len(c.state) < most else c for c in found]
    return sorted(found, key=lambda c: c.rank)


def choose(path: Path, tree: object, key: str = "") -> tuple[Candidate, list[Candidate]]:
    """The state dict that is meant, and all that there are.

    Args:
        path: for messages.
        tree: what was read.
        key: the caller's choice, a dotted name or the end of one.

    Raises:
        InputError: there is none, several are as likely, or none is called ``key``; with what the file holds.
    """
    found = candidates(tree)
    if not found:
        raise InputError(f"{path} holds no state dict (names with tensors); {describe(tree)}")
    if key:
        fitting = [c for c in found if c.key == key] or [
            c for c in found if f".{c.key}".endswith(f".{key}") or f".{c.key}.".find(f".{key}.") >= 0
        ]
        if len(fitting) != 1:
            what = "several state dicts" if fitting else "no state dict"
            listed = ", ".join(map(str, fitting or found))
            raise InputError(f"{path} holds {what} called {key!r}; it holds {listed}")
        return fitting[0], found
    best = [c for c in found if c.rank == found[0].rank]
    if len(best) > 1:
        names = ", ".join(map(str, best))
        raise InputError(
            f"{path} holds {len(best)} networks: {names}; choose one with --key, such as --key {best[0].key}"
        )
    return best[0], found


def describe(tree: object) -> str:
    """The uppermost names of what was read, for a message."""
    if not isinstance(tree, Mapping):
        return f"it holds a {type(tree).__name__}"
    names = [str(name) for name in tree]
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"its uppermost names are {shown}" if names else "it is empty"


def top_level(tree: object) -> tuple[str, ...]:
    """The uppermost names of what was read."""
    return tuple(str(name) for name in tree) if isinstance(tree, Mapping) else ()


def _mappings(tree: object) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Mappings that hold tensors themselves, with their dotted place; optimisers and the like are passed over."""
    stack: list[tuple[str, object]] = [("", tree)]
    seen: set[int] = set()
    while stack:
        place, value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Mapping):
            items = [(str(name), part) for name, part in value.items() if isinstance(name, str)]
            tensors = {name: part for name, part in items if isinstance(part, Tensor)}
            if any(tensor.dim() for tensor in tensors.values()):
                yield place, tensors
            nested = [(name, part) for name, part in items if isinstance(part, Mapping | list | tuple)]
        elif isinstance(value, list | tuple):
            nested = [(str(number), part) for number, part in enumerate(value) if isinstance(part, Mapping)]
        else:
            continue
        stack += [(f"{place}.{n}" if place else n, p) for n, p in reversed(nested) if not _BARRED.fullmatch(n)]


def _split(place: str, tensors: Mapping[str, Tensor]) -> list[Candidate]:
    """One candidate of a flat state dict; several where it holds networks side by side (``generator.…``, ``loss.…``)."""
    state, prefix = strip({name: value for name, value in tensors.items() if not _COUNTERS.fullmatch(name)})
    groups: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        groups.setdefault(name.partition(".")[0], {})[name.partition(".")[2] or name] = value
    meant = [group for group in groups if _is_meant(group)]
    beside = [group for group in groups if group not in meant and _OTHER.fullmatch(group)]
    averages = [group for group in meant if _AVERAGE.fullmatch(group)]
    if not meant or len(meant) + len(beside) < len(groups) or not (beside or (averages and len(meant) > 1)):
        return [Candidate(place, state, prefix, _rank(place))] if state else []
    found = []
    for group in [*meant, *beside]:
        inner, more = strip(groups[group])
        key = f"{place}.{group}" if place else group
        if inner:
            found.append(Candidate(key, inner, f"{prefix}{group}.{more}", _rank(key)))
    return found


def _is_meant(group: str) -> bool:
    return bool(_AVERAGE.fullmatch(group) or _GENERATOR.fullmatch(group) or _PLAIN.fullmatch(group))


def _rank(place: str) -> int:
    """How likely it is that this is the network that is meant; see the patterns above."""
    parts = [part for part in place.split(".") if part]
    if any(_OTHER.fullmatch(part) for part in parts):
        return 9
    if any(_AVERAGE.fullmatch(part) for part in parts):
        return 0
    if any(_GENERATOR.fullmatch(part) for part in parts):
        return 1
    return 2 if all(_PLAIN.fullmatch(part) for part in parts) else 3


def strip(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Names without the prefixes that all of them have, and what was taken off.

    A prefix before bare numbers (``model.0.weight``) is a network's own: it is left where it is. So is ``network.``, which may
    stand for a bicubic skip.
    """
    kept = {_WITHIN.sub(lambda found: found[1], name): value for name, value in state.items()}
    if len(kept) < len(state):
        kept = dict(state)
    taken = ""
    while True:
        names = list(kept)
        fitting = [p for p in _PREFIXES if names and all(name.startswith(p) for name in names)]
        if not fitting:
            return kept, taken
        shorter = {name.removeprefix(fitting[0]): value for name, value in kept.items()}
        if any(not name or name[0].isdigit() for name in shorter):
            return kept, taken
        shorter = {name: value for name, value in shorter.items() if not _COUNTERS.fullmatch(name)}
        kept, taken = shorter, taken + fitting[0]


def without_skip(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """The state dict without ``network.`` before each key and what stands behind that; None where it does not stand there."""
    if not state or not all(name.startswith(SKIPPED) for name in state):
        return None
    return strip({name.removeprefix(SKIPPED): value for name, value in state.items()})[0]
