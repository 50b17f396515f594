"""The corpus of the campaign: each small file with a fault is refused in one line that names it, and nothing in it runs."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import pytest

from srbench.errors import SrbenchError
from srbench.records import KEY
from tests.campaign.corpus import FOLDER, cases

CASES = cases()


def test_every_file_has_its_case() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(CASES)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 300_000
    assert KEY in (FOLDER / "digit.json").read_text()


@pytest.mark.parametrize("name", CASES)
def test_a_file_with_a_fault_is_refused_in_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(shutil.copy(FOLDER / name, tmp_path))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SrbenchError) as refused:
        CASES[name].read(path)
    assert CASES[name].says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20, "it took a gigabyte"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
