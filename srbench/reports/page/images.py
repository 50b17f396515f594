"""Stored SR images of reports/images: which there are, and whether they are still those of the zoo's weights. No torch.

``index.json`` names every image with its file's sha256 and that of the weights that made it; ``making`` writes both.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from srbench.errors import InputError, first_problem
from srbench.files import write_text
from srbench.records import read_json
from srbench.zoo import Card

INDEX = "index.json"
LR, HR = "@lr", "@hr"


@dataclass(frozen=True)
class StoredFile:
    """One image file.

    Attributes:
        file: path below the folder of the index.
        sha256: of its bytes.
        weights: sha256 of the weights that made it; "" for LR, HR and interpolators.
    """

    file: str
    sha256: str
    weights: str = ""

    @property
    def id(self) -> str:
        """Id of its element in the page."""
        return f"image-{self.sha256[:12]}"

    @property
    def media(self) -> str:
        """Its media type."""
        return "image/png" if self.file.endswith(".png") else "image/webp"


@dataclass(frozen=True)
class StoredImage:
    """One image of a set in all its versions.

    Attributes:
        dataset: name of the set.
        scale: upscaling factor.
        image: name of the image.
        size: width and height of HR as the protocol measures it.
        box: x, y, width and height of the crop that is stored, in HR pixels; None for the whole image.
        lossy: what was lost, such as ``WebP at quality 92``; "" for nothing.
        files: by checkpoint, or ``@lr`` and ``@hr``.
    """

    dataset: str
    scale: int
    image: str
    size: tuple[int, int]
    box: tuple[int, int, int, int] | None
    lossy: str
    files: Mapping[str, StoredFile]


@dataclass(frozen=True)
class Embedded:
    """An image file as the page holds it."""

    id: str
    media: str
    base64: str


def read_index(folder: Path) -> list[StoredImage]:
    """All stored images; none where there is no index.

    Raises:
        InputError: an index that cannot be used.
    """
    path = folder / INDEX
    try:
        values = read_json(path, "an index of images")
        return TypeAdapter(list[StoredImage]).validate_python(values["images"])
    except FileNotFoundError:
        return []
    except ValidationError as error:
        raise first_problem(error, str(path)) from None
    except KeyError as error:
        raise InputError(f"{path} is not an index of images: it has no {error}") from None


def write_index(folder: Path, images: Sequence[StoredImage]) -> None:
    """Replace the index; images by set, scale and name."""
    ordered = sorted(images, key=lambda image: (image.dataset, image.scale, image.image))
    text = json.dumps({"images": [asdict(image) for image in ordered]}, indent=1, ensure_ascii=False)
    write_text(folder / INDEX, text + "\n")


def stored_images(folder: Path, cards: Iterable[Card]) -> list[StoredImage]:
    """The images that a page may show: those of weights that the zoo has replaced since are left out."""
    weights = {card.name: card.sha256 for card in cards}
    shown = []
    for image in read_index(folder):
        files = {
            name: file for name, file in image.files.items() if not file.weights or weights.get(name) == file.weights
        }
        shown.append(replace(image, files=files))
    return shown


def embedded(folder: Path, images: Sequence[StoredImage]) -> list[Embedded]:
    """Their files, each once.

    Raises:
        InputError: a file that is not there or is not the one that the index names.
    """
    found: dict[str, Embedded] = {}
    for image in images:
        for name, file in image.files.items():
            if file.id not in found:
                content = _content(folder / file.file, file, name)
                found[file.id] = Embedded(file.id, file.media, base64.b64encode(content).decode("ascii"))
    return list(found.values())


def _content(path: Path, file: StoredFile, name: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} ({name}) is not there: `srbench report --images` makes it again") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise InputError(
            f"{path} has sha256 {digest[:12]}…, the index says {file.sha256[:12]}…: `srbench report --images` makes it again"
        )
    return content
