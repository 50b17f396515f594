"""What a stored number hangs on: each fact changes the cell's hash, nothing else does."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from srbench.datasets.local import from_folder
from srbench.evaluation.quality import Samples, cell_hash
from srbench.images import imresize, read_image, write_image
from srbench.inference import Inference
from srbench.metrics import METRICS, get_metric
from srbench.protocol import PRESETS, Protocol
from srbench.subjects import Subject, resolve

STANDARD = PRESETS["standard"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two HR images with LR files at ×2 and ×4."""
    for i in range(2):
        image = np.random.default_rng(i).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        write_image(tmp_path / "set" / f"p{i}.png", image)
        for scale in (2, 4):
            write_image(tmp_path / "set" / "LR" / f"X{scale}" / f"p{i}.png", imresize(image, 1 / scale))
    return tmp_path / "set"


def subject(**fields: Any) -> Subject:
    return dataclasses.replace(resolve("bicubic")[0], **fields)


def key(
    folder: Path,
    measured: Subject | None = None,
    scale: int = 4,
    protocol: Protocol = STANDARD,
    metrics: tuple[str, ...] = ("psnr", "ssim"),
    lr_files: bool = False,
    inference: Inference | None = None,
) -> str:
    samples = Samples(from_folder(folder), scale, protocol, lr_files)
    return cell_hash(measured or subject(), inference or Inference(), samples, metrics)


def test_weights(folder: Path) -> None:
    assert key(folder, subject(identity="0" * 64)) != key(folder, subject(identity="1" * 64))
    assert key(folder, subject(identity="")) == "", "weights that cannot be told from others have no hash"


def test_data(folder: Path) -> None:
    before = key(folder)
    image = read_image(folder / "p0.png")
    image[0, 0, 0] ^= 1
    write_image(folder / "p0.png", image)
    assert key(folder) != before


def test_one_image_more(folder: Path) -> None:
    before = key(folder)
    write_image(folder / "p2.png", read_image(folder / "p0.png"))
    assert key(folder) != before


def test_scale(folder: Path) -> None:
    assert len({key(folder, scale=scale) for scale in (2, 3, 4)}) == 3


CHANGES = {
    "name": "mine", "channel": "rgb", "luma": "rounded", "degradation": "other", "lr": "float", "gray": "keep",
    "modulus": 12, "edges": "clamp", "shave_extra": 6, "version": 2, "seed": 1, "lr_rounding": "once",
    "modulus_by_set": {"set5": 12}, "sr": "truncated", "clip_enlarged": True, "inference": "quarters",
}  # fmt: skip


@pytest.mark.parametrize("field", Protocol.model_fields)
def test_every_field_of_the_protocol(folder: Path, field: str) -> None:
    assert getattr(STANDARD, field) != CHANGES[field]
    assert key(folder, protocol=STANDARD.model_copy(update={field: CHANGES[field]})) != key(folder)


SETTINGS: list[dict[str, Any]] = [
    {}, {"tile": 32}, {"tile": 64}, {"tile": 32, "overlap": 3}, {"ensemble": True}, {"fused": True},
    {"layout": "channels_last"}, {"precision": "bf16"}, {"precision": "fp16"},
]  # fmt: skip


def test_variant_and_precision(folder: Path) -> None:
    hashes = {key(folder, inference=Inference(**settings)) for settings in SETTINGS}
    assert len(hashes) == len(SETTINGS)


def test_precision_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inference, "variant", "")
    assert key(folder, inference=Inference()) != key(folder, inference=Inference(precision="bf16"))


def test_version_of_a_metric_that_was_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, without = key(folder), key(folder, metrics=("psnr",))
    ssim = get_metric("ssim")
    monkeypatch.setitem(METRICS._things, "ssim", dataclasses.replace(ssim, version=ssim.version + 1))
    assert key(folder) != before
    assert key(folder, metrics=("psnr",)) == without


def test_which_metrics(folder: Path) -> None:
    assert key(folder, metrics=("psnr",)) != key(folder)


def test_lr_files_and_what_is_in_them(folder: Path) -> None:
    made, read = key(folder), key(folder, lr_files=True)
    assert made != read
    write_image(folder / "LR" / "X4" / "p0.png", read_image(folder / "LR" / "X4" / "p1.png"))
    assert key(folder) == made
    assert key(folder, lr_files=True) != read


def test_nothing_else(folder: Path) -> None:
    """Not the name, the facts and the scales of a subject, the device, the order of metrics, nor where the images lie."""
    before = key(folder, lr_files=True)
    other = subject(name="other", scales=(4,), channels="rgb", recipe="other", parameters=5, make=lambda _: None)
    assert key(folder, other, lr_files=True, inference=Inference(torch.device("meta"))) == before
    assert key(folder, metrics=("ssim", "psnr", "ssim"), lr_files=True) == before
    write_image(folder / "LR" / "X2" / "p0.png", read_image(folder / "LR" / "X2" / "p1.png"))
    (folder / "notes.txt").write_text("not an image")
    moved = folder.rename(folder.parent / "elsewhere")
    assert key(moved, lr_files=True) == before
