"""Fixtures over real images (skipped with a reason where they are not) and folders that a test may fill."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from srbench.process import sleep_soon

# A busy machine draws examples and answers slowly; that says nothing of the code.
settings.register_profile("srbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# What decides whether a change lands draws the same examples each time; all other runs draw new ones.
settings.register_profile("landing", settings.get_profile("srbench"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "srbench"))

os.environ.setdefault("SRBENCH_DIRTY", "1")  # who works on the code runs the tests before there is a commit

sleep_soon()  # before torch is imported: threads that spin make tests on a busy machine take several times as long


def _folder(variable: str) -> Path:
    named = os.environ.get(variable)
    if not named or not Path(named).is_dir():
        pytest.skip(f"{variable} names no folder")
    return Path(named)


@pytest.fixture
def data_root() -> Path:
    """The folder with Set5, Set14, T91 and BSDS200."""
    return _folder("SRBENCH_DATA")


@pytest.fixture
def weights_root() -> Path:
    """The folder with the AlexNet and VGG16 convolutions."""
    return _folder("SRBENCH_WEIGHTS")


@pytest.fixture
def checkpoints_root() -> Path:
    """The folder with authors' weights."""
    return _folder("SRBENCH_CHECKPOINTS")


@pytest.fixture
def srbench_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of zoo/, results/ and reports/."""
    monkeypatch.setenv("SRBENCH_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tensors this small gain nothing from threads and lose much where the machine is busy."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files as they are now in a folder of their own, with the files that README's commands name."""
    if not os.environ.get("SRBENCH_DATA"):
        pytest.skip("SRBENCH_DATA names no folder")
    root = Path(__file__).resolve().parent.parent
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout")
    folder = tmp_path_factory.mktemp("clone")
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / name)
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
        "torch.save(create_model('edsr_baseline', 4).state_dict(), 'EDSR_x4.pth')\n"
        "Path('mynet.py').write_text('from srbench.models.edsr import EDSR\\n'\n"
        "    'class MyNet(EDSR):\\n    def __init__(self, scale=4):\\n        super().__init__(scale, blocks=1)\\n')\n"
    )
    home = os.environ | {"SRBENCH_HOME": str(folder), "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", prepare], cwd=folder, check=True, env=home)
    return folder
