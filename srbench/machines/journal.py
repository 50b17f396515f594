"""Files on a shared folder that say what was planned and what became of it.

Each launch has a folder in ``jobs/``: ``launch.json`` says which jobs there are, and each job appends a line a piece of work to
its own ``job-N.jsonl``, so that no two machines write one file. A job that is requeued goes on in the same file. A line that a
killed job left half written is passed over, and so is its work: it was not done.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from srbench.errors import InputError, UnknownNameError
from srbench.files import listed
from srbench.home import home
from srbench.records import parse, read_json, unseal, write_json

_LAUNCH = "launch.json"


class Amount(BaseModel):
    """How much work a piece is.

    Attributes:
        images: of the set.
        pixels: of all its HR images.
        mult_adds: of the network over all its images.
        activations: numbers that its convolutions put out over all images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int = 0
    pixels: int = 0
    mult_adds: int = 0
    activations: int = 0


class Entry(BaseModel):
    """What became of one piece of work, where and how long it took.

    Attributes:
        work: its name, such as ``fsrcnn_x4.tuned set5 x4 standard.v1``.
        state: ``measured``, ``kept`` or ``failed`` of cells; ``trained``, ``failed`` or ``stopped`` of networks.
        reason: why it failed or stopped.
        notes: what a reader of its numbers must know.
        faults: why it, or a part of it, has no number although it should.
        host: the machine's name.
        device: ``cpu`` or the GPU's name.
        pid: of the process.
        started: ISO 8601, UTC.
        seconds: wall time.
        cpu_seconds: processor time, of all threads.
        startup: seconds that the process had taken before the job's first piece of work, processor time on a CPU and wall time on
            a GPU; 0 for its other pieces.
        amount: how much work it was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    work: str
    state: Literal["measured", "kept", "failed", "trained", "stopped"]
    reason: str = ""
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    host: str = ""
    device: str = ""
    pid: int = 0
    started: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    startup: float = 0.0
    amount: Amount = Amount()


class Planned(BaseModel):
    """One job as it was submitted.

    Attributes:
        id: the scheduler's number of it; of a local job, its process.
        work: names of its pieces, in their order.
        share: of all the work of the launch, by the estimate, from 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    work: tuple[str, ...]
    share: float = 0.0


class Launch(BaseModel):
    """What was submitted in one go.

    Attributes:
        command: ``eval`` or ``train``.
        cluster: ``slurm`` or ``local``.
        host: where it was submitted.
        created: ISO 8601, UTC.
        where: the folder that results go to, as the command was given it.
        jobs: in the order of their journals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: Literal["eval", "train"]
    cluster: Literal["slurm", "local"]
    host: str = ""
    created: str = ""
    where: str = ""
    jobs: tuple[Planned, ...] = ()


class Clock:
    """Makes the entries of one job: knows machine and process, and measures from one entry to the next."""

    def __init__(self, device: str) -> None:
        import psutil

        self._device = device
        self._startup = time.process_time() if device == "cpu" else time.time() - psutil.Process().create_time()
        self._again()

    def _again(self) -> None:
        self._started, self._wall, self._processor = datetime.now(UTC), time.perf_counter(), time.process_time()

    def entry(
        self,
        work: str,
        state: str,
        reason: str = "",
        *,
        notes: Sequence[str] = (),
        faults: Sequence[str] = (),
        amount: Amount | None = None,
    ) -> Entry:
        """What has just ended."""
        made = Entry.model_validate(
            {
                "work": work,
                "state": state,
                "reason": reason,
                "notes": tuple(notes),
                "faults": tuple(faults),
                "host": socket.gethostname(),
                "device": self._device,
                "pid": os.getpid(),
                "started": self._started.isoformat(timespec="seconds"),
                "seconds": time.perf_counter() - self._wall,
                "cpu_seconds": time.process_time() - self._processor,
                "startup": self._startup,
                "amount": amount or Amount(),
            }
        )
        self._startup = 0.0
        self._again()
        return made


def jobs_root() -> Path:
    """The folder of all launches."""
    return home() / "jobs"


def new_folder(command: str, root: Path | None = None) -> Path:
    """An empty folder for a launch, named by the time; OSError where it cannot be made or written to."""
    parent = root or jobs_root()
    parent.mkdir(parents=True, exist_ok=True)
    stem = f"{command}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for name in (stem, *(f"{stem}-{number}" for number in range(2, 1000))):
        try:
            (parent / name).mkdir()
        except FileExistsError:
            continue
        return parent / name
    raise InputError(f"{parent} has a thousand launches of this second")


def list_launches(root: Path | None = None) -> list[Path]:
    """The folders of launches, oldest first."""
    found = listed(root or jobs_root(), f"*/{_LAUNCH}")
    return sorted((path.parent for path in found), key=lambda path: path.name.partition("-")[2])


def find_launch(name: str, root: Path | None = None) -> Path:
    """The folder of a launch by its name, or the last one.

    Raises:
        UnknownNameError: none is called so.
        InputError: nothing was launched.
    """
    found = list_launches(root)
    if not found and not name:
        raise InputError(
            f"nothing was launched here: {root or jobs_root()} has no launch, which --launcher submitit makes"
        )
    chosen = [path for path in found if path.name == name] if name else found[-1:]
    if not chosen:
        raise UnknownNameError("launch", name, (path.name for path in found), str(root or jobs_root()))
    return chosen[0]


def started_here(
    command: Literal["eval", "train"], cluster: Literal["slurm", "local"], where: str, jobs: Sequence[Planned]
) -> Launch:
    """A launch from this machine, now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Launch(
        command=command, cluster=cluster, host=socket.gethostname(), created=now, where=where, jobs=tuple(jobs)
    )


