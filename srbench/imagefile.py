"""Image files: listing, reading and writing them. Files come from strangers: a damaged or hostile one is one line with its name.

Five formats are decoded and no other, whatever a file calls itself. How large an image is stands in its header and is looked
at before anything is decoded; the checksums that a PNG carries are compared, as its decoder skips those of the pixels.
"""

from __future__ import annotations

import io
import os
import re
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError
from srbench.files import write_bytes
from srbench.png import encode_png
from srbench.process import large_blocks_go_back

if TYPE_CHECKING:
    from PIL import Image

U8 = npt.NDArray[np.uint8]
T = TypeVar("T")

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MAX_PIXELS = "SRBENCH_MAX_PIXELS"

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")  # Pillow knows fifty more, one of which starts another program
_MOST_PIXELS = 50_000_000  # one and a half times 8K
_PNG, _TIFF = b"\x89PNG\r\n\x1a\n", (b"II*\0", b"MM\0*")
_STRIP = 256  # rows
_PIECE = 2**20


def list_images(folder: Path | str) -> list[Path]:
    """The images of a folder in natural order (img_2 before img_10); hidden files are skipped."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    try:
        found = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
        for path in found:
            check_name(path)
    except PermissionError:
        raise InputError(f"{folder}: the folder cannot be read (permission denied)") from None
    return sorted(found, key=natural_order)


def natural_order(path: Path | str) -> list[int | str]:
    """Sorting key of a file's name: numbers in it are compared as numbers.

    >>> sorted(["img_10.png", "img_2.png", "img_2²0.png"], key=natural_order)
    ['img_2.png', 'img_2²0.png', 'img_10.png']
    """
    # Decimal digits only, as \d finds them: a superscript 2 is a digit for str.isdigit and none for int().
    parts = re.split(r"(\d+)", Path(path).name.lower())
    return [int(part) if part.isdecimal() else part for part in parts]


def check_name(path: Path) -> None:
    """Raise InputError where a file's name is not UTF-8: it becomes an image's name in records."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{str(path)!a}: the name is not UTF-8; rename the file") from None


def max_pixels() -> int:
    """The most pixels that an image may have: ``SRBENCH_MAX_PIXELS``, else 50 million; InputError where that is no number."""
    named = os.environ.get(MAX_PIXELS, "")
    if not named:
        return _MOST_PIXELS
    if not (named.isascii() and named.isdecimal() and len(named) < 16 and int(named)):
        raise InputError(f"{MAX_PIXELS} = {named!r}; expected a whole number of at least 1")
    return int(named)


def read_image(path: Path | str) -> U8:
    """An image file as uint8 ``(H, W, 3)`` RGB or ``(H, W)`` gray.

    Palettes become RGB, 1-bit becomes gray 0/255, an alpha channel that is opaque everywhere is dropped, and EXIF orientation
    is applied. A phone's JPEG with several images (MPO) gives the first one. 16-bit, CMYK, transparent and animated images
    and TIFFs with extra bands are refused, since any conversion would change the numbers.

    Raises:
        InputError: the message names the file and what was expected.
    """
    return from_file(path, _decode)


