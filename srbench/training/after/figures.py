"""Figures of training as PNG: a run's curves, its sample images, a layer's filters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srbench.errors import InputError, UnknownNameError
from srbench.files import replacing
from srbench.images import as_rgb, read_image
from srbench.training.after.runs import Run, sample_files
from srbench.training.loop.log import read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor, nn

# Which keys of a log share a panel, in this order; every other number has a panel of its own.
_PANELS = {
    "validation PSNR (dB)": ("val_psnr",),
    "LR-PSNR (dB)": ("lr_psnr", "val_lr_psnr"),
    "validation LPIPS": ("val_lpips",),
    "lattice (dB)": ("lattice", "val_lattice"),
    "loss": ("loss",),  # the recipe's terms follow, each with an axis of its own: their sizes differ by powers of ten
    "D(real), D(fake)": ("d_real", "d_fake"),
    "discriminator's loss": ("d_loss",),
    "Wasserstein estimate, penalty": ("wasserstein", "penalty"),
    "gradient norms": ("g_grad", "d_grad"),
    "contrast of SR over HR": ("contrast",),
    "learning rate": ("lr",),
}
_NO_CURVE = {"step", "seconds", "samples_per_s", "val_bicubic"}
_LOGARITHMIC = {"loss", "gradient norms"}
_TERM = "loss term: "
_PARENTS_COLOUR = "tab:green"
_MOST_STEPS = 6  # sample images beside LR and HR
_MOST_FILTERS = 64


def panels(
    lines: Iterable[dict[str, Any]], terms: Iterable[str] = ()
) -> dict[str, dict[str, tuple[list[int], list[float]]]]:
    """Panel → key → steps and values of a log's numbers; each of the loss's ``terms`` has a panel after the loss's.

    The loss of a validation line repeats what is logged, so it is left out.
    """
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for line in lines:
        for key, value in line.items():
            if key in _NO_CURVE or not isinstance(value, int | float) or (key == "loss" and "lr" not in line):
                continue
            steps, values = curves.setdefault(key, ([], []))
            steps.append(line["step"])
            values.append(value)
    shared = {}
    for title, keys in _PANELS.items():
        shared[title] = keys
        if title == "loss":
            shared |= {f"{_TERM}{term}": (term,) for term in terms}
    grouped = {title: {key: curves.pop(key) for key in keys if key in curves} for title, keys in shared.items()}
    return {title: group for title, group in grouped.items() if group} | {key: {key: curves[key]} for key in curves}


def draw_run(run: Run, path: Path) -> Path:
    """Curves of everything in a run's log, and below them its sample images.

    Raises:
        InputError: the log has no line yet.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = panels(read_log(run.folder).lines, run.recipe.get("loss", {}))
    if not shown:
        raise InputError(f"{run.folder} has no log line yet; nothing to draw")
    samples = sample_files(run.folder)
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    with rc_context({"font.size": 8, "axes.grid": True, "grid.alpha": 0.3}):
        figure = Figure(figsize=(4.2 * columns, 2.6 * rows + (5 if samples else 0)), layout="constrained")
        upper, lower = figure, None
        if samples:
            upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(2.6 * rows, 5))[:, 0]
        axes = list(upper.subplots(rows, columns, squeeze=False).flat)
        for axis, (title, curves) in zip(axes, shown.items(), strict=False):
            _curves(axis, title, curves, run)
        for axis in axes[len(shown) :]:
            axis.set_axis_off()
        if samples:
            _strip(lower, *samples)
        state = f"step {run.step} of {run.steps}, {run.status}"
        figure.suptitle(f"{run.name}: {state}" + (f"; {run.collapse}" if run.collapse else ""))
        return _write(figure, path)


def _curves(axis: Axes, title: str, curves: dict[str, tuple[list[int], list[float]]], run: Run) -> None:
    for key, (steps, values) in curves.items():
        axis.plot(steps, values, label=key, linewidth=1, marker="." if len(steps) < 3 else "")
    if title.startswith("validation PSNR") and run.bicubic is not None:
        axis.axhline(run.bicubic, color="gray", linewidth=1, linestyle="--", label="bicubic")
        # Untrained weights score so low that the rest of the curve would be flat.
        began = bool(run.recipe.get("init_from"))
        trained = [value for step, value in zip(*curves["val_psnr"], strict=True) if step or began]
        if trained:
            low, high = min(run.bicubic, *trained), max(run.bicubic, *trained)
            axis.set_ylim(low - 0.05 * (high - low) - 0.01, high + 0.05 * (high - low) + 0.01)
    _parents_level(axis, curves, run)
    if (title in _LOGARITHMIC or title.startswith(_TERM)) and all(
        value > 0 for _, values in curves.values() for value in values
    ):
        axis.set_yscale("log")
    axis.set_title(title)
    axis.set_xlabel("step")
    if len(axis.get_lines()) > 1:
        axis.legend(frameon=False)


