"""Records: round trip, refusal of what is broken, and the promise that a reader never sees half a file."""

from __future__ import annotations

import errno
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from srbench import results
from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.records import seal
from srbench.results import MetricScores, Result


def scores(values: Sequence[float | None], **fields: Any) -> MetricScores:
    usual = {"unit": "dB", "higher_is_better": True, "digits": 2, "version": 1, "space": "channel"}
    return MetricScores(values=list(values), **{**usual, **fields})


def record(values: Sequence[float | None] | None = None, **fields: Any) -> Result:
    values = [30.0, 31.5] if values is None else values
    usual: dict[str, Any] = {
        "checkpoint": "fsrcnn_x4.tuned",
        "model": "fsrcnn",
        "dataset": "set5",
        "scale": 4,
        "protocol": "standard.v1",
        "images": [f"{i}.png" for i in range(len(values))],
        "metrics": {"psnr": scores(values)},
    }
    return Result(**{**usual, **fields})


def failed(**fields: Any) -> Result:
    return record(**{"status": "no_weights", "reason": "no checkpoint", "images": [], "metrics": {}, **fields})


values = st.lists(st.floats(allow_nan=False).filter(lambda v: v != -math.inf), min_size=1, max_size=8)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@settings(max_examples=30)
@given(values=values, checkpoint=names, dataset=names, variant=st.one_of(st.just(""), names))
def test_a_record_survives_its_file(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], checkpoint: str, dataset: str, variant: str
) -> None:
    root = tmp_path_factory.mktemp("results")
    result = record(values, checkpoint=checkpoint, dataset=dataset, variant=variant, options={"skip": "bicubic"})
    path = results.write_result(result, root)
    assert path.parent.parent.parent == root / "quality"
    assert results.read_results(root) == [result]
    assert results.find_result(checkpoint, dataset, 4, "standard.v1", variant, root) == result
    constants: list[str] = []
    json.loads(path.read_text(encoding="utf-8"), parse_constant=constants.append)
    assert not constants, "JSON has no Infinity and no NaN"


@given(st.lists(st.tuples(names, st.one_of(st.just(""), names)), min_size=2, max_size=2, unique=True))
def test_two_cells_never_share_a_path(cells: list[tuple[str, str]]) -> None:
    first, second = (results.cell_path(name, "set5", 4, "standard.v1", variant, "r") for name, variant in cells)
    assert first != second


def test_path_is_the_documented_one(srbench_home: Path) -> None:
    expected = srbench_home / "results/quality/set5_x4/standard.v1/fsrcnn_x4.tuned+tile128.json"
    assert results.result_path(record(variant="tile128")) == expected
    assert results.find_result("fsrcnn_x4.tuned", "set5", 4, "standard.v1") is None
    assert results.read_results() == []


def test_infinity_is_a_string_in_the_file(tmp_path: Path) -> None:
    path = results.write_result(record([math.inf, 30.0]), tmp_path)
    assert json.loads(path.read_text())["metrics"]["psnr"]["values"] == ["inf", 30.0]
    assert results.read_result(path).mean("psnr") == math.inf


def test_means_and_their_absence() -> None:
    assert record([30.0, 31.0]).mean("psnr") == 30.5
    with pytest.raises(UnknownNameError, match="psnr"):
        record().mean("psmr")
    with pytest.raises(UnavailableError, match="no checkpoint"):
        failed().mean("psnr")
    lpips = scores([], status="unavailable", reason="no backbone")
    result = record(metrics={"psnr": scores([1.0, 2.0]), "lpips": lpips})
    with pytest.raises(UnavailableError, match="no backbone"):
        result.mean("lpips")


@pytest.mark.parametrize(
    "fields",
    [
        {"values": [30.0, None]},
        {"values": [30.0, math.nan]},
        {"values": [30.0, -math.inf]},
        {"metrics": {"psnr": {}}},
        {"metrics": {}},
        {"images": ["0.png"]},
        {"images": ["a.png", "a.png"]},
        {"status": "oom"},
        {"colour": "blue"},
        {"scale": 0},
        {"schema_version": 2},
    ],
    ids=str,
)
def test_a_record_that_contradicts_itself_cannot_be_made(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        record(**fields)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        record().scale = 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema version 99; this srbench reads up to 1: install a newer one"),
        ({"colour": "blue"}, "unknown key 'colour'"),
        ({"scale": "four"}, "scale = 'four': "),
        ({"kind": "speed"}, "kind = 'speed': "),
        ({"checkpoint": "other"}, "/quality/set5_x4/standard.v1/other.json: move or remove it"),
    ],
    ids=str,
)
def test_a_bad_record_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = results.write_result(record(), tmp_path)
    path.write_text(json.dumps(seal(json.loads(path.read_text()) | change)))
    with pytest.raises(InputError) as caught:
        results.read_results(tmp_path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", '{"scale": 4', "[]", "\xff", '{"seconds": NaN}'])
def test_broken_json_is_named(tmp_path: Path, text: str) -> None:
    path = results.write_result(record(), tmp_path)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"fsrcnn_x4\.tuned\.json is not a result"):
        results.read_results(tmp_path)


