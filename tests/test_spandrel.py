"""spandrel's architectures through our own reader: the same image as by spandrel itself, for every one that it registers."""

from __future__ import annotations

import importlib
import inspect
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import srbench
from srbench.errors import InputError
from srbench.models import create_model
from srbench.weights import open_weights
from srbench.weights.recognise import recognise

spandrel = pytest.importorskip("spandrel", reason="the spandrel extra is not installed")
pytestmark = pytest.mark.usefixtures("one_thread")

# Smaller than the defaults where these take gigabytes or minutes; whatever is left out here has its defaults.
SMALLER: dict[str, dict[str, Any]] = {
    "MMRRDBNet_test": {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 16, "num_block": 2},
    "SPAN": {"num_in_ch": 3, "num_out_ch": 3},
    "SAFMN": {"dim": 36},
    "SAFMN_BCIE": {"dim": 36},
    "RRDBNet": {"num_filters": 16, "num_blocks": 2},
    "KBNet_s": {"width": 16, "middle_blk_num": 1, "enc_blk_nums": [1, 1, 1, 1], "dec_blk_nums": [1, 1, 1, 1]},
    "KBNet_l": {"num_blocks": [1, 1, 1, 1], "num_refinement_blocks": 1},
    "NAFNet": {"enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]},
    # a window of 7, which nobody publishes, is not to be read off the weights
    "HAT": {"window_size": 16, "depths": (2, 2), "num_heads": (6, 6), "embed_dim": 48},
    "SwinIR": {"window_size": 8, "depths": (2, 2), "num_heads": (6, 6)},
    "Swin2SR": {"window_size": 8, "depths": (2, 2), "num_heads": (6, 6)},
    "DRUNet": {"nc": [16, 32, 64, 128]},
}


def architectures() -> list[Any]:
    found = []
    for support in spandrel.MAIN_REGISTRY:
        module = importlib.import_module(type(support.architecture).__module__)
        for name in getattr(module, "__all__", []):
            kind = getattr(module, name)
            if inspect.isclass(kind) and issubclass(kind, nn.Module):
                found.append(pytest.param(support.architecture.id, kind, id=f"{support.architecture.id}-{name}"))
    return found


def random_network(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(**SMALLER.get(kind.__name__, {})).eval()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), architectures())
def test_every_architecture_gives_spandrels_own_image(tmp_path: Path, name: str, kind: type[nn.Module]) -> None:
    if kind.__name__ == "UnetUpsampler":
        pytest.skip("AuraSR's network has 600 million parameters and no smaller form that spandrel detects")
    state = random_network(kind).state_dict()
    path = tmp_path / "net.pth"
    torch.save({"params_ema": {f"module.{key}": value for key, value in state.items()}}, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = spandrel.ModelLoader().load_from_state_dict(dict(state)).eval()
    if name == "LaMa":
        with pytest.raises(InputError, match="fills holes"):
            srbench.load(path)
        return
    if (theirs.input_channels, theirs.output_channels) not in ((1, 1), (3, 3)):
        with pytest.raises(InputError, match="channels in and"):
            srbench.load(path)
        return
    ours = srbench.load(path)
    assert ours.scale == theirs.scale
    least = max(theirs.size_requirements.minimum, 16)
    for height, width in ((least, least), (least + 7, least + 2), (max(9, least // 2), least)):
        x = torch.rand(1, theirs.input_channels, height, width, generator=torch.Generator().manual_seed(1))
        try:
            expected = theirs(x.clone())
        except RuntimeError:  # GFPGAN takes 512×512 and nothing else, whatever its descriptor says
            with pytest.raises(InputError, match="fails on an input of"):
                ours(x)
            continue
        assert torch.equal(ours(x).clamp(0, 1), expected), f"{height}×{width}"


def test_what_spandrel_takes_for_something_else_is_ours(tmp_path: Path) -> None:
    """A full-width RRDB ×3 is loaded by spandrel as ×2, and makes an image of twice the size without a word."""
    options = {"blocks": 1, "features": 32, "growth": 32}
    torch.manual_seed(0)
    ours = create_model("rrdb", 3, **options).eval()
    path = tmp_path / "net.pth"
    torch.save(ours.state_dict(), path)
    assert spandrel.ModelLoader().load_from_state_dict(dict(ours.state_dict())).scale == 2
    with pytest.raises(InputError, match="for which of x2, x3: give --scale"):
        recognise(open_weights(path))
    one = recognise(open_weights(path), scale=3)
    x = torch.rand(1, 3, 8, 9)
    with torch.no_grad():
        assert torch.equal(one.build(3)(x), ours(x))


def test_what_spandrel_mistakes_is_refused(tmp_path: Path) -> None:
    """Of FSRCNN without its last layer spandrel makes a network of its own family, which it cannot build."""
    state = {key: value for key, value in create_model("fsrcnn", 2).state_dict().items() if "deconv" not in key}
    assert any(support.detect(state) for support in spandrel.MAIN_REGISTRY)
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(InputError, match="no network is known"):
        recognise(open_weights(tmp_path / "net.pth"))


def test_what_the_descriptor_says_is_honoured(checkpoints_root: Path) -> None:
    one = recognise(open_weights(checkpoints_root / "Amazingren_NTIRE2024_ESR__team34_craft.pth"))
    assert (one.origin, one.multiple_of, one.scales) == ("spandrel", 16, (4,))
    upscaler = srbench.load(checkpoints_root / "zengkun301_DCTLSA__X4.pt")
    x = torch.rand(1, 3, 13, 18)
    before = x.clone()
    y: Tensor = upscaler(x)
    assert y.shape == (1, 3, 52, 72)
    assert torch.equal(x, before)
    y.mul_(255)  # an inference tensor would refuse


def test_it_is_not_needed_for_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "spandrel", None)
    path = tmp_path / "net.pth"
    torch.save(create_model("espcn", 2).state_dict(), path)
    assert recognise(open_weights(path)).model == "espcn"
    torch.save({"a.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(srbench.errors.UnavailableError, match=r"pip install 'srbench\[spandrel\]'"):
        recognise(open_weights(path))
