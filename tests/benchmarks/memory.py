"""Peak memory of measuring and upscaling 8K images, and of sets of more and more 2K images: the tables of docs/reliability.md.

    python -m tests.benchmarks.memory                 print both tables
    python -m tests.benchmarks.memory --write         and put them into docs/reliability.md
    python -m tests.benchmarks.memory --only sets
    python -m tests.benchmarks.memory --only 8k --threads 2     the same of two threads, where two cores are free

Each figure is the greatest resident memory (``ru_maxrss``) of a fresh ``srbench``, on one thread by default. What an image
takes as a whole is measured by the same command with bands turned off. Processor time is of the whole command, reading and
writing the image included; both ways take turns, and the ratio is the median of the turns, the memory the greatest.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srbench.files import write_text
from srbench.images import read_image, write_image
from srbench.markdown import table, with_part
from tests.builders import smooth

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reliability.md"
SUBJECTS = ("bicubic", "fsrcnn_x4.tuned")
SIZES = ((7680, 4320), (7681, 4321), (7679, 4319))
"""Width and height; 7681 is prime."""
TURNS = 3
COUNTS = (1, 10, 30, 100)
BUDGETS = (0.125,)
_THREADS = "SRBENCH_MEMORY_THREADS"
METRICS = ("--metrics", "psnr,ssim,lr-psnr")

# A small process starts the one that is measured, which would inherit the size of a large one.
_PEAK = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, done.stderr[-2000:], used.ru_maxrss * 1024, used.ru_utime + used.ru_stime]))
"""
_WHOLE = """
import srbench.process
srbench.process.LARGE = 2**62
import srbench.bands, srbench.measure
from srbench.cli import main
main()
"""


@dataclass(frozen=True)
class Used:
    """What a command took.

    Attributes:
        peak: greatest resident memory in bytes.
        seconds: of processor time.
    """

    peak: int
    seconds: float


def used(*arguments: object, bands: bool = True) -> Used:
    """What a fresh ``srbench`` takes; RuntimeError where it fails.

    Args:
        arguments: of the command line.
        bands: whether large images go in bands.
    """
    return _used(*(["-m", "srbench"] if bands else ["-c", _WHOLE]), *map(str, arguments))


def used_by(code: str) -> Used:
    """What a fresh Python takes for some code."""
    return _used("-c", code)


