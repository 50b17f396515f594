"""Speed records: stored whole, read back equal, found by what they are of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from srbench.errors import InputError
from srbench.records import seal
from srbench.speed_results import (
    Batch,
    SpeedResult,
    VariantSpeed,
    find_speed,
    load_speed_results,
    read_speed,
    read_speeds,
    speed_path,
    throughput,
    write_speed,
)


def timed(ms: float, **more: Any) -> VariantSpeed:
    return VariantSpeed(n=1, times_ms=[ms], median_ms=ms, images_per_s=1e3 / ms, **more)


def record(**changes: Any) -> SpeedResult:
    fields: dict[str, Any] = {
        "name": "fsrcnn_x4.tuned", "model": "fsrcnn", "scale": 4, "random_weights": False, "device": "amd-epyc-2-threads",
        "device_type": "cpu", "device_name": "AMD EPYC", "torch": "2.15.0", "threads": 2, "load_average": [0.1, 0.2, 0.3],
        "input": (180, 320), "output": (720, 1280), "run": "2026-01-01T00:00:00+00:00", "group": ["fsrcnn_x4.tuned"],
        "seconds": 60.0, "spread_limit": 0.25, "cost": {"mult_adds": 727_000_000, "paper_mult_adds": None},
        "variants": {
            "eager": timed(100.0, ratio=1.0),
            "bf16": timed(50.0, ratio=2.0, psnr_change=-0.001),
            "fp16": VariantSpeed(status="unavailable", reason="fp16 is for GPUs"),
        },
    }  # fmt: skip
    return SpeedResult(**(fields | changes))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    one = record()
    path = write_speed(one, tmp_path)
    assert path == tmp_path / "speed" / "amd-epyc-2-threads" / "fsrcnn_x4.tuned_x4.json"
    assert read_speed(path) == one
    assert read_speeds(tmp_path) == [one]
    assert find_speed("amd-epyc-2-threads", "fsrcnn_x4.tuned", 4, (180, 320), tmp_path) == one
    assert find_speed("amd-epyc-2-threads", "fsrcnn_x4.tuned", 3, (240, 427), tmp_path) is None
    assert json.loads(path.read_text())["kind"] == "speed"


def test_another_input_size_has_another_file(tmp_path: Path) -> None:
    assert speed_path("d", "m", 3, (240, 427), tmp_path).name == "m_x3.json", "1280 is no multiple of 3: rounded up"
    assert speed_path("d", "m", 4, (96, 96), tmp_path).name == "m_x4@96x96.json"
    assert speed_path("a/b", "m", 4, (180, 320), tmp_path).parent.name == "a%2Fb"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"variants": {"eager": {"status": "oom"}}}, "needs a reason"),
        ({"variants": {"eager": {"status": "ok"}}}, "needs its times"),
        ({"kind": "quality"}, "kind = "),
        ({"surprise": 1}, "unknown key 'surprise'"),
    ],
)
def test_a_broken_record_is_named(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    path = write_speed(record(), tmp_path)
    path.write_text(json.dumps(seal(json.loads(path.read_text()) | change)), encoding="utf-8")
    with pytest.raises(InputError, match=complaint) as raised:
        read_speeds(tmp_path)
    assert str(path) in str(raised.value)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="not a speed record"):
        read_speed(path)


def test_numbers_are_finite() -> None:
    with pytest.raises(ValidationError):
        timed(float("inf"))
    with pytest.raises(ValidationError):
        record(drift=float("nan"))


def test_the_frame_has_a_row_a_variant(tmp_path: Path) -> None:
    write_speed(record(), tmp_path)
    frame = load_speed_results(tmp_path)
    assert list(frame["variant"]) == ["eager", "bf16", "fp16"]
    assert list(frame["status"]) == ["ok", "ok", "unavailable"]
    assert frame.loc[1, "median_ms"] == 50
    assert (frame["cost_mult_adds"] == 727_000_000).all()
    assert load_speed_results(tmp_path / "nothing").empty


def test_fastest_and_throughput() -> None:
    assert record().fastest == "bf16"
    assert record(variants={"eager": VariantSpeed(status="oom", reason="no")}).fastest == ""
    swept = timed(100.0, sweep=[Batch(batch=2, n=3, median_ms=150, images_per_s=13.3)])
    assert throughput(swept) == 13.3
    assert throughput(timed(100.0)) == 10
    assert throughput(VariantSpeed(status="oom", reason="no")) is None
