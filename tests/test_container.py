"""The Dockerfile against a fresh clone: what it copies is there and enough, and its commands run in a plain folder.

No image is built; what stands in for it is a folder that holds the copied files alone, and this environment's packages.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from srbench.cli.serve import command as serve
from srbench.imagefile import encode_image
from tests.builders import smooth

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions(name: str) -> list[str]:
    """What stands behind each instruction of a kind, continued lines joined."""
    joined = TEXT.replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in joined.splitlines() if line.startswith(f"{name} ")]


def tracked(*places: str) -> list[str]:
    """Files that a fresh clone has."""
    listed = subprocess.run(["git", "ls-files", "--", *places], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no clone")
    return listed.stdout.splitlines()


def copies() -> list[tuple[list[str], str]]:
    """Sources and target of each COPY."""
    return [(words[:-1], words[-1]) for words in map(str.split, instructions("COPY"))]


def listed(name: str) -> list[str]:
    """The words of an instruction in JSON, without the options before them."""
    [text] = instructions(name)
    return json.loads(text[text.index("[") :])


def test_what_is_copied_is_in_a_clone_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for sources, _ in copies():
        for source in sources:
            assert tracked(source), f"{source} is not in a fresh clone"
            assert not any(fnmatch.fnmatch(source, pattern) for pattern in ignored), f"{source} is ignored"


def test_what_is_installed_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [run] = instructions("RUN")
    extras = re.search(r"\.\[([\w,]+)\]", run)
    assert extras is not None
    assert set(extras[1].split(",")) <= set(project["project"]["optional-dependencies"])
    there = {source for sources, _ in copies() for source in sources}
    assert {"constraints.txt", "pyproject.toml", project["project"]["readme"]} <= there
    assert set(project["project"]["license-files"]) <= there
    [image] = instructions("FROM")
    version = re.search(r"python:3\.(\d+)", image)
    assert version is not None
    assert f"Programming Language :: Python :: 3.{version[1]}" in project["project"]["classifiers"]


def test_nobody_is_root_and_the_port_is_the_servers() -> None:
    [user], [run] = instructions("USER"), instructions("RUN")
    assert user != "root"
    assert re.search(rf"useradd .*\b{user}\b", run)
    [port] = [one for one in serve.params if one.name == "port"]
    assert instructions("EXPOSE") == [str(port.default)]
    assert f":{port.default}/" in " ".join(listed("HEALTHCHECK"))


@pytest.mark.slow
def test_its_commands_run_in_a_folder_of_the_copied_files_alone(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="no serve extra")
    place = tmp_path / "srbench"
    for sources, target in copies():
        for source in sources:
            for file in tracked(source):
                made = (
                    place / target / Path(file).relative_to(source if (ROOT / source).is_dir() else Path(file).parent)
                )
                made.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / file, made)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SRBENCH_")}
    environment |= {"PYTHONPATH": str(place), "HOME": str(tmp_path / "user"), "OMP_NUM_THREADS": "1"}
    program, *words = [*listed("ENTRYPOINT"), *listed("CMD")]
    assert program == "srbench"
    started = [sys.executable, "-m", program, *words, "--port", port, "--host", "127.0.0.1"]
    server = subprocess.Popen(started, cwd=place, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        health = [sys.executable, *(word.replace(":8000/", f":{port}/") for word in listed("HEALTHCHECK")[1:])]
        for _ in range(100):
            time.sleep(0.3)
            if (good := subprocess.run(health, capture_output=True).returncode == 0) or server.poll() is not None:
                break
        assert good, server.communicate()[1]
        import requests

        answer = requests.post(
            f"http://127.0.0.1:{port}/v1/upscale", data=encode_image(smooth(16, 20), ".png"), timeout=60
        )
        assert (answer.status_code, answer.content[:4]) == (200, b"\x89PNG")
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) in (0, -signal.SIGTERM), "uvicorn ends what runs, and then by the signal"
        assert subprocess.run(health, capture_output=True).returncode == 1, "a server that is gone is not healthy"
    finally:
        server.kill()
        server.communicate()
