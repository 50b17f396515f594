"""What every metric of the registry must do, written once; a metric added to the registry is tested by being there."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from threading import Barrier, Thread, current_thread

import pytest
import torch
from torch import Tensor

from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.images import imresize
from srbench.metrics import METRICS, Metric, Pair, get_metric, list_metrics
from srbench.metrics import _backbones as backbones
from srbench.threads import share_out

SCALE = 4
SMALL, LARGE = (64, 60), (224, 232)
METRIC_NAMES = list_metrics()
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "_download", lambda *_: "tests do not download")


@pytest.fixture(params=METRIC_NAMES)
def metric(request: pytest.FixtureRequest) -> Metric:
    return get_metric(request.param)


@cache
def size(name: str) -> tuple[int, int]:
    """Height and width: small, or larger for a metric with many scales."""
    dots = torch.zeros(1, 3, *SMALL, dtype=torch.uint8)
    try:
        get_metric(name)(Pair(dots, dots, None, SCALE))
    except InputError:
        return LARGE
    except UnavailableError:
        return SMALL
    return SMALL


def image(metric: Metric, channels: int = 3, seed: int = 0) -> Tensor:
    """Waves, edges and texture, so that structure and gradients are there to be lost: uint8 ``(1, C, H, W)``."""
    height, width = size(metric.name)
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height) / 9.0, torch.arange(width) / 7.0, indexing="ij")
    planes = []
    for channel in range(channels):
        plane = 110 + 60 * torch.sin(x + channel) * torch.cos(y - channel) + 40 * ((x + y) % 5 > 2.5)
        planes.append(plane + 6 * torch.randn(height, width, generator=generator))
    return torch.stack(planes)[None].clamp(0, 255).round().to(torch.uint8)


def noisy(hr: Tensor, sigma: float, seed: int = 1) -> Tensor:
    noise = torch.randn(hr.shape, generator=torch.Generator().manual_seed(seed)) * sigma
    return (hr + noise).clamp(0, 255).round().to(torch.uint8)


def pair(sr: Tensor, hr: Tensor) -> Pair:
    fits = hr.ndim == 4 and not any(n % SCALE for n in hr.shape[-2:])
    return Pair(sr, hr, imresize(hr, 1 / SCALE) if fits else None, SCALE)


def score(metric: Metric, given: Pair) -> Tensor:
    try:
        return metric(given)
    except UnavailableError as error:
        if error.status != "unavailable":
            raise
        pytest.skip(error.reason)


def best(metric: Metric) -> float:
    if not metric.higher_is_better:
        return 0.0
    return math.inf if metric.unit == "dB" else 1.0


def test_a_metric_says_what_a_caller_must_know(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]*", metric.name)
    assert metric.version >= 1
    assert 1 <= metric.digits <= 6
    assert ("border cropped" in metric.summary) == (metric.crop == "shave"), "its summary says which crop it sees"
    assert ("whole images" in metric.summary) == (metric.crop == "full")
    assert re.search(r"\b(RGB|gray|luma|luminance|channels?|chrominance)\b", metric.summary), "and which channel"
    assert re.search(r"doi:10\.|arXiv:\d{4}\.\d{5}|\b(19|20)\d\d\b", metric.source)
    assert metric.needs <= {"hr", "lr"}


def test_identical_images_score_the_best_value_and_noisy_ones_less(metric: Metric) -> None:
    if not metric.needs:
        pytest.skip("it compares with nothing")
    if metric.needs == {"hr", "lr"}:
        pytest.skip("it weighs HR against LR")
    hr = image(metric)
    scores = [score(metric, pair(noisy(hr, sigma) if sigma else hr, hr)).item() for sigma in (0, 5, 15, 45)]
    assert scores[0] == pytest.approx(best(metric), abs=1e-5)
    assert scores == sorted(scores, reverse=metric.higher_is_better)
    assert len(set(scores)) == 4


def test_scores_are_float64_one_a_image_and_a_batch_changes_none(metric: Metric) -> None:
    first, second = image(metric, seed=2), image(metric, seed=3)
    one_by_one = torch.cat([score(metric, pair(noisy(hr, 9), hr)) for hr in (first, second)])
    batch = torch.cat([first, second])
    together = score(metric, pair(torch.cat([noisy(first, 9), noisy(second, 9)]), batch))
    assert together.dtype == torch.float64
    assert together.shape == (2,)
    assert torch.allclose(together, one_by_one, rtol=0, atol=1e-9)


def test_memory_order_and_type_change_no_score(metric: Metric) -> None:
    hr = image(metric)
    sr = noisy(hr, 9)
    plain = score(metric, pair(sr, hr))
    as_read = [p.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) for p in (sr, hr)]
    assert not as_read[0].is_contiguous()
    assert torch.allclose(score(metric, pair(*as_read)), plain, rtol=0, atol=1e-6)
    wide = torch.zeros(1, 3, sr.shape[2], 400, dtype=torch.uint8)
    view = wide[..., 100 : 100 + sr.shape[3]]
    view.copy_(sr)
    assert torch.allclose(score(metric, pair(view, hr)), plain, rtol=0, atol=1e-6)
    if metric.needs == {"hr"}:
        for dtype in (torch.float32, torch.float64):
            assert torch.allclose(score(metric, pair(sr.to(dtype), hr.to(dtype))), plain, rtol=0, atol=1e-6)


def test_gray_scores_as_rgb_of_equal_channels(metric: Metric) -> None:
    hr = image(metric, channels=1)
    sr = noisy(hr, 9)
    colour = pair(sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1))
    assert torch.allclose(score(metric, pair(sr, hr)), score(metric, colour), rtol=0, atol=1e-5)


def test_scoring_changes_neither_its_images_nor_the_random_state(metric: Metric) -> None:
    hr = image(metric)
    sr = noisy(hr, 9)
    given = pair(sr.double(), hr.double())
    before, state = given.sr.clone(), torch.get_rng_state()
    score(metric, given)
    assert torch.equal(given.sr, before)
    assert torch.equal(given.hr, hr.double())
    assert torch.equal(torch.get_rng_state(), state)


def begins(metric: Metric) -> str:
    """What a message begins with: the metric's name, among those that come of the same computation."""
    return rf"^([a-z-]+, )*{metric.name}(, [a-z-]+)*: "


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda sr: sr[0], id="no batch"),
        pytest.param(lambda sr: sr[:0], id="no image"),
        pytest.param(lambda sr: sr.to(torch.int64), id="int64"),
        pytest.param(lambda sr: sr > 100, id="bool"),
        pytest.param(lambda sr: sr[..., :-3], id="narrower"),
        pytest.param(lambda sr: sr[:, :2], id="two channels"),
    ],
)
def test_images_of_a_wrong_form_are_refused(metric: Metric, spoil: Callable[[Tensor], Tensor]) -> None:
    hr = image(metric)
    if not metric.needs and spoil(hr).shape[-1] != hr.shape[-1]:
        pytest.skip("it compares with nothing")
    with pytest.raises(InputError, match=rf"{begins(metric)}.*expected"):
        metric(Pair(spoil(hr), hr, imresize(hr, 1 / SCALE), SCALE))


