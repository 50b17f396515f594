"""One grammar for what can be measured: each kind of subject, by each command, and what tells its weights from others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from srbench.errors import InputError, SrbenchError, UnavailableError, UnknownNameError
from srbench.inference import Inference, InferenceOptions, options
from srbench.models import create_model
from srbench.subjects import Request, find, load, of_module, resolve, resolve_one
from srbench.subjects.modules import identity_of
from srbench.upscaler import Traits, Upscaler, network_pass, upscale
from tests.test_evaluation import zoo

__all__ = ["zoo"]  # a fixture

pytestmark = pytest.mark.usefixtures("one_thread")

OWN = '''
import torch
from torch import nn

GAIN = 1.0

class Net(nn.Module):
    """Repeats pixels after a convolution that changes nothing."""

    def __init__(self, scale=4, width=3):
        super().__init__()
        self.scale = scale
        self.conv = nn.Conv2d(3, width, 1, bias=False)
        nn.init.dirac_(self.conv.weight)

    def forward(self, x):
        y = self.conv(x)[:, :3] * GAIN
        return y.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)

class Needs(Net):
    def __init__(self, scale, blocks):
        super().__init__(scale)

def make():
    return Net(2)

ready = Net(3)
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of networks of one's own and weights for one of them, and the process in it."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "nets.py").write_text(OWN)
    torch.save({"params": create_model("espcn", 2).state_dict()}, folder / "espcn.pth")
    monkeypatch.chdir(folder)
    return folder


def noise(height: int = 9, width: int = 11) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


FORMS = {
    "fsrcnn_s_x4.tiny": ("checkpoint", (4,)),
    "fsrcnn_s_x*": ("checkpoint", (4,)),
    "fsrcnn_s": ("checkpoint", (4,)),
    "bicubic": ("interpolator", (2, 3, 4, 8)),
    "edsr_baseline": ("network", (2, 3, 4)),
    "nets.py:Net": ("class", (4,)),
    "nets.py:make": ("class", (2,)),
    "nets.py:ready": ("class", (3,)),
}


@pytest.mark.parametrize("text", FORMS)
def test_each_form_is_one_subject_that_makes_images_of_its_scale(zoo: Path, own: Path, text: str) -> None:
    [subject] = resolve(text)
    assert (subject.kind, subject.scales) == FORMS[text]
    scale = subject.scales[-1]
    upscaler = subject.upscaler(scale)
    assert upscale(upscaler, noise()).shape == (1, 3, 9 * scale, 11 * scale)
    assert (upscaler.name, upscaler.scale, upscaler.channels) == (subject.name, scale, subject.channels)
    assert not any(part.training for part in upscaler.network.modules())
    with pytest.raises(UnavailableError, match="x7") as error:
        subject.at(7)
    assert error.value.status == "unsupported_scale"
    assert subject.request is not None
    [again] = find(subject.request)
    assert (again.name, again.identity, again.scales) == (subject.name, subject.identity, subject.scales)


def test_a_file_of_weights_by_its_model_and_a_model_by_its_file(own: Path) -> None:
    [by_file] = resolve("espcn.pth", 2, model="espcn")
    [by_model] = resolve("espcn", 2, weights="espcn.pth")
    assert by_file.identity == by_model.identity != ""
    assert by_file.name == by_model.name == "espcn_x2.espcn"
    x = noise()
    assert torch.equal(upscale(by_file.upscaler(), x), upscale(by_model.upscaler(), x))


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("fsrcn", {}, "Did you mean 'fsrcnn'"),
        ("fsrcnn_s_x4.tyni", {}, "Did you mean 'fsrcnn_s_x4.tiny'"),
        ("fsrcnn_s_x9*", {}, "unknown checkpoint"),
        ("espcn.pth", {"scale": 2, "model": "bicubic"}, "bicubic has no weights"),
        ("espcn.pth", {"scale": 3, "model": "espcn"}, "espcn.pth holds weights for x2"),
        ("nowhere.pth", {"scale": 2, "model": "espcn"}, "nowhere.pth"),
        ("nets.py:Nett", {}, "Did you mean 'Net'"),
        ("nets.py:GAIN", {}, "is a float"),
        ("nets.py:Needs", {"scale": 2}, "needs blocks: give --option blocks=VALUE"),
        ("nets.py:Net", {"options": {"widht": 8}}, "Did you mean 'width'"),
        ("no.py:Net", {}, "no such file"),
        ("nets.py", {}, "is Python: name the class, or the function that makes it, such as nets.py:Net"),
        ("no.py", {}, "no.py: cannot be read"),
        ("torch.nn:Identity", {}, "--scale"),
        ("torch.nn:Linear", {"scale": 2}, "needs in_features"),
        ("nets.py:", {}, "expected package.module:Name"),
        ("fsrcnn_s_x4.tiny", {"weights": "espcn.pth"}, "is a checkpoint of fsrcnn_s; --weights espcn.pth goes with"),
        ("espcn.pth", {"weights": "espcn.pth"}, "is a file of weights itself"),
        ("nets.py:Net", {"options": {"width": "big"}}, "making the network with width='big'"),
        ("", {}, "no name"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_text_is_one_line(zoo: Path, own: Path, text: str, given: dict[str, object], words: str) -> None:
    with pytest.raises(SrbenchError, match=words) as error:
        resolve(text, **given)  # type: ignore[arg-type]
    assert len(str(error.value).splitlines()) == 1


def test_options_go_to_the_constructor_and_into_the_name(own: Path) -> None:
    [subject] = resolve("nets.py:Net", 2, options={"width": 8})
    assert (subject.name, subject.options, subject.scales) == ("nets.Net-width8", {"width": 8}, (2,))
    assert subject.parameters == 24
    [network] = resolve("btsrn", options={"width": 64})
    assert (network.name, network.random_weights) == ("btsrn-width64", True)


def test_one_of_several_must_be_named(zoo: Path) -> None:
    with pytest.raises(InputError, match=r"x2, x3, x4, x8: give one with"):
        resolve_one("bicubic")
    with pytest.raises(InputError, match="does not declare its scale"):
        resolve_one(nn.Identity())
    for wrong in ("4", 4.0, 0, True):
        network = nn.Identity()
        network.scale = wrong  # type: ignore[assignment]
        with pytest.raises(InputError, match=f"Identity declares scale = {wrong!r}; expected a whole number from 1"):
            resolve_one(network)
    with pytest.raises(UnavailableError, match="srbench train edsr") as error:
        load("edsr", 4)
    assert error.value.status == "no_weights"


# What tells weights from others


class Own(nn.Module):
    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        self.conv = nn.Conv2d(3, 3, 1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + x * self.gain


class Hidden(Own):
    """Keeps weights where no state dict sees them."""

    def __init__(self, where: str) -> None:
        super().__init__()
        weight = torch.ones(3)
        if where == "attribute":
            self.extra = weight
        elif where == "list":
            self.extra = [weight]
        elif where == "layers in a list":
            self.extra = [nn.Linear(2, 2)]
        elif where == "array":
            self.extra = np.ones(3)
        elif where == "object":
            self.extra = object()


def test_the_same_weights_settings_and_code_are_the_same_network() -> None:
    assert identity_of(Own()) == identity_of(Own()) != ""
    other = Own()
    other.conv.weight.data[0, 0, 0, 0] = 1
    assert len({identity_of(Own()), identity_of(Own(gain=2.0)), identity_of(other)}) == 3


def test_buffers_that_are_not_saved_count() -> None:
    first, second = Own(), Own()
    first.register_buffer("table", torch.zeros(2), persistent=False)
    second.register_buffer("table", torch.ones(2), persistent=False)
    assert len({identity_of(first), identity_of(second), ""}) == 3


@pytest.mark.parametrize("where", ["attribute", "list", "layers in a list", "array", "object"])
def test_weights_outside_the_state_dict_are_unknown_unless_declared(where: str) -> None:
    network = Hidden(where)
    assert identity_of(network) == ""
    network.identity = "mine of May"  # type: ignore[assignment]
    assert identity_of(network) != ""


def test_no_weights_and_no_source_are_unknown() -> None:
    names: dict[str, type[nn.Module]] = {}
    exec("from torch import nn\nclass Typed(nn.Conv2d):\n    pass\n", names)
    assert identity_of(names["Typed"](3, 3, 1)) == ""  # type: ignore[call-arg]
    assert identity_of(nn.Upsample(scale_factor=2)) == ""


# How a network is applied


def test_the_options_are_written_once_and_typed() -> None:
    typed = {name: hint.__forward_arg__ for name, hint in InferenceOptions.__annotations__.items()}
    assert typed == {one.name: one.type for one in dataclasses.fields(Inference)}
    assert list(options()) == list(typed)
    assert len({word for option in options().values() for word in option.words}) == sum(
        len(option.words) for option in options().values()
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tiles": 3}, "Did you mean 'tile'"),
        ({"tile": -1}, "tile must be a whole number"),
        ({"tile": True}, "tile must be a whole number"),
        ({"overlap": 8}, "give tile, too"),
        ({"precision": "bf61"}, "Did you mean 'bf16'"),
        ({"layout": "nhwc"}, "channels_last"),
        ({"ensemble": 3}, "True or False"),
        ({"device": "tpu"}, "tpu"),
    ],
    ids=str,
)
def test_a_wrong_option_is_one_line(given: dict[str, object], words: str) -> None:
    with pytest.raises(SrbenchError, match=words):
        Inference.of(given)
    with pytest.raises(SrbenchError, match=words):
        load("bicubic", 2, **given)  # type: ignore[arg-type]


def test_names_of_stored_results_stay() -> None:
    every = Inference(tile=64, overlap=8, ensemble=True, fused=True, precision="bf16", layout="channels_last")
    assert every.variant == "tile64-8+ensemble+fused+bf16+channels_last"
    assert Inference.parse(every.variant) == every
    assert Inference().variant == ""


# Networks that are careless


class Writes(nn.Module):
    """Works in place on its input, as careless networks do."""

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(0.5).add_(0.25)
        y: Tensor = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return y


class Pure(Writes):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.clone())


@pytest.mark.parametrize(
    "inference", [Inference(), Inference(tile=4), Inference(tile=5, overlap=2), Inference(ensemble=True)]
)
def test_a_network_that_writes_into_its_input_changes_nothing_else(inference: Inference) -> None:
    x = noise()
    kept = x.clone()
    traits = Traits(receptive_radius=1)
    made = upscale(Upscaler(Writes(), 2, traits, inference), x)
    assert torch.equal(made, upscale(Upscaler(Pure(), 2, traits, inference), x))
    assert torch.equal(x, kept)
    with pytest.raises(InputError, match="Writes writes into its input"):
        network_pass(Upscaler(Writes(), 2), x.clone())


def test_a_network_sees_its_image_as_it_lay_in_memory() -> None:
    """Kernels are chosen by that: an image that was copied into another layout would move the last bits."""
    seen: list[tuple[int, ...]] = []
    network = nn.Upsample(scale_factor=2)
    network.register_forward_pre_hook(lambda module, given: seen.append(given[0].stride()))
    interleaved = noise().contiguous(memory_format=torch.channels_last)
    for x in (noise(), interleaved, interleaved[..., 2:7, 1:6]):
        upscale(Upscaler(network, 2), x)
        assert seen[-1] == x.stride()
    assert upscale(Upscaler(Writes(), 2), noise()[:, :1]).shape == (1, 1, 18, 22), "gray is shown as RGB"


class Makes(nn.Module):
    def __init__(self, what: object) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> object:
        y = x.repeat_interleave(2, -1).repeat_interleave(2, -2)
        return {
            "list": [y], "tuple": (y,), "dict": {"sr": y}, "two": [x, y], "text": "sr", "flat": y[0],
            "wide": y.repeat(1, 2, 1, 1), "small": x,
        }[str(self.what)]  # fmt: skip


def test_a_list_a_tuple_or_a_mapping_of_one_is_unwrapped_and_all_else_is_refused() -> None:
    x = noise()
    for what in ("list", "tuple", "dict"):
        assert upscale(Upscaler(Makes(what), 2), x).shape == (1, 3, 18, 22)
    for what, words in {
        "two": "made a list of 2; expected one tensor", "text": "made a str", "flat": "should make", "wide": "should make",
        "small": "should make",
    }.items():  # fmt: skip
        with pytest.raises(InputError, match=words):
            upscale(Upscaler(Makes(what), 2), x)


class Declares(nn.Module):
    """Works on BGR from 0 to 255 less a mean, and doubles the size."""

    range = 255
    bgr = True
    mean = (10.0, 20.0, 30.0)
    upscale = 2
    multiple_of = 4
    minimum = 16

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.clone())
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


def test_what_a_network_declares_is_honoured() -> None:
    network = Declares()
    x = noise()
    made = load(network)(x)
    assert torch.allclose(made, x.repeat_interleave(2, -1).repeat_interleave(2, -2), atol=1e-6)
    [seen] = network.seen
    assert seen.shape == (1, 3, 16, 16)
    assert torch.allclose(
        seen[:, :, :9, :11], x.flip(1) * 255 - torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1), atol=1e-4
    )


def test_declarations_that_cannot_be() -> None:
    network = nn.Upsample(scale_factor=2)
    for name, value, words in (
        ("channels", "rbg", "'y' or 'rgb'"), ("multiple_of", 0, "multiple_of"), ("range", -1, "range"),
        ("mean", (0.4, 0.5), "1 value or 3"),
    ):  # fmt: skip
        setattr(network, name, value)
        with pytest.raises(InputError, match=words):
            load(network, 2)
        delattr(network, name)
    with pytest.raises(InputError, match="units of range"):
        Traits(range=255, mean=(0.4, 0.4, 0.4))
    network.mean = torch.ones(1, 3, 1, 1)  # type: ignore[assignment]  # its own affair, as SwinIR's
    network.channels = 64  # type: ignore[assignment]  # features
    assert load(network, 2).traits == Traits()


# The same kind back


def test_each_kind_of_image_comes_back_as_it_was_given(tmp_path: Path) -> None:
    up = load("bicubic", 2)
    array = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    made = up(array)
    assert (made.dtype, made.shape) == (np.uint8, (12, 10, 3))
    assert up(array[..., 0]).shape == (12, 10)
    image = up(Image.fromarray(array))
    assert isinstance(image, Image.Image)
    assert np.array_equal(np.asarray(image), made)
    Image.fromarray(array).save(tmp_path / "a.png")
    assert np.array_equal(up(tmp_path / "a.png"), made)
    tensor = torch.from_numpy(array).permute(2, 0, 1).float() / 255
    batch = up(tensor[None])
    assert torch.equal(batch[0], up(tensor))
    assert not torch.equal(batch * 255, (batch * 255).round()), "tensors are not rounded"
    assert up(tensor.double()).dtype == torch.float64
    assert np.array_equal((batch[0] * 255 + 0.5).clamp(0, 255.5).byte().permute(1, 2, 0).numpy(), made)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
        (torch.zeros(4, 4), r"\(4, 4\)"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "uint8"),
        (torch.full((1, 3, 4, 4), 200.0), "to 200"),
        (torch.full((1, 3, 4, 4), float("nan")), "nan"),
        (Image.new("RGBA", (4, 4)), "RGBA"),
        ([1, 2], "a list"),
        ("nowhere.png", "no such file"),
    ],
    ids=lambda value: str(value)[:12] if isinstance(value, str) else type(value).__name__,
)
def test_other_kinds_are_one_line(image: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load("bicubic", 2)(image)


def test_a_module_keeps_its_mode_and_its_place() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Upsample(scale_factor=2)).train()
    network[1].eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    up = load(network, 2, fused=True)
    up(noise())
    assert [part.training for part in network] == [True, False, True]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_request_can_be_sent_to_another_process() -> None:
    import pickle

    request = Request("nets.py:Net", 2, options={"width": 8}, traits=Traits(multiple_of=4))
    assert pickle.loads(pickle.dumps(request)) == request


def test_unknown_names_know_both_kinds(zoo: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"bicubic.*fsrcnn_s_x4\.tiny"):
        resolve("nothing")


def test_of_module_says_what_it_is() -> None:
    subject = of_module(Own(), 1, name="mine", options={"gain": 1.0})
    assert (subject.name, subject.model, subject.kind, subject.parameters) == ("mine", "Own", "module", 12)
    assert subject.request is None
