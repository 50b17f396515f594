"""What keeps the tree readable: who imports whom, what every command and function says of itself."""

from __future__ import annotations

import ast
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest

from srbench.cli import main

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "srbench"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Who may import what from srbench; everybody may import files, home and itself. `resize`, `weights` and `speed_results` are parts
# of images, zoo and results in files of their own.
MAY_IMPORT = {
    "process": "",
    "files": "",
    "markdown": "errors",
    "facts": "",
    "provenance": "errors",
    "records": "errors",
    "errors": "",
    "names": "errors",
    "home": "files",
    "registry": "errors names",
    "threads": "",
    "constants": "",
    "fast_cpu": "",
    "resize": "constants errors fast_cpu threads",
    "png": "",
    "imagefile": "errors png process",
    "images": "errors fast_cpu imagefile resize threads",
    "stats": "errors",
    "power": "errors stats",
    "formula": "errors",
    "composites": "errors formula names",
    "published": "errors records download datasets",
    "weights": "constants errors images models published records",
    "results": "errors records",
    "speed_results": "errors records results",
    "degradations": "errors registry resize",
    "protocol": "errors degradations images records",
    "download": "errors",
    "datasets": "process degradations download errors images photos protocol provenance records",
    "models": "errors facts registry images resize",
    "zoo": "errors models names records weights",
    "machines": "errors records",
    "migration": "errors records results speed_results zoo",
    "interop": "errors registry models zoo weights",
    "metrics": "constants download errors fast_cpu registry images resize threads interop",
    "inference": "errors",
    "keywords": "errors",
    "graphs": "",
    "upscaler": "errors images resize inference graphs models threads",
    "subjects": "errors inference keywords models protocol published upscaler weights zoo",
    "photos": "errors imagefile images png",
    "tiles": "errors process upscaler",
    "bands": "errors images inference process upscaler",
    "upscale_files": "bands errors images photos upscaler",
    "resuming": "errors subjects upscale_files upscaler",
    "video": "errors images photos resuming upscale_files upscaler",
    "references": "errors",
    "measure": "errors images metrics process protocol references results",
    "training": "constants degradations errors markdown names provenance records datasets models metrics protocol images resize "
    "inference photos upscaler subjects measure references weights zoo machines process",
    "clip_results": "errors records results",
    "temporal": "errors registry",
    "evaluation": "bands clip_results temporal degradations errors markdown machines provenance datasets models metrics "
    "protocol images resize "
    "inference upscaler graphs keywords published subjects measure references zoo results speed_results process weights",
    "importing": "datasets errors names provenance subjects weights zoo",
    "serve": "errors images photos upscaler",
    "exporting": "datasets errors evaluation images inference measure models protocol provenance resize subjects upscaler "
    "weights",
    "reports": "clip_results composites errors facts formula markdown power published records results speed_results stats "
    "zoo images",
}
EVERYTHING = ("cli", "__main__", "__init__", "door")

# These start at once and work without torch; their third-party imports at the top of a file are bounded.
LIGHT = {
    "errors",
    "inference",
    "facts",
    "names",
    "published",
    "files",
    "markdown",
    "records",
    "home",
    "process",
    "registry",
    "results",
    "speed_results",
    "clip_results",
    "stats",
    "power",
    "formula",
    "composites",
    "reports",
}
LIGHT |= {"cli", "__init__", "__main__"}
HEAVY = {
    "torch",
    "torchvision",
    "pandas",
    "matplotlib",
    "scipy",
    "skimage",
    "lpips",
    "piq",
    "accelerate",
    "safetensors",
}
HEAVY_FOR_CLI = HEAVY | {"numpy", "pydantic", "PIL", "rich", "pooch", "jinja2"}
CLI_TOP = {"cli", "errors", "files", "home", "markdown", "inference", "registry", ""}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names imported anywhere below; ``from srbench import x`` gives ``srbench.x``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            yield from ([f"srbench.{alias.name}" for alias in node.names] if module == "srbench" else [module])


