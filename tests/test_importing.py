"""Foreign weights in the zoo: the same output, a card that says whence, one line for what cannot be imported."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import srbench
from srbench.cli import main
from srbench.datasets.local import find_dataset
from srbench.errors import InputError
from srbench.evaluation.leaks import trained_on_test_images
from srbench.importing import Statement, import_weights
from srbench.models import create_model, get_model
from srbench.subjects import resolve_one
from srbench.training.loop.options import RunOptions
from srbench.training.loop.trainer import train
from srbench.weights.recognise import Wanted
from srbench.zoo import find_checkpoint, list_checkpoints, load_checkpoint
from tests.builders import small_recipe, write_images

pytestmark = pytest.mark.usefixtures("one_thread")


def drawn(model: str, scale: int = 4, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return create_model(model, scale, **options).eval()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """ESPCN's, as a file from elsewhere."""
    path = tmp_path / "theirs.pth"
    torch.save({"params": drawn("espcn").state_dict()}, path)
    return path


def command(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["zoo", "import", *map(str, arguments)])


def test_a_file_becomes_a_checkpoint_for_every_command(weights: Path, srbench_home: Path, tmp_path: Path) -> None:
    said = ["--licence", "MIT", "--url", "https://example.org/espcn", "--citation", "Shi 2016", "--recipe", "Adam"]
    done = command(weights, "--name", "official", *said)
    assert done.exit_code == 0, done.output
    card = find_checkpoint("espcn_x4.official")
    assert card.imported is not None
    assert (card.imported.licence, card.imported.citation, card.imported.recipe) == ("MIT", "Shi 2016", "Adam")
    assert (card.imported.file, card.imported.url) == ("theirs.pth", "https://example.org/espcn")
    assert (card.scales, card.channels, card.parameters) == ([4], "y", get_model("espcn").parameters[4])
    x = torch.rand(1, 1, 9, 7)
    with torch.inference_mode():
        assert torch.equal(load_checkpoint(card.name)(x), drawn("espcn")(x))
    for listing in (["zoo", "ls"], ["ls", "checkpoints"]):
        assert "espcn_x4.official" in CliRunner().invoke(main, listing).output
    listed = json.loads(CliRunner().invoke(main, ["zoo", "ls", "--json"]).output)
    assert [one["name"] for one in listed if one.get("imported")] == [card.name]
    images = write_images(tmp_path / "images", 2)
    found = CliRunner().invoke(main, ["eval", card.name, "--datasets", str(images), "--metrics", "psnr", "--json"])
    assert found.exit_code == 0, found.output
    assert "it cannot be known whether it was trained on test images: training data not stated" in found.output


def test_training_goes_on_from_it_and_keeps_what_is_not_known(
    weights: Path, srbench_home: Path, tmp_path: Path
) -> None:
    parent = import_weights(weights, "official").name
    images = write_images(tmp_path / "images")
    options = RunOptions(name="child", progress=False, threads=1)
    child = train("espcn", small_recipe(images, "espcn", init_from=parent, skip="none", steps=2), options)
    assert child.untold == [f"init_from {parent}: training data not stated"]
    grandchild = train(
        "espcn",
        small_recipe(images, "espcn", init_from=child.name, skip="none", steps=2),
        RunOptions(name="grandchild", progress=False, threads=1),
    )
    assert grandchild.untold == child.untold
    notes = trained_on_test_images(resolve_one(grandchild.name), find_dataset(images))
    assert notes == [f"it cannot be known whether it was trained on test images: {child.untold[0]}"]


def test_a_stated_set_is_compared_with_test_images(weights: Path, srbench_home: Path) -> None:
    assert srbench_home.is_dir()
    card = import_weights(weights, "stated", Statement(trained_on=("BSDS200+DIV2K",)))
    assert (set(card.data), card.trained_on) == ({"bsds200"}, "BSDS200+DIV2K")
    assert card.untold == ["DIV2K, whose images are not known here"]


@pytest.mark.data
def test_a_stated_set_that_is_none_is_told(weights: Path, srbench_home: Path) -> None:
    said = command(weights, "--name", "typo", "--trained-on", "div2k-trainn").output
    assert "div2k-trainn, whose images are not known here (did you mean 'div2k-train'?)" in said
    assert "not known here" not in command(weights, "--name", "known", "--trained-on", "t91").output


def test_what_a_stated_set_has_seen_is_named(weights: Path, srbench_home: Path) -> None:
    assert srbench_home.is_dir()
    card = import_weights(weights, "stated", Statement(trained_on=("bsds200",)))
    (note,) = trained_on_test_images(resolve_one(card.name), find_dataset("set5"))
    assert "woman (as bsds200/302003)" in note


@pytest.mark.parametrize("model", ["rfdn", "imdn"])
def test_a_range_is_folded_into_the_weights(model: str, srbench_home: Path, tmp_path: Path) -> None:
    assert srbench_home.is_dir()
    network = drawn(model)
    torch.save(network.state_dict(), tmp_path / "wide.pth")
    card = import_weights(tmp_path / "wide.pth", "wide", wanted=Wanted(scale=4, range=255.0))
    x = torch.rand(1, 3, 24, 24)
    with torch.inference_mode():
        torch.testing.assert_close(load_checkpoint(card.name)(x), network(255 * x) / 255, atol=1e-5, rtol=1e-4)
    assert card.imported is not None
    assert any("folded" in line for line in card.imported.report)


