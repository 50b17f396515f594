"""Bicubic reduction and JPEG: the LR image is compressed and decoded again.

The codec is Pillow's (libjpeg-turbo: whole-number DCT, chroma halved in both directions); a machine whose codec gives other
bytes is told so instead of measuring something else.
"""

from __future__ import annotations

import hashlib
import io
from functools import cache

import numpy as np

from srbench.degradations import DEGRADATIONS, U8, Array, Degradation, How
from srbench.degradations.bicubic import reduce
from srbench.errors import UnavailableError

# sha256 of what the codec makes of a fixed image at quality 40: ``_probe``.
EXPECTED = "66a3f8d6990d8d36ab77d726cca2e39f850136f21b14e990546091a82c2dae3c"


def reduce_and_compress(hr: U8, how: How) -> Array:
    """8-bit bicubic LR after JPEG at ``quality``; raises UnavailableError where the codec is not the usual one."""
    return compress(reduce(hr, how), round(how.parameters["quality"]))


def compress(image: U8, quality: int) -> U8:
    """An image ``(H, W, 3)`` or ``(H, W)`` after JPEG: baseline, 4:2:0, standard tables.

    Args:
        image: uint8.
        quality: 1 to 100, as libjpeg scales its tables.

    Raises:
        UnavailableError: this machine's codec gives other samples than the one that figures were made with.
    """
    if (got := _probe()) != EXPECTED:
        raise UnavailableError(
            "unavailable", f"the JPEG codec of this machine gives other samples ({got[:12]}, expected {EXPECTED[:12]})"
        )
    return _through_codec(image, quality)


def _through_codec(image: U8, quality: int) -> U8:
    from PIL import Image

    kept = io.BytesIO()
    Image.fromarray(image).save(kept, format="JPEG", quality=quality, subsampling=2, optimize=False, progressive=False)
    with Image.open(io.BytesIO(kept.getvalue()), formats=("JPEG",)) as file:
        return np.array(file, dtype=np.uint8)


@cache
def _probe() -> str:
    rows, columns = np.mgrid[:61, :83]
    waves = [(rows * rows + 7 * columns) % 256, (3 * rows + columns * columns) % 256, (rows * columns) % 256]
    image = np.stack(waves, axis=-1).astype(np.uint8)
    digest = hashlib.sha256(_through_codec(image, 40).tobytes())
    digest.update(_through_codec(image[..., 0], 40).tobytes())
    return digest.hexdigest()


DEGRADATIONS.register(
    Degradation(
        name="jpeg",
        apply=reduce_and_compress,
        version=1,
        summary="bicubic reduction, then JPEG of quality 40 (or quality=…), 4:2:0",
        source="ITU-T T.81 as libjpeg-turbo codes it",
        parameters={"quality": 40.0},
        bounds={"quality": (1.0, 100.0)},
    )
)
