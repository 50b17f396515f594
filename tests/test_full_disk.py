"""A real disk that is full: each command ends in one line that names the file, and leaves none that is cut off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from srbench.images import write_image
from srbench.models import create_model
from tests.builders import smooth, write_images

# Runs in a space of its own in which ``disk`` is a file system of two pages.
SCRIPT = """
import sys
from click.testing import CliRunner
from srbench.cli import main
from tests.test_full_disk import commands
from pathlib import Path
folder, disk = Path(sys.argv[1]), Path(sys.argv[2])
(disk / "fill").write_bytes(bytes(4096))
try:
    (disk / "fill").open("ab").write(bytes(1 << 20))
except OSError:
    pass
for arguments in commands(folder, disk):
    done = CliRunner().invoke(main, arguments)
    print(arguments[0], done.exit_code, repr(done.exception), done.stderr.strip().splitlines()[-1:], sep="\t")
left = [path for path in disk.rglob("*") if path.is_file() and path.name != "fill" and path.stat().st_size]
print("left", 0, "", [str(path) for path in left], sep="\t")
"""


def commands(folder: Path, disk: Path) -> list[list[str]]:
    """Commands that write one file each."""
    images, weights = str(folder / "images"), str(folder / "net.pth")
    small = ["--steps", "1", "--set", "val=1", "--set", "patch=8", "--set", "batch=1", "--dirty"]
    return [
        ["eval", "bicubic", "--datasets", images, "--scale", "4", "--metrics", "psnr", "--no-report"],
        ["upscale", str(folder / "a.png"), str(disk / "b.png"), "--checkpoint", "bicubic", "--scale", "4"],
        ["convert", weights, "--to", "basicsr", "--scale", "2", "-o", str(disk / "x.pth")],
        ["convert", weights, "--to", "basicsr", "--scale", "2", "-o", str(disk / "x.safetensors")],
        ["report"],
        ["train", "fsrcnn_s", "--data", images, *small],
    ]


@pytest.mark.slow
def test_a_full_disk_is_one_line_with_the_file(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=8k none {disk}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    write_images(tmp_path / "images", 3, (40, 48))
    write_image(tmp_path / "a.png", smooth(64, 64))
    torch.save(create_model("edsr_baseline", 2, blocks=1, features=8).state_dict(), tmp_path / "net.pth")
    done = subprocess.run(
        [
            "unshare",
            "-rm",
            "sh",
            "-c",
            f'{mount} && exec "$@"',
            "sh",
            sys.executable,
            "-c",
            SCRIPT,
            str(tmp_path),
            str(disk),
        ],
        env=os.environ | {"SRBENCH_HOME": str(disk / "home"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    *lines, left = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [arguments[0] for arguments in commands(tmp_path, disk)]
    for name, code, exception, said in lines:
        assert (code, exception) == ("1", "SystemExit(1)"), (name, exception)
        assert "o space left on device" in said or "is full" in said, (name, said)
        assert str(disk) in said, (name, said)
    assert left[-1] == "[]"
