"""Image files through an upscaler: one file, a folder of them, or a tree of folders."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srbench.bands import begin
from srbench.errors import InputError
from srbench.images import SUFFIXES, list_images, natural_order
from srbench.photos import Photo, Wanted, finished, for_format, network_inputs, read_photo, write_photo
from srbench.upscaler import Upscaler

Jobs = list[tuple[Path, Path]]
Run = Callable[[Upscaler, Any], Any]


@dataclass(frozen=True)
class Selection:
    """Which images are upscaled, and what their files are called.

    Attributes:
        format: suffix of what a folder's images become, without its dot.
        recursive: go into folders within the folder, and mirror them.
        skip_existing: leave out images whose output is there; files are written whole or not at all.
        skip_bad: leave out images that cannot be used, instead of stopping before the first.
    """

    format: str = ""
    recursive: bool = False
    skip_existing: bool = False
    skip_bad: bool = False


@dataclass
class Plan:
    """What there is to do.

    Attributes:
        jobs: inputs and their outputs.
        existing: how many outputs are there already and are left as they are.
        bad: why images were left out, a line each.
        inputs: every image that was asked for.
    """

    jobs: Jobs
    existing: int = 0
    bad: list[str] = field(default_factory=list)
    inputs: tuple[Path, ...] = ()


def plan_files(source: Path | str, target: Path | str, selection: Selection | None = None) -> Plan:
    """Which file becomes which: a file into a file or a folder, every image of a folder into a folder (as PNG by default).

    Every input is read, so that nothing is written before all is known to be good.

    Args:
        source: a file or a folder.
        target: a file or a folder.
        selection: which images, and how they are called.

    Raises:
        InputError: no images, one that cannot be read, two that would become one, an output that cannot be written or would
            replace its own input.
    """
    source, target, selection = Path(source), Path(target), selection or Selection()
    jobs = _named_jobs(source, target, selection)
    _check_outputs(source, jobs)
    plan = Plan(jobs, inputs=tuple(path for path, _ in jobs))
    if selection.skip_existing:
        plan.jobs = [(path, out) for path, out in jobs if not out.exists()]
        plan.existing = len(jobs) - len(plan.jobs)
    plan.jobs = [job for job in plan.jobs if _usable(*job, plan.bad if selection.skip_bad else None)]
    if plan.bad and not plan.jobs and not plan.existing:
        raise InputError(f"{source}: none of its {len(jobs)} images can be read; the first: {plan.bad[0]}")
    return plan


def _named_jobs(source: Path, target: Path, selection: Selection) -> Jobs:
    suffix = f".{selection.format.lower().removeprefix('.')}" if selection.format else ""
    if source.is_dir():
        inputs = _tree(source, target) if selection.recursive else list_images(source)
        if not inputs:
            raise InputError(f"{source}: no images; expected {', '.join(SUFFIXES)}")
        return [(path, target / path.relative_to(source).with_suffix(suffix or ".png")) for path in inputs]
    if target.is_dir():
        return [(source, target / f"{source.stem}{suffix or '.png'}")]
    if suffix and target.suffix.lower() != suffix:
        raise InputError(f"{target}: its suffix says another format than --format {selection.format}")
    return [(source, target)]


def _tree(source: Path, target: Path) -> list[Path]:
    """The images of a folder and of those within it, without hidden ones and without the output."""
    found: list[Path] = []
    out = target.resolve()
    for folder, inner, _ in os.walk(source, onerror=_unreadable):
        here = Path(folder)
        inner[:] = [
            name
            for name in sorted(inner, key=natural_order)
            if not name.startswith(".") and (here / name).resolve() != out
        ]
        found += list_images(here)
    return found


def _unreadable(error: OSError) -> None:
    raise InputError(f"{error.filename}: the folder cannot be read ({error.strerror})")


def _check_outputs(source: Path, jobs: Jobs) -> None:
    writers: dict[str, Path] = {}
    for path, out in jobs:
        other = writers.setdefault(str(out).lower(), path)  # in any case: not every disk tells A.png from a.png
        if other is not path:
            raise InputError(f"{source}: {other.name} and {path.name} would both be written to {out}; rename one")
    inputs = {path.resolve() for path, _ in jobs}
    for _, out in jobs:
        if out.resolve() in inputs:
            raise InputError(f"{out}: would overwrite its own input; choose another OUT")
        if out.suffix.lower() not in SUFFIXES:
            kind = out.suffix or "a file without suffix"
            raise InputError(f"{out}: cannot write {kind}; expected {', '.join(SUFFIXES)}")


def _usable(path: Path, out: Path, bad: list[str] | None) -> bool:
    try:
        photo = read_photo(path)
        try:
            for_format(photo, out.suffix)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    except InputError as error:
        if bad is None:
            raise
        bad.append(str(error))
        return False
    return True


@dataclass(frozen=True)
class Way:
    """How images are upscaled.

    Attributes:
        wanted: how large SR shall be.
        network: gives the network that enlarges by a factor at least; not needed where the network's own is meant.
        run: puts an image through a network; as a whole, or in bands where it is large, by default.
        say: told what a user should know of an image, a line each time.
    """

    wanted: Wanted = field(default_factory=Wanted)
    network: Callable[[float], Upscaler] | None = None
    run: Run | None = None
    say: Callable[[str], None] = lambda text: warnings.warn(text, stacklevel=2)


def upscale_photo(upscaler: Upscaler | None, photo: Photo, way: Way | None = None) -> Photo:
    """SR of an image with all that stands around it.

    Args:
        upscaler: the network; None where ``way.network`` gives it.
        photo: the LR image.
        way: how large, and how.

    Raises:
        InputError: no network enlarges so far.
        UnavailableError: ``oom``, ``failed``.
    """
    return begin_photo(upscaler, photo, way)()


def begin_photo(upscaler: Upscaler | None, photo: Photo, way: Way | None = None) -> Callable[[], Photo]:
    """The network's part of :func:`upscale_photo`; calling the result does the rest, in any thread, and gives the SR image."""
    way = way or Way()
    size = None
    if way.wanted.open or way.network is None:
        assert upscaler is not None
        chosen = upscaler
    else:
        height, width = photo.pixels.shape[:2]
        chosen = way.network(way.wanted.network_factor(height, width))
        size = way.wanted.size(height, width)
        size = None if size == (height * chosen.scale, width * chosen.scale) else size
    ends = [_begin(way, chosen, part) for part in network_inputs(photo, exact=size is not None)]
    return lambda: finished(photo, [end() for end in ends], size)


