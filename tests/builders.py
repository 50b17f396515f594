"""What tests share: small images, recipes, cards, checkpoints, and a narrow classifier in the place of VGG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from srbench.images import imresize, read_image, write_image
from srbench.models import create_model, get_model
from srbench.training.recipe.load import load_recipe
from srbench.training.recipe.schema import Recipe, Size
from srbench.zoo import Card, checkpoint_name, save_checkpoint

_BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An RGB image in which every sample is another."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An RGB image in which neighbours are alike, as in a photograph."""
    enlarged: np.ndarray = imresize(noise(height // 8 + 2, width // 8 + 2, seed), 8.0)
    return enlarged[:height, :width]


def write_images(folder: Path, count: int = 8, size: tuple[int, int] = (64, 72)) -> Path:
    """Images with edges in them, so that there is something to learn."""
    random = np.random.default_rng(0)
    for index in range(count):
        blocks = random.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(9, 0).repeat(9, 1)
        write_image(folder / f"p{index}.png", imresize(blocks, size=size))
    return folder


def small_recipe(
    data: Path, model: str = "fsrcnn_s", recipe: str = "tuned", size: Size = "full", **changes: Any
) -> Recipe:
    """A recipe that a few small images can fill: crops, batch and steps are small, everything else is the recipe's own."""
    values = {"data": str(data), "val": 2, "patch": 8, "batch": 4, "steps": 12, "val_every": 6, "log_every": 3}
    return load_recipe(recipe, model, {**values, **changes}, size)


def make_card(model: str, recipe: str = "tuned", scale: int = 4, **values: Any) -> Card:
    """A card of a checkpoint that nobody trained; ``values`` go before what is made up here."""
    made_up = {
        "channels": "y",
        "parameters": 1,
        "data": {},
        "steps": 0,
        "samples_seen": 0,
        "seed": 0,
        "commit": "",
        "hardware": "",
        "wall_time_s": 0.0,
        "precision": "fp32",
    }
    name = checkpoint_name(model, [scale], recipe)
    return Card.model_validate({**made_up, "name": name, "model": model, "scales": [scale], "recipe": recipe, **values})


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


def store_checkpoint(
    model: str, recipe: str = "tuned", scale: int = 4, *, channels: str = "", seed: int = 0, **options: object
) -> str:
    """An untrained checkpoint in the zoo of ``SRBENCH_HOME``; its name."""
    torch.manual_seed(seed)
    channels = channels or get_model(model).channels
    network = create_model(model, scale, channels=channels, **options)
    parameters = sum(p.numel() for p in network.parameters())
    card = make_card(model, recipe, scale, channels=channels, options=options, parameters=parameters, seed=seed)
    save_checkpoint(network.state_dict(), card)
    return card.name


def store_parent(model: str, recipe: str = "tuned", **options: object) -> str:
    """A checkpoint of RGB that a GAN may start from; its name."""
    return store_checkpoint(model, recipe, channels="rgb", seed=7, **options)


def moving(
    image: np.ndarray, count: int, size: tuple[int, int], step: tuple[float, float] = (0.0, 0.5), zoom: float = 1.0
) -> list[np.ndarray]:
    """Frames of a camera over one image, by cubic interpolation: a pan, a zoom, or both.

    Args:
        image: uint8 ``(H, W, 3)``.
        count: of frames.
        size: of each, in pixels.
        step: of the view from frame to frame, down and across; sub-pixel steps are what real cameras make.
        zoom: of the view from frame to frame; above 1 things grow.
    """
    from scipy.ndimage import map_coordinates

    centre = np.array(image.shape[:2]) / 2 - np.array(step) * (count - 1) / 2
    rows, columns = np.meshgrid(np.arange(size[0]) - size[0] / 2, np.arange(size[1]) - size[1] / 2, indexing="ij")
    made = []
    for index in range(count):
        places = [centre[0] + step[0] * index + rows / zoom**index, centre[1] + step[1] * index + columns / zoom**index]
        planes = [map_coordinates(image[..., c].astype(np.float64), places, order=3, mode="mirror") for c in range(3)]
        made.append(np.clip(np.stack(planes, axis=-1) + 0.5, 0, 255).astype(np.uint8))
    return made


def write_clips(folder: Path, count: int = 4, size: tuple[int, int] = (96, 128)) -> Path:
    """A set of clips in Vid4's layout, made of the sample images: a pan, a pan across both axes, and a zoom."""
    from srbench.datasets.local import find_dataset

    paths = {path.stem: path for path in find_dataset("sample").paths}
    ways = {"astronaut": ((0.0, 0.5), 1.0), "chelsea": ((0.35, -0.6), 1.0), "coffee": ((0.0, 0.0), 1.02)}
    for name, (step, zoom) in ways.items():
        for index, frame in enumerate(moving(read_image(paths[name]), count, size, step, zoom)):
            write_image(folder / "GT" / name / f"{index:08}.png", frame)
    return folder
