"""Each metric against an implementation that is not ours, with the precision that was measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from srbench.errors import UnavailableError
from srbench.images import as_rgb, crop_to_multiple, imresize, list_images, luma, read_image, round_u8, shave
from srbench.interop.basicsr import import_basicsr
from srbench.metrics import Pair, get_metric
from srbench.metrics._backbones import load_backbone
from srbench.metrics.lpips import lpips_distance
from srbench.metrics.psnr import psnr, squared_error
from srbench.metrics.ssim import ssim

EXACT = 1e-9
pytestmark = pytest.mark.usefixtures("one_thread")


@st.composite
def images(draw: st.DrawFn, least: int = 1) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A uint8 image of 1 or 3 channels and a degraded one, ``(C, H, W)``: flat, at the ends of the range, or noisy."""
    height, width = draw(st.integers(least, least + 60)), draw(st.integers(least, least + 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    contrast, noise = draw(st.sampled_from([0, 1, 40, 255])), draw(st.sampled_from([0.0, 0.4, 10.0, 300.0]))
    hr = 128 + contrast * (rng.random((draw(st.sampled_from([1, 3])), height, width)) - 0.5)
    sr = hr + noise * rng.standard_normal(hr.shape)
    return tuple(np.clip(p, 0, 255).round().astype(np.uint8) for p in (sr, hr))  # type: ignore[return-value]


def as_tensors(*arrays: np.ndarray[Any, Any]) -> list[Tensor]:
    return [torch.from_numpy(array)[None] for array in arrays]


@settings(max_examples=60, deadline=None)
@given(images())
def test_psnr_is_scikit_image_s_and_its_sum_is_exact(pair: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> None:
    from skimage.metrics import peak_signal_noise_ratio

    sr, hr = pair
    exact = int(((sr.astype(np.int64) - hr) ** 2).sum())
    assert squared_error(*as_tensors(sr, hr)).item() == exact / sr.size
    with np.errstate(divide="ignore"):
        theirs = peak_signal_noise_ratio(hr.astype(np.float64), sr.astype(np.float64), data_range=255)
    for ours in (psnr(*as_tensors(sr, hr)), psnr(*as_tensors(sr.astype(np.float64), hr.astype(np.float64)))):
        assert ours.item() == pytest.approx(theirs, abs=EXACT)


@settings(max_examples=60, deadline=None)
@given(images(least=11))
def test_ssim_is_scikit_image_s(pair: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> None:
    sr, hr = (p.astype(np.float64) for p in pair)
    assert ssim(*as_tensors(sr, hr)).item() == pytest.approx(skimage_ssim(sr, hr), abs=EXACT)


def skimage_ssim(sr: np.ndarray[Any, Any], hr: np.ndarray[Any, Any]) -> float:
    from skimage.metrics import structural_similarity

    mean: float = structural_similarity(
        sr, hr, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=0
    )
    return mean


@pytest.mark.parametrize(("a", "b"), [(0.0, 255.0), (0.0, 0.0), (100.0, 120.0), (254.0, 255.0)])
def test_flat_images_have_the_value_of_the_formula(a: float, b: float) -> None:
    x, y = (torch.full((1, 1, 37, 50), value, dtype=torch.float64) for value in (a, b))
    c1 = (0.01 * 255) ** 2
    assert ssim(x, y).item() == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), abs=1e-12)
    assert psnr(x, y).item() == pytest.approx(20 * math.log10(255 / abs(a - b)) if a != b else math.inf)


@pytest.mark.parametrize(("height", "width"), [(11, 11), (34, 11), (35, 18), (58, 19), (59, 200), (83, 33)])
def test_ssim_of_each_strip_and_block_border(height: int, width: int) -> None:
    rng = np.random.default_rng(height * width)
    hr = rng.random((3, height, width)) * 255
    sr = np.clip(hr + 20 * rng.standard_normal(hr.shape), 0, 255)
    assert ssim(*as_tensors(sr, hr)).item() == pytest.approx(skimage_ssim(sr, hr), abs=EXACT)


@pytest.fixture
def astronaut() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """SR and HR uint8 ``(H, W, 3)``: bicubic ×4 of an image that comes with scikit-image."""
    from skimage import data

    hr = crop_to_multiple(data.astronaut()[50:350, 100:400], 4)
    return imresize(imresize(hr, 0.25), 4), hr


@pytest.mark.parametrize("y_channel", [True, False])
def test_psnr_and_ssim_are_basicsr_s(
    astronaut: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]], y_channel: bool
) -> None:
    """Its luma is float32: bicubic ×4 of Set5 and Set14 differs by 3.3e-7 dB and 7.6e-9 in SSIM at most; on RGB by 1e-14."""
    try:
        theirs = import_basicsr("basicsr.metrics")
    except UnavailableError as error:
        pytest.skip(error.reason)
    bgr = [np.ascontiguousarray(p[..., ::-1]) for p in astronaut]
    planes = as_tensors(*(shave(p, 4).transpose(2, 0, 1) for p in astronaut))
    ours = [luma(p) for p in planes] if y_channel else planes
    peak = theirs.calculate_psnr(*bgr, crop_border=4, test_y_channel=y_channel)
    structure = theirs.calculate_ssim(*bgr, crop_border=4, test_y_channel=y_channel)
    assert psnr(*ours).item() == pytest.approx(peak, abs=1e-6 if y_channel else EXACT)
    assert ssim(*ours).item() == pytest.approx(structure, abs=1e-8 if y_channel else EXACT)


