"""What tests of training share: small images, a narrow classifier in the place of VGG, and a parent checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from srbench.images import imresize, write_image
from srbench.models import create_model
from srbench.zoo import Card, checkpoint_name, save_checkpoint

_BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def write_images(folder: Path, count: int = 8, size: tuple[int, int] = (64, 72)) -> Path:
    """Images with edges in them, so that there is something to learn."""
    random = np.random.default_rng(0)
    for index in range(count):
        blocks = random.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(9, 0).repeat(9, 1)
        write_image(folder / f"p{index}.png", imresize(blocks, size=size))
    return folder


def narrow_vgg(folder: Path) -> Callable[[str], tuple[nn.Sequential, str]]:
    """``load_backbone`` for tests: VGG's layers at a width of 8, with weights of their own."""
    file = folder / "narrow.safetensors"
    file.write_bytes(b"weights")

    def load(name: str) -> tuple[nn.Sequential, str]:
        layers: list[nn.Module] = []
        channels = 3
        with torch.random.fork_rng():
            torch.manual_seed(1)
            for count in _BLOCKS[name]:
                for _ in range(count):
                    layers += [nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(inplace=True)]
                    channels = 8
                layers.append(nn.MaxPool2d(2))
        return nn.Sequential(*layers).requires_grad_(False).eval(), str(file)

    return load


def store_parent(model: str, recipe: str = "common", **options: object) -> str:
    """An untrained ×4 RGB checkpoint in the zoo; its name."""
    torch.manual_seed(7)
    network = create_model(model, 4, channels="rgb", **options)
    name = checkpoint_name(model, [4], recipe)
    card = Card(
        name=name,
        model=model,
        scales=[4],
        channels="rgb",
        recipe=recipe,
        options=options,
        parameters=sum(p.numel() for p in network.parameters()),
        data={},
        steps=0,
        samples_seen=0,
        seed=7,
        commit="",
        hardware="",
        wall_time_s=0,
        precision="fp32",
    )
    save_checkpoint(network.state_dict(), card)
    return name
