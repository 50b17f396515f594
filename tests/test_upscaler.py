"""Images through networks: colours, padding, tiles, self-ensemble."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from srbench.errors import InputError, UnavailableError
from srbench.images import imresize, luma, rgb, ycbcr
from srbench.inference import Inference, pick_device
from srbench.models import create_model, get_model
from srbench.upscaler import (
    Traits,
    Upscaler,
    begin,
    for_model,
    network_pass,
    tile_difference,
    tile_overlap,
    upscale,
    upscale_array,
)


def network(name: str, scale: int = 4, **settings: object) -> Upscaler:
    torch.manual_seed(0)
    return for_model(get_model(name), create_model(name, scale), scale, inference=Inference.of(settings))


def image(height: int = 20, width: int = 23, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1))


class Repeat(nn.Module):
    """Enlarges by repetition and fails on sizes that are no multiple of four, as some networks do."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[-1] % 4 == 0
        assert x.shape[-2] % 4 == 0
        return x.repeat_interleave(self.factor, -1).repeat_interleave(self.factor, -2)


def test_a_luma_network_leaves_chroma_to_bicubic() -> None:
    lr = image()
    up = network("espcn", 3)
    sr = upscale(up, lr)
    planes = ycbcr(lr)
    with torch.no_grad():
        expected = torch.cat([up.module(planes[:, :1]), imresize(planes[:, 1:], 3)], dim=1)
    assert torch.allclose(sr, rgb(expected), atol=1e-6)


def test_bicubic_of_rgb_equals_bicubic_of_luma_and_chroma() -> None:
    lr = image()
    bicubic = network("bicubic")
    assert torch.allclose(upscale(bicubic, lr), rgb(upscale(bicubic, ycbcr(lr))), atol=1e-5)


def test_a_gray_image_through_rgb_and_luma_networks() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (12, 16), dtype=np.uint8)
    for name in ("bicubic", "espcn", "msrresnet"):
        out = upscale_array(network(name, 4), gray)
        assert out.shape == (48, 64)
        assert out.dtype == np.uint8
    # gray through bicubic is bicubic of gray, to the rounding
    expected = np.clip(np.floor(imresize(gray.astype(np.float64), 4.0) + 0.5), 0, 255)
    assert np.abs(upscale_array(network("bicubic"), gray).astype(int) - expected).max() <= 1


def test_sizes_are_extended_to_the_multiple_and_cut_back() -> None:
    up = Upscaler(Repeat(), 2, Traits(multiple_of=4))
    for height, width in ((4, 4), (5, 7), (1, 1), (3, 2)):
        lr = image(height, width)
        assert torch.equal(upscale(up, lr), lr.repeat_interleave(2, -1).repeat_interleave(2, -2))


@pytest.mark.parametrize(
    ("name", "tile"),
    [*((n, t) for n in ("fsrcnn", "espcn", "srcnn") for t in (7, 16)), ("edsr_baseline", 16), ("msrresnet", 16)],
)
def test_tiles_equal_the_whole_where_they_overlap_by_the_receptive_field(name: str, tile: int) -> None:
    up = network(name, 2, tile=tile)
    assert tile_overlap(up)[1]
    # float32 sums are taken in another order in convolutions of another size
    assert tile_difference(up, image(40, 50)) < 1e-3


def test_small_overlaps_differ_and_say_so() -> None:
    up = network("edsr_baseline", 2, tile=8, overlap=1)
    assert tile_overlap(up) == (1, False)
    assert tile_difference(up, image(40, 50)) > 1e-3


