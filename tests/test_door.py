"""The public functions, and each kind of subject in each command that takes one."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

import srbench
from srbench.cli import main
from srbench.door import TrainOptions
from srbench.errors import InputError, SrbenchError, UnknownNameError
from srbench.images import crop_to_multiple, read_image, write_image
from srbench.inference import Inference
from srbench.models import create_model
from srbench.training.loop.options import RunOptions
from tests.builders import smooth
from tests.test_evaluation import Nearest, folder, zoo
from tests.test_subjects import own

__all__ = ["folder", "own", "zoo"]  # fixtures

pytestmark = pytest.mark.usefixtures("one_thread")

# Every kind of subject: the text, what goes with it, and the name that its results have.
KINDS: dict[str, tuple[list[str], str]] = {
    "checkpoint": (["fsrcnn_s_x4.tiny"], "fsrcnn_s_x4.tiny"),
    "pattern": (["*_x4.tiny"], "fsrcnn_s_x4.tiny"),
    "model": (["fsrcnn_s"], "fsrcnn_s_x4.tiny"),
    "interpolator": (["bicubic", "--scale", "4"], "bicubic"),
    "file": (["espcn.pth", "--model", "espcn", "--scale", "2"], "espcn_x2.espcn"),
    "class in a file": (["nets.py:Net", "--option", "width=5", "--scale", "2"], "nets.Net-width5"),
    "class in a package": (["nets:make"], "nets.make"),
    "class with weights": (["nets.py:Net", "--weights", "net.pth"], "nets.Net.net"),
}


def command(*arguments: object) -> Result:
    done = CliRunner().invoke(main, [str(one) for one in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture
def place(zoo: Path, own: Path, folder: Path) -> Path:
    """A home with a checkpoint, in a folder with files and classes of one's own; a folder of images."""
    from tests.test_subjects import OWN

    names: dict[str, type[nn.Module]] = {}
    exec(OWN, names)
    torch.save(names["Net"]().state_dict(), own / "net.pth")  # type: ignore[call-arg]
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_eval_takes_it(place: Path, zoo: Path, kind: str) -> None:
    words, name = KINDS[kind]
    done = command("eval", *words, "--datasets", place, "--metrics", "psnr", "--no-report", "--json", "--device", "cpu")
    assert done.exit_code == 0, done.output
    [path] = (zoo / "results" / "quality").rglob("*.json")
    record = json.loads(path.read_text())
    assert (record["checkpoint"], record["status"]) == (name, "ok")
    assert len(record["cell_hash"]) == 64


