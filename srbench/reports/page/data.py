"""What the page shows, as one compact JSON text: typed rows in, short keys out. The JavaScript in app/data.js reads it.

Means and intervals keep the digits that are shown and two more; per-image scores are whole numbers, each image's median
taken off, and where there are very many they are packed as 16-bit values and the whole text is compressed.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from srbench.facts import model_facts
from srbench.reports.page.images import StoredImage
from srbench.reports.page.training_command import training_command
from srbench.reports.tables.published import is_published_form, published_figure
from srbench.reports.tables.rows import Entrant, Row, Score, Speed, Table
from srbench.reports.view import describe
from srbench.stats import least_p
from srbench.zoo import NOT_STATED, Card, Imported

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

OPENING_SETS = ("set5", "set14")
OPENING_SCALE = 4
OPENING_PROTOCOL = "standard"
PLAIN_SCORES = 300_000
"""Up to so many per-image scores the page holds readable JSON, which version control can compare; beyond, it is packed."""

_TITLES = {"set5": "Set5", "set14": "Set14", "bsd100": "BSD100", "urban100": "Urban100", "manga109": "Manga109"}
_NONE, _INFINITE = -32768, 32767
_CURVE_POINTS = 60

COMMANDS = {
    "reproduce": (
        "measure it anew and compare with the record",
        "srbench reproduce {name} --scale {scale} --protocol {protocol}",
    ),
    "measure": (
        "measure it and store the result",
        "srbench eval {name} --datasets {sets} --scale {scale} --protocol {protocol} --overwrite",
    ),
    "time": ("time it", "srbench speed {name} --scale {scale}"),
    "train": ("train another like it", "{train}"),
}


@dataclass(frozen=True)
class PageData:
    """Text of the page's data: JSON, or base64 of gzip where ``packed``."""

    text: str
    packed: bool


def page_data(tables: Sequence[Table], cards: Sequence[Card] = (), images: Sequence[StoredImage] = ()) -> PageData:
    """The page's data.

    Args:
        tables: of ``build_tables``, in the order that selectors show.
        cards: of the zoo.
        images: stored images, see ``images.stored_images``.
    """
    book = _Book()
    for row in (row for table in tables for row in table.rows):  # what was measured says more than what is absent
        book.entrant(row.who)
    parts = [_table(table, book) for table in tables]
    packed = sum(scores.size for _, matrices in parts for scores in matrices.values()) > PLAIN_SCORES
    blob = _Blob()
    shown: list[Json] = []
    for table, (cells, matrices) in zip(tables, parts, strict=True):
        digits = {info.name: info.digits for info in table.metrics}
        into = blob if packed else None
        shown.append(cells | {"scores": {m: _scores(values, digits[m], into) for m, values in matrices.items()}})
    whole: dict[str, Json] = {
        "opening": _opening(tables),
        "metrics": _metrics(tables),
        "protocols": {t.protocol: {"name": t.protocol_name, "words": describe(t.protocol_fields)} for t in tables},
        "datasets": {name: {"title": _TITLES.get(name, name)} for name in _datasets(tables)},
        "tables": shown,
        "entrants": book.entrants,
        "sources": book.sources,
        "origins": book.origins,
        "devices": [{"id": name, "title": text} for name, text in book.devices.items()],
        "speed": book.speed,
        "cards": {card.name: _card(card) for card in cards if card.name in book.checkpoints},
        "commands": {key: {"title": title, "line": line} for key, (title, line) in COMMANDS.items()},
        "images": [_image(image) for image in images],
        "imageProtocol": _protocol_of_images(tables),
    }
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if not packed:
        return PageData(text, packed=False)
    head = text.encode("utf-8")
    data = struct.pack("<I", len(head)) + head + blob.bytes()
    return PageData(base64.b64encode(gzip.compress(data, 6, mtime=0)).decode("ascii"), packed=True)


