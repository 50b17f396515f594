"""Images as people have them: with transparency, 16 bits, a palette, CMYK, a turned camera, a colour profile, DPI and EXIF.

Measurement reads images by ``srbench.imagefile``, which refuses whatever has no exact 8-bit form. Here nothing is measured: what
stands around the pixels is read with them, and written with the SR image.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError
from srbench.files import write_bytes
from srbench.imagefile import (
    FORMATS,
    SUFFIXES,
    check_bands,
    check_png,
    check_size,
    encode_image,
    from_bytes,
    from_file,
    save_options,
)
from srbench.images import imresize, planar, read_image, to_array
from srbench.png import encode_png, pack

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

Pixels = npt.NDArray[Any]

_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "I;16", "I;16B", "I;16L")
_DEEP_SUFFIXES = (".png", ".tif", ".tiff")  # formats that hold 16 bits a channel
_OPAQUE_SUFFIXES = (".jpg", ".jpeg", ".bmp")
_ORIENTATION = 0x0112
# What describes the image in EXIF's first directory. A TIFF keeps its layout there, too, which is another in the SR file.
_DESCRIBING = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298)
_DIRECTORIES = (0x8769, 0x8825)  # of the camera and of the place
_POINTERS = (0xA005,)  # to further directories, whose place in the file is another
_SIDES = ((0xA002, 1), (0xA003, 0))  # width and height in EXIF; axis of an array
_RESOLUTION, _UNIT, _INCH, _CENTIMETRE = (0x011A, 0x011B), 0x0128, 2, 3
_MOST_JPEG_EXIF = 65_000
_BMP_DPI = 96  # what writers put there who know nothing
_FLAT = 5  # pixels of LR, each way: where alpha is all 0 or all opaque this far, SR alpha is exactly that
_ALPHA_HINT = "choose .png, .webp or .tif, or flatten it first"


@dataclass(frozen=True, eq=False)
class Photo:
    """An image and what stands around it.

    Attributes:
        pixels: uint8 or uint16, ``(H, W, 3)`` RGB or ``(H, W)`` gray, upright.
        alpha: of the same type, ``(H, W)``; None where all is opaque.
        profile: ICC profile that says which colours the pixels are.
        dpi: dots per inch, across and down.
        exif: what describes the image, its camera and its place, without orientation; empty for none.
        notes: what was changed in reading or will be in writing, a line each.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes = b""
    notes: tuple[str, ...] = ()

    @property
    def deep(self) -> bool:
        """Whether it has 16 bits a channel."""
        return self.pixels.dtype == np.uint16

    @property
    def plain(self) -> bool:
        """Whether it is 8-bit RGB or gray with nothing around it."""
        return not self.deep and self.alpha is None and not (self.profile or self.dpi or self.exif)


# Reading


def read_photo(path: Path | str) -> Photo:
    """An image file with what stands around it.

    PNG, JPEG, BMP, TIFF and WebP, 8 or 16 bits a channel. Palettes become RGB, CMYK becomes sRGB by its profile, EXIF orientation
    is applied, a phone's JPEG with several images gives the first one.

    Raises:
        InputError: an animation, a damaged or too large file, samples of another kind.
    """
    return from_file(path, _decode)


