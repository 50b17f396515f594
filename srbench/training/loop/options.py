"""How a run is carried out, in contrast to what it learns, which the recipe says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from srbench.errors import InputError, SrbenchError
from srbench.training.data.cache import default_disk, default_memory


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; none of it changes what is learned, but ``threads`` changes the last bits.

    Attributes:
        name: the checkpoint's recipe part; the recipe's name by default.
        data_root: folder with the datasets.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads, 0 for torch's default.
        zoo: folder that takes the checkpoint; zoo/ by default.
        resume: go on from the saved state, if there is one.
        overwrite: replace a run and a checkpoint of the same name.
        skip_bad: leave out images that cannot be read.
        save_seconds: time between saved states.
        cache_memory: bytes of decoded images that are kept in memory; more of them are mapped from a cache on disk. A
            quarter of the machine's memory by default.
        cache_disk: bytes of that cache; what would take more is decoded when it is drawn. Half of what is free, at most 32 GiB,
            by default.
        progress: show a bar.
        trackers: who else is told of log lines and sample images: ``csv``, ``tensorboard``, ``wandb``.
        runs: folder of the runs; runs/ by default.
        budget: seconds of training, which replace the recipe's steps; 0 for the recipe's.
        extend: seconds by which a run that has ended is made longer; 0 for none.
        allow_overlap: train on images that show what test images show; the card and each record say so.
        dirty: train although the package's files differ from their commit; the card says so.

    Raises:
        InputError: a number below 0, or none.
    """

    name: str = ""
    data_root: str | None = None
    device: str = "auto"
    threads: int = 0
    zoo: Path | None = None
    resume: bool = False
    overwrite: bool = False
    skip_bad: bool = False
    save_seconds: float = 60.0
    cache_memory: float | None = None
    cache_disk: float | None = None
    progress: bool = True
    trackers: tuple[str, ...] = ()
    runs: Path | None = None
    budget: float = 0.0
    extend: float = 0.0
    allow_overlap: bool = False
    dirty: bool = False

    def __post_init__(self) -> None:
        for name, value, least in (
            ("threads", self.threads, "0, torch's default, or more"),
            ("save_seconds", self.save_seconds, "0 or more seconds"),
            ("budget", self.budget, "0 or more seconds"),
            ("extend", self.extend, "0 or more seconds"),
            ("cache_memory", self.cache_memory or 0, "0 or more bytes"),
            ("cache_disk", self.cache_disk or 0, "0 or more bytes"),
        ):
            if not value >= 0:  # nor NaN
                raise InputError(f"{name} = {value:g}: expected {least}")

    @property
    def memory(self) -> float:
        """The bound of decoded images in memory, in bytes."""
        return default_memory() if self.cache_memory is None else self.cache_memory

    @property
    def disk(self) -> float:
        """The bound of decoded images on disk, in bytes."""
        return default_disk() if self.cache_disk is None else self.cache_disk


class InterruptedRunError(SrbenchError):
    """The user stopped a run; its state is saved."""
