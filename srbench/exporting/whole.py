"""What stands around a network, as part of the exported file: units, sizes, colours, enlarging, 8-bit values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.exporting.form import Bicubic
from srbench.images import rgb, ycbcr
from srbench.upscaler import Edges, Traits

_BLACK, _WHITE = 16 / 255, 235 / 255


class Units(nn.Module):
    """A network that wants another range, order of channels or mean, for images in [0, 1] RGB."""

    mean: Tensor

    def __init__(self, network: nn.Module, traits: Traits) -> None:
        super().__init__()
        self.network, self.range, self.bgr = network, traits.range, traits.bgr
        self.register_buffer("mean", torch.tensor(traits.mean or (0.0,)).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flip(1) if self.bgr else x
        y = (self.network(x * self.range - self.mean) + self.mean) / self.range
        return y.flip(1) if self.bgr else y


def in_units(network: nn.Module, traits: Traits) -> nn.Module:
    """The network for images in [0, 1] RGB; itself where it takes them already."""
    plain = traits.range == 1 and not traits.bgr and not traits.mean
    return network if plain else Units(network, traits)


class Fitted(nn.Module):
    """A network whose sides must be multiples of a number, or not too small, on any image: mirrored beyond its edges.

    Args:
        network: ``(N, C, h, w)`` → ``factor`` times the size.
        factor: output pixels for each of its input's.
        traits: what its input must be.
        least: pixels that each side must have besides.
    """

    def __init__(self, network: nn.Module, factor: int, traits: Traits, least: int) -> None:
        super().__init__()
        self.network, self.factor = network, factor
        self.multiple, self.minimum = traits.multiple_of, max(traits.minimum, least)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        y = self.network(self._extended(self._extended(x, 2), 3))
        return y[..., : height * self.factor, : width * self.factor]

    def _extended(self, x: Tensor, axis: int) -> Tensor:
        length = x.shape[axis]
        wanted = torch.sym_max(length, self.minimum)
        index = torch.arange(wanted + (-wanted) % self.multiple, device=x.device)
        index = torch.where(index < length, index, (2 * length - 2 - index).clamp(min=0))
        return x.index_select(axis, index)


class Enlarged(nn.Module):
    """A network of already upscaled images, for LR images."""

    def __init__(self, network: nn.Module, scale: int, planes: int, edges: Edges, clip: bool = False) -> None:
        super().__init__()
        self.network, self.bicubic = network, Bicubic(scale, planes, edges == "clamp")
        self.clip = clip and planes == 1

    def forward(self, x: Tensor) -> Tensor:
        x = self.bicubic(x)
        made: Tensor = self.network(x.clamp(_BLACK, _WHITE) if self.clip else x)
        return made


class Colours(nn.Module):
    """An affine change of colours as a 1×1 convolution, found by giving it black and the three unit colours."""

    kernel: Tensor
    bias: Tensor

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        black = change(torch.zeros(1, 3, 1, 1, dtype=torch.float64))
        units = change(torch.eye(3, dtype=torch.float64)[..., None, None]) - black
        self.register_buffer("kernel", units[..., 0, 0].T[..., None, None].float().contiguous())
        self.register_buffer("bias", black.flatten().float())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, self.bias)


class Luma(nn.Module):
    """A network of luma for RGB images; chroma is upscaled by bicubic."""

    def __init__(self, network: nn.Module, scale: int, edges: Edges) -> None:
        super().__init__()
        self.network, self.bicubic = network, Bicubic(scale, 2, edges == "clamp")
        self.forth, self.back = Colours(ycbcr), Colours(rgb)

    def forward(self, x: Tensor) -> Tensor:
        planes = self.forth(x)
        made: Tensor = self.back(torch.cat((self.network(planes[:, :1]), self.bicubic(planes[:, 1:])), dim=1))
        return made


class Bytes(nn.Module):
    """An upscaler in [0, 1] for 8-bit images, clipped and rounded half up."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        y = self.network(x.float() / 255.0) * 255.0
        return torch.floor(y.clamp(0.0, 255.0) + 0.5).to(torch.uint8)


class Last(nn.Module):
    """Channels last at both ends, as LiteRT's images are."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.network(x.permute(0, 3, 1, 2))
        return made.permute(0, 2, 3, 1)


def whole(network: nn.Module, scale: int, traits: Traits, edges: Edges, *, clip: bool, least: int) -> nn.Module:
    """The whole upscaler as one module, RGB in [0, 1] to RGB, not clipped.

    Args:
        network: the export form, for images in [0, 1].
        scale: the upscaling factor.
        traits: of the network.
        edges: of bicubic.
        clip: as :class:`srbench.upscaler.Upscaler` has it.
        least: pixels that each side of the network's input must have besides what traits say.
    """
    planes = 1 if traits.channels == "y" else 3
    made = network
    if traits.multiple_of > 1 or max(traits.minimum, least) > 2:
        made = Fitted(made, 1 if traits.pre_upsampled else scale, traits, least)
    if traits.pre_upsampled:
        made = Enlarged(made, scale, planes, edges, clip)
    return Luma(made, scale, edges) if planes == 1 else made


def example(planes: int, size: tuple[int, int], batch: int, *, eight_bit: bool = False) -> Tensor:
    """Noise of an image's shape, for tracing: float32 in [0, 1], or uint8."""
    values = np.random.default_rng(0).random((batch, planes, *size), dtype=np.float32)
    x = torch.from_numpy(values)
    return (x * 255).to(torch.uint8) if eight_bit else x
