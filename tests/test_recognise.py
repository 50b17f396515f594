"""Networks are found in files by keys, shapes and a probe: our own with all their options, and others' names for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import srbench
from srbench.errors import InputError
from srbench.models import MODELS, Model, create_model
from srbench.models._layers import RGB_MEAN
from srbench.weights import open_weights
from srbench.weights.recognise import Recognised, recognise, scale_in_name
from srbench.zoo import Card, list_checkpoints, load_checkpoint, read_tensors
from tests.test_models import CASES, small

pytestmark = pytest.mark.usefixtures("one_thread")

State = dict[str, Tensor]
SCALED = [case for case in CASES if not case.values[0].interpolator]


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def found(path: Path, **wanted: Any) -> Recognised:
    key = wanted.pop("key", "")
    return recognise(open_weights(path, key), **wanted)


def network(name: str, scale: int, seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return create_model(name, scale, **options).eval()


def image(network: nn.Module, planes: int, side: int = 24) -> Tensor:
    return torch.rand(1, planes, side, side, generator=torch.Generator().manual_seed(1))


def same(first: nn.Module, second: nn.Module, planes: int = 3, atol: float = 0.0) -> None:
    x = image(first, planes)
    with torch.no_grad():
        expected, got = first(x), second(x)
    assert got.shape == expected.shape
    assert float((got - expected).abs().max()) <= atol * max(1.0, float(expected.abs().max()))


# Our own


@pytest.mark.parametrize(("model", "scale"), SCALED)
def test_each_model_is_found_from_its_weights_alone(tmp_path: Path, model: Model, scale: int) -> None:
    original = network(model.name, scale, **small(model))
    if model.multi_scale:
        original.set_scale(scale)
    unseen = {key: value for key, value in model.options.items() if key == "res_scale"}  # leaves no trace in a file
    one = found(saved(tmp_path / "net.pth", {"params": original.state_dict()}), scale=scale, options=unseen)
    planes = 1 if model.channels == "y" else 3
    assert get_build(one.model) == get_build(model.name)
    assert one.scales == (scale,)
    assert one.channels == model.channels
    assert (one.multiple_of, one.minimum, one.pre_upsampled) == (
        model.multiple_at(scale),
        model.minimum,
        model.pre_upsampled,
    )
    same(original, one.build(scale), planes)


def get_build(name: str) -> Any:
    model = next(m for m in MODELS if m.name == name)
    return model.infer


@pytest.mark.slow
@pytest.mark.parametrize("card", list_checkpoints(), ids=lambda card: card.name)
def test_each_checkpoint_of_the_zoo_is_found_without_its_card(tmp_path: Path, card: Card) -> None:
    """A bicubic skip leaves no trace in the file but a prefix, which any wrapper may have put there or taken off."""
    state = dict(read_tensors(card))
    bare = {key.removeprefix("network."): value for key, value in state.items()}
    original = load_checkpoint(card.name)
    trained_for_psnr = "gan" not in card.name
    wrapped = {"own": state, "wrapped": {f"model.{key}": value for key, value in state.items()}}
    if trained_for_psnr:
        wrapped["bare"] = bare
    for name, keys in wrapped.items():
        one = found(saved(tmp_path / f"{name}_x{card.scales[0]}.pth", keys))
        assert one.scales == tuple(card.scales)
        assert one.options.get("skip") == card.options.get("skip")
        same(original, one.build(card.scales[0]), 1 if card.channels == "y" else 3)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_weights_of_one_shape_at_every_scale_are_probed_at_further_scales_too(tmp_path: Path, scale: int) -> None:
    state = dict(read_tensors(next(card for card in list_checkpoints() if card.name == f"fsrcnn_x{scale}.tuned")))
    one = found(saved(tmp_path / "mine.pth", state))
    assert one.scales == (scale,)
    assert "as a probe finds" in one.notes[0]


def test_a_network_wrapped_as_network_is_no_skip(tmp_path: Path, checkpoints_root: Path) -> None:
    state = open_weights(checkpoints_root / "IMDN_x3.pth").state
    one = found(saved(tmp_path / "net.ckpt", {"state_dict": {f"network.{key}": v for key, v in state.items()}}))
    assert one.model == "imdn"
    assert "skip" not in one.options


# Others' names


def _blocks(state: Mapping[str, Tensor]) -> int:
    return 1 + max(int(key.split(".")[1]) for key in state if key.startswith("body."))


def edsr_authors(state: State, white: float = 255.0) -> State:
    blocks = _blocks(state)
    mean = torch.tensor(RGB_MEAN) * white
    eye = torch.eye(3).view(3, 3, 1, 1)
    theirs = {"sub_mean.weight": eye, "sub_mean.bias": -mean, "add_mean.weight": eye, "add_mean.bias": mean}
    for key, value in state.items():
        name = key.replace("conv_first.", "head.0.").replace("conv_last.", "tail.1.").replace("upsample.", "tail.0.")
        name = name.replace(".conv1.", ".body.0.").replace(".conv2.", ".body.2.")
        theirs[name.replace("conv_after_body.", f"body.{blocks}.")] = value
    return theirs


def edsr_mmagic(state: State) -> State:
    """Works on [0, 1]: the factor of 255 stands in the weights of the first and last convolution."""
    theirs = {}
    for key, value in state.items():
        name = key.replace("upsample.0.", "upsample.0.upsample_conv.").replace(
            "upsample.2.", "upsample.1.upsample_conv."
        )
        factor = 255.0 if key == "conv_first.weight" else 1 / 255.0 if key.startswith("conv_last.") else 1.0
        theirs[f"generator.{name}"] = value * factor
    return theirs


def rrdb_trunk(state: State) -> State:
    names = (("conv_body.", "trunk_conv."), ("conv_up", "upconv"), ("conv_hr.", "HRconv."), ("rdb", "RDB"))
    theirs = {}
    for key, value in state.items():
        name = key.replace("body.", "RRDB_trunk.", 1) if key.startswith("body.") else key
        for ours, other in names:
            name = name.replace(ours, other)
        theirs[name] = value
    return theirs


def rrdb_sequence(state: State) -> State:
    blocks, twice = _blocks(state), "conv_up2.weight" in state
    tail = {"conv_up2.": "model.6.", "conv_hr.": "model.8.", "conv_last.": "model.10."}
    if not twice:
        tail = {"conv_hr.": "model.5.", "conv_last.": "model.7."}
    head = {"conv_first.": "model.0.", "conv_body.": f"model.1.sub.{blocks}.", "conv_up1.": "model.3.", **tail}
    theirs = {}
    for key, value in state.items():
        name = next((key.replace(ours, other) for ours, other in head.items() if key.startswith(ours)), key)
        if key.startswith("body."):
            parts = key.split(".")
            name = f"model.1.sub.{parts[1]}.{parts[2].upper()}.{parts[3]}.0.{parts[4]}"
        theirs[name] = value
    return theirs


def msrresnet_kair(state: State) -> State:
    return {key.replace("body.", "recon_trunk.").replace("conv_hr.", "HRconv."): value for key, value in state.items()}


def msrresnet_mmagic(state: State) -> State:
    return {
        "generator."
        + key.replace("body.", "trunk_net.")
        .replace("upconv1.", "upsample1.upsample_conv.")
        .replace("upconv2.", "upsample2.upsample_conv."): value
        for key, value in state.items()
    }


def carn_single(state: State) -> State:
    mean = torch.tensor(RGB_MEAN)
    theirs = {"sub_mean.shifter.bias": -mean, "add_mean.shifter.bias": mean}
    for name in ("sub", "add"):
        theirs[f"{name}_mean.shifter.weight"] = torch.eye(3).view(3, 3, 1, 1)
    for key, value in state.items():
        parts = key.split(".")
        if key.startswith("body.units"):
            stem = f"b{int(parts[2]) + 1}"
            if parts[3] == "units":
                inner = {"conv1": "0", "conv2": "2", "mix": "4"}[parts[5]]
                name = f"{stem}.b{int(parts[4]) + 1}.body.{inner}.{parts[6]}"
            else:
                name = f"{stem}.c{int(parts[4]) + 1}.body.0.{parts[5]}"
        elif key.startswith("body.fuse"):
            name = f"c{int(parts[2]) + 1}.body.0.{parts[3]}"
        elif parts[0] == "upsample":
            name = f"upsample.up.body.{parts[2]}.{parts[3]}"
        else:
            name = key.replace("conv_first.", "entry.").replace("conv_last.", "exit.")
        theirs[name] = value
    return theirs


LAYOUTS: list[tuple[str, str, int, dict[str, Any], Callable[[State], State]]] = [
    ("EDSR's authors", "edsr_baseline", 2, {"blocks": 2, "features": 16}, edsr_authors),
    ("EDSR's authors x4", "edsr_baseline", 4, {"blocks": 2, "features": 16}, edsr_authors),
    ("mmagic's EDSR", "edsr_baseline", 4, {"blocks": 2, "features": 16}, edsr_mmagic),
    ("mmagic's EDSR x3", "edsr_baseline", 3, {"blocks": 2, "features": 16}, edsr_mmagic),
    ("ESRGAN's authors", "rrdb", 4, {"blocks": 2, "features": 16, "growth": 8}, rrdb_trunk),
    ("ESRGAN's first files", "rrdb", 4, {"blocks": 2, "features": 16, "growth": 8}, rrdb_sequence),
    ("Real-ESRGAN x2", "rrdb", 2, {"blocks": 2, "features": 16, "growth": 8}, lambda s: s),
    ("Real-ESRGAN 6B", "rrdb", 4, {"blocks": 6, "features": 16, "growth": 8}, lambda s: s),
    ("BSRGAN x2", "rrdb", 2, {"blocks": 2, "features": 16, "growth": 8, "fold": False}, rrdb_trunk),
    ("RRDB x3", "rrdb", 3, {"blocks": 2, "features": 16, "growth": 8}, rrdb_sequence),
    ("KAIR's MSRResNet1", "msrresnet", 4, {"blocks": 2, "features": 16}, msrresnet_kair),
    ("mmagic's MSRResNet", "msrresnet", 4, {"blocks": 2, "features": 16}, msrresnet_mmagic),
    ("CARN of one scale", "carn", 4, {"features": 16, "tails": "x4"}, carn_single),
    ("CARN-M of one scale", "carn_m", 3, {"features": 16, "tails": "x3"}, carn_single),
]


@pytest.mark.parametrize(("name", "model", "scale", "options", "theirs"), LAYOUTS, ids=[case[0] for case in LAYOUTS])
def test_other_projects_names(
    tmp_path: Path, name: str, model: str, scale: int, options: dict[str, Any], theirs: Callable[[State], State]
) -> None:
    original = network(model, scale, **options)
    path = saved(tmp_path / "net.pth", theirs(dict(original.state_dict())))
    one = found(path, scale=scale)
    assert get_build(one.model) == get_build(model)
    same(original, one.build(scale), atol=1e-4)  # a factor of 255 is taken out of a weight and put back


def test_edsr_on_another_range_and_mean(tmp_path: Path) -> None:
    original = network("edsr_baseline", 2, blocks=2, features=16)
    theirs = edsr_authors(dict(original.state_dict()), white=1.0)
    theirs["head.0.weight"] = theirs["head.0.weight"] * 255
    for part in ("weight", "bias"):
        theirs[f"tail.1.{part}"] = theirs[f"tail.1.{part}"] / 255
    same(original, found(saved(tmp_path / "unit.pth", theirs)).build(2), atol=1e-4)
    theirs["sub_mean.bias"] = torch.tensor([-0.5, -0.5, -0.5])
    with pytest.raises(InputError, match="no network is known"):
        found(saved(tmp_path / "other.pth", theirs))


# What is not in the file


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("EDSR_x4.pth", 4),
        ("4x-UltraSharp.pth", 4),
        ("PANx3_DF2K.pth", 3),
        ("RealESRGAN_x2plus.pth", 2),
        ("X4.pt", 4),
        ("net_x2_from_x4.pth", None),
        ("max2.pth", None),
        ("0x2f.pth", None),
        ("net.pth", None),
    ],
)
def test_the_scale_in_a_files_name(name: str, scale: int | None) -> None:
    assert scale_in_name(name) == scale


def test_without_a_trace_of_the_scale_it_is_asked_for(tmp_path: Path) -> None:
    state = network("srcnn", 2).state_dict()
    with pytest.raises(InputError, match=r"SRCNN and does not say for which of x2, x3, x4: give --scale"):
        found(saved(tmp_path / "net.pth", state))
    assert found(saved(tmp_path / "srcnn_x3.pth", state)).scales == (3,)
    assert found(tmp_path / "net.pth", scale=2).scales == (2,)


def test_a_scale_that_shapes_contradict_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", network("espcn", 2).state_dict())
    with pytest.raises(InputError, match="weights for x2, as their shapes say, not for x4"):
        found(path, scale=4)


def test_a_network_for_x2_called_x4_is_told_by_the_probe(checkpoints_root: Path) -> None:
    """FSRCNN's shapes are those of every scale."""
    one = found(checkpoints_root / "fsrcnn_x2.mat", scale=4)
    assert any("look like weights for x2, not for x4" in doubt for doubt in one.doubts)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_probe_finds_fsrcnns_scale(
    tmp_path: Path, checkpoints_root: Path, monkeypatch: pytest.MonkeyPatch, scale: int
) -> None:
    monkeypatch.setattr("srbench.weights.recognise.published_card", lambda sha256: None)
    copy = tmp_path / "unnamed.mat"
    copy.write_bytes((checkpoints_root / f"fsrcnn_x{scale}.mat").read_bytes())
    one = found(copy)
    assert one.scales == (scale,)
    assert ("kernel" in one.options) == (scale == 3), "the x3's output lies one pixel off"


