"""Networks that no registry knows: what they declare, what is refused before anything is read, and what becomes of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

import srbench
from srbench.cli import main
from srbench.errors import InputError, UnknownNameError
from srbench.models import MODELS
from srbench.training.loop.own import describe
from srbench.zoo import find_checkpoint
from tests.builders import write_images

pytestmark = pytest.mark.usefixtures("one_thread")

CODE = '''
import torch
from torch import nn


class Net(nn.Module):
    """Uses ``view``, which tensors in channels_last layout refuse, and batch norm, which a trial pass must leave alone."""

    def __init__(self, scale=4, width=6):
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.tail = nn.Conv2d(width, 3 * scale * scale, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x):
        x = x.view(*x.shape[:2], -1).view(x.shape)
        return self.shuffle(self.tail(torch.relu(self.norm(self.head(x)))))


class Luma(nn.Module):
    channels = "y"
    scale = 2

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x):
        return self.layers(x)


class FSRCNN(Luma):
    pass


class Same(nn.Module):
    scale = 2

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.layer(x)


class Pair(Same):
    def forward(self, x):
        return x, x


class Far(Luma):
    range = 255


class Steps(Luma):
    multiple_of = 3


class Nothing(nn.Module):
    scale = 2

    def forward(self, x):
        return nn.functional.interpolate(x, scale_factor=2)


class Needs(Net):
    def __init__(self, scale, depth):
        super().__init__(scale)


number = 3
'''


@pytest.fixture
def here(tmp_path: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with mynet.py and images, which is the current one."""
    (tmp_path / "mynet.py").write_text(CODE)
    write_images(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


VALUES = {"val": 2, "patch": 8, "batch": 4, "val_every": 2, "log_every": 1}


def run(*arguments: str) -> Result:
    given = [part for key, value in VALUES.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    own = ["--data", "images", "--steps", "2", "--threads", "1", "--device", "cpu"]
    return CliRunner().invoke(main, ["train", *arguments, *own, *given])


@pytest.mark.parametrize(
    ("arguments", "name", "source", "channels"),
    [
        (["mynet.py:Net", "--scale", "3"], "net_x3.tuned", "mynet.py:Net", "rgb"),
        (["mynet:Luma"], "luma_x2.tuned", "mynet:Luma", "y"),
        (["mynet.py:FSRCNN", "--seed", "1"], "own-fsrcnn_x2.tuned-seed1", "mynet.py:FSRCNN", "y"),
    ],
)
def test_a_class_is_trained_as_it_is(arguments: list[str], name: str, source: str, channels: str, here: Path) -> None:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    card = find_checkpoint(name)
    assert (card.source, card.channels, card.options) == (source, channels, {})
    assert card.model not in MODELS
    scale = str(card.scales[0])
    weights = str(here / "zoo" / card.model / card.file)
    found = srbench.load(source, scale=int(scale), weights=weights)
    assert [len(found("images/p0.png")), found.channels] == [64 * int(scale), channels]
    # A card runs nobody's code: it says how the network is to be named.
    refused = CliRunner().invoke(main, ["show-filters", name, "head"])
    assert refused.exit_code == 1
    assert f"is a network of {source}: name that, with --weights" in refused.stderr


def test_options_reach_the_constructor_and_a_run_resumes(here: Path) -> None:
    assert run("mynet.py:Net", "--set", "options.width=9").exit_code == 0
    card = find_checkpoint("net_x4.tuned")
    assert (card.options, card.parameters) == ({"width": 9}, 3 * 9 * 9 + 9 + 18 + 9 * 48 * 9 + 48)
    assert run("mynet.py:Net", "--set", "options.width=9", "--resume").exit_code == 0
    assert "the zoo has a checkpoint net_x4.tuned" in run("mynet.py:Net", "--set", "options.width=9").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mynet.py:Same"], "mynet.py:Same made (1, 3, 8, 8) of (1, 3, 8, 8); at x2 it should make (1, 3, 16, 16)"),
        (["mynet.py:Pair"], "made a tuple; training needs one tensor"),
        (["mynet.py:Far"], "declares range = 255"),
        (["mynet.py:Nothing"], "has no weights to train"),
        (["mynet.py:Steps"], "patch = 8: steps takes inputs of a multiple of 3"),
        (["mynet.py:Needs", "--scale", "2"], "needs depth"),
        (["mynet.py:number"], "expected a class or function"),
        (["mynet.py:Nett"], "mynet.py has no 'Nett'. Did you mean 'Net'?"),
        (["none.py:Net"], "no such file"),
        (["mynet.py:Luma", "--scale", "4"], "x4"),
        (["mynet.py:Luma", "--channels", "rgb"], "fails on an input of (1, 3, 8, 8)"),
        (["mynet.py:Net", "--set", "options.widht=9"], "Did you mean 'width'"),
        (["mynet.py:Net", "--set", "skip=bicubic"], "skip = 'bicubic' is for registered networks"),
    ],
)
def test_what_cannot_be_trained_is_said_before_images_are_read(arguments: list[str], message: str, here: Path) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (here / "zoo").exists()
    assert not (here / "runs").exists()


def test_a_trial_pass_changes_nothing(here: Path) -> None:
    from srbench.training.loop.own import check_generator

    network = describe("mynet.py:Net", 2).build(2).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    check_generator(network, "Net", (1, 3, 8, 8), 2, torch.device("cpu"))
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_python_trains_names_classes_and_modules_and_leaves_a_module_as_it_is(here: Path) -> None:
    import mynet  # type: ignore[import-not-found]

    def train(what: object, **more: object) -> srbench.zoo.Card:  # type: ignore[name-defined]
        return srbench.train(  # type: ignore[arg-type]
            what, data="images", steps=2, changes=VALUES, threads=1, device="cpu", progress=False, **more
        )

    assert train("fsrcnn_s").name == "fsrcnn_s_x4.tuned"
    assert train("mynet.py:Net", scale=2).name == "net_x2.tuned"
    assert train(mynet.Net, scale=3, seed=4).name == "net_x3.tuned-seed4"
    network = mynet.Luma()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    card = train(network, name="mine")
    assert (card.name, card.source) == ("luma_x2.mine", "mynet:Luma")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    with pytest.raises(UnknownNameError, match=r"'stpes'.*Did you mean 'steps'"):
        srbench.train("fsrcnn_s", stpes=3)  # type: ignore[call-arg]
    with pytest.raises(InputError, match=r"not a torch\.nn\.Module"):
        train(lambda: 3, scale=2)
