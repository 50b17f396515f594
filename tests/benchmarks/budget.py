"""The time that was asked for with ``--budget``, and the time that was used: the table of docs/training.md.

    python -m tests.benchmarks.budget                     print it
    python -m tests.benchmarks.budget --write             and put it into docs/training.md

Each run is a fresh ``srbench train`` on one thread, by the clock on the wall; what else the machine does moves its pace.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from srbench.files import write_text
from srbench.markdown import table, with_part
from srbench.zoo import Card, find_checkpoint

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/training.md"
MODELS = ("espcn", "fsrcnn", "btsrn", "srresnet_s", "edsr_baseline")


def trained(model: str, budget: float, folder: Path) -> Card:
    """The card of ``model``, trained for ``budget`` seconds into ``folder``.

    Raises:
        CalledProcessError: the training failed.
    """
    command = ["train", model, "--recipe", "tuned", "--size", "cpu", "--budget", f"{budget:g}s", "--name", "timed"]
    subprocess.run(
        [sys.executable, "-m", "srbench", *command, "--threads", "1", "--dirty"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "SRBENCH_HOME": str(folder), "OMP_NUM_THREADS": "1"},
    )
    return find_checkpoint(f"{model}_x4.timed", folder / "zoo")


def measured(models: Sequence[str], budget: float) -> str:
    """The table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            card = trained(model, budget, Path(folder))
            off = card.wall_time_s / budget - 1
            rows.append([model, f"{budget:g}", f"{card.wall_time_s:.1f}", f"{off:+.1%}", f"{card.steps:,}"])
    return table(["network", "asked (s)", "used (s)", "off by", "steps"], rows, "lrrrr")


def main() -> None:
    """Measure, print, and write where that is asked for."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("models", nargs="*", default=MODELS)
    asked.add_argument("--budget", type=float, default=60.0, metavar="SECONDS")
    asked.add_argument("--write", action="store_true", help="put the table into docs/training.md")
    options = asked.parse_args()
    made = measured(options.models, options.budget)
    sys.stdout.write(f"{made}\n")
    if options.write:
        write_text(PAGE, with_part(PAGE.read_text(encoding="utf-8"), "budget", f"{made}\n", PAGE))


if __name__ == "__main__":
    main()
