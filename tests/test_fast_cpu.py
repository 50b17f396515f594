"""What NumPy does in torch's place on a CPU: the same results."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import srbench.resize as resize
from srbench.fast_cpu import cut_to_u8, parts, product
from srbench.images import imresize
from srbench.metrics.ssim import WINDOW, ssim


def test_products_into_views() -> None:
    a, b = torch.rand(3, 5, 4, dtype=torch.float64), torch.rand(4, 2, dtype=torch.float64).expand(3, -1, -1)
    out = torch.zeros(5, 3, 2, dtype=torch.float64)
    multiply = product(a, b, out.transpose(0, 1))
    multiply()
    torch.testing.assert_close(out.transpose(0, 1), torch.bmm(a, b))
    a.mul_(2)
    multiply()
    torch.testing.assert_close(
        out.transpose(0, 1), torch.bmm(a, b), msg="the views are made once, the product each time"
    )


def test_parts_are_equal_and_leave_products_to_one_thread() -> None:
    assert parts(2016, 4 * 14) == 1
    for line in (4 * 8 * width for width in (300, 512, 960, 2000)):
        count = parts(line, 4 * 14)
        assert line % count == 0
        assert line // count * 4 * 14 <= 2**18
    assert parts(2**18 + 1, 2) == 1, "an odd length stays whole"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cutting_to_bytes_is_a_cast(dtype: torch.dtype) -> None:
    values = torch.cat([torch.rand(1000, dtype=dtype) * 255.99, torch.arange(256, dtype=dtype)])
    out = torch.zeros(len(values), 2, dtype=torch.uint8)
    cut_to_u8(values, out[:, 1])
    assert torch.equal(out[:, 1], values.to(torch.uint8))
    assert not out[:, 0].any()


@pytest.mark.parametrize("scale", [2.0, 4.0, 1 / 2, 1 / 3, 1 / 4])
def test_sizes_of_blocks_move_no_bit(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of reduced 8 bits, for which they are smaller than usual."""
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 256, (1, channels, height, width), generator=generator, dtype=torch.uint8)
        for channels, height, width in ((3, 90, 125), (1, 33, 100), (2, 61, 64))
    ]
    images += [image / 255.0 for image in images]
    made = [imresize(image, scale) for image in images]
    monkeypatch.setattr(resize, "_FINE", resize._BLOCK)
    assert all(torch.equal(before, imresize(image, scale)) for before, image in zip(made, images, strict=True))


@pytest.mark.parametrize("height", [WINDOW, 12, 33, 34, 35, 58, 63])
def test_ssim_of_every_height_of_the_last_strip(height: int) -> None:
    """Strips are 24 rows high; the last has what remains, beside rows of the strip before."""
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(height)
    hr = rng.integers(0, 256, (height, 37)).astype(np.float64)
    sr = np.clip(hr + rng.normal(0, 20, hr.shape), 0, 255)
    known = structural_similarity(
        sr, hr, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255.0, full=True
    )[1][5:-5, 5:-5].mean()
    found = ssim(torch.from_numpy(sr)[None, None], torch.from_numpy(hr)[None, None])
    assert float(found) == pytest.approx(known, abs=1e-9)
