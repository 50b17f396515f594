"""Tensors of two protocols: KServe's open inference protocol (V2) and TensorFlow Serving's predict (V1).

Both carry batches with the channels last, ``(N, h, w, 3)`` or ``(N, h, w, 1)``. UINT8 is answered by UINT8, rounded; floats by
floats, neither rounded nor clipped. KServe's FP32 lies in [0, 1]; TensorFlow Serving's floats are on the scale of 0 to 255, as
clients of SR networks send them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.serve.bodies import read_json
from srbench.serve.limits import Limits, RefusedError

Array = npt.NDArray[Any]

HEADER = "inference-header-content-length"
TYPES: Mapping[str, type[np.generic]] = {"UINT8": np.uint8, "FP32": np.float32}
INPUT, OUTPUT = "image", "sr"


@dataclass(frozen=True)
class Asked:
    """A tensor that came, and how its answer is to be told.

    Attributes:
        batch: ``(N, h, w, C)``, uint8 or float32.
        id: of the request, which the answer repeats.
        binary: whether the answer's tensor follows its JSON as bytes.
        key: of the answer, in TensorFlow Serving's form.
    """

    batch: Array
    id: str = ""
    binary: bool = False
    key: str = "predictions"


def read_v2(body: bytes, header: str | None, limits: Limits) -> Asked:
    """The one input of a KServe request, its data in the JSON or behind it.

    Args:
        body: the request's.
        header: its ``Inference-Header-Content-Length``: how many bytes are JSON.
        limits: of pixels.

    Raises:
        RefusedError: 400, saying what was expected.
    """
    if header is not None and not (header.isdecimal() and len(header) < 12 and int(header) <= len(body)):
        raise RefusedError(400, f"{HEADER} says {header[:20]!r}, the body has {len(body)} bytes")
    split = len(body) if header is None else int(header)
    request = read_json(body[:split])
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise RefusedError(400, f"expected one input, {INPUT!r}")
    one = inputs[0]
    kind = one.get("datatype")
    if not isinstance(kind, str) or kind not in TYPES:
        raise RefusedError(400, f"datatype {str(kind)[:40]!r}; expected {' or '.join(TYPES)}")
    shape = _shape(one.get("shape"), limits)
    raw = None if header is None else body[split:]
    batch = _from_bytes(raw, shape, kind) if raw else _from_json(one.get("data"), shape, kind)
    ident = request.get("id", "")
    return Asked(_checked(batch, 1.0), ident[:200] if isinstance(ident, str) else "", _wants_bytes(request))


def answer_v2(asked: Asked, model: str, made: Array) -> tuple[bytes, dict[str, str]]:
    """Body and headers of the answer."""
    kind = "UINT8" if made.dtype == np.uint8 else "FP32"
    output: dict[str, Any] = {"name": OUTPUT, "shape": list(made.shape), "datatype": kind}
    raw = np.ascontiguousarray(made).tobytes() if asked.binary else b""
    output |= {"parameters": {"binary_data_size": len(raw)}} if asked.binary else {"data": made.ravel().tolist()}
    told = {"model_name": model, "outputs": [output]} | ({"id": asked.id} if asked.id else {})
    head = json.dumps(told).encode()
    if not asked.binary:
        return head, {"content-type": "application/json"}
    return head + raw, {"content-type": "application/octet-stream", HEADER: str(len(head))}


def read_v1(body: bytes, limits: Limits) -> Asked:
    """A 4-D array under ``instances`` or ``inputs``: whole numbers from 0 to 255, or floats on that scale.

    Raises:
        RefusedError: 400, saying what was expected.
    """
    request = read_json(body)
    key = "instances" if "instances" in request else "inputs"
    if key not in request:
        raise RefusedError(400, "expected a 4-D array under 'instances': batch, height, width, channels")
    array = _numbers(request[key])
    if array.ndim != 4:
        raise RefusedError(400, f"expected 4 dimensions (batch, height, width, channels), not {array.ndim}")
    _shape(list(array.shape), limits)
    whole = np.issubdtype(array.dtype, np.integer)
    if whole and (array.min() < 0 or array.max() > 255):
        raise RefusedError(400, f"expected numbers from 0 to 255, not from {array.min()} to {array.max()}")
    batch = array.astype(np.uint8) if whole else _checked(array.astype(np.float32), 255.0) / np.float32(255)
    return Asked(batch, key="predictions" if key == "instances" else "outputs")


def answer_v1(asked: Asked, made: Array) -> bytes:
    """Body of the answer: integers for integers, floats on the scale of 0 to 255 for floats."""
    scaled = made if made.dtype == np.uint8 else made * np.float32(255)
    return json.dumps({asked.key: scaled.tolist()}).encode()


def _shape(shape: object, limits: Limits) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(isinstance(n, int) and not isinstance(n, bool) for n in shape):
        raise RefusedError(400, "shape must be a list of whole numbers")
    if len(shape) != 4 or shape[3] not in (1, 3) or not all(0 < n < 2**20 for n in shape):
        raise RefusedError(400, f"shape {str(shape)[:60]}; expected [batch, height, width, 3] (or 1 for gray)")
    if shape[0] * shape[1] * shape[2] > limits.pixels:
        raise RefusedError(413, f"more than {limits.pixels:,} pixels in a request")
    return tuple(shape)


def _from_bytes(raw: bytes, shape: Sequence[int], kind: str) -> Array:
    expected = int(np.prod(shape)) * np.dtype(TYPES[kind]).itemsize
    if len(raw) != expected:
        raise RefusedError(400, f"{len(raw)} bytes of data; a {kind} tensor of {list(shape)} has {expected}")
    return np.frombuffer(raw, TYPES[kind]).reshape(tuple(shape)).copy()  # PyTorch takes none that is read-only


def _from_json(data: object, shape: Sequence[int], kind: str) -> Array:
    array = _numbers(data).ravel()
    if array.size != int(np.prod(shape)):
        raise RefusedError(400, f"{array.size} numbers of data; shape {list(shape)} has {int(np.prod(shape))}")
    if kind == "UINT8" and (not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() > 255):
        raise RefusedError(400, "UINT8 data must be whole numbers from 0 to 255")
    return array.astype(TYPES[kind]).reshape(tuple(shape))


def _numbers(data: object) -> Array:
    if not isinstance(data, list) or not data:
        raise RefusedError(400, "expected a list of numbers")
    try:
        array = np.array(data)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise RefusedError(
            400, "the numbers do not make a full array: rows differ in length or are no numbers"
        ) from None
    if array.dtype.kind not in "iuf":
        raise RefusedError(400, "the array holds something that is no number")
    return array


def _checked(batch: Array, white: float) -> Array:
    """Floats that may be an image: finite, and near [0, white]."""
    if batch.dtype == np.uint8:
        return batch
    if not np.isfinite(batch).all() or batch.min() < -white or batch.max() > 2 * white:
        raise RefusedError(400, f"expected finite floats from 0 to {white:g}")
    return batch


def _wants_bytes(request: Mapping[str, object]) -> bool:
    whole = request.get("parameters")
    if isinstance(whole, dict) and whole.get("binary_data_output") is True:
        return True
    outputs = request.get("outputs")
    first = outputs[0] if isinstance(outputs, list) and outputs and isinstance(outputs[0], dict) else {}
    own = first.get("parameters")
    return isinstance(own, dict) and own.get("binary_data") is True
