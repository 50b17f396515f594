"""Where ImageNet weights are looked for, and that nothing else is ever used in their place."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from srbench.errors import UnavailableError, UnknownNameError
from srbench.metrics import _backbones as backbones
from srbench.metrics import get_metric
from srbench.metrics.lpips import lpips_distance


@pytest.fixture
def state() -> dict[str, Tensor]:
    """AlexNet's convolutions in torchvision's key layout, with values of no meaning."""
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    weights = {f"features.{layer}.weight": torch.full(shape, 0.001 * layer) for layer, shape in shapes.items()}
    return weights | {f"features.{layer}.bias": torch.zeros(shape[0]) for layer, shape in shapes.items()}


class Downloads:
    """What pooch's downloader is asked for, and what it answers."""

    def __init__(self) -> None:
        self.answer: bytes | Exception = ConnectionError("no route")
        self.asked: list[str] = []
        self.timeouts: list[float] = []

    def __call__(self, timeout: float, chunk_size: int) -> Any:
        self.timeouts.append(timeout)
        return self.fetch

    def fetch(self, url: str, target: BinaryIO, _pooch: None) -> None:
        self.asked.append(url)
        if isinstance(self.answer, Exception):
            target.write(b"half a fi")
            raise self.answer
        target.write(self.answer)


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Downloads]:
    """An empty cache of torchvision's, no SRBENCH_WEIGHTS, and a network that does not answer."""
    import pooch

    found = Downloads()
    monkeypatch.setattr(pooch, "HTTPDownloader", found)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv("SRBENCH_WEIGHTS", raising=False)
    backbones._download.cache_clear()
    yield found
    backbones._download.cache_clear()


def know(monkeypatch: pytest.MonkeyPatch, content: bytes, safetensors: bytes = b"") -> backbones._Source:
    """Let ``alexnet`` be these bytes."""
    digest = hashlib.sha256(content).hexdigest()
    source = dataclasses.replace(
        backbones._SOURCES["alexnet"],
        file=f"alexnet-owt-{digest[:8]}.pth",
        safetensors=hashlib.sha256(safetensors).hexdigest(),
    )
    monkeypatch.setitem(backbones._SOURCES, "alexnet", source)
    return source


def as_pth(state: dict[str, Tensor], tmp_path: Path) -> bytes:
    path = tmp_path / "made.pth"
    torch.save(state | {"classifier.6.bias": torch.zeros(1000)}, path)
    return path.read_bytes()


def test_nowhere_to_be_had_says_where_it_was_looked_for_and_both_ways_to_mend_it(
    downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(UnavailableError) as caught:
        backbones.load_backbone("alexnet")
    assert caught.value.status == "unavailable"
    for part in (
        "SRBENCH_WEIGHTS",
        "alexnet_features.safetensors",
        "torchvision's cache",
        "download.pytorch.org",
        "Connection",
    ):
        assert part in caught.value.reason
    assert "\n" not in caught.value.reason
    assert str(tmp_path) not in caught.value.reason


def test_a_network_that_does_not_answer_is_asked_once_and_leaves_nothing(downloads: Downloads, tmp_path: Path) -> None:
    for _ in range(3):
        with pytest.raises(UnavailableError):
            backbones.load_backbone("vgg16")
    assert len(downloads.asked) == 1
    assert max(downloads.timeouts) <= 10
    assert list((tmp_path / "hub" / "checkpoints").iterdir()) == []


def test_no_metric_scores_without_its_backbone(downloads: Downloads) -> None:
    from srbench.metrics.lpips import _network

    _network.cache_clear()
    for net in ("alex", "vgg"):
        with pytest.raises(UnavailableError):
            lpips_distance(torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64), net)
    assert get_metric("lpips").name == "lpips"


def test_weights_of_unknown_content_are_refused(
    downloads: Downloads, state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right keys and shapes are not enough: random weights have them as well."""
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    save_file(state, tmp_path / "alexnet_features.safetensors")
    with pytest.raises(
        UnavailableError, match=r"alexnet_features\.safetensors in .* has sha256 \w{16}…, expected 9a78aa31"
    ):
        backbones.load_backbone("alexnet")


def test_a_download_is_verified_kept_and_used_again(
    downloads: Downloads, state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads.answer = as_pth(state, tmp_path)
    source = know(monkeypatch, downloads.answer)
    for _ in range(2):
        features, path = backbones.load_backbone("alexnet")
    assert downloads.asked == [source.url]
    assert path == str(tmp_path / "hub" / "checkpoints" / source.file)
    assert isinstance(features, nn.Sequential)
    assert not features.training
    assert not any(p.requires_grad for p in features.parameters())
    assert torch.equal(features[3].weight, state["features.3.weight"])


def test_a_wrong_download_is_thrown_away(downloads: Downloads, tmp_path: Path) -> None:
    downloads.answer = b"<html>log in to this network</html>"
    with pytest.raises(UnavailableError, match="expected sha256 7be5be79"):
        backbones.load_backbone("alexnet")
    assert list((tmp_path / "hub" / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_srbench_weights_comes_first(
    downloads: Downloads, state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    save_file(state, own / "alexnet_features.safetensors")
    pth = as_pth(state, tmp_path)
    source = know(monkeypatch, pth, (own / "alexnet_features.safetensors").read_bytes())
    cached = tmp_path / "hub" / "checkpoints" / source.file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(pth)
    assert backbones.load_backbone("alexnet")[1] == str(cached)
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(own))
    if kind == "pth":
        (own / "alexnet_features.safetensors").unlink()
        (own / source.file).write_bytes(pth)
    assert Path(backbones.load_backbone("alexnet")[1]).parent == own
    assert downloads.asked == []


def test_weights_of_another_network_are_refused(
    downloads: Downloads, state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del state["features.10.bias"]
    downloads.answer = as_pth(state, tmp_path)
    know(monkeypatch, downloads.answer)
    with pytest.raises(UnavailableError, match=r"does not fit alexnet: .*10\.bias"):
        backbones.load_backbone("alexnet")


def test_an_unknown_backbone_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'vgg19'"):
        backbones.load_backbone("vgg-19")


@pytest.mark.data
@pytest.mark.usefixtures("weights_root")
@pytest.mark.parametrize(("name", "layers", "parameters"), [("alexnet", 13, 2_469_696), ("vgg16", 31, 14_714_688)])
def test_the_real_weights_fit(name: str, layers: int, parameters: int) -> None:
    state = torch.get_rng_state()
    features, path = backbones.load_backbone(name)
    assert len(features) == layers
    assert sum(p.numel() for p in features.parameters()) == parameters
    assert path.endswith((".safetensors", ".pth"))
    assert torch.equal(torch.get_rng_state(), state), "loading draws no random number"
