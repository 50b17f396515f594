"""Whether a change moved a number: scores of the whole zoo and weights of two short trainings, before and after.

    python -m tests.same_numbers before.json                        # at the old commit
    python -m tests.same_numbers after.json --against before.json   # at the new one; exit 1 where a bit differs

Both runs must use one machine and one environment: other kernels sum in another order. The commands are those of a user, so
that the file compares any two versions of srbench; ``make same BEFORE=file`` runs the second line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SETS = "set5,set14,sample"
TRAININGS = {
    "fsrcnn_x4.psnr": ["fsrcnn", "--steps", "40", "--name", "psnr", "--set", "val_every=20"],
    "srgan_s_x4.gan": ["srgan_s", "--recipe", "srgan-v2", "--steps", "12", "--name", "gan", "--set", "val_every=6"],
}


def srbench(home: Path, *arguments: str) -> None:
    """Run one command of this checkout with ``home`` as its folder."""
    environment = os.environ | {"SRBENCH_HOME": str(home), "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    environment.setdefault("SRBENCH_DIRTY", "1")
    subprocess.run([sys.executable, "-m", "srbench", *arguments], env=environment, check=True, cwd=home)


def scores(home: Path, datasets: str) -> dict[str, list[float | str | None]]:
    """Every score of the zoo and the interpolators, by cell and metric."""
    srbench(home, "eval", "--all", "--datasets", datasets, "--protocol", "standard,classic", "--no-report",
            "--device", "cpu", "--json")  # fmt: skip
    found = {}
    for path in sorted((home / "results" / "quality").rglob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        for metric, held in record.get("metrics", {}).items():
            if held.get("values"):
                found[f"{path.relative_to(home / 'results' / 'quality').with_suffix('')} {metric}"] = held["values"]
    return found


def weights(home: Path) -> dict[str, str]:
    """sha256 of the weights that two short trainings end with."""
    found = {}
    for name, command in TRAININGS.items():
        srbench(home, "train", *command, "--size", "cpu", "--threads", "1", "--device", "cpu")
        model, _, rest = name.rpartition("_x4.")
        path = home / "zoo" / model / f"x4.{rest}.safetensors"
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def measure(datasets: str) -> dict[str, object]:
    """Everything, in a folder of its own with a copy of the zoo."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        subprocess.run(["cp", "-r", str(CHECKOUT / "zoo"), str(home / "zoo")], check=True)
        return {"scores": scores(home, datasets), "weights": weights(home)}


def differences(before: dict[str, dict[str, object]], after: dict[str, dict[str, object]]) -> list[str]:
    """One line for each cell or training whose bits differ, or that one side lacks."""
    lines = []
    for kind in ("scores", "weights"):
        for key in sorted(before[kind].keys() | after[kind].keys()):
            old, new = before[kind].get(key), after[kind].get(key)
            if old != new:
                lines.append(f"{key}: {old} before, {new} after")
    return lines


def main() -> int:
    """The command line; 1 where a number moved."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--datasets", default=SETS)
    asked = parser.parse_args()
    found = measure(asked.datasets)
    asked.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    values = sum(len(held) for held in found["scores"].values())
    sys.stdout.write(f"{len(found['scores'])} cells and metrics, {values} scores, {len(found['weights'])} trainings\n")
    if not asked.against:
        return 0
    moved = differences(json.loads(asked.against.read_text(encoding="utf-8")), json.loads(asked.out.read_text()))
    for line in moved:
        sys.stdout.write(f"{line[:300]}\n")
    sys.stdout.write("every bit is the same\n" if not moved else f"{len(moved)} differ\n")
    return 1 if moved else 0


if __name__ == "__main__":
    raise SystemExit(main())
