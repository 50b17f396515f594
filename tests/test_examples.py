"""The examples run, and what the documentation shows of their output is what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def example(name: str, *arguments: str, timeout: float = 300) -> str:
    """What an example prints when it is run as its docstring says."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_why_psnr_differs_begins_with_the_record_of_standard() -> None:
    rows = example("why_psnr_differs.py").splitlines()
    from srbench.results import find_result

    record = find_result("bicubic", "sample", 4, "standard.v1", root=ROOT / "results")
    assert record is not None
    assert f"| {record.mean('psnr'):.2f} | – | {record.mean('ssim'):.4f} |" in rows[2]
    assert len(rows) == 12


@pytest.mark.slow
@pytest.mark.data
def test_the_page_shows_what_the_example_prints(data_root: Path) -> None:
    page = (ROOT / "docs/faq.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- why:start -->\n(.*?)<!-- why:end -->", page, flags=re.DOTALL)
    assert data_root.is_dir()
    assert example("why_psnr_differs.py", "set5") == shown


def test_your_network_beats_bicubic() -> None:
    printed = example("measure_your_network.py")
    assert re.search(r"^psnr: 29\.11 against bicubic's 28\.90, \+0\.21 ", printed, flags=re.MULTILINE)
    assert len(re.findall(r"^    \w+ +\d+\.\d+  \+", printed, flags=re.MULTILINE)) == 8


def script(clone: Path, name: str, *arguments: str) -> str:
    """What an example prints on a copy of the project."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    home = os.environ | {"SRBENCH_HOME": str(clone), "PYTHONPATH": str(ROOT), "PATH": path}
    done = subprocess.run(
        [sys.executable if name.endswith(".py") else "bash", str(EXAMPLES / name), *arguments],
        cwd=clone,
        env=home,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.data
def test_choose_a_model(clone: Path) -> None:
    printed = script(clone, "choose_a_model.sh", "100000", "0.3")
    assert re.search(r"^fsrcnn_x4\.tuned +27\.83 ", printed, flags=re.MULTILINE)
    assert "srbench upscale IN OUT --checkpoint fsrcnn_x4.tuned" in printed


@pytest.mark.slow
@pytest.mark.data
def test_train_and_evaluate(clone: Path) -> None:
    printed = script(clone, "train_and_evaluate.py", "--budget", "5s")
    assert re.search(
        r"^fsrcnn_s_x4\.tour: \d+ steps in \d+ s, \d+\.\d+ dB on validation images$", printed, re.MULTILINE
    )
    assert re.search(r"^psnr: \d+\.\d+ against bicubic's 28\.90, ", printed, re.MULTILINE)
    assert (clone / "zoo/fsrcnn_s/x4.tour.safetensors").is_file()
    assert (clone / "tour/big.png").is_file()


@pytest.mark.slow
@pytest.mark.data
def test_the_paper_s_table_holds_the_records_numbers(clone: Path) -> None:
    from srbench.results import find_result

    printed = script(clone, "paper_table_and_figure.sh", "paper")
    assert "1 of 1 reproduced" in printed
    assert (clone / "paper/figure.pdf").read_bytes().startswith(b"%PDF")
    table = (clone / "paper/table.tex").read_text(encoding="utf-8")
    for dataset in ("set5", "set14"):
        record = find_result("srresnet_x4.tuned-long", dataset, 4, "standard.v1", root=ROOT / "results")
        assert record is not None
        assert f"{record.mean('psnr'):.2f}" in table
        assert f"{record.mean('ssim'):.4f}" in table
