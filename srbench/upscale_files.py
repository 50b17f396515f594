"""Image files through an upscaler: one file, or a folder of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from srbench.errors import InputError
from srbench.images import SUFFIXES, list_images, read_image, read_profile, write_image
from srbench.upscaler import Upscaler, upscale_array

Jobs = list[tuple[Path, Path]]


def plan_files(source: Path | str, target: Path | str, skipped: list[str] | None = None) -> Jobs:
    """Which file becomes which: a file into a file or a folder, every image of a folder into a folder (as PNG).

    Every input is read, so that nothing is written before all is known to be good.

    Args:
        source: a file or a folder.
        target: a file or a folder.
        skipped: takes why each image of a folder that cannot be read is left out; without it such an image is an error.

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
    return _readable(jobs, skipped if folder else None, source)


def _readable(jobs: Jobs, skipped: list[str] | None, source: Path) -> Jobs:
    good = []
    for path, out in jobs:
        try:
            read_image(path)
        except InputError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
            continue
        good.append((path, out))
    if not good:
        raise InputError(f"{source}: none of its {len(jobs)} images can be read; the first: {(skipped or [''])[0]}")
    return good


def upscale_files(
    upscaler: Upscaler, jobs: Jobs, track: Callable[[Jobs], Iterable[tuple[Path, Path]]] = lambda jobs: jobs
) -> list[Path]:
    """Upscale and write, with the colour profile of the input; ``track`` goes over the jobs and may show how far it is.

    Returns:
        the files written.
    """
    for path, out in track(jobs):
        write_image(out, upscale_array(upscaler, read_image(path)), read_profile(path))
    return [out for _, out in jobs]
