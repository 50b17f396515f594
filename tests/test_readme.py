"""What README.md says is true: its Python runs, its make targets and commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from srbench.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_examples_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(code, names)
    assert names["result"].ok  # type: ignore[attr-defined]
    assert len(names["frame"]) > 0  # type: ignore[arg-type]


def test_options_in_the_examples_exist() -> None:
    lines = re.findall(r"^    (srbench .*)$", README, flags=re.MULTILINE)
    calls = [call.split() for line in lines for call in line.split("#")[0].split("&&")]
    assert len(calls) >= 7
    for call in calls:
        text = CliRunner().invoke(main, [call[1], "--help"]).output
        for word in call[2:]:
            if word.startswith("--"):
                assert word in text, f"{' '.join(call)}: no option {word}"


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^    |`)make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
