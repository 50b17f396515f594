"""Public functions that stand on several rooms: upscaling files, training, comparing, and lists of what there is."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from srbench.errors import InputError
from srbench.inference import DEFAULTS
from srbench.keywords import part_of, typed_keywords
from srbench.subjects import LoadOptions, SubjectOptions

if TYPE_CHECKING:
    from torch import nn

    from srbench.exporting.make import Exported
    from srbench.reports.tables.comparison import Comparison
    from srbench.results import Result
    from srbench.subjects.start import Trainable
    from srbench.upscaler import Upscaler
    from srbench.zoo import Card


@typed_keywords(LoadOptions, defaults=DEFAULTS)
def upscale(
    image: Any,
    network: str | Path | nn.Module | Upscaler,
    scale: int | None = None,
    *,
    out: str | Path | None = None,
    **given: Unpack[LoadOptions],
) -> Any:
    """Super-resolve an image, or the images of a folder.

    Args:
        image: a uint8 array, a PIL image, a float tensor in [0, 1] or a path; with ``out`` also the path of a folder.
        network: whatever :func:`srbench.load` takes, or what it gave.
        scale: the upscaling factor, where ``network`` leaves it open.
        out: file or folder to write to; ``image`` is a path then, of a file of any kind that ``srbench upscale`` takes.
        given: as :func:`srbench.load` takes it.

    Returns:
        SR of the same kind as ``image``, a uint8 array for a path; with ``out`` the paths of the files written.

    Raises:
        InputError: an image or a network that cannot be used.
        UnknownNameError: no such name, argument or value.
        UnavailableError: ``unsupported_scale``, ``no_weights``, ``oom``, ``failed``.
    """
    from srbench.bands import upscaled
    from srbench.subjects import load
    from srbench.upscale_files import plan_files, upscale_files
    from srbench.upscaler import Upscaler

    if isinstance(network, Upscaler):
        if given or scale not in (None, network.scale):
            raise InputError("upscale(): an Upscaler has its scale and options already; change them with with_()")
        upscaler = network
    else:
        upscaler = load(network, scale, **given)
    if out is None:
        return upscaled(upscaler, image)
    if not isinstance(image, str | Path):
        raise InputError(f"upscale(): out= is for files; a {type(image).__name__} comes back as it was given")
    return upscale_files(upscaler, plan_files(image, out).jobs)


class TrainOptions(TypedDict, total=False):
    """How a run is carried out; see ``srbench.training.loop.options.RunOptions``."""

    name: str
    data_root: str | Path | None
    device: str
    threads: int
    zoo: str | Path | None
    resume: bool
    overwrite: bool
    skip_bad: bool
    save_seconds: float
    cache_memory: float | None
    cache_disk: float | None
    progress: bool
    trackers: tuple[str, ...]
    tensorboard: bool
    runs: str | Path | None
    budget: float | str
    extend: float | str
    allow_overlap: bool
    dirty: bool


@typed_keywords(TrainOptions)
def train(
    network: Trainable,
    recipe: str | Path = "tuned",
    *,
    scale: int | None = None,
    data: str | Path | None = None,
    steps: int | None = None,
    seed: int | None = None,
    changes: Mapping[str, Any] | None = None,
    size: str = "auto",
    **how: Unpack[TrainOptions],
) -> Card:
    """Train a network by a recipe and write its weights and their card to the zoo.

    Args:
        network: a model of the registry, or its description; a checkpoint or a file of weights, which training goes on from;
            ``path/file.py:Class`` or ``package.module:Class``; a class or function that makes a network; or a module, whose
            weights training starts from and which itself is left as it is.
        recipe: of zoo/recipes, or the path of a TOML file.
        scale: the upscaling factor; what a network of one's own declares, else the recipe's (4), by default.
        data: training sets or folders, joined with ``+``.
        steps: optimiser steps.
        seed: of initial weights and crops; it becomes a part of the name.
        changes: any keys of the recipe and their values, such as ``{"lr": 1e-3, "loss.mse": 0.1}``, or
            ``{"channels": "y"}`` where a network of one's own does not declare what it works on.
        size: ``full``, ``cpu``, or ``auto``, which goes by the device.
        how: ``name``, ``device``, ``threads``, ``data_root``, ``zoo``, ``runs``,
            ``resume``, ``overwrite``, ``skip_bad``, ``save_seconds``, ``cache_memory`` and ``cache_disk`` (bytes),
            ``progress``, ``trackers`` (of ``csv``, ``tensorboard``, ``wandb``), ``tensorboard`` (the same as one of them),
            ``budget`` and ``extend`` (seconds, or text such as ``"20m"``), ``dirty`` (train by code that differs from a commit),
            ``allow_overlap`` (train on images that show what test images show).

    Returns:
        the card of the checkpoint.

    Raises:
        UnknownNameError: no such network, recipe, key or argument, with the nearest one.
        InputError: data or values that cannot be used; a checkpoint of that name is there already.
        SrbenchError: the loss is no number, or the run was stopped.
    """
    from srbench.subjects.start import Start, start_of
    from srbench.training.loop.options import RunOptions
    from srbench.training.zoo import RecipeRequest, train_model

    start = start_of(network, scale) if isinstance(network, str) else Start(network)
    given = {"scale": scale, "steps": steps, "data": None if data is None else str(data)}
    if not isinstance(changes or {}, Mapping):
        raise InputError(f"changes = {changes!r}: expected keys of the recipe and their values, such as {{'lr': 1e-3}}")
    keys = {**start.changes, **{key: value for key, value in given.items() if value is not None}, **(changes or {})}
    request = RecipeRequest(str(recipe), keys, size, how.get("device", "auto"), seed, how.get("name", ""))
    return train_model(start.model, request, RunOptions(**_run_options(how)))


def _run_options(how: TrainOptions) -> dict[str, Any]:
    """What a caller may give as text, as ``RunOptions`` takes it."""
    from srbench.training.loop.budget import parse_budget

    run: dict[str, Any] = {name: value for name, value in how.items() if name != "name"}
    for name in ("zoo", "runs"):
        if run.get(name) is not None:
            run[name] = Path(run[name])
    if run.get("data_root") is not None:
        run["data_root"] = str(run["data_root"])
    if isinstance(run.get("trackers"), str):
        run["trackers"] = (run["trackers"],)
    if run.pop("tensorboard", False):
        run["trackers"] = (*run.get("trackers", ()), "tensorboard")
    for name in ("budget", "extend"):
        if isinstance(run.get(name), str):
            run[name] = parse_budget(run[name], name)
    return run


class ExportOptions(SubjectOptions, total=False):
    """What names a subject, and how it is exported; see ``srbench.exporting.make.How``."""

    whole: bool
    dtype: Literal["float32", "uint8"]
    fused: bool
    precision: Literal["fp32", "fp16", "int8"]
    size: tuple[int, int] | None
    calibrate: str
    dataset: str
    images: int
    data_root: str | None
    seconds: float
    untrained: bool
    progress: Callable[[str], Any]


@typed_keywords(ExportOptions)
def export(
    network: str | Path | nn.Module,
    out: str | Path | None = None,
    format: str | None = None,  # noqa: A002
    scale: int | None = None,
    **given: Unpack[ExportOptions],
) -> Exported:
    """Write a network for another runtime, and measure what that costs.

    Args:
        network: whatever ``srbench.load`` takes: a checkpoint, a file of weights, a class of one's own, a module.
        out: the file; the subject's name with the format's suffix by default.
        format: ``onnx``, ``litert`` or ``ncnn``; what the suffix of ``out`` says by default.
        scale: the upscaling factor, where ``network`` leaves it open.
        given: ``whole`` (RGB in, RGB out), ``dtype`` (``uint8`` for a whole upscaler), ``fused``, ``precision`` (``fp32``,
            ``fp16``, ``int8``), ``size`` (LR height and width of a file of fixed size and of what is timed), ``calibrate``
            (training images for int8), ``dataset`` and ``images`` (what the loss is measured on), ``data_root``, ``seconds``
            (of each clock), ``untrained`` (random weights where there are no others), ``progress`` (told what is being done);
            ``channels``, ``weights``, ``model``, ``options``, ``traits``, ``zoo`` and ``key`` as ``srbench.load`` has them.

    Returns:
        the path of the file and its card, which lies beside it.

    Raises:
        UnknownNameError: no such network, format or argument, with the nearest one.
        InputError: values that do not go together; a network that the format cannot express.
        UnavailableError: ``no_weights``; an extra that is not installed; calibration images that are not here.
    """
    from torch import nn

    from srbench.exporting.formats import get_format
    from srbench.exporting.make import How, export_subject
    from srbench.subjects import resolve_one, resolve_timed

    path = None if out is None else Path(out)
    kind = get_format(format, path)
    named: SubjectOptions = part_of(given, SubjectOptions)
    rest: dict[str, Any] = {name: value for name, value in given.items() if name not in named}
    progress, untrained = rest.pop("progress", None), rest.pop("untrained", False)
    how = How.of(rest)
    if untrained and not isinstance(network, nn.Module):
        subject = resolve_timed([str(network)], scale, **named)[0]
    else:
        subject = resolve_one(network, scale, **named)
        if obstacle := subject.obstacle(subject.scale):
            raise obstacle
    path = path or Path(f"{subject.name}{'-whole' if how.whole else ''}{kind.suffix}")
    return export_subject(subject, kind, path, how, progress or (lambda _: None))


@typed_keywords()
def compare(
    a: str | Result,
    b: str | Result,
    dataset: str = "set14",
    metric: str = "psnr",
    *,
    scale: int | None = None,
    protocol: str = "standard",
    apart: float | None = None,
    results: str | Path | None = None,
) -> Comparison:
    """Compare two networks image by image: mean difference, its 95 % interval, the paired test, effect sizes, each image.

    Args:
        a: a text as ``srbench compare`` takes it, such as ``fsrcnn_x4.tuned``, ``edsr_x4.tuned+ensemble``, ``net.py:Net`` or
            ``fsrcnn`` (its best checkpoint), of which there are stored results; or a Result.
        b: likewise; ``difference`` is a − b.
        dataset: that both were measured on; left aside for Results, which say theirs.
        metric: that both were measured with.
        scale: needed only where both were measured at several scales.
        protocol: a name or an id; left aside for Results.
        apart: a mean difference that matters, in the metric's unit: ``power`` and ``warning`` say how many images tell it
            apart; by default, the difference found.
        results: folder of the stored results; results/ by default.

    Raises:
        UnknownNameError: no such name or argument.
        InputError: the two are not of the same images, or one is a Result and the other a name.
        UnavailableError: one of them has no number.
    """
    from srbench.reports.tables.comparison import compare as compare_stored
    from srbench.results import Result, read_results

    if isinstance(a, Result) and isinstance(b, Result):
        names = [_result_name(a), _result_name(b)]
        if names[0] == names[1]:
            names = [f"{names[0]} (a)", f"{names[1]} (b)"]
        kept = [one.model_copy(update={"checkpoint": n, "variant": ""}) for one, n in zip((a, b), names, strict=True)]
        return compare_stored(kept, names[0], names[1], a.dataset, metric, a.scale, a.protocol, apart)
    if isinstance(a, Result) or isinstance(b, Result):
        raise InputError("compare(): give two names or two Results, not a mixture")
    stored = read_results(results)
    names = recorded_names(stored, [a, b], dataset, scale, protocol)
    if len(names) != 2:
        raise InputError(f"compare(): {a!r} and {b!r} are {len(names)} of the measured: {', '.join(names)}; name two")
    return compare_stored(stored, names[0], names[1], dataset, metric, scale, protocol, apart)


def recorded_names(
    results: Sequence[Result], texts: Sequence[str], dataset: str, scale: int | None, protocol: str
) -> list[str]:
    """The names, in the stored results of one dataset, of what texts mean.

    Args:
        results: the records.
        texts: as :func:`srbench.subjects.resolve` takes them, or as records are named, variants included; an architecture
            stands for its best checkpoint.
        dataset: that they were measured on.
        scale: that they were measured at; None leaves it open.
        protocol: a name or an id.

    Returns:
        each name once; the texts themselves where nothing was measured there.

    Raises:
        UnknownNameError: nothing of that name has a number there.
    """
    from srbench.reports import build_tables
    from srbench.reports.tables.pick import pick
    from srbench.subjects import classes, files, resolve
    from srbench.zoo import list_checkpoints

    known = {_result_name(result) for result in results}
    meant = [
        resolve(text, scale)[0].name
        if text not in known and (classes.recognises(text) or files.recognises(text))
        else text
        for text in texts
    ]
    tables = [
        table
        for table in build_tables([r for r in results if r.dataset == dataset], cards=list_checkpoints(), derive=False)
        if scale in (None, table.scale) and protocol in (table.protocol, table.protocol_name)
    ]
    tables.sort(key=lambda table: -len(table.rows))  # ×4 where the scale is left open
    return [who.name for who in pick(tables, meant)] if tables else list(dict.fromkeys(meant))


def _result_name(result: Result) -> str:
    return "+".join(part for part in (result.checkpoint, result.variant) if part)


def list_datasets(pattern: str = "*") -> list[str]:
    """Names of the catalog's datasets that match a shell pattern.

    >>> list_datasets("set*")
    ['set14', 'set5']
    """
    from srbench.datasets.catalog import CATALOG

    return sorted(fnmatch.filter(CATALOG, pattern))


def list_recipes(model: str = "*") -> Sequence[str]:
    """Names of the recipes that serve a model, or of all."""
    from srbench.training.recipe.load import list_recipes as of_model

    return of_model(model)
