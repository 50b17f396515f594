"""Images: files, 8-bit ↔ float, BT.601 luma, crops; ``resize.py``'s MATLAB-exact ``imresize`` is part of this module.

In a file an image is a NumPy uint8 array, ``(H, W, 3)`` RGB or ``(H, W)`` gray. Inside networks and metrics it is a
torch tensor ``(N, C, H, W)``. torch is imported by the functions that need it, so that reports run without it.
"""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError
from srbench.files import write_bytes
from srbench.resize import imresize, resize_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = [
    "SUFFIXES", "as_rgb", "crop_to_multiple", "imresize", "list_images", "luma", "planar", "read_image", "resize_weights", "rgb",
    "shave", "to_array", "to_tensor", "write_image", "ycbcr",
]  # fmt: skip

U8 = npt.NDArray[np.uint8]
ImageArray = TypeVar("ImageArray", bound=Any)

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")

# BT.601 studio range: rows give Y, Cb, Cr of RGB in [0, 1] on the 0–255 scale (Y 16–235). MATLAB's rgb2ycbcr.
_YCBCR = (
    (65.481, 128.553, 24.966),
    (-37.797, -74.203, 112.0),
    (112.0, -93.786, -18.214),
)
_OFFSET = (16.0, 128.0, 128.0)


def list_images(folder: Path | str) -> list[Path]:
    """The images of a folder in natural order (img_2 before img_10); hidden files are skipped."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    try:
        found = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    except PermissionError:
        raise InputError(f"{folder}: the folder cannot be read (permission denied)") from None
    return sorted(found, key=lambda p: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", p.name.lower())])


def read_image(path: Path | str) -> U8:
    """An image file as uint8 ``(H, W, 3)`` RGB or ``(H, W)`` gray.

    Palettes become RGB, 1-bit becomes gray 0/255, an alpha channel that is opaque everywhere is dropped, and EXIF orientation
    is applied. 16-bit, CMYK, transparent and animated images are refused, since any conversion would change the numbers.

    Raises:
        InputError: the message names the file and what was expected.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    try:
        with Image.open(path) as file:
            _refuse(path, file)
            image = ImageOps.exif_transpose(file)
            image.load()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image (expected one of {', '.join(s[1:] for s in SUFFIXES)})") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: too large to be a test image ({error})") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        TypeError,
        KeyError,
        IndexError,
        OverflowError,
        struct.error,
    ) as error:
        raise InputError(f"{path}: cannot be decoded, the file is damaged or cut off ({error})") from None
    if "transparency" in image.info:  # a transparent colour or palette entries: PNG's tRNS, GIF's index
        image = image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" else "RGB")
    if image.mode in ("RGBA", "LA"):
        if image.getchannel("A").getextrema() != (255, 255):
            raise InputError(f"{path}: has transparent pixels; expected an opaque image (flatten it first)")
        image = image.convert(image.mode[:-1])
    if image.mode == "1":
        image = image.convert("L")
    return np.array(image, dtype=np.uint8)


def _refuse(path: Path, file: Any) -> None:
    """Raise InputError for images with no exact 8-bit form."""
    head = path.open("rb").read(26)
    png_depth = head[24] if head[:4] == b"\x89PNG" and len(head) > 24 else 8
    bits = getattr(file, "tag_v2", {}).get(258, (png_depth,))
    depth = max(bits) if isinstance(bits, tuple) else bits
    if depth > 8 or file.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"):
        found = f"{depth}-bit" if depth > 8 else f"of mode {file.mode}"
        raise InputError(f"{path}: is {found}; expected 8 bits a channel (convert it first)")
    if file.mode == "CMYK":
        raise InputError(f"{path}: is CMYK; expected RGB or gray (convert it with a colour profile first)")
    if getattr(file, "n_frames", 1) > 1:
        raise InputError(f"{path}: has {file.n_frames} frames; expected one image")


def write_image(path: Path | str, image: U8) -> None:
    """Write uint8 ``(H, W, 3)`` or ``(H, W)``; the suffix gives the format (WebP lossless, JPEG at quality 95).

    The file appears whole or not at all; an OSError such as of a full disk names it.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: cannot write {path.suffix or 'a file without suffix'}; expected {', '.join(SUFFIXES)}"
        )
    options: dict[str, Any] = {}
    if path.suffix.lower() in (".jpg", ".jpeg"):
        options = {"quality": 95, "subsampling": 0}
    elif path.suffix.lower() == ".webp":
        options = {"lossless": True}
    format_ = Image.registered_extensions()[path.suffix.lower()]
    encoded = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(encoded, format=format_, **options)
    write_bytes(path, encoded.getvalue())


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


def round_u8(tensor: Tensor) -> Tensor:
    """Float on the 0–255 scale → uint8; clipped, halves rounded up as MATLAB's uint8()."""
    import torch

    from srbench.threads import strips

    wide = (tensor if tensor.dtype == torch.float64 else tensor.to(torch.float32)).contiguous()
    out = torch.empty_like(wide, dtype=torch.uint8)
    for part, made in strips(wide.view(-1), out.view(-1)):
        made.copy_(part.clamp(0.0, 255.0).add_(0.5))
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
    return _mix(image, np.array(_YCBCR) / 255.0, np.zeros(3), np.array(_OFFSET) / 255.0)


def rgb(image: Tensor) -> Tensor:
    """BT.601 studio YCbCr ``(N, 3, H, W)`` → RGB, both in [0, 1]; the inverse of ``ycbcr``, not clipped."""
    return _mix(image, np.linalg.inv(np.array(_YCBCR) / 255.0), np.array(_OFFSET) / 255.0, np.zeros(3))


def _mix(
    image: Tensor, matrix: npt.NDArray[Any], before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]
) -> Tensor:
    """``matrix @ (image − before) + after`` over the channels, as three sums in place (no matrix product: no BLAS)."""
    import torch

    constant = after - matrix @ before
    out = torch.empty_like(image)
    for row in range(3):
        w = [float(v) for v in matrix[row]]
        plane = torch.mul(image[:, 0], w[0], out=out[:, row])
        plane.add_(image[:, 1], alpha=w[1]).add_(image[:, 2], alpha=w[2]).add_(float(constant[row]))
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
