"""Jobs on many machines: packing, journals, and evaluations and trainings whose jobs are killed and preempted."""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st

from srbench.cli import main
from srbench.datasets.local import find_dataset
from srbench.errors import InputError, UnknownNameError
from srbench.evaluation.cell_cost import CellModel, amount_of, fit
from srbench.evaluation.simulate import PART, Campaign, simulate, write_into
from srbench.images import write_image
from srbench.machines import cluster, journal
from srbench.machines.journal import Amount, Entry, Planned, journal_path, what_ran_where
from srbench.machines.packing import least_makespan, makespan, pack
from srbench.markdown import marks
from srbench.results import read_results
from srbench.subjects import resolve_one
from tests import slurm_here
from tests.builders import smooth, write_images

ROOT = Path(__file__).resolve().parent.parent
COSTS = st.lists(st.floats(0, 1e6, allow_nan=False), max_size=60)


# Packing


@example([0.0, 0.0], 2)
@given(COSTS, st.integers(1, 12))
def test_each_piece_goes_into_one_job(costs: list[float], jobs: int) -> None:
    packed = pack(costs, jobs)
    assert sorted(itertools.chain(*packed)) == list(range(len(costs)))
    assert len(packed) == min(jobs, len(costs))
    assert all(indices == sorted(indices) and indices for indices in packed)
    loads = [sum(costs[index] for index in indices) for indices in packed]
    assert loads == sorted(loads, reverse=True)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=7), st.integers(1, 3))
def test_longest_first_keeps_grahams_bound(costs: list[int], jobs: int) -> None:
    best = min(
        max(sum(cost for cost, job in zip(costs, choice, strict=True) if job == one) for one in range(jobs))
        for choice in itertools.product(range(jobs), repeat=len(costs))
    )
    ours = max(sum(costs[index] for index in indices) for indices in pack(costs, jobs))
    assert best <= ours <= (4 / 3 - 1 / (3 * jobs)) * best + 1e-9
    assert least_makespan(costs, [1.0] * jobs) <= best


def test_a_free_worker_takes_the_next_job() -> None:
    assert makespan([4, 1, 1, 1], [1, 1]) == 4
    assert makespan([1, 1, 1, 4], [1, 1]) == 5
    assert makespan([], [1, 1, 1]) == 0
    assert makespan([2, 2, 2], [0.5, 1]) == 4
    assert least_makespan([2, 2, 2], [0.5, 1]) == 4
    assert least_makespan([9, 1], [0.5, 1]) == 9


# Journals


def test_half_a_line_is_no_work_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "job-0.jsonl"
    clock = journal.Clock("cpu")
    journal.add(path, clock.entry("a", "measured"))
    with path.open("ab") as file:
        file.write(b'{"work":"b","state":"meas')
    journal.add(path, clock.entry("c", "failed", "why"))
    assert [(entry.work, entry.reason) for entry in journal.read_journal(path)] == [("a", ""), ("c", "why")]
    assert journal.read_journal(tmp_path / "job-1.jsonl") == []


def test_what_ran_where_counts_the_last_word_on_each_piece(tmp_path: Path) -> None:
    folder = journal.new_folder("eval", tmp_path)
    jobs = [Planned(id="7", work=("a", "b", "c"), share=0.6), Planned(id="8", work=("d",), share=0.4)]
    journal.write_launch(folder, journal.started_here("eval", "local", "", jobs))
    clock = journal.Clock("cpu")
    for work, state in (("a", "measured"), ("b", "failed"), ("b", "measured")):
        journal.add(journal_path(folder, 0), clock.entry(work, state))
    first, second = what_ran_where(folder)
    assert (first.done, first.failed, first.lacking, first.planned, first.attempts) == (2, 0, 1, 3, 1)
    assert (second.done, second.lacking, second.hosts) == (0, 1, ())
    assert journal.find_launch("", tmp_path) == folder
    with pytest.raises(UnknownNameError, match="eval-"):
        journal.find_launch(folder.name + "x", tmp_path)


