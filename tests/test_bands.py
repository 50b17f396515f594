"""Large images in bands and rows: the same bits as of the whole, and memory that does not hold it."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import srbench.bands as bands
import srbench.measure as measuring
from srbench.bands import can_band, in_bands, is_exact, upscaled
from srbench.errors import UnavailableError
from srbench.evaluation.quality import super_resolve
from srbench.images import imresize, read_image, resize_rows, write_image
from srbench.inference import Inference
from srbench.measure import Measure
from srbench.models import MODELS, Model, create_model, get_model
from srbench.protocol import get_protocol
from srbench.upscaler import Traits, Upscaler, for_model, upscale
from tests.benchmarks.memory import evaluated, large_image, set_of, used, used_by
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
    for channels, height, width in ((1, 5, 7), (3, 40, 33), (1, 61, 50), (2, 96, 31), (2, 99, 39), (3, 103, 134)):
        image = torch.rand(1, channels, height, width, dtype=dtype, generator=torch.Generator().manual_seed(height))
        for edges in ("mirror", "clamp"):
            whole = imresize(image, float(scale), edges=edges, method=method)
            for rows in cuts(scale * height, 23):
                part = resize_rows(rows_of(image), height, scale, rows, edges, method)
                assert torch.equal(part, whole[..., rows, :]), (channels, height, width, rows)


def cuts(length: int, side: int) -> list[slice]:
    """An axis in parts."""
    return [slice(first, min(first + side, length)) for first in range(0, length, side)]


def rows_of(image: torch.Tensor) -> bands.Rows:
    """Rows of an image, in memory as all of them are."""
    return lambda rows: image[..., rows, :].contiguous()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    scale=st.sampled_from([2, 3, 4]),
    channels=st.integers(1, 3),
    height=st.integers(64, 160),
    width=st.integers(3, 160),
    double=st.booleans(),
    first=st.integers(0, 600),
)
def test_any_rows_of_any_size(scale: int, channels: int, height: int, width: int, double: bool, first: int) -> None:
    """Float64 tells alignments of planes apart that float32 does not."""
    dtype = torch.float64 if double else torch.float32
    image = torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(width)).to(dtype)
    rows = slice(first % (scale * height), min(first % (scale * height) + 50, scale * height))
    whole = imresize(image, float(scale))[..., rows, :]
    assert torch.equal(resize_rows(rows_of(image), height, scale, rows), whole)


@pytest.fixture(scope="module")
def banded() -> dict[tuple[str, int], Upscaler]:
    """Small networks of each kind: luma, pre-upsampled, RGB; and interpolators."""
    made = {(name, s): for_model(get_model(name), create_model(name, s), s) for name in CHEAP for s in (2, 3, 4)}
    few = {s: create_model("edsr_baseline", s, blocks=1, features=8) for s in (2, 3, 4)}
    return made | {("edsr", s): for_model(get_model("edsr_baseline"), few[s], s) for s in (2, 3, 4)}


CHEAP = ("bicubic", "lanczos", "fsrcnn", "espcn", "srcnn")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    name=st.sampled_from((*CHEAP, "edsr")),
    scale=st.sampled_from([2, 3, 4]),
    channels=st.sampled_from([1, 3]),
    height=st.integers(112, 160) | st.sampled_from([113, 127, 131, 149, 157]),
    width=st.integers(96, 150) | st.sampled_from([97, 101, 113, 127, 131, 149]),
    interleaved=st.booleans(),
)
def test_bands_of_images_of_any_size_are_the_whole(
    name: str, scale: int, channels: int, height: int, width: int, interleaved: bool, banded: dict[Any, Upscaler]
) -> None:
    """Floats, bit by bit: rounding hides most of what kernels at the end of an axis do otherwise."""
    side = 80 if name == "edsr" else 48  # torch convolves fewer than 20480 samples itself
    if name == "edsr":
        height, width = height + 64, width + 64
    upscaler = banded[name, scale]
    lr = torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(height))
    if interleaved:
        lr = lr.contiguous(memory_format=torch.channels_last)
    parts = [band.clone() for _, band in in_bands(upscaler, lr, rows=side, columns=side)]
    assert len(parts) >= 2
    assert torch.equal(torch.cat(parts, dim=-2), upscale(upscaler, lr))


@pytest.mark.parametrize(
    ("length", "side", "reach", "step"),
    [(1081, 192, 8, 1), (97, 30, 37, 4), (45, 48, 8, 1), (333, 96, 12, 6), (500, 20, 64, 64)],
)
def test_parts_of_an_axis_cover_it_and_what_they_see_is_aligned(length: int, side: int, reach: int, step: int) -> None:
    parts = list(bands._parts(length, side, reach, step))
    assert [0, *(part.stop for part in parts)] == [*(part.start for part in parts), length]
    for part in parts:
        assert part.first % math.lcm(16, step) == 0
        assert (length - part.last) % 16 == 0
        assert part.first == max(0, part.start - reach)
        assert min(part.stop + reach, length) <= part.last <= length


@pytest.mark.slow
@pytest.mark.parametrize("model", SMALL, ids=lambda model: model.name)
def test_bands_of_every_network_are_the_whole_or_are_not_used(model: Model) -> None:
    upscaler = for_model(model, create_model(model.name, 2), 2)
    lr = torch.rand(1, 3, 211, 197, generator=torch.Generator().manual_seed(0))
    if not is_exact(upscaler, lr):
        pytest.skip("goes through as a whole")
    parts = [band.clone() for _, band in in_bands(upscaler, lr, rows=80, columns=80)]
    assert torch.equal(torch.cat(parts, dim=-2), upscale(upscaler, lr))


class Mean(nn.Module):
    """Sees the whole image, whatever is said of it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(x, scale_factor=2) - x.mean()


