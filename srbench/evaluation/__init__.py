"""Quality and speed of checkpoints. ``evaluate`` and ``score`` are the Python side of ``srbench eval`` and ``score``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from srbench.datasets.local import find_dataset
from srbench.errors import InputError
from srbench.evaluation.measure import DEFAULT_METRICS, check_scale
from srbench.evaluation.quality import Samples, measure_cell
from srbench.evaluation.scoring import score
from srbench.evaluation.targets import Target, named, of_module, settings_of
from srbench.protocol import Protocol, get_protocol
from srbench.results import Result

__all__ = ["evaluate", "score"]


def evaluate(
    network: nn.Module | str,
    dataset: str | Path,
    scale: int | None = None,
    protocol: str | Protocol = "standard",
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    channels: str = "rgb",
    data_root: str | Path | None = None,
    device: str = "cpu",
    save_images: str | Path | None = None,
    **settings: Any,
) -> Result:
    """Measure a checkpoint, an interpolator or a network of your own; nothing is stored.

    Args:
        network: a name such as ``"fsrcnn_x4.common"`` or ``"bicubic"``; or a module that maps ``(N, C, h, w)`` in [0, 1] to
            ``(N, C, scale·h, scale·w)``, with C = 3 for ``channels="rgb"`` and 1 for ``"y"`` (luma, chroma by bicubic).
        dataset: a catalog name or a folder of HR images.
        scale: needed for a module; a checkpoint has its own.
        protocol: a preset, a TOML file or a Protocol.
        metrics: names; ``srbench ls metrics``.
        data_root: folder of the datasets; ``SRBENCH_DATA`` by default.
        device: cpu, cuda, or auto. save_images: folder for the SR images.
        settings: ``tile``, ``tile_overlap``, ``ensemble``, ``precision``, ``fused``, ``channels_last``.

    Raises:
        UnknownNameError, InputError, UnavailableError: names, images, missing data. A cell without a number is no error:
        the Result's ``status`` and ``reason`` say so.

    >>> evaluate("bicubic", "sample", scale=4, metrics=["psnr"]).ok
    True
    """
    chosen = protocol if isinstance(protocol, Protocol) else get_protocol(protocol)
    kept = settings_of(device, **settings)
    if isinstance(network, nn.Module):
        if scale is None:
            raise InputError("evaluate: a module needs scale=")
        check_scale(scale)
        training = network.training
        target = of_module(network, scale, kept, channels)
    else:
        target = _one(named(network, kept), network, scale)
    if scale is None:
        if len(target.scales) > 1:
            raise InputError(f"evaluate: {target.checkpoint} works at several scales: give one with scale=")
        scale = target.scales[0]
    check_scale(scale)
    images = find_dataset(dataset, data_root)
    images.check()
    samples = Samples(images, scale, chosen)
    try:
        return measure_cell(target, samples, metrics, Path(save_images) if save_images else None)
    finally:
        if isinstance(network, nn.Module):
            network.train(training)


def _one(found: list[Target], name: str, scale: int | None) -> Target:
    fitting = [target for target in found if scale is None or scale in target.scales]
    if len(fitting) > 1:
        raise InputError(f"{name} has several checkpoints: {', '.join(t.checkpoint for t in fitting)}; name one")
    return (fitting or found)[0]