def read_rounded(path: Path) -> npt.NDArray[np.uint8]:
    """An image as measurement reads it, and one of 16 bits a channel rounded to 8.

    Returns:
        uint8 ``(H, W, 3)`` RGB or ``(H, W)`` gray.

    Raises:
        InputError: it cannot be read as such; transparency, which training and prints have no place for, is such a reason.
    """
    try:
        return read_image(path)
    except InputError as error:
        try:
            photo = read_photo(path)
        except InputError:
            raise error from None
        if not photo.deep or photo.alpha is not None:
            raise
    return ((photo.pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def decode_photo(data: bytes, name: str, most: int | None = None) -> Photo:
    """The content of an image file, as ``read_photo``.

    Args:
        data: the file's bytes.
        name: what messages call it.
        most: the most pixels that it may have; the limit of ``imagefile.max_pixels`` by default.

    Raises:
        InputError: as ``read_photo``.
    """
    return from_bytes(data, name, most, _decode)


def _decode(path: Path, file: BinaryIO, most: int) -> Photo:
    from PIL import Image

    depth = check_png(path, file)
    _refuse_gif(path, file)
    with Image.open(file, formats=FORMATS) as opened:
        check_size(path, *opened.size, most)
        depth = _checked_depth(path, opened, depth)
        exif, profile = _exif(opened), _profile(opened)
        photo = _read_deep(path, opened, file) if depth == 16 else _read_shallow(path, opened)
    opaque = photo.alpha is None or bool((photo.alpha == np.iinfo(photo.alpha.dtype).max).all())
    kept = profile if profile is not None and profile[16:20] == _space(photo) else None
    return replace(photo, alpha=None if opaque else photo.alpha, profile=kept, dpi=_dpi(opened), exif=exif)


def _refuse_gif(path: Path, file: BinaryIO) -> None:
    gif = file.read(4) == b"GIF8"
    file.seek(0)
    if gif:
        raise InputError(f"{path}: is a GIF; expected {', '.join(s[1:] for s in SUFFIXES)}: {_FRAMES_HINT}")


_FRAMES_HINT = "save its frames as PNG files in a folder and upscale that"


def _checked_depth(path: Path, opened: Image.Image, png_depth: int) -> int:
    """Bits a channel, 8 at least; InputError where they are others than 8 or 16, or of several images."""
    if (frames := getattr(opened, "n_frames", 1)) > 1 and opened.format != "MPO":
        raise InputError(f"{path}: has {frames} frames; expected one image: {_FRAMES_HINT}")
    bits = getattr(opened, "tag_v2", {}).get(258, (png_depth,))
    depth = max(8, max(bits) if isinstance(bits, tuple) else bits)
    if depth not in (8, 16) or opened.mode not in _MODES:
        found = f"{depth}-bit" if depth not in (8, 16) else f"of mode {opened.mode}"
        raise InputError(f"{path}: is {found}; expected gray, RGB or CMYK of 8 or 16 bits a channel (convert it first)")
    if depth == 8:
        check_bands(path, opened)
    return depth


def _read_shallow(path: Path, opened: Image.Image) -> Photo:
    from PIL import ImageOps

    image = ImageOps.exif_transpose(opened)
    image.load()
    notes: tuple[str, ...] = ()
    if image.mode == "CMYK":
        image, note = _rgb_of_cmyk(image)
        notes = (f"{path}: {note}",)
    elif "transparency" in image.info:  # a transparent colour or palette entries: PNG's tRNS
        image = image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" else "RGB")
    elif image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    alpha = np.array(image.getchannel("A")) if image.mode in ("RGBA", "LA") else None
    image = image.convert(image.mode[:-1]) if alpha is not None else image
    image = image.convert("L") if image.mode == "1" else image
    return Photo(np.array(image, dtype=np.uint8), alpha, notes=notes)


def _rgb_of_cmyk(image: Image.Image) -> tuple[Image.Image, str]:
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            made = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if made is not None:
                return made, "is CMYK; converted to sRGB by its colour profile"
        except ImageCms.PyCMSError:
            pass
    return image.convert("RGB"), "is CMYK without a usable colour profile; its colours are approximate"


def _read_deep(path: Path, opened: Image.Image, file: BinaryIO) -> Photo:
    """Pillow reduces colours of 16 bits to 8, so others decode them."""
    turned = opened.getexif().get(_ORIENTATION, 1)
    file.seek(0)
    samples = _deep_png(file.read()) if opened.format == "PNG" else _deep_tiff(path, file)
    if (clear := opened.info.get("transparency")) is not None and samples.shape[2] in (1, 3):  # PNG's tRNS
        seen = (samples != np.array(clear, np.uint16)).any(axis=2, keepdims=True)
        samples = np.concatenate([samples, np.where(seen, np.uint16(65535), np.uint16(0))], axis=2)
    samples = np.ascontiguousarray(_upright(samples, turned))
    bands = samples.shape[2]
    alpha = samples[..., -1] if bands in (2, 4) else None
    return Photo(samples[..., 0] if bands < 3 else np.ascontiguousarray(samples[..., :3]), alpha)


def _deep_png(data: bytes) -> Pixels:
    import torch
    from torchvision.io import ImageReadMode, decode_png

    # It says so of its whole module. Its heir, torchcodec, is another large package beside Pillow, for this one kind of file.
    warnings.filterwarnings(
        "ignore", message="The image decoding and encoding capabilities of TorchVision are deprecated"
    )
    made = decode_png(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.UNCHANGED)
    samples: Pixels = made.permute(1, 2, 0).numpy()
    return samples


def _deep_tiff(path: Path, file: BinaryIO) -> Pixels:
    import tifffile

    expected = "expected gray or RGB of 16 bits, with one channel of straight alpha at most (convert it first)"
    with tifffile.TiffFile(file) as tiff:
        page: Any = tiff.pages[0]
        kind, extra = page.photometric.name, tuple(int(one) for one in page.extrasamples)
        colours = {"MINISBLACK": 1, "MINISWHITE": 1, "RGB": 3}.get(kind, 0)
        if not colours or page.dtype != np.uint16 or extra not in ((), (2,)):
            raise InputError(f"{path}: is {kind} of {page.dtype} with {len(extra)} further channels; {expected}")
        try:
            samples: Pixels = page.asarray()
        except (ValueError, KeyError) as error:
            if "imagecodecs" not in str(error):
                raise
            raise InputError(
                f"{path}: its compression ({page.compression.name}) needs the package imagecodecs (or save it without)"
            ) from None
    if samples.ndim == 2:
        samples = samples[..., None]
    elif page.planarconfig.name == "SEPARATE":
        samples = np.moveaxis(samples, 0, -1)
    if kind == "MINISWHITE":
        samples = np.concatenate([65535 - samples[..., :1], samples[..., 1:]], axis=-1)
    return samples


def _upright(samples: Pixels, orientation: object) -> Pixels:
    """As EXIF's orientation says: 2 to 4 mirror and turn, 5 to 8 swap height and width."""
    if orientation in (5, 6, 7, 8):
        samples = samples.transpose(1, 0, 2)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(
        orientation if isinstance(orientation, int) else 1
    )
    return np.flip(samples, flips) if flips else samples


def _space(photo: Photo) -> bytes:
    """The colour space that an ICC profile of such pixels names."""
    return b"GRAY" if photo.pixels.ndim == 2 else b"RGB "


def _profile(opened: Image.Image) -> bytes | None:
    found = opened.info.get("icc_profile")
    return found if isinstance(found, bytes) and len(found) >= 20 else None


def _dpi(opened: Image.Image) -> tuple[float, float] | None:
    """Dots per inch; None where the file says nothing of them, or what writers put there who know nothing."""
    try:
        across, down = (
            float(value) for value in (_exif_dpi(opened) if opened.format == "WEBP" else opened.info["dpi"])
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    default = opened.format == "BMP" and round(across) == round(down) == _BMP_DPI
    return (across, down) if not default and min(across, down) > 1 and max(across, down) < 1e6 else None


def _exif_dpi(opened: Image.Image) -> tuple[Any, Any]:
    """WebP's only place for it; KeyError where nothing is there."""
    exif = opened.getexif()
    inch = 2.54 if exif.get(_UNIT, _INCH) == _CENTIMETRE else 1.0
    return float(exif[_RESOLUTION[0]]) * inch, float(exif[_RESOLUTION[1]]) * inch


def _exif(opened: Image.Image) -> bytes:
    """EXIF without layout, orientation and thumbnail; empty where there is none, or none that can be written again."""
    from PIL import Image

    try:
        found, kept = opened.getexif(), Image.Exif()
        for tag in _DESCRIBING:
            if tag in found:
                kept[tag] = found[tag]
        for directory in _DIRECTORIES:
            inner = {tag: value for tag, value in found.get_ifd(directory).items() if tag not in _POINTERS}
            if inner:
                kept.get_ifd(directory).update(inner)
        return kept.tobytes() if len(kept) or any(kept.get_ifd(one) for one in _DIRECTORIES) else b""
    except Exception:  # what cameras and editors write there is of any form; the image is worth more
        return b""


# Upscaling


def network_inputs(photo: Photo, exact: bool = False) -> list[Any]:
    """What goes through a network: the colours, and alpha apart where there is some.

    Colours that nobody sees, under a fully transparent pixel, are those of the nearest pixel that is seen: else they would bleed
    into its neighbours.

    Args:
        photo: the image.
        exact: give tensors also for 8 bits, so that nothing is rounded before a last resize.

    Returns:
        uint8 arrays for 8 bits; float tensors ``(1, 3, h, w)`` in [0, 1] for 16 bits and ``exact``, gray three times.
    """
    colours = photo.pixels if photo.alpha is None else _seen_colours(photo.pixels, photo.alpha)
    parts = [colours] if photo.alpha is None else [colours, photo.alpha]
    return [_as_tensor(part) for part in parts] if photo.deep or exact else parts


def finished(photo: Photo, made: Sequence[Any], size: tuple[int, int] | None = None) -> Photo:
    """The SR image, with all that stood around the LR image.

    Args:
        photo: the LR image.
        made: what a network made of each of ``network_inputs``.
        size: exact ``(height, width)`` to resize to; ``made`` are tensors then.
    """
    depth = photo.pixels.dtype
    parts = [
        _as_pixels(one, depth, gray, size) for one, gray in zip(made, (photo.pixels.ndim == 2, True), strict=False)
    ]
    alpha = None if photo.alpha is None else _flat_restored(photo.alpha, parts[1])
    return replace(photo, pixels=parts[0], alpha=alpha)


def _seen_colours(pixels: Pixels, alpha: Pixels) -> Pixels:
    from scipy.ndimage import distance_transform_edt

    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return pixels
    rows, columns = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return np.ascontiguousarray(pixels[rows, columns])


def _as_tensor(part: Pixels) -> Tensor:
    x = planar(part.astype(np.float32) / np.float32(np.iinfo(part.dtype).max))
    return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x


def _as_pixels(made: Any, depth: Any, gray: bool, size: tuple[int, int] | None) -> Pixels:
    if isinstance(made, np.ndarray):
        return made
    if gray and made.shape[1] == 3:
        made = made.mean(1, keepdim=True)
    if size is not None and tuple(made.shape[-2:]) != size:
        made = imresize(made, size=size)
    if depth == np.uint8:
        return to_array(made)
    scaled = (made.clamp(0, 1) * 65535.0).round_()[0].permute(1, 2, 0).cpu().numpy().astype(np.uint16)
    whole: Pixels = np.ascontiguousarray(scaled[..., 0] if gray else scaled)
    return whole


def _flat_restored(lr: Pixels, sr: Pixels) -> Pixels:
    """SR alpha with exactly 0 and exactly opaque where LR is that for pixels around: a network comes near it at best."""
    from scipy.ndimage import maximum_filter, minimum_filter

    top = np.iinfo(lr.dtype).max
    nearest = np.ix_(*(np.arange(big) * small // big for big, small in zip(sr.shape, lr.shape, strict=True)))
    opaque, clear = minimum_filter(lr, _FLAT) == top, maximum_filter(lr, _FLAT) == 0
    kept: Pixels = np.where(opaque[nearest], top, np.where(clear[nearest], 0, sr)).astype(lr.dtype)
    return kept


# Sizes


@dataclass(frozen=True)
class Wanted:
    """How large SR shall be: a factor, or a size of which one side may be open.

    Attributes:
        factor: of both sides; 0 where ``width`` or ``height`` is given, or the network's own is meant.
        width: in pixels; 0 where it follows from the height.
        height: in pixels; 0 where it follows from the width.

    >>> Wanted.of_size("1920x").size(540, 720)
    (1440, 1920)
    """

    factor: float = 0.0
    width: int = 0
    height: int = 0

    @classmethod
    def of_size(cls, text: str) -> Wanted:
        """From ``1920x1080``, ``1920x`` or ``x1080``; InputError for other texts."""
        found = re.fullmatch(r"([1-9]\d{0,5})?[xX×]([1-9]\d{0,5})?", text.strip(), re.ASCII)
        width, height = (int(part or 0) for part in found.groups()) if found else (0, 0)
        if not width and not height:
            raise InputError(f"size {text!r}: expected WIDTHxHEIGHT, such as 1920x1080, 1920x or x1080")
        return cls(width=width, height=height)

    @property
    def open(self) -> bool:
        """Whether the network's own factor is meant."""
        return not (self.factor or self.width or self.height)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """``(height, width)`` of the SR image of an LR image of that height and width, 1 pixel at least."""
        if self.factor:
            tall, wide = height * self.factor, width * self.factor
        else:
            tall, wide = self.height or height * self.width / width, self.width or width * self.height / height
        return max(1, round(tall)), max(1, round(wide))

    def network_factor(self, height: int, width: int) -> float:
        """What a network must enlarge by at least."""
        tall, wide = self.size(height, width)
        return self.factor or max(tall / height, wide / width)


# Writing


def for_format(photo: Photo, suffix: str) -> Photo:
    """The photo as a format can hold it, with a note on what it cannot.

    Args:
        photo: the image.
        suffix: such as ``.png``.

    Raises:
        InputError: a format that is not written, or one without transparency for an image with some.
    """
    suffix, notes = suffix.lower(), list(photo.notes)
    if suffix not in SUFFIXES:
        raise InputError(f"cannot write {suffix or 'a file without suffix'}; expected {', '.join(SUFFIXES)}")
    if photo.alpha is not None and suffix in _OPAQUE_SUFFIXES:
        raise InputError(f"{suffix} has no transparency, and the image has transparent pixels: {_ALPHA_HINT}")
    if photo.deep and suffix not in _DEEP_SUFFIXES:
        notes.append(f"{suffix} holds 8 bits a channel; the image has 16")
        photo = replace(
            photo, pixels=_shallow(photo.pixels), alpha=None if photo.alpha is None else _shallow(photo.alpha)
        )
    if suffix == ".bmp" and (photo.profile or photo.exif):
        notes.append(".bmp has no place for a colour profile or EXIF")
        photo = replace(photo, profile=None, exif=b"")
    if photo.exif and ((photo.deep and suffix != ".png") or (suffix[1:2] == "j" and len(photo.exif) > _MOST_JPEG_EXIF)):
        notes.append(f"EXIF is left out: {suffix} has no place for it here")
        photo = replace(photo, exif=b"")
    return replace(photo, notes=tuple(notes))


def _shallow(samples: Pixels) -> Pixels:
    made: Pixels = ((samples.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return made


def encode_photo(photo: Photo, suffix: str) -> bytes:
    """The bytes of an image file; those of ``encode_image`` where nothing stands around the pixels.

    Raises:
        InputError: as ``for_format``, or a size that the format cannot hold.
    """
    photo, suffix = for_format(photo, suffix), suffix.lower()
    try:
        if photo.plain:
            return encode_image(photo.pixels, suffix)
        if suffix == ".png":
            return _png_of(photo)
        return _tiff_of(photo) if photo.deep else _with_pillow(photo, suffix)
    except (ValueError, OSError, struct.error) as error:
        height, width = photo.pixels.shape[:2]
        raise InputError(f"cannot write {width}×{height} pixels as {suffix}: {error}") from None


def write_photo(path: Path | str, photo: Photo) -> None:
    """Write an image file; it appears whole or not at all.

    Raises:
        InputError: as ``encode_photo``, with the file's name.
    """
    path = Path(path)
    try:
        content = encode_photo(photo, path.suffix)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    write_bytes(path, content)


def _with_pillow(photo: Photo, suffix: str) -> bytes:
    from PIL import Image

    in_exif = suffix == ".webp"
    around: dict[str, Any] = {"icc_profile": photo.profile, "exif": _sized_exif(photo, photo.dpi if in_exif else None)}
    around["dpi"] = None if in_exif else photo.dpi
    encoded = io.BytesIO()
    Image.fromarray(_joined(photo)).save(
        encoded, format=Image.registered_extensions()[suffix], **save_options(suffix),
        **{name: value for name, value in around.items() if value},
    )  # fmt: skip
    return encoded.getvalue()


def _joined(photo: Photo) -> Pixels:
    whole = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    return np.ascontiguousarray(whole)


def _sized_exif(photo: Photo, dpi: tuple[float, float] | None = None) -> bytes:
    """EXIF with the size of the SR image where it tells one, and with dots per inch where the format has no other place."""
    from PIL import Image

    if not photo.exif and dpi is None:
        return b""
    exif = Image.Exif()
    exif.load(photo.exif)
    if dpi is not None:
        exif.update(dict(zip((*_RESOLUTION, _UNIT), (*dpi, _INCH), strict=True)))
    camera = exif.get_ifd(_DIRECTORIES[0])
    camera.update({tag: photo.pixels.shape[axis] for tag, axis in _SIDES if tag in camera})
    exif.get_ifd(_DIRECTORIES[1])
    return exif.tobytes()


def _png_of(photo: Photo) -> bytes:
    around = []
    if photo.profile:
        around.append((b"iCCP", b"ICC Profile\0\0" + pack(photo.profile)))
    if photo.dpi:
        around.append((b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in photo.dpi), 1)))
    if photo.exif:
        around.append((b"eXIf", _sized_exif(photo).removeprefix(b"Exif\0\0")))
    return encode_png(_joined(photo), around)


def _tiff_of(photo: Photo) -> bytes:
    import tifffile

    if photo.alpha is not None and photo.pixels.ndim == 2:  # gray with alpha of 16 bits is what Pillow does not open
        photo = replace(photo, pixels=np.repeat(photo.pixels[..., None], 3, axis=2))
    encoded = io.BytesIO()
    tifffile.imwrite(
        encoded,
        _joined(photo),
        photometric="minisblack" if photo.pixels.ndim == 2 else "rgb",
        planarconfig="contig" if photo.pixels.ndim == 3 else None,
        extrasamples=["unassalpha"] if photo.alpha is not None else None,
        compression="zlib",
        iccprofile=photo.profile,
        resolution=photo.dpi,
        resolutionunit="INCH" if photo.dpi else None,
        metadata=None,
    )
    return encoded.getvalue()