def test_tidy_frame_has_a_row_a_image_and_metric(tmp_path: Path) -> None:
    ssim = scores([0.8, 0.9], unit="", digits=4, version=3)
    lpips = scores([], status="unavailable", reason="no backbone")
    metrics = {"psnr": scores([math.inf, 30.0]), "ssim": ssim, "lpips": lpips}
    fields: dict[str, Any] = {"options": {"skip": "bicubic"}, "provenance": {"torch": "2.15.0"}}
    results.write_result(record(metrics=metrics, protocol_fields={"channel": "y"}, **fields), tmp_path)
    results.write_result(failed(checkpoint="drrn", model="drrn"), tmp_path)
    frame = results.load_results(tmp_path, provenance=True)
    assert frame.groupby("metric").size().to_dict() == {"psnr": 2, "ssim": 2, "lpips": 1}
    assert frame.loc[frame["metric"] == "ssim", "metric_version"].tolist() == [3, 3]
    first = frame[frame["checkpoint"] == "fsrcnn_x4.tuned"].iloc[0]
    assert (first["option_skip"], first["provenance_torch"], first["protocol_channel"]) == ("bicubic", "2.15.0", "y")
    [missing] = frame[frame["checkpoint"] == "drrn"].to_dict("records")
    assert (missing["status"], missing["reason"], math.isnan(missing["value"])) == ("no_weights", "no checkpoint", True)
    [backbone] = frame[frame["metric"] == "lpips"].to_dict("records")
    assert (backbone["status"], backbone["reason"], math.isnan(backbone["value"])) == (
        "unavailable",
        "no backbone",
        True,
    )
    assert frame["value"].max() == math.inf


def test_frame_without_records_has_the_usual_columns(tmp_path: Path) -> None:
    frame = results.load_results(tmp_path)
    assert len(frame) == 0
    assert {"checkpoint", "dataset", "scale", "protocol", "image", "metric", "value", "status"} <= set(frame.columns)
    assert list(record().frame.columns) == list(frame.columns) == list(results.FRAME_COLUMNS)
    assert list(frame.columns[:3]) == ["image", "metric", "value"]
    assert record().frame.dtypes["value"] == frame.dtypes["value"] == "float64"
    assert record().frame.dtypes["scale"] == "int64"


def test_a_notebook_shows_a_result_and_nothing_of_a_name_becomes_markup() -> None:
    evil = record([30.0, 31.5], checkpoint="<script>")
    shown = evil._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "30.75" in shown, "the mean"
    assert "no checkpoint" in failed()._repr_html_()


def _write_repeatedly(root: Path, seed: int, times: int) -> None:
    for _ in range(times):
        results.write_result(record([float(seed)] * 500), root)


def test_writers_of_one_cell_and_readers_meanwhile(tmp_path: Path) -> None:
    results.write_result(record([0.0] * 500), tmp_path)
    context = multiprocessing.get_context(
        "spawn"
    )  # a fork of a process with threads may inherit a lock that nobody frees
    writers = [context.Process(target=_write_repeatedly, args=(tmp_path, seed, 40)) for seed in (1, 2, 3)]
    for writer in writers:
        writer.start()
    reads = 0
    while any(writer.is_alive() for writer in writers) or not reads:
        [result] = results.read_results(tmp_path)
        assert len(set(result.metrics["psnr"].values)) == 1
        reads += 1
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert reads > 5
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["fsrcnn_x4.tuned.json"]


_ENDLESS_WRITER = """
import sys
from srbench import results
result = results.read_results(sys.argv[1])[0]
print("ready", flush=True)
while True:
    results.write_result(result, sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_sigkill_leaves_no_half_file(tmp_path: Path) -> None:
    result = record([math.pi] * 20_000)
    path = results.write_result(result, tmp_path)
    for delay in (0.0, 0.013, 0.031):
        arguments = [sys.executable, "-c", _ENDLESS_WRITER, str(tmp_path)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        assert results.read_results(tmp_path) == [result]
    (path.parent / f".{path.name}.1.abcd.tmp").write_text('{"half": ')
    (path.parent / ".hidden.json").write_text("{")
    assert results.read_results(tmp_path) == [result]


def test_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = record([1.0])
    path = results.write_result(old, tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        results.write_result(record([2.0]), tmp_path)
    assert caught.value.filename == str(path)
    assert results.read_results(tmp_path) == [old]
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


_LIMITED_WRITER = """
import resource, signal, sys
from srbench import results
result = results.read_results(sys.argv[1])[0]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    results.write_result(result, sys.argv[1])
except OSError as error:
    sys.exit(0 if error.filename else 3)
sys.exit(4)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on file sizes on this system")
def test_a_write_that_stops_half_way_keeps_the_old_file(tmp_path: Path) -> None:
    result = record([math.pi] * 5000)
    path = results.write_result(result, tmp_path)
    arguments = [sys.executable, "-c", _LIMITED_WRITER, str(tmp_path)]
    assert subprocess.run(arguments, check=False).returncode == 0
    assert results.read_results(tmp_path) == [result]
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


def test_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import srbench; srbench.load_results; srbench.Result"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
