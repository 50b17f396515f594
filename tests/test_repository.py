"""What is said of the project in its metadata is true: dependencies, version, citation, CI."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import srbench

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", name)[0]).lower()


def test_what_the_package_imports_is_declared() -> None:
    extras = [name for names in PROJECT["optional-dependencies"].values() for name in names]
    declared = {normal(name) for name in [*PROJECT["dependencies"], *extras]}
    providers = packages_distributions()
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "srbench").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                found.setdefault(name.split(".")[0], set()).add(str(path.relative_to(ROOT)))
    foreign = set(found) - set(sys.stdlib_module_names) - {"srbench", "__future__"}
    assert len(foreign) >= 10
    # A package that is not installed here is looked for under its own name.
    missing = {
        name: sorted(found[name]) for name in foreign if not {normal(n) for n in providers.get(name, [name])} & declared
    }
    assert missing == {}


def test_the_version_stands_in_one_place() -> None:
    assert "version" in PROJECT["dynamic"]
    assert "version" not in PROJECT
    assert version("srbench") == srbench.__version__


def test_the_citation_agrees_with_the_project() -> None:
    import yaml

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_the_workflow_runs_what_decides_here() -> None:
    import yaml

    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert "bash .ci/run" in steps


def test_every_change_has_a_date_or_is_not_released() -> None:
    heads = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d.*\)", head) for head in heads[1:])


def test_no_record_is_kept_of_a_cell_that_can_have_no_number() -> None:
    """Reports derive such cells from the zoo and the protocol."""
    derived = {"no_weights", "unsupported_protocol", "unsupported_scale"}
    records = (json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "results" / "quality").rglob("*.json"))
    assert [record["checkpoint"] for record in records if record["status"] in derived] == []
