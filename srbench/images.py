"""Images: 8-bit ↔ float, BT.601 luma, crops. Files (``imagefile.py``) and MATLAB's ``imresize`` (``resize.py``) are part of it.

In a file an image is a NumPy uint8 array, ``(H, W, 3)`` RGB or ``(H, W)`` gray. Inside networks and metrics it is a
torch tensor ``(N, C, H, W)``. torch is imported by the functions that need it, so that reports run without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError
from srbench.imagefile import SUFFIXES, U8, check_name, list_images, natural_order, read_image, write_image
from srbench.resize import imresize, resize_rows, resize_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = [
    "SUFFIXES", "U8", "as_rgb", "check_name", "coloured", "crop_to_multiple", "imresize", "list_images", "luma",
    "natural_order", "planar", "read_image", "resize_rows", "resize_weights", "rgb", "shave", "to_array", "to_tensor",
    "write_image", "ycbcr",
]  # fmt: skip

ImageArray = TypeVar("ImageArray", bound=Any)

# BT.601 studio range: rows give Y, Cb, Cr of RGB in [0, 1] on the 0–255 scale (Y 16–235). MATLAB's rgb2ycbcr.
_YCBCR = (
    (65.481, 128.553, 24.966),
    (-37.797, -74.203, 112.0),
    (112.0, -93.786, -18.214),
)
_OFFSET = (16.0, 128.0, 128.0)


def as_rgb(image: U8) -> U8:
    """``(H, W, 3)``: a gray image has its channel three times."""
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def planar(image: npt.NDArray[Any], device: torch.device | None = None) -> Tensor:
    """``(H, W, C)`` or ``(H, W)`` → ``(1, C, H, W)``, same type and values; a view where the array is contiguous.

    Args:
        image: an array of any type.
        device: where to; the CPU by default.
    """
    import torch

    whole = np.ascontiguousarray(image if image.ndim == 3 else image[..., None])
    return torch.from_numpy(whole).permute(2, 0, 1)[None].to(device or torch.device("cpu"))


def to_tensor(image: U8) -> Tensor:
    """uint8 ``(H, W, C)`` or ``(H, W)`` → float32 ``(1, C, H, W)`` in [0, 1]."""
    import torch

    return planar(image).to(torch.float32).div_(255.0).contiguous()


def to_array(tensor: Tensor) -> U8:
    """Float ``(C, H, W)`` or ``(1, C, H, W)`` in [0, 1] → uint8 ``(H, W, 3)`` or ``(H, W)``; clipped, halves rounded up."""
    image = tensor.detach()
    image = image[0] if image.ndim == 4 else image
    array: U8 = round_u8(image * 255.0).permute(1, 2, 0).contiguous().cpu().numpy()
    return array[..., 0] if array.shape[2] == 1 else array


def round_u8(tensor: Tensor, white: float = 255.0) -> Tensor:
    """Float → uint8; clipped, halves rounded up as MATLAB's uint8().

    Args:
        tensor: of any shape.
        white: the value that becomes 255: 1 or 255.
    """
    import torch

    from srbench.fast_cpu import cut_to_u8
    from srbench.threads import strips

    if white != 255.0 and tensor.dtype not in (torch.float32, torch.float64):
        tensor, white = tensor * (255.0 / white), 255.0  # half precision is scaled in its own
    wide = (tensor if tensor.dtype == torch.float64 else tensor.to(torch.float32)).contiguous()
    out = torch.empty_like(wide, dtype=torch.uint8)
    for part, made in strips(wide.view(-1), out.view(-1)):
        scaled = part.clamp(0.0, 255.0) if white == 255.0 else (part * (255.0 / white)).clamp_(0.0, 255.0)
        cut_to_u8(scaled.add_(0.5), made)
    return out


def luma(image: Any) -> Any:
    """BT.601 studio luma (16–235) of RGB on the 0–255 scale, not rounded.

    Args:
        image: NumPy ``(…, 3)`` → ``(…)``, or Tensor ``(N, 3, H, W)`` → ``(N, 1, H, W)``. uint8 gives float64, a float type
            is kept.
    """
    import torch

    from srbench.threads import strips

    array = isinstance(image, np.ndarray)
    planes = (torch.from_numpy(np.ascontiguousarray(image)) if array else image).unbind(-1 if array else 1)
    dtype = planes[0].dtype if planes[0].is_floating_point() else torch.float64
    r, g, b = (weight / 255.0 for weight in _YCBCR[0])
    y = torch.empty_like(planes[0], dtype=dtype, memory_format=torch.contiguous_format)
    whole = [plane.reshape(1) for plane in (y, *planes)] if y.ndim == 0 else [y, *planes]
    for out, red, green, blue in strips(*whole, dim=-2 if y.ndim > 1 else 0):
        out.copy_(red).mul_(r).add_(green, alpha=g).add_(blue, alpha=b).add_(_OFFSET[0])
    return y.numpy() if array else y[:, None]


def ycbcr(image: Tensor) -> Tensor:
    """RGB ``(N, 3, H, W)`` in [0, 1] → BT.601 studio Y, Cb, Cr on the same scale (Y 16/255–235/255)."""
    import torch

    out = torch.empty_like(image)
    return _mix(image.unbind(1), out, np.array(_YCBCR) / 255.0, np.zeros(3), np.array(_OFFSET) / 255.0)


def rgb(image: Tensor) -> Tensor:
    """BT.601 studio YCbCr ``(N, 3, H, W)`` → RGB, both in [0, 1]; the inverse of ``ycbcr``, not clipped."""
    return coloured(image[:, :1], image[:, 1:])


def coloured(luma: Tensor, chroma: Tensor) -> Tensor:
    """RGB ``(N, 3, H, W)`` of luma ``(N, 1, H, W)`` and chroma ``(N, 2, H, W)``, as ``rgb`` makes it of both together."""
    import torch

    kind = torch.promote_types(luma.dtype, chroma.dtype)
    planes = (luma[:, 0].to(kind), *chroma.to(kind).unbind(1))
    out = luma.new_empty((len(luma), 3, *luma.shape[-2:]), dtype=kind)
    return _mix(planes, out, np.linalg.inv(np.array(_YCBCR) / 255.0), np.array(_OFFSET) / 255.0, np.zeros(3))


def _mix(
    planes: Sequence[Tensor],
    out: Tensor,
    matrix: npt.NDArray[Any],
    before: npt.NDArray[np.float64],
    after: npt.NDArray[np.float64],
) -> Tensor:
    """``matrix @ (planes − before) + after``, as three sums in ``out`` (no matrix product: no BLAS)."""
    import torch

    constant = after - matrix @ before
    for row, into in enumerate(out.unbind(1)):
        w = [float(v) for v in matrix[row]]
        plane = torch.mul(planes[0], w[0], out=into)
        plane.add_(planes[1], alpha=w[1]).add_(planes[2], alpha=w[2]).add_(float(constant[row]))
    return out


def crop_to_multiple(image: ImageArray, multiple: int) -> ImageArray:
    """An array ``(H, W, …)`` without the rows and columns at the bottom and right past a multiple; InputError if none is left."""
    height, width = image.shape[0] // multiple * multiple, image.shape[1] // multiple * multiple
    if not height or not width:
        raise InputError(f"a {image.shape[1]}×{image.shape[0]} image is smaller than {multiple}×{multiple}")
    return image[:height, :width]


def shave(image: ImageArray, border: int) -> ImageArray:
    """An array ``(H, W, …)`` or Tensor ``(…, H, W)`` without ``border`` pixels on each side; InputError if none is left."""
    array = isinstance(image, np.ndarray)
    height, width = (image.shape[0], image.shape[1]) if array else (image.shape[-2], image.shape[-1])
    if min(height, width) <= 2 * border:
        raise InputError(f"a {width}×{height} image has nothing left inside a border of {border} pixels")
    rows, columns = slice(border, height - border), slice(border, width - border)
    return image[rows, columns] if array else image[..., rows, columns]