def top_imports(node: ast.AST) -> Iterator[str]:
    """Dotted names imported when the module is, so not within functions and not for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from imports(child)
        yield from top_imports(child)


def srbench_layers(names: Iterator[str]) -> set[str]:
    """The first part below srbench; names of the package itself, such as ``__version__``, are no layer."""
    parts = {name.split(".")[1] for name in names if name.startswith("srbench.")}
    return {part for part in parts if part in MAY_IMPORT or part in EVERYTHING or not part.startswith("_")}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# Imports


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_follow_the_table(path: Path) -> None:
    layer = layer_of(path)
    if layer in EVERYTHING:
        return
    assert layer in MAY_IMPORT, f"{layer} has no row in the import table"
    allowed = {layer, "files", "home", *MAY_IMPORT[layer].split()}
    wrong = srbench_layers(imports(parse(path))) - allowed
    assert not wrong, f"{layer} may import {sorted(allowed)} and not {sorted(wrong)}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_folders_are_listed_without_what_others_are_writing(path: Path) -> None:
    """`files.listed` passes over staging files; a bare glob takes those of another process for what they will become."""
    if path != PACKAGE / "files.py":
        called = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Attribute)]
        assert not [node.lineno for node in called if node.attr in ("glob", "rglob")]


def test_table_has_no_circle() -> None:
    settled: set[str] = set()
    rest = {layer: set(row.split()) for layer, row in MAY_IMPORT.items()}
    while ready := [layer for layer, row in rest.items() if row <= settled]:
        settled.update(ready)
        for layer in ready:
            del rest[layer]
    assert not rest
    assert "evaluation" not in MAY_IMPORT["training"]
    assert "training" not in MAY_IMPORT["evaluation"]


# The rooms of training and which others each may use. zoo and jobs are files beside them, `""` is the docstring of the package.
ROOMS = {
    "": "",
    "recipe": "",
    "data": "recipe",
    "optim": "recipe",
    "losses": "recipe optim",
    "loop": "recipe data optim losses",
    "after": "recipe data loop",
    "zoo": "recipe losses loop",
    "jobs": "loop zoo",
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE / "training").with_suffix("").parts[0].removeprefix("__init__")


def arrows() -> dict[tuple[str, str], int]:
    """How many imports lead from one room of training to another."""
    found: dict[tuple[str, str], int] = {}
    for path in sorted((PACKAGE / "training").rglob("*.py")):
        for name in imports(parse(path)):
            parts = name.split(".")
            if parts[:2] == ["srbench", "training"] and len(parts) > 2 and parts[2] != room_of(path):
                found[room_of(path), parts[2]] = found.get((room_of(path), parts[2]), 0) + 1
    return found


def drawn(found: dict[tuple[str, str], int]) -> str:
    """One line a room, in the order in which they may use each other: ``python -m tests.test_architecture`` prints it."""
    lines = []
    for room in filter(None, ROOMS):
        to = [f"{other} ({count})" for (one, other), count in sorted(found.items()) if one == room]
        lines.append(f"{room:8} → {', '.join(to) or '–'}")
    return "\n".join(lines)


def test_arrows_between_the_rooms_of_training_run_one_way() -> None:
    found = arrows()
    names = list(ROOMS)
    assert {room_of(path) for path in (PACKAGE / "training").rglob("*.py")} == set(names)
    allowed = {(room, other) for room, row in ROOMS.items() for other in row.split()}
    assert all(names.index(other) < names.index(room) for room, other in allowed), "a room may use those before it"
    assert set(found) == allowed, f"arrows that are not allowed, or allowed and not there; now:\n{drawn(found)}"


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in ("", "zoo", "jobs")])
def test_a_room_says_what_each_of_its_files_is_for(room: str) -> None:
    folder = PACKAGE / "training" / room
    said = ast.get_docstring(parse(folder / "__init__.py")) or ""
    missing = [path.stem for path in folder.glob("[!_]*.py") if f"``{path.stem}``" not in said]
    assert missing == []


def test_top_imports_are_told_from_later_ones() -> None:
    code = (
        "import a\nif TYPE_CHECKING:\n    import b\ntry:\n    import c\nexcept ImportError:\n    pass\n"
        "class C:\n    import d\n    def f(self):\n        import e\ndef g():\n    import f\n"
    )
    assert sorted(top_imports(ast.parse(code))) == ["a", "c", "d"]
    assert sorted(imports(ast.parse(code))) == ["a", "b", "c", "d", "e", "f"]


@pytest.mark.parametrize("path", [path for path in SOURCES if layer_of(path) in LIGHT], ids=name_of)
def test_light_modules_import_nothing_heavy_at_the_top(path: Path) -> None:
    names = list(top_imports(parse(path)))
    heavy = HEAVY_FOR_CLI if layer_of(path) == "cli" else HEAVY
    assert not {name.split(".")[0] for name in names} & heavy
    if layer_of(path) == "cli":
        assert srbench_layers(iter(names)) <= CLI_TOP, "a command imports what it needs when it runs"


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_light_modules_work_without_torch() -> None:
    light = [path for path in SOURCES if layer_of(path) in LIGHT and path.name != "__main__.py"]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in light]
    done = run_python(
        "import importlib, sys\n"
        "for name in ('torch', 'torchvision', 'lpips', 'piq'): sys.modules[name] = None\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(len([name for name in sys.modules if name.startswith('srbench')]))"
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= len(names)


def test_help_imports_nothing_heavy() -> None:
    done = run_python(
        "import sys\nfrom srbench.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        f"print('HEAVY', sorted({HEAVY_FOR_CLI!r} & set(sys.modules)))"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def processor_seconds(*arguments: str) -> float:
    """The least processor time of three runs of Python, which a busy machine hardly changes."""
    found = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def test_help_takes_little_more_than_starting_python() -> None:
    """0.09 s where Python with click takes 0.05 s; one heavy import at the top would take a second."""
    bare, ours = processor_seconds("-c", "import click"), processor_seconds("-m", "srbench", "--help")
    assert ours < 5 * bare, f"srbench --help takes {ours:.3f} s of processor time, Python with click {bare:.3f} s"


# Files


LONGEST = 60


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end that a reader of the code goes through; the docstring is read on its own."""
    whole = function.end_lineno - function.lineno + 1  # type: ignore[operator]
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    return whole - (first.end_lineno - first.lineno + 1 if documented else 0)  # type: ignore[operator]


