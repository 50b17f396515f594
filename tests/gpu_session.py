"""Everything worth doing on a GPU that is lent for minutes, in an order of value, each part with its share of the time.

    python -m tests.gpu_session pack gpu-pack               # here: data, weights and the code, to be carried along
    python -m tests.gpu_session run gpu-pack gpu-out        # there: tests, times, trainings; logs and weights in gpu-out
    python -m tests.gpu_session run gpu-pack out --device cpu --seconds 60      # a rehearsal

``make gpu`` does both. Parts run beside each other as far as ``--jobs`` allows and what they need is done. A part that fails or
takes longer than its share is ended, and the others go on; summary.json says what became of each.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LIMIT = 60 * 2**20  # bytes of one load; what does not fit goes into the next folder
SETS = ("T91", "BSDS200", "BSDS500_test", "Set5")  # Set5 for the guard against leaks
BACKBONES = ("vgg16_features",)
_STARTING = 25.0  # seconds of a part for imports, reading images and the last validation, at most a quarter of it


@dataclass(frozen=True)
class Part:
    """One part of a session.

    Attributes:
        name: of its log.
        share: of the whole time, at most.
        command: after ``python -m``; ``{budget}`` is its time in seconds, less what starting takes.
        after: parts that must have ended well before.
        alone: nothing else runs meanwhile.
        processor: it is computed by the CPU, whatever computes the others.
    """

    name: str
    share: float
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    alone: bool = False
    processor: bool = False


def training(
    network: str,
    recipe: str,
    share: float,
    *more: str,
    name: str = "",
    after: tuple[str, ...] = (),
    processor: bool = False,
) -> Part:
    """One training, by a recipe at the size that the packed images hold, for its share of the time."""
    words = ("srbench", "train", network, "--recipe", recipe, "--size", "cpu", "--resume", "--track", "csv", *more)
    words += ("--name", name) if name else ()
    words += ("--threads", "1") if processor else ()
    words += () if "--steps" in more else ("--budget", "{budget}s")
    scale, seed = (more[more.index(key) + 1] if key in more else "" for key in ("--scale", "--seed"))
    parts = (network, f"x{scale}" * bool(scale), name or recipe, f"seed{seed}" * bool(seed))
    return Part("train-" + "-".join(filter(None, parts)), share, words, after, processor=processor)


_LARGE = ("--set", "patch=48", "--set", "batch=16")
_ADVERSARIAL = ("--set", "batch=16", "--set", "val_every=500")
_SRRESNET, _RRDB = ("train-srresnet-tuned-nearest",), ("train-rrdb_s-tuned",)
_NEAREST = ("--set", "options.upsampler=upsampling")


def _parts() -> Iterator[Part]:
    yield Part("tests", 0.10, ("pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider"), alone=True)
    # The parents of the adversarial networks first, then their children, then what a CPU trains too slowly.
    yield training("srresnet", "tuned", 0.40, *_LARGE, *_NEAREST, name="tuned-nearest")
    yield training("rrdb_s", "tuned", 0.40, *_LARGE)
    for recipe in ("srgan-v2", "srgan-perpix-v2", "srgan-wgan-clip-v2"):
        yield training("srgan", recipe, 0.50, *_ADVERSARIAL, after=_SRRESNET)
    for recipe in ("esrgan-v2", "esrgan-wgan-gp-v2"):
        yield training("esrgan_s", recipe, 0.50, *_ADVERSARIAL, after=_RRDB)
    for network in ("edsr_baseline", "msrresnet", "btsrn"):
        yield training(network, "tuned", 0.80, *_LARGE)
    yield training("vdsr", "tuned", 0.80, "--set", "patch=24", "--set", "batch=16")
    yield training("srresnet_s", "tuned", 0.40, *_NEAREST, name="tuned-nearest")
    for scale, seed in (("4", "0"), ("4", "1"), ("4", "2"), ("3", "0"), ("2", "0")):
        seeds = () if seed == "0" else ("--seed", seed)
        yield training("espcn", "tuned", 0.80, "--scale", scale, *seeds, processor=True)
    yield training("srcnn", "tuned", 0.80, "--scale", "4", processor=True)
    for number in range(12):  # processes that share the cells
        yield Part(f"equal-{number}", 0.90, ("srbench", "ablate", "zoo/ablations/equal-steps.toml"))
    yield Part(
        "speed",
        0.13,
        ("srbench", "speed", "--all", "--scale", "4", "--seconds", "1", "--variants", "eager,bf16+channels_last"),
        alone=True,
    )


PARTS = tuple(_parts())


def pack(folder: Path) -> int:
    """Write code, images and weights below ``folder``, in folders ``1``, ``2``, … of :data:`LIMIT` bytes each; how many."""
    data, weights = (Path(os.environ[name]) for name in ("SRBENCH_DATA", "SRBENCH_WEIGHTS"))
    part = folder.with_name(f"{folder.name}.part")  # a pack that was broken off is none
    for old in (folder, part):
        shutil.rmtree(old, ignore_errors=True)
    (part / "all").mkdir(parents=True)
    subprocess.run(
        ["git", "-C", str(CHECKOUT), "archive", "--output", str((part / "all" / "source.tar.gz").resolve()), "HEAD", "--",
         "srbench", "tests", "zoo/recipes", "zoo/ablations", "pyproject.toml", "README.md"],
        check=True,
    )  # fmt: skip
    for name in SETS:
        _pack_images(data / name, part / "all" / "data" / name)
    (part / "all" / "weights").mkdir()
    for name in BACKBONES:
        shutil.copy2(weights / f"{name}.safetensors", part / "all" / "weights")
    count = _in_loads(part)
    part.rename(folder)
    return count


def _in_loads(folder: Path) -> int:
    """Distribute the files of ``folder/all`` over as few folders below the limit as the largest-first rule finds."""
    loads: list[int] = []
    whole = folder / "all"
    found = [path for path in whole.rglob("*") if path.is_file()]
    # Weights last, so that the first load suffices for what looks through no other network.
    for path in sorted(found, key=lambda path: (path.suffix == ".safetensors", -path.stat().st_size, path)):
        size = path.stat().st_size
        number = next((number for number, load in enumerate(loads) if load + size <= LIMIT), len(loads))
        loads += [0] * (number == len(loads))
        loads[number] += size
        target = folder / str(number + 1) / path.relative_to(whole)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    shutil.rmtree(whole)
    for number, load in enumerate(loads, 1):
        sys.stdout.write(f"{folder.with_suffix('') / str(number)}: {load / 2**20:.1f} of {LIMIT / 2**20:.0f} MiB\n")
    return len(loads)


def _pack_images(source: Path, target: Path) -> None:
    """Copies of a set's images; those that are no JPEG as lossless WebP, which is smaller and has the same pixels."""
    from PIL import Image

    for path in sorted(path for path in source.rglob("*") if path.suffix.lower() in (".png", ".bmp", ".jpg")):
        if "LR" in path.relative_to(source).parts[0]:
            continue
        out = target / path.relative_to(source)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out)
        if path.suffix.lower() != ".jpg":
            smaller = out.with_suffix(".webp")
            with Image.open(path) as image:
                image.save(smaller, lossless=True, method=6, exact=True)
            (out if smaller.stat().st_size < out.stat().st_size else smaller).unlink()


