"""What one call leaves behind for the next: no mode of torch in which the first was made."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from srbench.constants import constant
from srbench.errors import UnavailableError
from srbench.images import imresize
from srbench.metrics import Pair, get_metric, list_metrics
from srbench.models import create_model, get_model, list_models
from srbench.threads import share_out

MODES = [torch.inference_mode, torch.no_grad, torch.enable_grad]


@pytest.fixture(autouse=True)
def _as_if_first() -> Iterator[None]:
    """Nothing made before, and threads that share out what is large."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("srbench.resize", "srbench.metrics")):
            for value in vars(module).values():
                getattr(value, "cache_clear", int)()
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_a_constant_made_under_inference_mode_can_be_learnt_through() -> None:
    calls = []

    @constant
    def twice(value: float) -> Tensor:
        calls.append(value)
        return torch.tensor(2 * value)

    with torch.inference_mode():
        first = twice(3.0)
    x = torch.ones((), requires_grad=True)
    assert float(torch.autograd.grad(x * twice(3.0), x)[0]) == 6
    assert twice(3.0) is first
    assert calls == [3.0]


@pytest.mark.parametrize("mode", MODES)
def test_threads_work_in_the_mode_of_their_caller(mode: type[torch.no_grad]) -> None:
    def work(part: Sequence[int]) -> list[tuple[bool, bool]]:
        return [(torch.is_inference_mode_enabled(), torch.is_grad_enabled()) for _ in part]

    with mode():
        here = (torch.is_inference_mode_enabled(), torch.is_grad_enabled())
        assert share_out(work, range(8), 10**7) == [here] * 8


@pytest.mark.parametrize("scale", [4.0, 0.25])
def test_resizing_under_inference_mode_leaves_gradients_possible(scale: float) -> None:
    image = torch.rand(1, 3, 512, 512)
    with torch.inference_mode():
        inside = imresize(image + 0, scale)
    tracked = image[..., :96, :96].clone().requires_grad_()
    assert torch.autograd.grad(imresize(tracked, scale).sum(), tracked)[0].any()
    torch.testing.assert_close(imresize(image, scale), inside, rtol=0, atol=0)


LARGE = {"edsr", "rrdb", "esrgan", "mdsr"}
DEEP = {"dists", "lpips-vgg", "st-lpips"}


def marked(names: Sequence[str], slow: set[str]) -> list[object]:
    """The names as parameters, some of which take long."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in names]


@pytest.mark.parametrize("name", marked(list_models(), LARGE))
def test_a_network_used_under_inference_mode_can_be_trained_in_the_same_process(name: str) -> None:
    model = get_model(name)
    skips = [{}] if model.has_skip or model.interpolator else [{}, {"skip": "bicubic"}]
    for skip in skips:
        torch.manual_seed(0)
        network = create_model(name, 4, **skip)
        image = torch.rand(1, 1 if model.channels == "y" else 3, 24, 24)
        with torch.inference_mode():
            inside = network(image)
        tracked = image.clone().requires_grad_()
        outside = network(tracked)
        assert torch.autograd.grad(outside.sum(), tracked)[0].any()
        torch.testing.assert_close(outside.detach(), inside.clone(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", marked(list_metrics(), DEEP))
def test_a_metric_gives_under_inference_mode_what_it_gives_without(name: str) -> None:
    metric = get_metric(name)
    random = torch.Generator().manual_seed(1)
    hr = (torch.rand(1, 3, 512, 516, generator=random) * 255).round()
    sr = (hr + 8 * torch.randn(hr.shape, generator=random)).clamp(0, 255).round()
    try:
        with torch.inference_mode():
            inside = metric(Pair(sr + 0, hr + 0, imresize(hr, 0.25), 4))
    except UnavailableError as error:
        if error.status != "unavailable":
            raise
        pytest.skip(error.reason)
    assert float(metric(Pair(sr, hr, imresize(hr, 0.25), 4))) == pytest.approx(float(inside), rel=1e-6)
