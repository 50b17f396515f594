"""The command line on good and bad input: one line, the name of what is wrong, a non-zero exit, nothing written."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from srbench.cli import main
from srbench.images import read_image, write_image
from srbench.models import create_model
from tests.builders import noise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(2):
        write_image(tmp_path / "photos" / f"p{i}.png", noise(48, 60, i))
    return tmp_path / "photos"


def srbench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def refused(result: Result, *words: str) -> None:
    """One line of error with all the words, exit 1 or 2, no traceback."""
    assert result.exit_code in (1, 2), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("name", main.list_commands(None))  # type: ignore[arg-type]
def test_examples_in_help_keep_their_lines(name: str) -> None:
    text = srbench(name, "--help").stdout
    examples = [line for line in (main.get_command(None, name).help or "").splitlines() if line.startswith("srbench ")]  # type: ignore[arg-type,union-attr]
    assert "\\b" not in text
    assert set(examples) <= {line.strip() for line in text.splitlines()}


def commands(group: click.Group = main, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that call each command, of groups within groups too."""
    yield names
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*names, name))
        else:
            yield *names, name


@pytest.mark.parametrize("names", list(commands()), ids=" ".join)
def test_help_fits_a_terminal_of_eighty_columns(names: tuple[str, ...]) -> None:
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*names, "--help"])
    assert shown.exit_code == 0, shown.output
    assert [line for line in shown.stdout.splitlines() if len(line) > 80] == []


