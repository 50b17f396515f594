"""Perceptual loss: the distance between features of an ImageNet classifier.

Johnson, Alahi, Fei-Fei, ECCV 2016, arXiv:1603.08155; with VGG19's last convolution in SRGAN (Ledig et al., CVPR 2017,
arXiv:1609.04802) and before its ReLU in ESRGAN (Wang et al., 2018, arXiv:1809.00219).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.files import sha256
from srbench.metrics._backbones import load_backbone
from srbench.training.losses.pixel import l1, mse
from srbench.training.optim.precision import autocast
from srbench.training.recipe.schema import Recipe
from srbench.training.recipe.tables import Perceptual

_SUFFIX = "-vgg16"
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def layers_of(features: nn.Sequential) -> dict[str, int]:
    """Name of each convolution, such as ``conv5_3``, and where it stands in torchvision's ``features``.

    >>> layers_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)))
    {'conv1_1': 0, 'conv2_1': 3}
    """
    names: dict[str, int] = {}
    block, number = 1, 0
    for index, layer in enumerate(features):
        if isinstance(layer, nn.MaxPool2d):
            block, number = block + 1, 0
        elif isinstance(layer, nn.Conv2d):
            number += 1
            names[f"conv{block}_{number}"] = index
    return names


class PerceptualLoss(nn.Module):
    """The distance between the features of SR and HR; no gradient reaches the backbone or HR.

    Attributes:
        source: the weights' file and the first digits of its sha256, for a card.

    Args:
        settings: which features of which backbone.
        precision: ``"bf16"`` and ``"fp16"`` run the backbone under autocast.

    Raises:
        UnknownNameError: no such layer.
        UnavailableError: the backbone's weights are neither here nor downloadable.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, settings: Perceptual, precision: str = "fp32") -> None:
        super().__init__()
        features, path = load_backbone(settings.backbone)
        layers = layers_of(features)
        if settings.layer not in layers:
            raise UnknownNameError("layer", settings.layer, layers, f"perceptual, {settings.backbone}")
        stop = layers[settings.layer] + (1 if settings.activation == "before" else 2)
        self.features = features[:stop].to(memory_format=torch.channels_last)
        self.least = 2 ** sum(isinstance(layer, nn.MaxPool2d) for layer in self.features)
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self._distance = l1 if settings.distance == "l1" else mse
        self._precision = precision
        digest = sha256(path)
        self.source = (
            f"perceptual: {settings.backbone} {settings.layer} {settings.activation} activation, "
            f"from {Path(path).name} (sha256 {digest[:16]})"
        )

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """``(N, 1 or 3, H, W)`` on [0, 1] → the mean distance; InputError where the pools leave nothing of a patch."""
        if min(hr.shape[-2:]) < self.least:
            raise InputError(
                f"a patch of {min(hr.shape[-2:])} HR pixels is too small for the perceptual layer; "
                f"expected at least {self.least}"
            )
        with torch.no_grad():
            wanted = self._see(hr)
        return self._distance(self._see(sr), wanted)

    def _see(self, image: Tensor) -> Tensor:
        seen = (image.expand(-1, 3, -1, -1) - self.mean) / self.std
        with autocast(image.device, self._precision):
            made: Tensor = self.features(seen.contiguous(memory_format=torch.channels_last))
        return made.float()


def with_backbone(recipe: Recipe) -> Recipe:
    """The recipe with a backbone whose weights can be had: VGG16 and ``-vgg16`` in the name where VGG19's cannot.

    The fifth block of VGG16 ends with its third convolution, which then takes the place of VGG19's fourth.
    """
    settings = recipe.perceptual
    if "perceptual" not in recipe.loss or settings is None or settings.backbone != "vgg19":
        return recipe
    try:
        load_backbone("vgg19")
    except UnavailableError:
        layer = settings.layer.replace("_4", "_3")
        name = recipe.name if recipe.name.endswith(_SUFFIX) else recipe.name + _SUFFIX
        instead = settings.model_copy(update={"backbone": "vgg16", "layer": layer})
        return recipe.model_copy(update={"perceptual": instead, "name": name})
    return recipe
