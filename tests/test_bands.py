"""Large images in bands and rows: the same bits as of the whole, and memory that does not hold it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import srbench.bands as bands
import srbench.measure as measuring
from srbench.bands import can_band, in_bands, is_exact, upscaled
from srbench.errors import UnavailableError
from srbench.evaluation.quality import super_resolve
from srbench.images import imresize, read_image, resize_rows, rows_agree, write_image
from srbench.inference import Inference
from srbench.measure import Measure
from srbench.models import MODELS, Model, create_model, get_model
from srbench.protocol import get_protocol
from srbench.upscaler import Traits, Upscaler, for_model, upscale
from tests.benchmarks.memory import evaluated, large_image, set_of, used
from tests.builders import smooth

SMALL = [
    model
    for model in MODELS
    if model.interpolator or (2 in model.scales and 0 < model.parameters.get(2, 0) < 2_000_000)
]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("method", ["bicubic", "lanczos"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_of_a_resize_are_those_of_the_whole(scale: int, method: str, dtype: torch.dtype) -> None:
    seen = 0
    for channels, height, width in ((1, 5, 7), (3, 40, 33), (1, 61, 50), (2, 96, 31)):
        if not rows_agree(channels * scale * height):
            continue
        seen += 1
        image = torch.rand(1, channels, height, width, dtype=dtype, generator=torch.Generator().manual_seed(height))
        for edges in ("mirror", "clamp"):
            whole = imresize(image, float(scale), edges=edges, method=method)
            cuts = range(0, scale * height, 23)
            parts = [
                resize_rows(
                    lambda rows, image=image: image[..., rows, :],
                    height,
                    scale,
                    slice(top, min(top + 23, scale * height)),
                    edges,
                    method,
                )
                for top in cuts
            ]
            assert torch.equal(torch.cat(parts, dim=-2), whole)
    assert seen >= 2


@pytest.mark.slow
@pytest.mark.parametrize("model", SMALL, ids=lambda model: model.name)
def test_bands_of_every_network_are_the_whole_or_are_not_used(model: Model) -> None:
    upscaler = for_model(model, create_model(model.name, 2), 2)
    lr = torch.rand(1, 3, 136, 104, generator=torch.Generator().manual_seed(0))
    if not is_exact(upscaler, lr):
        pytest.skip("goes through as a whole")
    parts = [band.clone() for _, band in in_bands(upscaler, lr, rows=64, columns=48)]
    assert torch.equal(torch.cat(parts, dim=-2), upscale(upscaler, lr))


class Mean(nn.Module):
    """Sees the whole image, whatever is said of it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(x, scale_factor=2) - x.mean()


def test_what_is_not_known_to_be_equal_goes_through_as_a_whole() -> None:
    lr = torch.rand(1, 3, 48, 40)
    model = get_model("fsrcnn")
    known = for_model(model, create_model("fsrcnn", 2), 2)
    assert is_exact(known, lr)
    assert not is_exact(known.with_(Inference(tile=16)), lr)
    assert not is_exact(known.with_(Inference(ensemble=True)), lr)
    assert not is_exact(Upscaler(Mean(), 2, Traits(receptive_radius=1)), lr), "it sees more than it says"
    assert not is_exact(Upscaler(Mean(), 2, Traits()), lr), "it does not say what it sees"
    assert not can_band(known, lr), "small images need none"


