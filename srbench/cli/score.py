"""``srbench score``: measure images that any other program made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from srbench.cli._common import (
    cache_memory_option,
    data_root_option,
    json_option,
    print_json,
    print_table,
    split,
    warn_of_presets,
)
from srbench.errors import counted

if TYPE_CHECKING:
    from srbench.datasets.lr_out import Manifest
    from srbench.interop.fid import FolderScore
    from srbench.protocol import Protocol
    from srbench.results import Result


@click.command()
@click.option("--sr", required=True, type=click.Path(exists=True), help="Folder (or file) of super-resolved images.")
@click.option("--hr", required=True, help="Folder (or file) of HR images, or a catalog name such as set5.")
@click.option("--scale", required=True, type=click.IntRange(1, 16), help="The upscaling factor.")
@click.option(
    "--lr", type=click.Path(exists=True, file_okay=False), help="Folder of the LR images that SR was made from."
)
@click.option("--protocol", default="standard", show_default=True, help="A preset or a TOML file.")
@click.option("--metrics", default="psnr,ssim,lpips,lr-psnr", show_default=True, help="Names; `srbench ls metrics`.")
@click.option("--name", default="", help='Store the result under this name, such as "SwinIR official".')
@click.option("--fid", is_flag=True, help="Also FID between the two folders (extra fid).")
@click.option("--record", is_flag=True, help="Store the results under the names that the files say.")
@click.option("--overwrite", is_flag=True, help="Replace a record of other images of the same name.")
@cache_memory_option
@data_root_option
@json_option
def command(
    sr: str,
    hr: str,
    scale: int,
    lr: str | None,
    protocol: str,
    metrics: str,
    name: str,
    fid: bool,
    record: bool,
    overwrite: bool,
    data_root: str | None,
    as_json: bool,
) -> None:
    """Measure the images in a folder against HR, matched by name.

    \b
    srbench score --sr out/ --hr set5 --scale 4
    srbench score --sr out/ --hr set5 --scale 4 --name SwinIR      writes a record
    srbench score --sr methods/ --hr set5 --scale 4 --record      several methods

    baby.png matches baby, babyx4, baby_x4 and baby_METHOD. Several methods may be in one folder (baby_EDSR.png and
    baby_SwinIR.png), or each in a folder of its own. What does not match is listed; the exit code is 1 where an HR image
    has no SR image, or where a metric failed.
    """
    from srbench.evaluation.scoring import refuse_our_name, score_methods

    if name:
        refuse_our_name(name)
    manifest = _manifest(lr) if lr else None
    protocol_ = _protocol(protocol, manifest)
    results = score_methods(sr, hr, scale, protocol_, split(metrics), data_root=data_root, lr=lr, name=name)
    if record or name:
        _store(results, hr, overwrite)
    distance = _fid(sr, hr, results, data_root) if fid else None
    if as_json:
        shown = [_as_json(result) | ({"fid": vars(distance)} if distance else {}) for result in results]
        print_json(shown[0] if len(shown) == 1 else shown)
    elif len(results) == 1:
        _print(results[0])
    else:
        _print_several(results)
    if distance and not as_json:
        click.echo(distance.text)
    _say_what_is_left_out(sr, hr, data_root)
    _say(results)
    faults = [f"{result.checkpoint}: {fault}" for result in results for fault in result.faults]
    for fault in faults:
        click.echo(f"Error: {fault}", err=True)
    if faults or any(_listed(result, "hr_only") for result in results):
        click.get_current_context().exit(1)


def _fid(sr: str, hr: str, results: list[Result], data_root: str | None) -> FolderScore:
    """FID of the whole folder of SR images; InputError unless it is that of one method."""
    from pathlib import Path

    from srbench.datasets.local import find_dataset
    from srbench.errors import InputError
    from srbench.interop.fid import folder_fid

    if len(results) != 1 or not Path(sr).is_dir():
        raise InputError(
            f"--fid compares one folder of images with HR's; {sr} holds {counted(len(results), 'method')} or is a file"
        )
    found = find_dataset(Path(hr) if Path(hr).is_dir() else hr, data_root)
    folders = {path.parent for path in found.paths}
    if len(folders) != 1:
        raise InputError(f"--fid needs HR images in one folder; those of {hr} lie in {len(folders)}")
    return folder_fid(Path(sr), folders.pop(), len(results[0].images))


def _say_what_is_left_out(sr: str, hr: str, data_root: str | None) -> None:
    from pathlib import Path

    from srbench.datasets.local import find_dataset

    if Path(sr).is_dir():
        for text in find_dataset(Path(hr) if Path(hr).is_dir() else hr, data_root).remarks():
            click.echo(f"Note: {text}", err=True)


def _say(results: list[Result]) -> None:
    """Notes and what has no partner, on standard error."""
    for result in results:
        label = f"{result.checkpoint}: " if len(results) > 1 else ""
        for note in result.notes:
            click.echo(f"Note: {label}{note}", err=True)
        if extra := _listed(result, "sr_only"):
            click.echo(f"{label}SR images without HR: {', '.join(extra)}", err=True)
        if missing := _listed(result, "hr_only"):
            click.echo(f"{label}HR images without SR: {', '.join(missing)}", err=True)


def _manifest(lr: str) -> Manifest | None:
    """The manifest of a folder of LR files, held to the files as they are now."""
    from pathlib import Path

    from srbench.datasets.lr_out import read_manifest, unlike

    manifest = read_manifest(Path(lr))
    if manifest is not None:
        others = unlike(Path(lr), manifest)
        count = len(manifest.images)
        told = f"not as its manifest has them: {', '.join(others)}" if others else "identical to those of its manifest"
        click.echo(f"Note: {len(others) or count} of {count} LR images in {lr} are {told}", err=True)
    return manifest


def _protocol(name: str, manifest: Manifest | None) -> Protocol:
    """The protocol that was asked for, or the one that the LR files' manifest names where none was."""
    from srbench.protocol import get_protocol

    warn_of_presets([name])
    given = click.get_current_context().get_parameter_source("protocol")
    if manifest is None or given is not click.core.ParameterSource.DEFAULT:
        return get_protocol(name)
    click.echo(f"Note: measured as the LR files were made: {manifest.protocol.id}", err=True)
    return manifest.protocol