def test_psnr_and_ssim_are_those_of_piq(astronaut: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> None:
    """On bicubic ×4 of Set5 and Set14: PSNR within 6.5e-5 dB, since piq adds 1e-8 to the error of images in [0, 1]; SSIM
    within 3e-14 in float64 and 2.9e-5 in float32.
    """
    import piq

    sr, hr = as_tensors(*(p.transpose(2, 0, 1) for p in astronaut))
    theirs = {"x": sr.double(), "y": hr.double(), "data_range": 255.0}
    assert psnr(sr, hr).item() == pytest.approx(piq.psnr(**theirs).item(), abs=1e-4)
    assert ssim(sr, hr).item() == pytest.approx(piq.ssim(**theirs, downsample=False).item(), abs=EXACT)
    theirs = {"x": sr.float(), "y": hr.float(), "data_range": 255.0}
    assert ssim(sr, hr).item() == pytest.approx(piq.ssim(**theirs, downsample=False).item(), abs=5e-5)


PIQ = {
    "ms-ssim": "multi_scale_ssim",
    "iw-ssim": "information_weighted_ssim",
    "vif": "vif_p",
    "fsim": "fsim",
    "srsim": "srsim",
    "vsi": "vsi",
    "haarpsi": "haarpsi",
    "dss": "dss",
    "gmsd": "gmsd",
    "ms-gmsd": "multi_scale_gmsd",
    "mdsi": "mdsi",
}


@pytest.mark.parametrize("name", PIQ)
def test_the_adapter_gives_what_piq_gives_on_the_255_scale(
    astronaut: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]], name: str
) -> None:
    """The same float32 arithmetic, hence the same number; another range, channel order or image order gives another."""
    import piq

    sr, hr = as_tensors(*(p.transpose(2, 0, 1) for p in astronaut))
    theirs = getattr(piq, PIQ[name])(sr.float(), hr.float(), data_range=255.0, reduction="mean").item()
    assert get_metric(name)(Pair(sr, hr, None, 4)).item() == pytest.approx(theirs, abs=1e-7)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.usefixtures("weights_root")
@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_is_the_package_s_own_network(
    astronaut: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]], net: Any
) -> None:
    import lpips

    reference = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    features = load_backbone({"alex": "alexnet", "vgg": "vgg16"}[net])[0].state_dict()
    for part in range(1, 6):
        trunk = getattr(reference.net, f"slice{part}")
        trunk.load_state_dict({key: features[key] for key in trunk.state_dict()})
    sr, hr = as_tensors(*(p.transpose(2, 0, 1)[:, :96, :96] for p in astronaut))
    with torch.no_grad():
        theirs = reference(sr / 127.5 - 1, hr / 127.5 - 1).item()
    assert lpips_distance(sr, hr, net).item() == pytest.approx(theirs, abs=1e-6)


@pytest.mark.data
@pytest.mark.usefixtures("weights_root")
@pytest.mark.parametrize(("name", "expected"), [("ex_p0", 0.7219), ("ex_p1", 0.1376)])
def test_lpips_of_its_authors_examples(data_root: Path, name: str, expected: float) -> None:
    folder = data_root.parent / "lpips_examples"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    sr, hr = as_tensors(*(read_image(folder / f"{n}.png").transpose(2, 0, 1) for n in (name, "ex_ref")))
    assert lpips_distance(sr, hr).item() == pytest.approx(expected, abs=5e-4)


@pytest.mark.data
@pytest.mark.usefixtures("weights_root")
@pytest.mark.parametrize(
    ("dataset", "published", "rounded_lr"),
    [("Set5", 0.3407, 0.3406), pytest.param("Set14", 0.4393, 0.4401, marks=pytest.mark.slow)],
)
def test_lpips_of_whole_bicubic_images_is_the_published(
    data_root: Path, dataset: str, published: float, rounded_lr: float
) -> None:
    """SPSR's table (Maclory/SPSR): LR not rounded, whole images; the other value has 8-bit LR, as in ``standard``."""
    folder = data_root / dataset
    values: dict[bool, list[float]] = {True: [], False: []}
    for path in list_images(folder / "HR" if (folder / "HR").is_dir() else folder):
        hr = torch.from_numpy(crop_to_multiple(as_rgb(read_image(path)), 4).transpose(2, 0, 1).copy())[None]
        for rounded, image in ((True, hr), (False, hr.double())):
            pair = Pair(round_u8(imresize(imresize(image, 0.25).double(), 4)), hr, None, 4)
            values[rounded].append(get_metric("lpips")(pair).item())
    assert get_metric("lpips").crop == "full"
    assert np.mean(values[False]) == pytest.approx(published, abs=1e-4)
    assert np.mean(values[True]) == pytest.approx(rounded_lr, abs=1e-4)


@pytest.mark.usefixtures("weights_root")
def test_building_lpips_moves_no_random_state() -> None:
    from srbench.metrics.lpips import _network

    _network.cache_clear()
    before = torch.random.get_rng_state()
    grey = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
    lpips_distance(grey, grey)
    assert torch.equal(torch.random.get_rng_state(), before)
