"""Images that any program made, measured against HR: arrays, files, or folders with one method's images or several's."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from srbench.datasets.catalog import CATALOG
from srbench.datasets.hashes import digest_of, sha256_of
from srbench.datasets.image_set import ImageSet
from srbench.datasets.local import find_dataset
from srbench.datasets.pairs import degrade, prepare_hr
from srbench.datasets.pixels import gray_plane
from srbench.errors import InputError, UnavailableError
from srbench.evaluation.alarms import Watch, below_bicubic, identical, middle, other_scale
from srbench.evaluation.lr_check import lr_check
from srbench.evaluation.matching import Matches, methods
from srbench.images import as_rgb, check_name, imresize, luma, planar, read_image
from srbench.keywords import typed_keywords
from srbench.measure import DEFAULT_METRICS, Measure, check_scale
from srbench.metrics import METRICS, get_metric
from srbench.models import MODELS
from srbench.protocol import Protocol, get_protocol
from srbench.provenance import machine, versions
from srbench.published import list_published
from srbench.references import References
from srbench.results import Result, read_result, result_path
from srbench.zoo import list_checkpoints

ImageArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Item:
    """One SR image and its HR image, read when they are needed.

    Attributes:
        name: what the image is called in results.
        where: the SR file, for messages.
        sr: reads SR.
        hr: reads HR.
        lr: reads LR; None where it is made from HR.
        dataset: the set that HR is of.
    """

    name: str
    where: str
    sr: Callable[[], ImageArray]
    hr: Callable[[], ImageArray]
    lr: Callable[[], ImageArray] | None = None
    dataset: str = ""


@dataclass(frozen=True)
class Job:
    """One method's images.

    Attributes:
        name: the method's.
        dataset: what the results are stored under.
        items: its images.
        facts: fields of its Result that are known beforehand.
        texts: names that may state a scale.
    """

    name: str
    dataset: str
    items: tuple[Item, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


@typed_keywords()
def score(  # noqa: PLR0913  (a keyword a choice)
    sr: ImageArray | str | Path,
    hr: ImageArray | str | Path,
    scale: int,
    protocol: str | Protocol = "standard",
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    data_root: str | Path | None = None,
    lr: str | Path | None = None,
    name: str = "score",
    on_image: Callable[[str], None] | None = None,
) -> Result:
    """Measure images that any program made; :func:`score_methods` measures several methods in one folder.

    Args:
        sr: a uint8 array ``(H, W, 3)`` or ``(H, W)``, a file, or a folder.
        hr: of the same kind; in the place of a folder also a catalog name. What does not match by name is in the
            Result's provenance as ``sr_only`` and ``hr_only``.
        scale: the upscaling factor that was asked of the program; HR is cropped to a multiple of it, as is the LR for lr-psnr.
        protocol: a preset, a TOML file or a Protocol.
        metrics: names; ``srbench ls metrics``.
        data_root: folder of the datasets; ``SRBENCH_DATA`` by default.
        lr: folder of the LR images that SR was made from; by default LR is made from HR as the protocol says.
        name: of what made the images, the Result's ``checkpoint``.
        on_image: called with each image's name when it is done.

    Returns:
        a Result, which is not stored.

    Raises:
        InputError: naming the file: sizes that do not fit, wrong types, images that cannot be read, several methods.
    """
    chosen = protocol if isinstance(protocol, Protocol) else get_protocol(protocol)
    check_scale(scale)
    if isinstance(sr, np.ndarray) or isinstance(hr, np.ndarray):
        if not (isinstance(sr, np.ndarray) and isinstance(hr, np.ndarray)):
            raise InputError("score: give two arrays, two files or two folders, not a mixture")
        item = Item("array", "array", lambda: sr, lambda: hr)
        return _measure(Job(name, "arrays", (item,)), scale, chosen, metrics, on_image)
    if Path(sr).is_file():
        return _measure(_of_file(Path(sr), Path(hr), name), scale, chosen, metrics, on_image)
    found = jobs(Path(sr), hr, scale, data_root=data_root, lr=lr)
    if len(found) > 1:
        raise InputError(
            f"{sr} has images of {len(found)} methods: {', '.join(job.name for job in found)}; score_methods() does"
        )
    job = found[0]
    return _measure(Job(name, job.dataset, job.items, job.facts, job.texts), scale, chosen, metrics, on_image)


@typed_keywords()
def score_methods(
    sr: str | Path,
    hr: str | Path,
    scale: int,
    protocol: str | Protocol = "standard",
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    data_root: str | Path | None = None,
    lr: str | Path | None = None,
    name: str = "",
) -> list[Result]:
    """Measure every method whose images are in a folder, named by the files: ``baby_EDSR.png``, ``EDSR/baby.png``.

    Args:
        sr: the folder.
        hr: a folder of HR images, or a catalog name.
        scale: the upscaling factor that was asked of the programs.
        protocol: a preset, a TOML file or a Protocol.
        metrics: names; ``srbench ls metrics``.
        data_root: folder of the datasets; ``SRBENCH_DATA`` by default.
        lr: folder of the LR images that SR was made from.
        name: of the one method, where there is one.

    Returns:
        a Result a method, which is not stored.

    Raises:
        InputError: as :func:`score`; a name for several methods.
    """
    chosen = protocol if isinstance(protocol, Protocol) else get_protocol(protocol)
    check_scale(scale)
    if Path(sr).is_file():
        return [_measure(_of_file(Path(sr), Path(hr), name or Path(sr).stem), scale, chosen, metrics)]
    found = jobs(Path(sr), hr, scale, data_root=data_root, lr=lr)
    if name and len(found) > 1:
        raise InputError(
            f"{sr} has images of {len(found)} methods ({', '.join(job.name for job in found)}): leave out the name"
        )
    named = [Job(name or job.name, job.dataset, job.items, job.facts, job.texts) for job in found]
    references = References() if len(named) > 1 else None  # the methods are measured on the same HR images
    return [_measure(job, scale, chosen, metrics, references=references) for job in named]


def _of_file(sr: Path, hr: Path, name: str) -> Job:
    if not hr.is_file():
        is_what = "a folder" if hr.is_dir() else "a catalog name" if str(hr) in CATALOG else "no file that is there"
        raise InputError(f"HR {hr} is {is_what}; SR {sr} is a file, and with it HR is the file of the same image")
    check_name(sr)
    check_name(hr)
    item = Item(hr.stem, str(sr), partial(read_image, sr), partial(read_image, hr))
    return Job(name, hr.stem, (item,), texts={"the SR file": sr.name})


def jobs(
    sr: Path, hr: str | Path, scale: int, data_root: str | Path | None = None, lr: str | Path | None = None
) -> list[Job]:
    """The methods of a folder, ready to be measured.

    Args:
        sr: the folder of SR images.
        hr: a folder of HR images, or a catalog name.
        scale: the upscaling factor.
        data_root: folder of the datasets.
        lr: folder of LR images.

    Raises:
        InputError: as ``find_dataset`` and ``methods``.
        UnknownNameError: as ``find_dataset``.
        UnavailableError: as ``find_dataset``; ``unsupported_scale`` where the protocol is not defined at the scale.
    """
    spec = hr if isinstance(hr, str) and not Path(hr).is_dir() else Path(hr)
    truth = find_dataset(spec, data_root, lr_folder=lr)
    truth.check()
    return [_job(sr, matches, truth, scale, lr is not None) for matches in methods(sr, truth, scale)]


def _job(sr: Path, matches: Matches, truth: ImageSet, scale: int, lr_files: bool) -> Job:
    def item(name: str, made: Path, hr: Path) -> Item:
        lr = (lambda: read_image(truth.lr_path(hr, scale))) if lr_files else None
        return Item(name, str(made), partial(read_image, made), partial(truth.read, hr), lr, truth.name)

    hashes = sha256_of([made for _, made, _ in matches.pairs])
    digest = digest_of({name: hashes[made] for name, made, _ in matches.pairs})
    facts = {
        "weights_sha256": digest,
        "data_sha256": truth.digest,
        "provenance": {
            "sr_only": ", ".join(matches.sr_only),
            "hr_only": ", ".join(matches.hr_only),
            **({} if truth.entry else {"folder": truth.place}),
        },
    }
    check_name(sr.resolve())
    texts = {"the folder of SR images": sr.resolve().name, "an SR file": matches.pairs[0][1].name}
    return Job(
        matches.method or sr.resolve().name, truth.name, tuple(item(*pair) for pair in matches.pairs), facts, texts
    )


def _measure(
    job: Job,
    scale: int,
    protocol: Protocol,
    metrics: Sequence[str],
    on_image: Callable[[str], None] | None = None,
    references: References | None = None,
) -> Result:
    if reason := protocol.not_at(scale):
        raise UnavailableError("unsupported_scale", reason)
    metrics = [metrics] if isinstance(metrics, str) else metrics
    measure, watch = Measure(metrics, protocol, scale, references=references), Watch(files=True)
    check = lr_check(protocol, scale) if any(item.lr for item in job.items) and not protocol.lr_is_files else None
    notes: list[str] = []
    for item in job.items:
        whole = item.hr()
        truth = _truth(item, whole, scale, protocol)
        made = _fit(item, whole, truth, scale, protocol, notes)
        lr = item.lr() if item.lr else degrade(truth, scale, protocol, item.name)
        lr = _small(lr, truth, item, scale)
        if check is not None:
            check.look(truth, lr, item.name)
        measure.add(item.name, planar(made), planar(truth), planar(lr))
        watch.look(planar(made), middle(truth, lr, scale))
        if on_image:
            on_image(item.name)
    scores = measure.scores()
    notes = [*(check.notes() if check else []), *watch.notes(), *dict.fromkeys(notes), *other_scale(job.texts, scale)]
    if (psnr := scores.get("psnr")) is not None and psnr.status == "ok":
        if watch.doubtful:
            notes.append(below_bicubic(_mean(psnr.values), _bicubic(job, scale, protocol)))
        notes.append(identical(measure.images, psnr))
    facts = {
        **job.facts,
        "provenance": {**versions(), **machine(torch.device("cpu")), **job.facts.get("provenance", {})},
    }
    return Result(
        checkpoint=job.name,
        model=job.name,
        dataset=job.dataset,
        scale=scale,
        protocol=protocol.id,
        protocol_fields=protocol.model_dump(),
        images=measure.images,
        metrics=scores,
        own=True,
        notes=[note for note in notes if note],
        cell_hash=_cell_hash(job.facts, scale, protocol.model_dump(), metrics),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    )


def record_of(result: Result, replace: bool = False, root: Path | str | None = None) -> Result:
    """What is stored of images that another program made: with the scores that a record has of these very images already.

    Args:
        result: their scores, under a name that their owner chose.
        replace: take the place of a record of other images.
        root: the results folder; home's by default.

    Raises:
        InputError: the name is that of a network, an interpolator or a checkpoint; or it has a record of other images or other
            HR, or one that cannot be read.
    """
    refuse_our_name(result.checkpoint)
    path = result_path(result, root)
    if replace or not path.exists():
        return result
    old = read_result(path)
    if (old.weights_sha256, old.data_sha256) != (result.weights_sha256, result.data_sha256):
        raise InputError(f"--name {result.checkpoint}: {path} is of other images; choose another name, or --overwrite")
    now = {name: get_metric(name).version for name in old.metrics if name in METRICS}
    kept = {name: scores for name, scores in old.metrics.items() if scores.version == now.get(name)}
    metrics = {**kept, **result.metrics}
    facts = {"weights_sha256": result.weights_sha256, "data_sha256": result.data_sha256}
    whole = _cell_hash(facts, result.scale, result.protocol_fields, list(metrics))
    return result.model_copy(update={"metrics": metrics, "cell_hash": whole})


def refuse_our_name(name: str) -> None:
    """InputError where srbench itself has a network, an interpolator or a checkpoint of that name."""
    ours = {card.name for card in list_checkpoints(broken=[])} | {card.name for card in list_published()}
    if name in MODELS or name in ours:
        raise InputError(
            f"--name {name}: so srbench calls a network or an interpolator of its own; choose another name"
        )


def _cell_hash(files: Mapping[str, Any], scale: int, protocol: Mapping[str, Any], metrics: Sequence[str]) -> str:
    """sha256 of everything that changes a number, as for a checkpoint; empty for arrays and single files."""
    if not files:
        return ""
    facts = {
        "images": files["weights_sha256"],
        "data": files["data_sha256"],
        "scale": scale,
        "protocol": protocol,
        "metrics": {name: get_metric(name).version for name in sorted(set(metrics))},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _mean(values: Sequence[float | None]) -> float:
    found = [value for value in values if value is not None]
    return math.fsum(found) / len(found)


def _bicubic(job: Job, scale: int, protocol: Protocol) -> float:
    """Mean PSNR of bicubic from the same LR images: read again, as this is rare."""
    measure = Measure(["psnr"], protocol, scale)
    for item in job.items:
        truth = _truth(item, item.hr(), scale, protocol)
        lr = item.lr() if item.lr else degrade(truth, scale, protocol, item.name)
        lr = _small(lr, truth, item, scale).astype(np.float64)
        large = np.clip(np.floor(imresize(lr, float(scale)) + 0.5), 0, 255).astype(np.uint8)
        measure.add(item.name, planar(large), planar(truth), None)
    return _mean(measure.scores()["psnr"].values)


def _truth(item: Item, whole: ImageArray, scale: int, protocol: Protocol) -> ImageArray:
    _check_type(item, "HR", whole)
    try:
        return prepare_hr(whole, scale, protocol, item.dataset)
    except InputError as error:
        raise InputError(f"{item.where}: {error}") from None


def _check_type(item: Item, what: str, image: ImageArray) -> None:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise InputError(f"{item.where}: expected {what} as uint8 (H, W, 3) or (H, W), not {image.dtype} {image.shape}")


def _fit(
    item: Item, whole: ImageArray, truth: ImageArray, scale: int, protocol: Protocol, notes: list[str]
) -> ImageArray:
    """SR in the colours and of the size that the protocol measures; ``whole`` is HR as its file has it."""
    sr = item.sr()
    _check_type(item, "SR", sr)
    made = _in_colours(item, sr, whole, truth, protocol, notes)
    height, width = truth.shape[:2]
    # What a program may have made of the HR image: as large as it was, or of LR rounded up to whole pixels.
    most = [max(side, -(-side // scale) * scale) for side in whole.shape[:2]]
    if made.shape[:2] != (height, width) and height <= made.shape[0] <= most[0] and width <= made.shape[1] <= most[1]:
        notes.append(f"SR images larger than the cropped HR are cropped as HR is, such as {Path(item.where).name}")
        made = made[:height, :width]
    if made.shape[:2] != (height, width):
        raise InputError(
            f"{item.where}: SR is {sr.shape[1]}×{sr.shape[0]}; HR, cropped to multiples of "
            f"{protocol.modulus_for(scale, item.dataset)}, is {width}×{height}"
        )
    return np.ascontiguousarray(made)


def _in_colours(
    item: Item, sr: ImageArray, whole: ImageArray, truth: ImageArray, protocol: Protocol, notes: list[str]
) -> ImageArray:
    gray_hr = gray_plane(whole) is not None
    if truth.ndim == 2:  # luma alone, or a gray file that the protocol keeps
        if sr.ndim == 2:
            if not gray_hr:
                notes.append("gray SR images of HR images with colours are taken as luma (Y)")
            return sr
        if protocol.y_only and whole.ndim == 3:
            rounded: ImageArray = np.floor(luma(sr) + 0.5).astype(np.uint8)
            return rounded
        plane = gray_plane(sr)
        if plane is None:
            raise InputError(
                f"{item.where}: SR has colours and its HR is gray; expected a gray image, or three equal channels"
            )
        return plane
    if sr.ndim == 2 and not gray_hr:
        raise InputError(
            f"{item.where}: SR is gray and its HR has colours; expected RGB. A program that writes luma (Y) alone is measured "
            "under a protocol of luma, such as classic"
        )
    return as_rgb(sr)


def _small(lr: ImageArray, truth: ImageArray, item: Item, scale: int) -> ImageArray:
    """LR with as many channels as HR; InputError where its size does not fit."""
    expected = (truth.shape[0] // scale, truth.shape[1] // scale)
    if lr.shape[:2] != expected:
        raise InputError(
            f"{item.where}: its LR file is {lr.shape[1]}×{lr.shape[0]}; HR at x{scale} needs {expected[1]}×{expected[0]}"
        )
    if truth.ndim == 3:
        return as_rgb(lr)
    return lr if lr.ndim == 2 else np.floor(luma(lr) + 0.5).astype(np.uint8)