def test_tiles_respect_the_multiple() -> None:
    up = Upscaler(Repeat(), 2, Traits(multiple_of=4, receptive_radius=1), Inference(tile=6))
    lr = image(21, 30)
    assert torch.equal(upscale(up, lr), lr.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_self_ensemble_is_equivariant() -> None:
    up = network("espcn", 2, ensemble=True)
    lr = image()
    sr = upscale(up, lr)
    assert torch.allclose(upscale(up, lr.flip(-1)), sr.flip(-1), atol=1e-5)
    assert torch.allclose(upscale(up, torch.rot90(lr, 1, (-2, -1))), torch.rot90(sr, 1, (-2, -1)), atol=1e-5)
    assert not torch.allclose(sr, upscale(up.with_(Inference()), lr), atol=1e-4)


@pytest.mark.parametrize("name", ["fsrcnn", "srcnn"])
def test_bf16_and_channels_last_stay_near(name: str) -> None:
    up = network(name)
    lr = image()
    plain = upscale(up, lr)
    assert torch.allclose(upscale(up.with_(Inference(layout="channels_last")), lr), plain, atol=1e-5)
    half = upscale(up.with_(Inference(precision="bf16")), lr)
    assert half.dtype == torch.float32
    assert (half - plain).abs().max() < 0.05


def test_a_network_that_makes_another_size_is_named() -> None:
    with pytest.raises(InputError, match=r"should make \(1, 3, 16, 16\)"):
        upscale(Upscaler(Repeat(3), 4), image(4, 4))


@pytest.mark.parametrize("name", ["fsrcnn_s", "edsr_baseline", "bicubic", "srcnn"])
@pytest.mark.parametrize("channels", [3, 1])
def test_images_are_ended_in_any_thread_and_order(name: str, channels: int) -> None:
    """The network's part of several images first, the rest of each elsewhere and last to first: the same bits."""
    up = network(name, 2)
    images = [image(12, 9 + width, channels) for width in range(3)]
    expected = [upscale(up, one) for one in images]
    ends = [begin(up, one) for one in images]
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda end: end(), reversed(ends)))
    for one, other in zip(expected, reversed(made), strict=True):
        assert torch.equal(one, other)
        assert not other.requires_grad


def test_a_network_that_goes_on_leaves_colours_to_the_thread_that_ends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's thread enlarges no chroma, which is a tenth of a frame of FSRCNN."""
    threads: list[str] = []

    def noted(*given: object, **more: object) -> Tensor:
        threads.append(threading.current_thread().name)
        return imresize(*given, **more)

    monkeypatch.setattr("srbench.upscaler.imresize", noted)
    end = begin(network("espcn"), image())
    assert threads == []
    with ThreadPoolExecutor(1, "ends") as pool:
        pool.submit(end).result()
    assert threads == ["ends_0"]


def test_nan_is_said_by_the_thread_that_ends_an_image() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.repeat(1, 1, 4, 4) / 0.0

    end = begin(Upscaler(Broken(), 4), image())
    with pytest.raises(UnavailableError, match="NaN or infinity") as error:
        end()
    assert error.value.status == "failed"


def test_memory_that_runs_out_is_a_status() -> None:
    class Hungry(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("no memory")

    with pytest.raises(UnavailableError, match="--tile") as error:
        upscale(Upscaler(Hungry(), 4), image())
    assert error.value.status == "oom"


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "mps:0", "xpu"])
def test_devices_that_do_not_exist(name: str) -> None:
    with pytest.raises(InputError, match=name):
        pick_device(name)


def test_luma_path_keeps_the_range() -> None:
    lr = image()
    y = luma((lr * 255).double()) / 255
    assert torch.allclose(ycbcr(lr)[:, :1].double(), y, atol=1e-6)


def test_apple_gpus_are_taken_where_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto").type == "mps"
    assert pick_device("mps").type == "mps"
    with pytest.raises(InputError, match="cpu, mps"):
        pick_device("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto").type == "cpu"
    with pytest.raises(InputError, match="it has cpu"):
        pick_device("mps")


def test_metrics_run_where_there_is_float64() -> None:
    assert Inference(device=torch.device("mps")).metric_device == torch.device("cpu")
    assert Inference(device=torch.device("cuda", 1)).metric_device == torch.device("cuda", 1)
    assert Inference().metric_device == torch.device("cpu")


class NoLength(nn.Upsample):
    """Like a compiled module: it has ``__len__``, which the network behind it does not support."""

    def __len__(self) -> int:
        raise TypeError("does not support len()")


def test_a_compiled_module_is_never_asked_for_its_length() -> None:
    upscaler = Upscaler(NoLength(scale_factor=2), 2)
    x = torch.rand(1, 3, 6, 5)
    assert network_pass(upscaler, x, NoLength(scale_factor=2)).shape == (1, 3, 12, 10)