def test_functions_are_read_without_scrolling() -> None:
    """A file may be of any length; what is read at once may not. Ruff looks after branches (C901) and arguments (PLR0913)."""
    found = {
        f"{name_of(path)}:{node.lineno} {node.name}": lines_of(node)
        for path in SOURCES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    worst = sorted(found, key=lambda name: -found[name])
    print(f"worst: {worst[0]}, {found[worst[0]]} lines")  # noqa: T201
    assert {name: found[name] for name in worst if found[name] > LONGEST} == {}


def test_no_folder_or_module_for_whatever() -> None:
    banned = {"utils", "util", "core", "helpers", "helper", "common"}
    names = {path for path in (PACKAGE.rglob("*")) if path.is_dir() or path.suffix == ".py"}
    assert [name_of(path) for path in sorted(names) if path.stem in banned] == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_public_things_have_docstrings(path: Path) -> None:
    tree = parse(path)
    things = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    bare = [node.name for node in things if not node.name.startswith("_") and not ast.get_docstring(node)]
    assert ast.get_docstring(tree), "the module says nothing of itself"
    assert bare == []


def tracked_text() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode or not listed.stdout:
        pytest.skip("no git checkout")
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file():
            content = path.read_bytes()
            if b"\0" not in content[:8192]:
                yield name, content.decode("utf-8", errors="replace")


def machine_specific() -> re.Pattern[str]:
    # Written in pieces, so that this file does not find itself.
    folders = "|".join(("work", "root", r"home/\w+", r"Users/\w+"))
    hosts = ["py" + "pi.org", "python" + "hosted.org", "conda.ana" + "conda.org"]
    hosts += [host for host in map(index_host, ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL")) if host]
    return re.compile(rf"(?<![\w.])/(?:{folders})/|{'|'.join(map(re.escape, hosts))}")


def index_host(variable: str) -> str:
    host = urlsplit(os.environ.get(variable, "")).hostname or ""
    return "" if host in ("localhost", "127.0.0.1") else host


def test_tracked_files_name_no_machine_and_no_package_index() -> None:
    pattern = machine_specific()
    assert pattern.search("see /" + "work/data/x.png")
    assert not pattern.search("in net/work/x and https://a.b/root/c")
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in tracked_text()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


# Commands


def commands(group: click.Group, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed and cannot be loaded"
        yield (*names, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))


COMMANDS = dict(commands(main))


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_command_and_options_have_help(names: tuple[str, ...]) -> None:
    command = COMMANDS[names]
    assert command.get_short_help_str(limit=200).strip()
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.hidden and not p.help]
    assert silent == []


def test_each_command_stands_in_the_readme() -> None:
    readme = ROOT / "README.md"
    if not readme.is_file():
        pytest.skip("no README.md")
    text = readme.read_text(encoding="utf-8")
    assert [names[0] for names in COMMANDS if len(names) == 1 and f"srbench {names[0]}" not in text] == []


if __name__ == "__main__":
    print(drawn(arrows()))  # noqa: T201
