"""Networks that are compiled, or replayed as CUDA graphs: the same images, whatever their sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from srbench.errors import UnavailableError
from srbench.graphs import Replayed
from srbench.inference import Inference
from srbench.models import create_model, get_model
from srbench.upscaler import Upscaler, for_model, upscale

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def network(name: str = "espcn", device: str = "cpu") -> Upscaler:
    torch.manual_seed(0)
    return for_model(get_model(name), create_model(name, 2), 2, inference=Inference(device))


def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(1, 3, height, width, generator=generator) for height, width in ((20, 23), (17, 9), (20, 23))]


def test_a_graph_is_captured_once_a_size_and_fed_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a graph does, the stand-in reads its input where it lay and writes its output where it lies."""
    captured: list[tuple[int, ...]] = []

    def stand_in(once: Callable[[], Tensor]) -> Callable[[], Tensor]:
        out = once()
        captured.append(tuple(out.shape))
        return lambda: out.copy_(once())

    monkeypatch.setattr("srbench.graphs.captured", stand_in)
    plain = nn.Upsample(scale_factor=2)
    replayed = Replayed(plain)
    made = [replayed(x) for x in images()]
    assert [torch.equal(a, plain(x)) for a, x in zip(made, images(), strict=True)] == [True] * 3
    assert len(captured) == 2, "two sizes"
    for side in range(1, 20):
        replayed(torch.zeros(1, 1, side, side))
    assert len(replayed._graphs) <= 8, "graphs hold memory"


def test_a_graph_on_a_cpu_is_a_status() -> None:
    up = network()
    with pytest.raises(UnavailableError, match="needs a GPU") as error:
        upscale(up.with_(Inference(graph=True)), images()[0])
    assert error.value.status == "unavailable"


@pytest.mark.slow
@pytest.mark.parametrize("inference", [Inference(compile=True), Inference(compile=True, tile=8)])
def test_a_compiled_network_makes_the_same_images_of_any_size(inference: Inference) -> None:
    up = network()
    compiled = up.with_(inference)
    for x in images():
        assert torch.allclose(upscale(compiled, x), upscale(up, x), atol=1e-5)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize(
    "text", ["cuda_graph", "tile8+cuda_graph", "fused+fp16+channels_last+cuda_graph", "ensemble+cuda_graph"]
)
@pytest.mark.parametrize("name", ["espcn", "srcnn", "edsr_baseline"])
def test_a_graph_makes_the_same_images_of_any_size(name: str, text: str) -> None:
    up = network(name, "cuda")
    way = replace(Inference.parse(text), device="cuda")
    for x in images():
        whole = upscale(up.with_(replace(way, graph=False)), x)
        assert torch.allclose(upscale(up.with_(way), x), whole, atol=1e-3 if "fp16" in text else 1e-5)