def _used(*arguments: str) -> Used:
    words = [sys.executable, "-c", _PEAK, sys.executable, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": os.environ.get(_THREADS, "1")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=1200)
    code, said, peak, seconds = json.loads(done.stdout)
    if code:
        raise RuntimeError(said)
    return Used(peak, seconds)


def large_image(folder: Path, width: int = 7680, height: int = 4320) -> Path:
    """An image of 8K, a small one repeated and made a little uneven."""
    image = np.tile(smooth(-(-height // 10), -(-width // 10)), (10, 10, 1))[:height, :width] // 2
    write_image(folder / "large.png", image + np.arange(width, dtype=np.uint8)[:, None] // 3)
    return folder


def set_of(folder: Path, count: int) -> Path:
    """A set of 2K images, all of one size and none like another."""
    image = np.tile(smooth(339, 510), (4, 4, 1))
    for number in range(count):
        write_image(folder / f"{number:03}.png", np.roll(image, (7 * number, 11 * number), axis=(0, 1)))
    return folder


def evaluated(name: str, images: Path, results: Path, *more: object, bands: bool = True) -> Used:
    """What measuring a set takes."""
    return used(
        "eval", name, "--datasets", images, "--scale", 4, *METRICS, "--results", results, *more, bands=bands
    )  # fmt: skip


def scores(results: Path) -> object:
    """The numbers of the only record of a folder."""
    (record,) = results.rglob("*.json")
    return {name: metric["values"] for name, metric in json.loads(record.read_text())["metrics"].items()}


def _row(what: str, way: Callable[[bool, Path], Used], seen: Callable[[Path], object], folder: Path) -> list[str]:
    """A command in bands and as a whole, ``TURNS`` times in turn.

    Args:
        what: its name.
        way: ``way(bands, out)`` runs it.
        seen: what it made, of ``out``.
        folder: a new one.
    """
    now, whole, same = [], [], True
    for turn in range(TURNS):
        outs = {bands: folder / f"{turn} {bands}" for bands in (True, False)}
        for bands in (True, False) if turn % 2 else (False, True):
            (now if bands else whole).append(way(bands, outs[bands]))
        same = same and seen(outs[True]) == seen(outs[False])
    ratio = statistics.median(a.seconds / b.seconds for a, b in zip(now, whole, strict=True))
    peaks = [f"{max(one.peak for one in used) / 1e9:.2f}" for used in (whole, now)]
    return [what, *peaks, f"{ratio:.2f}×", "yes" if same else "**no**"]


def eight_k(folder: Path, subjects: Sequence[str] = SUBJECTS, sizes: Sequence[tuple[int, int]] = SIZES) -> str:
    """The table of 8K images."""
    rows = []
    for width, height in sizes:
        images = large_image(folder / f"{width}", width, height)
        for name in subjects:

            def measure(bands: bool, out: Path, name: str = name, images: Path = images) -> Used:
                return evaluated(name, images, out, bands=bands)

            rows.append(_row(f"eval {name}, {width}×{height}", measure, scores, folder / f"{name} {width}"))
    small = folder / "small.png"
    write_image(small, np.ascontiguousarray(read_image(folder / f"{sizes[0][0]}" / "large.png")[::4, ::4]))
    for name in subjects:

        def enlarge(bands: bool, out: Path, name: str = name) -> Used:
            out.mkdir(parents=True)
            scale = [] if "_x" in name else ["--scale", 4]
            return used("upscale", small, out / "sr.png", "--checkpoint", name, *scale, bands=bands)

        what = f"upscale {name} to {sizes[0][0]}×{sizes[0][1]}"
        rows.append(_row(what, enlarge, lambda out: (out / "sr.png").read_bytes(), folder / name))
    return table(["8K", "GB as a whole", "GB in bands", "processor time", "same bits"], rows, "lrrrl")


def sets(folder: Path, counts: Sequence[int] = COUNTS, budgets: Sequence[float] = BUDGETS) -> str:
    """The table of sets of 2K images."""
    rows = []
    for count in counts:
        images = set_of(folder / f"set{count}", count)
        found = [
            evaluated("bicubic", images, folder / f"{count} {budget}", "--cache-memory", budget) for budget in budgets
        ]
        rows.append([f"{count}", *(f"{one.peak / 1e9:.2f}" for one in found)])
    heads = [f"GB with --cache-memory {budget:g}" for budget in budgets]
    return table(["images of 2040×1356", *heads], rows, "r" * (1 + len(budgets)))


PARTS = {"memory-8k": eight_k, "memory-sets": sets}


def main() -> None:
    """Measure, print, and write where that is asked for."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--write", action="store_true", help="put the tables into docs/reliability.md")
    asked.add_argument("--only", choices=[name.removeprefix("memory-") for name in PARTS])
    asked.add_argument("--threads", type=int, default=1, help="of each command")
    options = asked.parse_args()
    if options.write and options.threads != 1:
        asked.error("the page's tables are of one thread")
    os.environ[_THREADS] = str(options.threads)
    for name, measured in PARTS.items():
        if options.only and name != f"memory-{options.only}":
            continue
        with tempfile.TemporaryDirectory() as folder:
            made = measured(Path(folder))
        sys.stdout.write(f"{made}\n")
        sys.stdout.flush()
        if options.write:
            write_text(PAGE, with_part(PAGE.read_text(encoding="utf-8"), name, f"{made}\n", PAGE))


if __name__ == "__main__":
    main()
