"""BasicSR's networks and ours, key by key and pixel by pixel."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from srbench.errors import UnavailableError
from srbench.interop.basicsr import _REMOVED, basicsr_network, import_basicsr
from srbench.models import create_model
from srbench.zoo import load_weights

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def _basicsr() -> None:
    try:
        import_basicsr()
    except UnavailableError as error:
        pytest.skip(error.reason)


SMALLER = {"edsr": ({"num_block": 2}, {"blocks": 2})}  # 32 blocks of 256 take seconds and prove no more
CASES = [
    (name, scale)
    for name in ("edsr_baseline", "edsr", "msrresnet", "esrgan")
    for scale in (2, 3, 4)
    if (name, scale) != ("esrgan", 3)
]


@pytest.mark.usefixtures("_basicsr")
@pytest.mark.parametrize(("name", "scale"), CASES)
def test_keys_and_outputs_equal_basicsr(name: str, scale: int, tmp_path: Path) -> None:
    """As a user does it: BasicSR's checkpoint file, loaded strictly; then the same image through both."""
    theirs_options, our_options = SMALLER.get(name, ({}, {}))
    torch.manual_seed(0)
    theirs = basicsr_network(name, scale, **theirs_options).eval()
    ours = create_model(name, scale, **our_options).eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    torch.save({"params_ema": theirs.state_dict()}, tmp_path / "net.pth")
    load_weights(ours, tmp_path / "net.pth")
    x = torch.rand(1, 3, 8, 6)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=0)


@pytest.mark.usefixtures("_basicsr")
def test_x3_is_ours_alone() -> None:
    x = torch.rand(1, 3, 4, 4)
    assert basicsr_network("esrgan", 3, num_block=1)(x).shape[-1] == 16
    assert create_model("esrgan", 3, blocks=1)(x).shape[-1] == 12


@pytest.mark.usefixtures("_basicsr")
def test_what_others_compare_with_is_there_and_the_stand_in_is_gone() -> None:
    metrics = import_basicsr("basicsr.metrics")
    assert callable(metrics.calculate_psnr)
    assert callable(metrics.calculate_ssim)
    assert callable(import_basicsr("basicsr.utils.matlab_functions").imresize)
    assert isinstance(import_basicsr("basicsr.data.paired_image_dataset").PairedImageDataset, type)
    assert _REMOVED not in sys.modules


def test_without_basicsr_the_reason_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "basicsr", None)
    with pytest.raises(UnavailableError, match="pip install --no-build-isolation") as caught:
        import_basicsr()
    assert caught.value.status == "unavailable"
    assert _REMOVED not in sys.modules


def test_networks_without_a_twin_are_named() -> None:
    with pytest.raises(UnavailableError, match="'fsrcnn'; it has edsr_baseline, edsr, msrresnet, esrgan"):
        basicsr_network("fsrcnn", 4)
