"""What README.md says is true on a fresh clone: its Python runs, its commands work, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    """The lines of code blocks that call srbench, each command by itself, without comments."""
    lines = re.findall(r"^    ((?:srbench|torchrun) .*)$", README, flags=re.MULTILINE)
    return [call.strip() for line in lines for call in line.split(" #")[0].split("&&")]


def test_the_python_examples_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(code, names)
    assert names["result"].ok  # type: ignore[attr-defined]
    assert len(names["frame"]) > 0  # type: ignore[arg-type]


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^    |`)make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"(?:\]\(|src=\")([^)\"#]+)", README)
    assert len(targets) >= 8
    assert [name for name in targets if "//" not in name and not (ROOT / name).exists()] == []


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files as they are now in a folder of their own, with what the examples name."""
    if not os.environ.get("SRBENCH_DATA"):
        pytest.skip("SRBENCH_DATA names no folder")
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    prepare = (
        "from pathlib import Path\n"
        "import torch\n"
        "from srbench.datasets.local import find_dataset\n"
        "from srbench.images import crop_to_multiple, imresize, read_image, write_image\n"
        "from srbench.models import create_model\n"
        "for path in find_dataset('set5'):\n"
        "    hr = crop_to_multiple(read_image(path), 4)\n"
        "    write_image(Path('out') / path.name, imresize(imresize(hr, 0.25), 4.0))\n"
        "    write_image(Path('path/to/images') / path.name, hr[:96, :96])\n"
        "write_image('photo.png', read_image(path)[:64, :64])\n"
        "torch.save(create_model('edsr_baseline', 4).state_dict(), 'EDSR.pth')\n"
        "Path('mypackage').mkdir()\n"
        "Path('mypackage/nets.py').write_text('from srbench.models.edsr import EDSR\\n'\n"
        "    'class MyNet(EDSR):\\n    def __init__(self, scale=4):\\n        super().__init__(scale, blocks=1)\\n')\n"
    )
    subprocess.run([sys.executable, "-c", prepare], cwd=folder, check=True, env=environment(folder))
    return folder


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"SRBENCH_HOME": str(folder), "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("command", commands())
def test_commands_work_on_a_fresh_clone(command: str, clone: Path, data_root: Path, weights_root: Path) -> None:
    """In the README's order, so that what one command leaves behind the next one may use. Training is cut short."""
    if command.startswith("srbench data get"):
        pytest.skip("needs the network; test_fetch.py downloads from a server of its own")
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
        env=environment(clone),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
    assert data_root
    assert weights_root
