"""zoo/published/: one card for each file of authors' weights, with the figures that its paper prints. The weights stay theirs.

A card belongs to the bytes with its sha256 and to nothing else: weights of the same architecture from elsewhere are not the
paper's. It says what the file itself does not: the range, the scales that one file serves, how the figures were measured.
``fetch`` downloads a file from where its authors put it, at a fixed commit, and verifies it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from srbench.errors import InputError, UnknownNameError, first_problem
from srbench.files import listed, replacing, sha256
from srbench.home import home
from srbench.records import read_toml

FOLDER = "SRBENCH_CHECKPOINTS"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Strict):
    """One printed row: PSNR and SSIM of one data set at one scale.

    Attributes:
        dataset: of the catalog.
        scale: the enlargement.
        psnr: in dB, as printed.
        ssim: as printed; none where the source has none.
        protocol: under which the weights give it.
        source: the paper and its table first; then where it was read, if that was elsewhere.
        reason: why these weights do not give it; empty where they do.
    """

    dataset: str
    scale: int = Field(ge=1)
    psnr: float
    ssim: float | None = None
    protocol: str = "standard"
    source: str
    reason: str = ""


class PublishedCard(_Strict):
    """What is known of one file of authors' weights.

    Attributes:
        name: such as ``imdn_x3.authors``.
        display: the network's name for people.
        model: our architecture; empty where srbench has none.
        scales: what the file serves.
        channels: ``y`` or ``rgb``.
        range: what white is for the network.
        options: of our architecture, where shapes do not say them.
        paper: title, year and address in one line.
        training: the data, as the source says it.
        licence: of the repository; ``none stated`` where it has none.
        repo: on GitHub.
        commit: of the file.
        path: in the repository.
        bytes: of the file.
        sha256: of the file.
        figures: what was printed.
        notes: what a user should know, such as why there is no figure.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+_x\d+(x\d+)*\.[a-z0-9-]+$")
    display: str
    model: str = ""
    scales: tuple[int, ...] = Field(min_length=1)
    channels: Literal["y", "rgb"]
    range: Literal[1, 255] = 1
    options: dict[str, str | int | float | bool] = {}
    paper: str
    training: str = ""
    licence: str
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    path: str
    bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    figures: tuple[Figure, ...] = ()
    notes: str = ""

    @property
    def url(self) -> str:
        """Where the file lies on the open net."""
        from urllib.parse import quote

        return f"https://raw.githubusercontent.com/{self.repo}/{self.commit}/{quote(self.path)}"

    @property
    def file(self) -> str:
        """The file's own name."""
        return Path(self.path).name

    def figure(self, dataset: str, scale: int, protocol: str) -> Figure | None:
        """The printed row for a data set, a scale and a protocol's name or id; None where there is none."""
        word = protocol.partition(".")[0]
        found = (f for f in self.figures if (f.dataset, f.scale, f.protocol) == (dataset, scale, word))
        return next(found, None)


def _folders() -> list[Path]:
    """The working zoo first, then the source checkout's."""
    checkout = Path(__file__).resolve().parent.parent
    return list(dict.fromkeys([home() / "zoo" / "published", checkout / "zoo" / "published"]))


def list_published() -> list[PublishedCard]:
    """Every card, by name; raises InputError that names a broken one."""
    found: dict[str, PublishedCard] = {}
    for folder in _folders():
        for path in listed(folder, "*.toml"):
            found.setdefault(path.stem, _read(path, path.stat().st_mtime_ns))
    return [found[name] for name in sorted(found)]


@functools.lru_cache(maxsize=256)
def _read(path: Path, changed: int) -> PublishedCard:  # noqa: ARG001
    try:
        card = PublishedCard.model_validate(read_toml(path, "a card of published weights"))
    except ValidationError as error:
        raise first_problem(error, str(path), PublishedCard) from None
    if card.name != path.stem:
        raise InputError(f"{path} holds the card of {card.name}, which belongs in {card.name}.toml")
    return card


def published_card(sha256: str) -> PublishedCard | None:
    """The card of the file with this sha256: the one way to know that weights are a paper's own.

    Args:
        sha256: of the whole file, in hexadecimal.

    >>> published_card("0" * 64) is None
    True
    """
    return next((card for card in list_published() if card.sha256 == sha256), None)


def find_published(name: str) -> PublishedCard:
    """The card called ``name``; raises UnknownNameError with the nearest name."""
    cards = {card.name: card for card in list_published()}
    if name not in cards:
        raise UnknownNameError("published checkpoint", name, cards, "zoo/published")
    return cards[name]


def local_file(card: PublishedCard, folder: Path | str | None = None) -> Path | None:
    """The card's file where it lies already, verified by its sha256; None where it does not.

    Args:
        card: of published weights.
        folder: to look in first, also under other names; then ``SRBENCH_CHECKPOINTS``, then the download cache.
    """
    for path in _candidates(card, folder):
        if path.is_file() and path.stat().st_size == card.bytes and sha256(path) == card.sha256:
            return path
    return None


def _candidates(card: PublishedCard, folder: Path | str | None) -> Iterator[Path]:
    named = [folder, os.environ.get(FOLDER)]
    for top in (Path(item).expanduser() for item in named if item):
        if not top.is_dir():
            raise InputError(f"{top} is no folder of checkpoints")
        yield top / card.file
        yield from (path for path in listed(top, "*") if path.is_file())
    yield _cached(card)


def _cached(card: PublishedCard) -> Path:
    from srbench.datasets.hashes import cache_root

    return cache_root() / "published" / card.name / card.file


def fetch(name: str, progress: bool = False) -> Path:
    """The file of a published checkpoint: where it lies already, else downloaded and verified.

    Args:
        name: such as ``imdn_x3.authors``.
        progress: draw a bar on standard error.

    Raises:
        UnknownNameError: no such card.
        UnavailableError: its source does not answer.
        InputError: what came is not the file.
    """
    from srbench.download import download, progress_bar

    card = find_published(name)
    if (found := local_file(card)) is not None:
        return found
    target = _cached(card)
    with replacing(target) as staging, progress_bar(card.name, card.bytes, progress) as advance:
        download(card.url, staging, card.bytes, card.sha256, advance)
    return target
