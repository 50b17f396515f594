"""Starts from weights of the same architecture at another scale."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from srbench.errors import InputError, UnknownNameError
from srbench.models import create_model, get_model
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.start import Build, from_file, warm_start
from srbench.training.loop.trainer import train
from srbench.training.recipe.load import load_recipe
from srbench.zoo import find_checkpoint, load_checkpoint, load_weights, save_checkpoint
from tests.builders import make_card, small_recipe, write_images


def store(model: str, scale: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    network = create_model(model, scale)
    parameters = sum(p.numel() for p in network.parameters())
    card = make_card(model, scale=scale, channels=get_model(model).channels, parameters=parameters)
    save_checkpoint(network.state_dict(), card)
    return network.state_dict()


@pytest.mark.parametrize(
    ("model", "stay"),
    [
        ("fsrcnn_s", {"deconv"}),  # of the same shape, but its stride is the scale
        ("espcn", {"conv3"}),
        ("srcnn", set()),
        ("edsr_baseline", {"upsample"}),
    ],
)
def test_what_fits_is_taken_and_the_rest_stays(model: str, stay: set[str], srbench_home: Path) -> None:
    parent = store(model, 2)
    torch.manual_seed(8)
    network = create_model(model, 3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    said = warm_start(f"{model}_x2.tuned", network, get_model(model)).warm
    after = network.state_dict()
    taken = {key for key in after if key in parent and torch.equal(after[key], parent[key])}
    same = {key for key in after if torch.equal(after[key], before[key])}
    assert taken | same == set(after)
    drawn = taken - same
    assert drawn
    if stay:
        left = set(after) - taken
        assert left
        assert {part for key in left for part in stay if part in key} == stay
    else:
        assert taken == set(after)
    assert said.startswith("warm start: ")
    parent = find_checkpoint(f"{model}_x2.tuned")
    assert f" of {len(after)} tensors from {parent.name} (sha256 {parent.sha256[:16]})" in said


def test_another_architecture_or_nothing_that_fits_is_refused(srbench_home: Path) -> None:
    store("espcn", 2)
    with pytest.raises(InputError, match="is a espcn, this run trains fsrcnn_s; expected the same"):
        warm_start("espcn_x2.tuned", create_model("fsrcnn_s", 4), get_model("fsrcnn_s"))
    skipping = create_model("espcn", 4, skip="bicubic")
    with pytest.raises(InputError, match="no weights that fit: expected the same skip"):
        warm_start("espcn_x2.tuned", skipping, get_model("espcn"))
    with pytest.raises(UnknownNameError, match=r"Did you mean 'espcn_x2\.tuned'"):
        warm_start("espcn_x2.comon", skipping, get_model("espcn"))
    with pytest.raises(InputError, match="give one of them"):
        load_recipe("tuned", "espcn", {"init_from": "espcn_x4.tuned", "warm_from": "espcn_x2.tuned"})


def test_a_run_starts_from_another_scale_and_its_card_says_so(tmp_path: Path, srbench_home: Path) -> None:
    folder = write_images(tmp_path / "images")
    values = {"data": str(folder), "val": 2, "patch": 8, "batch": 2, "steps": 2, "val_every": 2, "lr": 1e-9}
    train("espcn", load_recipe("tuned", "espcn", {**values, "scale": 2}), RunOptions(progress=False, threads=1))
    recipe = load_recipe("tuned", "espcn", {**values, "warm_from": "x2.tuned"})
    card = train("espcn", recipe, RunOptions(progress=False, threads=1))
    assert "tensors from espcn_x2.tuned" in card.notes
    assert card.config["warm_from"] == "x2.tuned"
    small, large = (create_model("espcn", scale, skip="bicubic") for scale in (2, 4))
    for network, name in ((small, "espcn_x2.tuned"), (large, "espcn_x4.tuned")):
        load_weights(network, srbench_home / "zoo" / "espcn" / find_checkpoint(name).file)
    first, second = (network.state_dict()["network.conv1.weight"] for network in (small, large))
    torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-3)


def test_a_parent_beside_the_output_is_found_also_when_a_budget_is_planned(tmp_path: Path, srbench_home: Path) -> None:
    folder = write_images(tmp_path / "images")
    values = {"data": str(folder), "val": 2, "patch": 8, "batch": 2, "steps": 2, "val_every": 2}
    settings = RunOptions(progress=False, threads=1, zoo=tmp_path / "other")
    parent = train("espcn", load_recipe("tuned", "espcn", values), settings)
    recipe = load_recipe("tuned", "espcn", {**values, "init_from": "espcn_x4.tuned"})
    card = train("espcn", recipe, replace(settings, name="child", budget=0.5))
    assert card.init_sha256 == find_checkpoint(parent.name, tmp_path / "other").sha256


def test_weights_no_better_than_their_parents_are_told(
    tmp_path: Path, srbench_home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "images", 5)
    parent = train("espcn", small_recipe(images, "espcn", lr=1e-3), RunOptions(progress=False, threads=1))
    worse = small_recipe(images, "espcn", init_from=parent.name, lr=0.1, ema=0.0)
    card = train("espcn", worse, RunOptions(threads=1, name="worse"))
    first, best = parent.curve[-1]["val_psnr"], max(point["val_psnr"] for point in card.curve)
    said = f"no validation was above the {first:.2f} dB of {parent.name}; the best had {best:.2f} dB"
    assert said in card.notes
    assert f"warning: {said}" in " ".join(capfd.readouterr().err.split())
    better = small_recipe(images, "espcn", init_from=parent.name, lr=1e-4)
    card = train("espcn", better, RunOptions(progress=False, threads=1, name="better"))
    assert (f"dB of {parent.name}; the best had" in card.notes) == (max(p["val_psnr"] for p in card.curve) <= first)


def test_weights_no_better_than_bicubic_are_told(
    tmp_path: Path, srbench_home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A training that ran away ends like any other; its weights are written, and what they are worth is said."""
    images = write_images(tmp_path / "images", 5)
    away = small_recipe(images, "espcn", lr=1e9, ema=0.0)
    card = train("espcn", away, RunOptions(threads=1))
    best = max(point["val_psnr"] for point in card.curve)
    assert f"dB of bicubic; the best had {best:.2f} dB" in card.notes
    assert "dB of bicubic; the best had" in " ".join(capfd.readouterr().err.split())


