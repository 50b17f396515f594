"""The features of an HR image are computed once for all networks that are measured on it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from srbench.measure import Measure
from srbench.metrics import Truth, get_metric, lpips
from srbench.metrics.lpips import lpips_distance
from srbench.protocol import get_protocol
from srbench.references import References, size_of

pytestmark = [pytest.mark.data, pytest.mark.usefixtures("one_thread")]


@pytest.fixture
def passes(weights_root: Path) -> list[int]:
    """Grows with each pass of the backbone."""
    found: list[int] = []
    network = lpips._network("alex", torch.device("cpu"))
    handle = network.trunk.register_forward_hook(lambda *_: found.append(1))
    yield found  # type: ignore[misc]
    handle.remove()


def noise(seed: int, size: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (1, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_the_second_network_costs_one_pass_and_the_same_bits(passes: list[int]) -> None:
    hr, metric = noise(0), get_metric("lpips")
    reference = metric.prepare(Truth(hr, None, 4))
    assert len(passes) == 1
    scores = [metric.score(noise(seed), reference) for seed in (1, 2, 1)]
    assert len(passes) == 4
    assert torch.equal(scores[0], scores[2])
    for seed, score in zip((1, 2), scores[:2], strict=True):
        assert torch.equal(lpips_distance(noise(seed), hr.clone()), score)


def test_an_evaluation_makes_one_pass_for_hr_within_its_budget(passes: list[int]) -> None:
    size = size_of(get_metric("lpips").prepare(Truth(noise(0), None, 4)))
    values = []
    for budget, expected in ((0, 8), (size, 7), (2 * size, 6)):
        passes.clear()
        references = References(budget)
        for _ in range(2):
            measure = Measure(["lpips"], get_protocol("standard"), 4, references=references)
            for seed in (0, 1):
                measure.add(str(seed), noise(seed + 10), noise(seed), None)
            values.append(measure.scores()["lpips"].values)
        assert len(passes) == expected
        assert references.size <= budget
    assert all(value == values[0] for value in values)