def test_a_image_below_the_metric_s_window_is_refused_and_named(metric: Metric) -> None:
    dot = torch.zeros(1, 3, 1, 1, dtype=torch.uint8)
    if metric.name == "psnr":
        assert metric(Pair(dot, dot, None, SCALE)).item() == math.inf
        return
    with pytest.raises(InputError, match="1×1"):
        metric(Pair(dot, dot, dot, SCALE))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("which", ["sr", "hr"])
def test_a_image_that_is_not_finite_has_no_score(metric: Metric, bad: float, which: str) -> None:
    hr = image(metric).double()
    sr = hr.clone()
    if which == "hr" and "hr" not in metric.needs:
        pytest.skip("it does not look at HR")
    (sr if which == "sr" else hr)[0, 1, 20, 30] = bad
    with pytest.raises(UnavailableError) as caught:
        metric(Pair(sr, hr, imresize(hr, 1 / SCALE), SCALE))
    if caught.value.status == "unavailable":
        pytest.skip(caught.value.reason)
    assert caught.value.status == "failed"
    assert re.match(begins(metric), caught.value.reason)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_scores(metric: Metric) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    hr = image(metric)
    here = pair(noisy(hr, 9), hr)
    assert here.lr is not None
    there = Pair(here.sr.cuda(), here.hr.cuda(), here.lr.cuda(), SCALE)
    tolerance = 1e-9 if metric.name in ("psnr", "ssim", "lr-psnr") else 1e-4
    assert torch.allclose(score(metric, there).cpu(), score(metric, here), rtol=0, atol=tolerance)


