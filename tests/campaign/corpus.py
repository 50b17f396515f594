"""Small files, each with one fault that was once read as something else, ran code, took gigabytes or ended in a traceback.

``python -m tests.campaign.corpus`` writes them to ``tests/campaign/corpus/`` anew; ``tests/test_corpus.py`` reads each.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from srbench.errors import InputError
from srbench.images import read_image
from srbench.protocol import get_protocol
from srbench.records import seal
from srbench.results import read_result
from srbench.speed_results import read_speed
from srbench.training.loop.log import read_log
from srbench.training.loop.state import load_state
from srbench.training.recipe.load import load_recipe
from srbench.weights import open_weights
from srbench.zoo import read_card
from tests.campaign.records import CARD, QUALITY, SPEED
from tests.campaign.runs import LINES, prepare_logs, prepare_states

FOLDER = Path(__file__).with_name("corpus")


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes:
        content: its bytes, or what makes them.
        read: what reads it.
        says: a part of the error.
    """

    content: bytes | Callable[[], bytes]
    read: Callable[[Path], object]
    says: str


def cases() -> dict[str, Case]:
    """File name → case."""
    return {**_images(), **_weights(), **_records(), **_runs()}


def _png(width: int, height: int, rows: bytes, spoil: bool = False) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    data = bytearray(chunk(b"IDAT", zlib.compress(rows)))
    if spoil:
        data[-1] ^= 1
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + bytes(data) + chunk(b"IEND", b"")


def _image(kind: str, **how: object) -> bytes:
    smooth = np.add.outer(np.arange(16), np.arange(16))[..., None] * np.array([4, 2, 1], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(smooth.astype(np.uint8)).save(buffer, kind, **how)
    return buffer.getvalue()


def _images() -> dict[str, Case]:
    rows = bytes(3 * 4 + 1) * 4
    return {
        "postscript.png": Case(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", read_image, "not an image"
        ),
        "crc.png": Case(_png(4, 4, rows, spoil=True), read_image, "crc.png"),
        "huge.png": Case(_png(12_000, 12_000, rows), read_image, "12000×12000 pixels"),
        "cut.jpg": Case(_image("JPEG")[:-40], read_image, "cut.jpg"),
        "cut.tif": Case(_image("TIFF")[:-40], read_image, "cut.tif"),
        "cut.webp": Case(_image("WEBP", lossless=True)[:-9], read_image, "cut.webp"),
        "cut.bmp": Case(_image("BMP")[:-40], read_image, "cut.bmp"),
        "empty.png": Case(b"", read_image, "empty.png"),
    }


class _Runs:
    """Whoever unpickles it runs a command."""

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, ("touch ran-code",))


def _saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _bomb() -> bytes:
    array, buffer = io.BytesIO(), io.BytesIO()
    np.save(array, np.zeros(20_000_000, np.float32))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.weight.npy", array.getvalue())
    return buffer.getvalue()


def _weights() -> dict[str, Case]:
    sound = _saved({"a.weight": torch.arange(64.0)})
    at = sound.index(struct.pack("<4f", 10, 11, 12, 13))
    return {
        "code.pth": Case(pickle.dumps({"a.weight": _Runs()}), open_weights, "code.pth"),
        "crc.pth": Case(sound[:at] + b"\x01" + sound[at + 1 :], open_weights, "crc.pth"),
        "stride0.pth": Case(_saved({"a.weight": torch.zeros(1).expand(40_000, 40_000)}), open_weights, "stride0.pth"),
        "complex.pth": Case(_saved({"a.weight": torch.zeros(2, dtype=torch.complex64)}), open_weights, "complex"),
        "sparse.pth": Case(_saved({"a.weight": torch.eye(3).to_sparse()}), open_weights, "sparse"),
        "meta.pth": Case(_saved({"a.weight": torch.zeros(3, device="meta")}), open_weights, "meta.pth"),
        "bomb.npz": Case(_bomb, open_weights, "bomb.npz"),
        "cut.safetensors": Case(struct.pack("<Q", 1 << 40) + b"{}", open_weights, "cut.safetensors"),
    }


def _records() -> dict[str, Case]:
    values = QUALITY.model_dump(mode="json")
    sealed = json.dumps(seal(values))
    scores = values["metrics"]["psnr"]

    def again(**changes: object) -> bytes:
        metrics = {**values["metrics"], "psnr": {**scores, **changes}}
        return json.dumps(seal({**values, "metrics": metrics})).encode()

    speed = json.dumps(seal(SPEED.model_dump(mode="json")))
    card = "\n".join(f"{key} = {json.dumps(value)}" for key, value in seal(CARD.model_dump(exclude_none=True)).items())
    return {
        "digit.json": Case(sealed.replace("30.", "31.", 1).encode(), read_result, "not what was written"),
        "unsealed.json": Case(json.dumps(values).encode(), read_result, "has no checksum"),
        "boolean.json": Case(again(values=[True, *scores["values"][1:]]), read_result, "True is not a score"),
        "overflow.json": Case(sealed.replace("30.0", "1e999", 1).encode(), read_result, "1e999"),
        "twice.json": Case(sealed.replace("{", '{"scale": 3, ', 1).encode(), read_result, "comes twice"),
        "digits.json": Case(again(digits=13), read_result, "digits"),
        "deep.json": Case(b"[" * 20_000, read_result, "nested too deeply"),
        "latin.json": Case(sealed.replace("baby", "b\xe9b\xe9").encode("latin-1"), read_result, "utf-8"),
        "speed-digit.json": Case(speed.replace("2.25", "1.25", 1).encode(), read_speed, "not what was written"),
        "card-digit.toml": Case(card.replace("29.5", "39.5", 1).encode(), read_card, "card-digit.toml"),
        "deep.toml": Case(b"a = " + b"[" * 5_000, get_protocol, "deep.toml"),
    }


def _runs() -> dict[str, Case]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        state, _ = prepare_states(folder)
        log = prepare_logs(folder)
    at = state.index(b"28.5")

    def recipe(path: Path) -> object:
        return load_recipe(str(path), "fsrcnn")

    def as_log(path: Path) -> object:
        with tempfile.TemporaryDirectory(dir=path.parent) as run:
            (Path(run) / "log.jsonl").write_bytes(path.read_bytes())
            found = read_log(Path(run))
            assert found.lines == LINES[1:], found.lines
            raise InputError(found.remark(Path(run)))

    def as_state(path: Path) -> object:
        with tempfile.TemporaryDirectory(dir=path.parent) as run:
            (Path(run) / "state.safetensors").write_bytes(path.read_bytes())
            return load_state(Path(run))

    return {
        "bit.safetensors": Case(state[:at] + b"29.5" + state[at + 4 :], as_state, "does not have its checksum"),
        "digit.jsonl": Case(log.replace(b"0.5", b"0.4", 1), as_log, "1 line is not what was written"),
        "models.toml": Case(b"models = 3\n", recipe, "expected a table"),
        "betas.toml": Case(b"betas = [2.0, 0.9]\n", recipe, "betas.0 = 2.0"),
        "seed.toml": Case(b"seed = 1000000000000000000000000000000\n", recipe, "seed"),
    }


def write() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name, case in cases().items():
        (FOLDER / name).write_bytes(case.content if isinstance(case.content, bytes) else case.content())


if __name__ == "__main__":
    write()
