"""The two pages of a server, as a browser shows them: an image goes up and comes back, and every route is described."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from srbench.images import write_image
from tests.builders import smooth
from tests.serving import MODEL, Running, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]  # 15 s


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving() as running:
        yield running


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    yield context.new_page()
    context.close()


def test_an_image_goes_up_and_comes_back(server: Running, tab: Any, tmp_path: Path) -> None:
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    write_image(tmp_path / "a.png", smooth(24, 32))
    (tmp_path / "b.png").write_text("no image")
    tab.goto(f"http://127.0.0.1:{server.port}/")
    tab.wait_for_selector(f"#model option[value='{MODEL}']", state="attached")
    tab.set_input_files("#file", str(tmp_path / "a.png"))
    tab.locator("#state", has_text="32×24 → 128×96").wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    assert complaints == []
    tab.set_input_files("#file", str(tmp_path / "b.png"))
    tab.wait_for_selector("#state.bad")
    assert "not an image" in tab.inner_text("#state")


def test_every_route_is_described(server: Running, tab: Any) -> None:
    tab.goto(f"http://127.0.0.1:{server.port}/docs")
    tab.wait_for_selector(".opblock")
    shown = set(tab.locator(".opblock-summary-path").all_inner_texts())
    plain = {path.replace("\u200b", "") for path in shown}  # where a line may break
    assert {"/v1/upscale", "/v2/models/{name}/infer", "/v1/models/{name}:predict"} <= plain
