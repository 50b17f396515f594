"""``srbench convert``: what another project computes from a converted file is what ours computes, or the file is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from srbench.cli import main
from srbench.errors import InputError, UnavailableError
from srbench.interop.basicsr import basicsr_network
from srbench.models import create_model
from srbench.weights import open_weights
from srbench.weights.convert import convert, write
from srbench.weights.recognise import recognise

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"features": 16, "blocks": 2}


def network(name: str, scale: int, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, scale, **options).eval()


def converted(path: Path, name: str, scale: int, target: str, **options: Any) -> nn.Module:
    ours = network(name, scale, **options)
    write(convert(ours, name, scale, options, target), path)
    return ours


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("name", "scale", "theirs"),
    [
        ("edsr_baseline", 2, {"num_feat": 16, "num_block": 2}),
        ("edsr_baseline", 3, {"num_feat": 16, "num_block": 2}),
        ("msrresnet", 4, {"num_feat": 16, "num_block": 2}),
        ("esrgan", 4, {"num_feat": 16, "num_block": 2, "num_grow_ch": 8}),
        ("esrgan", 2, {"num_feat": 16, "num_block": 2, "num_grow_ch": 8}),
    ],
)
def test_basicsr_computes_the_same(tmp_path: Path, name: str, scale: int, theirs: dict[str, int], suffix: str) -> None:
    options = SMALL | ({"growth": 8} if name == "esrgan" else {})
    ours = converted(tmp_path / f"net{suffix}", name, scale, "basicsr", **options)
    try:
        other = basicsr_network(name, scale, **theirs).eval()
    except UnavailableError as error:
        pytest.skip(str(error))
    other.load_state_dict(open_weights(tmp_path / f"net{suffix}").state, strict=True)
    x = torch.rand(1, 3, 8, 10)
    with torch.no_grad():
        torch.testing.assert_close(other(x), ours(x), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("name", "scale"), [("rrdb", 4), ("esrgan", 2)])
def test_spandrel_computes_the_same(tmp_path: Path, name: str, scale: int) -> None:
    spandrel = pytest.importorskip("spandrel", reason="the spandrel extra is not installed")
    ours = converted(tmp_path / "net.pth", name, scale, "spandrel", features=16, blocks=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = spandrel.ModelLoader().load_from_file(tmp_path / "net.pth").eval()
    assert theirs.scale == scale
    x = torch.rand(1, 3, 8, 12)
    with torch.no_grad():
        torch.testing.assert_close(theirs(x), ours(x).clamp(0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "scale", "growth"), [("rrdb", 4, 8), ("msrresnet", 2, 0), ("msrresnet", 4, 0)])
def test_kairs_names_come_back(tmp_path: Path, name: str, scale: int, growth: int) -> None:
    options = SMALL | ({"growth": growth} if growth else {})
    ours = converted(tmp_path / "net.pth", name, scale, "kair", **options)
    names = set(torch.load(tmp_path / "net.pth", weights_only=True))
    assert any(key.startswith(("RRDB_trunk.0.RDB1.", "recon_trunk.0.conv1.")) for key in names)
    assert "HRconv.weight" in names
    again = recognise(open_weights(tmp_path / "net.pth"))
    x = torch.rand(1, 3, 8, 10)
    with torch.no_grad():
        assert torch.equal(again.build(scale)(x), ours(x))


@pytest.mark.parametrize(
    ("name", "scale", "target", "options", "words"),
    [
        (
            "edsr_baseline",
            4,
            "basicsr",
            {"skip": "bicubic", **SMALL},
            "a bicubic skip, which no network of BasicSR adds",
        ),
        ("rrdb", 3, "basicsr", {**SMALL, "growth": 8}, "BasicSR takes an RRDBNet ×3 for ×4"),
        ("rrdb", 3, "spandrel", {**SMALL, "growth": 8}, "spandrel takes an RRDBNet ×3 for ×2"),
        ("rrdb", 4, "spandrel", {**SMALL, "growth": 8}, "growth of 32 channels alone; this one has 8"),
        ("rrdb", 2, "kair", {**SMALL, "growth": 8}, "its ×2 does not fold pixels"),
        ("rrdb", 2, "basicsr", {**SMALL, "growth": 8, "fold": False}, "folds 2×2 pixels first; this one does not"),
        ("espcn", 4, "basicsr", {}, "no network that computes what espcn does; it has those of edsr, msrresnet, rrdb"),
        ("edsr_baseline", 4, "spandrel", SMALL, "no network that computes what edsr_baseline does"),
    ],
)
def test_what_would_show_another_image_is_refused(
    name: str, scale: int, target: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        convert(network(name, scale, **options), name, scale, options, target)


def test_without_its_skip_a_checkpoint_of_the_zoo_is_far_off() -> None:
    """Why a skip is refused: BasicSR would read the same keys and add nothing."""
    from srbench.zoo import load_checkpoint

    skipped = load_checkpoint("edsr_baseline_x4.tuned")
    x = torch.rand(1, 3, 12, 12)
    bare = create_model("edsr_baseline", 4)
    bare.load_state_dict(skipped.network.state_dict())
    with torch.no_grad():
        assert float((bare.eval()(x) - skipped(x)).abs().max()) * 255 > 50


def test_the_command(tmp_path: Path) -> None:
    original = network("rrdb_s", 4)
    torch.save({"params_ema": original.state_dict()}, tmp_path / "net.pth")
    run = CliRunner().invoke
    done = run(main, ["convert", str(tmp_path / "net.pth"), "--to", "kair", "-o", str(tmp_path / "kair.pth")])
    assert done.exit_code == 0, done.output
    assert "RRDBNet(sf=4) of KAIR" in done.output
    skipped = run(main, ["convert", "espcn_x4.tuned", "--to", "basicsr", "-o", str(tmp_path / "a.pth")])
    assert skipped.exit_code == 1
    assert "bicubic skip" in skipped.output
    assert not (tmp_path / "a.pth").exists()
    odd = run(main, ["convert", str(tmp_path / "net.pth"), "--to", "kair", "-o", str(tmp_path / "a.onnx")])
    assert odd.exit_code == 1
    assert r"expected .pth, .pt or .safetensors" in odd.output
