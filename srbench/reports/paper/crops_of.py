"""From what was asked of ``srbench figure`` to the rows of the figure: crops, names for people, scores of the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError, UnknownNameError
from srbench.reports.crops import Box, Versions, cut, read_crop, telling_crop
from srbench.reports.paper.figure import Crop, CropRow
from srbench.reports.tables.entrants import distinct_names
from srbench.reports.tables.rows import MetricInfo, Row, Table
from srbench.reports.units import number

U8 = npt.NDArray[np.uint8]

_SHARE = 6  # of the image's shorter side that an automatic crop is high
_SHAPE = 4 / 3


@dataclass(frozen=True)
class Asked:
    """What a figure is to show.

    Attributes:
        dataset: name.
        images: names.
        models: as typed.
        crops: one for all images, or one each; ``auto`` or ``x,y,w,h``.
        scale: upscaling factor.
        metrics: of the scores beneath; PSNR and LPIPS, where they were measured, if there is none.
    """

    dataset: str
    images: Sequence[str]
    models: Sequence[str]
    crops: Sequence[str] = ("auto",)
    scale: int = 4
    metrics: Sequence[str] = ()

    def check(self) -> None:
        """Raise InputError for what cannot be drawn, before anything is upscaled."""
        if not self.models or not self.images:
            raise InputError(f"--{'models' if not self.models else 'image'}: expected at least one name")
        if len(self.crops) not in (1, len(self.images)):
            raise InputError(f"{len(self.crops)} crops for {len(self.images)} images: give one for all, or one each")

    def crop_of(self, place: int) -> str:
        """What was typed for the image at a place."""
        return self.crops[place if len(self.crops) > 1 else 0]


def crop_rows(
    asked: Asked, made: Iterable[Versions], tables: Sequence[Table] | None = None
) -> tuple[list[CropRow], list[str]]:
    """The rows of the figure, and remarks on scores that no record has.

    Args:
        asked: what to show.
        made: the images of ``asked``, upscaled, in its order.
        tables: with the scores; of the records in results/ by default.

    Raises:
        InputError: a crop outside its image.
        UnknownNameError: a metric that no record has.
    """
    table = _table(asked, tables)
    infos = _infos(asked, table)
    rows, remarks = [], []
    for place, image in enumerate(made):
        height, width = image.hr.shape[:2]
        box = read_crop(asked.crop_of(place), width, height, image.image) or _auto(image, asked.scale)
        crops = [Crop("HR", cut(image.hr, box)), Crop("LR", cut(image.lr, box, asked.scale))]
        found = {name: _row(table, name) for name in image.sr}
        titles = _titles(found)
        for name, sr in image.sr.items():
            row = found[name]
            scores = _scores(table, row, image.image, infos)
            if infos and not scores:
                remarks.append(
                    f"no record of {name} on {image.image}: srbench eval {name} --datasets {asked.dataset} --scale {asked.scale}"
                )
            crops.append(Crop(titles[name], cut(sr, box), scores))
        rows.append(CropRow(f"{image.image}, {asked.dataset} ×{asked.scale}", image.hr, box, crops))
    return rows, remarks


def _titles(found: Mapping[str, Row | None]) -> dict[str, str]:
    """A name for people of each that was asked for, with the recipe where two would else have the same."""
    known = {name: row.who for name, row in found.items() if row}
    titles = dict(zip(known, distinct_names(list(known.values())), strict=True))
    return {name: titles.get(name, name) for name in found}


def _auto(image: Versions, scale: int) -> Box:
    height = max(scale * 4, min(image.hr.shape[:2]) // _SHARE)
    return telling_crop([*image.sr.values(), image.hr], (round(height * _SHAPE), height), scale)


def _table(asked: Asked, tables: Sequence[Table] | None) -> Table | None:
    if tables is None:
        from srbench.reports.files import read_all_tables

        tables = read_all_tables()
    fitting = [t for t in tables if (t.dataset, t.scale, t.protocol_name) == (asked.dataset, asked.scale, "standard")]
    return fitting[0] if fitting else None


def _infos(asked: Asked, table: Table | None) -> list[MetricInfo]:
    if table is None:
        return []
    if not asked.metrics:
        return [info for name in ("psnr", "lpips") if (info := table.metric(name))]
    found = []
    for name in asked.metrics:
        info = table.metric(name)
        if info is None:
            raise UnknownNameError("metric", name, [i.name for i in table.metrics], f"the records of {table.title}")
        found.append(info)
    return found


def _row(table: Table | None, name: str) -> Row | None:
    """The row of a checkpoint, or the best of a model's checkpoints."""
    if table is None:
        return None
    return table.row(name) or next((row for row in table.rows if row.who.model == name and not row.who.variant), None)


def _scores(table: Table | None, row: Row | None, image: str, infos: Sequence[MetricInfo]) -> str:
    if table is None or row is None or image not in table.images:
        return ""
    place = table.images.index(image)
    parts = []
    for info in infos:
        values = row.scores[info.name].values
        text = number(values[place], info.digits) if values else "–"
        parts.append(f"{text} {info.unit}".strip())
    return " / ".join(parts)