def _parents_level(axis: Axes, curves: dict[str, tuple[list[int], list[float]]], run: Run) -> None:
    """What the weights that the run began with scored on the validation images, as a line across."""
    for key, (steps, values) in curves.items():
        if run.recipe.get("init_from") and key.startswith("val_") and steps[0] == 0:
            axis.axhline(values[0], color=_PARENTS_COLOUR, linewidth=1, linestyle=":", label="parent")


def _strip(figure: Any, lr: Path, sr: dict[int, Path], hr: Path) -> None:
    steps = sorted(sr)
    if len(steps) > _MOST_STEPS:
        steps = [steps[round(index * (len(steps) - 1) / (_MOST_STEPS - 1))] for index in range(_MOST_STEPS)]
    columns = [("LR", lr), *((f"step {step}" if step else "parent", sr[step]) for step in steps), ("HR", hr)]
    for axis, (title, path) in zip(figure.subplots(1, len(columns)), columns, strict=True):
        axis.imshow(as_rgb(read_image(path)), interpolation="nearest")
        axis.set_title(title)
        axis.set_axis_off()


def find_layer(network: nn.Module, name: str) -> tuple[str, Tensor]:
    """The convolution kernels of a layer, ``(O, I, h, w)``.

    Args:
        network: where to look.
        name: a layer such as ``body.0``, or its weight, ``body.0.weight``.

    Raises:
        UnknownNameError: no such layer with kernels, with the nearest.
    """
    layers: dict[str, Tensor] = {}
    for key, layer in network.named_modules():
        weight = getattr(layer, "weight", None)
        if weight is not None and weight.ndim == 4:
            # A transposed convolution's weight has inputs and outputs the other way round.
            layers[key] = weight.detach().transpose(0, 1) if getattr(layer, "transposed", False) else weight.detach()
    wanted = name.removesuffix(".weight")
    if wanted not in layers:
        raise UnknownNameError("layer", name, layers, "the network's convolutions")
    return wanted, layers[wanted]


def draw_filters(kernels: Tensor, title: str, path: Path) -> Path:
    """Kernels ``(O, I, h, w)`` in a grid: in colour with 3 inputs, a square of all with 1 input or output, else O × I.

    A layer of 1×1 kernels is one matrix. At most 64 outputs and 64 inputs are shown.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = kernels[:_MOST_FILTERS, :_MOST_FILTERS].float().cpu().numpy()
    outputs, inputs, height, width = kernels.shape
    text = f"{title}: {outputs} × {inputs} kernels of {height}×{width}"
    if shown.shape[:2] != kernels.shape[:2]:
        text += f", the first {shown.shape[0]} × {shown.shape[1]}"
    bound = float(np.abs(shown).max()) or 1.0
    table = inputs not in (1, 3) and outputs > 1
    if inputs == 3:
        tiles = (shown.transpose(0, 2, 3, 1) / bound + 1) / 2
    else:
        tiles = shown.reshape(-1, *shown.shape[2:])
    columns = shown.shape[1] if table else math.ceil(math.sqrt(len(tiles)))
    with rc_context({"font.size": 8}):
        figure = Figure(figsize=(7, 7.4), layout="constrained")
        axis = figure.subplots()
        image = axis.imshow(_mosaic(tiles, columns), cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest")
        if table:
            axis.set_xlabel("input channel")
            axis.set_ylabel("output channel")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_title(text)
        if inputs != 3:
            figure.colorbar(image, shrink=0.6)
        return _write(figure, path)


def _mosaic(tiles: Any, columns: int) -> Any:
    """Tiles ``(N, h, w)`` or ``(N, h, w, 3)`` row by row, with a blank pixel between them unless they are single pixels."""
    count, height, width = tiles.shape[:3]
    gap = 0 if height == width == 1 else 1
    rows = -(-count // columns)
    blank = 1.0 if tiles.ndim == 4 else np.nan
    canvas = np.full((rows * (height + gap), columns * (width + gap), *tiles.shape[3:]), blank, np.float32)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def _write(figure: Figure, path: Path) -> Path:
    with replacing(path) as staging:
        figure.savefig(staging, format="png", dpi=110)
    return path
