"""``srbench clips``: measure checkpoints on clips: every frame, the means of each clip, and how neighbouring frames change."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli._common import (
    data_root_option,
    json_option,
    name_broken,
    name_written,
    print_json,
    print_table,
    split,
    split_datasets,
)
from srbench.cli._subjects import inference_options, subject_options
from srbench.inference import Inference

if TYPE_CHECKING:
    from srbench.clip_results import ClipResult
    from srbench.errors import SrbenchError
    from srbench.evaluation.clips import ClipPlan
    from srbench.evaluation.quality import Samples
    from srbench.subjects import Subject, SubjectOptions


@click.command()
@click.argument("targets", nargs=-1, required=True)
@click.option("--datasets", default="vid4", show_default=True, help="vid4, or folders of folders of frames.")
@click.option("--scale", type=click.IntRange(2, 8), help="Only this scale; 4 for interpolators.")
@click.option("--protocol", default="standard", show_default=True, help="A preset or TOML file.")
@click.option("--metrics", default="psnr,ssim", show_default=True, help="Of each frame; `srbench ls metrics`.")
@click.option("--temporal", default="tof,diff-psnr", show_default=True, help="Of neighbouring frames.")
@click.option(
    "--trim", type=click.IntRange(0), default=0, show_default=True, help="Leave out frames at both ends of each clip."
)
@click.option("--lr-folder", type=click.Path(exists=True, file_okay=False), help="Take LR from this folder of clips.")
@click.option("--overwrite", is_flag=True, help="Measure again what is stored already.")
@click.option("--results", type=click.Path(file_okay=False), help="Keep the records in this folder.")
@subject_options
@data_root_option
@inference_options
@json_option
def command(
    targets: tuple[str, ...],
    datasets: str,
    scale: int | None,
    protocol: str,
    metrics: str,
    temporal: str,
    trim: int,
    lr_folder: str | None,
    overwrite: bool,
    results: str | None,
    named: SubjectOptions,
    data_root: str | None,
    inference: Inference,
    as_json: bool,
) -> None:
    """Measure TARGETS (as `srbench eval` takes them) on clips.

    \b
    srbench clips fsrcnn_x4.tuned bicubic --datasets vid4
    srbench clips fsrcnn_x4.tuned --datasets clips/ --trim 2

    Printed are the means of each clip, the mean of the clips (the total of Vid4's tables), and the mean of all frames. tof is how
    far the optical flow of SR is from HR's, in pixels; diff-psnr the PSNR of the change from one frame to the next. Every frame's
    numbers are kept in results/clips.
    """
    from srbench.evaluation.clips import ClipPlan, find_clips
    from srbench.evaluation.quality import Samples
    from srbench.protocol import get_protocol
    from srbench.subjects import resolve, unique

    plan = ClipPlan(tuple(split(metrics)), tuple(split(temporal)), inference, trim)
    measured_by = get_protocol(protocol)
    subjects = unique([one for text in targets for one in resolve(text, scale, **named)])
    found: list[ClipResult] = []
    for spec in split_datasets(datasets):
        images = find_clips(spec, data_root, trim, lr_folder)
        samples: dict[int, Samples] = {}
        for subject in subjects:
            at = scale or (subject.scales[0] if len(subject.scales) == 1 else 4)
            if obstacle := subject.obstacle(at, measured_by):
                raise obstacle
            known = samples.setdefault(at, Samples(images, at, measured_by, lr_folder is not None))
            found.append(_cell(subject, known, plan, Path(results) if results else None, overwrite))
    if as_json:
        print_json([result.model_dump(mode="json") for result in found])
        return
    for result in found:
        _print(result)
    if results is None:
        _refresh()


def _refresh() -> None:
    """Bring reports/ up to date, and say so."""
    from srbench.reports import write_reports

    broken: list[SrbenchError] = []
    name_written(write_reports(broken=broken))
    name_broken(broken)


def _cell(subject: Subject, samples: Samples, plan: ClipPlan, root: Path | None, overwrite: bool) -> ClipResult:
    from srbench.clip_results import write_clip_result
    from srbench.evaluation.clips import measure_clips, stored_clips
    from srbench.evaluation.progress import Progress

    kept = None if overwrite else stored_clips(subject, samples, plan, root)
    if kept is not None:
        return kept
    with Progress(len(samples.images), quiet=False) as progress:
        progress.start(f"{subject.name} · {samples.images.name} ×{samples.scale}", len(samples.images))
        result = measure_clips(subject, samples, plan, progress.image)
        progress.end()
        progress.close("")
    write_clip_result(result, root)
    return result


def _print(result: ClipResult) -> None:
    from srbench.datasets.clips import clips_of
    from srbench.errors import UnavailableError

    of, names = result.frames, list(result.metrics)

    def row(label: str, frames: int, mean: Callable[[str], float]) -> list[str]:
        found = [label, str(frames)]
        for name in names:
            try:
                found.append(f"{mean(name):.{result.metrics[name].digits}f}")
            except UnavailableError as error:
                found.append(error.status)
        return found

    rows = []
    for clip, places in clips_of(of.images).items():
        rows.append(row(clip, len(places), partial(result.clip_mean, clip)))
    rows.append(row("mean of clips", len(of.images), result.mean))
    rows.append(row("mean of frames", len(of.images), result.frame_mean))
    variant = f"+{of.variant}" if of.variant else ""
    print_table(
        f"{of.checkpoint}{variant} on {of.dataset} ×{of.scale} · {of.protocol}", ["clip", "frames", *names], rows
    )
    for note in of.notes:
        click.echo(f"Note: {note}", err=True)