def write_launch(folder: Path, launch: Launch) -> None:
    """Say what was submitted."""
    write_json(folder / _LAUNCH, launch.model_dump(mode="json"))


def read_launch(folder: Path) -> Launch:
    """What was submitted; raises as a record's reader."""
    path = folder / _LAUNCH
    return parse(Launch, unseal(read_json(path, "a launch"), path), f"{path} is not a launch")


def journal_path(folder: Path, number: int) -> Path:
    """The journal of one job."""
    return folder / f"job-{number}.jsonl"


def add(path: Path, entry: Entry) -> None:
    """Append a line; after half a line of a process that was killed it begins a new one."""
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            torn = file.read(1) != b"\n"
        else:
            torn = False
        file.write((b"\n" if torn else b"") + entry.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_journal(path: Path) -> list[Entry]:
    """The entries of one job; none where it has not begun."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found = []
    for line in filter(None, lines):
        try:
            found.append(Entry.model_validate_json(line))
        except ValidationError:  # half a line
            continue
    return found


def read_journals(launches: Iterable[Path]) -> list[Entry]:
    """The entries of all jobs of some launches, by their folders."""
    return [entry for folder in launches for path in listed(folder, "job-*.jsonl") for entry in read_journal(path)]


@dataclass(frozen=True)
class Where:
    """What one job did, and where.

    Attributes:
        number: in its launch.
        id: the scheduler's.
        hosts: that it ran on, several where it was requeued.
        devices: that it computed on.
        attempts: processes that wrote into its journal.
        planned: pieces of work that it was given.
        done: of these.
        failed: of these.
        share: of all the work, by the estimate.
        seconds: wall time of its pieces.
        cpu_seconds: processor time.
    """

    number: int
    id: str
    hosts: tuple[str, ...]
    devices: tuple[str, ...]
    attempts: int
    planned: int
    done: int
    failed: int
    share: float
    seconds: float
    cpu_seconds: float

    @property
    def lacking(self) -> int:
        """Pieces of which nothing is known: not done yet, or lost with the job."""
        return self.planned - self.done - self.failed


def what_ran_where(folder: Path) -> list[Where]:
    """A row a job of a launch."""
    rows = []
    for number, job in enumerate(read_launch(folder).jobs):
        entries = read_journal(journal_path(folder, number))
        last = {entry.work: entry for entry in entries}
        failed = sum(entry.state in ("failed", "stopped") for entry in last.values())
        rows.append(
            Where(
                number=number,
                id=job.id,
                hosts=tuple(dict.fromkeys(entry.host for entry in entries)),
                devices=tuple(dict.fromkeys(entry.device for entry in entries)),
                attempts=len({(entry.host, entry.pid) for entry in entries}),
                planned=len(job.work),
                done=len(last) - failed,
                failed=failed,
                share=job.share,
                seconds=sum(entry.seconds for entry in entries),
                cpu_seconds=sum(entry.cpu_seconds for entry in entries),
            )
        )
    return rows
