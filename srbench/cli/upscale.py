"""``srbench upscale``: super-resolve an image, a folder, a tree of folders, or a clip."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli._common import Finite
from srbench.cli._subjects import automatic_tiles, inference_options, subject_options
from srbench.errors import InputError, install
from srbench.inference import Inference

if TYPE_CHECKING:
    from srbench.photos import Wanted
    from srbench.subjects import SubjectOptions
    from srbench.upscale_files import Plan, Way
    from srbench.upscaler import Upscaler

_CLIPS = (".mp4", ".mkv", ".mov", ".webm")
_FORMATS = click.Choice(["png", "jpg", "webp", "tif", "bmp"])


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True))
@click.argument("target", metavar="OUT", type=click.Path())
@click.option("--checkpoint", required=True, help="A checkpoint, interpolator, file of weights or class of your own.")
@click.option("--scale", type=Finite(1, 8, min_open=True), help="Such as 4 or 3.5; by the next larger network.")
@click.option("--size", metavar="WxH", help="Exact size, such as 1920x1080, 1920x or x1080.")
@click.option("--format", "format_", type=_FORMATS, help="Format of a folder's images; png by default.")
@click.option("--recursive", is_flag=True, help="Go into folders within IN, and mirror them in OUT.")
@click.option("--skip-existing", is_flag=True, help="Leave out images whose output is there.")
@click.option("--skip-bad", is_flag=True, help="Leave out images of a folder that cannot be used; they are listed.")
@click.option("--codec", default="libx264", show_default=True, help="Encoder of a clip.")
@click.option(
    "--crf",
    type=click.IntRange(0, 63),
    help="Quality of a clip, where the encoder has it; less is better.  [default: 18]",
)
@click.option("--preset", default="", help="The encoder's, such as veryfast: quicker, and larger files.")
@click.option(
    "--encoder-option",
    "encoder",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of the encoder, such as tune=film; repeat.",
)
@click.option("--pixel-format", default="", help="Of a clip, such as yuv420p; the input's by default.")
@click.option(
    "--segment", type=click.IntRange(1), default=100, show_default=True, help="Frames a stopped run may lose."
)
@click.option(
    "--encoder-threads", type=click.IntRange(1), default=1, show_default=True, help="More are faster; bits vary then."
)
@click.option(
    "--fps", metavar="RATE", help="Of a folder of frames that becomes a clip: 25, 24000/1001 …; 25 by default."
)
@click.option("--resume", is_flag=True, help="Go on with a clip or folder whose run was stopped.")
@subject_options
@automatic_tiles
@inference_options
def command(
    source: str,
    target: str,
    checkpoint: str,
    scale: float | None,
    size: str | None,
    format_: str | None,
    recursive: bool,
    skip_existing: bool,
    skip_bad: bool,
    codec: str,
    crf: int | None,
    preset: str,
    encoder: tuple[str, ...],
    pixel_format: str,
    segment: int,
    encoder_threads: int,
    fps: str | None,
    resume: bool,
    automatic: bool,
    named: SubjectOptions,
    inference: Inference,
) -> None:
    """Upscale the image IN to the file OUT, or every image of the folder IN into the folder OUT (as PNG).

    Transparency, 16 bits a channel, colour profile, DPI and EXIF are kept; the camera's orientation is applied. Every input is
    read and checked in full before the first image is written; none is overwritten by its own output.

    \b
    Clips (extra video): files, whose frames keep their times and whose sound and
    subtitles are copied, or folders of frames.
      srbench upscale in.mp4 out.mp4 --checkpoint fsrcnn_x4.tuned
      srbench upscale frames/ out.mp4 --checkpoint fsrcnn_x4.tuned --fps 24
      srbench upscale in.mp4 frames/ --checkpoint fsrcnn_x4.tuned
    """
    from srbench.datasets.folders import left_out
    from srbench.subjects.larger import NextLarger
    from srbench.upscale_files import Selection, plan_files

    clip = _is_clip(Path(source), Path(target))
    if fps and not (clip and Path(source).is_dir()):
        raise InputError(f"--fps {fps} is of a folder of frames that becomes a clip; {source} has its own times")
    wanted = _wanted(scale, size)
    networks = NextLarger(checkpoint, inference, named)
    network = _network(checkpoint, networks, wanted, named, inference)
    way = _way(networks, wanted, automatic)
    if clip:
        if skip_existing and Path(target).is_file():
            click.echo(f"{target} is there already", err=True)
            return
        options: dict[str, Any] = {"codec": codec, "crf": crf, "pixel_format": pixel_format, "segment": segment}
        options |= {"threads": encoder_threads, "preset": preset, "encoder": encoder}
        more = {"fps": fps} if fps else {}
        _upscale_clip(source, target, network, way, {**options, **more, "format": format_ or "png"}, resume)
        return
    plan = plan_files(source, target, Selection(format_ or "", recursive, skip_existing or resume, skip_bad))
    with _statement(plan, source, target, network, way, resume, {"format": format_, "recursive": recursive}):
        _upscale(plan, network, way)
    if Path(source).is_dir() and not recursive and (other := left_out(Path(source))):
        click.echo(f"left out: {other}", err=True)
    for text in plan.bad:
        click.echo(f"left out: {text}", err=True)
    if plan.existing:
        click.echo(f"{plan.existing} are there already", err=True)
    outs = [out for _, out in plan.jobs]
    click.echo(f"wrote {outs[0] if len(outs) == 1 else f'{len(outs)} images to {target}'}")


def _is_clip(source: Path, target: Path) -> bool:
    from srbench.images import SUFFIXES

    from_clip = source.is_file() and source.suffix.lower() not in SUFFIXES
    if source.suffix.lower() in _CLIPS and target.suffix.lower() in SUFFIXES:
        raise InputError(f"{target}: a clip becomes a file of {', '.join(_CLIPS)}, or a folder of frames")
    return target.suffix.lower() in _CLIPS or (from_clip and (target.is_dir() or target.suffix.lower() not in SUFFIXES))


def _statement(
    plan: Plan, source: str, target: str, network: Upscaler | None, way: Way, resume: bool, options: dict[str, object]
) -> AbstractContextManager[None]:
    """What keeps a statement of the run in the folder that it fills; nothing for a single image."""
    if not Path(source).is_dir():
        if resume:
            raise InputError("--resume goes on with a clip or a folder; a single image is made anew")
        return nullcontext()
    from srbench.resuming import facts_of, into_folder

    return into_folder(plan, Path(target), facts_of(plan.inputs, network, way, options), resume)


def _wanted(scale: float | None, size: str | None) -> Wanted:
    from srbench.photos import Wanted

    if scale is not None and size is not None:
        raise InputError("--scale and --size both say how large: give one")
    return Wanted.of_size(size) if size is not None else Wanted(factor=scale or 0.0)


def _network(
    checkpoint: str, networks: Callable[[float], Upscaler], wanted: Wanted, named: SubjectOptions, inference: Inference
) -> Upscaler | None:
    """The network, where no image decides which it is."""
    from srbench.subjects import load

    if wanted.open:
        return load(checkpoint, None, inference=inference, **named)
    if not wanted.factor:
        return None
    found = networks(wanted.factor)
    if found.scale != wanted.factor:
        click.echo(f"{found.name} makes x{found.scale}, which is resized to x{wanted.factor:g}", err=True)
    return found


def _way(networks: Callable[[float], Upscaler], wanted: Wanted, automatic: bool) -> Way:
    from srbench.tiles import FittingTiles
    from srbench.upscale_files import Way

    said: set[str] = set()

    def say(text: str) -> None:
        if text not in said:
            click.echo(text, err=True)
        said.add(text)

    run: dict[str, Any] = {"run": FittingTiles(say)} if automatic else {}
    return Way(wanted, networks, say=say, **run)


def _upscale(plan: Plan, network: Upscaler | None, way: Way) -> None:
    from rich.progress import track

    from srbench.upscale_files import upscale_files

    upscale_files(
        network, plan.jobs, lambda jobs: track(jobs, description="upscaling", disable=len(jobs) < 2), way
    )  # fmt: skip


def _upscale_clip(
    source: str, target: str, network: Upscaler | None, way: Way, options: dict[str, Any], resume: bool
) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    try:
        import av  # noqa: F401

        from srbench.video import VideoOptions, upscale_video
    except ImportError:
        raise InputError(f"clips need PyAV: {install('video')}") from None
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[fps]}"), TimeRemainingColumn())
    with Progress(TextColumn("upscaling"), *columns) as shown:
        task = shown.add_task("upscaling", total=None, fps="")
        upscale_video(
            network, source, target, VideoOptions(**options), way, resume=resume,
            progress=lambda done, total: shown.update(
                task, completed=done, total=total, fps=f"{shown.tasks[0].speed or 0:.2f} fps"
            ),
        )  # fmt: skip
    click.echo(f"wrote {target}")
