"""What README.md says is true on a fresh clone: its Python runs, its commands work, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from srbench.images import write_image

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    """The lines of code blocks that call srbench, each command by itself, without comments."""
    lines = re.findall(r"^    ((?:srbench|torchrun) .*)$", README, flags=re.MULTILINE)
    return [call.strip() for line in lines for call in line.split(" #")[0].split("&&")]


def test_the_python_examples_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SRBENCH_HOME", str(ROOT))
    write_image("photo.png", np.zeros((24, 32, 3), np.uint8))
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(code, names)
    assert names["ours"].ok  # type: ignore[attr-defined]
    assert len(names["frame"]) > 0  # type: ignore[arg-type]


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^    |`)make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"(?:\]\(|src=\")([^)\"#]+)", README)
    assert len(targets) >= 8
    assert [name for name in targets if "//" not in name and not (ROOT / name).exists()] == []


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("command", commands())
def test_commands_work_on_a_fresh_clone(command: str, clone: Path, data_root: Path, weights_root: Path) -> None:
    """In the README's order, so that what one command leaves behind the next one may use. Training is cut short."""
    if command.startswith("srbench data get"):
        pytest.skip("needs the network; test_fetch.py downloads from a server of its own")
    if "selftest --published" in command:
        pytest.skip("minutes of work that test_published.py does card by card")
    words = shlex.split(command)
    python = [sys.executable, "-m"]
    start = [*python, "srbench"] if words[0] == "srbench" else [*python, "torch.distributed.run"]
    if "train" in words:
        words = ["2s" if re.fullmatch(r"\d+[mh]", word) else word for word in words]
        words += ["--size", "cpu", "--set", "val=1", "--set", "val_every=2"]
        words += [] if "--budget" in words else ["--steps", "4"]
    done = subprocess.run(
        [*start, *words[1:]],
        cwd=clone,
        env=os.environ | {"SRBENCH_HOME": str(clone), "PYTHONPATH": f"{clone}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
    assert data_root
    assert weights_root
