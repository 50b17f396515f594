"""LPIPS against its authors' package, and all default metrics for many checkpoints against a loop over BasicSR and that package.

Processor time of one thread, the sides one after the other in each round: other work on the machine slows both. Both sides
have the same AlexNet, and give the same numbers.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from srbench.errors import UnavailableError
from srbench.images import imresize, planar
from srbench.interop.basicsr import import_basicsr
from srbench.measure import DEFAULT_METRICS, Measure
from srbench.metrics import Truth, get_metric
from srbench.metrics._backbones import load_backbone
from srbench.protocol import get_protocol
from srbench.references import References
from tests.benchmarks.conftest import OURS, record

U8 = npt.NDArray[np.uint8]
SCALE, IMAGES, CHECKPOINTS = 4, 4, 10

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def package() -> Callable[[U8, U8], float]:
    """LPIPS by the package, from two uint8 images ``(H, W, 3)``."""
    import lpips

    try:
        state = load_backbone("alexnet")[0].state_dict()
    except UnavailableError as error:
        pytest.skip(error.reason)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    for part in range(1, 6):
        trunk = getattr(network.net, f"slice{part}")
        trunk.load_state_dict({key: state[key] for key in trunk.state_dict()})

    def distance(sr: U8, hr: U8) -> float:
        with torch.no_grad():
            return float(network(*(lpips.im2tensor(image) for image in (sr, hr))).item())

    return distance


def turns(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """As ``take_turns``, in processor time."""
    times: dict[str, list[float]] = {who: [] for who in sides}
    for counted in (False, *[True] * rounds):
        for who, side in sides.items():
            start = time.process_time()
            side()
            if counted:
                times[who].append(time.process_time() - start)
    return times


@pytest.mark.parametrize(("kept", "target"), [(False, 1.5), (True, 3.0)], ids=["cold", "prepared"])
def test_lpips_2k(benchmark: Any, images_2k: tuple[U8, U8], package: Any, kept: bool, target: float) -> None:
    sr, hr = images_2k
    metric, made, truth = get_metric("lpips"), planar(sr), Truth(planar(hr), None, SCALE)
    reference = metric.prepare(truth)

    def ours() -> float:
        return metric.score(made, reference if kept else metric.prepare(truth)).item()

    assert ours() == pytest.approx(package(sr, hr), abs=1e-5)
    times = benchmark.pedantic(turns, ({OURS: ours, "lpips": lambda: package(sr, hr)}, 5), rounds=1)
    case = f"LPIPS of 2040×1356, {'HR prepared' if kept else 'both images'}"
    assert record(benchmark, case, times, target) >= target


def checkpoints(hr: U8) -> Iterator[U8]:
    """What several networks might have made of an image."""
    rng = np.random.default_rng(1)
    for number in range(CHECKPOINTS):
        noise = rng.standard_normal(hr.shape, dtype=np.float32) * (2 + number / 4)
        yield np.clip(hr + noise, 0, 255).round().astype(np.uint8)


def test_default_metrics_of_ten_checkpoints(benchmark: Any, images_2k: tuple[U8, U8], package: Any) -> None:
    """The time of metrics alone, from images in memory; ours as an evaluation measures, checkpoint after checkpoint."""
    hrs = [np.ascontiguousarray(np.roll(images_2k[1], 97 * shift, axis=1)) for shift in range(IMAGES)]
    lrs = [imresize(hr, 1 / SCALE) for hr in hrs]
    metrics = import_basicsr("basicsr.metrics")
    resize = import_basicsr("basicsr.utils.matlab_functions").imresize
    chosen = get_protocol("standard")
    references = References()
    spent: dict[str, list[float]] = {OURS: [], "basicsr + lpips": []}

    def ours(number: int, sr: U8) -> dict[str, float | None]:
        measure = Measure(DEFAULT_METRICS, chosen, SCALE, references=references)
        measure.add(str(number), planar(sr), planar(hrs[number]), planar(lrs[number]))
        return {name: scores.values[0] for name, scores in measure.scores().items()}

    def theirs(number: int, sr: U8) -> dict[str, float | None]:
        hr, options = hrs[number], {"crop_border": SCALE, "test_y_channel": True}
        bgr = sr[..., ::-1], hr[..., ::-1]
        small = np.clip(resize(sr.astype(np.float32) / 255, 1 / SCALE) * 255, 0, 255).round().astype(np.uint8)
        return {
            "psnr": metrics.calculate_psnr(*bgr, **options),
            "ssim": metrics.calculate_ssim(*bgr, **options),
            "lpips": package(sr, hr),
            "lr-psnr": metrics.calculate_psnr(small, lrs[number], crop_border=0),
        }

    def all_of_them() -> None:
        made = [list(checkpoints(hr)) for hr in hrs]
        for checkpoint in range(CHECKPOINTS):
            sums = dict.fromkeys(spent, 0.0)
            for number in range(IMAGES):
                found = []
                for who, side in ((OURS, ours), ("basicsr + lpips", theirs)):
                    start = time.process_time()
                    found.append(side(number, made[number][checkpoint]))
                    sums[who] += time.process_time() - start
                for name, tolerance in (("psnr", 1e-5), ("ssim", 1e-6), ("lpips", 1e-5), ("lr-psnr", 0.5)):
                    assert found[0][name] == pytest.approx(found[1][name], abs=tolerance)
            for who, seconds in sums.items():
                spent[who].append(seconds)

    benchmark.pedantic(all_of_them, rounds=1)
    totals = {who: [sum(times)] for who, times in spent.items()}  # the first checkpoint's preparation counts
    case = f"PSNR, SSIM, LPIPS, LR-PSNR: {CHECKPOINTS} checkpoints, {IMAGES} images of 2040×1356"
    assert record(benchmark, case, totals, 3.0) >= 3.0
    assert references.size <= references.budget


def test_the_features_of_four_2k_images_fit_in_the_default_budget(benchmark: Any, images_2k: tuple[U8, U8]) -> None:
    """What 1 GiB is for: an image's features and luma are given beside it."""
    from srbench.references import size_of

    hr: Tensor = planar(images_2k[1])
    try:
        features = benchmark.pedantic(lambda: size_of(get_metric("lpips").prepare(Truth(hr, None, SCALE))), rounds=1)
    except UnavailableError as error:
        pytest.skip(error.reason)
    assert IMAGES * (features + 8 * hr[0, 0].numel()) < 2**30
