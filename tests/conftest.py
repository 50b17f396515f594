"""Fixtures over real images (skipped with a reason where they are not) and folders that a test may fill."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from srbench.process import sleep_soon

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
