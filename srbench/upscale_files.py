"""Image files through an upscaler: one file, or a folder of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from srbench.errors import InputError
from srbench.images import SUFFIXES, list_images, read_image, write_image
from srbench.upscaler import Upscaler, upscale_array

Jobs = list[tuple[Path, Path]]


def plan_files(source: Path | str, target: Path | str) -> Jobs:
    """Which file becomes which: a file into a file or a folder, every image of a folder into a folder (as PNG).

    Every input is read, so that nothing is written before all is known to be good.

    Raises:
        InputError: no images, one that cannot be read, two that would become one, an output that cannot be written or would
            replace its own input.
    """
    source, target = Path(source), Path(target)
    folder = source.is_dir()
    inputs = list_images(source) if folder else [source]
    if not inputs:
        raise InputError(f"{source}: no images; expected {', '.join(SUFFIXES)}")
    into = folder or target.is_dir()
    jobs = [(path, target / f"{path.stem}.png" if into else target) for path in inputs]
    writers: dict[str, Path] = {}
    for path, out in jobs:
        other = writers.setdefault(out.name.lower(), path)  # in any case: not every disk tells A.png from a.png
        if other is not path:
            raise InputError(f"{source}: {other.name} and {path.name} would both be written to {out}; rename one")
    for path, out in jobs:
        if out.resolve() == path.resolve():
            raise InputError(f"{out}: would overwrite its own input; choose another OUT")
        if out.suffix.lower() not in SUFFIXES:
            kind = out.suffix or "a file without suffix"
            raise InputError(f"{out}: cannot write {kind}; expected {', '.join(SUFFIXES)}")
        read_image(path)
    return jobs


def upscale_files(
    upscaler: Upscaler, jobs: Jobs, track: Callable[[Jobs], Iterable[tuple[Path, Path]]] = lambda jobs: jobs
) -> list[Path]:
    """Upscale and write; ``track`` goes over the jobs and may show how far it is.

    Returns:
        the files written.
    """
    for path, out in track(jobs):
        write_image(out, upscale_array(upscaler, read_image(path)))
    return [out for _, out in jobs]
