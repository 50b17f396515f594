"""The documentation: its commands parse, its Python runs, its tables are generated, its site needs no network."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from srbench.cli import main

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "zoo/README.md"]


def code(text: str) -> Iterator[str]:
    """Lines of fenced shell blocks and of indented blocks, without comments; a command continued by a backslash is one."""
    fenced = re.findall(r"```(?:sh|bash)\n(.*?)```", text, flags=re.DOTALL)
    indented = re.findall(r"^    (\S.*)$", text, flags=re.MULTILINE)
    for line in "\n".join([*fenced, *indented]).replace("\\\n", " ").splitlines():
        yield line.split(" #")[0].strip()


def calls(text: str) -> Iterator[list[str]]:
    """The arguments of each call of srbench in a page's code, also under torchrun and behind ``&&``."""
    for line in code(text):
        for part in line.split("&&"):
            words = part.split(" | ")[0]
            found = re.match(r"\s*(?:srbench|(?:torchrun|accelerate launch|python) .*-m srbench) (.*)", words)
            if found:
                yield shlex.split(found[1])


CALLS = [(page.name, call) for page in PAGES for call in calls(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "call"), CALLS, ids=[f"{page}: {' '.join(call)}" for page, call in CALLS])
def test_commands_parse(page: str, call: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # Files that an example names need not exist.
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: value)
    command: click.Command = main
    while isinstance(command, click.Group) and call:
        found = command.get_command(click.Context(command), call[0])
        assert found is not None, f"{page}: no command {call[0]}"
        command, call = found, call[1:]
    command.make_context("srbench", list(call))


def test_pages_hold_commands() -> None:
    assert len({page for page, _ in CALLS}) >= 6
    assert len(CALLS) >= 40


def python_blocks() -> Iterator[tuple[str, str]]:
    for page in DOCS:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            yield page.name, block


@pytest.mark.parametrize(("page", "block"), list(python_blocks()))
def test_python_runs(page: str, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block, page, "exec"), {})


@pytest.mark.slow
def test_the_site_builds_strictly_and_asks_the_network_for_nothing(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="the docs extra is not installed")
    # A socket that is opened while the site is built is an error.
    build = (
        "import runpy, socket, sys\n"
        "def refuse(*_): raise OSError('the network was asked')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        f"sys.argv = ['mkdocs', 'build', '--strict', '--quiet', '--site-dir', {str(tmp_path / 'site')!r}]\n"
        "runpy.run_module('mkdocs', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "site").glob("*.html")}
    assert {f"{page.stem}.html" for page in DOCS} <= set(pages)
    for name, html in pages.items():
        fetched = re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>", html)
        assert [tag for tag in fetched if 'rel="canonical"' not in tag] == [], name
        assert "<!-- generate" not in html
    assert "edsr_baseline" in pages["catalogue.html"]
    assert "srbench data verify" in pages["commands.html"]
    assert 'id="srbench.evaluate"' in pages["api.html"]


def test_an_unknown_table_stops_the_build() -> None:
    exceptions = pytest.importorskip("mkdocs.exceptions", reason="the docs extra is not installed")
    from types import SimpleNamespace

    hooks: dict[str, object] = {"__file__": str(ROOT / "docs/hooks.py"), "__name__": "hooks"}
    exec(compile((ROOT / "docs/hooks.py").read_text(encoding="utf-8"), "hooks.py", "exec"), hooks)
    page = SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))
    fill = hooks["on_page_markdown"]
    assert callable(fill)
    assert fill("before\n<!-- generate: layers -->\nafter", page).startswith("before\n| part | what it is |")
    with pytest.raises(exceptions.PluginError, match=r"a\.md: nothing is called 'layer'; known: layers, "):
        fill("<!-- generate: layer -->", page)


def test_docstrings_become_markdown() -> None:
    pytest.importorskip("griffe", reason="the docs extra is not installed")
    code: dict[str, object] = {"__name__": "docstrings"}
    exec(compile((ROOT / "docs/docstrings.py").read_text(encoding="utf-8"), "docstrings.py", "exec"), code)
    as_markdown = code["as_markdown"]
    assert callable(as_markdown)
    text = "One.\n\n>>> 1 + 1\n2\n\nSee :func:`f`.\n\n== ==\na  b\n== ==\n\nEnd."
    assert as_markdown(text) == (
        "One.\n\nExamples:\n    >>> 1 + 1\n    2\n\nSee `f`.\n\n```text\n== ==\na  b\n== ==\n```\n\nEnd."
    )
