"""Exported networks: every architecture keeps its function in every format, and a file is a subject like any other.

Tolerances are of float32 sums in another order: 2e-5 on [0, 1] between PyTorch's own forms, 1e-4 between runtimes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import srbench
from srbench.cli import main
from srbench.errors import InputError, SrbenchError, UnavailableError, UnknownNameError
from srbench.exporting import formats
from srbench.exporting.calibrate import calibration_images
from srbench.exporting.form import Bicubic, export_form, in_half, least_side
from srbench.exporting.formats import FORMATS, Job
from srbench.exporting.litert import converter
from srbench.exporting.whole import Bytes, in_units, whole
from srbench.images import to_array, write_image
from srbench.models import MODELS, Model, create_model, get_model
from srbench.subjects import resolve_one
from srbench.upscaler import Traits, Upscaler, for_model, upscale
from srbench.weights import open_weights
from srbench.weights.exported import ExportCard, card_path, read_card, write_card
from srbench.weights.programs import Fixed
from srbench.weights.recognise import recognise
from tests.benchmarks import exports
from tests.builders import smooth
from tests.test_fused import NETWORKS, shaken

pytestmark = pytest.mark.usefixtures("one_thread")

needs_onnx = pytest.mark.skipif(
    any(formats.importlib.util.find_spec(name) is None for name in FORMATS["onnx"].needs), reason="no onnx extra"
)
needs_ncnn = pytest.mark.skipif(
    any(formats.importlib.util.find_spec(name) is None for name in FORMATS["ncnn"].needs), reason="no ncnn extra"
)
_QUICK = ("fsrcnn_s", "espcn")
"""Architectures whose files are written in the quick run; the others are slow for their number of layers."""


def image(planes: int, height: int, width: int) -> Tensor:
    x = torch.from_numpy(smooth(height, width)).permute(2, 0, 1)[None] / 255.0
    return x[:, :planes].contiguous()


def close(first: Tensor, second: Tensor, atol: float) -> None:
    torch.testing.assert_close(first, second, atol=atol, rtol=0)


def agree(file: Callable[[Tensor], Tensor], network: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """The file makes of an image what the network does, to four digits of its range."""
    with torch.no_grad():
        expected = network(x)
        close(file(x), expected, 1e-4 * max(1.0, float(expected.abs().max())))


def planes_of(model: Model) -> int:
    return 1 if model.channels == "y" else 3


def with_skip(model: Model) -> dict[str, str]:
    return {} if model.has_skip else {"skip": "bicubic"}


# The form


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize(("model", "scale"), [one for one in NETWORKS if one.values[1] != 3])
def test_the_form_is_the_same_function(model: Model, scale: int, fused: bool) -> None:
    for options in ({}, with_skip(model)):
        network = shaken(model, scale, **options)
        form = export_form(network, planes_of(model), fused)
        x = image(planes_of(model), 36, 28)
        with torch.no_grad():
            expected = network(x)
            close(form(x), expected, 2e-5 * max(1.0, float(expected.abs().max())))
        assert not any(p.requires_grad for p in form.parameters())
        assert least_side(form) <= 16


def test_half_precision_leaves_the_enlarged_image_alone() -> None:
    network = create_model("fsrcnn_s", 3, skip="bicubic").eval()
    for parameter in network.parameters():
        parameter.data.zero_()
    made = in_half(export_form(network, 1))
    x = image(1, 20, 24)
    with torch.no_grad():
        close(made(x), network(x), 1e-6)


# The whole upscaler


def wholly(upscaler: Upscaler, fused: bool = False) -> nn.Module:
    form = export_form(upscaler.network, 1 if upscaler.channels == "y" else 3, fused)
    return whole(
        in_units(form, upscaler.traits),
        upscaler.scale,
        upscaler.traits,
        upscaler.edges,
        clip=upscaler.clip_enlarged,
        least=least_side(form),
    ).eval()


@pytest.mark.parametrize("size", [(21, 17), (5, 40), (3, 2)])
@pytest.mark.parametrize(
    ("name", "scale"),
    [("fsrcnn_s", 3), ("espcn", 2), ("srcnn", 4), ("vdsr", 3), ("esrgan", 2), ("rlfn_s", 4), ("pan", 2)],
)
def test_the_whole_is_upscale(name: str, scale: int, size: tuple[int, int]) -> None:
    model = get_model(name)
    upscaler = for_model(model, shaken(model, scale), scale)
    x = image(3, *size)
    with torch.no_grad():
        expected = upscale(upscaler, x)
        close(wholly(upscaler)(x), expected, 5e-5 * max(1.0, float(expected.abs().max())))


@pytest.mark.parametrize(
    "traits",
    [
        Traits("rgb", range=255.0, bgr=True, mean=(103.5, 116.3, 123.7)),
        Traits("y", range=255.0),
        Traits("rgb", multiple_of=8, minimum=16),
    ],
)
def test_units_and_sizes_are_part_of_it(traits: Traits) -> None:
    planes = 1 if traits.channels == "y" else 3
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(planes, planes * 4, 3, padding=1), nn.PixelShuffle(2))
    upscaler = Upscaler(network, 2, traits)
    x = image(3, 11, 13)
    with torch.no_grad():
        close(wholly(upscaler)(x), upscale(upscaler, x), 1e-5)


def test_clamped_edges_and_the_clipped_luma_of_vdsrs_authors() -> None:
    model = get_model("vdsr")
    upscaler = replace(for_model(model, shaken(model, 2), 2), edges="clamp", clip_enlarged=True)
    x = (image(3, 12, 14) * 2 - 0.5).clamp(0, 1)
    with torch.no_grad():
        close(wholly(upscaler)(x), upscale(upscaler, x), 5e-5)


def test_bytes_are_rounded_as_images_are() -> None:
    model = get_model("fsrcnn_s")
    upscaler = for_model(model, shaken(model, 2), 2)
    lr = smooth(14, 18)
    made = Bytes(wholly(upscaler))(torch.from_numpy(lr).permute(2, 0, 1)[None])
    assert made.dtype == torch.uint8
    expected = to_array(upscale(upscaler, torch.from_numpy(lr).permute(2, 0, 1)[None] / 255.0))
    difference = np.abs(made[0].permute(1, 2, 0).numpy().astype(int) - expected)
    assert difference.max() <= 1, "a sample that lies on a half may fall either way"
    assert (difference > 0).mean() < 0.01


# The formats


def each_network() -> list[Any]:
    return [
        pytest.param(model, marks=[] if model.name in _QUICK else [pytest.mark.slow], id=model.name)
        for model in MODELS
        if not model.interpolator
    ]


def written(kind: str, model: Model, path: Path, **changes: Any) -> tuple[nn.Module, nn.Module]:
    """A small network of an architecture, and the file that it was written to as a network."""
    scale = model.scales[-1]
    network = shaken(model, scale, **with_skip(model))
    form = export_form(network, planes_of(model), fused=changes.pop("fused", False))
    job = Job(form, planes_of(model), (48, 40), eight_bit=False, precision="fp32")
    FORMATS[kind].write(replace(job, **changes), path)
    card = ExportCard(
        sha256=open_weights(path).sha256,
        format=kind,
        subject="test",
        scale=scale,
        channels=model.channels,
        pre_upsampled=model.pre_upsampled,
        **({"height": 48, "width": 40} if kind == "litert" else {}),
    )
    write_card(path, card)
    return network, recognise(open_weights(path)).build(scale)


@needs_onnx
@pytest.mark.parametrize("model", each_network())
def test_onnx_keeps_every_architecture_at_any_size(model: Model, tmp_path: Path) -> None:
    network, file = written("onnx", model, tmp_path / "net.onnx")
    for batch, height, width in ((1, 48, 40), (3, 31, 57)):
        x = image(planes_of(model), height, width).repeat(batch, 1, 1, 1)
        agree(file, network, x)


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("model", each_network())
def test_onnx_keeps_every_fused_architecture(model: Model, tmp_path: Path) -> None:
    network, file = written("onnx", model, tmp_path / "net.onnx", fused=True)
    x = image(planes_of(model), 31, 57)
    agree(file, network, x)


@needs_ncnn
@pytest.mark.parametrize("model", each_network())
def test_ncnn_keeps_every_architecture_at_any_size(model: Model, tmp_path: Path) -> None:
    network, file = written("ncnn", model, tmp_path / "net.param")
    for height, width in ((48, 40), (31, 57)):
        x = image(planes_of(model), height, width).repeat(2, 1, 1, 1)
        agree(file, network, x)


@needs_ncnn
@pytest.mark.parametrize("scale", [3, 4])
@pytest.mark.parametrize("name", ["edsr_baseline", "mdsr_baseline"])
def test_ncnn_keeps_a_folded_tail(name: str, scale: int, tmp_path: Path) -> None:
    """Pnnx drops a slice between two edges, and translates no convolution that two tails share."""
    torch.manual_seed(0)
    network = create_model(name, scale, blocks=1, features=16).eval()
    path = tmp_path / "net.param"
    FORMATS["ncnn"].write(
        Job(export_form(network, 3, fused=True), 3, (48, 40), eight_bit=False, precision="fp32"), path
    )
    file = recognise(open_weights(path)).build(scale)
    for height, width in ((48, 40), (31, 57)):
        x = image(3, height, width)
        with torch.no_grad():
            close(file(x), network(x), 2e-5)


@needs_ncnn
@pytest.mark.slow
@pytest.mark.parametrize("model", each_network())
def test_ncnn_keeps_every_fused_architecture(model: Model, tmp_path: Path) -> None:
    network, file = written("ncnn", model, tmp_path / "net.param", fused=True)
    x = image(planes_of(model), 31, 57)
    agree(file, network, x)


def needs_litert() -> None:
    for name in FORMATS["litert"].needs:
        pytest.importorskip(name, reason="no litert extra")
    try:
        converter()
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("model", each_network())
def test_litert_keeps_every_architecture_at_its_size(model: Model, tmp_path: Path) -> None:
    needs_litert()
    network, file = written("litert", model, tmp_path / "net.tflite")
    x = image(planes_of(model), 48, 40)
    agree(file, network, x)


@pytest.mark.parametrize("size", [(20, 24), (32, 24), (70, 90)])
def test_a_program_of_one_size_enlarges_smaller_and_larger_images(size: tuple[int, int]) -> None:
    free = Bicubic(2, 3)
    close(Fixed(free, 2, (32, 40))(image(3, *size)), free(image(3, *size)), 1e-6)


# A file with its card


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(2):
        write_image(folder / f"{number}.png", smooth(48, 56, number))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """A file of an untrained network's weights, which starts as bicubic."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")

    def make(name: str, scale: int) -> Path:
        model = get_model(name)
        torch.manual_seed(0)
        network = create_model(name, scale, **with_skip(model))
        path = folder / f"{name}_x{scale}.safetensors"
        save_file(network.state_dict(), path)
        return path

    return make


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@needs_onnx
def test_a_file_is_measured_at_once_and_is_a_subject(
    tmp_path: Path, images: Path, weights: Callable[[str, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRBENCH_HOME", str(tmp_path))
    source, out = weights("fsrcnn_s", 3), tmp_path / "net.onnx"
    done = run("export", source, "--scale", 3, "-o", out, "--dataset", images, "--seconds", 0.05, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    found = said["measured"]
    assert said["scale"] == 3
    assert (found["images"], found["input"]) == (2, [170, 170])
    assert found["max_difference"] < 0.02
    assert abs(found["loss_db"]) < 0.001
    assert found["mb"] == pytest.approx(out.stat().st_size / 1e6)
    assert found["ms"] > 0
    assert found["ms_torch"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net.onnx.toml"]

    scores = []
    for file in (source, out):
        done = run("eval", file, "--scale", 3, "--datasets", images, "--metrics", "psnr", "--json")
        assert done.exit_code == 0, done.output
        scores.append(json.loads(done.stdout)[0]["psnr"])
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    timed = run("speed", out, "--quick", "--seconds", 0.05, "--input", "16x16", "--json")
    assert timed.exit_code == 0, timed.output
    variants = json.loads(timed.stdout)[0]["variants"]
    assert variants["eager"]["status"] == "ok"
    assert "onnxruntime runs the file as it is" in variants["fused"]["reason"]


@needs_onnx
def test_the_card_says_what_the_file_cannot(
    tmp_path: Path, images: Path, weights: Callable[[str, int], Path]
) -> None:  # fmt: skip
    out = tmp_path / "net.onnx"
    made = srbench.export(weights("vdsr", 2), out, scale=2, dataset=str(images), seconds=0.05, size=(24, 24))
    assert made.card.pre_upsampled
    lr = smooth(13, 19)
    assert np.abs(srbench.load(out)(lr).astype(int) - srbench.load(weights("vdsr", 2), 2)(lr)).max() <= 1
    with pytest.raises(InputError, match="enlarges by 2, not by 4"):
        srbench.load(out, 4)

    card = read_card(out)
    write_card(out, card.model_copy(update={"sha256": "0" * 64}))
    with pytest.raises(InputError, match="keeps an image's size"):
        srbench.load(out)
    card_path(out).write_text(card_path(out).read_text().replace("scale = 2", "scale = 3"))
    with pytest.raises(InputError, match=r"net\.onnx\.toml is not what was written.*or remove the card"):
        srbench.load(out)


@needs_ncnn
def test_ncnn_of_two_files_is_a_subject(tmp_path: Path, images: Path, weights: Callable[[str, int], Path]) -> None:
    out = tmp_path / "net.param"
    made = srbench.export(
        weights("espcn", 3), out, scale=3, whole=True, precision="fp16", dataset=str(images), seconds=0.05
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.bin", "net.param", "net.param.toml"]
    assert made.card.measured is not None
    assert made.card.measured.max_difference < 0.2
    subject = resolve_one(out)
    assert (subject.scales, subject.channels) == ((3,), "rgb")
    assert (subject.name, subject.parameters) == ("net_x3.param", None), "net.onnx would be another subject"

    card_path(out).unlink()
    assert srbench.load(out).scale == 3, "a probe finds it"
    with pytest.raises(InputError, match=r"holds the weights of an ncnn network: give .*net\.param"):
        open_weights(out.with_suffix(".bin"))
    whole_file = out.with_suffix(".bin").read_bytes()
    out.with_suffix(".bin").write_bytes(whole_file[:100])
    with pytest.raises(InputError, match=r"net\.bin is cut off"):
        srbench.load(out)
    out.with_suffix(".bin").unlink()
    with pytest.raises(InputError, match=r"expected net\.bin beside it"):
        srbench.load(out)
    out.write_text("\n".join(out.read_text().splitlines()[:-2]))
    out.with_suffix(".bin").write_bytes(whole_file)
    with pytest.raises(InputError, match=r"says \d+ layers and has"):
        srbench.load(out)


@needs_onnx
def test_int8_is_calibrated_on_training_images(
    tmp_path: Path, images: Path, weights: Callable[[str, int], Path]
) -> None:  # fmt: skip
    given = {"scale": 2, "dataset": str(images), "seconds": 0.05, "size": (24, 24)}
    made = srbench.export(weights("espcn", 2), tmp_path / "8.onnx", precision="int8", calibrate=str(images), **given)
    assert made.card.calibration.startswith(str(images))
    measured = made.card.measured
    assert measured is not None
    assert 0.01 < measured.max_difference < 40, "8 bits change an image, and do not destroy it"
    import onnx

    graph = onnx.load(tmp_path / "8.onnx").graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    layers = [node.input[1] for node in graph.node if node.op_type == "Conv" and "kernel" not in node.input[1]]
    assert [name for name in layers if makers.get(name) != "DequantizeLinear"] == ["network.conv3.weight"], (
        "the layer that makes the image is not cut off at a calibrated range"
    )
    assert len(layers) == 3
    with pytest.raises(InputError, match="set5 is for tests"):
        calibration_images("set5", 2, (24, 24), None)


@needs_onnx
def test_operations_of_another_runtime_are_not_counted(
    tmp_path: Path, images: Path, weights: Callable[[str, int], Path]
) -> None:  # fmt: skip
    out = tmp_path / "net.onnx"
    srbench.export(weights("espcn", 2), out, scale=2, dataset=str(images), seconds=0.05, size=(24, 24), images=1)
    done = run("cost", out)
    assert done.exit_code == 1
    assert "is run by onnxruntime, whose operations are not counted" in done.stderr
    with pytest.raises(InputError, match="a file of another runtime already"):
        srbench.export(out, tmp_path / "again.onnx")


def test_the_table_of_the_docs_is_that_of_what_was_measured() -> None:
    page = exports.PAGE.read_text(encoding="utf-8")
    assert exports.render(exports.read()) in page, "make exports"
    wanted = {" ".join(row) for row in exports.wanted(set(), set())}
    assert set(exports.read()) <= wanted, "a row of a network that is not asked for"


# Bad input


class Awkward(nn.Module):
    """Its loop depends on what is in the image, which no format can express."""

    scale = 2
    channels = "rgb"

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.interpolate(x, scale_factor=2)
        while float(y.mean()) > 10:
            y = y * 0.5
        return y


@needs_onnx
def test_what_a_format_cannot_express_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ONNX cannot express this network: ") as caught:
        srbench.export(f"{Awkward.__module__}:Awkward", tmp_path / "net.onnx")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"format": "onxx"}, UnknownNameError, "unknown format 'onxx'.*Did you mean 'onnx'"),
        ({"out": "net.xyz"}, InputError, "no format: give --format"),
        ({"out": "net.onnx", "format": "litert"}, InputError, r"a file of LiteRT ends in \.tflite"),
        ({"format": "onnx", "precision": "int4"}, UnknownNameError, "unknown precision 'int4'.*Did you mean 'int8'"),
        ({"format": "onnx", "dtype": "uint8"}, InputError, "give whole, too"),
        ({"format": "ncnn", "precision": "int8"}, InputError, "ncnn cannot be written as int8: the tools"),
        ({"format": "ncnn", "whole": True, "dtype": "uint8"}, InputError, "its blobs are floats"),
        ({"format": "onnx", "size": (2, 2)}, InputError, "at least 8×8"),
        ({"format": "onnx", "prescision": "int8"}, UnknownNameError, "Did you mean 'precision'"),
    ],
)
def test_a_wrong_wish_is_named(given: dict[str, Any], kind: type[SrbenchError], words: str) -> None:
    with pytest.raises(kind, match=words):
        srbench.export("fsrcnn_x4.tuned", **given)


def test_an_interpolator_has_no_network(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no network to export"):
        srbench.export("bicubic", tmp_path / "net.onnx", scale=2)


def test_a_missing_extra_is_one_pip_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = formats.importlib.util.find_spec
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else there(name))
    done = run("export", "fsrcnn_x4.tuned", "-o", tmp_path / "net.onnx")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "Error: ONNX needs onnxscript: pip install 'srbench[onnx]'"


@needs_onnx
def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = run("export", "fsrcnn_x4.tuned", "-o", tmp_path / "file" / "net.onnx")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: Not a directory") or "File exists" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    (tmp_path / "net.onnx").mkdir()
    done = run("export", "fsrcnn_x4.tuned", "-o", tmp_path / "net.onnx")
    assert "is a folder; expected a file such as" in done.stderr


def test_without_litert_s_environment_its_line_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SRBENCH_LITERT_PYTHON", str(tmp_path / "none"))
    with pytest.raises(UnavailableError, match=r"SRBENCH_LITERT_PYTHON=.* is no file: `make litert` makes it"):
        converter()


def test_an_environment_that_is_half_made_is_no_fault_of_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    for name in FORMATS["litert"].needs:
        pytest.importorskip(name, reason="no litert extra")
    if formats.importlib.util.find_spec("litert_torch") is not None:
        pytest.skip("this environment has litert-torch")
    monkeypatch.setenv("SRBENCH_LITERT_PYTHON", sys.executable)
    job = Job(export_form(create_model("fsrcnn_s", 2).eval(), 1), 1, (24, 24), eight_bit=False, precision="fp32")
    with pytest.raises(UnavailableError, match=r"lacks litert-torch.*No module named 'litert_torch'.*make litert"):
        FORMATS["litert"].write(job, tmp_path / "net.tflite")


def test_a_cut_litert_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="no litert extra")
    (tmp_path / "net.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(100))
    with pytest.raises(InputError, match=r"net\.tflite is cut off or no LiteRT file"):
        srbench.load(tmp_path / "net.tflite")


def test_what_libraries_say_while_they_write_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Their bars of progress would stand between our lines."""
    tqdm = pytest.importorskip("tqdm")
    from srbench.exporting.onnx import quiet

    with quiet():
        list(tqdm.tqdm(range(3)))
    assert capsys.readouterr() == ("", "")
