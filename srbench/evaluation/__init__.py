"""Quality and speed of whatever can be measured. ``evaluate`` and ``score`` are the Python side of the commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from torch import nn

from srbench.datasets.local import find_dataset
from srbench.evaluation.quality import Samples, measure_cell
from srbench.evaluation.scoring import score, score_methods
from srbench.inference import DEFAULTS
from srbench.keywords import typed_keywords
from srbench.measure import DEFAULT_METRICS, check_scale
from srbench.protocol import Protocol, get_protocol
from srbench.results import Result
from srbench.subjects import LoadOptions, resolve_one, split_options

__all__ = ["evaluate", "score", "score_methods"]


@typed_keywords(LoadOptions, defaults=DEFAULTS)
def evaluate(
    network: nn.Module | str | Path,
    dataset: str | Path,
    scale: int | None = None,
    protocol: str | Protocol = "standard",
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    data_root: str | Path | None = None,
    lr_files: bool = False,
    lr_folder: str | Path | None = None,
    recursive: bool = False,
    save_images: str | Path | None = None,
    **given: Unpack[LoadOptions],
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
        data_root: folder of the datasets; ``SRBENCH_DATA`` by default.
        lr_files: take LR from the folder that came with the dataset.
        lr_folder: take LR from this folder.
        recursive: the images of a folder's subfolders as well.
        save_images: folder for the SR images.
        given: ``channels``, ``weights``, ``model``, ``options``, ``traits``, ``device``, ``tile``, ``precision`` and the others
            that :func:`srbench.load` takes.

    Raises:
        UnknownNameError: a name or an argument that does not exist, with the nearest one.
        InputError: a value, image or file of weights that cannot be used.
        UnavailableError: a dataset that is not here, or a scale that the network does not have.

    A cell without a number raises nothing: the Result's ``status`` and ``reason`` say why.

    >>> evaluate("bicubic", "sample", scale=4, metrics=["psnr"]).ok
    True
    """
    named, inference = split_options(given)
    chosen = protocol if isinstance(protocol, Protocol) else get_protocol(protocol)
    if scale is not None:
        check_scale(scale)
    subject = resolve_one(network, scale, **named)
    images = find_dataset(dataset, data_root, recursive=recursive, lr_folder=lr_folder)
    images.check()
    samples = Samples(images, subject.scale, chosen, lr_files or lr_folder is not None)
    names = [metrics] if isinstance(metrics, str) else metrics
    return measure_cell(subject, samples, names, inference, save_images=Path(save_images) if save_images else None)
