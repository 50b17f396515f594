"""A page from synthetic records and images, opened from disk in Debian's Chromium; nothing here needs torch or a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from srbench.reports.page.build import render_page
from srbench.reports.page.images import read_index
from srbench.reports.page.making import Wanted, store_images
from srbench.reports.tables import build_tables
from srbench.results import Result
from srbench.speed_results import SpeedResult, VariantSpeed
from tests.test_reports import IMAGES, bare, cell, scores

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
EVIL = "<script>alert(1)</script>|x"
DOUBT = "SR fits HR 6.85 dB better when it is moved by one pixel <b>down</b>"
NETWORKS = {"fsrcnn_x4.tuned": 1.2, "espcn_x4.tuned": 1.0, "edsr_x4.tuned": 2.5, "srgan_x4.gan": 0.9}
LATENCY = {"fsrcnn_x4.tuned": 31.4, "espcn_x4.tuned": 17.5, "edsr_x4.tuned": 9000.0, "bicubic": 3.6}


@dataclass(frozen=True)
class Scene:
    """One image in all its versions."""

    image: str
    hr: npt.NDArray[np.uint8]
    lr: npt.NDArray[np.uint8]
    sr: Mapping[str, npt.NDArray[np.uint8]]


def metrics(gain: float, n: int) -> dict[str, Any]:
    spread = np.linspace(-0.05, 0.05, n)
    values = IMAGES[:n] + gain + spread * gain
    return {
        "psnr": scores(values),
        "ssim": scores(values / 40, "ssim"),
        "lpips": scores(0.5 - values / 100, "lpips"),
        "lr-psnr": scores(values + 20),
    }


def records() -> list[Result]:
    """Set5 and Set14 under two protocols, ``sample``, one name that would be a script, and a network without weights."""
    found = []
    for dataset, n in (("set5", 5), ("set14", 14), ("sample", 4)):
        for preset in ("standard", "rgb"):
            common: dict[str, Any] = {"dataset": dataset, "n": n, "preset": preset}
            found.append(cell("bicubic", parameters=0, metrics=metrics(0, n), **common))
            for i, (name, gain) in enumerate(NETWORKS.items()):
                recipe = {"recipe": name.partition(".")[2], "parameters": 10_000 * 12**i}
                found.append(cell(name, metrics=metrics(gain, n), **recipe, **common))
            recipe = {"model": "fsrcnn", "recipe": "paper", "parameters": 10_000}
            found.append(cell("fsrcnn_x4.paper", metrics=metrics(1.1, n), **recipe, **common))
            found.append(cell(EVIL, model="x", own=True, metrics=metrics(0.4, n), notes=[DOUBT], **common))
            found.append(bare("drrn", dataset=dataset))
    return found


def speeds() -> list[SpeedResult]:
    found = []
    for name, ms in LATENCY.items():
        base = VariantSpeed(
            n=20,
            times_ms=[ms] * 20,
            median_ms=ms,
            p10_ms=ms,
            p90_ms=ms,
            images_per_s=1000 / ms,
            peak_memory_bytes=10**8,
        )
        found.append(
            SpeedResult(
                name=name, model=name.partition("_")[0], scale=4, random_weights=False, device="cpu-2", device_type="cpu",
                device_name="CPU", torch="2", threads=2, input=(180, 320), output=(720, 1280), run="r", seconds=1,
                spread_limit=0.25, variants={"eager": base}, cost={"mult_adds": 1000 * ms},
            )
        )  # fmt: skip
    return found


def scenes() -> Iterator[Scene]:
    rng = np.random.default_rng(3)
    for name in ("00", "01"):
        hr = np.kron(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8), np.ones((8, 8, 1), dtype=np.uint8))
        sr = {}
        for i, network in enumerate(["bicubic", *NETWORKS]):
            noise = rng.normal(0, 12 - 2 * i, hr.shape)
            sr[network] = np.clip(hr + noise, 0, 255).astype(np.uint8)
        yield Scene(name, hr, hr[::4, ::4], sr)


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    wanted = Wanted("sample", 4, dict.fromkeys(["bicubic", *NETWORKS], ""))
    store_images(folder / "images", wanted, scenes())
    tables = build_tables(records(), speeds())
    path = folder / "index.html"
    path.write_text(render_page(tables, (), read_index(folder / "images"), folder / "images"), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=FLAGS)
        yield started
        started.close()


class Opened:
    """A page in the browser, with what it asked for and complained of."""

    def __init__(self, browser: Any, path: Path, width: int = 1280, scheme: str = "light") -> None:
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=width < 600)
        self.path = path
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.tab = self.context.new_page()
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("console", self._complain)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))

    def _complain(self, message: Any) -> None:
        if "willReadFrequently" not in message.text:  # of the tests' own reading of canvases
            self.complaints.append(f"{message.type}: {message.text}")

    def open(self, state: str = "") -> Opened:
        """Load the page with a state in the hash and wait until it is drawn."""
        self.tab.goto(self.path.as_uri() + state)
        self.tab.wait_for_selector("html[data-ready=yes]")
        self.tab.wait_for_selector("#grid .tabulator-row")
        return self

    @property
    def names(self) -> list[str]:
        """Model names in the table from top to bottom."""
        found: list[str] = self.tab.locator("#grid .tabulator-row .name").all_inner_texts()
        return found

    def wait_for_rows(self, count: int) -> None:
        """Wait until the table has so many rows; a function to wait for would need ``eval``, which the page forbids."""
        for _ in range(50):
            if self.tab.locator("#grid .tabulator-row").count() == count:
                return
            self.tab.wait_for_timeout(300)
        raise AssertionError(f"{self.tab.locator('#grid .tabulator-row').count()} rows, expected {count}")

    @property
    def heads(self) -> list[str]:
        """Texts of the column groups."""
        found: list[str] = self.tab.locator("#grid .tabulator-col-group > .tabulator-col-content").all_inner_texts()
        return found

    def hash(self) -> str:
        """The URL's hash."""
        found: str = self.tab.evaluate("location.hash")
        return found

    def clean(self) -> None:
        """Nothing was asked for but the page itself, and nothing was complained of."""
        outside = [url for url in self.requests if not url.startswith((self.path.as_uri(), "data:", "blob:"))]
        assert outside == []
        assert self.complaints == []


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Opened]:
    opened = Opened(browser, page_file)
    yield opened.open()
    opened.clean()
    opened.context.close()
