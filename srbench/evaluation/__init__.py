"""Quality and speed of whatever can be measured. ``evaluate`` and ``score`` are the Python side of the commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from torch import nn

from srbench.datasets.local import find_dataset
from srbench.evaluation.quality import Samples, measure_cell
from srbench.evaluation.scoring import score
from srbench.inference import Inference, InferenceOptions
from srbench.measure import DEFAULT_METRICS, check_scale
from srbench.protocol import Protocol, get_protocol
from srbench.results import Result
from srbench.subjects import Options, resolve_one
from srbench.upscaler import Traits

__all__ = ["evaluate", "score"]


def evaluate(
    network: nn.Module | str | Path,
    dataset: str | Path,
    scale: int | None = None,
    protocol: str | Protocol = "standard",
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    channels: str | None = None,
    weights: str | Path | None = None,
    model: str | None = None,
    options: Options | None = None,
    traits: Traits | None = None,
    data_root: str | Path | None = None,
    lr_files: bool = False,
    save_images: str | Path | None = None,
    **inference: Unpack[InferenceOptions],
) -> Result:
    """Measure a checkpoint, an interpolator, a file of weights or a network of your own; nothing is stored.

    Args:
        network: a name such as ``"fsrcnn_x4.common"`` or ``"bicubic"``, a file of weights, ``"package.module:Class"``; or a
            module that maps ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale·h, scale·w)``, with C = 3 for ``channels="rgb"``
            and 1 for ``"y"`` (luma, chroma by bicubic). See :func:`srbench.subjects.resolve`.
        dataset: a catalog name or a folder of HR images.
        scale: needed for anything that works at several scales, and for a module that does not declare its own.
        protocol: a preset, a TOML file or a Protocol.
        metrics: names; ``srbench ls metrics``.
        channels: ``y`` or ``rgb``, for a file, class or module.
        weights: a file of weights for a class or a model.
        model: the architecture that a file of weights belongs to.
        options: for the constructor of a class or a model.
        traits: what a caller needs to know about a network, instead of what it declares.
        data_root: folder of the datasets; ``SRBENCH_DATA`` by default.
        lr_files: take LR from the folder that came with the dataset.
        save_images: folder for the SR images.
        inference: ``device``, ``tile``, ``overlap``, ``ensemble``, ``precision`` … as :class:`srbench.inference.Inference` has
            them.

    Raises:
        UnknownNameError: a name that does not exist, with the nearest one.
        InputError: a value, image or file of weights that cannot be used.
        UnavailableError: a dataset that is not here.

    A cell without a number raises nothing: the Result's ``status`` and ``reason`` say why.

    >>> evaluate("bicubic", "sample", scale=4, metrics=["psnr"]).ok
    True
    """
    how = Inference.of(inference, "evaluate()", evaluate.__kwdefaults__)
    chosen = protocol if isinstance(protocol, Protocol) else get_protocol(protocol)
    if scale is not None:
        check_scale(scale)
    subject = resolve_one(
        network, scale, channels=channels, weights=weights, model=model, options=options, traits=traits
    )  # fmt: skip
    images = find_dataset(dataset, data_root)
    images.check()
    samples = Samples(images, subject.scale, chosen, lr_files)
    return measure_cell(subject, samples, metrics, how, save_images=Path(save_images) if save_images else None)
