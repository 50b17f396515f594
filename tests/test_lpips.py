"""The features of an HR image are computed once for all networks that are measured on it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from srbench.metrics import lpips
from srbench.metrics.lpips import lpips_distance

pytestmark = [pytest.mark.data, pytest.mark.usefixtures("one_thread")]


@pytest.fixture
def passes(weights_root: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each pass of the backbone; no features are kept at the start."""
    found: list[int] = []
    network = lpips._network("alex", torch.device("cpu"))
    handle = network.net.register_forward_hook(lambda *_: found.append(1))  # type: ignore[union-attr]
    monkeypatch.setattr(lpips, "_truths", type(lpips._truths)())
    monkeypatch.setattr(lpips, "_network", lambda net, device: network)
    yield found  # type: ignore[misc]
    handle.remove()


def noise(seed: int, size: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (1, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_the_second_network_costs_one_pass(passes: list[int]) -> None:
    hr = noise(0)
    first = lpips_distance(noise(1), hr)
    assert len(passes) == 2
    assert torch.equal(lpips_distance(noise(1), hr), first)
    assert len(passes) == 3
    lpips_distance(noise(2), hr.clone())
    assert len(passes) == 4, "known by its content, wherever it lies"


def test_a_changed_image_is_another_one(passes: list[int]) -> None:
    hr, sr = noise(0), noise(1)
    before = lpips_distance(sr, hr)
    hr[..., :32] = 0
    after = lpips_distance(sr, hr)
    assert len(passes) == 4
    assert not torch.equal(before, after)


def test_memory_is_bounded(passes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    lpips_distance(noise(1), noise(0))
    one = sum(lpips._size(kept) for kept in lpips._truths.values())
    monkeypatch.setattr(lpips, "_KEPT_BYTES", 2 * one)
    for seed in (2, 3, 0):
        lpips_distance(noise(1), noise(seed))
    assert len(lpips._truths) == 2
    assert len(passes) == 8, "the first was forgotten for the third"
    lpips_distance(noise(1, 128), noise(0, 128))
    assert len(lpips._truths) == 2, "one that is too large leaves the others alone"
