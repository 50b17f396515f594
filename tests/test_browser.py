"""reports/index.html in a real browser: it renders offline, and a click on a head sorts the table."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from srbench.evaluation.run import Plan, run
from srbench.images import imresize, write_image
from srbench.reports import write_reports

pytestmark = pytest.mark.browser


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine")
    return found


@pytest.fixture
def page(srbench_home: Path, tmp_path: Path) -> Path:
    small = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    for i in range(5):
        write_image(tmp_path / "photos" / f"p{i}.png", imresize(small + i, 5.0))
    run(Plan(names=("bicubic", "nearest", "edsr"), datasets=(str(tmp_path / "photos"),), metrics=("psnr",)), quiet=True)
    write_reports()
    return srbench_home / "reports" / "index.html"


def dom(chromium: str, page: Path, profile: Path) -> str:
    """The page's DOM after its scripts have run."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += [
        "--disable-sync",
        "--disable-component-update",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=2000",
    ]
    done = subprocess.run([chromium, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120)
    assert "<table" in done.stdout, done.stderr[-2000:]
    return done.stdout


def names(html: str) -> list[str]:
    rows = re.findall(r"<tr.*?</tr>", html, flags=re.DOTALL)
    found = (re.search(r"bicubic|nearest|edsr", row) for row in rows if "<td" in row)
    return [match[0] for match in found if match]


def test_the_page_renders_and_sorts(chromium: str, page: Path, tmp_path: Path) -> None:
    assert names(dom(chromium, page, tmp_path / "a"))[:3] == ["bicubic", "nearest", "edsr"]
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(src|<link[^>]*href)="https?:', text), "nothing is loaded from elsewhere"
    click = "<script>document.querySelectorAll('th')[1].firstElementChild.click()</script></body>"
    clicked = page.with_name("clicked.html")
    clicked.write_text(text.replace("</body>", click), encoding="utf-8")
    assert names(dom(chromium, clicked, tmp_path / "b"))[:3] == ["bicubic", "edsr", "nearest"]
