"""torchvision's ImageNet convolutions, whose features LPIPS and the perceptual loss compare; never with random weights.

They are looked for in this order, and a file is used only if its sha256 is the known one:

1. the folder ``SRBENCH_WEIGHTS``: ``<name>_features.safetensors`` or torchvision's own file;
2. torchvision's cache (``torch.hub.get_dir()/checkpoints``);
3. torchvision's download, into that cache; it gives up soon if the network does not answer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from srbench.download import download, progress_bar
from srbench.errors import SrbenchError, UnavailableError, UnknownNameError
from srbench.files import replacing
from srbench.metrics._files import known_sha256

_TIMEOUT = 5.0  # seconds without an answer


@dataclass(frozen=True)
class _Source:
    """Where one backbone's weights come from.

    Attributes:
        builder: the function of ``torchvision.models``.
        file: torchvision's file name, which ends in the first digits of its sha256.
        megabytes: size of that file.
        safetensors: sha256 of the ``<name>_features.safetensors`` with the convolutions alone, or ``""`` if unknown.
    """

    builder: str
    file: str
    megabytes: int
    safetensors: str = ""

    @property
    def url(self) -> str:
        return f"https://download.pytorch.org/models/{self.file}"

    @property
    def prefix(self) -> str:
        return self.file.rpartition("-")[2].removesuffix(".pth")


_SOURCES = {
    "alexnet": _Source(
        "alexnet", "alexnet-owt-7be5be79.pth", 233, "9a78aa318882d32fe057baefb0a8f08347e21ffa08fb086a31c1d8441d623d61"
    ),
    "vgg16": _Source(
        "vgg16", "vgg16-397923af.pth", 528, "515071ad80af5b9a31261ab171a0e1396d359864a5df704a25578b3ce4873c1b"
    ),
    "vgg19": _Source("vgg19", "vgg19-dcbb9e9d.pth", 548),
}


def load_backbone(name: str) -> tuple[nn.Sequential, str]:
    """The frozen convolutional part of a torchvision classifier, in eval mode on the CPU, and the file it came from.

    Args:
        name: ``"alexnet"``, ``"vgg16"`` or ``"vgg19"``. Layers are numbered as in torchvision's ``features``; the input is
            RGB in [0, 1] less ImageNet's mean and divided by its standard deviation (LPIPS has its own).

    Raises:
        UnavailableError: status ``unavailable``, naming each place that was tried and why it did not serve.
    """
    if name not in _SOURCES:
        raise UnknownNameError("backbone", name, _SOURCES)
    from torchvision import models

    path = _find(name)
    # Built without storage: no random weight is ever drawn, and the random state of a training run is not moved.
    with torch.device("meta"):
        features: nn.Sequential = getattr(models, _SOURCES[name].builder)(weights=None).features
    state = {k.removeprefix("features."): v for k, v in _read(path).items() if k.startswith("features.")}
    try:
        features.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UnavailableError("unavailable", f"{path.name} does not fit {name}: {reason}") from None
    return features.requires_grad_(False).eval(), str(path)


def check_backbone(name: str) -> None:
    """Raise UnavailableError where no file with the right sha256 is on this machine; nothing is downloaded."""
    found, tried = _at_hand(name)
    if found is None:
        wanted = f"{_SOURCES[name].megabytes} MB from {_SOURCES[name].url}"
        raise UnavailableError("unavailable", f"the weights of {name} are not here yet ({'; '.join(tried)}): {wanted}")


def _at_hand(name: str) -> tuple[Path | None, list[str]]:
    """A file with the right sha256 on this machine, or None, and why each place did not serve."""
    source = _SOURCES[name]
    cached = _cached(source)
    # A reason is kept in results that are shared: it names files and the variable, no folder of this machine.
    own_place, cache_place = "the folder SRBENCH_WEIGHTS", "torchvision's cache"
    candidates = [(cached, source.prefix, cache_place)]
    tried = []
    if folder := os.environ.get("SRBENCH_WEIGHTS"):
        own = Path(folder).expanduser()
        candidates.insert(0, (own / source.file, source.prefix, own_place))
        if source.safetensors:
            candidates.insert(0, (own / f"{name}_features.safetensors", source.safetensors, own_place))
    else:
        tried.append("SRBENCH_WEIGHTS is not set")
    for path, expected, place in candidates:
        if not path.is_file():
            tried.append(f"no {path.name} in {place}")
        elif (found := known_sha256(path)).startswith(expected):
            return path, tried
        else:
            tried.append(f"{path.name} in {place} has sha256 {found[:16]}…, expected {expected[:16]}…")
    return None, tried


def _cached(source: _Source) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / source.file


def _find(name: str) -> Path:
    """A file with the right sha256, downloaded where none is on this machine."""
    found, tried = _at_hand(name)
    if found is not None:
        return found
    source = _SOURCES[name]
    cached = _cached(source)
    failure = _download(source.url, cached, source.prefix)
    if not failure:
        return cached
    wanted = f"{name}_features.safetensors or {source.file}" if source.safetensors else source.file
    raise UnavailableError(
        "unavailable",
        f"the weights of {name} are not to be had ({'; '.join([*tried, failure])}). "
        f"Set SRBENCH_WEIGHTS to a folder with {wanted}, or let torchvision's file be downloaded from {source.url}",
    )


@cache
def _download(url: str, target: Path, prefix: str) -> str:
    """Fetch a file to a temporary name, verify it, move it into place; the reason where that failed (asked once a process)."""
    try:
        with replacing(target) as staging, progress_bar(target.name, 0, shown=True) as advance:
            download(url, staging, 0, prefix, advance, _TIMEOUT)
    except SrbenchError as error:
        return f"the download failed: {error}"
    except OSError as error:
        return f"the download from {url} failed: {type(error).__name__}"
    return ""


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state