def test_lr_psnr_compares_with_the_lr_image_at_its_own_precision() -> None:
    metric = get_metric("lr-psnr")
    hr = image(metric)
    lr = imresize(hr, 1 / SCALE)
    assert metric(Pair(hr, hr, lr, SCALE)).item() == math.inf
    one_off = lr.clone()
    one_off[0, 0, 5, 5] += 1
    expected = 10 * math.log10(255**2 * lr.numel())
    assert metric(Pair(hr, hr, one_off, SCALE)).item() == pytest.approx(expected, abs=1e-9)
    assert metric(Pair(hr.double(), hr, imresize(hr.double(), 1 / SCALE), SCALE)).item() == math.inf
    assert 50 < metric(Pair(hr, hr, lr.double(), SCALE)).item() < 70, "8-bit rounding of LR alone is 58.9 dB"


def test_lr_psnr_needs_an_lr_image_that_fits() -> None:
    metric = get_metric("lr-psnr")
    hr = image(metric)
    with pytest.raises(InputError, match="LR image is 14×16"):
        metric(Pair(hr, hr, torch.zeros(1, 3, 16, 14, dtype=torch.uint8), SCALE))
    with pytest.raises(UnavailableError, match="needs the LR image"):
        metric(Pair(hr, hr, None, SCALE))


@pytest.mark.parametrize("name", ["psnr", "ssim"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_threads_change_no_bit_and_leave_torch_s_setting_alone(name: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(5)
    hr = torch.randint(0, 256, (1, 2, 500, 421), dtype=torch.uint8, generator=generator)
    given = Pair(noisy(hr, 20).to(dtype), hr.to(dtype), None, SCALE)
    alone = get_metric(name)(given)
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert torch.equal(get_metric(name)(given), alone)
        assert torch.get_num_threads() == threads
        seen: list[int] = []
        later = Thread(target=lambda: seen.append(torch.get_num_threads()))  # noqa: B023 read before the next turn
        later.start()
        later.join()
        assert seen == [threads]


def test_work_is_shared_out_in_order_and_its_errors_arrive() -> None:
    torch.set_num_threads(3)
    names: set[str] = set()
    met = Barrier(3, timeout=20)

    def work(part: Sequence[int]) -> list[int]:
        names.add(current_thread().name)
        assert torch.get_num_threads() == 1
        met.wait()
        return [10 * item for item in part]

    assert share_out(work, range(8), 10**7) == [10 * item for item in range(8)]
    assert len(names) == 3
    with pytest.raises(ZeroDivisionError):
        share_out(lambda part: [1 // item for item in part], range(8), 10**7)


def test_a_image_that_a_network_still_tracks_is_scored(metric: Metric) -> None:
    hr = image(metric).double()
    sr = (hr * 0.9).requires_grad_()
    assert not score(metric, pair(sr, hr)).requires_grad


def test_an_unknown_metric_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'psnr'"):
        get_metric("pnsr")
    assert list_metrics("lpips*") == ["lpips", "lpips-vgg"]
    assert len(METRICS) == len(METRIC_NAMES)