def test_a_range_that_cannot_be_folded_is_refused(srbench_home: Path, tmp_path: Path) -> None:
    """EDSR subtracts a mean of [0, 1] before its first convolution."""
    torch.save(drawn("edsr_baseline").state_dict(), tmp_path / "wide.pth")
    with pytest.raises(InputError, match=r"its weights in our network give another image, by .* of white"):
        import_weights(tmp_path / "wide.pth", "wide", wanted=Wanted(scale=4, range=255.0))
    assert not (srbench_home / "zoo" / "edsr_baseline").exists()


def test_several_scales_stay_one_checkpoint(srbench_home: Path, tmp_path: Path) -> None:
    assert srbench_home.is_dir()
    options = {"blocks": 1, "features": 8}
    torch.save(drawn("mdsr_baseline", 2, **options).state_dict(), tmp_path / "several.pth")
    card = import_weights(
        tmp_path / "several.pth", "mdsr_baseline_x2x3x4.small", wanted=Wanted(model="mdsr_baseline", options=options)
    )
    assert card.name == "mdsr_baseline_x2x3x4.small"
    assert srbench.load(card.name, scale=3).scale == 3


def test_names_are_checked_and_nothing_is_overwritten_unasked(weights: Path, srbench_home: Path) -> None:
    kept = import_weights(weights, "espcn_x4.kept")
    path = srbench_home / "zoo" / "espcn" / "x4.kept.safetensors"
    before = path.read_bytes()
    torch.save(drawn("espcn", skip="bicubic").state_dict(), weights)
    for name, expected in (
        ("kept", "the zoo has a checkpoint espcn_x4.kept; --overwrite replaces it, another --name keeps both"),
        ("a b", "checkpoint name 'a b': expected letters, digits"),
        ("../up", "checkpoint name '../up': expected letters, digits"),
        (
            "edsr_x2.mine",
            "--name 'edsr_x2.mine' names other weights: these are espcn_x4, so that espcn_x4.… is expected",
        ),
        ("", "checkpoint name ''"),
    ):
        refused = command(weights, "--name", name)
        assert refused.exit_code == 1
        assert expected in refused.output
        assert len(refused.output.strip().splitlines()) == 1
    assert (path.read_bytes(), [card.name for card in list_checkpoints()]) == (before, [kept.name])
    assert command(weights, "--name", "kept", "--overwrite").exit_code == 0
    assert find_checkpoint(kept.name).options == {"skip": "bicubic"}


def test_what_cannot_be_imported_is_one_line_and_leaves_nothing(
    weights: Path, srbench_home: Path, tmp_path: Path
) -> None:
    state = drawn("espcn").state_dict()
    broken = {**state, "conv1.bias": torch.full_like(state["conv1.bias"], float("nan"))}
    other = {key: 0.5 * value for key, value in state.items()}
    half = tmp_path / "half.pth"
    half.write_bytes(weights.read_bytes()[:2000])
    files: dict[str, Any] = {
        "conv1.bias holds 64 values that are NaN or infinite": broken,
        "holds 2 networks: net_a (6 tensors), net_b (6 tensors); choose one with --key": {
            "net_a": state,
            "net_b": other,
        },
        "no network is known that has its 1 keys": {"a.weight": torch.zeros(3, 3, 3, 3)},
        "it resembles ESPCN but lacks": {key: value for key, value in state.items() if key != "conv2.weight"},
        "holds no state dict": [1, 2],
    }
    cases = {"half.pth is cut off": half, "no weights at": tmp_path / "none.pth"}
    for number, (expected, content) in enumerate(files.items()):
        cases[expected] = tmp_path / f"bad{number}.pth"
        torch.save(content, cases[expected])
    for expected, path in cases.items():
        refused = command(path, "--name", "x")
        assert refused.exit_code == 1, refused.output
        assert expected in refused.output
        assert len(refused.output.strip().splitlines()) == 1
    assert not list((srbench_home / "zoo").glob("*/x*"))


def test_an_imported_checkpoint_has_no_recipe_to_halve_by(weights: Path, srbench_home: Path) -> None:
    assert srbench_home.is_dir()
    card = import_weights(weights, "official")
    refused = CliRunner().invoke(main, ["halve", card.name])
    assert refused.exit_code == 1
    assert "has no recipe on its card" in refused.output


def test_the_card_says_what_is_not_known(weights: Path, srbench_home: Path) -> None:
    import_weights(weights, "official", Statement(licence="MIT"))
    text = (srbench_home / "zoo" / "espcn" / "x4.official.toml").read_text()
    card = tomllib.loads(text)
    assert card["untold"] == ["training data not stated"]
    assert card["imported"]["trained_on"] == ""
    with pytest.raises(InputError, match="holds weights for x4, as their shapes say, not for x2"):
        import_weights(weights, "other", wanted=Wanted(scale=2))
