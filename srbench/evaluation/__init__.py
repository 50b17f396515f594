"""Quality and speed of whatever can be measured. ``evaluate`` and ``score`` are the Python side of the commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from torch import nn

from srbench.datasets.local import find_dataset
from srbench.evaluation.quality import Samples, measure_cell
from srbench.evaluation.scoring import score, score_methods
from srbench.inference import DEFAULTS
from srbench.keywords import part_of, typed_keywords
from srbench.measure import DEFAULT_METRICS, check_scale
from srbench.protocol import Protocol, get_protocol
from srbench.results import Result
from srbench.subjects import LoadOptions, resolve_one, split_options

__all__ = ["evaluate", "score", "score_methods"]


class DataOptions(TypedDict, total=False):
    """Where images come from, and where SR goes; see :func:`evaluate`."""

    data_root: str | Path | None
    lr_files: bool
    lr_folder: str | Path | None
    recursive: bool
    save_images: str | Path | None


class EvaluateOptions(DataOptions, LoadOptions, total=False):
    """What :func:`evaluate` takes by name."""


@typed_keywords(EvaluateOptions, defaults={**DEFAULTS, "lr_files": False, "recursive": False})
def evaluate(
    network: nn.Module | str | Path,
    dataset: str | Path,
    scale: int | None = None,
    protocol: str | Protocol = "standard",
    metrics: Sequence[str] = DEFAULT_METRICS,
    **given: Unpack[EvaluateOptions],
) -> Result:
    """Measure a checkpoint, an interpolator, a file of weights or a network of your own; nothing is stored.

    Args:
        network: a name such as ``"fsrcnn_x4.tuned"`` or ``"bicubic"``, a file of weights, ``"package.module:Class"``; or a
            module that maps ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale·h, scale·w)``, with C = 3 for ``channels="rgb"``
            and 1 for ``"y"`` (luma, chroma by bicubic). See :func:`srbench.subjects.resolve`.
        dataset: a catalog name or a folder of HR images.
        scale: needed for anything that works at several scales, and for a module that does not declare its own.
        protocol: a preset, a TOML file or a Protocol.
        metrics: names; ``srbench ls metrics``.
        given: ``data_root`` (folder of the datasets, ``SRBENCH_DATA`` by default), ``lr_files`` (take LR from the folder that
            came with the dataset), ``lr_folder`` (or from this one), ``recursive`` (the images of subfolders as well),
            ``save_images`` (folder for the SR images); and ``channels``, ``weights``, ``model``, ``options``, ``traits``,
            ``device``, ``tile``, ``precision`` and the others that :func:`srbench.load` takes.

    Raises:
        UnknownNameError: a name or an argument that does not exist, with the nearest one.
        InputError: a value, image or file of weights that cannot be used.
        UnavailableError: a dataset that is not here, or a scale that the network does not have.

    A cell without a number raises nothing: the Result's ``status`` and ``reason`` say why.

    >>> evaluate("bicubic", "sample", scale=4, metrics=["psnr"]).ok
    True
    """
    data: DataOptions = part_of(given, DataOptions)
    named, inference = split_options(part_of(given, LoadOptions))
    chosen = protocol if isinstance(protocol, Protocol) else get_protocol(protocol)
    if scale is not None:
        check_scale(scale)
    subject = resolve_one(network, scale, **named)
    folder = data.get("lr_folder")
    images = find_dataset(dataset, data.get("data_root"), recursive=data.get("recursive", False), lr_folder=folder)
    images.check()
    samples = Samples(images, subject.scale, chosen, data.get("lr_files", False) or folder is not None)
    save = data.get("save_images")
    names = [metrics] if isinstance(metrics, str) else metrics
    return measure_cell(subject, samples, names, inference, save_images=Path(save) if save else None)