def _begin(way: Way, upscaler: Upscaler, part: Any) -> Callable[[], Any]:
    if way.run is None:
        return begin(upscaler, part)
    made = way.run(upscaler, part)
    return lambda: made


def upscale_files(
    upscaler: Upscaler | None,
    jobs: Jobs,
    track: Callable[[Jobs], Iterable[tuple[Path, Path]]] = lambda jobs: jobs,
    way: Way | None = None,
) -> list[Path]:
    """Upscale and write. The next image is read and the last one written while the network runs.

    Args:
        upscaler: the network; None where ``way.network`` gives it.
        jobs: inputs and their outputs.
        track: goes over the jobs and may show how far it is.
        way: how large, and how.

    Returns:
        the files written.
    """
    way = way or Way()
    written: Future[tuple[str, ...]] | None = None
    with ThreadPoolExecutor(1, "reading") as reading, ThreadPoolExecutor(1, "writing") as writing:
        ahead = reading.submit(read_photo, jobs[0][0]) if jobs else None
        for index, (path, out) in enumerate(track(jobs)):
            assert ahead is not None
            photo = ahead.result()
            ahead = reading.submit(read_photo, jobs[index + 1][0]) if index + 1 < len(jobs) else None
            end = begin_photo(upscaler, photo, way)
            _say(way, written)
            written = writing.submit(_write, path, out, end)
        _say(way, written)
    return [out for _, out in jobs]


def _write(path: Path, out: Path, end: Callable[[], Photo]) -> tuple[str, ...]:
    """End and write an image; what a user should know of it."""
    made = for_format(end(), out.suffix)
    write_photo(out, made)
    return tuple(note if str(path) in note else f"{path}: {note}" for note in made.notes)


def _say(way: Way, written: Future[tuple[str, ...]] | None) -> None:
    """Say what is to be said of an image once it is written; what went wrong with it is raised."""
    for note in written.result() if written is not None else ():
        way.say(note)
