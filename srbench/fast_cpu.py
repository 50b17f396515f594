"""What NumPy does faster than torch on a CPU, with the same result.

OpenBLAS, which NumPy comes with, has kernels for small matrices: SSIM's two passes take half the time that they take with
torch's MKL on an AMD processor. Both add the terms of a sum one after the other. Torch cuts floats to bytes one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

_ALONE = 2**18  # multiplications of one product, up to which OpenBLAS never wakes threads of its own


def product(a: Tensor, b: Tensor, out: Tensor) -> Callable[[], object]:
    """What computes ``a @ b`` into ``out`` when it is called, as often as wanted: the views are made once.

    Args:
        a: ``(B, M, K)``.
        b: ``(B, K, N)``.
        out: ``(B, M, N)``, any view of other memory.
    """
    if a.device.type != "cpu":
        return lambda: torch.bmm(a, b, out=out)
    left, right, made = a.numpy(), b.numpy(), out.numpy()
    return lambda: np.matmul(left, right, out=made)


def parts(length: int, others: int) -> int:
    """Into how many equal parts, a power of two, an axis is best cut: as few as leave each product to one thread.

    Args:
        length: of the axis.
        others: the product of the two other lengths.
    """
    count = 1
    while length // count * others > _ALONE and length % (2 * count) == 0:
        count *= 2
    return count


def cut_to_u8(values: Tensor, out: Tensor) -> None:
    """Write floats into uint8 without their fractions.

    Args:
        values: from 0 to below 256.
        out: uint8 of the same shape.
    """
    if values.device.type != "cpu":
        out.copy_(values)
    else:
        np.copyto(out.numpy(), values.numpy(), casting="unsafe")