def test_what_is_not_known_to_be_equal_goes_through_as_a_whole() -> None:
    lr = torch.rand(1, 3, 161, 181)
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
            monkeypatch.setattr(bands, "_LEAST", 1)
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


def made_small(monkeypatch: pytest.MonkeyPatch, rows: int = 48, columns: int = 40) -> None:
    """Bands for small images, and small ones."""
    monkeypatch.setattr(bands, "LARGE", 100)
    monkeypatch.setattr(bands, "_BAND", rows)
    monkeypatch.setattr(bands, "_INTERPOLATED", rows // 2)
    monkeypatch.setattr(bands, "_COLOURED", 7)
    monkeypatch.setattr(bands, "_COLUMNS", columns)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["bicubic", "nearest", "fsrcnn", "srcnn", "edsr_baseline"])
@pytest.mark.parametrize(("height", "width"), [(97, 83), (97, 96), (110, 112)])
def test_an_upscaled_array_does_not_depend_on_bands(
    name: str, scale: int, height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"blocks": 1, "features": 8} if name == "edsr_baseline" else {}
    upscaler = for_model(get_model(name), create_model(name, scale, **small), scale)
    if small:  # torch convolves fewer than 20480 samples by itself
        height, width = height + 90, width + 90
    image = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    whole = upscaler(image)
    made_small(monkeypatch, *((84, 84) if small else (48, 40)))
    if not small:
        monkeypatch.setattr(bands, "_LEAST", 1)
    assert can_band(upscaler, torch.from_numpy(image).permute(2, 0, 1)[None])
    assert np.array_equal(upscaled(upscaler, image), whole)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_no_part_is_so_narrow_that_sums_come_in_another_order(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In floats, as rounding hides most of it; a rest of one row or column was computed by other kernels."""
    monkeypatch.setattr(bands, "LARGE", 100)
    upscaler = for_model(get_model("fsrcnn"), create_model("fsrcnn", scale), scale)
    for height, width in ((196, 496), (209, 480), (200, 961)):
        lr = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(height))
        assert can_band(upscaler, lr)
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
    """With torch's libraries, 0.55 GB of it; how many of their pages a system maps beside those that are used, it decides."""
    most = 1e9 - 0.55e9 + used_by("import torch").peak
    images = large_image(tmp_path / "8k")
    assert evaluated(name, images, tmp_path / "results").peak < most
    write_image(tmp_path / "small.png", np.ascontiguousarray(read_image(images / "large.png")[::4, ::4]))
    scale = [] if "_x" in name else ["--scale", 4]
    assert used("upscale", tmp_path / "small.png", tmp_path / "sr.png", "--checkpoint", name, *scale).peak < most


@LINUX
@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    few, many = (
        evaluated("bicubic", set_of(tmp_path / f"{count}", count), tmp_path / f"r{count}", "--cache-memory", 0.03).peak
        for count in (6, 24)
    )
    assert many < 1.04 * few, f"{few / 1e9:.3f} GB, then {many / 1e9:.3f} GB: 18 more images are 150 MB"
