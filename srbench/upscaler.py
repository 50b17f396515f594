"""LR image → SR image with any network: colours, range, padding, tiling, self-ensemble, precision.

Networks see float tensors ``(N, C, H, W)``, in [0, 1] unless they say otherwise; everything around them happens here and
nothing is rounded.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.graphs import Replayed
from srbench.images import coloured, imresize, planar, read_image, to_array, ycbcr
from srbench.inference import Inference
from srbench.models import Model
from srbench.models._fused import fuse
from srbench.threads import strips

Channels = Literal["y", "rgb", "any"]
Edges = Literal["mirror", "clamp"]

_KINDS = "a uint8 array (H, W, 3) or (H, W), a PIL image, a float tensor (N, C, h, w) or (C, h, w) in [0, 1], or a path"
_FAR = 1.0  # bicubic LR overshoots [0, 1] a little; values this far outside are of another range


_WANTED: ContextVar[Callable[[], bool] | None] = ContextVar("wanted", default=None)


class GivenUpError(Exception):
    """Work that nobody waits for any more, ended between two passes of the network."""


@contextlib.contextmanager
def while_wanted(wanted: Callable[[], bool]) -> Iterator[None]:
    """Within it, in this thread, GivenUpError ends the work of a network before a tile or a pass of the ensemble.

    Args:
        wanted: whether anybody waits for it still; asked before each.
    """
    token = _WANTED.set(wanted)
    try:
        yield
    finally:
        _WANTED.reset(token)


@dataclass(frozen=True)
class Traits:
    """What a caller needs to know about a network.

    Attributes:
        channels: ``y``, ``rgb``, or ``any`` for interpolators.
        multiple_of: its input's height and width must be multiples of this.
        minimum: and at least this, in pixels of its input.
        square: and equal.
        pre_upsampled: its input is already upscaled, by bicubic, to the output's size.
        receptive_radius: pixels of its input, on each side, that can change one output pixel; None where unknown.
        range: white is this for the network, input and output; 1 or 255.
        bgr: its channels are blue, green, red.
        mean: subtracted from its input and added to its output, one value or one a channel, in units of ``range`` and in the
            order of its channels.

    Raises:
        InputError: a value that none of them can have.
    """

    channels: Channels = "rgb"
    multiple_of: int = 1
    minimum: int = 1
    square: bool = False
    pre_upsampled: bool = False
    receptive_radius: int | None = None
    range: float = 1.0
    bgr: bool = False
    mean: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.channels not in ("y", "rgb", "any"):
            raise InputError(f"channels must be 'y' or 'rgb', not {self.channels!r}")
        for name, least in (("multiple_of", 1), ("minimum", 1), ("receptive_radius", 0)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise InputError(f"{name} must be a whole number of pixels from {least}, not {value!r}")
        if not isinstance(self.range, int | float) or not 0 < self.range < math.inf:
            raise InputError(f"range must be what white is for the network, such as 1 or 255, not {self.range!r}")
        if self.bgr and self.channels != "rgb":
            raise InputError(f"bgr is the order of three channels; channels = {self.channels!r}")
        planes = 3 if self.channels == "rgb" else 1
        if len(self.mean) not in (0, 1, planes):
            raise InputError(f"mean must have 1 value or {planes}, not {len(self.mean)}")
        if self.mean and (
            min(self.mean) < 0 or max(self.mean) > self.range or (self.range > 1 and max(self.mean) <= 1)
        ):
            raise InputError(f"mean = {self.mean} must be in units of range, which is {self.range:g}")

    def with_(self, given: Traits | Mapping[str, object] | None) -> Traits:
        """Other traits, or these with some changed by name; UnknownNameError with the nearest for a wrong name."""
        if given is None or isinstance(given, Traits):
            return given or self
        names = [one.name for one in fields(self)]
        for name in given:
            if name not in names:
                raise UnknownNameError("trait", name, names)
        changes: Any = dict(given)
        if isinstance(mean := changes.get("mean"), int | float):
            changes["mean"] = (float(mean),)
        return replace(self, **changes)

    @classmethod
    def of_model(cls, model: Model, scale: int, network: nn.Module, channels: str = "") -> Traits:
        """Those of an architecture of the registry; ``channels`` where they are not the published ones."""
        kept: Any = "any" if model.interpolator else (channels or model.channels)
        return cls(
            kept,
            multiple_of=model.multiple_at(scale),
            minimum=model.minimum,
            pre_upsampled=model.pre_upsampled,
            receptive_radius=getattr(network, "receptive_radius", model.receptive_radius),
        )


@dataclass(frozen=True, eq=False)
class Upscaler:
    """A network, what must be known to feed it, and how it is applied.

    Called with an image it gives the SR image of the same kind: a uint8 array ``(H, W, 3)`` or ``(H, W)``, a PIL image, or a
    float tensor ``(N, C, h, w)`` or ``(C, h, w)`` in [0, 1] (not rounded, not clipped, on the tensor's device). A path is
    read and gives a uint8 array.

    Attributes:
        network: ``(N, C, h, w)`` → ``(N, C, scale·h, scale·w)``. It is left as it is: what the inference changes, it changes
            on a copy.
        scale: the upscaling factor.
        traits: what the network wants and needs.
        inference: how it is applied.
        name: of the checkpoint or class.
        edges: of the bicubic upscaling of chroma and of pre-upsampled input.
        clip_enlarged: clip the upscaled luma that a pre-upsampled network sees to 16–235, as VDSR's authors did.

    >>> import numpy as np, srbench
    >>> srbench.load("bicubic", scale=2)(np.zeros((4, 5, 3), np.uint8)).shape
    (8, 10, 3)
    """

    network: nn.Module
    scale: int
    traits: Traits = field(default_factory=Traits)
    inference: Inference = field(default_factory=Inference)
    name: str = ""
    edges: Edges = "mirror"
    clip_enlarged: bool = False

    def with_(
        self,
        inference: Inference | None = None,
        *,
        edges: Edges | None = None,
        clip_enlarged: bool | None = None,
    ) -> Upscaler:
        """The same network applied in another way."""
        return replace(
            self,
            inference=inference or self.inference,
            edges=edges or self.edges,
            clip_enlarged=self.clip_enlarged if clip_enlarged is None else clip_enlarged,
        )

    @property
    def channels(self) -> Channels:
        """What the network works on: ``y``, ``rgb`` or ``any``."""
        return self.traits.channels

    @property
    def receptive_radius(self) -> int | None:
        """Pixels of the network's input, on each side, that can change one output pixel; None where unknown."""
        return self.traits.receptive_radius

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.inference.torch_device

    @property
    def parameters(self) -> int:
        """Trainable parameters of the network."""
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)

    @cached_property
    def module(self) -> nn.Module:
        """The network on its device, fused and in its layout; the network itself where that changes nothing."""
        module = _on(self.network, self.device)
        if self.inference.fused:
            module = fuse(module)
        if self.inference.layout == "channels_last":  # weights, too: an image of one channel has the same bytes in both
            module = (copy.deepcopy(module) if module is self.network else module).to(memory_format=torch.channels_last)
        return module

    @cached_property
    def engine(self) -> nn.Module:
        """``module``, compiled and replayed as a graph where that is asked for; UnavailableError where the device cannot."""
        if reason := self.inference.unsupported:
            raise UnavailableError("unavailable", reason)
        compiled: Any = torch.compile(self.module) if self.inference.compile else self.module
        return Replayed(compiled) if self.inference.graph else compiled

    def __call__(self, image: Any) -> Any:
        """Super-resolve one image, or a batch in a tensor; what comes back is of the same kind (see the class).

        Raises:
            InputError: no such image, or of a type, size or range that is not expected.
            UnavailableError: ``oom``; ``failed`` where the network makes NaN or infinity.
        """
        return _any_kind(self, image)


