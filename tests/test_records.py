"""Records guard themselves: strict numbers, one key once, regular files, and a checksum that notices any change."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from srbench.cli import main
from srbench.errors import InputError, SrbenchError
from srbench.records import checksum, read_json, read_toml, seal, unseal, write_json
from srbench.results import MetricScores, Result, read_result, read_results, results_root, write_result
from srbench.speed_results import SpeedResult, VariantSpeed, read_speed, read_speeds, write_speed
from srbench.zoo import Card, list_checkpoints, read_card, write_card
from tests.builders import write_images

QUALITY = Result(
    checkpoint="m_x4.tuned",
    model="m",
    dataset="set5",
    scale=4,
    protocol="standard.v1",
    images=["baby", "bird"],
    metrics={
        "psnr": MetricScores(
            unit="dB", higher_is_better=True, digits=2, version=1, space="channel", values=[30.5, 31.0]
        )
    },
    parameters=12,
    seconds=1.5,
)
SPEED = SpeedResult(
    name="m", model="m", scale=4, random_weights=True, device="cpu", device_type="cpu", device_name="CPU", torch="2",
    threads=1, input=(180, 320), output=(720, 1280), run="now", seconds=1.0, spread_limit=0.1,
    variants={"eager": VariantSpeed(n=1, times_ms=[2.0], median_ms=2.0)},
)  # fmt: skip
CARD = Card(
    name="m_x4.tuned", model="m", scales=[4], channels="y", recipe="tuned", parameters=12, data={"t91": "0"}, steps=10,
    samples_seen=160, seed=0, commit="", hardware="", wall_time_s=1.0, precision="fp32",
    curve=[{"step": 10, "val_psnr": 30.25}],
)  # fmt: skip

KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "quality": (lambda root: write_result(QUALITY, root), read_result),
    "speed": (lambda root: write_speed(SPEED, root), read_speed),
    "card": (lambda root: write_card(CARD, root), read_card),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_bit_that_flips_is_noticed_or_changes_nothing(tmp_path: Path, kind: str) -> None:
    write, read = KINDS[kind]
    path = write(tmp_path)
    sound, record = path.read_bytes(), read(path)
    complaints = []
    for position in range(0, len(sound), 3):
        mutant = bytearray(sound)
        mutant[position] ^= 1 << position % 7
        path.write_bytes(mutant)
        try:
            assert read(path) == record, f"byte {position}: {mutant[position - 20 : position + 20]!r}"
        except SrbenchError as error:
            complaints.append(str(error))
    assert len(complaints) > len(sound) // 6
    assert [text for text in complaints if str(path) not in text or "\n" in text] == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_edited_number_is_refused(tmp_path: Path, kind: str) -> None:
    write, read = KINDS[kind]
    path = write(tmp_path)
    old, new = {
        "quality": ("30.5", "38.5"),
        "speed": ('"median_ms": 2.0', '"median_ms": 1.0'),
        "card": ("30.25", "31.25"),
    }[kind]
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match="does not have its checksum"):
        read(path)


def test_spaces_and_the_order_of_keys_are_free(tmp_path: Path) -> None:
    path = write_result(QUALITY, tmp_path)
    values = json.loads(path.read_text())
    path.write_text(json.dumps(dict(sorted(values.items(), reverse=True)), indent=7))
    assert read_result(path) == QUALITY


def test_broken_records_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    write_result(QUALITY, tmp_path)
    bad = write_result(QUALITY.model_copy(update={"dataset": "set14"}), tmp_path)
    bad.write_text(bad.read_text().replace("30.5", "38.5"))
    broken: list[SrbenchError] = []
    assert read_results(tmp_path, broken) == [QUALITY]
    assert [str(bad) in str(error) for error in broken] == [True]
    with pytest.raises(InputError, match="set14"):
        read_results(tmp_path)


def test_a_broken_record_leaves_the_board_and_the_check_fails(srbench_home: Path) -> None:
    write_result(QUALITY.model_copy(update={"checkpoint": "bicubic", "model": "bicubic"}))
    bad = [
        write_result(QUALITY.model_copy(update={"checkpoint": "lanczos", "model": "lanczos"})),
        write_speed(SPEED),
        write_card(CARD),
    ]
    for path in bad:
        path.write_text(path.read_text().replace("created", "creatde"))
    for command in (["report"], ["report", "--check"], ["report", "--json"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert "Error: 3 of the records are broken" in result.stderr
        assert [path.name for path in bad if f"Left out: {path}" not in result.stderr] == []
    board = (srbench_home / "reports" / "leaderboard.md").read_text()
    assert re.search(r"\| Bicubic \|", board)
    assert not re.search(r"\| Lanczos \|", board)


def test_a_broken_ablation_is_named_and_the_check_fails(srbench_home: Path) -> None:
    path = srbench_home / "zoo" / "ablations" / "lr.json"
    write_json(path, {"rows": [{"val_psnr": 30.25}], "cells": []}, indent=2)
    assert CliRunner().invoke(main, ["report"]).exit_code == 0
    assert CliRunner().invoke(main, ["report", "--check"]).exit_code == 0
    path.write_text(path.read_text().replace("30.25", "31.25"))
    for arguments in (["report", "--check"], ["migrate", "--check"]):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 1
        assert "lr.json is not what was written" in done.stderr


def test_eval_measures_names_broken_records_and_fails(srbench_home: Path, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", 2)
    bad = write_result(QUALITY)
    bad.write_text(bad.read_text().replace("30.5", "38.5"))
    command = ["eval", "bicubic", "--datasets", str(folder), "--metrics", "psnr"]
    for more in ([], ["--json"], ["--overwrite"]):
        result = CliRunner().invoke(main, [*command, *more])
        assert result.exit_code == 1
        assert f"Left out: {bad}" in result.stderr
        assert "Error: 1 of the records are broken" in result.stderr
        assert "bicubic" in result.stdout.lower()


def test_a_broken_record_of_a_cell_is_measured_again_when_asked(srbench_home: Path, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", 2)
    command = ["eval", "bicubic", "--datasets", str(folder), "--metrics", "psnr"]
    assert CliRunner().invoke(main, command).exit_code == 0
    (path,) = (srbench_home / "results" / "quality").rglob("*.json")
    sound = read_result(path)
    path.write_text(path.read_text().replace('"psnr"', '"psrn"'))
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1
    assert str(path) in refused.stderr
    assert CliRunner().invoke(main, [*command, "--overwrite"]).exit_code == 0
    assert read_result(path).metrics == sound.metrics


def test_a_record_with_a_metric_of_another_version_of_srbench_is_measured_again(
    srbench_home: Path, tmp_path: Path
) -> None:
    command = ["eval", "bicubic", "--datasets", str(write_images(tmp_path / "images", 2)), "--metrics", "psnr"]
    assert CliRunner().invoke(main, command).exit_code == 0
    (sound,) = read_results()
    write_result(sound.model_copy(update={"metrics": sound.metrics | {"gone": sound.metrics["psnr"]}}))
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 0, again.stderr
    assert [result.metrics for result in read_results()] == [sound.metrics]


def test_a_misplaced_speed_record_is_refused(tmp_path: Path) -> None:
    path = write_speed(SPEED, tmp_path)
    moved = path.rename(path.with_name("other_x4.json"))
    with pytest.raises(InputError, match=r"other_x4\.json holds the record of .*m_x4\.json"):
        read_speeds(tmp_path)
    broken: list[SrbenchError] = []
    assert read_speeds(tmp_path, broken) == []
    assert str(moved) in str(broken[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": True}, "scale = True"),
        ({"scale": "4"}, "scale = '4'"),
        ({"seconds": "1.5"}, "seconds"),
        ({"parameters": 12.5}, "parameters"),
        ({"values": [True, 31.0]}, "values.0"),
        ({"digits": 13}, "digits = 13"),
        ({"higher_is_better": 1}, "higher_is_better"),
    ],
)
def test_numbers_are_numbers(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = write_result(QUALITY, tmp_path)
    values = json.loads(path.read_text())
    for key, value in change.items():
        target = values if key in values else values["metrics"]["psnr"]
        target[key] = value
    path.write_text(json.dumps(seal(values)))
    with pytest.raises(InputError) as caught:
        read_result(path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' comes twice"),
        ('{"a": 1e999}', "1e999 is no finite number"),
        ('{"a": -1e999}', "-1e999 is no finite number"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": Infinity}', "Infinity is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "more digits"),
        ('{"a": 9223372036854775808}', "more digits"),
        ('{"a": ' + "[" * 100_000 + "}", "nested too deeply"),
        ("[]", "expected a JSON object"),
        ("", "Expecting value"),
        ('{"a": "\x01"}', "control character"),
    ],
    ids=range(11),
)
def test_what_is_no_json_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_json(path, "a result")
    assert str(caught.value).startswith(f"{path} is not a result: ")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a = 1e999", "a = " + "[" * 10_000, "a = 1\na = 2", "a = \xff"])
def test_what_is_no_toml_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="is not a card: ") as caught:
        read_toml(path, "a card")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_json, read_toml])
def test_a_pipe_a_folder_and_a_device_are_not_waited_for(tmp_path: Path, read: Callable[[Path, str], object]) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    for name in ("pipe.json", "folder.json", "zero.json"):
        with pytest.raises(InputError, match="regular file"):
            read(tmp_path / name, "a result")


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe_among_the_records_hangs_nobody(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind][0](tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="regular file"):
        KINDS[kind][1](path)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_a_seal_survives_json_and_is_one_of_the_content_alone(values: dict[str, Any]) -> None:
    values.pop("checksum", None)
    sealed = json.loads(json.dumps(seal(values)))
    assert unseal(sealed, "x") == values
    assert seal(seal(values)) == seal(values)
    assert checksum(dict(reversed(list(values.items())))) == checksum(values)


def test_toml_and_json_of_one_content_have_one_checksum() -> None:
    values = {"a": 1, "b": 0.1, "c": {"d": [1.0, 2.5]}, "e": "ü"}
    assert checksum(tomllib.loads(tomli_w.dumps(values))) == checksum(json.loads(json.dumps(values)))


@pytest.fixture
def old_home(srbench_home: Path) -> Path:
    """Records as they were before checksums: of each kind one."""
    for path, load, dump in (
        (write_result(QUALITY), json.loads, partial(json.dumps, indent=1)),
        (write_speed(SPEED), json.loads, partial(json.dumps, indent=1)),
        (write_card(CARD), tomllib.loads, tomli_w.dumps),
    ):
        values = load(path.read_text())
        del values["checksum"]
        path.write_text(dump(values))
    (srbench_home / "zoo" / "ablations").mkdir()
    (srbench_home / "zoo" / "ablations" / "a.json").write_text('{"rows": [], "cells": []}')
    return srbench_home


def test_old_records_get_a_checksum_once_and_keep_their_content(old_home: Path) -> None:
    before = [path for path in old_home.rglob("*") if path.is_file()]
    refused = CliRunner().invoke(main, ["migrate", "--check"])
    assert refused.exit_code == 1
    assert "0 records had their checksum, 4 have none" in refused.stdout
    for read in (read_results, read_speeds, list_checkpoints):
        with pytest.raises(InputError, match=r"has no checksum.*srbench migrate"):
            read()
    assert "4 got one" in CliRunner().invoke(main, ["migrate"]).stdout
    assert (read_results(), read_speeds(), list_checkpoints()) == ([QUALITY], [SPEED], [CARD])
    texts = {path: path.read_text() for path in before}
    assert len(texts) == len([path for path in old_home.rglob("*") if path.is_file()])
    assert all("checksum" in text for text in texts.values())
    again = CliRunner().invoke(main, ["migrate"])
    assert "4 records had their checksum, 0 got one" in again.stdout
    assert {path: path.read_text() for path in texts} == texts


def test_a_broken_record_gets_no_checksum(old_home: Path) -> None:
    invalid = results_root() / "quality" / "set5_x4" / "standard.v1" / "m_x4.tuned.json"
    invalid.write_text(invalid.read_text().replace('"scale": 4', '"scale": true'))
    edited = write_speed(SPEED)
    edited.write_text(edited.read_text().replace('"median_ms": 2.0', '"median_ms": 1.0'))
    before = {path: path.read_bytes() for path in (invalid, edited)}
    result = CliRunner().invoke(main, ["migrate"])
    assert result.exit_code == 1
    assert "2 of the records are broken" in result.stderr
    assert {path: path.read_bytes() for path in (invalid, edited)} == before
