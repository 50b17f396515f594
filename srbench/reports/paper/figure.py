"""A figure of crops as papers have it: HR with a box, the crops magnified, and each image's scores beneath."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError, nearest
from srbench.files import write_bytes
from srbench.reports.crops import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

U8 = npt.NDArray[np.uint8]

FORMATS = ("pdf", "png", "svg")
_ONE_LINE = 4  # crops that stand in one line; more are shared out among two
_WIDTH = 7.0  # inches, a paper's two columns
_BOX = "#e8362a"
_TITLE = 7.5  # points
_LETTER = 0.6  # of the font size, about the width of a letter
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "srbench",  # ids in the file are else random
    "svg.fonttype": "path",
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 8,
}


@dataclass(frozen=True)
class Crop:
    """One magnified crop.

    Attributes:
        title: whose it is, such as ``EDSR-baseline``.
        pixels: uint8 ``(h, w, 3)``.
        scores: what stands beneath, such as ``24.82 dB / 0.118``; "" for nothing.
    """

    title: str
    pixels: U8
    scores: str = ""


@dataclass(frozen=True)
class CropRow:
    """One image of the figure.

    Attributes:
        name: of the image.
        hr: uint8 ``(H, W, 3)``, shown whole.
        box: of the crops in it, HR pixels.
        crops: in the order shown.
    """

    name: str
    hr: U8
    box: Box
    crops: Sequence[Crop]


def suffix_of(path: Path) -> str:
    """The figure's format by its file's name; raises InputError for one that there is not."""
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        guess = nearest(suffix, FORMATS)
        hint = f"; did you mean .{guess}?" if guess else ""
        raise InputError(f"{path}: a figure is .pdf, .png or .svg, not {path.suffix or 'without suffix'}{hint}")
    return suffix


def draw_crops(rows: Sequence[CropRow], path: Path, dpi: int = 300) -> None:
    """Write the figure; the suffix of ``path`` gives the format, ``dpi`` the density of a PNG.

    Crops are magnified without smoothing: a pixel stays a square.
    """
    import matplotlib as mpl

    kind = suffix_of(path)
    with mpl.rc_context(_STYLE):
        figure = _figure(rows)
        buffer = io.BytesIO()
        stamp = {"pdf": {"CreationDate": None, "Creator": None, "Producer": None}, "svg": {"Date": None}}.get(kind, {})
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=stamp)
    write_bytes(path, buffer.getvalue())


def _figure(rows: Sequence[CropRow]) -> Figure:
    from matplotlib.figure import Figure

    heights = [_height(row) for row in rows]
    figure = Figure(figsize=(_WIDTH, sum(heights)), facecolor="white")
    parts = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)
    for part, row in zip(parts[:, 0], rows, strict=True):
        _draw_row(part, row)
    return figure


def _lines(row: CropRow) -> tuple[int, int]:
    """Lines and columns of the crops."""
    lines = 1 if len(row.crops) <= _ONE_LINE else 2
    return lines, max(1, math.ceil(len(row.crops) / lines))


_CAPTION = 0.34  # inches beneath a crop
_GAP = 0.07


def _places(row: CropRow) -> tuple[float, float, float, float]:
    """Inches: width and height of a crop, and of the whole image beside them, both rows of the same height."""
    lines, columns = _lines(row)
    shape = row.box[3] / row.box[2]
    image = row.hr.shape[1] / row.hr.shape[0]
    # w: width of a crop. Whole image as high as the crops: columns·w + image·(lines·(w·shape + caption)) + gaps = width.
    free = _WIDTH - (columns + 2) * _GAP - image * (lines * (_CAPTION + _GAP) - _CAPTION - _GAP)
    w = max(0.5, free / (columns + image * lines * shape))
    height = lines * w * shape + (lines - 1) * (_CAPTION + _GAP)
    return w, w * shape, height * image, height


def _height(row: CropRow) -> float:
    return _places(row)[3] + _CAPTION + 2 * _GAP


def _draw_row(part: SubFigure, row: CropRow) -> None:
    from matplotlib.patches import Rectangle

    w, h, whole_w, whole_h = _places(row)
    total = _height(row)
    _, columns = _lines(row)

    def axes(left: float, top: float, width: float, height: float) -> Axes:
        place = (left / _WIDTH, 1 - (top + height) / total, width / _WIDTH, height / total)
        made: Axes = part.add_axes(place)
        made.set_xticks([])
        made.set_yticks([])
        for spine in made.spines.values():
            spine.set_linewidth(0.4)
        return made

    whole = axes(_GAP, _GAP, whole_w, whole_h)
    whole.imshow(row.hr, aspect="auto", interpolation="lanczos")
    x, y, width, height = row.box
    whole.add_patch(Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor=_BOX, linewidth=1.2))
    _caption(whole, row.name, "")
    for i, crop in enumerate(row.crops):
        line, column = divmod(i, columns)
        left = 2 * _GAP + whole_w + column * (w + _GAP)
        one = axes(left, _GAP + line * (h + _CAPTION + _GAP), w, h)
        one.imshow(crop.pixels, aspect="auto", interpolation="nearest")
        _caption(one, crop.title, crop.scores)


def _caption(axes: Axes, title: str, scores: str) -> None:
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "top"}
    points = 72 * axes.get_window_extent().width / axes.figure.dpi
    size = min(_TITLE, points / (_LETTER * max(1, len(title))))  # a long name is written small, not into its neighbour
    axes.annotate(title, (0.5, 0), xytext=(0, -3), fontsize=size, **place)
    if scores:
        axes.annotate(scores, (0.5, 0), xytext=(0, -13), fontsize=6.8, color="0.3", **place)
