"""LR image → SR image with any network: colours, padding, tiling, self-ensemble, precision.

Networks see float tensors ``(N, C, H, W)`` in [0, 1]; everything around them happens here and nothing is rounded.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srbench.errors import InputError, UnavailableError
from srbench.images import imresize, rgb, to_array, ycbcr
from srbench.models import Model, get_model
from srbench.zoo import Card, load_checkpoint

Precision = Literal["fp32", "tf32", "bf16", "fp16"]


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU; InputError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"unknown device {name!r}; known: auto, cpu, cuda, cuda:N") from None
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.type not in ("cpu", "cuda") or (device.index or 0) >= count:
        found = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise InputError(f"no device {name!r} on this machine; it has {found}")
    return device


@dataclass(frozen=True)
class Upscaler:
    """A network and what must be known to feed it.

    Attributes:
        module: in eval mode, on ``device``.
        scale: its enlargement.
        channels: ``y``, ``rgb``, or ``any`` for interpolators.
        multiple_of, pre_upsampled, receptive_radius: as ``srbench.models.Model``; a radius of None is unknown.
        tile: edge of a tile in LR pixels, 0 for the whole image at once.
        tile_overlap: LR pixels that a tile sees around itself; None takes the receptive radius.
        ensemble: the mean over the eight flips and turns.
        precision: ``bf16`` and ``fp16`` run under autocast; ``tf32`` lets a GPU round float32 products' inputs.
        channels_last: memory layout of the network's input.
        edges: of the bicubic upscaling of chroma and of pre-upsampled input.
    """

    module: nn.Module
    scale: int
    channels: Literal["y", "rgb", "any"]
    multiple_of: int = 1
    pre_upsampled: bool = False
    receptive_radius: int | None = None
    tile: int = 0
    tile_overlap: int | None = None
    ensemble: bool = False
    precision: Precision = "fp32"
    channels_last: bool = False
    edges: Literal["mirror", "clamp"] = "mirror"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def with_(self, **changes: Any) -> Upscaler:
        """A copy with other settings."""
        return replace(self, **changes)


def for_model(model: Model, module: nn.Module, scale: int, channels: str = "", **settings: Any) -> Upscaler:
    """An Upscaler of a registered architecture."""
    device = settings.pop("device", torch.device("cpu"))
    kept: Any = "any" if model.interpolator else (channels or model.channels)
    return Upscaler(
        module.eval().to(device),
        scale,
        kept,
        multiple_of=model.multiple_at(scale),
        pre_upsampled=model.pre_upsampled,
        receptive_radius=getattr(module, "receptive_radius", model.receptive_radius),
        device=device,
        **settings,
    )


def for_card(card: Card, scale: int | None = None, **settings: Any) -> Upscaler:
    """An Upscaler of a checkpoint of the zoo at one of its scales (its only one by default)."""
    chosen = scale if scale is not None else card.scales[0]
    if chosen not in card.scales:
        trained = ", ".join(f"x{s}" for s in card.scales)
        raise UnavailableError("unsupported_scale", f"{card.name} was trained for {trained}, not x{chosen}")
    module = load_checkpoint(card.name, scale=chosen)
    return for_model(get_model(card.model), module, chosen, card.channels, **settings)


def upscale(upscaler: Upscaler, lr: Tensor) -> Tensor:
    """Super-resolve images.

    Args:
        lr: float ``(N, C, h, w)`` in [0, 1]; C is 3 (RGB) or 1 (gray, or luma for a network of luma).

    Returns:
        ``(N, C, scale·h, scale·w)``, not clipped and not rounded, on the upscaler's device. A network of luma leaves chroma
        to bicubic; a network of RGB sees gray three times and its mean is kept.

    Raises:
        UnavailableError: ``oom``.
    """
    lr = lr.to(upscaler.device)
    try:
        with torch.no_grad():
            if upscaler.channels == "any" or (upscaler.channels == "rgb" and lr.shape[1] == 3):
                return _network(upscaler, lr)
            if upscaler.channels == "rgb":
                return _network(upscaler, lr.expand(-1, 3, -1, -1)).mean(1, keepdim=True)
            if lr.shape[1] == 1:
                return _network(upscaler, lr)
            planes = ycbcr(lr)
            chroma = imresize(planes[:, 1:], upscaler.scale, edges=upscaler.edges)
            return rgb(torch.cat([_network(upscaler, planes[:, :1]), chroma], dim=1))
    except torch.OutOfMemoryError:
        raise _oom(lr) from None
    except RuntimeError as error:
        if _is_oom(error):
            raise _oom(lr) from None
        raise


def network_pass(upscaler: Upscaler, x: Tensor) -> Tensor:
    """One pass over the network's own input ``(N, C, h, w)``, enlarged already where it wants that; no tiles, no ensemble."""
    with torch.no_grad(), _arithmetic(upscaler):
        return _padded(upscaler, x)


def upscale_array(upscaler: Upscaler, lr: Any) -> Any:
    """uint8 ``(h, w, 3)`` or ``(h, w)`` → uint8 SR of the same kind, rounded half up; gray goes through as equal RGB."""
    planar = torch.from_numpy(np.ascontiguousarray(lr if lr.ndim == 3 else lr[..., None])).permute(2, 0, 1)[None]
    planar = planar.to(torch.float32).div_(255.0)
    if planar.shape[1] == 1:
        planar = upscale(upscaler, planar.expand(-1, 3, -1, -1)).mean(1, keepdim=True)
    else:
        planar = upscale(upscaler, planar)
    check_finite(planar)
    return to_array(planar)


