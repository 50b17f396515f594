"""Everything worth doing on a GPU that is lent for minutes, in an order of value, each part with its share of the time.

    python -m tests.gpu_session pack gpu-pack               # here: data and weights, below 60 MiB, to be carried along
    python -m tests.gpu_session run gpu-pack gpu-out        # there: tests, times, trainings; logs and weights in gpu-out
    python -m tests.gpu_session run gpu-pack out --device cpu --seconds 60      # a rehearsal

``make gpu`` does both. A part that fails or takes longer than its share is ended, and the next one begins; summary.json says
what became of each.
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
from dataclasses import dataclass, replace
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LIMIT = 60 * 2**20
SETS = (
    "T91",
    "BSDS500_test",
    "Set5",
)  # what fits beside VGG; full data would need a download that a lent machine has no net for
DATA = "t91+bsds500-test"
VAL = "val=10"


@dataclass(frozen=True)
class Part:
    """One part of a session.

    Attributes:
        name: of its log.
        share: of the whole time, at most.
        command: after ``python -m``; ``{budget}`` is its time in seconds, less what starting takes.
    """

    name: str
    share: float
    command: tuple[str, ...]


def training(network: str, recipe: str, name: str, share: float, *more: str) -> Part:
    """One training, by a recipe at the size that the packed images hold, for its share of the time."""
    return Part(
        f"train-{network}-{name}",
        share,
        ("srbench", "train", network, "--recipe", recipe, "--name", name, "--size", "cpu", "--data", DATA, "--set", VAL,
         "--set", "batch=16", "--budget", "{budget}s", "--overwrite", "--track", "csv", *more),
    )  # fmt: skip


PARTS = (
    Part("tests", 0.12, ("pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider")),
    Part("speed", 0.13, ("srbench", "speed", "--all", "--scale", "4", "--seconds", "2")),
    # The parents of the adversarial networks first, then their children, then networks that a CPU trains too slowly.
    training("srresnet", "tuned", "tuned-nearest", 0.17, "--set", "options.upsampler=upsampling"),
    training("srgan", "srgan-v2", "srgan-v2", 0.14),
    training("rrdb_s", "tuned", "tuned", 0.12),
    training("esrgan_s", "esrgan-wgan-gp-v2", "esrgan-wgan-gp-v2", 0.10),
    training("srgan", "srgan-wgan-clip-v2", "srgan-wgan-clip-v2", 0.10),
    training("edsr_baseline", "tuned", "tuned-gpu", 0.12),
)
_STARTING = 0.25  # of a part's share, for imports, reading images and the last validation


def pack(folder: Path) -> int:
    """Write images and weights to ``folder``; bytes in all. What does not fit is left out and named."""
    data, weights = (Path(os.environ[name]) for name in ("SRBENCH_DATA", "SRBENCH_WEIGHTS"))
    shutil.rmtree(folder, ignore_errors=True)
    total = sum(_pack_images(data / name, folder / "data" / name) for name in SETS)
    for name in ("alexnet_features", "vgg16_features"):
        path = _in_half(weights / f"{name}.safetensors", folder / "weights" / f"{name}.safetensors")
        if total + path.stat().st_size > LIMIT:
            sys.stdout.write(f"left out: {path.name} ({path.stat().st_size / 2**20:.1f} MiB)\n")
            path.unlink()
            continue
        total += path.stat().st_size
    sys.stdout.write(f"{folder}: {total / 2**20:.1f} of {LIMIT / 2**20:.0f} MiB\n")
    return total


def _pack_images(source: Path, target: Path) -> int:
    """Copies of a set's images; those that are no JPEG as lossless WebP, which is smaller and has the same pixels."""
    from PIL import Image

    total = 0
    for path in sorted(path for path in source.rglob("*") if path.suffix.lower() in (".png", ".bmp", ".jpg")):
        if "LR" in path.relative_to(source).parts[0]:
            continue
        out = target / path.relative_to(source)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out)
        if path.suffix.lower() != ".jpg":
            smaller = out.with_suffix(".webp")
            with Image.open(path) as image:
                image.save(smaller, lossless=True, method=4)
            (out if smaller.stat().st_size < out.stat().st_size else smaller).unlink()
            out = smaller if smaller.exists() else out
        total += out.stat().st_size
    return total


def _in_half(source: Path, target: Path) -> Path:
    from safetensors.torch import load_file, save_file

    target.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.half() for key, value in load_file(source).items()}, target)
    return target


def run(packed: Path, out: Path, device: str, seconds: float, only: str = "") -> int:
    """Carry out every part, or ``only`` the one of that name, within ``seconds`` in all; 1 where one failed."""
    (out / "logs").mkdir(parents=True, exist_ok=True)
    if not (out / "zoo").exists():
        shutil.copytree(CHECKOUT / "zoo", out / "zoo")
    environment = os.environ | {
        "SRBENCH_HOME": str(out.resolve()),
        "SRBENCH_DATA": str((packed / "data").resolve()),
        "SRBENCH_WEIGHTS": str((packed / "weights").resolve()),
        "PYTHONPATH": str(CHECKOUT),
    }
    begun, summary = time.monotonic(), []
    parts = [replace(part, share=1.0) for part in PARTS if part.name == only] if only else PARTS
    for part in parts:
        limit = min(part.share * seconds, seconds - (time.monotonic() - begun))
        became = _carried_out(part, limit, device, environment, out) if limit > 1 else {"outcome": "no time left"}
        summary.append({"part": part.name, **became})
        (out / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
        sys.stdout.write(f"{summary[-1]}\n")
        sys.stdout.flush()
    return int(any(row["outcome"] == "failed" for row in summary))


def _carried_out(part: Part, limit: float, device: str, environment: dict[str, str], out: Path) -> dict[str, object]:
    """Run a part for ``limit`` seconds at most; a run that is interrupted saves what it has."""
    budget = max(1.0, (1 - _STARTING) * limit)
    command = [sys.executable, "-m", *(word.format(budget=f"{budget:.0f}") for word in part.command)]
    command += ["--device", device] if part.command[0] == "srbench" else []
    begun = time.monotonic()
    with (out / "logs" / f"{part.name}.txt").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            code = process.wait(timeout=max(1.0, limit))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
            code = None
    outcome = "ended at its share" if code is None else "done" if code in (0, 5) else "failed"  # 5: no test to run
    return {"outcome": outcome, "seconds": round(time.monotonic() - begun, 1), "share": round(limit, 1)}


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
    runner.add_argument("--only", default="", choices=["", *(part.name for part in PARTS)])
    asked = parser.parse_args()
    if asked.what == "pack":
        return int(pack(asked.folder) > LIMIT)
    return run(asked.packed, asked.out, asked.device, asked.seconds, asked.only)


if __name__ == "__main__":
    raise SystemExit(main())