@dataclass
class _Book:
    """What many rows share, each thing once: rows refer to it by its place."""

    entrants: list[Json] = field(default_factory=list)
    sources: list[Json] = field(default_factory=list)
    origins: list[Json] = field(default_factory=list)
    devices: dict[str, str] = field(default_factory=dict)
    speed: dict[str, dict[str, Json]] = field(default_factory=dict)
    checkpoints: set[str] = field(default_factory=set)
    _places: dict[tuple[str, object], int] = field(default_factory=dict)

    def source(self, text: str) -> int:
        """Place of a source's text."""
        return self._place("source", text, self.sources, text)

    def origin(self, facts: tuple[tuple[str, str], ...]) -> int:
        """Place of what many records have in common."""
        return self._place("origin", facts, self.origins, [list(pair) for pair in facts])

    def entrant(self, who: Entrant) -> int:
        """Place of an entrant."""
        self.checkpoints.add(who.checkpoint)
        return self._place("entrant", who.key, self.entrants, _entrant(who) if self._new("entrant", who.key) else None)

    def _new(self, kind: str, key: object) -> bool:
        return (kind, key) not in self._places

    def _place(self, kind: str, key: object, values: list[Json], value: Json) -> int:
        if self._new(kind, key):
            self._places[kind, key] = len(values)
            values.append(value)
        return self._places[kind, key]

    def time(self, entrant: int, scale: int, speeds: Mapping[str, Speed]) -> None:
        """Times of an entrant on every device."""
        for device, speed in speeds.items():
            self.devices.setdefault(device, speed.device_text or device)
            self.speed.setdefault(device, {})[f"{entrant}@{scale}"] = _speed(speed)


