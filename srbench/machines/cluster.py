"""Jobs submitted, watched and requeued by submitit (extra ``submitit``): to SLURM, or as processes of this machine.

submitit pickles what a job calls into a folder that the machines share, and calls it there again when the scheduler preempts
the job or its time is up (signal USR2): the call must be one that goes on where it was stopped.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from srbench.errors import InputError, MissingExtraError, UnavailableError, UnknownNameError
from srbench.machines.journal import Launch

Kind = Literal["slurm", "local"]
Value = str | int | float | bool

_LOGGING = "SUBMITIT_LOG_LEVEL"
_REQUEUES = 20  # after a timeout; a preempted job is requeued without a bound
_ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE")
# Options of submitit that are ours to give, or no single value.
_OURS = {
    "job_name", "time", "partition", "nodes", "ntasks_per_node", "signal_delay_s", "array_parallelism", "use_srun", "num_gpus",
    "setup", "teardown", "srun_args", "additional_parameters", "stderr_to_stdout", "dependency",
}  # fmt: skip


@dataclass(frozen=True)
class Cluster:
    """Where jobs run, and how many.

    Attributes:
        kind: ``slurm``, or ``local`` for processes of this machine.
        jobs: the most at a time.
        seconds: that the scheduler gives a job before it is requeued.
        partition: of SLURM; its default where empty.
        options: further ones of SLURM, such as ``{"account": "vision", "cpus_per_task": 8}``.
        gpus: that each job asks SLURM for.
    """

    kind: Kind = "slurm"
    jobs: int = 8
    seconds: float = 4 * 3600.0
    partition: str = ""
    options: Mapping[str, Value] = field(default_factory=dict)
    gpus: int = 1


class Handle(Protocol):
    """A job that was submitted."""

    @property
    def id(self) -> str:
        """The scheduler's number of it."""

    def ended(self) -> bool:
        """Whether nothing more will come of it."""

    def why(self) -> str:
        """How it ended, in words."""


def _submitit() -> Any:
    """The package. Its import would configure logging, which closes all handlers that a process has and what they write to."""
    before = os.environ.get(_LOGGING)
    os.environ[_LOGGING] = "NOCONFIG"
    try:
        return importlib.import_module("submitit")
    finally:  # jobs are processes of their own: there submitit may log as it likes
        if before is None:
            del os.environ[_LOGGING]
        else:
            os.environ[_LOGGING] = before


def check(cluster: Cluster) -> None:
    """Find out whether jobs can be submitted, before anything else is done.

    Raises:
        UnavailableError: submitit is not installed, or there is no SLURM here.
        UnknownNameError: no such partition or option of SLURM, with the nearest.
    """
    if importlib.util.find_spec("submitit") is None:
        raise MissingExtraError("--launcher submitit needs the extra", "submitit")
    if cluster.kind == "local":
        return
    if lacking := [name for name in ("sbatch", "srun") if shutil.which(name) is None]:
        raise UnavailableError(
            "unavailable",
            f"no SLURM on this machine: {lacking[0]} is not found; submit from a login node, or --cluster local",
        )
    known = {*_submitit().SlurmExecutor._valid_parameters(), "mem_gb"} - _OURS
    for name in cluster.options:
        if name not in known:
            raise UnknownNameError("option of SLURM", name, known, "--slurm")
    there = _partitions()
    if cluster.partition and there and cluster.partition not in there:
        raise UnknownNameError("partition", cluster.partition, there, "SLURM (sinfo)")


