"""The time that was asked for with ``--budget``, and the time that was used, as each run says at its end.

    python -m tests.benchmarks.budget                     of five networks
    python -m tests.benchmarks.budget espcn --budget 20

Each run is a fresh ``srbench train`` on one thread, by the clock on the wall; what else the machine does moves its pace.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from srbench.markdown import table

MODELS = ("espcn", "fsrcnn", "btsrn", "srresnet_s", "edsr_baseline")


def used(model: str, budget: float, home: Path) -> tuple[int, float]:
    """Steps and seconds of ``model``, trained for ``budget`` seconds with its files in ``home``.

    Raises:
        CalledProcessError: the training failed.
    """
    command = ["train", model, "--recipe", "tuned", "--size", "cpu", "--budget", f"{budget:g}s", "--name", "timed"]
    done = subprocess.run(
        [sys.executable, "-m", "srbench", *command, "--threads", "1", "--dirty"],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "SRBENCH_HOME": str(home), "OMP_NUM_THREADS": "1"},
    )
    ((steps, seconds),) = re.findall(r"(\d+) steps in ([0-9.]+) s of a budget", done.stdout)
    return int(steps), float(seconds)


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("models", nargs="*", default=MODELS)
    asked.add_argument("--budget", type=float, default=60.0, metavar="SECONDS")
    options = asked.parse_args()
    sys.stdout.write(measured(options.models, options.budget))


def measured(models: Sequence[str], budget: float) -> str:
    """The table."""
    rows = []
    with tempfile.TemporaryDirectory() as home:
        for model in models:
            steps, seconds = used(model, budget, Path(home))
            rows.append([model, f"{budget:g}", f"{seconds:.1f}", f"{seconds / budget - 1:+.1%}", f"{steps:,}"])
    return table(["network", "asked (s)", "used (s)", "off by", "steps"], rows, "lrrrr")


if __name__ == "__main__":
    main()
