"""Winograd's convolution against the direct one, the transforms in float64 and the whole in float32, within stated errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from srbench.metrics._winograd import BLOCK, Winograd, transforms

pytestmark = pytest.mark.usefixtures("one_thread")


def layer(taps: int, inputs: int = 64, outputs: int = 72, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(taps)
    return nn.Conv2d(inputs, outputs, taps, padding=taps // 2, bias=bias).requires_grad_(False)


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("points", [(0, 1, -1, 2), (0, 1, -1, 2, -2), (0, 1, -1, 2, -2, 0.5, -0.5)])
def test_the_transforms_make_an_exact_correlation(taps: int, points: tuple[float, ...]) -> None:
    if len(points) + 1 < taps:
        pytest.skip("fewer points than taps")
    rng = np.random.default_rng(0)
    kernel, into, back = transforms(points, taps)
    g, d = rng.standard_normal(taps), rng.standard_normal(len(points) + 1)
    np.testing.assert_allclose(back @ ((kernel @ g) * (into @ d)), np.correlate(d, g), atol=1e-12)


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("size", [(24, 24), (25, 39), (41, 26), (83, 126)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_convolution_at_every_size(taps: int, size: tuple[int, int], bias: bool) -> None:
    direct = layer(taps, bias=bias)
    image = torch.randn(2, 64, *size).relu()
    exact = direct.double()(image.double())
    made = Winograd(direct.float())(image)
    assert made.shape == exact.shape
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert (made - exact).abs().max() < 4e-5 * exact.std()
    assert (made - exact).std() < 4e-6 * exact.std()


@pytest.mark.parametrize("taps", [3, 5])
def test_the_border_is_of_zeros_and_what_lies_outside_of_a_block_is_untouched(taps: int) -> None:
    direct = layer(taps)
    for row, column in ((0, 0), (0, 38), (30, 0), (30, 38), (BLOCK, 2 * BLOCK - 1)):
        image = torch.zeros(1, 64, 31, 39)
        image[..., row, column] = 1.0
        assert torch.allclose(Winograd(direct)(image), direct(image), atol=1e-5)


def test_threads_change_no_bit() -> None:
    fast, image = Winograd(layer(3)), torch.randn(1, 64, 120, 260)
    alone = fast(image)
    torch.set_num_threads(3)
    assert torch.equal(fast(image), alone)


@pytest.mark.parametrize(
    "image", [torch.randn(1, 64, 8, 40), torch.randn(1, 64, 30, 30, dtype=torch.float64)], ids=["small", "float64"]
)
def test_elsewhere_it_is_the_convolution_itself(image: torch.Tensor) -> None:
    direct = layer(3).to(image.dtype)
    assert torch.equal(Winograd(direct)(image), direct(image))


@pytest.mark.parametrize(
    "other",
    [
        nn.ReLU(),
        nn.Conv2d(64, 64, 3),
        nn.Conv2d(64, 64, 3, padding=1, stride=2),
        nn.Conv2d(64, 64, 3, padding=2, dilation=2),
        nn.Conv2d(64, 64, 3, padding=1, groups=2),
        nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 64, 3, padding=1),
        nn.Conv2d(64, 64, 7, padding=3),
    ],
)
def test_other_layers_are_left_alone(other: nn.Module) -> None:
    assert not Winograd.fits(other)