def check_finite(sr: Tensor) -> None:
    """Raise UnavailableError (``failed``) where a network made NaN or infinity: rounding would hide it."""
    # NaN and infinity survive a sum, which costs a tenth of looking at each; in parts, as threads would wait for each other.
    parts = torch.split(sr.reshape(-1), 2**14 if sr.is_cpu else sr.numel())
    if not math.isfinite(sum((float(part.sum()) for part in parts), 0.0)):
        share = 1.0 - float(torch.isfinite(sr).float().mean())
        raise UnavailableError("failed", f"the network made NaN or infinity in {share:.1%} of the samples")


def _is_oom(error: Exception) -> bool:
    return "not enough memory" in str(error) or "can't allocate memory" in str(error)


def _oom(lr: Tensor) -> UnavailableError:
    size = f"{lr.shape[-1]}×{lr.shape[-2]}"
    return UnavailableError("oom", f"out of memory on an LR image of {size}; try --tile 128")


def _network(upscaler: Upscaler, x: Tensor) -> Tensor:
    """The network on ``(N, C, h, w)``: enlargement where it wants one, tiles, self-ensemble, precision."""
    run = _ensemble(upscaler) if upscaler.ensemble else _tiled(upscaler)
    if upscaler.channels == "any":
        return run(x)
    dtype = x.dtype
    x = x.to(torch.float32)
    if upscaler.pre_upsampled:
        x = imresize(x, upscaler.scale, edges=upscaler.edges)
    with _arithmetic(upscaler):
        y = run(x)
    return y.to(torch.float64 if dtype == torch.float64 else torch.float32)


@contextlib.contextmanager
def _arithmetic(upscaler: Upscaler) -> Iterator[None]:
    """Half precision under autocast; on a GPU, float32 is no TF32 unless that is asked for."""
    switches: tuple[Any, Any] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [switch.allow_tf32 for switch in switches]
    for switch in switches:
        switch.allow_tf32 = upscaler.precision == "tf32"
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(upscaler.precision)
    try:
        with torch.autocast(upscaler.device.type, dtype=half, enabled=half is not None):
            yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def _factor(upscaler: Upscaler) -> int:
    """Output pixels per network-input pixel."""
    return 1 if upscaler.pre_upsampled else upscaler.scale


def _padded(upscaler: Upscaler, x: Tensor) -> Tensor:
    """One pass of the network; the image is extended by its mirror image to the multiple that the network needs."""
    height, width, multiple = x.shape[-2], x.shape[-1], upscaler.multiple_of
    down, right = -height % multiple, -width % multiple
    if down or right:
        mode = "reflect" if height > down and width > right else "replicate"
        x = F.pad(x, (0, right, 0, down), mode=mode)
    if upscaler.channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    try:
        y: Tensor = upscaler.module(x)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        if _is_oom(error):
            raise
        who, first = type(upscaler.module).__name__, str(error).strip().split("\n")[0]
        raise InputError(f"{who} fails on an input of {tuple(x.shape)}: {type(error).__name__}: {first}") from error
    factor = _factor(upscaler)
    if y.shape[-2:] != (x.shape[-2] * factor, x.shape[-1] * factor) or y.shape[1] != x.shape[1]:
        raise InputError(
            f"the network made {tuple(y.shape)} of {tuple(x.shape)}; at x{upscaler.scale} it should make "
            f"{(*x.shape[:2], x.shape[-2] * factor, x.shape[-1] * factor)}"
        )
    return y[..., : height * factor, : width * factor]


def tile_overlap(upscaler: Upscaler) -> tuple[int, bool]:
    """Overlap of tiles in network-input pixels, and whether it covers the receptive field (tiles equal the whole then)."""
    unit = upscaler.scale if upscaler.pre_upsampled else 1
    radius = upscaler.receptive_radius
    if upscaler.tile_overlap is None:
        return (radius if radius is not None else 32 * unit), radius is not None
    wanted = upscaler.tile_overlap * unit
    return wanted, radius is not None and wanted >= radius


def _tiled(upscaler: Upscaler) -> Callable[[Tensor], Tensor]:
    if not upscaler.tile or upscaler.channels == "any":
        return lambda x: _padded(upscaler, x)

    def run(x: Tensor) -> Tensor:
        unit = upscaler.scale if upscaler.pre_upsampled else 1
        step = math.ceil(upscaler.tile * unit / upscaler.multiple_of) * upscaler.multiple_of
        overlap = math.ceil(tile_overlap(upscaler)[0] / upscaler.multiple_of) * upscaler.multiple_of
        factor = _factor(upscaler)
        height, width = x.shape[-2:]
        out: Tensor | None = None
        for top, left in _corners(height, width, step):
            bottom, right = min(top + step, height), min(left + step, width)
            above, before = max(0, top - overlap), max(0, left - overlap)
            part = _padded(upscaler, x[..., above : bottom + overlap, before : right + overlap])
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
    """EDSR's geometric self-ensemble (CVPRW 2017, arXiv:1707.02921): the mean over four turns, each plain and flipped."""
    once = _tiled(upscaler)

    def run(x: Tensor) -> Tensor:
        total: Tensor | None = None
        for flip in (False, True):
            for turns in range(4):
                seen = torch.rot90(x.flip(-1) if flip else x, turns, (-2, -1))
                made = torch.rot90(once(seen.contiguous()), -turns, (-2, -1))
                made = (made.flip(-1) if flip else made).to(torch.float32)
                total = made if total is None else total + made
        assert total is not None
        return total / 8

    return run


def tile_difference(upscaler: Upscaler, lr: Tensor) -> float:
    """Greatest difference on the 0–255 scale between tiles and the whole image, where both fit in memory."""
    whole = upscale(upscaler.with_(tile=0), lr)
    return float((upscale(upscaler, lr) - whole).abs().max()) * 255.0
