"""Runs that lie under runs/: what each has come to, read from its log without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from srbench.errors import InputError, SrbenchError, UnknownNameError
from srbench.files import listed
from srbench.home import home
from srbench.names import PATTERN
from srbench.records import is_sealed, read_toml, unseal
from srbench.training.loop.folder import LOCK, RECIPE, SAMPLES, lock
from srbench.training.loop.log import LOG, read_log

Status = Literal["running", "stopped", "done"]


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        name: its folder's path below runs/; the checkpoint's name, within ``ablate-…/`` for a cell of an ablation.
        folder: where it lies.
        status: ``running`` while a process holds it, ``done`` after its last step, else ``stopped``.
        step: that of the last log line.
        steps: the recipe's.
        best: best validation PSNR in dB, None before the first validation.
        bicubic: the same for bicubic.
        seconds: of training, at the last validation.
        collapse: the last log line's, of an adversarial run.
        recipe: the flat recipe.
        fault: what is wrong with its log; "" for nothing.
    """

    name: str
    folder: Path
    status: Status
    step: int
    steps: int
    best: float | None
    bicubic: float | None
    seconds: float
    collapse: str
    recipe: dict[str, Any]
    fault: str = ""


def runs_root() -> Path:
    """The folder of the runs; it need not exist."""
    return home() / "runs"


def list_runs(root: Path | None = None, broken: list[SrbenchError] | None = None) -> list[Run]:
    """Every run below a folder, cells of ablations included, by name.

    Args:
        root: the folder; runs/ by default.
        broken: takes what is wrong with each run that cannot be read, which is then left out.

    Raises:
        InputError: as :func:`read_run`, where ``broken`` is not given.
    """
    root = root or runs_root()
    folders = [path.parent for pattern in (f"*/{LOG}", f"*/*/{LOG}") for path in listed(root, pattern)]
    found = []
    for folder in sorted(folders):
        try:
            found.append(read_run(folder, root))
        except InputError as error:
            if broken is None:
                raise
            broken.append(error)
    return found


def find_run(name: str, root: Path | None = None) -> Run:
    """The run called ``name``; raises UnknownNameError with the nearest name."""
    root = root or runs_root()
    known = name and all(re.fullmatch(PATTERN, part) for part in name.split("/"))
    if not known or not (root / name / LOG).is_file():
        raise UnknownNameError("run", name, (run.name for run in list_runs(root, broken=[])), str(root))
    return read_run(root / name, root)


def read_run(folder: Path, root: Path) -> Run:
    """The run in a folder; raises InputError where its recipe cannot be read or is not what was written."""
    try:
        recipe = read_toml(folder / RECIPE, "the recipe of a run")
    except OSError as error:
        raise InputError(f"{folder / RECIPE} cannot be read: {error.strerror}") from None
    recipe = unseal(recipe, folder / RECIPE) if is_sealed(recipe) else recipe
    log = read_log(folder)
    lines = log.lines
    step, steps = max((line["step"] for line in lines), default=0), int(recipe.get("steps", 0))
    scores = [line["val_psnr"] for line in lines if "val_psnr" in line and line["step"]]
    status: Status = "running" if _held(folder) else "done" if step >= steps else "stopped"
    logged = [line for line in lines if "lr" in line]
    return Run(
        name=str(folder.relative_to(root)),
        folder=folder,
        status=status,
        step=step,
        steps=steps,
        best=max(scores, default=None),
        bicubic=next((line["val_bicubic"] for line in lines if "val_bicubic" in line), None),
        seconds=max((line["seconds"] for line in lines if "seconds" in line), default=0.0),
        collapse=str(logged[-1].get("collapse", "")) if logged else "",
        recipe=recipe,
        fault=log.remark(folder),
    )


def sample_files(folder: Path) -> tuple[Path, dict[int, Path], Path] | None:
    """Columns of sample images: LR, SR by step, HR; None before the first."""
    samples = folder / SAMPLES
    steps = {int(path.stem.partition("-")[2]): path for path in listed(samples, "sr-*.png")}
    return (samples / "lr.png", steps, samples / "hr.png") if steps else None


def _held(folder: Path) -> bool:
    path = folder / LOCK
    if not path.is_file():
        return False
    with path.open("r+", encoding="utf-8") as file:
        return not lock(file)
