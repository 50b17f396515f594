"""The two pages of a server, as a browser shows them: an image goes up and comes back, and every route is described."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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
    assert "b.png: not an image" in tab.inner_text("#state")
    assert not tab.is_visible("#stage"), "the image before is not this file's"
    assert not tab.is_visible("#save")


def test_through_a_transparent_image_nothing_of_the_other_half_is_seen(
    server: Running, tab: Any, tmp_path: Path
) -> None:
    pixels = np.zeros((24, 32, 4), np.uint8)
    pixels[8:16, 4:28] = (200, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    upload(tab, server, tmp_path / "a.png")
    tab.evaluate("document.querySelector('#before').style.visibility = 'hidden'")
    box = tab.locator("#stage").bounding_box()
    shot = np.array(Image.open(io.BytesIO(tab.screenshot(clip=box))).convert("RGB")).astype(int)
    middle = shot[len(shot) // 2]
    assert (middle[8:40, 0] < 150).all(), "without the half before there is nothing on the left"
    assert (middle[-40:-24] == (200, 0, 0)).all()
    ground = tab.evaluate("getComputedStyle(document.querySelector('#before')).backgroundImage")
    assert "conic-gradient" in ground


def test_a_tall_image_fits_the_window(server: Running, tab: Any, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", smooth(400, 60))
    upload(tab, server, tmp_path / "a.png")
    boxes = [tab.locator(part).bounding_box() for part in ("#stage", "#after", "#before", "#slider")]
    assert boxes[0]["height"] == pytest.approx(0.8 * 844, abs=1)
    assert all(box == boxes[0] for box in boxes), "the slider and both halves lie on the picture"
    write_image(tmp_path / "b.png", smooth(20, 30))
    upload(tab, server, tmp_path / "b.png")
    assert tab.locator("#stage").bounding_box()["width"] == 120, "no larger than it is"
    assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_one_stop_of_the_tab_key_chooses_a_file(server: Running, tab: Any) -> None:
    opened: list[Any] = []
    tab.on("filechooser", lambda chooser: opened.append(chooser))
    tab.goto(f"http://127.0.0.1:{server.port}/")
    seen = []
    for _ in range(3):
        tab.keyboard.press("Tab")
        seen.append(tab.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert seen == ["model", "A", "file"]
    assert tab.evaluate("getComputedStyle(document.querySelector('#drop')).outlineStyle") == "solid"
    for count, key in enumerate(("Enter", "Space"), 1):
        tab.wait_for_timeout(700)
        tab.keyboard.press(key)
        tab.wait_for_timeout(700)
        assert len(opened) == count, key
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.tagName") == "BODY", "no other stop"


def test_a_server_without_a_list_of_models_is_said(server: Running, tab: Any) -> None:
    tab.route("**/v1/models", lambda route: route.fulfill(status=503, body='{"error": "stopping"}'))
    tab.goto(f"http://127.0.0.1:{server.port}/")
    tab.locator("#state.bad", has_text="no list of models: stopping").wait_for()
    tab.unroute("**/v1/models")
    tab.route("**/v1/models", lambda route: route.abort())
    tab.reload()
    tab.locator("#state.bad", has_text="the server does not answer").wait_for()


def upload(tab: Any, server: Running, path: Path) -> None:
    tab.goto(f"http://127.0.0.1:{server.port}/")
    tab.set_input_files("#file", str(path))
    tab.wait_for_selector("#stage")


def test_every_route_is_described(server: Running, tab: Any) -> None:
    tab.goto(f"http://127.0.0.1:{server.port}/docs")
    tab.wait_for_selector(".opblock")
    shown = set(tab.locator(".opblock-summary-path").all_inner_texts())
    plain = {path.replace("\u200b", "") for path in shown}  # where a line may break
    assert {"/v1/upscale", "/v2/models/{name}/infer", "/v1/models/{name}:predict"} <= plain
    assert "default" not in tab.locator(".opblock-tag").all_inner_texts()
    assert tab.locator(".opblock-tag").count() == 4
