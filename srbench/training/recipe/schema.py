"""The keys of a recipe: everything that decides what a training run learns. A new key is written here and nowhere else.

Its default must be what runs did before it was there: files that do not name it, states and names of ablations' cells then mean
what they meant.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from srbench.degradations import get_degradation
from srbench.errors import SrbenchError
from srbench.training.recipe.tables import HIGHEST_RATE, Adversarial, Decay, Perceptual

Size = Literal["full", "cpu"]
CPU_KEYS = ("data", "val", "patch", "grow", "batch", "steps", "loss", "freeze_norm", "val_every", "log_every")
"""What ``[cpu]`` may change."""


class Recipe(BaseModel):
    """A resolved recipe.

    Attributes:
        name: the file's name without model and suffix; part of the checkpoint's name.
        size: ``"full"``, or ``"cpu"`` where the values of ``[cpu]`` are in place.
        data: training sets of the catalog, ``div2k``, ``df2k``, or folders, joined with ``+``.
        val: validation images: their names, or how many, which are then spread evenly over the data.
        val_data: sets that those are chosen from; ``data`` by default. They are never trained on.
        scale: the upscaling factor.
        channels: ``"y"``, ``"rgb"``, or ``"model"`` for what the network was published on.
        skip: ``"bicubic"`` adds the network's output to the bicubically upscaled input, if it has no such skip itself.
        options: the model's build options.
        init: who draws the initial weights: the ``"model"``, as its file says, ``"pytorch"``, or ``"icnr"``, which
            lets the phases of a sub-pixel layer start alike (see ``initial.py``).
        init_from: a checkpoint of the same architecture, options and scale whose weights training starts from; or a file of
            weights of any origin, of which those that fit are taken; or "".
        warm_from: a checkpoint of the same architecture at any scale, or ``x2.tuned`` for whatever network is trained;
            training starts from those of its weights that fit.
        patch: side of an LR crop in pixels; the HR crop's is ``scale`` times it.
        grow: sides of the crops of later stages; all stages have the same number of steps.
        batch: crops a step, over all processes.
        accumulate: parts that a process computes its share of a batch in, one after another, where memory does not hold the
            whole; their gradients are added up, and the step is that of the whole batch but for the order of sums (batch
            norm sees a part, and so do the means of a relativistic discriminator).
        steps: optimiser steps.
        degradation: how LR is made, in training and validation, such as ``"bd"`` or ``"jpeg:quality=30"``; see
            ``srbench ls degradations``. A random one is drawn anew for every crop.
        data_lr: ``beside`` trains on the LR images that belong to the data, ``none`` makes LR although there are some, a folder
            is of LR images; by default LR is made, and a folder of one's own that has LR images is refused.
        rescale: sizes of additional bicubic copies of every image.
        augment: each crop is flipped and rotated into one of its 8 orientations.
        loss: weight of each loss term.
        perceptual: the table that the term of this name needs.
        adversarial: the table that the term of this name needs.
        optimiser: for ``muon`` see ``muon.py``.
        lr: the peak learning rate.
        betas: decay of Adam's two moments; SGD's momentum is the first, RMSprop's smoothing constant the second.
        weight_decay: of the optimiser.
        grad_clip: the largest norm of the gradient (0: not clipped).
        schedule: how the rate falls after the warm-up: ``cosine`` to ``lr_end``, ``exponential`` to ``lr_end``,
            ``step`` by ``gamma`` at each of ``milestones``, or ``constant``.
        warmup: length of the linear warm-up as a fraction of ``steps``.
        milestones: as fractions of ``steps``.
        gamma: factor on the rate at each of ``milestones``.
        lr_end: the last rate as a fraction of ``lr``.
        sync_norm: of several processes, batch norm takes the statistics of the whole batch instead of a slice's.
        freeze_norm: the fraction of ``steps`` after which batch norm keeps its statistics, in training too. A network trained
            on small batches learns to rely on their statistics, which a whole image does not have.
        ema: decay a step of the averaged weights, which are validated and kept (0: the weights themselves).
        precision: ``"bf16"`` and ``"fp16"`` run the network under autocast; weights and optimiser stay float32. ``"fp16"``
            scales the loss, for GPUs without bfloat16 (P100, T4).
        channels_last: memory layout of the network's tensors.
        compile: run the network through ``torch.compile`` (2.15 cannot compile the replicated edges of srcnn and fsrcnn).
        keep: which weights are kept: ``"best"`` by validation PSNR, or ``"last"``, which adversarial runs need, as
            their PSNR falls while their images sharpen.
        seed: decides initial weights and every crop.
        val_every: steps between validations.
        log_every: steps between log lines.
        planned: of a run whose length followed from a time: first step, ``steps`` and ``val_every`` of each plan. Rates and
            stages go by the plan of their step, so that a recipe with its plans trains the same weights without a clock.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = ""
    size: Size = "full"
    data: str = "t91+bsds200"
    val: int | tuple[str, ...] = 10
    val_data: str = ""
    scale: int = Field(4, ge=1)
    channels: Literal["model", "y", "rgb"] = "model"
    skip: Literal["none", "bicubic"] = "none"
    options: dict[str, str | int | float | bool] = {}
    init: Literal["model", "pytorch", "icnr"] = "model"
    init_from: str = ""
    warm_from: str = ""
    patch: int = Field(24, ge=1)
    grow: tuple[int, ...] = ()
    batch: int = Field(16, ge=1)
    accumulate: int = Field(1, ge=1)
    steps: int = Field(10_000, ge=1)
    degradation: str = "bicubic"
    data_lr: str = ""
    rescale: tuple[float, ...] = ()
    augment: bool = True
    loss: dict[str, float] = {"l1": 1.0}
    perceptual: Perceptual | None = None
    adversarial: Adversarial | None = None
    optimiser: Literal["adam", "adamw", "muon", "sgd", "rmsprop"] = "adam"
    lr: float = Field(1e-3, gt=0, le=HIGHEST_RATE)
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0)
    grad_clip: float = Field(0.0, ge=0)
    schedule: Literal["cosine", "step", "exponential", "constant"] = "cosine"
    warmup: float = Field(0.0, ge=0, lt=1)
    lr_end: float = Field(0.0, ge=0, le=1)
    milestones: tuple[float, ...] = ()
    gamma: float = Field(0.5, gt=0, le=1)
    sync_norm: bool = False
    freeze_norm: float = Field(1.0, ge=0, le=1)
    ema: Decay = 0.999
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    compile: bool = False
    keep: Literal["best", "last"] = "best"
    seed: int = Field(0, ge=0, lt=2**63)
    val_every: int = Field(500, ge=1)
    log_every: int = Field(50, ge=1)
    planned: tuple[tuple[int, int, int], ...] = ()

    @field_validator("loss", mode="before")
    @classmethod
    def _one_term(cls, value: Any) -> Any:
        """A term's name alone has weight 1."""
        return {value: 1.0} if isinstance(value, str) else value

    @field_validator("loss")
    @classmethod
    def _some_term(cls, value: dict[str, float]) -> dict[str, float]:
        if not value:
            raise ValueError("needs at least one term, such as loss = { l1 = 1.0 }")
        for term, weight in value.items():
            if weight < 0:
                raise ValueError(f"{term} = {weight:g} would teach the opposite; weights are 0 or more")
        if not any(value.values()):
            raise ValueError("teaches nothing: expected a weight above 0")
        return value

    @field_validator("degradation")
    @classmethod
    def _computed(cls, value: str) -> str:
        try:
            chosen = get_degradation(value)
        except SrbenchError as error:
            raise ValueError(str(error)) from None
        if chosen.degradation.files:
            raise ValueError(f"{value} has LR files alone; training makes its LR")
        return chosen.text

    @field_validator("rescale")
    @classmethod
    def _shrinks(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < factor < 1 for factor in value):
            raise ValueError("sizes of rescaled copies lie between 0 and 1")
        return value

    @field_validator("milestones")
    @classmethod
    def _fractions(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < part < 1 for part in value):
            raise ValueError("milestones are fractions of the steps, between 0 and 1")
        return value

    @field_validator("grow")
    @classmethod
    def _sides(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(side < 1 for side in value):
            raise ValueError("sides of crops are 1 LR pixel or more")
        return value

    @model_validator(mode="after")
    def _has_tables(self) -> Recipe:
        for term in ("perceptual", "adversarial"):
            if term in self.loss and getattr(self, term) is None:
                raise ValueError(f"the loss term {term!r} needs a table [{term}]")
        if self.discriminator and self.keep == "best":
            raise ValueError("keep = 'best' by PSNR would keep an adversarial run's first weights; use keep = 'last'")
        return self

    @model_validator(mode="after")
    def _lr_is_given_or_made(self) -> Recipe:
        if self.data_lr not in ("", "none"):
            if self.degradation != "bicubic":
                raise ValueError(
                    f"data_lr gives LR images and degradation = {self.degradation!r} makes them: give one of them"
                )
            if self.rescale:
                raise ValueError("LR images of data_lr have no rescaled copies; give rescale = []")
        return self

    @model_validator(mode="after")
    def _one_start(self) -> Recipe:
        if self.init_from and self.warm_from:
            raise ValueError("init_from takes all weights of a parent and warm_from what fits: give one of them")
        return self

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Recipe:
        if self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} cannot be cut into accumulate = {self.accumulate} equal parts")
        return self

    @model_validator(mode="after")
    def _reaches(self) -> Recipe:
        if self.schedule == "exponential" and self.lr_end == 0:
            raise ValueError("an exponential schedule never reaches lr_end = 0")
        return self

    @property
    def discriminator(self) -> Adversarial | None:
        """How the discriminator is built and trained, or None where the loss has no adversarial term."""
        return self.adversarial if "adversarial" in self.loss else None

    @model_validator(mode="after")
    def _ends_as_planned(self) -> Recipe:
        if self.planned and self.planned[-1][1:] != (self.steps, self.val_every):
            raise ValueError(
                f"its last plan is of {self.planned[-1][1]} steps, not {self.steps}; give planned = [] with other steps"
            )
        return self

    def plan_at(self, step: int) -> tuple[int, int]:
        """The number of steps, and of steps between validations, that hold at a step."""
        for first, steps, val_every in reversed(self.planned):
            if first <= step:
                return steps, val_every
        return self.steps, self.val_every

    def replanned(self, step: int, steps: int, val_every: int) -> Recipe:
        """The same recipe with another length from ``step`` on."""
        before = self.planned or ((0, self.steps, self.val_every),)
        planned = (*(plan for plan in before if plan[0] < step), (step, steps, val_every))
        return self.model_copy(update={"steps": steps, "val_every": val_every, "planned": planned})

    def stages(self) -> list[tuple[int, int, int]]:
        """First step, end and LR patch of each stage; a plan that makes a run longer does not lead back to smaller crops."""
        patches = (self.patch, *self.grow)
        plans = self.planned or ((0, self.steps, self.val_every),)
        found: list[tuple[int, int, int]] = []
        stage = at = 0
        for (_, steps, _), (stop, *_) in zip(plans, (*plans[1:], (self.steps,)), strict=True):
            for index in range(stage, len(patches)):
                end = min(stop, round(steps * (index + 1) / len(patches))) if index + 1 < len(patches) else stop
                if end > at:
                    start = found.pop()[0] if found and found[-1][2] == patches[index] and stage == index else at
                    found.append((start, end, patches[index]))
                    at, stage = end, index
        return found
