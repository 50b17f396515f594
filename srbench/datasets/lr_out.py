"""LR images of a protocol as files, for programs that are no part of srbench: they upscale them, and ``score`` measures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srbench.datasets.image_set import ImageSet
from srbench.datasets.pairs import load_sample
from srbench.datasets.pixels import sha256_of_array
from srbench.errors import InputError
from srbench.files import write_text
from srbench.images import read_image, write_image
from srbench.protocol import Protocol
from srbench.provenance import versions
from srbench.records import parse, read_json

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a folder of LR images was made by.

    Attributes:
        dataset: the set's name.
        scale: the enlargement.
        protocol: whose LR it is.
        images: file name → sha256 of its pixels.
    """

    dataset: str
    scale: int
    protocol: Protocol
    images: dict[str, str]


def write_lr(
    images: ImageSet,
    scale: int,
    protocol: Protocol,
    out: Path,
    *,
    with_hr: bool = False,
    on_image: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write the LR images that a protocol means as PNG into ``out/<dataset>_x<scale>``, with a manifest.

    Args:
        images: the set.
        scale: the enlargement.
        protocol: says how LR is made.
        out: the folder to write into.
        with_hr: also write HR as the protocol crops it, into ``out/<dataset>_x<scale>_HR``.
        on_image: called with each image's name when it is written.

    Returns:
        the folder of LR images.

    Raises:
        InputError: LR of the protocol is not rounded, so that no file can hold it; an image that cannot be used; LR that was made
            in another way lies there.
        UnavailableError: the degradation lacks the scale, or has LR files alone.
    """
    if protocol.lr != "uint8":
        raise InputError(
            f"protocol {protocol.id} has unrounded LR, which no 8-bit file can hold; standard has 8-bit LR"
        )
    folder = out / f"{images.name}_x{scale}"
    _refuse_another(folder, protocol)
    listed: dict[str, dict[str, Any]] = {}
    for path in images.paths:
        sample = load_sample(images, path, scale, protocol)
        name = f"{sample.name}.png"
        write_image(folder / name, sample.lr)
        if with_hr:
            write_image(folder.with_name(f"{folder.name}_HR") / name, sample.hr)
        listed[name] = {
            "pixels_sha256": sha256_of_array(sample.lr),
            "hr_pixels_sha256": sha256_of_array(sample.hr),
            "size": [sample.lr.shape[1], sample.lr.shape[0]],
        }
        on_image(sample.name)
    manifest = {
        "kind": "lr",
        "dataset": images.name,
        "scale": scale,
        "protocol": protocol.id,
        "protocol_fields": protocol.model_dump(mode="json"),
        "versions": versions(),
        "images": listed,
    }
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return folder


def _refuse_another(folder: Path, protocol: Protocol) -> None:
    """Another program's SR would be of the LR that lay there before, and its manifest of what lies there now."""
    found = read_manifest(folder)
    if found is not None and found.protocol != protocol:
        raise InputError(
            f"{folder} holds LR of {found.protocol.id}, not of {protocol.id}; expected another folder, or that one removed"
        )


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder of LR images; None where it has none.

    Raises:
        InputError: a manifest that cannot be read, or of a protocol that this version does not know.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    found = read_json(path, "a manifest")
    if found.get("kind") != "lr":
        return None
    try:
        protocol = parse(Protocol, found["protocol_fields"], str(path))
        listed = {name: str(facts["pixels_sha256"]) for name, facts in found["images"].items()}
        return Manifest(str(found["dataset"]), int(found["scale"]), protocol, listed)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is no manifest of LR images: {type(error).__name__}: {error}") from None


def unlike(folder: Path, manifest: Manifest) -> list[str]:
    """Files of a folder's manifest that are missing now, or whose pixels are others than those that were written.

    Args:
        folder: of LR images.
        manifest: the folder's.

    Raises:
        InputError: an image that cannot be read.
    """
    return [
        name
        for name, digest in manifest.images.items()
        if not (folder / name).is_file() or sha256_of_array(read_image(folder / name)) != digest
    ]


def with_degradation(protocol: Protocol, degradation: str, seed: int = 0) -> Protocol:
    """A protocol with another degradation and seed, named by both.

    Args:
        protocol: to begin with.
        degradation: such as ``bd`` or ``jpeg:quality=30``; empty for the protocol's own.
        seed: of random degradations.

    Raises:
        InputError: no such degradation, or one that the protocol cannot have.
    """
    if not degradation and not seed:
        return protocol
    fields = protocol.model_dump() | {"degradation": degradation or protocol.degradation, "seed": seed}
    name = "".join(c if c.isalnum() else "-" for c in f"{protocol.name}-{fields['degradation']}".lower())
    return parse(Protocol, fields | {"name": name.strip("-")}, "--degradation")