def test_a_card_names_the_parent_that_the_run_had_and_not_one_that_came_later(
    tmp_path: Path, srbench_home: Path
) -> None:
    store("espcn", 2)
    first = find_checkpoint("espcn_x2.tuned").sha256
    folder = write_images(tmp_path / "images")
    values = {
        "data": str(folder),
        "val": 2,
        "patch": 8,
        "batch": 2,
        "steps": 4,
        "val_every": 2,
        "log_every": 1,
        "scale": 2,
    }
    recipe = load_recipe("tuned", "espcn", {**values, "skip": "none", "init_from": "espcn_x2.tuned"})
    settings = RunOptions(progress=False, threads=1, name="child")
    with pytest.MonkeyPatch.context() as stopping:
        stopping.setattr(
            "srbench.training.loop.folder.Stop.asked", property(lambda _: True, lambda *_: None), raising=False
        )
        with pytest.raises(InterruptedRunError):
            train("espcn", recipe, settings)
    network = create_model("espcn", 2)
    save_checkpoint(network.state_dict(), find_checkpoint("espcn_x2.tuned").model_copy(update={"sha256": ""}))
    assert find_checkpoint("espcn_x2.tuned").sha256 != first
    assert train("espcn", recipe, replace(settings, resume=True)).init_sha256 == first


def test_batch_norm_keeps_its_statistics_from_the_recipes_step_on(tmp_path: Path, srbench_home: Path) -> None:
    folder = write_images(tmp_path / "images")
    values = {"data": str(folder), "val": 2, "patch": 8, "batch": 2, "steps": 4, "val_every": 2, "ema": 0.0}
    found = {}
    for share in (1.0, 0.5, 0.0):
        recipe = load_recipe("tuned", "srresnet_s", {**values, "freeze_norm": share, "keep": "last"})
        card = train("srresnet_s", recipe, RunOptions(progress=False, threads=1, name=f"frozen{share:g}"))
        network = create_model("srresnet_s", 4, skip="bicubic")
        load_weights(network, srbench_home / "zoo" / "srresnet_s" / find_checkpoint(card.name).file)
        found[share] = network.state_dict()
    means = {share: [v for k, v in state.items() if k.endswith("running_mean")] for share, state in found.items()}
    counts = {share: {int(v) for k, v in state.items() if "num_batches" in k} for share, state in found.items()}
    assert counts == {1.0: {4}, 0.5: {2}, 0.0: {0}}
    assert all(not mean.any() for mean in means[0.0])
    assert all(mean.any() for mean in means[0.5])
    start = create_model("srresnet_s", 4, skip="bicubic").state_dict()
    key = next(k for k in start if k.endswith("running_mean")).replace("running_mean", "weight")
    assert not torch.equal(found[0.0][key], torch.ones_like(found[0.0][key]))  # what norms scale by still learns


# Files of weights


def test_a_file_of_weights_gives_all_or_what_fits_and_says_which(tmp_path: Path, srbench_home: Path) -> None:
    torch.manual_seed(3)
    other = create_model("espcn", 4)
    file = tmp_path / "own.pth"
    torch.save({"params": other.state_dict()}, file)
    build = Build(get_model("espcn"), 4, "y", {})
    network = build.network()
    origin = from_file(file, network, build)
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    )
    assert origin.init_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert f"all {len(other.state_dict())} tensors" in origin.warm

    third = Build(get_model("espcn"), 3, "y", {})
    network = third.network()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    said = from_file(file, network, third).warm
    differing = {key for key, value in network.state_dict().items() if value.shape != other.state_dict()[key].shape}
    assert differing == {"conv3.weight", "conv3.bias"}
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key] if key in differing else other.state_dict()[key])
    assert "4 of 6 tensors, of x4; of another shape: conv3.weight (16×32×3×3 there, 9×32×3×3 here), conv3.bias" in said

    state = {key: value for key, value in other.state_dict().items() if key != "conv1.bias"} | {"head": torch.ones(1)}
    torch.save(state, file)
    said = from_file(file, build.network(), build).warm
    assert "5 of 6 tensors; not there: conv1.bias; not used: 1 of the file's" in said


