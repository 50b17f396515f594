"""ONNX files as networks: layout, type, size and range are found from the model and by a probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import srbench
from srbench.errors import InputError
from srbench.models import create_model
from srbench.weights import open_weights
from srbench.weights.recognise import Recognised, recognise

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
pytestmark = pytest.mark.usefixtures("one_thread")

FLOAT, UINT8, FLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT16


def espcn(
    path: Path, scale: int = 2, *, last: bool = False, kind: int = FLOAT, size: tuple[Any, Any] = ("h", "w")
) -> Any:
    """An ESPCN as a graph of ONNX; gives it as a module, too. ``kind``, ``last`` and ``size`` are of its input."""
    torch.manual_seed(0)
    network = create_model("espcn", scale).eval()
    white = 255.0 if kind == UINT8 else 1.0
    nodes, weights, value = [], [], "x"
    if last:
        nodes.append(onnx.helper.make_node("Transpose", [value], ["nchw"], perm=[0, 3, 1, 2]))
        value = "nchw"
    if kind != FLOAT:
        nodes.append(onnx.helper.make_node("Cast", [value], ["float"], to=FLOAT))
        value = "float"
    for number, (layer, pad) in enumerate(((network.conv1, 2), (network.conv2, 1), (network.conv3, 1))):
        for part, tensor in (("w", layer.weight / (white if number == 0 else 1)), ("b", layer.bias)):
            array = tensor.detach().numpy() * (white if number == 2 else 1)
            weights.append(onnx.numpy_helper.from_array(array.astype(np.float32), f"{part}{number}"))
        nodes.append(onnx.helper.make_node("Conv", [value, f"w{number}", f"b{number}"], [f"c{number}"], pads=[pad] * 4))
        value = f"c{number}"
        if number < 2:
            nodes.append(onnx.helper.make_node("Tanh", [value], [f"t{number}"]))
            value = f"t{number}"
    nodes.append(onnx.helper.make_node("DepthToSpace", [value], ["y"], blocksize=scale, mode="CRD"))
    shape = [1, *size, 1] if last else [1, 1, *size]
    out = "y"
    if last:
        nodes.append(onnx.helper.make_node("Transpose", ["y"], ["z"], perm=[0, 2, 3, 1]))
        out = "z"
    graph = onnx.helper.make_graph(
        nodes,
        "espcn",
        [onnx.helper.make_tensor_value_info("x", kind, shape)],
        [onnx.helper.make_tensor_value_info(out, FLOAT, None)],
        weights,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return network


def found(path: Path, **wanted: Any) -> Recognised:
    return recognise(open_weights(path), **wanted)


def close(first: Tensor, second: Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(first, second, atol=atol, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("last", [False, True], ids=["NCHW", "NHWC"])
def test_scale_and_layout_are_found(tmp_path: Path, scale: int, last: bool) -> None:
    network = espcn(tmp_path / "net.ONNX", scale, last=last)
    upscaler = srbench.load(tmp_path / "net.ONNX")
    assert (upscaler.scale, upscaler.channels) == (scale, "y")
    x = torch.rand(2, 1, 11, 14)
    with torch.no_grad():
        close(upscaler(x), network(x))


def test_8_bit_input_is_0_to_255(tmp_path: Path) -> None:
    network = espcn(tmp_path / "net.onnx", kind=UINT8)
    one = found(tmp_path / "net.onnx")
    assert one.range == 255
    x = torch.randint(0, 256, (1, 1, 12, 9)) / 255
    with torch.no_grad():
        close(srbench.load(tmp_path / "net.onnx")(x), network(x), atol=1e-4)


def test_half_precision_input(tmp_path: Path) -> None:
    network = espcn(tmp_path / "net.onnx", kind=FLOAT16)
    x = torch.rand(1, 1, 12, 9).half().float()
    with torch.no_grad():
        close(srbench.load(tmp_path / "net.onnx")(x), network(x), atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
@pytest.mark.parametrize("image", [(32, 32), (20, 31), (70, 90), (33, 100)])
def test_a_fixed_size_takes_any_image_in_windows(tmp_path: Path, size: tuple[int, int], image: tuple[int, int]) -> None:
    network = espcn(tmp_path / "net.onnx", size=size)
    one = found(tmp_path / "net.onnx")
    assert any(f"fixed size {size[1]}×{size[0]}" in note for note in one.notes)
    x = torch.rand(1, 1, *image)
    with torch.no_grad():
        got, expected = one.build(2)(x), network(x)
    assert got.shape == expected.shape
    height, width = (2 * min(a, b) for a, b in zip(image, size, strict=True))
    inner = (..., slice(8, height - 8), slice(8, width - 8))
    if image[0] >= size[0] and image[1] >= size[1]:
        inner = (..., slice(8, -8), slice(8, -8))
    close(got[inner], expected[inner])


def test_what_is_no_upscaler_is_refused(tmp_path: Path) -> None:
    espcn(tmp_path / "x4_net.onnx", 2)
    with pytest.raises(InputError, match="enlarges by 2, not by 4"):
        found(tmp_path / "x4_net.onnx", scale=4)
    whole = (tmp_path / "x4_net.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.onnx is cut off"):
        found(tmp_path / "cut.onnx")
    identity = onnx.helper.make_node("Identity", ["x"], ["y"])
    for shape, words in (([1, 3, "h", "w"], "keeps an image's size"), ([1, 10], r"an image is \(N, C, H, W\)")):
        info = [onnx.helper.make_tensor_value_info(name, FLOAT, shape) for name in "xy"]
        graph = onnx.helper.make_graph([identity], "g", info[:1], info[1:])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        (tmp_path / "same.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(InputError, match=words):
            found(tmp_path / "same.onnx")
    with pytest.raises(InputError, match="leave out --model espcn"):
        found(tmp_path / "x4_net.onnx", model="espcn")
    with pytest.raises(InputError, match="ONNX file: it holds one network"):
        open_weights(tmp_path / "x4_net.onnx", key="params")