@pytest.mark.parametrize("kind", KINDS)
def test_upscale_takes_it(place: Path, tmp_path: Path, kind: str) -> None:
    (text, *words), _ = KINDS[kind]
    done = command("upscale", place / "p0.png", tmp_path / "out.png", "--checkpoint", text, *words, "--device", "cpu")
    assert done.exit_code == 0, done.output
    scale = read_image(tmp_path / "out.png").shape[0] // 50
    assert read_image(tmp_path / "out.png").shape == (50 * scale, 61 * scale, 3)
    assert scale in (2, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_cost_and_speed_take_it(place: Path, zoo: Path, kind: str) -> None:
    words, name = KINDS[kind]
    expected = "fsrcnn_s" if kind == "model" else name  # times and counts need no weights
    counted = command("cost", *words, "--input", "8x8", "--json")
    assert counted.exit_code == 0, counted.output
    [row] = json.loads(counted.stdout)
    assert row["name"] == expected
    assert row["mult_adds"] > 0
    timed = command("speed", *words, "--input", "8x8", "--variants", "eager", "--quick", "--seconds", "0.01", "--json",
                    "--device", "cpu")  # fmt: skip
    assert timed.exit_code == 0, timed.output
    [record] = json.loads(timed.stdout)
    assert (record["name"], record["variants"]["eager"]["status"]) == (expected, "ok")
    assert record["random_weights"] == (kind == "model")


def test_a_class_is_timed_in_a_fresh_process_too(place: Path) -> None:
    from srbench.evaluation.memory import in_fresh_process
    from srbench.subjects import Request

    subject = Request("nets.py:Net", 2, options={"width": 5})
    found = in_fresh_process(
        {"subject": subject, "size": (8, 8), "variant": "eager", "device": "cpu", "threads": 1}, 120
    )
    assert found.status == "ok", found.reason
    assert found.peak_memory_bytes is not None


def test_former_options_go_on_working_and_say_so(place: Path, zoo: Path) -> None:
    done = command("eval", "--model", "espcn", "--checkpoint", "espcn.pth", "--scale", 2, "--datasets", place, "--metrics",
                   "psnr", "--no-report", "--tile", 8, "--tile-overlap", 2, "--self-ensemble", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "--tile-overlap is --overlap now" in done.stderr
    assert "--self-ensemble is --ensemble now" in done.stderr
    assert "--checkpoint is an argument" in done.stderr
    assert [path.name for path in (zoo / "results").rglob("*.json")] == ["espcn_x2.espcn+tile8-2%2Bensemble.json"]
    assert "--tile-overlap" not in command("eval", "--help").output


def test_traits_from_the_command_line_are_honoured(place: Path) -> None:
    base = ["eval", "nets.py:Net", "--datasets", place, "--metrics", "psnr", "--no-report", "--json"]
    plain = json.loads(command(*base).stdout)
    turned = json.loads(
        command(*base, "--trait", "range=255", "--trait", "bgr=true", "--trait", "mean=[100,110,120]").stdout
    )
    assert turned[0]["psnr"] == pytest.approx(plain[0]["psnr"], abs=1e-4), "this network is linear: units cancel out"
    for wrong, words in (("rnge=255", "Did you mean 'range'"), ("range=0", "range must be"), ("bgr", "KEY=VALUE")):
        done = command(*base, "--trait", wrong)
        assert done.exit_code == 1
        assert words in done.stderr


# Python


def test_importing_needs_no_torch_and_completion_shows_what_there_is() -> None:
    code = (
        "import sys, srbench; print(sorted({'torch', 'numpy', 'pydantic'} & set(sys.modules)), ' '.join(dir(srbench)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] ")
    assert {"load", "evaluate", "score", "upscale", "train", "compare", "images"} <= set(done.stdout.split())
    assert all(hasattr(srbench, name) for name in dir(srbench))


@pytest.mark.parametrize("name", ["load", "evaluate", "score", "upscale", "train", "compare"])
def test_a_wrong_keyword_is_one_line_with_the_nearest(name: str) -> None:
    function = getattr(srbench, name)
    parameters = inspect.signature(function).parameters
    assert all(p.kind is not p.VAR_KEYWORD for p in parameters.values()), "help() shows each keyword"
    keyword = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY][-1]
    with pytest.raises(UnknownNameError, match=rf"{name}\(\)\. Did you mean '{keyword}'"):
        function("x", "y", 4, **{keyword + "s": 1})
    assert function.__doc__
    said = function.__doc__ + ((srbench.load.__doc__ or "") if ":func:`srbench.load`" in function.__doc__ else "")
    assert [p for p in parameters if p not in said] == []


def test_signatures_show_the_defaults_of_inference() -> None:
    parameters = inspect.signature(srbench.load).parameters
    shown = {one.name: parameters[one.name].default for one in fields(Inference)}
    assert shown == {one.name: one.default for one in fields(Inference)}


def test_the_options_of_a_run_are_those_of_training() -> None:
    ours = [name for name in TrainOptions.__annotations__ if name != "tensorboard"]  # a former way to name a tracker
    assert ours == [one.name for one in fields(RunOptions)]


def test_upscale_gives_back_what_it_was_given_or_writes(place: Path, tmp_path: Path) -> None:
    array = smooth(12, 10)
    up = srbench.load("fsrcnn_s_x4.tiny")
    assert np.array_equal(srbench.upscale(array, "fsrcnn_s_x4.tiny"), up(array))
    assert np.array_equal(srbench.upscale(array, up), up(array))
    assert srbench.upscale(array, nn.Upsample(scale_factor=2), 2).shape == (24, 20, 3)
    written = srbench.upscale(place, "bicubic", 2, out=tmp_path / "big")
    assert [path.name for path in written] == ["p0.png", "p1.png", "p2.png"]
    with pytest.raises(InputError, match="out= is for files"):
        srbench.upscale(array, up, out=tmp_path / "a.png")
    with pytest.raises(InputError, match="scale and options already"):
        srbench.upscale(array, up, tile=8)


def test_compare_takes_names_and_results(place: Path, zoo: Path) -> None:
    for name in ("bicubic", "nearest"):
        command("eval", name, "--scale", 4, "--datasets", place, "--metrics", "psnr", "--no-report")
    command("eval", "nets.py:Net", "--datasets", place, "--metrics", "psnr", "--no-report")
    own = srbench.compare("nets.py:Net", "nearest", "dir-photos")
    assert (own.a, own.difference) == ("nets.Net", 0), "it repeats pixels, as nearest does"
    listed = command("compare", "nets.py:Net", "bicubic", "--dataset", "dir-photos", "--json")
    assert json.loads(listed.stdout)["a"] == "nets.Net", listed.output
    stored = srbench.compare("bicubic", "nearest", "dir-photos")
    a, b = (srbench.evaluate(name, place, scale=4, metrics=["psnr"]) for name in ("bicubic", "nearest"))
    measured = srbench.compare(a, b)
    assert (measured.difference, measured.p, measured.images) == (stored.difference, stored.p, stored.images)
    same = srbench.compare(a, a)
    assert same.difference == 0
    assert same.ties == 3
    with pytest.raises(InputError, match="mixture"):
        srbench.compare(a, "nearest")
    with pytest.raises(InputError, match="1 of the measured: nearest"):
        srbench.compare("nearest", "nearest", "dir-photos")


def test_evaluate_takes_every_kind(place: Path) -> None:
    for kind, (words, name) in KINDS.items():
        if kind in ("pattern", "class in a package"):
            continue
        text, *options = words
        given = dict(zip((option.strip("-") for option in options[::2]), options[1::2], strict=True))
        scale = int(given.pop("scale")) if "scale" in given else None
        if "option" in given:
            given["options"] = {"width": int(given.pop("option").partition("=")[2])}  # type: ignore[assignment]
        result = srbench.evaluate(text, place, scale, metrics=["psnr"], **given)  # type: ignore[arg-type]
        assert (result.checkpoint, result.status) == (name, "ok")


def test_networks_of_ones_own_are_measured_anew_unless_they_can_be_told_apart(place: Path) -> None:
    assert srbench.evaluate(Nearest(), place, metrics=["psnr"]).cell_hash == ""
    network = nn.Sequential(nn.Conv2d(3, 3, 1), Nearest())
    assert len(srbench.evaluate(network, place, scale=4, metrics=["psnr"]).cell_hash) == 64


@pytest.mark.slow
def test_train_goes_on_from_a_checkpoint_or_a_file(zoo: Path, tmp_path: Path) -> None:
    for i in range(4):
        write_image(tmp_path / "data" / f"t{i}.png", smooth(96, 96, i))
    same = {"data": str(tmp_path / "data"), "steps": 2, "size": "cpu", "device": "cpu", "progress": False}
    changes = {"val": 1, "val_every": 2, "batch": 2, "patch": 16}
    card = srbench.train("fsrcnn_s_x4.tiny", name="more", changes=changes, **same)  # type: ignore[arg-type]
    assert (card.name, card.init_from, card.options) == ("fsrcnn_s_x4.more", "fsrcnn_s_x4.tiny", {"skip": "bicubic"})
    with pytest.raises(SrbenchError, match=r"fsrcnn_s_x4\.more"):
        srbench.train("fsrcnn_s_x4.tiny", name="more", changes=changes, **same)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bicubic", "no weights to train"),
        ("fsrcn", "Did you mean 'fsrcnn'"),
        ("nets.py:Nets", "Did you mean 'Net'"),
        ("fsrcnn_s_x4.tyni", "Did you mean 'fsrcnn_s_x4.tiny'"),
    ],
)
def test_what_cannot_be_trained_is_one_line(zoo: Path, own: Path, text: str, words: str) -> None:
    with pytest.raises(SrbenchError, match=words):
        srbench.train(text)
    done = command("train", text)
    assert done.exit_code == 1
    assert words in done.stderr


def test_lists(zoo: Path) -> None:
    assert "psnr" in srbench.list_metrics()
    assert "set5" in srbench.list_datasets("set*")
    assert "tuned" in srbench.list_recipes("fsrcnn")
    assert [card.name for card in srbench.list_checkpoints()] == ["fsrcnn_s_x4.tiny"]
    assert isinstance(srbench.load_checkpoint("fsrcnn_s_x4.tiny"), nn.Module)
    assert type(srbench.create_model("espcn", 4)) is type(create_model("espcn", 4))


def test_what_was_measured_is_shown_also_with_lr_of_a_folder(place: Path, tmp_path: Path) -> None:
    for path in place.iterdir():
        write_image(tmp_path / "lr" / path.name, srbench.images.imresize(crop_to_multiple(read_image(path), 4), 0.25))
    done = command("eval", "bicubic", "--scale", 4, "--datasets", place, "--metrics", "psnr", "--no-report", "--json",
                   "--lr-folder", tmp_path / "lr", "--tile", 8)  # fmt: skip
    assert [row["variant"] for row in json.loads(done.stdout)] == ["tile8+lrfiles"], done.output