def test_a_changed_launch_is_refused(tmp_path: Path) -> None:
    folder = journal.new_folder("eval", tmp_path)
    journal.write_launch(folder, journal.started_here("eval", "local", "", [Planned(id="7", work=("a",))]))
    file = folder / "launch.json"
    file.write_text(file.read_text().replace('"7"', '"9"'))
    with pytest.raises(InputError, match="checksum"):
        journal.read_launch(folder)


# Costs


def entries(rates: CellModel, networks: int = 5, device: str = "cpu") -> list[Entry]:
    found = []
    for network, size in itertools.product(range(networks), range(1, 5)):
        amount = Amount(images=3 * size, pixels=10**6 * size**2, mult_adds=10**8 * (network + 1) * size**2)
        took = rates(amount)
        found.append(
            Entry(
                work=f"n{network}_x4.a s{size}",
                state="measured",
                device=device,
                seconds=9,
                cpu_seconds=took,
                amount=amount,
            )
        )
    return found


def test_a_fit_finds_the_rates_that_made_the_times() -> None:
    rates = CellModel(image=0.02, pixel=3e-7, mult_add=5e-11)
    fitted = fit(entries(rates))
    assert fitted.typical_error < 1e-6
    assert fitted.model.mult_add == pytest.approx(rates.mult_add, rel=1e-3)
    assert (fitted.cells, fitted.networks, fitted.device) == (20, 5, "cpu")


def test_a_fit_needs_cells() -> None:
    with pytest.raises(InputError, match=r"0 cells.*srbench eval"):
        fit([])
    with pytest.raises(InputError, match="of 2 networks"):
        fit(entries(CellModel(image=1), networks=2))


def test_a_deeper_network_costs_more_and_pixels_count() -> None:
    images = find_dataset("sample")
    small, large = (amount_of(resolve_one(name, 4), images, 4) for name in ("bicubic", "edsr_baseline_x4.tuned"))
    assert small.pixels == large.pixels > 0
    assert 100 * small.mult_adds < large.mult_adds


def test_a_simulation_is_above_the_bound_and_packing_beats_turns(tmp_path: Path) -> None:
    measured = entries(CellModel(image=0.02, pixel=3e-7, mult_add=5e-11))
    measured[0] = measured[0].model_copy(update={"startup": 8.0})
    found = simulate(Campaign(checkpoints=30, sets=3, scales=2, workers=4), measured)
    assert found.cells == 30 * 3 * 2
    assert found.startup == 8.0
    by_name = {way.name: way for way in found.ways}
    assert all(way.known >= found.least and way.over >= 1 for way in found.ways)
    assert by_name["longest first, 1 × the workers"].known < by_name["in turn, as torchrun does"].known
    page = tmp_path / "page.md"
    start, end = marks(PART)
    page.write_text(f"before\n{start}\nformer\n{end}\nafter\n")
    write_into(page, found)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "former" not in text
    page.write_text("nothing marked")
    with pytest.raises(InputError, match="plan:start"):
        write_into(page, found)


# Bad input


def srbench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def launch(*arguments: object) -> Result:
    return srbench("eval", "bicubic", "--datasets", "sample", "--launcher", "submitit", *arguments)


