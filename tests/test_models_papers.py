"""What single papers say of their networks, and the critics that go with SRGAN."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from srbench.errors import InputError, UnavailableError
from srbench.interop.basicsr import import_basicsr
from srbench.models import create_model
from srbench.models.btsrn import PConv
from srbench.models.discriminators import DISCRIMINATORS, DiscriminatorModel
from srbench.models.discriminators.srgan import Discriminator, convolutional_discriminator, dense_discriminator
from srbench.models.discriminators.unet import UNetDiscriminator, doubled

pytestmark = pytest.mark.usefixtures("one_thread")


def weights_of(network: nn.Module, *kinds: type[nn.Module]) -> int:
    return sum(m.weight.numel() for m in network.modules() if isinstance(m, kinds))


def total(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_fsrcnn_has_the_weights_of_the_paper() -> None:
    assert weights_of(create_model("fsrcnn", 4), nn.Conv2d, nn.ConvTranspose2d) == 12_464
    assert weights_of(create_model("fsrcnn_s", 4), nn.Conv2d, nn.ConvTranspose2d) == 3_937


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_replicated_edges_keep_a_flat_image_flat(scale: int) -> None:
    """Each phase of the transposed convolution is the same everywhere; zero padding would darken the border."""
    torch.manual_seed(0)
    network = create_model("fsrcnn", scale).eval()
    nn.init.normal_(network.deconv.weight, std=0.1)
    with torch.no_grad():
        y = network(torch.full((1, 1, 12, 9), 0.5))
    torch.testing.assert_close(y, y[..., :scale, :scale].tile(1, 1, 12, 9), atol=1e-5, rtol=0)
    with torch.no_grad():
        flat = create_model("srcnn", scale)(torch.full((1, 1, 12, 9), 0.5))
    torch.testing.assert_close(flat, flat[..., :1, :1].expand_as(flat), atol=1e-6, rtol=0)


def test_srcnn_kernels() -> None:
    assert total(create_model("srcnn", 2, kernels=(9, 1, 5))) == 8_129
    assert total(create_model("srcnn", 2, kernels="9-1-5")) == 8_129
    for bad in ("9-4-5", "9-5", (9, 5, "x"), 9):
        with pytest.raises(InputError, match="three odd sizes"):
            create_model("srcnn", 2, kernels=bad)


def test_vdsr_has_no_bias_and_starts_as_the_identity() -> None:
    network = create_model("vdsr", 2)
    assert not any(name.endswith("bias") for name in network.state_dict())
    x = torch.rand(1, 1, 8, 8)
    assert (network(x) - x).abs().max() < 0.2


def test_drrn_shares_convolutions_but_not_batch_norms() -> None:
    network = create_model("drrn", 2)
    assert weights_of(network, nn.Conv2d) == 297_216
    assert len([m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]) == 52


@pytest.mark.parametrize(("width", "expected"), [(32, 40_960), (64, 81_920)])
def test_btsrn_blocks(width: int, expected: int) -> None:
    network = create_model("btsrn", 4, width=width)
    blocks = [m for m in network.modules() if isinstance(m, PConv)]
    assert len(blocks) == 10
    assert {weights_of(block, nn.Conv2d) for block in blocks} == {expected}
    assert (len(network.lr_blocks), len(network.hr_blocks)) == (6, 4)


def test_srresnet_tails() -> None:
    assert total(create_model("srresnet", 4, tail_activation="lrelu")) == 1_550_531
    assert total(create_model("srresnet", 4, upsampler="upsampling", tail_activation="lrelu")) == 1_328_963
    with pytest.raises(InputError, match="'deconv'"):
        create_model("srresnet", 4, upsampler="deconv")
    with pytest.raises(InputError, match="'tanh'"):
        create_model("srresnet", 4, tail_activation="tanh")


def test_mdsr_serves_every_scale_with_one_set_of_weights() -> None:
    network = create_model("mdsr_baseline", 2, blocks=2, features=16).eval()
    x = torch.rand(1, 3, 6, 5)
    for scale in (2, 3, 4):
        network.set_scale(scale)
        assert network(x).shape == (1, 3, 6 * scale, 5 * scale)
        other = create_model("mdsr_baseline", scale, blocks=2, features=16).eval()
        other.load_state_dict(network.state_dict())
        assert torch.equal(other(x), network(x))
    with pytest.raises(UnavailableError, match="not x8"):
        network.set_scale(8)


@pytest.mark.parametrize("kind", list(DISCRIMINATORS), ids=lambda kind: kind.name)
def test_a_discriminator_has_the_stated_size_and_judges_its_smallest_crop(kind: DiscriminatorModel) -> None:
    with torch.device("meta"):
        assert total(kind.build(kind.side, kind.norms[0], "rgb")) == kind.parameters
    side = -(-kind.minimum // kind.multiple_of) * kind.multiple_of
    kind.check([side], kind.norms[-1])
    for norm in kind.norms:
        critic = kind.build(side, norm, "y")
        if norm == "virtual":
            critic.set_reference(torch.rand(3, 1, side, side))
        logits = critic(torch.rand(2, 1, side, side))
        assert logits.shape[:2] == (2, 1)
        assert logits.isfinite().all()
    with pytest.raises(InputError, match=f"'{kind.name}' takes"):
        kind.check([side - 1], kind.norms[0])
    with pytest.raises(InputError, match="takes"):
        kind.check([side], "layer")  # type: ignore[arg-type]


def test_the_unet_discriminator_is_basicsrs_with_the_same_weights() -> None:
    if find_spec("basicsr") is None:
        pytest.skip("basicsr is not installed")
    module = import_basicsr("basicsr.archs.discriminator_arch")
    torch.manual_seed(0)
    theirs, ours = module.UNetDiscriminatorSN(3, 16).double(), UNetDiscriminator(features=16).double().eval()
    x = torch.rand(2, 3, 32, 40, dtype=torch.float64)
    for _ in range(5):  # the norms are estimated anew in each pass of training
        theirs(x)
    ours.load_state_dict(theirs.eval().state_dict(), strict=True)
    torch.testing.assert_close(ours(x), theirs(x))


def test_bilinear_doubling_is_torchs() -> None:
    x = torch.rand(2, 3, 1, 7, dtype=torch.float64)
    torch.testing.assert_close(doubled(x), F.interpolate(x, scale_factor=2, mode="bilinear"))


def test_spectral_norm_bounds_how_steep_a_discriminator_is() -> None:
    torch.manual_seed(0)
    critic = DISCRIMINATORS.get("patch").build(24, "spectral", "rgb")
    with torch.no_grad():
        for layer in critic.modules():
            if hasattr(layer, "weight_orig"):
                layer.weight_orig.mul_(50)
    for _ in range(30):
        critic(torch.rand(1, 3, 24, 24))
    for layer in critic.modules():
        if hasattr(layer, "weight_orig"):
            assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("norm", ["batch", "none", "virtual"])
def test_discriminators_judge_patches(norm: str) -> None:
    for critic, size in ((dense_discriminator(16, norm), (16, 16)), (convolutional_discriminator(norm), (24, 40))):
        critic.set_reference(torch.rand(3, 3, *size))
        logits = critic(torch.rand(2, 3, *size))
        assert logits.shape == (2, 1)
        logits.sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in critic.parameters())


def _logit_of_first(critic: Discriminator, neighbours: torch.Tensor) -> float:
    first = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        return float(critic(torch.cat([first, neighbours]))[0])


@pytest.mark.parametrize(("norm", "depends"), [("batch", True), ("none", False), ("virtual", False)])
def test_only_batch_norm_lets_a_logit_depend_on_the_batch(norm: str, depends: bool) -> None:
    torch.manual_seed(0)
    critic = convolutional_discriminator(norm).train()
    critic.set_reference(torch.rand(4, 3, 16, 16))
    bright, dark = (_logit_of_first(critic, torch.rand(3, 3, 16, 16) * level) for level in (1.0, 0.1))
    assert (abs(bright - dark) > 1e-4) == depends


def test_virtual_batch_norm_uses_the_reference() -> None:
    torch.manual_seed(0)
    critic = convolutional_discriminator("virtual")
    with pytest.raises(InputError, match="set_reference"):
        critic(torch.rand(1, 3, 16, 16))
    logits = []
    for level in (1.0, 0.1):
        critic.set_reference(torch.rand(4, 3, 16, 16) * level)
        logits.append(_logit_of_first(critic, torch.rand(0, 3, 16, 16)))
    assert abs(logits[0] - logits[1]) > 1e-4


def test_discriminators_refuse_what_they_cannot_do() -> None:
    with pytest.raises(InputError, match="multiple of 16, not 100"):
        dense_discriminator(100)
    with pytest.raises(InputError, match="48×48"):
        dense_discriminator(48)(torch.rand(1, 3, 64, 64))
    with pytest.raises(InputError, match="'layer'"):
        convolutional_discriminator("layer")  # type: ignore[arg-type]