class _Blob:
    """Packed scores: 16-bit values, in the file all high bytes before all low ones, which compresses better."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int16]] = []
        self._size = 0

    def add(self, values: NDArray[np.int16]) -> int:
        """Append a matrix row by row; returns where it begins."""
        at = self._size
        self._parts.append(values.ravel())
        self._size += values.size
        return at

    def bytes(self) -> bytes:
        """All of it."""
        whole = np.concatenate(self._parts).astype(">i2").view(np.uint8).reshape(-1, 2)
        return whole[:, 0].tobytes() + whole[:, 1].tobytes()


def _table(table: Table, book: _Book) -> tuple[dict[str, Json], dict[str, NDArray[np.float64]]]:
    """A table without its per-image scores, and those: ``(rows, images)`` a metric, NaN where a row has none."""
    names = [info.name for info in table.metrics]
    matrices = {m: np.full((len(table.rows), len(table.images)), np.nan) for m in names if table.images}
    for i, row in enumerate(table.rows):
        for m in matrices:
            values = row.scores[m].values if m in row.scores else ()
            if values:
                matrices[m][i] = values
    shown: dict[str, Json] = {
        "dataset": table.dataset,
        "scale": table.scale,
        "protocol": table.protocol,
        "images": list(table.images),
        "metrics": list(names),
        "separable": table.separable,
        "least": least_p(max(1, len(table.images))),
        "rows": [_row(table, row, book) for row in table.rows],
        "absent": [[entry.status, entry.reason, book.entrant(entry.who)] for entry in table.absent],
        "published": [
            [row.who.display, {m: [f.value, book.source(f.note)] for m, f in row.figures.items()}]
            for row in table.published
        ],
    }
    return shown, matrices


def _row(table: Table, row: Row, book: _Book) -> dict[str, Json]:
    entrant = book.entrant(row.who)
    book.time(entrant, table.scale, row.speeds)
    rank = row.rank
    p = row.provenance
    origin = tuple(
        (name, text)
        for name, text in (
            ("device", p.device), ("machine", p.gpu or p.machine), ("threads", p.threads), ("srbench", p.srbench),
            ("commit", p.commit), ("torch", p.torch), ("python", p.python), ("data sha256", p.data_sha256),
        )
        if text
    )  # fmt: skip
    shown: dict[str, Json] = {
        "e": entrant,
        "r": [rank.place, rank.low, rank.high, _short(rank.first, 3), _short(rank.p, 5)] if rank else None,
        "m": {info.name: _score(table, row, info.name, info.digits, book) for info in table.metrics},
        "p": [p.record, p.created, book.origin(origin)],
    }
    return shown | ({"n": list(row.notes)} if row.notes else {})


def _score(table: Table, row: Row, metric: str, digits: int, book: _Book) -> Json:
    """``[mean, low, high, published, source, other protocol]`` without empty ends, or why there is none."""
    score = row.scores.get(metric) or Score(status="not_measured", reason=f"{metric} was not asked for")
    if score.mean is None:
        return f"{score.status}, {score.reason}"
    low, high = score.interval or (None, None)
    found: list[Json] = [_short(score.mean, digits + 2), _short(low, digits + 1), _short(high, digits + 1)]
    if score.published is not None:
        found += [score.published.value, book.source(score.published.note)]
    elif not row.who.own and row.who.kind == "network" and not row.who.variant:
        other = published_figure(row.who.model, table.scale, table.dataset, metric)
        if other is not None and is_published_form(row.who.options):
            found += [other[0].value, book.source(other[0].note), other[1]]
    while found and found[-1] is None:
        found.pop()
    return found


def _scores(values: NDArray[np.float64], digits: int, blob: _Blob | None) -> Json:
    """Per-image scores as whole numbers of ``1 / unit``, less each image's median.

    Plain ones have four digits more than are shown: with fewer, small differences become ties, and the paired test another one.
    """
    finite = np.isfinite(values)
    some = finite.any(axis=0)
    middle = np.zeros(values.shape[1])
    middle[some] = np.nanmedian(np.where(finite, values, np.nan)[:, some], axis=0)
    power = digits + (4 if blob is None else 1)
    if blob is not None:
        furthest = np.abs(np.where(finite, values - middle, 0.0)).max(initial=0.0)
        while power > 0 and furthest * 10**power > _INFINITE - 1:
            power -= 1
    base = np.rint(middle * 10**power)
    whole = np.rint(np.where(finite, values, 0.0) * 10**power) - base
    found: dict[str, Json] = {"unit": 10**power, "base": [int(v) for v in base]}
    if blob is None:
        return found | {
            "rows": [[_plain(*one) for one in zip(*line, strict=True)] for line in zip(values, whole, strict=True)]
        }
    whole = np.where(values == np.inf, _INFINITE, np.where(finite, whole, _NONE))
    return found | {"at": blob.add(whole.astype(np.int16))}


def _plain(value: float, whole: float) -> Json:
    return "inf" if value == math.inf else None if math.isnan(value) else int(whole)


def _entrant(who: Entrant) -> Json:
    facts = model_facts(who.model)
    found: dict[str, Json] = {
        "name": who.name,
        "model": who.checkpoint if who.own else who.model,
        "title": who.display,
        "kind": who.kind,
        "marks": list(who.marks),
        "recipe": who.recipe,
        "seed": who.seed,
        "family": f"{who.family or who.checkpoint}+{who.variant}",
        "parameters": who.parameters,
        "minutes": _short(who.minutes, 2),
        "data": list(who.trained_on),
        "adversarial": who.adversarial,
        "own": who.own,
        "sha": who.weights_sha256[:16],
        "paper": who.paper,
        "paperTitle": facts.title,
        "year": who.year,
    }
    return {key: value for key, value in found.items() if (value != "" and value is not False) or key == "recipe"}


def _speed(speed: Speed) -> Json:
    found: dict[str, Json] = {
        "ms": _three(speed.latency_ms), "p10": _three(speed.p10_ms), "p90": _three(speed.p90_ms), "n": speed.n,
        "mb": _three(speed.memory_mb), "ips": _three(speed.images_per_s), "madds": speed.mult_adds,
        "paper": speed.paper_mult_adds, "doubts": list(speed.doubts),
    }  # fmt: skip
    return {key: value for key, value in found.items() if value not in (None, [])}


def _training_facts(card: Card) -> list[tuple[str, object]]:
    config = card.config
    return [
        ("checkpoint", card.name),
        ("parameters", f"{card.parameters:,}"),
        ("trained on", " + ".join(card.data)),
        ("steps", f"{card.steps:,}"),
        ("batch × patch", f"{config['batch']} × {config['patch']}²" if {"batch", "patch"} <= set(config) else ""),
        ("loss", ", ".join(config["loss"]) if isinstance(config.get("loss"), Mapping) else config.get("loss", "")),
        ("optimiser", config.get("optimiser", config.get("optimizer", ""))),
        ("seed", card.seed),
        ("wall time", f"{card.wall_time_s / 60:.1f} min on {card.hardware}"),
        ("precision", f"{card.precision}, stored as {card.weights}"),
        ("starts from", card.init_from or ""),
        ("commit", card.commit),
        ("created", card.created),
        ("sha256", card.sha256),
    ]


def _imported_facts(card: Card, source: Imported) -> list[tuple[str, object]]:
    return [
        ("checkpoint", card.name),
        ("parameters", f"{card.parameters:,}"),
        ("imported from", f"{source.file} (sha256 {source.sha256})"),
        ("address", source.url),
        ("citation", source.citation),
        ("licence", source.licence or NOT_STATED),
        ("trained on", source.trained_on or NOT_STATED),
        ("trained by", source.recipe or NOT_STATED),
        ("created", card.created),
        ("sha256", card.sha256),
    ]


def _card(card: Card) -> Json:
    facts = _imported_facts(card, card.imported) if card.imported else _training_facts(card)
    points = [
        (_short(point["seconds"] / 60, 2), _short(point["val_psnr"], 3))
        for point in card.curve
        if {"seconds", "val_psnr"} <= set(point)
    ]
    step = max(1, math.ceil(len(points) / _CURVE_POINTS))
    kept = points[::-step][::-1]
    return {
        "facts": [[name, str(value)] for name, value in facts if str(value)],
        "curve": [list(point) for point in kept],
        "notes": card.notes,
        "train": "" if card.imported else training_command(card),
    }


def _image(image: StoredImage) -> Json:
    return {
        "dataset": image.dataset,
        "scale": image.scale,
        "image": image.image,
        "size": list(image.size),
        "box": list(image.box) if image.box else None,
        "lossy": image.lossy,
        "files": {name: file.id for name, file in image.files.items()},
    }


def _opening(tables: Sequence[Table]) -> Json:
    """The first view: Set5 and Set14 ×4 ``standard`` where they are, else the first table that has numbers."""
    fitting = [t for t in tables if t.scale == OPENING_SCALE and t.protocol_name == OPENING_PROTOCOL and t.rows]
    wanted = (
        [t for t in fitting if t.dataset in OPENING_SETS]
        or fitting[:1]
        or [t for t in tables if t.rows][:1]
        or list(tables[:1])
    )
    order = {name: i for i, name in enumerate(OPENING_SETS)}
    wanted.sort(key=lambda t: order.get(t.dataset, 99))
    one = wanted[0] if wanted else None
    timed = sum(bool(row.speeds) for row in one.rows if row.who.kind == "network") if one else 0
    many = one is not None and 2 * timed >= sum(row.who.kind == "network" for row in one.rows)
    device = next((t.device for t in tables if t.device), "")
    return {
        "d": [t.dataset for t in wanted], "s": one.scale if one else OPENING_SCALE, "p": one.protocol if one else "",
        "dev": device, "all": False, "cols": [], "q": "", "fp": None, "fms": None, "fmb": None, "fdb": None, "par": False,
        "sort": "", "sel": [], "x": "ms" if device and many else "params", "y": one.primary.name if one and one.primary else "",
        "pd": "lpips", "on": "", "bars": "paired", "img": "", "m": [], "mode": "side", "a": "", "b": "", "map": "", "z": "",
        "w": 50, "pm": "", "pa": "", "pb": "", "open": "", "t": "",
    }  # fmt: skip


def _metrics(tables: Iterable[Table]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for table in tables:
        for info in table.metrics:
            found.setdefault(
                info.name,
                {"title": info.display, "unit": info.unit, "higher": info.higher_is_better, "digits": info.digits},
            )
    return found


def _datasets(tables: Iterable[Table]) -> list[str]:
    """Set5, Set14, then what else there is by name."""
    names = sorted({table.dataset for table in tables})
    return sorted(names, key=lambda name: (list(_TITLES).index(name) if name in _TITLES else 99, name))


def _protocol_of_images(tables: Sequence[Table]) -> str:
    found = [t.protocol for t in tables if t.protocol_name == OPENING_PROTOCOL]
    return found[0] if found else tables[0].protocol if tables else ""


def _short(value: float | None, digits: int) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    return "inf" if math.isinf(value) else round(value, digits)


def _three(value: float | None) -> float | None:
    """Four digits that count."""
    return None if value is None else float(f"{value:.4g}")