def trained(name: str) -> dict[str, torch.Tensor]:
    """A committed checkpoint's weights; a probe tells of trained ones alone what they are for."""
    return load_file(Path(__file__).parents[1] / "zoo" / f"{name}.safetensors")


def test_a_file_for_0_to_255_starts_a_network_for_0_to_1(tmp_path: Path, srbench_home: Path) -> None:
    ours = {key: value.float() for key, value in trained("espcn/x4.tuned").items()}
    wide = dict(ours)
    wide["network.conv1.weight"] = ours["network.conv1.weight"] / 255
    for key in ("network.conv3.weight", "network.conv3.bias"):
        wide[key] = ours[key] * 255
    torch.save(wide, tmp_path / "wide.pth")
    build = Build(get_model("espcn"), 4, "y", {"skip": "bicubic"})
    network = build.network()
    origin = from_file(tmp_path / "wide.pth", network, build)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, ours[key])
    assert "all 6 tensors, for 0–255, which is folded into the first and the last convolution" in origin.warm


def test_a_file_in_its_authors_names_is_taken(tmp_path: Path, srbench_home: Path) -> None:
    """SRCNN's MATLAB names: each filter a column, rows after columns."""
    torch.manual_seed(5)
    ours = create_model("srcnn", 4).state_dict()
    columns = [ours[f"conv{n}.weight"].transpose(-1, -2).flatten(2) for n in (1, 2, 3)]
    shaped = [columns[0][:, 0].T, columns[1].permute(1, 2, 0), columns[2][0]]
    theirs = {f"weights_conv{n}": shaped[n - 1].contiguous() for n in (1, 2, 3)}
    torch.save(theirs | {f"biases_conv{n}": ours[f"conv{n}.bias"] for n in (1, 2, 3)}, tmp_path / "srcnn.pth")
    build = Build(get_model("srcnn"), 4, "y", {})
    network = build.network()
    origin = from_file(tmp_path / "srcnn.pth", network, build)
    for key, value in network.state_dict().items():
        assert torch.equal(value, ours[key])
    assert "in the names of SRCNN's authors" in origin.warm


def test_a_file_of_another_scale_gives_no_transposed_convolution(tmp_path: Path, srbench_home: Path) -> None:
    torch.save(trained("fsrcnn/x4.tuned"), tmp_path / "four.pth")
    build = Build(get_model("fsrcnn"), 2, "y", {"skip": "bicubic"})
    network = build.network()
    before = network.state_dict()["network.deconv.weight"].clone()
    said = from_file(tmp_path / "four.pth", network, build).warm
    assert torch.equal(network.state_dict()["network.deconv.weight"], before)
    assert "21 of 23 tensors, of x4; not there: network.deconv.weight, network.deconv.bias" in said


def test_weights_with_a_skip_do_not_start_a_network_without(tmp_path: Path, srbench_home: Path) -> None:
    torch.save(trained("espcn/x4.tuned"), tmp_path / "skip.pth")
    build = Build(get_model("espcn"), 4, "y", {})
    with pytest.raises(InputError, match="with a bicubic skip, and this run has none: give skip = 'bicubic'"):
        from_file(tmp_path / "skip.pth", build.network(), build)


def test_a_file_of_which_nothing_fits_is_refused(tmp_path: Path, srbench_home: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save(create_model("srcnn", 4).state_dict(), file)
    build = Build(get_model("edsr_baseline"), 4, "rgb", {})
    with pytest.raises(InputError, match=r"init_from = '.*other\.pth' has no weights that fit edsr_baseline at x4"):
        from_file(file, build.network(), build)
    skipping = Build(get_model("srcnn"), 4, "y", {"skip": "bicubic"})
    with pytest.raises(InputError, match="give skip = 'none'"):
        from_file(file, skipping.network(), skipping)
    with pytest.raises(InputError, match=r"no weights at .*none\.pth"):
        from_file(tmp_path / "none.pth", build.network(), build)


def test_a_run_starts_from_a_file_and_its_card_says_what_was_taken(tmp_path: Path, srbench_home: Path) -> None:
    images = write_images(tmp_path / "images")
    file = tmp_path / "own.pth"
    torch.save(create_model("espcn", 4).state_dict(), file)
    recipe = small_recipe(images, "espcn", steps=1, val_every=1, lr=1e-12, ema=0.0, skip="none", init_from=str(file))
    card = train("espcn", recipe, RunOptions(progress=False, threads=1))
    assert card.init_from == str(file)
    assert card.init_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "init_from own.pth" in card.notes
    wanted = torch.load(file)["conv1.weight"].half().float()
    assert torch.allclose(load_checkpoint(card.name).state_dict()["conv1.weight"], wanted, atol=1e-6)