@pytest.mark.parametrize("name", ["njulj_RFDN__RFDN_AIM.pth", "bytedance_RLFN__rlfn_s_x4.pth", "IMDN_x3.pth"])
def test_the_range_is_found_or_taken_from_the_card(
    checkpoints_root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    white = 1.0 if name.startswith("IMDN") else 255.0
    by_card = found(checkpoints_root / name)
    assert by_card.range == white
    assert by_card.card is not None
    monkeypatch.setattr("srbench.weights.recognise.published_card", lambda sha256: None)
    probed = found(checkpoints_root / name)
    assert probed.range == white
    assert any("probe" in note for note in probed.notes) == (white == 255.0)
    assert found(checkpoints_root / name, range=1.0).range == 1.0


# What it is not


def test_half_of_a_state_dict_says_what_lacks(tmp_path: Path) -> None:
    state = list(network("imdn", 4).state_dict().items())
    skipped = [(f"network.{key}", value) for key, value in state]
    for kept in (state[:-20], state[20:], skipped[20:]):
        with pytest.raises(
            InputError, match=r"no network is known .* resembles IMDN but lacks 20 keys \((body|conv_first)\."
        ):
            found(saved(tmp_path / "net.pth", dict(kept)))


def test_other_kinds_of_networks_are_told(tmp_path: Path) -> None:
    judge = nn.Sequential(nn.Conv2d(3, 8, 3), nn.LeakyReLU(), nn.Flatten(), nn.Linear(32, 1)).state_dict()
    vae = {"encoder.conv_in.weight": torch.zeros(8, 3, 3, 3), "quant_conv.weight": torch.zeros(8, 8, 1, 1)}
    vae |= {"decoder.conv_out.weight": torch.zeros(3, 8, 3, 3)}
    for name, state, words in (("d", judge, "a discriminator"), ("v", vae, r"an autoencoder \(VAE\)")):
        with pytest.raises(InputError, match=rf"{name}\.pth: no network is known .*{words}.*package\.module:Class"):
            found(saved(tmp_path / f"{name}.pth", state))


def test_a_discriminator_beside_the_generator_is_never_taken(tmp_path: Path) -> None:
    judge = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(32, 1)).state_dict()
    original = network("srresnet_s", 4, blocks=1, features=8)
    path = saved(tmp_path / "gan.pth", {"net_d": judge, "net_g": original.state_dict()})
    same(original, found(path).build(4))
    with pytest.raises(InputError, match="discriminator"):
        found(path, key="net_d")


def test_a_wrong_model_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", network("espcn", 4).state_dict())
    with pytest.raises(InputError, match="holds no weights of imdn"):
        found(path, model="imdn")


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    state = {key: (value * 100).to(torch.int8) for key, value in network("espcn", 4).state_dict().items()}
    with pytest.raises(InputError, match=r"whole numbers instead of weights \(conv1\.weight int8"):
        found(saved(tmp_path / "net.pth", state), scale=4)


def test_numpy_archive_and_loading_through_the_door(tmp_path: Path) -> None:
    original = network("espcn", 3)
    np.savez(tmp_path / "net.npz", **{key: value.numpy() for key, value in original.state_dict().items()})
    upscaler = srbench.load(tmp_path / "net.npz")
    assert (upscaler.scale, upscaler.channels) == (3, "y")
    x = torch.rand(1, 1, 9, 11)
    with torch.no_grad():
        assert torch.equal(upscaler(x), original(x))