@pytest.mark.parametrize("name", ["bicubic", "fsrcnn", "srcnn", "espcn"])
@pytest.mark.parametrize("protocol", ["standard", "classic", "rgb", "carn", "lapsrn"])
def test_what_is_measured_does_not_depend_on_bands(name: str, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = get_protocol(protocol)
    upscaler = for_model(get_model(name), create_model(name, 2), 2)
    channels = 1 if chosen.y_only else 3
    lr = torch.randint(0, 256, (1, channels, 96, 88), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    lr = lr.double() if chosen.lr != "uint8" else lr
    hr = torch.randint(0, 256, (1, channels, 192, 176), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    found = []
    for large in (False, True):
        if large:
            made_small(monkeypatch)
            monkeypatch.setattr(measuring, "LARGE", 100)
            assert can_band(upscaler, lr)
        measure = Measure(["psnr", "ssim"], chosen, 2)
        sr = super_resolve(upscaler, lr, chosen)
        measure.add("a", sr, hr, lr)
        found.append((sr, {metric: scores.values for metric, scores in measure.scores().items()}))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_an_image_is_read_strip_by_strip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srbench.imagefile._STRIP", 7)
    for image in (smooth(40, 30), smooth(40, 30)[..., 0]):
        write_image(tmp_path / "a.png", image)
        assert np.array_equal(read_image(tmp_path / "a.png"), image)


def made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bands for small images, and small ones."""
    monkeypatch.setattr(bands, "LARGE", 100)
    monkeypatch.setattr(bands, "_BAND", 48)
    monkeypatch.setattr(bands, "_INTERPOLATED", 24)
    monkeypatch.setattr(bands, "_COLOURED", 7)
    monkeypatch.setattr(bands, "_COLUMNS", 40)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["bicubic", "nearest", "fsrcnn", "srcnn", "edsr_baseline"])
@pytest.mark.parametrize(("height", "width"), [(97, 83), (97, 96), (110, 112)])
def test_an_upscaled_array_does_not_depend_on_bands(
    name: str, scale: int, height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "edsr_baseline":
        upscaler = for_model(get_model(name), create_model(name, scale, blocks=1, features=8), scale)
    else:
        upscaler = for_model(get_model(name), create_model(name, scale), scale)
    image = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    whole = upscaler(image)
    made_small(monkeypatch)
    assert np.array_equal(upscaled(upscaler, image), whole)


def test_odd_sizes_go_in_bands_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test before would compare the whole with itself."""
    made_small(monkeypatch)
    for name in ("bicubic", "fsrcnn", "srcnn"):
        upscaler = for_model(get_model(name), create_model(name, 4), 4)
        assert can_band(upscaler, torch.zeros(1, 3, 100, 84, dtype=torch.uint8))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_no_part_is_so_narrow_that_sums_come_in_another_order(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In floats, as rounding hides most of it; a rest of one row or column was computed by other kernels."""
    monkeypatch.setattr(bands, "LARGE", 100)
    upscaler = for_model(get_model("fsrcnn"), create_model("fsrcnn", scale), scale)
    for height, width in ((112, 496), (208, 480), (200, 961)):
        lr = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(height))
        if not can_band(upscaler, lr):
            agree = rows_agree(height * scale) and rows_agree(2 * height * scale)
            assert not agree or width * scale % 16 or height * scale % 16
            continue
        parts = [band.clone() for _, band in in_bands(upscaler, lr)]
        assert torch.equal(torch.cat(parts, dim=-2), upscale(upscaler, lr))


class Spoilt(nn.Module):
    """NaN in one place."""

    receptive_radius = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(x, scale_factor=2).masked_fill(x.max() > 0.999, float("nan"))


def test_nan_in_a_band_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((96, 64, 3), np.uint8)
    image[90, 60] = 255
    made_small(monkeypatch)
    monkeypatch.setattr(bands, "is_exact", lambda *_: True)  # what it makes of the small image is NaN already
    with pytest.raises(UnavailableError, match="NaN or infinity in "):
        upscaled(Upscaler(Spoilt(), 2, Traits(receptive_radius=0)), image)


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the bytes of ru_maxrss and of libraries are Linux's")


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize("name", ["bicubic", "fsrcnn_x4.tuned"])
def test_8k_takes_less_than_a_gigabyte(name: str, tmp_path: Path) -> None:
    images = large_image(tmp_path / "8k")
    assert evaluated(name, images, tmp_path / "results").peak < 1e9
    write_image(tmp_path / "small.png", np.ascontiguousarray(read_image(images / "large.png")[::4, ::4]))
    scale = [] if "_x" in name else ["--scale", 4]
    assert used("upscale", tmp_path / "small.png", tmp_path / "sr.png", "--checkpoint", name, *scale).peak < 1e9


@LINUX
@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    few, many = (
        evaluated("bicubic", set_of(tmp_path / f"{count}", count), tmp_path / f"r{count}", "--cache-memory", 0.03).peak
        for count in (6, 24)
    )
    assert many < 1.04 * few, f"{few / 1e9:.3f} GB, then {many / 1e9:.3f} GB: 18 more images are 150 MB"