def _any_kind(upscaler: Upscaler, image: Any) -> Any:
    """SR of one image of any kind, as ``Upscaler.__call__`` says; InputError for other kinds."""
    if isinstance(image, Tensor):
        return _tensor(upscaler, image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise InputError(f"expected a uint8 array (H, W, 3) or (H, W), not {image.dtype} {image.shape}")
        return upscale_array(upscaler, image)
    if isinstance(image, str | Path):
        return upscale_array(upscaler, read_image(image))
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise InputError(f"cannot upscale a {type(image).__name__}; expected {_KINDS}")
    if image.mode not in ("RGB", "L"):
        raise InputError(f"expected a PIL image of mode RGB or L, not {image.mode}: convert it first")
    return Image.fromarray(upscale_array(upscaler, np.array(image)))


def _tensor(upscaler: Upscaler, image: Tensor) -> Tensor:
    shape = tuple(image.shape)
    if not image.is_floating_point() or image.ndim not in (3, 4) or image.shape[-3] not in (1, 3) or not image.numel():
        raise InputError(
            f"expected a float tensor (N, C, h, w) or (C, h, w) in [0, 1] with C = 1 or 3, not {image.dtype} {shape}"
        )
    low, high = (float(value) for value in torch.aminmax(image))
    if not (low >= -_FAR and high <= 1 + _FAR):  # NaN fails both
        raise InputError(f"expected a tensor in [0, 1], not from {low:g} to {high:g}")
    made = upscale(upscaler, image if image.ndim == 4 else image[None]).to(image.device)
    return made if image.ndim == 4 else made[0]


def for_model(
    model: Model, network: nn.Module, scale: int, channels: str = "", inference: Inference | None = None, name: str = ""
) -> Upscaler:
    """An Upscaler of a network of the registry, which is put into eval mode."""
    traits = Traits.of_model(model, scale, network, channels)
    return Upscaler(network.eval(), scale, traits, inference or Inference(), name or model.name)


def upscale(upscaler: Upscaler, lr: Tensor) -> Tensor:
    """Super-resolve images.

    Args:
        upscaler: the network and how it is applied.
        lr: float ``(N, C, h, w)`` in [0, 1]; C is 3 (RGB) or 1 (gray, or luma for a network of luma). Never written to.

    Returns:
        ``(N, C, scale·h, scale·w)``, not clipped and not rounded, on the upscaler's device. A luma network leaves chroma
        to bicubic; an RGB network sees a gray image three times, and the mean of its outputs is kept.

    Raises:
        InputError: the network fails, or returns anything but one tensor of that size.
        UnavailableError: ``oom``, or ``failed`` if the output contains NaN or infinity.
    """
    return begin(upscaler, lr)()


def begin(upscaler: Upscaler, lr: Tensor) -> Callable[[], Tensor]:
    """The network's part of :func:`upscale`; calling the result does the rest, in any thread, and gives SR.

    While one image is ended (chroma, conversion of colours), the network can work on the next.

    Args:
        upscaler: the network and how it is applied.
        lr: as :func:`upscale` takes it.

    Raises:
        InputError: the network fails, or returns anything but one tensor of the expected size.
        UnavailableError: ``oom``; ``failed`` when the result is called.
    """
    if upscaler.device.type == "mps" and lr.dtype == torch.float64:
        lr = lr.float()  # Apple's GPUs have no float64
    lr = lr.to(upscaler.device)
    with _saying_oom(lr), torch.no_grad(), _evaluating(upscaler.module):
        colours = _in_its_colours(upscaler, lr)

    def end() -> Tensor:
        with _saying_oom(lr), torch.no_grad():
            made = colours()
        refuse_nan(made)
        return made

    return end


@contextlib.contextmanager
def _saying_oom(lr: Tensor) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise _oom(lr) from None
    except RuntimeError as error:
        if is_oom(error):
            raise _oom(lr) from None
        raise


def _in_its_colours(upscaler: Upscaler, lr: Tensor) -> Callable[[], Tensor]:
    """What gives SR once the network has seen the channels that it works on."""
    if upscaler.channels == "any" or lr.shape[1] == (3 if upscaler.channels == "rgb" else 1):
        made = _through_network(upscaler, lr)
        return lambda: made
    if upscaler.channels == "rgb":
        three = _through_network(upscaler, lr.expand(-1, 3, -1, -1))
        return lambda: three.mean(1, keepdim=True)
    planes = ycbcr(lr)
    luma = _through_network(upscaler, planes[:, :1])
    return lambda: coloured(luma, imresize(planes[:, 1:], upscaler.scale, edges=upscaler.edges))


def network_pass(upscaler: Upscaler, x: Tensor, module: nn.Module | None = None) -> Tensor:
    """One pass over the network's own input, which is not copied: no tiles, no ensemble.

    Args:
        upscaler: the network and how it is applied.
        x: ``(N, C, h, w)``, already upscaled if the network wants that.
        module: to be used instead of ``upscaler.module``, such as a compiled one.

    Raises:
        InputError: the network writes into its input, so that a second pass would see another image.
    """
    before = None if x.is_inference() else x._version
    with torch.no_grad(), _arithmetic(upscaler):
        y = _padded(upscaler, x, upscaler.module if module is None else module)
    if before is not None and x._version != before:
        who = type(upscaler.network).__name__
        raise InputError(f"{who} writes into its input, and each pass would see another image: let it work on a copy")
    return y


def upscale_array(upscaler: Upscaler, lr: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """uint8 ``(h, w, 3)`` or ``(h, w)`` → uint8 SR of the same kind, rounded half up; gray goes through as equal RGB."""
    return begin_array(upscaler, lr)()


def begin_array(upscaler: Upscaler, lr: npt.NDArray[Any]) -> Callable[[], npt.NDArray[Any]]:
    """The network's part of :func:`upscale_array`; see :func:`begin`."""
    x = planar(lr).to(torch.float32).div_(255.0)
    gray = x.shape[1] == 1
    end = begin(upscaler, x.expand(-1, 3, -1, -1) if gray else x)
    return lambda: to_array(end().mean(1, keepdim=True) if gray else end())


def refuse_nan(sr: Tensor) -> None:
    """Raise UnavailableError (``failed``) where a network made NaN or infinity: rounding would hide it."""
    # NaN and infinity survive a sum, which costs a tenth of looking at each.
    if not math.isfinite(sum((float(part.sum(dtype=_wide(part))) for (part,) in strips(sr.reshape(-1))), 0.0)):
        raise not_finite(1.0 - float(torch.isfinite(sr).float().mean()))


def not_finite(share: float) -> UnavailableError:
    """What is raised where that share of the samples is NaN or infinity."""
    return UnavailableError("failed", f"the network made NaN or infinity in {share:.1%} of the samples")


def _wide(part: Tensor) -> torch.dtype:
    """A type in which a sum of half-precision numbers does not overflow."""
    return torch.promote_types(part.dtype, torch.float32)


def is_oom(error: BaseException) -> bool:
    """Whether memory ran out, on any device."""
    words = ("not enough memory", "can't allocate memory", "out of memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in str(error) for word in words)


def _oom(lr: Tensor) -> UnavailableError:
    size = f"{lr.shape[-1]}×{lr.shape[-2]}"
    return UnavailableError("oom", f"out of memory on an LR image of {size}; try --tile 128")


def _on(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on a device: itself where it is there already, else a copy."""
    index = device.index
    if device.type == "cuda" and index is None:
        index = torch.cuda.current_device()
    places = {tensor.device for tensor in (*network.parameters(), *network.buffers())}
    if places <= {device, torch.device(device.type, index)}:
        return network
    return copy.deepcopy(network).to(device)


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode, and afterwards each part's own again."""
    training = [part for part in module.modules() if part.training]
    if training:
        module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _through_network(upscaler: Upscaler, x: Tensor) -> Tensor:
    """The network on ``(N, C, h, w)``: bicubic first where it wants that, tiles, self-ensemble, precision."""
    run = _ensemble(upscaler) if upscaler.inference.ensemble else _tiled(upscaler)
    if upscaler.channels == "any":
        return run(x)
    dtype = x.dtype
    x = x.to(torch.float32)
    if upscaler.traits.pre_upsampled:
        x = imresize(x, upscaler.scale, edges=upscaler.edges)
        if upscaler.clip_enlarged and x.shape[1] == 1:
            x = x.clamp_(16 / 255, 235 / 255)
    with _arithmetic(upscaler):
        y = run(x)
    return y.to(torch.float64 if dtype == torch.float64 else torch.float32)


@contextlib.contextmanager
def _arithmetic(upscaler: Upscaler) -> Iterator[None]:
    """Half precision under autocast; on a GPU, float32 is no TF32 unless that is asked for."""
    precision = upscaler.inference.precision
    switches: tuple[Any, Any] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [switch.allow_tf32 for switch in switches]
    for switch in switches:
        switch.allow_tf32 = precision == "tf32"
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    try:
        with torch.autocast(upscaler.device.type, dtype=half, enabled=half is not None):
            yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def _factor(upscaler: Upscaler) -> int:
    """Output pixels per network-input pixel."""
    return 1 if upscaler.traits.pre_upsampled else upscaler.scale


def _on_copy(upscaler: Upscaler, x: Tensor) -> Tensor:
    """One pass over a copy of ``x``: what a network writes into its input, no other pass and no caller sees."""
    wanted = _WANTED.get()
    if wanted is not None and not wanted():
        raise GivenUpError
    return _padded(upscaler, _copied(x), upscaler.engine)


def _copied(x: Tensor) -> Tensor:
    """A copy that lies in memory as ``x`` does: kernels, and with them the last bits, are chosen by that."""
    if any(stride == 0 and size > 1 for stride, size in zip(x.stride(), x.shape, strict=True)):
        return x.clone()  # a gray image shown as RGB: its channels are one
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device).copy_(x)


def _padded(upscaler: Upscaler, x: Tensor, module: nn.Module) -> Tensor:
    """One pass; the image is extended by its mirror image to the size that the network needs."""
    height, width = x.shape[-2:]
    down, right = _missing(upscaler.traits, height, width)
    if down or right:
        mirrored = (
            min(right, width - 1),
            min(down, height - 1),
        )  # there is no more to mirror; the rest repeats the edge
        x = F.pad(x, (0, mirrored[0], 0, mirrored[1]), mode="reflect")
        x = F.pad(x, (0, right - mirrored[0], 0, down - mirrored[1]), mode="replicate")
    if upscaler.inference.layout == "channels_last":
        x = x.contiguous(memory_format=torch.channels_last)
    try:
        y = _outside_units(upscaler.traits, module(_inside_units(upscaler.traits, x)), type(upscaler.network).__name__)
    except (InputError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        if is_oom(error):
            raise
        who, first = type(upscaler.network).__name__, str(error).strip().split("\n")[0]
        raise InputError(f"{who} fails on an input of {tuple(x.shape)}: {type(error).__name__}: {first}") from error
    factor = _factor(upscaler)
    wanted = (*x.shape[:2], x.shape[-2] * factor, x.shape[-1] * factor)
    if tuple(y.shape) != wanted:
        raise InputError(
            f"the network made {tuple(y.shape)} of {tuple(x.shape)}; at x{upscaler.scale} it should make {wanted}"
        )
    return y[..., : height * factor, : width * factor]


def _missing(traits: Traits, height: int, width: int) -> tuple[int, int]:
    """Rows below and columns at the right that the network's sizes need."""
    sides = [max(side, traits.minimum) for side in (height, width)]
    if traits.square:
        sides = [max(sides)] * 2
    tall, wide = (side + -side % traits.multiple_of for side in sides)
    return tall - height, wide - width


def _inside_units(traits: Traits, x: Tensor) -> Tensor:
    """[0, 1] RGB → what the network takes."""
    x = x.flip(1) if traits.bgr else x
    x = x * traits.range if traits.range != 1 else x
    return x - _mean(traits, x) if traits.mean else x


def _outside_units(traits: Traits, made: object, who: str) -> Tensor:
    """What the network made → one tensor in [0, 1] RGB; InputError where it is something else."""
    y = _only(made, who)
    if traits.mean:
        y = y + _mean(traits, y)
    y = y / traits.range if traits.range != 1 else y
    return y.flip(1) if traits.bgr else y


def _mean(traits: Traits, like: Tensor) -> Tensor:
    return torch.tensor(traits.mean, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)


def _only(made: object, who: str) -> Tensor:
    """The tensor, or the only one of a list, a tuple or a mapping."""
    held = made
    while isinstance(held, Mapping | list | tuple):
        parts = list(held.values()) if isinstance(held, Mapping) else list(held)
        if len(parts) != 1:
            raise InputError(f"{who} made a {type(held).__name__} of {len(parts)}; expected one tensor")
        held = parts[0]
    if not isinstance(held, Tensor):
        raise InputError(f"{who} made a {type(held).__name__}; expected one tensor")
    return held


def tile_overlap(upscaler: Upscaler) -> tuple[int, bool]:
    """Overlap of tiles in network-input pixels, and whether it covers the receptive field (tiles equal the whole then)."""
    unit = upscaler.scale if upscaler.traits.pre_upsampled else 1
    radius = upscaler.receptive_radius
    if upscaler.inference.overlap is None:
        return (radius if radius is not None else 32 * unit), radius is not None
    wanted = upscaler.inference.overlap * unit
    return wanted, radius is not None and wanted >= radius


def _tiled(upscaler: Upscaler) -> Callable[[Tensor], Tensor]:
    tile, multiple = upscaler.inference.tile, upscaler.traits.multiple_of
    if not tile or upscaler.channels == "any":
        return lambda x: _on_copy(upscaler, x)

    def run(x: Tensor) -> Tensor:
        unit = upscaler.scale if upscaler.traits.pre_upsampled else 1
        step = math.ceil(tile * unit / multiple) * multiple
        overlap = math.ceil(tile_overlap(upscaler)[0] / multiple) * multiple
        factor = _factor(upscaler)
        height, width = x.shape[-2:]
        out: Tensor | None = None
        for top, left in _corners(height, width, step):
            bottom, right = min(top + step, height), min(left + step, width)
            above, before = max(0, top - overlap), max(0, left - overlap)
            part = _on_copy(upscaler, x[..., above : bottom + overlap, before : right + overlap])
            if out is None:
                out = part.new_empty((*x.shape[:2], height * factor, width * factor))
            rows = slice((top - above) * factor, (bottom - above) * factor)
            columns = slice((left - before) * factor, (right - before) * factor)
            out[..., top * factor : bottom * factor, left * factor : right * factor] = part[..., rows, columns]
        assert out is not None
        return out

    return run


def _corners(height: int, width: int, step: int) -> Iterator[tuple[int, int]]:
    for top in range(0, height, step):
        for left in range(0, width, step):
            yield top, left


def _ensemble(upscaler: Upscaler) -> Callable[[Tensor], Tensor]:
    """EDSR's geometric self-ensemble (CVPRW 2017, arXiv:1707.02921): the mean over four rotations, each plain and flipped."""
    once = _tiled(upscaler)

    def run(x: Tensor) -> Tensor:
        total: Tensor | None = None
        for flip in (False, True):
            for quarters in range(4):
                seen = torch.rot90(x.flip(-1) if flip else x, quarters, (-2, -1))
                made = torch.rot90(once(seen.contiguous()), -quarters, (-2, -1))
                made = (made.flip(-1) if flip else made).to(torch.float32)
                total = made if total is None else total + made
        assert total is not None
        return total / 8

    return run


def tile_difference(upscaler: Upscaler, lr: Tensor) -> float:
    """Greatest difference on the 0–255 scale between tiles and the whole image, where both fit in memory."""
    whole = upscale(upscaler.with_(replace(upscaler.inference, tile=0, overlap=None)), lr)
    return float((upscale(upscaler, lr) - whole).abs().max()) * 255.0
