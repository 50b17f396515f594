"""The lattice metric: a pattern of the upsampler's period is seen, whatever else the image holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from srbench.errors import InputError, UnavailableError
from srbench.images import as_rgb, crop_to_multiple, imresize, list_images, read_image, shave
from srbench.metrics.lattice import lattice

RNG = np.random.default_rng(3)


def texture(height: int = 200, width: int = 232) -> Tensor:
    """A field with the 1/f² power of natural images, 8-bit gray ``(1, 1, H, W)``."""
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    f[0, 0] = 1
    field = np.fft.ifft2(np.fft.fft2(RNG.normal(size=(height, width))) / f).real
    field = 128 + 40 * field / field.std()
    return torch.from_numpy(field).clamp(0, 255).round().to(torch.uint8)[None, None]


def pattern(scale: int, size: torch.Size, amplitude: float) -> Tensor:
    """One pixel of each ``scale`` × ``scale`` raised."""
    made = torch.zeros(size, dtype=torch.float64)
    made[..., ::scale, ::scale] = amplitude * scale**2 / 4
    return made


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_texture_has_none_and_a_faint_pattern_of_its_period_is_seen(scale: int) -> None:
    plain = texture()
    grid = plain + pattern(scale, plain.shape, 6.0)
    assert abs(lattice(plain, scale).item()) < 2
    assert lattice(grid, scale).item() > 6
    assert lattice(grid + pattern(scale, plain.shape, 12.0), scale) > lattice(grid, scale)


def test_a_pattern_of_another_period_is_not_taken_for_it() -> None:
    plain = texture()
    assert abs(lattice(plain + pattern(5, plain.shape, 10.0), 4).item()) < 2.5


def test_it_is_the_ratio_that_the_definition_says() -> None:
    """White noise of a known power and a cosine at 1/4 cycle a pixel: the peak can be computed by hand."""
    side, scale, amplitude, sigma = 640, 4, 4.0, 5.0
    y = np.arange(side)
    image = 128 + RNG.normal(0, sigma, (side, side)) + amplitude * np.cos(np.pi / 2 * y + 0.3)[None, :]
    block = 16 * scale
    window = np.hanning(block + 1)[:-1]
    squares = (window[:, None] * window).__pow__(2).sum()
    peak = (amplitude / 2) ** 2 * window.sum() ** 4
    floor = squares * (sigma**2 + 1 / 12)
    # Two of six bins (±1/4 across) hold the cosine; the others hold noise like what is around them.
    expected = 10 * np.log10((peak + floor) / floor) * 2 / 6
    assert lattice(torch.from_numpy(image)[None, None], scale).item() == pytest.approx(expected, abs=0.3)


def test_flat_images_interpolated_ones_and_scale_one_have_no_lattice() -> None:
    flat = torch.full((1, 3, 64, 80), 77, dtype=torch.uint8)
    assert lattice(flat, 4).item() == 0.0
    assert lattice(flat, 1).item() == 0.0
    plain = texture(208, 240)
    assert lattice(imresize(imresize(plain, 1 / 4), 4), 4) < lattice(plain, 4), "its kernel suppresses just these"


def test_small_and_broken_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"lattice: a 63×80 image is too small; expected at least 64×64"):
        lattice(torch.zeros(1, 3, 80, 63), 4)
    broken = torch.zeros(1, 3, 64, 64)
    broken[0, 0, 5, 5] = torch.nan
    with pytest.raises(UnavailableError, match="NaN"):
        lattice(broken, 4)


@pytest.mark.data
def test_photographs_have_none_and_bicubic_has_less_than_none(data_root: Path) -> None:
    """Set5 and Set14 ×4: HR's mean is that of natural images, as it was found when the fault of the GANs was."""
    true, enlarged = [], []
    for name in ("Set5", "Set14"):
        folder = data_root / name
        for path in list_images(folder / "HR" if (folder / "HR").is_dir() else folder):
            image = torch.from_numpy(crop_to_multiple(as_rgb(read_image(path)), 4)).permute(2, 0, 1)[None].contiguous()
            true.append(lattice(shave(image, 4), 4).item())
            enlarged.append(lattice(shave(imresize(imresize(image, 1 / 4), 4), 4), 4).item())
    assert np.mean(true) == pytest.approx(0.1, abs=0.05)
    assert np.mean(enlarged) < -5
