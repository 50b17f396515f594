"""Faster layers that compute the same as PyTorch's or the papers'; ``_fused.py`` puts them in place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models.fsrcnn import ReplicatedTransposedConvolution


class ShuffledTransposedConvolution(nn.Module):
    """A transposed convolution of stride s as one convolution to s² phases and a pixel shuffle.

    Output s·i + a of an axis sums kernel taps a + p − s·u over the inputs i + u. Each phase has its own taps; those outside
    the kernel are zero.

    Args:
        deconv: the layer to replace, whose parameters are shared.
        pad: replicates the edges; :func:`continued` by default.
    """

    taps: Tensor
    inside: Tensor

    def __init__(
        self, deconv: ReplicatedTransposedConvolution, pad: Callable[[Tensor, int, int], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.pad = pad or continued
        self.weight, self.bias = deconv.weight, deconv.bias
        self.scale = deconv.stride[0]
        size, reach = deconv.kernel_size[0], deconv.kernel_size[0] // 2
        last = size - 1 - reach  # the furthest output that an input pixel reaches ahead of itself
        self.before = last // self.scale
        self.after = (reach + self.scale - 1) // self.scale
        device = deconv.weight.device
        phase = torch.arange(self.scale, device=device)[:, None]
        offset = torch.arange(-self.before, self.after + 1, device=device)[None]
        tap = phase + reach - self.scale * offset
        inside = (tap >= 0) & (tap < size)
        tap = tap.clamp(0, size - 1)
        # Position in the flattened kernel of each (phase row, phase column, row offset, column offset).
        place = tap[:, None, :, None] * size + tap[None, :, None, :]
        both = inside[:, None, :, None] & inside[None, :, None, :]
        self.register_buffer("taps", place.flatten(), persistent=False)
        self.register_buffer("inside", both.to(deconv.weight.dtype), persistent=False)

    def kernel(self) -> Tensor:
        """The convolution's weight ``(outputs · scale², inputs, k, k)``, a function of the transposed convolution's."""
        inputs, outputs = self.weight.shape[:2]
        gathered = self.weight.flatten(2)[..., self.taps].view(inputs, outputs, *self.inside.shape) * self.inside
        return gathered.permute(1, 2, 3, 0, 4, 5).flatten(0, 2)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.repeat_interleave(self.scale**2)
        return F.pixel_shuffle(F.conv2d(self.pad(x, self.before, self.after), self.kernel(), bias), self.scale)


class FixedTransposedConvolution(nn.Module):
    """As ``ShuffledTransposedConvolution``, with the convolution's weight built once."""

    kernel: Tensor
    bias: Tensor

    def __init__(self, source: ShuffledTransposedConvolution) -> None:
        super().__init__()
        self.before, self.after, self.scale = source.before, source.after, source.scale
        self.register_buffer("kernel", source.kernel().detach().clone())
        bias = source.weight.new_zeros(source.weight.shape[1]) if source.bias is None else source.bias.detach()
        self.register_buffer("bias", bias.repeat_interleave(self.scale**2))

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(F.conv2d(continued(x, self.before, self.after), self.kernel, self.bias), self.scale)


def continued(x: Tensor, before: int, after: int) -> Tensor:
    """``x`` with its edges replicated. Autocast on a CPU takes ``F.pad`` of that kind in float32, which costs two copies."""
    if x.requires_grad or x.device.type != "cpu":
        return F.pad(x, (before, after, before, after), mode="replicate")
    n, c, height, width = x.shape
    last = x.is_contiguous(memory_format=torch.channels_last)
    out = torch.empty(
        (n, c, height + before + after, width + before + after),
        dtype=x.dtype,
        memory_format=torch.channels_last if last else torch.contiguous_format,
    )
    rows, columns = slice(before, before + height), slice(before, before + width)
    out[..., rows, columns] = x
    out[..., rows, :before] = x[..., :1]
    out[..., rows, before + width :] = x[..., -1:]
    out[..., :before, :] = out[..., before : before + 1, :]
    out[..., before + height :, :] = out[..., before + height - 1 : before + height, :]
    return out


class ReplicatedConvolution(nn.Module):
    """A convolution that keeps the image's size, with replicated edges."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.reach = conv.kernel_size[0] // 2
        self.conv = conv
        conv.padding, conv.padding_mode = (0, 0), "zeros"

    def forward(self, x: Tensor) -> Tensor:
        padded = continued(x, self.reach, self.reach) if self.reach else x
        made: Tensor = self.conv(padded)
        return made


class SlopedMaximum(nn.Module):
    """PReLU of slopes up to 1 as ``max(x, slope · x)`` where PyTorch's own kernel takes eight times as long."""

    def __init__(self, prelu: nn.PReLU) -> None:
        super().__init__()
        self.weight = prelu.weight

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.bfloat16 or x.device.type != "cpu" or x.is_contiguous():
            return F.prelu(x, self.weight)
        return torch.maximum(x, x * self.weight.to(x.dtype).view(1, -1, 1, 1))


def is_replicated(conv: nn.Conv2d) -> bool:
    """Whether it keeps the image's size and replicates its edges."""
    side = conv.kernel_size[0]
    return (
        type(conv) is nn.Conv2d
        and conv.padding_mode == "replicate"
        and side % 2 == 1
        and conv.kernel_size == (side, side)
        and conv.padding == (side // 2, side // 2)
        and conv.stride == conv.dilation == (1, 1)
    )


def is_gentle(prelu: nn.PReLU) -> bool:
    """Whether ``max(x, slope · x)`` computes the same."""
    return bool((prelu.weight <= 1).all())