def _partitions() -> list[str]:
    try:
        asked = subprocess.run(["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []  # sbatch will say
    return sorted(set(asked.stdout.split())) if asked.returncode == 0 else []


class Again:
    """What a job calls; when it is preempted, or its time is up, the same is called anew."""

    def __call__(self) -> None:
        """Do what is left to do."""
        raise NotImplementedError

    def checkpoint(self) -> Any:
        """What submitit is to call after the requeue."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def submit(cluster: Cluster, folder: Path, calls: Sequence[Again], name: str) -> list[Handle]:
    """Submit a job a call; with SLURM, as one array.

    Args:
        cluster: where to.
        folder: on which the machines share files; submitit's lie in its ``submitit``.
        calls: what each job does.
        name: that the scheduler shows.

    Raises:
        InputError: the scheduler refuses them, with its words.
    """
    submitit = _submitit()
    log = folder / "submitit"
    log.mkdir(parents=True, exist_ok=True)
    try:
        executor = submitit.AutoExecutor(folder=str(log), cluster=cluster.kind, **_requeues(cluster))
        executor.update_parameters(
            name=f"srbench-{name}", timeout_min=max(1, round(cluster.seconds / 60)), **_asked(cluster)
        )
        with executor.batch():
            jobs = [executor.submit(call) for call in calls]
    except submitit.core.utils.FailedJobError as error:
        raise InputError(f"SLURM refused the jobs: {_words(error)}") from None
    except (ValueError, AssertionError, NameError) as error:
        raise InputError(f"submitit refused an option: {_words(error)}") from None
    return [_Submitted(job) for job in jobs]


def _requeues(cluster: Cluster) -> dict[str, Any]:
    return {f"{cluster.kind}_max_num_timeout": _REQUEUES}


def _asked(cluster: Cluster) -> dict[str, Any]:
    """What submitit is told of a job. Alone for SLURM: this machine is as it is."""
    if cluster.kind == "local":
        return {"local_setup": []}
    asked: dict[str, Any] = {"slurm_array_parallelism": cluster.jobs, "slurm_signal_delay_s": 120}
    asked |= {"slurm_gpus_per_node": cluster.gpus} if cluster.gpus and not _gpus_asked(cluster.options) else {}
    asked |= {"slurm_partition": cluster.partition} if cluster.partition else {}
    return asked | {name if name == "mem_gb" else f"slurm_{name}": value for name, value in cluster.options.items()}


def _gpus_asked(options: Mapping[str, Value]) -> bool:
    return any("gpu" in name or name == "gres" for name in options)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


class _Submitted:
    """A job of this process's own submission."""

    def __init__(self, job: Any) -> None:
        self._job = job

    @property
    def id(self) -> str:
        return str(self._job.job_id)

    def ended(self) -> bool:
        return bool(self._job.done())

    def why(self) -> str:
        return _how_it_ended(self._job)


class _Earlier:
    """A job of an earlier launch, which its number alone tells."""

    def __init__(self, job_id: str, folder: Path, kind: Kind) -> None:
        self._id, self._kind, self._folder = job_id, kind, folder

    @property
    def id(self) -> str:
        return self._id

    def ended(self) -> bool:
        if self._kind == "local":
            return not _is_controller(self._id, self._folder)
        state = str(_submitit().SlurmJob(folder=self._folder / "submitit", job_id=self._id).state).upper().split()[0]
        return state in _ENDED

    def why(self) -> str:
        return "it has ended"


def _is_controller(pid: str, folder: Path) -> bool:
    """Whether the process of that number still is the one that submitit started for the folder, and no other."""
    import psutil

    try:
        process = psutil.Process(int(pid))
        return process.status() != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in process.cmdline())
    except (psutil.Error, ValueError):
        return False


def earlier(launch: Launch, folder: Path) -> list[Handle]:
    """The jobs of an earlier launch, in their order; those of another machine's processes are taken to have ended."""
    if launch.cluster == "local" and launch.host != socket.gethostname():
        return []
    return [_Earlier(job.id, folder, launch.cluster) for job in launch.jobs]


def _how_it_ended(job: Any) -> str:
    """The scheduler's word, and the last line that the job wrote as an error."""
    state = "ended"
    if job.paths.result_pickle.exists():
        state = "failed"
    elif (said := str(job.state)) not in ("UNKNOWN", "FINISHED"):
        state = said.lower()
    lines = [line.strip() for line in (job.stderr() or "").splitlines() if line.strip()]
    error = next((line for line in reversed(lines) if "Error" in line and not line.startswith("submitit")), "")
    return f"{state}{f': {error[:300]}' if error else ''}"
