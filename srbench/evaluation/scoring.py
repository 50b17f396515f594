"""Images that any program made, measured against HR: by name, from folders, files or arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from srbench.datasets.local import find_dataset, from_folder
from srbench.datasets.pairs import degrade, prepare_hr
from srbench.errors import InputError
from srbench.images import as_rgb, luma, planar, read_image
from srbench.keywords import typed_keywords
from srbench.measure import DEFAULT_METRICS, Measure, check_scale
from srbench.protocol import Protocol, get_protocol
from srbench.provenance import machine, versions
from srbench.results import Result

ImageArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Matches:
    """Images of two folders that go together, and those that do not.

    Attributes:
        pairs: ``(name, SR file, HR file)``.
        sr_only: names of SR files without a partner.
        hr_only: names of HR files without a partner.
    """

    pairs: tuple[tuple[str, Path, Path], ...]
    sr_only: tuple[str, ...]
    hr_only: tuple[str, ...]


def match(sr: Path, hr: str | Path, scale: int, data_root: str | Path | None = None) -> Matches:
    """Match SR files to HR files by name.

    ``baby.png`` goes with an SR file called ``baby``, or ``baby`` followed by what programs add: ``babyx4``, ``baby_x4``,
    ``baby_SR``, ``baby_x4_EDSR`` … where only one SR file begins so.

    Raises:
        InputError: no image matches.
    """
    made = {path.stem: path for path in from_folder(sr).paths}
    truth = find_dataset(hr, data_root) if isinstance(hr, str) and not Path(hr).is_dir() else from_folder(Path(hr))
    truth.check()
    stems = {path.stem: path for path in truth.paths}
    pairs, used = [], set()
    for stem in sorted(stems, key=len, reverse=True):  # the longest first: img_10 is not img_1 with an ending
        exact = [s for s in (stem, f"{stem}x{scale}", f"{stem}_x{scale}") if s in made and s not in used]
        longer = [s for s in made if s.startswith((f"{stem}_", f"{stem}-", f"{stem}x")) and s not in used]
        chosen = exact[:1] or (longer if len(longer) == 1 else [])
        if chosen:
            used.add(chosen[0])
            pairs.append((stem, made[chosen[0]], stems[stem]))
    if not pairs:
        raise InputError(
            f"{sr}: no image is named like one of {truth.folder}: "
            f"SR has {', '.join(sorted(made)[:3])}, HR has {', '.join(sorted(stems)[:3])}"
        )
    order = {path.stem: i for i, path in enumerate(truth.paths)}
    pairs.sort(key=lambda pair: order[pair[0]])
    matched = {pair[0] for pair in pairs}
    return Matches(
        tuple(pairs),
        tuple(sorted(made[s].name for s in made if s not in used)),
        tuple(path.name for path in truth.paths if path.stem not in matched),
    )


@typed_keywords()
def score(
    sr: ImageArray | str | Path,
    hr: ImageArray | str | Path,
    scale: int,
    protocol: str | Protocol = "standard",
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    data_root: str | Path | None = None,
    name: str = "score",
    on_image: Callable[[str], None] | None = None,
) -> Result:
    """Measure images that any program made.

    Args:
        sr: the program's images: a uint8 array ``(H, W, 3)`` or ``(H, W)``, a file, or a folder. Whatever does not match by
            name is in the Result's provenance as ``sr_only`` and ``hr_only``.
        hr: what they are compared with, of the same kind; instead of a folder it may be a catalog name.
        scale: the program's upscaling factor; HR is cropped to a multiple of it, as is the LR for lr-psnr.
        protocol: a preset, a TOML file or a Protocol.
        metrics: names; ``srbench ls metrics``.
        data_root: folder of the datasets; ``SRBENCH_DATA`` by default.
        name: what the Result calls the program.
        on_image: called with the name of each image that has been measured.

    Returns:
        A Result with ``checkpoint`` = ``name``, which is not stored.

    Raises:
        InputError: the message names the file: sizes that do not fit, wrong types, images that cannot be read.
    """
    chosen = protocol if isinstance(protocol, Protocol) else get_protocol(protocol)
    check_scale(scale)
    measure = Measure([metrics] if isinstance(metrics, str) else metrics, chosen, scale)
    lists: dict[str, str] = {}
    label = "arrays"
    if isinstance(sr, np.ndarray) or isinstance(hr, np.ndarray):
        if not (isinstance(sr, np.ndarray) and isinstance(hr, np.ndarray)):
            raise InputError("score: give two arrays, two files or two folders, not a mixture")
        images: Iterator[tuple[str, str, ImageArray, ImageArray]] = iter([("array", "array", sr, hr)])
    elif Path(sr).is_file():
        label = Path(hr).stem
        images = iter([(Path(hr).stem, str(sr), read_image(sr), read_image(hr))])
    else:
        found = match(Path(sr), hr, scale, data_root)
        lists = {"sr_only": ", ".join(found.sr_only), "hr_only": ", ".join(found.hr_only)}
        label = str(hr) if not Path(hr).is_dir() else f"dir-{Path(hr).resolve().name}"
        images = ((stem, str(made), read_image(made), read_image(truth)) for stem, made, truth in found.pairs)
    for title, where, made_image, truth_image in images:
        _add(measure, title, where, made_image, truth_image, scale, chosen)
        if on_image:
            on_image(title)
    return Result(
        checkpoint=name,
        model=name,
        dataset=label,
        scale=scale,
        protocol=chosen.id,
        protocol_fields=chosen.model_dump(),
        images=measure.images,
        metrics=measure.scores(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance={**versions(), **machine(torch.device("cpu")), **lists},
    )


def _gray(image: ImageArray, where: str) -> ImageArray:
    if np.any(image != image[..., :1]):
        raise InputError(f"{where}: SR has colours and its HR is gray; expected a gray image, or three equal channels")
    return image[..., 0]


def _add(
    measure: Measure, name: str, where: str, sr: ImageArray, hr: ImageArray, scale: int, protocol: Protocol
) -> None:
    for what, image in (("SR", sr), ("HR", hr)):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise InputError(f"{where}: expected {what} as uint8 (H, W, 3) or (H, W), not {image.dtype} {image.shape}")
    try:
        truth = prepare_hr(hr, scale, protocol)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    made = sr
    if protocol.y_only and made.ndim == 3:
        made = np.floor(luma(made) + 0.5).astype(np.uint8) if hr.ndim == 3 else _gray(made, where)
    elif not protocol.y_only:
        made = as_rgb(made)
    if made.shape[:2] == hr.shape[:2]:
        made = made[: truth.shape[0], : truth.shape[1]]  # SR of the uncropped size: the program padded or kept it
    if made.shape[:2] != truth.shape[:2]:
        raise InputError(
            f"{where}: SR is {sr.shape[1]}×{sr.shape[0]}; HR, cropped to multiples of {protocol.modulus_for(scale)}, "
            f"is {truth.shape[1]}×{truth.shape[0]}"
        )
    measure.add(name, planar(made), planar(truth), planar(degrade(truth, scale, protocol)))