def refused(done: Result, *words: str) -> None:
    assert done.exit_code in (1, 2)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    [line] = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    for word in words:
        assert word in line


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = slurm_here.install(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_without_slurm_or_the_extra_nothing_is_started(srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(launch(), "no SLURM", "--cluster local")
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda _: None)
    refused(launch("--cluster", "local"), "pip install 'srbench[submitit]'")
    assert list(srbench_home.iterdir()) == []


def test_options_of_jobs_are_checked(srbench_home: Path, slurm: Path) -> None:
    refused(launch("--partition", "gpus"), "unknown partition 'gpus'", "'gpu'")
    refused(launch("--slurm", "acount=x"), "unknown option of SLURM 'acount'", "'account'")
    refused(launch("--slurm", "nodes=2"), "unknown option of SLURM 'nodes'")
    refused(launch("--slurm", "account"), "KEY=VALUE")
    refused(launch("--jobs", "0"), "--jobs")
    refused(launch("--job-time", "soon"), "--job-time", "20m")
    refused(launch("--cluster", "local", "--partition", "gpu"), "--partition")
    refused(srbench("eval", "bicubic", "--jobs", "2"), "--launcher")
    refused(srbench("train", "fsrcnn", "--launcher", "submitit"), "--all")
    assert not (srbench_home / "results").exists()


def test_handlers_of_logging_stay_open(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other packages' handlers close what they write to, which may be the terminal or a test's captured output."""
    closed: list[str] = []

    class Handler(logging.Handler):
        def close(self) -> None:
            closed.append("closed")
            super().close()

    handler = Handler()
    for name in [name for name in sys.modules if name.partition(".")[0] == "submitit"]:
        monkeypatch.delitem(sys.modules, name)
    cluster.check(cluster.Cluster())
    assert "submitit" in sys.modules
    assert closed == []
    assert "SUBMITIT_LOG_LEVEL" not in os.environ
    handler.close()


def test_what_slurm_refuses_is_said_in_its_words(srbench_home: Path, slurm: Path) -> None:
    refused(launch("--partition", "full"), "QOS policy")


def test_a_folder_that_cannot_be_written_to_is_named(srbench_home: Path) -> None:
    (srbench_home / "jobs").write_text("in the way")
    refused(launch("--cluster", "local"), str(srbench_home / "jobs"))


def test_no_launch_is_no_table(srbench_home: Path) -> None:
    refused(srbench("jobs"), "nothing was launched here", str(srbench_home / "jobs"))
    refused(srbench("jobs", "--launch", "eval-1"), "eval-1")


# Real jobs

SLOW = """
import time
import torch

class Slow(torch.nn.Module):
    scale = 2
    identity = "slow {seed}"

    def forward(self, x):
        time.sleep(0.4)
        return torch.nn.functional.interpolate(x, scale_factor=2, mode="bicubic") * (1 - {seed} / 100)
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Path]:
    """Arguments of an evaluation of sixteen slow cells, and the folder of its records."""
    monkeypatch.setenv("SRBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for folder in ("one", "two"):
        for index in range(3):
            write_image(tmp_path / folder / f"p{index}.png", smooth(40, 48, index))
    names = []
    for seed in range(8):
        (tmp_path / f"slow{seed}.py").write_text(SLOW.format(seed=seed))
        names.append(f"{tmp_path}/slow{seed}.py:Slow")
    sets = f"{tmp_path / 'one'},{tmp_path / 'two'}"
    return ["eval", *names, "--datasets", sets, "--metrics", "psnr,ssim", "--no-report"], tmp_path / "records"


def python(arguments: list[str], *more: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "srbench", *arguments, *map(str, more)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], Any], seconds: float = 240) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)
    return found


def scores(root: Path) -> dict[str, Any]:
    """What must not depend on where a cell was measured."""
    return {
        f"{r.checkpoint} {r.dataset} {r.protocol}": (
            r.images,
            {n: m.model_dump() for n, m in r.metrics.items()},
            r.cell_hash,
        )
        for r in read_results(root)
    }


def worker_of(home: Path, number: int) -> psutil.Process | None:
    """The process of a job that has done one cell at least, and not all."""
    entries = [e for path in (home / "jobs").glob(f"*/job-{number}.jsonl") for e in journal.read_journal(path)]
    return psutil.Process(entries[-1].pid) if 0 < len(entries) < 3 else None


