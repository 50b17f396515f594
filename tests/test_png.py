"""PNG files are what other decoders read them as: every kind of samples, at every size, in one strip and in several."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.io import ImageReadMode, decode_png

from srbench import png
from srbench.errors import InputError
from srbench.imagefile import check_png
from srbench.images import read_image, write_image
from srbench.png import Samples, encode_png
from tests.builders import smooth


def decoded(content: bytes) -> Samples:
    """By libpng, which torchvision brings: ``(H, W, C)``."""
    made = decode_png(torch.frombuffer(bytearray(content), dtype=torch.uint8), mode=ImageReadMode.UNCHANGED)
    return made.permute(1, 2, 0).numpy()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.sampled_from(["u1", "u2"]), st.integers(0, 2**32 - 1)
)
def test_another_decoder_reads_the_same_samples(height: int, width: int, channels: int, kind: str, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(0, np.iinfo(kind).max + 1, (height, width, channels)).astype(kind)
    assert np.array_equal(decoded(encode_png(samples)), samples)
    if channels == 1:
        assert encode_png(samples[..., 0]) == encode_png(samples)


@pytest.mark.parametrize("strip", [1, 100, 1000])
@pytest.mark.parametrize("chunk", [7, 2**30])
def test_strips_and_chunks_change_no_sample(monkeypatch: pytest.MonkeyPatch, strip: int, chunk: int) -> None:
    image = smooth(37, 29)
    monkeypatch.setattr(png, "_STRIP", strip)
    monkeypatch.setattr(png, "_MOST", chunk)
    content = encode_png(image)
    assert np.array_equal(decoded(content), image)
    assert content.count(b"IDAT") > 1 or chunk > 7
    check_png(Path("image"), io.BytesIO(content))
    with Image.open(io.BytesIO(content)) as opened:
        assert np.array_equal(np.array(opened), image)


@pytest.mark.parametrize(
    "samples",
    [np.zeros((2, 2, 5), np.uint8), np.zeros((2, 2), np.float32), np.zeros((0, 3, 3), np.uint8), np.zeros(3, np.uint8)],
)
def test_what_png_cannot_hold_is_named(samples: Samples) -> None:
    with pytest.raises(ValueError, match="PNG holds"):
        encode_png(samples)


def test_a_changed_byte_of_the_pixels_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, smooth(20, 20))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png"):
        read_image(path)
