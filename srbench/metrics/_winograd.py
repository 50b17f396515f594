"""3×3 and 5×5 convolutions on the CPU with a fraction of the multiplications: Winograd's minimal filtering.

Lavin, Gray: Fast Algorithms for Convolutional Neural Networks, CVPR 2016, arXiv:1509.09308. A block of the output is a product of
polynomials: kernel and input are evaluated at a few points along both axes, multiplied point by point (a product of matrices over
the channels for each), and the block is interpolated. oneDNN multiplies directly; at 2K AlexNet's four such layers take about
0.6 of its time here.

A 3×3 kernel makes blocks of 4×4 from 6×6 points, a quarter of the products; a 5×5 kernel 4×4 from 8×8, a sixth. In float32 the
rounding error is below 4e-6 of the output's standard deviation, larger than that of the direct convolution, which is nearer to
2e-7 (tests/test_winograd.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from srbench.threads import share_out

BLOCK = 4  # rows and columns of the output that are made together
_LEAST = 24  # height and width from which it pays
_SAMPLES = 2**20  # of the products that are held at once: more leave the cache, fewer make small matrices
_POINTS = {3: (0, 1, -1, 2, -2), 5: (0, 1, -1, 2, -2, 0.5, -0.5)}  # and infinity

F64 = npt.NDArray[np.float64]


def transforms(points: Sequence[float], taps: int) -> tuple[F64, F64, F64]:
    """The matrices of one axis, by Cook and Toom.

    Args:
        points: where polynomials are evaluated, apart from infinity.
        taps: of the kernel.

    Returns:
        ``(n, taps)`` for kernels, ``(n, n)`` for the input, ``(n − taps + 1, n)`` from products to the output, where
        n is the number of points with infinity.
    """
    count = len(points) + 1
    kernel, into, back = np.zeros((count, taps)), np.zeros((count, count)), np.zeros((count - taps + 1, count))
    for row, x in enumerate(points):
        others = [other for other in points if other != x]
        kernel[row] = np.power(x, np.arange(taps)) / np.prod([x - other for other in others])
        into[row, :-1] = np.poly(others)[::-1]
        back[:, row] = np.power(x, np.arange(len(back)))
    kernel[-1, -1] = back[-1, -1] = 1.0
    into[-1] = np.poly(points)[::-1]
    return kernel, into, back


class Winograd(nn.Module):
    """What a convolution computes; itself on small images, on other devices and in other types than float32.

    Args:
        convolution: one that :meth:`fits`.
    """

    points: Tensor
    into: Tensor
    back: Tensor
    bias: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        weight = convolution.weight.detach()
        self.taps = weight.shape[2]
        kernel, into, back = transforms(_POINTS[self.taps], self.taps)
        self.count = len(into)
        one = torch.from_numpy(kernel)
        points = torch.einsum("ia,kcab,jb->ijck", one, weight.double(), one).flatten(0, 1)
        bias = weight.new_zeros(len(weight)) if convolution.bias is None else convolution.bias.detach()
        matrices = {"points": points, "into": np.kron(into, into), "back": np.kron(back, back), "bias": bias}
        for name, matrix in matrices.items():
            self.register_buffer(name, torch.as_tensor(matrix).to(weight.dtype).contiguous(), persistent=False)

    @staticmethod
    def fits(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
        """Whether a layer is a convolution of 3×3 or 5×5 that keeps the size, without groups and with channels enough."""
        return (
            isinstance(layer, nn.Conv2d)
            and layer.kernel_size in ((3, 3), (5, 5))
            and layer.padding == (layer.kernel_size[0] // 2,) * 2
            and layer.padding_mode == "zeros"
            and layer.stride == layer.dilation == (1, 1)
            and layer.groups == 1
            and min(layer.in_channels, layer.out_channels) >= 64
        )

    def forward(self, image: Tensor) -> Tensor:
        """Convolve.

        Args:
            image: ``(N, C, H, W)``; fastest in the memory order channels_last.

        Returns:
            ``(N, K, H, W)`` in that order.
        """
        if image.device.type != "cpu" or image.dtype != torch.float32 or min(image.shape[-2:]) < _LEAST:
            made: Tensor = self.convolution(image)
            return made
        out = image.new_empty(len(image), *image.shape[-2:], self.convolution.out_channels)
        for one, target in zip(image, out, strict=True):
            self._convolve(one.permute(1, 2, 0), target)
        return out.permute(0, 3, 1, 2)

    def _convolve(self, image: Tensor, out: Tensor) -> None:
        """``(H, W, C)`` → ``(H, W, K)``."""
        (height, width, channels), outputs = image.shape, out.shape[2]
        down, across, edge = -(-height // BLOCK), -(-width // BLOCK), self.taps // 2
        padded = image.new_zeros(BLOCK * down + 2 * edge, BLOCK * across + 2 * edge, channels)
        padded[edge : height + edge, edge : width + edge] = image
        strip = max(1, min(down, _SAMPLES // (self.count**2 * across * max(channels, outputs))))

        def work(parts: Sequence[int]) -> list[None]:
            # Memory that the strips use in turn; fresh memory would cost page faults.
            sizes = (channels * self.count**2,) * 2 + (outputs * self.count**2, outputs * BLOCK**2)
            buffers = [image.new_empty(size * strip * across) for size in sizes]
            for first in parts:
                last = min(first + strip, down)
                rows = padded[BLOCK * first : BLOCK * last + 2 * edge]
                self._strip(rows, out[BLOCK * first : BLOCK * last], buffers)
            return [None] * len(parts)

        share_out(work, range(0, down, strip), self.count**2 * padded.numel() // BLOCK**2)

    def _strip(self, rows: Tensor, out: Tensor, buffers: Sequence[Tensor]) -> None:
        """Some rows of blocks: ``(4·n + 2·edge, W, C)`` → ``(4·n, W, K)``, or less where the image ends."""
        (inner, outer), squares = (rows.shape[2], out.shape[2]), self.count**2
        windows = rows.unfold(0, self.count, BLOCK).unfold(1, self.count, BLOCK).permute(3, 4, 0, 1, 2)
        down, across = windows.shape[2:4]
        blocks = down * across
        seen, values, products, made = (
            buffer[: points * blocks * channels].view(points, blocks * channels)
            for buffer, points, channels in zip(
                buffers, (squares, squares, squares, BLOCK**2), (inner, inner, outer, outer), strict=True
            )
        )
        seen.view(windows.shape).copy_(windows)
        torch.mm(self.into, seen, out=values)
        torch.bmm(values.view(squares, blocks, inner), self.points, out=products.view(squares, blocks, outer))
        torch.mm(self.back, products, out=made)
        for place, block in enumerate(made.view(-1, down, across, outer)):
            target = out[place // BLOCK :: BLOCK, place % BLOCK :: BLOCK]
            torch.add(block[: target.shape[0], : target.shape[1]], self.bias, out=target)
