"""Docstrings in Google style, as mkdocstrings renders them: an entry a parameter, and no parameter without one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "srbench").rglob("*.py"))
SECTIONS = "Args|Attributes|Raises|Returns|Yields|Examples?|Notes?|Source|See also"
Thing = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def sections(docstring: str) -> dict[str, list[str]]:
    """The lines below each heading, dedented by the heading's indent of four."""
    found: dict[str, list[str]] = {}
    here: list[str] | None = None
    for line in docstring.splitlines():
        if heading := re.fullmatch(rf"({SECTIONS}):", line):
            here = found.setdefault(heading[1], [])
        elif here is not None:
            if line.strip() and not line.startswith("    "):
                here = None
            else:
                here.append(line[4:])
    return found


def entries(lines: list[str]) -> dict[str, str]:
    """Name → text, continuation lines joined."""
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.strip() and not line.startswith(" "):
            name, _, text = line.partition(":")
            found[name] = text.strip()
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def parameters(thing: Thing) -> list[str]:
    """What a caller gives: a function's parameters, a class's fields or those of its ``__init__``."""
    if isinstance(thing, ast.ClassDef):
        inits = [n for n in thing.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        if not inits:
            return [n.target.id for n in thing.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
        arguments, first = inits[0].args, 1
    else:
        static = any(ast.unparse(d) == "staticmethod" for d in thing.decorator_list)
        arguments, first = thing.args, 0
        names = [a.arg for a in arguments.posonlyargs + arguments.args]
        first = 1 if names[:1] in (["self"], ["cls"]) and not static else 0
    plain = [a.arg for a in arguments.posonlyargs + arguments.args][first:]
    plain += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    plain += [a.arg for a in arguments.kwonlyargs]
    return plain + ([f"**{arguments.kwarg.arg}"] if arguments.kwarg else [])


def attributes(thing: ast.ClassDef) -> set[str]:
    """Names that an instance has: fields, properties, and what is assigned to self."""
    names = {n.target.id for n in ast.walk(thing) if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    names |= {n.attr for n in ast.walk(thing) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "self"}
    return names | {n.name for n in thing.body if isinstance(n, ast.FunctionDef)}


def hidden(section: str, given: dict[str, str], names: set[str]) -> list[str]:
    """Entries that stand in the middle of another one's text."""
    return [
        f"{section}: {other!r} stands within the entry of {name!r}"
        for name, text in given.items()
        for other in sorted(names)
        if re.search(rf"[.;,] {other}(, \w+)*: ", f". {text}")
    ]


def faults(thing: Thing) -> list[str]:
    """What is wrong with a docstring, each as one line."""
    found = sections(ast.get_docstring(thing) or "")
    wrong = []
    if "Args" in found:
        given, expected = entries(found["Args"]), parameters(thing)
        bare = {name.lstrip("*") for name in expected}
        wrong += [f"Args: {name!r} is no parameter" for name in given if name.lstrip("*") not in bare]
        wrong += [f"Args: {name!r} has no entry" for name in bare - {name.lstrip("*") for name in given}]
        wrong += hidden("Args", given, bare)
    if "Attributes" in found and isinstance(thing, ast.ClassDef):
        known = attributes(thing)
        given = entries(found["Attributes"])
        wrong += [f"Attributes: {name!r} is none" for name in given if name not in known]
        wrong += hidden("Attributes", given, known)
    for name, text in entries(found.get("Raises", [])).items():
        if not re.fullmatch(r"\w+", name):
            wrong.append(f"Raises: {name!r} is no single exception")
        if more := re.search(r"\b([A-Z]\w+(?:Error|Exception)): ", text):
            wrong.append(f"Raises: {more[1]} stands within the entry of {name}")
    return wrong


def public(path: Path) -> Iterator[tuple[str, Thing]]:
    """The public functions, classes and methods of a file."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Thing]]:
        for node in body:
            if isinstance(node, Thing) and not node.name.startswith("_"):
                yield f"{prefix}{node.name}", node
                if isinstance(node, ast.ClassDef):
                    yield from walk(node.body, f"{prefix}{node.name}.")

    yield from walk(ast.parse(path.read_text(encoding="utf-8")).body, "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_have_an_entry_a_parameter(path: Path) -> None:
    assert [f"{name}: {fault}" for name, thing in public(path) for fault in faults(thing)] == []


def test_faults_are_found() -> None:
    code = '''
def f(a, b, *, c, **more):
    """One.

    Args:
        a: first. b: second,
            over two lines.
        d: not there.
        c, more: two at once.

    Raises:
        InputError: bad. UnknownNameError: worse.
    """
'''
    (thing,) = ast.parse(code).body
    assert isinstance(thing, ast.FunctionDef)
    assert sorted(faults(thing)) == [
        "Args: 'b' has no entry",
        "Args: 'b' stands within the entry of 'a'",
        "Args: 'c' has no entry",
        "Args: 'c, more' is no parameter",
        "Args: 'd' is no parameter",
        "Args: 'more' has no entry",
        "Raises: UnknownNameError stands within the entry of InputError",
    ]
