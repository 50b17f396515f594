"""Printed figures against authors' weights: does this harness give what the papers print, to the second decimal?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from srbench.datasets.local import find_dataset
from srbench.errors import SrbenchError, UnavailableError
from srbench.evaluation.quality import Samples, measure_cell
from srbench.protocol import get_protocol
from srbench.published import Figure, PublishedCard, list_published, local_file
from srbench.subjects import Subject
from srbench.subjects.published import subject_of_card

PSNR_TOLERANCE = 0.01
SSIM_TOLERANCE = 0.0002
_ROUNDING = 5e-7  # a figure is compared as printed; this is for the last bits of the measured one
SETS = ("set5", "set14")
_OTHERS = {"y": ("classic", "vdsr", "idn", "standard"), "rgb": ("standard", "carn", "bsrn", "lapsrn", "rgb")}


@dataclass(frozen=True)
class Row:
    """One data set at one scale of one file of authors' weights.

    Attributes:
        checkpoint: the card's name.
        dataset: of the catalog; empty where the file could not be measured at all.
        scale: the enlargement; 0 likewise.
        published: PSNR and SSIM as printed; none where nothing is printed.
        measured: PSNR and SSIM under the protocol.
        protocol: the protocol that gives the printed figure; the card's where none does.
        ok: None where there is nothing to compare, or where a reason is given.
        reason: why there is no comparison, or why the weights do not give the figure.
    """

    checkpoint: str
    dataset: str = ""
    scale: int = 0
    published: tuple[float | None, float | None] = (None, None)
    measured: tuple[float | None, float | None] = (None, None)
    protocol: str = ""
    ok: bool | None = None
    reason: str = ""


def rows(folder: str | Path | None = None, data_root: str | None = None, names: tuple[str, ...] = ()) -> Iterator[Row]:
    """Measure every file of authors' weights that is at hand.

    Args:
        folder: of the files, under whatever names; the download cache and ``SRBENCH_CHECKPOINTS`` without it.
        data_root: folder of the datasets.
        names: only these cards.

    Yields:
        a row for each printed figure, as it is measured; of files without figures one for each set.
    """
    for card in list_published():
        if names and card.name not in names:
            continue
        path = local_file(card, folder)
        if path is None:
            yield Row(card.name, reason=f"not here: srbench zoo get {card.name}")
            continue
        try:
            subject = subject_of_card(card, path)
        except SrbenchError as error:
            yield Row(card.name, reason=card.notes or str(error))
            continue
        yield from _of_card(card, subject, data_root)


def _of_card(card: PublishedCard, subject: Subject, data_root: str | None) -> Iterator[Row]:
    for scale in card.scales:
        for name in SETS:
            figures = [f for f in card.figures if (f.dataset, f.scale) == (name, scale)]
            try:
                if figures:
                    for figure in figures:
                        yield _compared(card, subject, figure, data_root)
                else:
                    word = "classic" if card.channels == "y" else "standard"
                    measured = _measure(subject, name, scale, word, data_root)
                    yield Row(card.name, name, scale, measured=measured, protocol=word, reason=card.notes)
            except UnavailableError as error:
                yield Row(card.name, name, scale, reason=f"{error.status}: {error.reason}")


def _compared(card: PublishedCard, subject: Subject, figure: Figure, data_root: str | None) -> Row:
    """Under the card's protocol; where that does not give the figure, the first of the others that does is named."""
    words = dict.fromkeys((figure.protocol, *(_OTHERS[card.channels] if not figure.reason else ())))
    first: tuple[float, float] | None = None
    for word in words:
        measured = _measure(subject, figure.dataset, figure.scale, word, data_root)
        first = first or measured
        if _fits(figure, measured):
            return Row(card.name, figure.dataset, figure.scale, (figure.psnr, figure.ssim), measured, word, ok=True)
    assert first is not None
    return Row(
        card.name, figure.dataset, figure.scale, (figure.psnr, figure.ssim), first, figure.protocol,
        ok=None if figure.reason else False, reason=figure.reason or "no protocol gives the printed figure",
    )  # fmt: skip


def _measure(subject: Subject, dataset: str, scale: int, protocol: str, data_root: str | None) -> tuple[float, float]:
    images = find_dataset(dataset, data_root)
    images.check()
    result = measure_cell(subject, Samples(images, scale, get_protocol(protocol)), ["psnr", "ssim"])
    if not result.ok:
        raise UnavailableError(result.status, result.reason)
    return result.mean("psnr"), result.mean("ssim")


def _fits(figure: Figure, measured: tuple[float, float]) -> bool:
    psnr = abs(measured[0] - figure.psnr) <= PSNR_TOLERANCE + _ROUNDING
    return psnr and (figure.ssim is None or abs(measured[1] - figure.ssim) <= SSIM_TOLERANCE + _ROUNDING)
