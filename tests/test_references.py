"""What metrics prepare of HR is kept within a budget, and changes no bit of a score; metrics of pairs go on working."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from srbench.errors import InputError
from srbench.measure import Measure
from srbench.metrics import METRICS, Metric, Pair, Truth, list_metrics
from srbench.metrics._images import Rows
from srbench.protocol import get_protocol
from srbench.references import CACHE_MEMORY, References, cache_memory, size_of

pytestmark = pytest.mark.usefixtures("one_thread")


def image(seed: int, size: int = 180) -> Tensor:
    return torch.randint(0, 256, (1, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def made(count: int, seconds: float = 0.0) -> Tensor:
    time.sleep(seconds)
    return torch.zeros(count, dtype=torch.uint8)


def test_a_thing_is_made_once_and_never_beyond_the_budget() -> None:
    references = References(100)
    first = references.get("a", lambda: made(60))
    assert references.get("a", lambda: made(1)) is first
    assert len(references.get("b", lambda: made(101))) == 101
    assert references.size == 60
    assert len(references.get("b", lambda: made(3))) == 3, "what did not fit is made again"


def test_what_takes_long_to_make_drives_out_what_does_not() -> None:
    references = References(100)
    references.get("quick", lambda: made(80))
    slow = references.get("slow", lambda: made(80, 0.05))
    assert references.get("slow", lambda: made(1)) is slow
    assert len(references.get("quick", lambda: made(2))) == 2
    references = References(100)
    kept = [references.get(name, lambda: made(50, 0.02)) for name in "abc"]
    assert [references.get(name, lambda: made(1)) is there for name, there in zip("abc", kept, strict=True)] == [
        True,
        True,
        False,
    ], "equals stay: the third would come round after the first were forgotten"


def test_an_error_is_not_kept() -> None:
    references = References(100)
    with pytest.raises(InputError):
        references.get("a", lambda: (_ for _ in ()).throw(InputError("too small")))
    assert len(references.get("a", lambda: made(1))) == 1


@dataclass(frozen=True)
class Two:
    whole: Tensor
    parts: dict[str, list[Tensor]]


def test_memory_is_that_of_all_tensors_shared_ones_once() -> None:
    whole = torch.zeros(10, 10)
    assert size_of((whole, whole[:2])) == 400
    assert size_of(Two(whole, {"a": [whole.T, torch.zeros(3, dtype=torch.float64)]})) == 424
    assert size_of(torch.zeros(1).expand(1000)) == 4
    assert size_of(("text", 3, None)) == 0


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf", "1e9"])
def test_a_budget_that_is_no_number_of_gib_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_MEMORY, text)
    with pytest.raises(InputError, match=f"{CACHE_MEMORY} = '{text}'; expected a number of GiB"):
        cache_memory()


def test_the_environment_rules_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_MEMORY, raising=False)
    assert References().budget == 2**30
    monkeypatch.setenv(CACHE_MEMORY, "0.5")
    assert References().budget == 2**29
    monkeypatch.setenv(CACHE_MEMORY, "0")
    assert References().budget == 0


@pytest.mark.parametrize("protocol", ["standard", "rgb", "classic"])
def test_kept_references_change_no_bit(protocol: str) -> None:
    chosen = get_protocol(protocol)
    shape = slice(0, 1) if chosen.y_only else slice(0, 3)
    scores = []
    for references in (None, References(2**30)):
        for _ in range(2):
            measure = Measure(list_metrics(), chosen, 4, references=references)
            for seed in (0, 1):
                hr = image(seed)[:, shape]
                measure.add(str(seed), image(seed + 10)[:, shape], hr, hr[..., ::4, ::4])
            scores.append({name: found.values for name, found in measure.scores().items()})
    assert scores[1:] == scores[:1] * 3
    assert scores[0]["psnr"]


@pytest.fixture
def brightness(monkeypatch: pytest.MonkeyPatch) -> Metric:
    """A metric as a package of before would register it."""

    def score(pair: Pair) -> Tensor:
        assert pair.lr is not None
        assert pair.scale == 4
        return (pair.sr.double().mean((1, 2, 3)) - pair.hr.double().mean((1, 2, 3))).abs()

    old = Metric("brightness", score, "rgb", "full", "", False, 2, 1, "difference of means", "2026")
    monkeypatch.setitem(METRICS._things, old.name, old)
    return old


def test_a_metric_of_pairs_is_measured_as_before(brightness: Metric) -> None:
    sr, hr = image(0), image(1)
    expected = abs(sr.double().mean() - hr.double().mean()).item()
    for metric in (brightness, replace(brightness, version=2)):
        assert metric(Pair(sr, hr, hr[..., ::4, ::4], 4)).item() == pytest.approx(expected)
    measure = Measure(["brightness"], get_protocol("standard"), 4, references=References(2**20))
    measure.add("a", sr, hr, hr[..., ::4, ::4])
    assert measure.scores()["brightness"].values == [pytest.approx(expected)]


def test_scales_and_protocols_have_references_of_their_own() -> None:
    references = References(2**30)
    sr, hr = image(0), image(1)
    for name, scale in (("standard", 4), ("standard", 2), ("rgb", 4)):
        kept, alone = (Measure(["psnr", "ssim"], get_protocol(name), scale, references=r) for r in (references, None))
        for measure in (kept, alone):
            measure.add("a", sr, hr, None)
        assert kept.scores() == alone.scores()


def test_a_reference_of_another_size_is_refused() -> None:
    for name in ("psnr", "ssim", "vif"):
        metric = METRICS.get(name)
        reference = metric.prepare(Truth(image(0, 64), None, 4))
        with pytest.raises(InputError, match=f"^{name}: SR is 1×3×60×60 and HR is 1×3×64×64"):
            metric.score(image(1, 60), reference)


def test_rows_of_a_large_image_count_as_the_image_that_they_hold() -> None:
    image = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    assert size_of(Rows(image, lambda rows: rows.double())) == image.numel()


def test_arrays_count_as_the_memory_that_they_hold() -> None:
    whole = np.zeros((10, 10), np.uint8)
    assert size_of(whole[:2]) == 100, "a view holds all of it"
    assert size_of([whole, whole[2:], torch.from_numpy(whole)]) == 100, "and what is shared counts once"


def test_a_large_image_that_does_not_fit_is_a_status_and_the_other_metrics_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("srbench.measure.LARGE", 100)
    hr, lr = image(1), image(2, 45)
    for free, status in ((2**40, ("ok", "unavailable")), (180 * 180 * 110, ("oom",))):
        monkeypatch.setattr("srbench.measure.free_memory", lambda free=free: free)
        measure = Measure(["lpips", "psnr"], get_protocol("standard"), 4)
        measure.add("one", image(3), hr, lr)
        found = measure.scores()
        assert found["lpips"].status in status
        assert found["psnr"].status == "ok"
    assert found["lpips"].reason == "one: lpips takes about 0.0 GiB on 180×180 pixels, and 0.0 GiB are free"