def floats(group: click.Group = main, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words and the option of each float that any command takes."""
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        assert found is not None
        for parameter in found.params:
            if isinstance(parameter.type, click.types.FloatParamType | click.FloatRange):
                yield *names, name, parameter.opts[0]
        if isinstance(found, click.Group):
            yield from floats(found, (*names, name))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("words", list(floats()), ids=" ".join)
def test_a_float_is_a_finite_number(words: tuple[str, ...], value: str) -> None:
    *names, option = words
    result = srbench(*names, f"{option}={value}")
    assert result.exit_code == 2
    refused(result, f"'{option}'", value)


def test_eval_prints_writes_and_keeps(srbench_home: Path, folder: Path) -> None:
    first = srbench("eval", "bicubic", "nearest", "--datasets", folder, "--metrics", "psnr,ssim", "--json")
    assert first.exit_code == 0, first.output
    rows = json.loads(first.stdout)
    assert {row["checkpoint"] for row in rows} == {"bicubic", "nearest"}
    assert (srbench_home / "reports" / "leaderboard.md").is_file()
    table = srbench("eval", "bicubic", "nearest", "--datasets", folder, "--metrics", "psnr,ssim")
    assert "Bicubic" in table.stdout
    assert "0 measured, 2 as stored" in table.stderr


def test_upscale_files_and_folders(srbench_home: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "big.png"
    done = srbench("upscale", folder / "p0.png", out, "--checkpoint", "bicubic", "--scale", 3)
    assert done.exit_code == 0, done.output
    assert read_image(out).shape == (144, 180, 3)
    done = srbench("upscale", folder, tmp_path / "all", "--checkpoint", "lanczos", "--scale", 2)
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == ["p0.png", "p1.png"]


def test_upscale_refuses_two_inputs_of_one_output(srbench_home: Path, folder: Path, tmp_path: Path) -> None:
    write_image(folder / "P1.bmp", noise(8, 8))
    done = srbench("upscale", folder, tmp_path / "all", "--checkpoint", "bicubic", "--scale", 2)
    refused(done, "P1.bmp", "p1.png", "rename")
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("eval", "bicubik"), ("bicubik", "bicubic")),
        (("eval", "bicubic", "--datasets", "set51"), ("set51", "set5")),
        (("eval", "bicubic", "--metrics", "psnrr"), ("psnrr", "'psnr'")),
        (("eval", "bicubic", "--protocol", "standrd"), ("standrd", "'standard'")),
        (("eval", "bicubic", "--device", "cuda:7"), ("cuda:7", "cpu")),
        (("eval",), ("nothing to measure",)),
        (("eval", "--model", "edsr"), ("file of weights",)),
        (("eval", "nowhere.nets:Net", "--scale", "4"), ("nowhere.nets",)),
        (("eval", "torch.nn:Nett", "--scale", "4"), ("Nett",)),
        (("eval", "torch.nn:Linear", "--scale", "4"), ("torch.nn:Linear",)),
        (("upscale", "{photo}", "x.png", "--checkpoint", "bicubic"), ("--scale",)),
        (("upscale", "{photo}", "x.gif", "--checkpoint", "bicubic", "--scale", "2"), ("x.gif", ".png")),
        (("upscale", "{photo}", "{photo}", "--checkpoint", "bicubic", "--scale", "2"), ("overwrite",)),
        (("upscale", "{photo}", "x.png", "--checkpoint", "edsr", "--scale", "4"), ("no checkpoint of edsr",)),
        (("score", "--sr", "{folder}", "--hr", "nowhere", "--scale", "4"), ("nowhere",)),
        (("evl",), ("'eval'",)),
        (
            ("composite", "ntire2025-efficiency", "--set", "reference_ms=nan"),
            ("--set reference_ms=nan", "finite number"),
        ),
        (("eval", "edsr", "--option", "width=NaN"), ("--option 'width=NaN'", "finite number")),
    ],
)
def test_bad_arguments(srbench_home: Path, folder: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    filled = [a.format(photo=folder / "p0.png", folder=folder) for a in arguments]
    refused(srbench(*filled), *words)
    assert not (srbench_home / "results").exists()
    assert not Path("x.png").exists()


def test_bad_folders(srbench_home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(srbench("eval", "bicubic", "--datasets", tmp_path / "empty"), "empty", "no images")
    refused(
        srbench("upscale", tmp_path / "empty", tmp_path / "o", "--checkpoint", "bicubic", "--scale", 2), "no images"
    )
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    if os.access(closed, os.R_OK):
        pytest.skip("this user may read everything")
    refused(srbench("eval", "bicubic", "--datasets", closed), "closed", "permission")


@pytest.mark.parametrize("kind", ["cut", "text", "tiny", "cmyk", "deep"])
def test_bad_images_are_named_and_nothing_is_stored(srbench_home: Path, folder: Path, kind: str) -> None:
    path = folder / "p1.png"
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "text":
        path.write_text("no image")
    elif kind == "tiny":
        write_image(path, noise(1, 1))
    elif kind == "cmyk":
        path = path.rename(folder / "p1.jpg")
        Image.fromarray(noise(48, 60)).convert("CMYK").save(path)
    else:
        Image.fromarray(np.zeros((48, 60), np.uint16)).save(path)
    refused(srbench("eval", "bicubic", "--datasets", folder, "--metrics", "psnr"), path.name)
    assert not (srbench_home / "results").exists()
    if kind in ("cut", "text"):
        refused(srbench("upscale", folder, srbench_home / "o", "--checkpoint", "bicubic", "--scale", 2), path.name)
        assert not (srbench_home / "o").exists()


class Evil:
    """A pickle that would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


def test_weights_that_do_not_fit(
    srbench_home: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(create_model("espcn", 4).state_dict(), "espcn.pth")
    Path("evil.pth").write_bytes(pickle.dumps(Evil()))
    torch.save({"params": Evil()}, "evil_zip.pth")
    Path("cut.pth").write_bytes(Path("espcn.pth").read_bytes()[:500])
    Path("cut.safetensors").write_bytes(b"\x10\x00\x00")
    for name in ("espcn.pth", "evil.pth", "evil_zip.pth", "cut.pth", "cut.safetensors", "nowhere.pth"):
        done = srbench("eval", "--model", "fsrcnn", "--checkpoint", name, "--scale", 4, "--datasets", folder)
        refused(done, name)
    assert not Path("pwned").exists()
    assert not (srbench_home / "results").exists()


def test_a_class_of_ones_own(srbench_home: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mynets.py").write_text(
        "from torch import nn\n"
        "class Mine(nn.Module):\n"
        "    def __init__(self, scale):\n"
        "        super().__init__()\n"
        "        self.up = nn.Upsample(scale_factor=scale)\n"
        "    def forward(self, x):\n"
        "        return self.up(x)\n"
    )
    done = srbench("eval", "mynets:Mine", "nearest", "--scale", 4, "--datasets", folder, "--metrics", "psnr", "--json")
    assert done.exit_code == 0, done.output
    values = {row["checkpoint"]: row["psnr"] for row in json.loads(done.stdout)}
    assert values["mynets.Mine"] == values["nearest"]


def test_score_lists_what_did_not_match(folder: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "sr" / "p0_x4.png", noise(48, 60))
    write_image(tmp_path / "sr" / "other.png", noise(48, 60))
    done = srbench("score", "--sr", tmp_path / "sr", "--hr", folder, "--scale", 4, "--metrics", "psnr")
    assert done.exit_code == 1
    assert "without HR: other.png" in done.stderr
    assert "without SR: p1.png" in done.stderr
    assert "∞" in done.stdout or "inf" in done.stdout


@pytest.mark.data
def test_selftest_holds(data_root: Path) -> None:
    done = srbench("selftest", "--data-root", data_root, "--json", "--allow-missing")
    assert done.exit_code == 0, done.output
    checks = json.loads(done.stdout)
    assert sum(check["ok"] is True for check in checks) >= 21


def test_selftest_without_data_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("SRBENCH_DATA", raising=False)
    assert srbench("selftest", "--data-root", tmp_path).exit_code == 1
    assert srbench("selftest", "--data-root", tmp_path, "--allow-missing").exit_code == 0


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount a small disk")
def test_a_full_disk_leaves_no_half_record(folder: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("cannot mount a small disk here")
    (disk / "full").write_bytes(b"x" * 4096)
    try:
        command = [sys.executable, "-m", "srbench", "eval", "bicubic", "--datasets", str(folder), "--metrics", "psnr"]
        environment = {**os.environ, "SRBENCH_HOME": str(disk)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode != 0
        assert "No space left" in done.stderr
        assert "Traceback" not in done.stderr
        assert not [p for p in disk.rglob("*") if p.is_file() and p.suffix in (".json", ".tmp")]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
