"""A whole training step against a bare loop, and the sampler against the usual ways to make batches, each in one run.

Blocks of the two sides alternate, so that a busy machine slows both alike; the ratio is the median over pairs of blocks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from srbench.datasets.local import find_dataset
from srbench.images import imresize, write_image
from srbench.interop.basicsr import import_basicsr
from srbench.models import create_model, get_model
from srbench.training.data.images import load_images
from srbench.training.data.sampler import Sampler
from srbench.training.loop.options import RunOptions
from srbench.training.loop.trainer import train
from srbench.training.loop.watch import Watch
from srbench.training.optim.optimisers import make_optimisers
from srbench.training.recipe.load import load_recipe
from srbench.training.recipe.schema import Recipe

CPU = torch.device("cpu")


@pytest.mark.data
@pytest.mark.parametrize(
    ("model", "block", "pairs", "bound"), [("fsrcnn", 10, 30, 1.10), ("edsr_baseline", 2, 8, 1.05)]
)
def test_training_step(
    model: str,
    block: int,
    pairs: int,
    bound: float,
    data_root: Path,
    srbench_home: Path,
    one_thread: None,
    benchmark: Any,
) -> None:
    """Sampler, loss terms, averaged weights and log lines included; validation and saved states are not steps."""
    changes = {"steps": (pairs + 2) * block, "log_every": block, "val_every": 1_000_000, "rescale": []}
    recipe = load_recipe("tuned", model, changes, "cpu")
    whole, bare = benchmark.pedantic(alternate, (model, recipe, block), rounds=1)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(whole, bare, strict=True))
    benchmark.extra_info.update(
        {
            "case": f"{model} step",
            "ours": f"{1e3 * statistics.median(whole):.1f} ms",
            "peer": f"bare loop {1e3 * statistics.median(bare):.1f} ms",
            "ratio": round(ratio, 3),
            "target": f"<= {bound}",
        }
    )
    assert ratio <= bound


def alternate(model: str, recipe: Recipe, block: int) -> tuple[list[float], list[float]]:
    """Seconds a step of a training run and of a bare loop, which takes its turn whenever the run writes a log line."""
    bare_block = bare_loop(model, recipe, block)
    whole: list[float] = []
    bare: list[float] = []
    resumed = 0.0
    log = Watch.log

    def after_log(self: Watch, step: int, facts: Mapping[str, Any]) -> None:
        nonlocal resumed
        log(self, step, facts)
        if "lr" in facts:
            whole.append((time.perf_counter() - resumed) / block)
            bare.append(bare_block())
        resumed = time.perf_counter()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watch, "log", after_log)
        train(model, recipe, RunOptions(progress=False, threads=1, save_seconds=1e9))
    return whole[1:-1], bare[1:-1]  # the first block warms up, the last one ends with a validation


def bare_loop(name: str, recipe: Recipe, steps: int) -> Callable[[], float]:
    """A function that trains the same network on one batch in memory; returns seconds a step."""
    model = get_model(name)
    channels = 1 if model.channels == "y" else 3
    skip = {} if model.has_skip or recipe.skip == "none" else {"skip": recipe.skip}
    network = create_model(name, recipe.scale, channels=model.channels, **skip).to(memory_format=torch.channels_last)
    optimisers = make_optimisers(network.parameters(), recipe)
    hr = torch.rand(recipe.batch, channels, recipe.patch * recipe.scale, recipe.patch * recipe.scale)
    hr = hr.contiguous(memory_format=torch.channels_last)
    lr = hr if model.pre_upsampled else imresize(hr, 1 / recipe.scale).contiguous(memory_format=torch.channels_last)

    def loop() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
                sr = network(lr)
            loss = (sr.float() - hr).abs().mean()
            network.zero_grad()
            loss.backward()
            for optimiser in optimisers:
                optimiser.step()
        return (time.perf_counter() - start) / steps

    return loop


class InMemory(Dataset[tuple[Tensor, Tensor]]):
    """The plain way: decoded images, one random crop a sample, flips and a turn, collated by a DataLoader."""

    def __init__(self, hr: list[np.ndarray], lr: list[np.ndarray], patch: int) -> None:
        self.hr, self.lr, self.patch = hr, lr, patch

    def __len__(self) -> int:
        return len(self.hr)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        hr, lr = self.hr[index], self.lr[index]
        scale = hr.shape[0] // lr.shape[0]
        top, left = (int(np.random.randint(side - self.patch + 1)) for side in lr.shape[:2])
        lr = lr[top : top + self.patch, left : left + self.patch]
        end = self.patch * scale
        hr = hr[top * scale : top * scale + end, left * scale : left * scale + end]
        for axis in (0, 1):
            if np.random.rand() < 0.5:
                hr, lr = np.flip(hr, axis), np.flip(lr, axis)
        if np.random.rand() < 0.5:
            hr, lr = hr.transpose(1, 0, 2), lr.transpose(1, 0, 2)
        return tuple(torch.from_numpy(part.transpose(2, 0, 1).copy()).float() / 255 for part in (lr, hr))  # type: ignore[return-value]


@pytest.mark.data
def test_sampler(data_root: Path, tmp_path: Path, one_thread: None, benchmark: Any) -> None:
    """BSDS200, HR patch 192, batch 16, RGB: samples a second of each side, in turn."""
    paths = find_dataset("bsds200", data_root).paths
    images = load_images(paths, 4, 48)
    for index, (hr, lr) in enumerate(zip(images.hr, images.lr, strict=True)):
        write_image(tmp_path / "hr" / f"{index}.png", hr)
        write_image(tmp_path / "lr" / f"{index}.png", lr)
    options = {"phase": "train", "scale": 4, "gt_size": 192, "use_hflip": True, "use_rot": True}
    options |= {
        "dataroot_gt": str(tmp_path / "hr"),
        "dataroot_lq": str(tmp_path / "lr"),
        "io_backend": {"type": "disk"},
    }
    paired = import_basicsr("basicsr.data.paired_image_dataset").PairedImageDataset(options)
    plain = InMemory(list(images.hr), list(images.lr), 48)
    sides: dict[str, Callable[[], Iterator[Any]]] = {
        "ours": lambda: Sampler(images, 48, 16, 0).batches(0, 200, CPU),
        "basicsr": lambda: iter(DataLoader(paired, 16, shuffle=True, num_workers=2, drop_last=True)),
        "plain": lambda: iter(DataLoader(plain, 16, shuffle=True, drop_last=True)),
    }
    rates = benchmark.pedantic(rounds_of, (sides, 3), rounds=1)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratio = statistics.median(ours / theirs for ours, theirs in zip(rates["ours"], rates["basicsr"], strict=True))
    benchmark.extra_info.update(
        {
            "case": "sampler, 192 px, batch 16",
            "ours": f"{medians['ours']:.0f} samples/s",
            "peer": f"basicsr, 2 workers {medians['basicsr']:.0f}; in memory {medians['plain']:.0f}",
            "ratio": round(ratio, 2),
            "target": ">= 8",
        }
    )
    assert ratio >= 8


def rounds_of(sides: Mapping[str, Callable[[], Iterator[Any]]], rounds: int) -> dict[str, list[float]]:
    """Samples a second of each side in each round; starting workers is not counted, nor is the first batch."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, start_side in sides.items():
            batches = start_side()
            next(batches)
            begun, count = time.perf_counter(), 0
            for _batch in batches:
                count += 16
            rates[name].append(count / (time.perf_counter() - begun))
    return rates