def unpack(packed: Path, out: Path) -> None:
    """Put the loads of a pack together in ``out``."""
    for load in sorted(path for path in packed.iterdir() if path.is_dir()):
        shutil.copytree(load, out, dirs_exist_ok=True)


@dataclass
class Running:
    """A part that runs: its process, when it began, its time in seconds, and whether it was told that this is over."""

    part: Part
    process: subprocess.Popen[bytes]
    since: float
    limit: float
    told: bool = False


@dataclass
class Session:
    """Carries parts out beside each other.

    Attributes:
        out: the home of all runs.
        device: that computes.
        seconds: in all.
        jobs: parts at a time.
        summary: what became of each part that has ended, by name.
    """

    out: Path
    device: str
    seconds: float
    jobs: int
    environment: dict[str, str]
    summary: dict[str, dict[str, object]] = field(default_factory=dict)

    def run(self, parts: list[Part]) -> int:
        """Every part in turn, as soon as there is room for it and what it needs has ended well; 1 where one failed."""
        begun = time.monotonic()
        spread = min(1.0, self.jobs / sum(part.share for part in parts))
        running: list[Running] = []
        waiting = list(parts)
        while waiting or running:
            left = self.seconds - (time.monotonic() - begun)
            for part in list(waiting):
                if left <= 1 or self._lost(part):
                    waiting.remove(part)
                    self._ended(part.name, "no time left" if left <= 1 else "not begun: what it needs failed", 0, 0)
                elif self._may_begin(part, running):
                    waiting.remove(part)
                    running.append(self._begin(part, min(spread * part.share * self.seconds, left)))
                if part.alone and part in waiting and not self._blocked(part):
                    break  # what comes after it waits, so that it has its turn
            time.sleep(0.2)
            running = [one for one in running if self._goes_on(one)]
        return int(any(row["outcome"] == "failed" for row in self.summary.values()))

    def _lost(self, part: Part) -> bool:
        return any(name in self.summary and self.summary[name]["outcome"] != "done" for name in part.after)

    def _blocked(self, part: Part) -> bool:
        return not all(name in self.summary for name in part.after)

    def _may_begin(self, part: Part, running: list[Running]) -> bool:
        room = not running if part.alone else len(running) < self.jobs
        return room and not any(one.part.alone for one in running) and not self._blocked(part)

    def _begin(self, part: Part, limit: float) -> Running:
        budget = max(1.0, limit - min(_STARTING, 0.25 * limit))
        command = [sys.executable, "-m", *(word.format(budget=f"{budget:.0f}") for word in part.command)]
        command += ["--device", "cpu" if part.processor else self.device] if part.command[0] == "srbench" else []
        with (self.out / "logs" / f"{part.name}.txt").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=CHECKOUT, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        return Running(part, process, time.monotonic(), limit)

    def _goes_on(self, one: Running) -> bool:
        """Whether a part still runs. What has ended is noted; one whose time is over is interrupted, to save its state."""
        code, spent = one.process.poll(), time.monotonic() - one.since
        if code is not None:
            over = spent > one.limit
            outcome = "ended at its share" if over else "done" if code in (0, 5) else "failed"  # 5: no test
            self._ended(one.part.name, outcome, spent, one.limit)
            return False
        if spent > one.limit + 10:
            one.process.kill()
        elif spent > one.limit and not one.told:  # once: a second signal ends a run before its state is saved
            one.process.send_signal(signal.SIGINT)
            one.told = True
        return True

    def _ended(self, name: str, outcome: str, spent: float, limit: float) -> None:
        self.summary[name] = {"outcome": outcome, "seconds": round(spent, 1), "share": round(limit, 1)}
        (self.out / "summary.json").write_text(json.dumps(self.summary, indent=1), encoding="utf-8")
        sys.stdout.write(f"{name}: {self.summary[name]}\n")
        sys.stdout.flush()


