"""Files from strangers: nothing in them runs, none takes more memory than it has room for, every damage is told."""

from __future__ import annotations

import io
import pickle
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from srbench.errors import InputError
from srbench.models import create_model
from srbench.weights import open_weights

pytestmark = pytest.mark.usefixtures("one_thread")


def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(create_model("espcn", 2).state_dict())


def saved(path: Path, content: Any, **how: Any) -> Path:
    torch.save(content, path, **how)
    return path


def refused(path: Path, words: str) -> str:
    with pytest.raises(InputError, match=words) as caught:
        open_weights(path)
    text = str(caught.value)
    assert path.name in text
    assert "\n" not in text
    return text


def rezipped(path: Path, change: Callable[[str, bytes], bytes | None], method: int = zipfile.ZIP_STORED) -> None:
    entries = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            content = change(info.filename, archive.read(info))
            entries += [] if content is None else [(info.filename, content)]
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)


def test_a_flipped_bit_in_the_weights_is_noticed(tmp_path: Path) -> None:
    """PyTorch itself reads such a file without a word: other weights, another score."""
    path = saved(tmp_path / "net.pth", state())
    content = bytearray(path.read_bytes())
    at = content.index(state()["conv2.weight"].numpy().tobytes()[:64]) + 20
    content[at] ^= 16
    path.write_bytes(content)
    assert not torch.equal(torch.load(path, weights_only=True)["conv2.weight"], state()["conv2.weight"])
    refused(path, "checksums do not hold")


@pytest.mark.parametrize("kept", [0, 1, 4, 5])
def test_a_directory_that_lost_entries_is_noticed(tmp_path: Path, kept: int) -> None:
    """Damage in a length makes an entry swallow those behind it; each that is left still has its checksum."""
    path = tmp_path / "net.npz"
    np.savez(path, **{key: value.numpy() for key, value in state().items()})
    content = path.read_bytes()
    entries = [found.start() for found in re.finditer(b"PK\x01\x02", content)]
    assert len(entries) == 6
    end = content.rindex(b"PK\x05\x06")
    shorter = content[: entries[kept]] + content[end:]
    at = shorter.rindex(b"PK\x05\x06")
    size = (at - entries[0]).to_bytes(4, "little")
    path.write_bytes(shorter[: at + 12] + size + shorter[at + 16 :])
    assert len(zipfile.ZipFile(path).namelist()) == kept
    refused(path, f"lists {kept} of 6 entries; its checksums do not hold")


def test_a_tensor_of_one_number_repeated_is_no_weights(tmp_path: Path) -> None:
    """Strides of zero make gigabytes of four bytes."""
    huge = torch.zeros(1).expand(1 << 15, 1 << 15)
    for old in (False, True):
        path = saved(tmp_path / "net.pth", {"w": huge, **state()}, _use_new_zipfile_serialization=not old)
        refused(path, r"w and what stands before it would take 4,294,967,296")


def test_many_views_of_one_storage_are_counted(tmp_path: Path) -> None:
    base = torch.zeros(1 << 20)
    refused(saved(tmp_path / "net.pth", {f"w{n}": base[: (1 << 20) - n] for n in range(64)}), "would take")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", {"w": torch.zeros(32 << 20)})
    rezipped(path, lambda name, content: content, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    refused(path, "would expand to")


def test_an_entry_that_comes_twice_is_ambiguous(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", state())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[1], b"other")
    refused(path, "twice")


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(3, 3, dtype=torch.complex64), r"w is complex \(torch\.complex64\)"),
        (torch.eye(3).to_sparse(), r"w is sparse \(torch\.sparse_coo\)"),
        (torch.eye(3).to_sparse_csr(), r"w is sparse"),
        (torch.zeros(3, 3, device="meta"), r"w is a tensor without data \(meta\)"),
        (torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8), r"w is quantised \(torch\.qint8\)"),
    ],
    ids=["complex", "coo", "csr", "meta", "quantised"],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_tensors_that_cannot_be_weights_are_named(tmp_path: Path, tensor: Tensor, words: str) -> None:
    refused(saved(tmp_path / "net.pth", {"state_dict": {**state(), "w": tensor}}), rf"state_dict\.{words}")


def test_numpy_headers_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", header.getvalue() + bytes(16))
    refused(path, r"w says that it has 4,398,046,511,104 bytes")
    np.savez(path, w=np.array([object()], dtype=object))
    refused(path, "no NumPy file")
    np.savez(path, w=np.array(["text"]))
    refused(path, "w holds <U4, which cannot be weights")


def test_a_bomb_in_a_matlab_file(tmp_path: Path) -> None:
    packed = zlib.compress(bytes(128 << 20), 9)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path = tmp_path / "net.mat"
    path.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    refused(path, "would expand to more than")
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512))
    refused(path, "save it with -v7")


def test_files_of_other_kinds_are_called_by_their_name(tmp_path: Path) -> None:
    tar = tmp_path / "net.tar"
    inner = saved(tmp_path / "inner.pth", state())
    with tarfile.open(tar, "w") as archive:
        archive.add(inner, "inner.pth")
    refused(tar, "a tar archive: unpack it")
    for content, words in (
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file"),
        (b"GGUF" + bytes(64), "a GGUF file"),
        (b"\x1f\x8b\x08" + bytes(64), "a gzip file"),
        (b"\x93NUMPY" + bytes(64), "a single NumPy array"),
    ):
        path = tmp_path / "net.pth"
        path.write_bytes(content)
        refused(path, words)
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("readme.txt", "x")
    refused(tmp_path / "net.pth", r"neither PyTorch's nor NumPy's weights; it holds readme\.txt")


class Boom:
    """Would run a command if anything in the file ran."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (__import__("os").system, ("exit 1",))


def test_a_stand_in_never_takes_the_place_of_what_runs(tmp_path: Path) -> None:
    for name in ("pathlib", "omegaconf"):
        path = saved(tmp_path / "net.pth", {"config": Boom(), "state_dict": state(), name: 1})
        refused(path, r"would run code when loaded \((posix|nt)")
    path.write_bytes(pickle.dumps({"state_dict": {"w": np.zeros(3)}}, protocol=4))
    refused(path, "cut off or holds more than tensors; nothing in it was run|no PyTorch file")