def _store(results: list[Result], hr: str, overwrite: bool) -> None:
    """Write a record a method; InputError where one lacks images, as its mean would stand beside those over all."""
    from srbench.errors import InputError
    from srbench.evaluation.scoring import record_of
    from srbench.results import write_result

    for result in results:
        if missing := _listed(result, "hr_only"):
            raise InputError(
                f"{result.checkpoint} lacks {counted(len(missing), 'image')} of {hr} ({missing[0]}): no record is written"
            )
        if not result.data_sha256:
            raise InputError("a record is of a whole set: give folders, not two files")
    for result in [record_of(result, overwrite) for result in results]:
        click.echo(f"wrote {write_result(result)}", err=True)


def _listed(result: Result, key: str) -> list[str]:
    return [name for name in result.provenance.get(key, "").split(", ") if name]


def _as_json(result: Result) -> dict[str, object]:
    lists = {key: _listed(result, key) for key in ("hr_only", "sr_only")}
    return {**result.model_dump(mode="json"), "means": _means(result), **lists}


def _print(result: Result) -> None:
    names = list(result.metrics)
    rows = [[image, *_row(result, i)] for i, image in enumerate(result.images)]
    rows.append(["mean", *(_mean(result, name) for name in names)])
    title = f"{result.checkpoint} ×{result.scale} · {result.protocol} · {counted(len(result.images), 'image')}"
    print_table(title, ["image", *names], rows)
    for name, scores in result.metrics.items():
        if scores.status != "ok":
            click.echo(f"{name}: {scores.status}: {scores.reason}", err=True)


def _print_several(results: list[Result]) -> None:
    names = list(results[0].metrics)
    rows = [[r.checkpoint, str(len(r.images)), *(_mean(r, name) for name in names)] for r in results]
    first = results[0]
    print_table(f"{first.dataset} ×{first.scale} · {first.protocol}", ["method", "images", *names], rows)


def _row(result: Result, index: int) -> list[str]:
    return [
        f"{scores.values[index]:.{scores.digits}f}" if scores.status == "ok" else scores.status
        for scores in result.metrics.values()
    ]


def _mean(result: Result, name: str) -> str:
    scores = result.metrics[name]
    return f"{result.mean(name):.{scores.digits}f}" if scores.status == "ok" else scores.status


def _means(result: Result) -> dict[str, object]:
    means = {name: result.mean(name) for name, scores in result.metrics.items() if scores.status == "ok"}
    return {name: "inf" if value == float("inf") else value for name, value in means.items()}