def from_file(path: Path | str, decode: Callable[[Path, BinaryIO, int], T]) -> T:
    """What a decoder makes of an image file; whatever goes wrong is one line with the file's name.

    Args:
        path: the file.
        decode: takes the name, the open file and the most pixels that it may have.

    Raises:
        InputError: no such file, one that cannot be read, or what ``from_bytes`` raises.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: not a regular file")
        with path.open("rb") as file:
            return _guarded(path, file, None, decode)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except PermissionError:
        raise InputError(f"{path}: the file cannot be read (permission denied)") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def from_bytes(data: bytes, name: str, most: int | None, decode: Callable[[Path, BinaryIO, int], T]) -> T:
    """What a decoder makes of the content of an image file, as ``from_file``.

    Args:
        data: the file's bytes.
        name: what messages call it.
        most: the most pixels that it may have; ``max_pixels()`` for None.
        decode: as ``from_file`` takes it.

    Raises:
        InputError: no image, a damaged one, or one that the decoder refuses.
    """
    return _guarded(Path(name), io.BytesIO(data), most, decode)


def _guarded(path: Path, file: BinaryIO, most: int | None, decode: Callable[[Path, BinaryIO, int], T]) -> T:
    from PIL import Image, UnidentifiedImageError

    most = max_pixels() if most is None else most
    if Image.MAX_IMAGE_PIXELS is not None and most > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = most  # Pillow's own limit, above which the caller has asked for more
    try:
        return decode(path, file, most)
    except UnidentifiedImageError:
        file.seek(0)
        if file.read(4) in _TIFF:
            raise InputError(
                f"{path}: is a TIFF of samples that are not read, such as floats (convert it first)"
            ) from None
        raise InputError(f"{path}: not an image (expected one of {', '.join(s[1:] for s in SUFFIXES)})") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path}: has more than {most:,} pixels; --max-pixels or {MAX_PIXELS} allow more") from None
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise some fifteen kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: cannot be decoded, the file is damaged or cut off ({reason})") from None


def _decode(path: Path, file: BinaryIO, most: int) -> U8:
    from PIL import Image, ImageOps

    depth = check_png(path, file)
    with Image.open(file, formats=FORMATS) as opened:
        check_size(path, *opened.size, most)
        _refuse(path, opened, depth)
        with large_blocks_go_back(opened.width * opened.height):
            opened.load()
            ImageOps.exif_transpose(opened, in_place=True)  # a copy would take as much memory again
            return _as_array(path, opened)


def check_size(path: Path, width: int, height: int, most: int) -> None:
    """Raise InputError for an image of more pixels than ``most``, or none."""
    if width * height > most:
        raise InputError(
            f"{path}: has {width}×{height} pixels; expected at most {most:,} (--max-pixels or {MAX_PIXELS} allow more)"
        )
    if min(width, height) < 1:
        raise InputError(f"{path}: has {width}×{height} pixels; expected at least one")


def check_png(path: Path, file: BinaryIO) -> int:
    """Compare the checksum of every chunk of a PNG; the bits of a channel, 8 for other files. The file is at its start again."""
    depth = _check_chunks(path, file) if file.read(len(_PNG)) == _PNG else 8
    file.seek(0)
    return depth


def _check_chunks(path: Path, file: BinaryIO) -> int:
    depth = 8
    while True:
        head = file.read(8)
        length, kind = int.from_bytes(head[:4]), head[4:]
        start, checksum = _checksum(file, length, zlib.crc32(kind))
        expected = file.read(4)
        if len(head) < 8 or len(expected) < 4:
            raise InputError(f"{path}: cannot be decoded, the file is damaged or cut off (it ends within a PNG chunk)")
        if checksum != int.from_bytes(expected):
            name = kind.decode("latin-1") if kind.isalpha() else kind.hex()
            raise InputError(f"{path}: the file is damaged: the checksum of its PNG chunk {name} is another")
        if kind == b"IHDR" and len(start) > 8:
            depth = start[8]
        if kind == b"IEND":
            return depth


def _checksum(file: BinaryIO, length: int, checksum: int) -> tuple[bytes, int]:
    """The first bytes of a chunk, and the checksum of all, read piece by piece: its length may be a lie."""
    start = piece = file.read(min(length, _PIECE))
    while piece:
        checksum = zlib.crc32(piece, checksum)
        length -= len(piece)
        piece = file.read(min(length, _PIECE))
    return start[:16], checksum


def _refuse(path: Path, file: Image.Image, png_depth: int) -> None:
    """Raise InputError for images with no exact 8-bit form."""
    bits = getattr(file, "tag_v2", {}).get(258, (png_depth,))
    depth = max(bits) if isinstance(bits, tuple) else bits
    if depth > 8 or file.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"):
        found = f"{depth}-bit" if depth > 8 else f"of mode {file.mode}"
        raise InputError(f"{path}: is {found}; expected 8 bits a channel (convert it first)")
    if file.mode == "CMYK":
        raise InputError(f"{path}: is CMYK; expected RGB or gray (convert it with a colour profile first)")
    check_bands(path, file)
    if (frames := getattr(file, "n_frames", 1)) > 1 and file.format != "MPO":
        raise InputError(f"{path}: has {frames} frames; expected one image")


def check_bands(path: Path, file: Image.Image) -> None:
    """Raise InputError for a TIFF of more bands than its mode has: Pillow would drop them."""
    bands = getattr(file, "tag_v2", {}).get(277, 1)
    if bands > len(file.getbands()):
        raise InputError(f"{path}: has {bands} bands; expected 1 or 3 (pick the bands that make the image first)")


def _as_array(path: Path, image: Image.Image) -> U8:
    """The decoded image without palette and alpha."""
    if "transparency" in image.info:  # a transparent colour or palette entries: PNG's tRNS
        image = image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" else "RGB")
    if image.mode in ("RGBA", "LA"):
        if image.getchannel("A").getextrema() != (255, 255):
            raise InputError(f"{path}: has transparent pixels; expected an opaque image (flatten it first)")
        image = image.convert(image.mode[:-1])
    if image.mode == "1":
        image = image.convert("L")
    return _copied(image)


def _copied(image: Image.Image) -> U8:
    """The samples of an image, copied in strips: Pillow hands a whole one over in two further copies."""
    width, height = image.size
    out = np.empty((height, width, *([3] if image.mode == "RGB" else [])), np.uint8)
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        out[top:bottom] = np.asarray(image.crop((0, top, width, bottom)), dtype=np.uint8)
    return out


def decode_image(data: bytes, name: str, most: int | None = None) -> U8:
    """The content of an image file, as ``read_image``.

    Args:
        data: the file's bytes.
        name: what messages call it.
        most: the most pixels that it may have; ``max_pixels()`` by default.

    Raises:
        InputError: as ``read_image``.
    """
    return from_bytes(data, name, most, _decode)


def encode_image(image: U8, suffix: str) -> bytes:
    """uint8 ``(H, W, 3)`` or ``(H, W)`` as the bytes of an image file: WebP lossless, JPEG at quality 95.

    Args:
        image: the pixels.
        suffix: such as ``.png``, which gives the format.

    Raises:
        InputError: a suffix of no format that is written.
    """
    from PIL import Image

    suffix = suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"cannot write {suffix or 'a file without suffix'}; expected {', '.join(SUFFIXES)}")
    if suffix == ".png":
        return encode_png(np.ascontiguousarray(image, dtype=np.uint8))
    encoded = io.BytesIO()
    format_ = Image.registered_extensions()[suffix]
    Image.fromarray(np.ascontiguousarray(image)).save(encoded, format=format_, **save_options(suffix))
    return encoded.getvalue()


def save_options(suffix: str) -> dict[str, Any]:
    """What Pillow is told about a format: WebP lossless, JPEG at quality 95 with whole chroma."""
    if suffix in (".jpg", ".jpeg"):
        return {"quality": 95, "subsampling": 0}
    return {"lossless": True} if suffix == ".webp" else {}


def write_image(path: Path | str, image: U8) -> None:
    """Write uint8 ``(H, W, 3)`` or ``(H, W)``; the suffix gives the format, as ``encode_image`` says.

    The file appears whole or not at all; an OSError such as of a full disk names it.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: cannot write {path.suffix or 'a file without suffix'}; expected {', '.join(SUFFIXES)}"
        )
    write_bytes(path, encode_image(image, path.suffix))