@pytest.mark.slow
def test_two_of_four_jobs_are_killed_and_one_is_preempted(plan: tuple[list[str], Path], tmp_path: Path) -> None:
    arguments, records = plan
    home = tmp_path / "home"
    local = ["--results", records, "--launcher", "submitit", "--cluster", "local", "--jobs", 4]
    first = python(arguments, *local)
    for number, what in ((0, signal.SIGKILL), (1, signal.SIGKILL), (2, signal.SIGUSR2)):
        wait_for(lambda number=number: worker_of(home, number)).send_signal(what)
    _, said = first.communicate(timeout=400)
    assert first.returncode == 1
    assert said.count("ended without") == 2, said
    lost = 16 - len(read_results(records))
    assert 2 <= lost < 8
    folder = journal.find_launch("", home / "jobs")
    rows = what_ran_where(folder)
    assert [row.lacking > 0 for row in rows] == [True, True, False, False]
    assert rows[2].attempts == 2, "the preempted job was started anew"
    assert sum(row.planned for row in rows) == 16

    second = python(arguments, *local)
    _, said = second.communicate(timeout=400)
    assert second.returncode == 0, said
    assert f"{lost} measured, {16 - lost} as stored" in said
    serial = python(arguments, "--results", tmp_path / "serial")
    _, said = serial.communicate(timeout=400)
    assert serial.returncode == 0, said
    assert len(scores(records)) == 16
    assert scores(records) == scores(tmp_path / "serial")


@pytest.mark.slow
def test_slurm_runs_an_array_requeues_what_is_preempted_and_is_waited_for(
    plan: tuple[list[str], Path], slurm: Path, tmp_path: Path
) -> None:
    arguments, records = plan
    more = ["--results", records, "--launcher", "submitit", "--jobs", 3, "--partition", "gpu", "--slurm", "account=a"]
    first = python(arguments, *more)
    wait_for(lambda: worker_of(tmp_path / "home", 0)).send_signal(signal.SIGUSR2)
    first.send_signal(signal.SIGINT)  # the user goes home: jobs go on
    _, said = first.communicate(timeout=100)
    assert "the same command waits" in said
    second = python(arguments, *more)
    _, said = second.communicate(timeout=400)
    assert second.returncode == 0, said
    assert "still run" in said
    assert len(scores(records)) == 16
    assert len(list((tmp_path / "home" / "jobs").glob("*/launch.json"))) in (1, 2)
    text = slurm_here.asked(slurm)
    for line in ("--partition=gpu", "--account=a", "--gpus-per-node=1", "--signal=USR2@120"):
        assert f"#SBATCH {line}" in text
    rows = [row for folder in journal.list_launches(tmp_path / "home" / "jobs") for row in what_ran_where(folder)]
    assert rows[0].attempts == 2


@pytest.mark.slow
def test_each_network_is_trained_in_a_job_and_a_child_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    from srbench.training.jobs import train_in_jobs
    from srbench.training.loop.options import RunOptions
    from srbench.training.zoo import RecipeRequest

    images = write_images(tmp_path / "images")
    monkeypatch.setattr(
        "srbench.training.zoo.served", lambda request: ["fsrcnn_s", "espcn"][: 1 + (request.name == "b")]
    )
    keys = {"data": str(images), "val": 2, "patch": 8, "batch": 4, "steps": 6, "val_every": 3}
    parent = RecipeRequest("tuned", keys, "cpu", "cpu", name="a")
    child = RecipeRequest("tuned", {**keys, "init_from": "fsrcnn_s_x4.a"}, "cpu", "cpu", name="b")
    said: list[str] = []
    options = RunOptions(device="cpu", threads=1)
    outcome, [folder] = train_in_jobs([parent, child], options, cluster.Cluster("local", jobs=4), said.append)
    assert [card.name for card in outcome.cards] == ["fsrcnn_s_x4.a", "fsrcnn_s_x4.b"], said
    assert outcome.failed == ("espcn_x4.b",), "another network has no use for the parent's weights"
    rows = [entry for number in range(3) for entry in journal.read_journal(journal_path(folder, number))]
    assert (rows[0].work, rows[0].state) == ("fsrcnn_s_x4.a", "trained")
    assert {entry.state for entry in rows} == {"trained", "failed"}
    again, folders = train_in_jobs([parent], options, replace(cluster.Cluster("local"), jobs=1), said.append)
    assert folders == []
    assert again.cards[0] == outcome.cards[0]
    assert json.loads((folder / "launch.json").read_text())["command"] == "train"
