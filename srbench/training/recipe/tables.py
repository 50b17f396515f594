"""The two tables that a recipe needs for some of its loss terms: ``[perceptual]`` and ``[adversarial]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from srbench.errors import SrbenchError
from srbench.models.discriminators import check_choice

Decay = Annotated[float, Field(ge=0, lt=1)]
"""Of an average: of an optimiser's moments, a momentum."""


HIGHEST_RATE = 1e30
"""Of any optimiser; times what an optimiser multiplies it by, a float32 still holds it."""


class Perceptual(BaseModel):
    """What the term ``perceptual`` compares.

    Attributes:
        backbone: the classifier whose features are compared. If VGG19's weights are not available, VGG16 takes its place.
        layer: such as ``conv5_4`` (VGG19), ``conv5_3`` or ``conv2_2``.
        activation: ``"before"`` compares what the convolution gives, ``"after"`` what its ReLU leaves of it.
        distance: between features, ``"l1"`` or ``"mse"``, as a mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    backbone: Literal["vgg19", "vgg16"] = "vgg19"
    layer: str = "conv5_4"
    activation: Literal["before", "after"] = "after"
    distance: Literal["l1", "mse"] = "mse"


class Adversarial(BaseModel):
    """How generator and discriminator are trained against each other, for the term ``adversarial``.

    Attributes:
        kind: ``standard`` (binary cross-entropy), ``relativistic`` (average), ``wgan-clip`` or ``wgan-gp``.
        discriminator: ``dense`` is SRGAN's, built for the recipe's patch; ``convolutional`` takes any patch; ``patch`` is
            PatchGAN, which judges regions; ``unet`` is Real-ESRGAN's, which judges pixels.
        norm: ``batch``, ``none``, ``virtual``, which normalises by a reference batch drawn before the first step, or
            ``spectral``, which bounds how steep each convolution is; a discriminator takes some of them.
        reference: crops in that reference batch, at most as many as there are images and copies.
        optimiser: the discriminator's.
        lr: the discriminator's peak rate, which follows the generator's schedule.
        betas: the discriminator's.
        weight_decay: the discriminator's.
        grad_clip: the largest norm of its gradient (0: not clipped).
        real_label: target of the cross-entropy for HR images; 0.9 here alone is one-sided label smoothing.
        fake_label: target of the cross-entropy for SR images.
        label_noise: half the width of the uniform noise on each image's target.
        n_critic: the generator learns from every ``n_critic``-th batch, the discriminator from every batch.
        clip: of ``wgan-clip``, the largest absolute value of a weight of the critic's convolutions and dense layers.
        penalty: of ``wgan-gp``, the weight λ of the gradient penalty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["standard", "relativistic", "wgan-clip", "wgan-gp"] = "standard"
    discriminator: str = "dense"
    norm: Literal["batch", "none", "virtual", "spectral"] = "batch"
    reference: int = Field(16, ge=1)
    optimiser: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    lr: float = Field(1e-4, gt=0, le=HIGHEST_RATE)
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0)
    grad_clip: float = Field(0.0, ge=0)
    real_label: float = Field(1.0, ge=0, le=1)
    fake_label: float = Field(0.0, ge=0, le=1)
    label_noise: float = Field(0.0, ge=0, le=0.5)
    n_critic: int = Field(1, ge=1)
    clip: float = Field(0.01, gt=0)
    penalty: float = Field(10.0, gt=0)

    @model_validator(mode="after")
    def _plays(self) -> Adversarial:
        if self.kind == "wgan-gp" and self.norm == "batch":
            raise ValueError(
                "a gradient penalty is one image's, and batch norm mixes images: norm must be 'none' or 'virtual'"
            )
        if self.kind == "wgan-clip" and self.norm == "spectral":
            raise ValueError(
                "spectral norm computes the weights that wgan-clip would clip: use wgan-gp or another norm"
            )
        try:
            check_choice(self.discriminator, self.norm)
        except SrbenchError as error:
            raise ValueError(str(error)) from None
        if self.fake_label >= self.real_label:
            raise ValueError(f"real_label = {self.real_label} must be above fake_label = {self.fake_label}")
        return self
