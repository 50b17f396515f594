"""spandrel (extra ``spandrel``): some forty further architectures, found by their keys.

Files are read by our own reader; spandrel sees tensors alone. Its descriptor is called, not the network in it: the descriptor
pads to what the architecture needs and keeps the range. It says of itself that its detection may be wrong, so that every
network is tried on an image before it is believed.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import torch
from torch import Tensor, nn

from srbench.errors import InputError, MissingExtraError
from srbench.weights import WeightsFile
from srbench.weights.probe import sample
from srbench.weights.recognise import Recognised, Wanted

_SIDE = 64


class Described(nn.Module):
    """A network behind spandrel's descriptor: ``(N, C, h, w)`` in [0, 1] → ``(N, C, scale·h, scale·w)``, clipped to [0, 1].

    Images go through one by one, as spandrel asks, and as copies: some networks write into their input.
    """

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network: nn.Module = descriptor.model
        self.descriptor = descriptor

    def forward(self, x: Tensor) -> Tensor:
        made = [self.descriptor(image[None].clone()) for image in x]
        return torch.cat(made).clone()  # spandrel computes in inference mode, whose tensors cannot be changed outside


def open_spandrel(file: WeightsFile, wanted: Wanted) -> Recognised | None:
    """The network that spandrel finds, or None where it finds none.

    Args:
        file: an open file of weights.
        wanted: what the user said.

    Raises:
        UnavailableError: spandrel is not installed.
        InputError: a network that is not for super-resolution of images, or one that does not do what spandrel says of it.
    """
    descriptor = _descriptor(file)
    if descriptor is None:
        return None
    name = f"{descriptor.architecture.name} (spandrel)"
    channels = _channels(file, descriptor, name)
    scale = int(descriptor.scale)
    if wanted.scale is not None and wanted.scale != scale:
        raise InputError(f"{file.path} is {name} for x{scale}, not for x{wanted.scale}")
    if wanted.channels is not None and wanted.channels != channels:
        raise InputError(f"{file.path} is {name} for {channels!r}, not for {wanted.channels!r}")
    _confirm(file, descriptor, name, scale)
    needs = descriptor.size_requirements
    tiles = descriptor.tiling.name == "SUPPORTED"
    notes = [*file.notes, f"{name}: {', '.join([descriptor.purpose, *descriptor.tags])}"]
    if not tiles:
        notes.append(
            f"tiles are {descriptor.tiling.name.lower()} for {descriptor.architecture.name}: it sees the whole image"
        )
    return Recognised(
        file=file,
        model="",
        display=name,
        origin="spandrel",
        layout="",
        scales=(scale,),
        channels=channels,
        options={},
        build=lambda _: Described(descriptor).eval(),
        range=wanted.range or 1.0,
        multiple_of=needs.multiple_of,
        minimum=max(1, needs.minimum),
        square=needs.square,
        tiling=tiles,
        half=bool(descriptor.supports_half),
        notes=tuple(notes),
    )


def _descriptor(file: WeightsFile) -> Any:
    """What spandrel makes of the keys; None where it knows none like them."""
    try:
        import spandrel
    except ImportError:
        raise MissingExtraError(
            f"{file.path} is no network of srbench's own; spandrel, which knows some forty others, is not installed",
            "spandrel",
        ) from None
    for lead in _leads(file.prefix):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch, about how some architecture is written
                state = {f"{lead}{key}": value for key, value in file.state.items()}
                return spandrel.ModelLoader(device="cpu").load_from_state_dict(state).eval()
        except Exception:  # no such keys, or those of another network, which it failed to build  # noqa: S112
            continue
    return None


def _leads(prefix: str) -> list[str]:
    """What may belong before each key: nothing, or parts of the prefix that was taken off; LaMa's own keys begin so."""
    parts = prefix.split(".")[:-1]
    return ["".join(f"{part}." for part in parts[at:]) for at in range(len(parts), -1, -1)]


def _channels(file: WeightsFile, descriptor: Any, name: str) -> Literal["y", "rgb"]:
    if descriptor.purpose == "Inpainting":
        raise InputError(f"{file.path} is {name}, which fills holes in images; srbench upscales")
    planes = (descriptor.input_channels, descriptor.output_channels)
    if planes not in ((1, 1), (3, 3)):
        raise InputError(f"{file.path} is {name} with {planes[0]} channels in and {planes[1]} out; srbench has 1 or 3")
    return "y" if planes == (1, 1) else "rgb"


def _confirm(file: WeightsFile, descriptor: Any, name: str, scale: int) -> None:
    """Try it: a network that spandrel mistook fails, or makes an image of another size than it says."""
    needs = descriptor.size_requirements
    side = -(-max(needs.minimum, _SIDE) // needs.multiple_of) * needs.multiple_of
    x = sample(side)[:, : descriptor.input_channels]
    try:
        with torch.no_grad():
            y = descriptor(x.clone())
    except Exception as error:
        raise InputError(
            f"{file.path}: spandrel takes it for {descriptor.architecture.name}, which fails on an image: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        ) from None
    expected = (1, descriptor.output_channels, side * scale, side * scale)
    if tuple(y.shape) != expected:
        raise InputError(
            f"{file.path}: {name} makes {tuple(y.shape)} of {tuple(x.shape)}; at x{scale} it should be {expected}"
        )