def run(packed: Path, out: Path, asked: argparse.Namespace) -> int:
    """Carry out the parts that ``asked`` names, or all."""
    (out / "logs").mkdir(parents=True, exist_ok=True)
    if not (out / "zoo").exists():
        shutil.copytree(CHECKOUT / "zoo", out / "zoo")
    if not (packed / "data").exists():
        unpack(packed, packed)
    environment = os.environ | {
        "SRBENCH_HOME": str(out.resolve()),
        "SRBENCH_DATA": str((packed / "data").resolve()),
        "SRBENCH_WEIGHTS": str((packed / "weights").resolve()),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH", "")))),
        "OMP_NUM_THREADS": "1",
    }
    chosen = [part for part in PARTS if not asked.only or part.name.startswith(tuple(asked.only.split(",")))]
    return Session(out, asked.device, asked.seconds, asked.jobs, environment).run(chosen)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("pack").add_argument("folder", type=Path)
    runner = commands.add_parser("run")
    runner.add_argument("packed", type=Path)
    runner.add_argument("out", type=Path)
    runner.add_argument("--device", default="cuda")
    runner.add_argument("--seconds", type=float, default=570.0)
    runner.add_argument("--jobs", type=int, default=1, help="parts at a time")
    runner.add_argument("--only", default="", help="parts whose names begin with one of these, by commas")
    asked = parser.parse_args()
    if asked.what == "pack":
        return int(not pack(asked.folder))
    return run(asked.packed, asked.out, asked)


if __name__ == "__main__":
    raise SystemExit(main())
