"""Degradations: published figures, the same bytes everywhere, agreement with other implementations."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from srbench.degradations import DEGRADATIONS, Degradation, How, get_degradation, list_degradations
from srbench.degradations._numbers import Draws, filter_u8, gaussian, matlab_randn
from srbench.degradations.gaussian8 import kernels
from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.images import imresize

COMPUTED = [degradation for degradation in DEGRADATIONS if not degradation.files]


def image(height: int = 48, width: int = 60, seed: int = 0) -> np.ndarray:
    """Smooth enough to compress and rough enough to alias; the same on every machine."""
    raw = np.random.Philox(key=seed).random_raw(height * width * 3).astype(np.uint64) >> np.uint64(56)
    noise = raw.reshape(height, width, 3).astype(np.int64)
    rows, columns = np.mgrid[:height, :width]
    waves = ((3 * rows + 5 * columns) % 160)[..., None]
    return (waves + noise * 95 // 255).astype(np.uint8)


@pytest.mark.parametrize("degradation", COMPUTED, ids=lambda d: d.name)
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("gray", [False, True])
def test_every_degradation_makes_lr(degradation: Degradation, scale: int, gray: bool) -> None:
    hr = image()[..., 0] if gray else image()
    lr = get_degradation(degradation.name)(hr, How(scale, image="a"))
    assert (lr.dtype, lr.shape) == (np.uint8, (48 // scale, 60 // scale, *hr.shape[2:]))
    assert degradation.summary
    assert degradation.source
    assert set(degradation.bounds) == set(degradation.parameters)


@pytest.mark.parametrize("degradation", COMPUTED, ids=lambda d: d.name)
def test_only_seed_and_name_draw(degradation: Degradation) -> None:
    chosen, hr = get_degradation(degradation.name), image()

    def made(**more: object) -> np.ndarray:
        return chosen(hr, How(4, **{"image": "a", "seed": 1, **more}))  # type: ignore[arg-type]

    assert np.array_equal(made(), made())
    others = [made(seed=seed) for seed in range(2, 9)] + [made(image=name) for name in "bcdefgh"]
    assert any(not np.array_equal(made(), other) for other in others) == degradation.random


def test_a_constant_image_stays_constant_without_noise() -> None:
    flat = np.full((48, 48, 3), 77, np.uint8)
    for name in ("bicubic", "bd", "gaussian8", "aniso8", "opencv-bicubic", "pillow-bicubic"):
        assert np.all(get_degradation(name)(flat, How(4)) == 77), name


# The same bytes on every machine

BYTES = {
    "aniso8": "20894030fa7530a4",
    "bd": "6eff7e18ac78b0f2",
    "bicubic": "69ba5621cfdac235",
    "dn": "babdaa34f931cd11",
    "dn:sigma=10": "4f2c094ba15ee7fe",
    "gaussian8": "e0e2284fc6ac305f",
    "gaussian8:kernel=8": "e5a6674b74c14077",
    "jpeg": "e6a1644523cd66b0",
    "jpeg:quality=10": "abedee360f8e1c35",
    "opencv-bicubic": "5882513f9a8102be",
    "pillow-bicubic": "ef6ea723b4993219",
    "two-stage": "613f33aec940c7a8",
}


def digest(text: str) -> str:
    sha = hashlib.sha256()
    for seed in (0, 1):
        for scale in (2, 3, 4):
            sha.update(get_degradation(text)(image(), How(scale, seed=seed, image="baby")).tobytes())
    return sha.hexdigest()[:16]


@pytest.mark.parametrize("text", BYTES)
def test_the_same_bytes_on_every_machine(text: str) -> None:
    """Written down once; another value is another degradation and needs another version."""
    assert digest(text) == BYTES[text]


def test_every_computed_degradation_has_its_bytes_written_down() -> None:
    assert {text.partition(":")[0] for text in BYTES} == {degradation.name for degradation in COMPUTED}


@pytest.mark.slow
def test_the_same_bytes_with_any_number_of_threads() -> None:
    code = (
        "import torch; torch.set_num_threads({n})\n"
        "from tests.test_degradations import BYTES, digest\n"
        "print({{text: digest(text) for text in BYTES}} == BYTES)"
    )
    for threads in (1, 4):
        done = subprocess.run([sys.executable, "-c", code.format(n=threads)], capture_output=True, text=True)
        assert done.stdout.strip() == "True", done.stderr


# Independent implementations


def test_matlab_randn_is_matlabs() -> None:
    """The first numbers that the documentation of MATLAB 4 prints for a fresh generator."""
    assert np.round(matlab_randn(10), 4).tolist() == [
        1.1650, 0.6268, 0.0751, 0.3516, -0.6965, 1.6961, 0.0591, 1.7971, 0.2641, 0.8717,
    ]  # fmt: skip
    many = matlab_randn(200_000)
    assert abs(many.mean()) < 0.01
    assert abs(many.std() - 1) < 0.01
    assert np.array_equal(matlab_randn(5000), many[:5000]), "blocks do not show"


def test_normals_are_normal() -> None:
    from scipy.stats import kstest

    drawn = Draws("a", 1).normals((200, 200)).ravel()
    assert kstest(drawn, "norm").pvalue > 0.001
    assert not np.array_equal(drawn, Draws("a", 2).normals((200, 200)).ravel())


def test_filter_agrees_with_a_plain_convolution() -> None:
    kernel = gaussian(7, 1.6)
    padded = np.pad(image().astype(np.float64), ((3, 3), (3, 3), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(0, 1))
    plain = np.clip(np.floor(np.einsum("ijcxy,xy->ijc", windows, kernel) + 0.5), 0, 255)
    assert np.array_equal(filter_u8(image(), kernel), plain)


def test_opencv_bicubic_is_opencvs() -> None:
    cv2 = pytest.importorskip("cv2")
    for scale in (2, 3, 4):
        theirs = cv2.resize(image(), None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_CUBIC).astype(int)
        ours = get_degradation("opencv-bicubic")(image(), How(scale)).astype(int)
        assert np.abs(ours - theirs).max() <= 1
        assert np.mean(ours != theirs) < 0.01


def test_kernels_of_the_fixed_lists() -> None:
    for name in ("gaussian8", "aniso8"):
        found = kernels(name, 4)
        assert found.shape == (8, 21, 21)
        assert np.allclose(found.sum(axis=(1, 2)), 1)
    at = np.arange(21) - 10
    spread = [float(np.sqrt((kernel.sum(axis=0) * at**2).sum())) for kernel in kernels("gaussian8", 4)]
    assert np.allclose(spread, [1.8, 2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2], atol=0.02)


# Published figures


@pytest.mark.data
@pytest.mark.parametrize(
    ("degradation", "dataset", "psnr", "ssim"),
    [
        ("bd", "set5", 28.78, 0.8308), ("bd", "set14", 26.38, 0.7271),
        ("dn", "set5", 24.01, 0.5369), ("dn", "set14", 22.87, 0.4724),
    ],
)  # fmt: skip
def test_bicubic_of_rdns_tables(degradation: str, dataset: str, psnr: float, ssim: float, data_root: object) -> None:
    """×3; RDN (CVPR 2018) Table 3 and RCAN (ECCV 2018) Table 3: luma of 8 bits, gray files as they are."""
    from srbench.evaluation import evaluate
    from srbench.protocol import get_protocol

    result = evaluate("bicubic", dataset, 3, get_protocol(f"rcan-{degradation}"), ["psnr", "ssim"])
    assert round(result.mean("psnr"), 2) == psnr
    assert round(result.mean("ssim"), 4) == ssim


# Bad input


def test_texts_that_are_none() -> None:
    assert {"bicubic", "bd", "dn", "jpeg", "gaussian8", "real", "two-stage"} <= set(list_degradations())
    with pytest.raises(UnknownNameError, match="Did you mean 'bicubic'"):
        get_degradation("bicubik")
    with pytest.raises(UnknownNameError, match=r"unknown parameter 'q' in degradation jpeg.*quality"):
        get_degradation("jpeg:q=40")
    with pytest.raises(InputError, match="quality = 'best'; expected a number"):
        get_degradation("jpeg:quality=best")
    with pytest.raises(InputError, match="quality = 101; expected 1 to 100"):
        get_degradation("jpeg:quality=101")
    assert get_degradation("dn:sigma=30").text == "dn"
    assert get_degradation(" jpeg: quality=30 ").text == "jpeg:quality=30"


def test_a_scale_that_a_degradation_lacks() -> None:
    with pytest.raises(UnavailableError, match="gaussian8 is defined at x2, x3, x4, not at x8") as caught:
        get_degradation("gaussian8")(image(), How(8))
    assert caught.value.status == "unsupported_scale"
    with pytest.raises(UnavailableError, match="LR files alone"):
        get_degradation("real")(image(), How(4))


def test_another_codec_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from srbench.degradations import jpeg

    monkeypatch.setattr(jpeg, "_probe", lambda: "0" * 64)
    with pytest.raises(UnavailableError, match="JPEG codec of this machine"):
        get_degradation("jpeg")(image(), How(4))


def test_bicubic_is_imresize() -> None:
    for scale in (2, 3, 4):
        assert np.array_equal(get_degradation("bicubic")(image(), How(scale)), imresize(image(), 1 / scale))
