"""reports/index.html in a real browser, opened from disk: table, filters, charts, images, state in the hash."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from srbench.power import power_of
from srbench.reports.page.build import render_page
from srbench.stats import effect_size, mean_interval, paired_test
from tests.browser.conftest import DOUBT, EVIL, Opened

pytestmark = pytest.mark.browser


def pixels(page: Opened, panel: int = 0) -> list[int]:
    """RGBA samples on the diagonal of a panel's canvas."""
    page.tab.wait_for_timeout(600)
    found: list[int] = page.tab.evaluate(
        """(i) => { const c = document.querySelectorAll("#stage canvas")[i];
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data, out = [];
        for (let k = 1; k < 60; k++) { const at = 4 * (Math.floor(c.height * k / 60) * c.width + Math.floor(c.width * k / 60));
          out.push(d[at], d[at + 1], d[at + 2], d[at + 3]); } return out; }""",
        panel,
    )
    return found


def centre(page: Opened, panel: int = 0) -> tuple[float, float]:
    canvas = page.tab.locator("#stage canvas").nth(panel)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def zoom_text(page: Opened) -> int:
    page.tab.wait_for_timeout(700)
    return int(page.tab.locator("#zoom-text").inner_text().split()[0])


def test_it_opens_on_what_people_ask(page: Opened) -> None:
    assert [head.split(" not")[0] for head in page.heads[:2]] == ["Set5 ×4", "Set14 ×4"]
    assert page.names[:2] == ["EDSR", "FSRCNN"]
    assert page.names.index("Bicubic") == len(page.names) - 1
    assert "not separable" in page.heads[0]
    assert "DRRN" in page.tab.locator("#folded").inner_text()
    assert "DRRN" not in page.names
    assert page.hash() == ""


def test_a_name_stays_text(page: Opened) -> None:
    assert EVIL in page.names
    page.tab.get_by_role("button", name=EVIL, exact=True).click()
    assert page.tab.locator("#drawer h2").inner_text() == EVIL
    lines = page.tab.locator("#drawer .command code").all_inner_texts()
    assert all(f"'{EVIL}'" in line for line in lines), "a command that is copied must not run a part of a name"
    page.tab.keyboard.press("Escape")
    assert page.tab.evaluate("document.querySelectorAll('#grid script, #drawer script, svg script').length") == 0
    page.tab.locator(f'#chart-plane .point[data-key="{EVIL}"] .dot').hover()
    assert EVIL in page.tab.locator("#chart-plane .tip").inner_text()


def test_what_makes_a_number_doubtful_is_said(page: Opened) -> None:
    row = page.tab.locator("#grid .tabulator-row", has_text=EVIL)
    assert DOUBT in (row.locator(".alarm").get_attribute("title") or "")
    assert page.tab.locator("#grid .alarm").count() == 1, "no other row has a note"
    page.tab.get_by_role("button", name=EVIL, exact=True).click()
    assert f"Set14: {DOUBT}." in page.tab.locator("#drawer").inner_text()
    page.tab.keyboard.press("Escape")


def test_dataset_filter_and_sort_survive_a_reload(page: Opened) -> None:
    page.tab.locator("#datasets button", has_text="Set5").click()
    assert page.heads[0].startswith("Set14")
    page.tab.locator("summary", has_text="filter").click()
    page.tab.fill("#f-ms", "50")
    page.wait_for_rows(3)
    page.tab.keyboard.press("Escape")
    page.tab.locator("#grid .tabulator-col", has_text="LPIPS").last.click()
    page.tab.wait_for_timeout(600)
    assert page.names == ["FSRCNN", "ESPCN", "Bicubic"], "LPIPS: the least is the best and comes first"
    page.tab.locator("#grid .tabulator-col", has_text="LPIPS").last.click()
    page.tab.wait_for_timeout(600)
    before, state = page.names, page.hash()
    assert before == ["Bicubic", "ESPCN", "FSRCNN"]
    assert "d=set14" in state
    assert "fms=50" in state
    page.tab.reload()
    page.tab.wait_for_selector("html[data-ready=yes]")
    page.tab.wait_for_timeout(600)
    assert (page.names, page.hash()) == (before, state)
    page.tab.locator("#reset").click()
    page.tab.wait_for_timeout(600)
    assert page.hash() == ""
    assert len(page.names) == 6


def test_search_pareto_and_columns(page: Opened) -> None:
    page.tab.fill("#search", "fsr")
    page.wait_for_rows(1)
    page.tab.fill("#search", "no such")
    page.tab.wait_for_selector("text=No model passes these filters.")
    page.tab.fill("#search", "")
    page.wait_for_rows(6)
    page.tab.locator("summary", has_text="filter").click()
    page.tab.check("#pareto")
    page.tab.wait_for_timeout(600)
    assert set(page.names) == {"EDSR", "FSRCNN", "ESPCN", "Bicubic"}
    page.tab.locator("summary", has_text="columns").click()
    page.tab.get_by_label("images/s").check()
    page.tab.get_by_label("SSIM", exact=True).uncheck()
    page.tab.wait_for_timeout(600)
    heads = page.tab.locator("#grid .tabulator-header").inner_text()
    assert "images/s" in heads
    assert "SSIM" not in heads


def test_heads_sort_by_keyboard(page: Opened) -> None:
    heads = page.tab.locator("#grid .tabulator-col.tabulator-sortable")
    assert heads.evaluate_all("all => all.every((head) => head.tabIndex === 0)")
    focus = "document.activeElement"
    page.tab.locator("#grid .tabulator-col.tabulator-sortable", has_text="LPIPS").last.focus()
    page.tab.keyboard.press("Tab")
    page.tab.keyboard.press("Shift+Tab")
    assert page.tab.evaluate(f"getComputedStyle({focus}).outlineStyle") == "solid"
    for key, order, first in (("Enter", "ascending", "EDSR"), ("Space", "descending", "Bicubic")):
        page.tab.keyboard.press(key)
        page.tab.wait_for_timeout(600)
        assert page.tab.evaluate(f"{focus}.getAttribute('aria-sort')") == order
        assert page.names[0] == first
    for _ in range(heads.count()):
        page.tab.keyboard.press("Tab")
        seen = f"""(() => {{ const f = {focus}; if (!f.matches(".tabulator-sortable")) return true;
          const at = f.getBoundingClientRect(), box = document.querySelector("#grid").getBoundingClientRect();
          return at.left >= box.left - 1 && at.right <= box.right + 1; }})()"""
        assert page.tab.evaluate(seen)


def test_on_paper_stands_every_row_and_column(browser: Any, page_file: Path) -> None:
    opened = Opened(browser, page_file, 1040, "dark").open("#all=1&t=dark&cols=%2Blr-psnr,%2Bpsnr.ci")
    tab = opened.tab
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    rows = tab.locator("#on-paper tbody tr")
    assert rows.count() == tab.evaluate("srb.leaderboard.rows().length")
    shown = tab.evaluate("document.querySelectorAll('#grid .tabulator-col.tabulator-sortable').length")
    assert rows.first.locator("td").count() == shown
    assert rows.first.locator(".name").inner_text() == "EDSR", "in the order of the table"
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1040
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in ("#grid", "nav", "#search", "#theme", "#reset"):
        assert not tab.locator(hidden).is_visible(), hidden
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert rows.count() == 0
    opened.clean()
    opened.context.close()


def test_charts_have_titles_and_fall_back_on_parameters(page: Opened) -> None:
    titles = page.tab.locator("#charts h3")
    assert titles.all_inner_texts() == ["PSNR against latency", "LPIPS against PSNR"]
    assert page.tab.get_by_label("second chart up").is_visible()
    page.tab.evaluate(
        "for (const speeds of Object.values(srb.data.speed)) for (const k in speeds) delete speeds[k]; srb.charts.draw()"
    )
    assert titles.first.inner_text() == "PSNR against parameters"
    assert page.tab.locator("#chart-cost .point").count() >= 4
    assert "a time to read with care" in page.tab.locator("#legend").inner_text()


def test_table_and_charts_point_at_each_other(page: Opened) -> None:
    row = page.tab.locator("#grid .tabulator-row", has_text="FSRCNN")
    row.hover()
    assert page.tab.locator("#chart-cost .point.hovered").get_attribute("data-key") == "fsrcnn_x4.tuned"
    page.tab.locator('#chart-cost .point[data-key="edsr_x4.tuned"] .dot').hover()
    assert page.tab.locator("#grid .tabulator-row.hovered .name").inner_text() == "EDSR"
    row.get_by_role("checkbox").check()
    assert page.tab.locator("#chart-plane .point.picked").count() == 1
    brush = page.tab.locator("#chart-plane .brush .overlay")
    brush.scroll_into_view_if_needed()
    box = brush.bounding_box()
    page.tab.mouse.move(box["x"] + 2, box["y"] + 2)
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=4)
    page.tab.mouse.up()
    assert page.tab.locator("#grid .tabulator-row.picked").count() == 6
    assert page.tab.locator("#selected").inner_text() == "6 selected"


def test_labels_of_a_chart_do_not_overlap(page: Opened) -> None:
    overlaps = """(id) => { const b = [...document.querySelectorAll(`#${id} .label`)].map((l) => l.getBoundingClientRect());
      return [b.length, b.flatMap((p, i) => b.slice(i + 1).filter((q) => p.left < q.right - 1 && q.left < p.right - 1
        && p.top < q.bottom - 4 && q.top < p.bottom - 4)).length]; }"""
    for chart in ("chart-cost", "chart-plane"):
        count, found = page.tab.evaluate(overlaps, chart)
        assert count >= 3
        assert found == 0


def test_images_side_by_side_zoom_together(page: Opened) -> None:
    captions = page.tab.locator("#stage figcaption b").all_inner_texts()
    assert captions[:2] == ["LR", "Bicubic"]
    assert captions[-1] == "HR"
    assert "dB" in page.tab.locator("#stage figcaption").nth(1).inner_text()
    before, first = zoom_text(page), pixels(page, 1)
    page.tab.mouse.move(*centre(page, 1))
    page.tab.mouse.wheel(0, -1200)
    assert zoom_text(page) > 2 * before
    assert pixels(page, 1) != first
    zoomed = pixels(page, 2)
    x, y = centre(page, 1)
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    page.tab.mouse.move(x - 80, y - 40, steps=4)
    page.tab.mouse.up()
    assert pixels(page, 2) != zoomed, "panels move together"
    state = page.hash()
    assert "z=" in state
    kept = pixels(page, 1)
    page.tab.reload()
    page.tab.wait_for_selector("#stage canvas[data-painted]")
    assert pixels(page, 1) == kept
    page.tab.locator("#stage canvas").first.focus()
    page.tab.keyboard.press("0")
    assert zoom_text(page) == before


def test_an_enlarged_pixel_is_a_square(page: Opened) -> None:
    page.tab.locator("#stage canvas").last.focus()
    for _ in range(8):
        page.tab.keyboard.press("+")
    page.tab.wait_for_timeout(600)
    colours = page.tab.evaluate(
        """() => { const c = [...document.querySelectorAll("#stage canvas")].pop();
        const d = c.getContext("2d").getImageData(0, c.height >> 1, c.width, 1).data, s = new Set();
        for (let i = 0; i < d.length; i += 4) s.add(`${d[i]},${d[i + 1]},${d[i + 2]}`); return s.size; }"""
    )
    assert 1 < colours < 12, "smoothing would make a new colour at each pixel of the screen"


def test_wipe_blink_and_error_map(page: Opened) -> None:
    page.tab.locator("#modes button[value=wipe]").click()
    page.tab.select_option("#pick-a", "bicubic")
    page.tab.select_option("#pick-b", "edsr_x4.tuned")
    middle = pixels(page)
    x, y = centre(page)
    width = page.tab.locator("#stage canvas").bounding_box()["width"]
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    page.tab.mouse.move(x + width * 0.4, y, steps=5)
    page.tab.mouse.up()
    moved = pixels(page)
    assert moved != middle
    assert "w=9" in page.hash()
    assert moved[:40] == middle[:40], "left of both lines nothing changes"
    page.tab.locator("#modes button[value=blink]").click()
    shown = set()
    for _ in range(12):
        shown.add(page.tab.locator("#stage figcaption b").inner_text())
        page.tab.wait_for_timeout(150)
    assert shown == {"Bicubic", "EDSR"}
    page.tab.locator("#modes button[value=side]").click()
    plain = pixels(page, 1)
    for kind, word in (("abs", "64"), ("flip", "0.6")):
        page.tab.locator(f"#maps button[value={kind}]").click()
        page.tab.wait_for_timeout(500)
        assert pixels(page, 1) != plain
        assert word in page.tab.locator("#colour-bar").inner_text()
    assert "map=flip" in page.hash()


def test_error_of_equal_images_is_nothing(page: Opened) -> None:
    black = page.tab.evaluate(
        """async () => { const id = srb.data.images[0].files["@hr"], out = [];
        for (const kind of ["abs", "flip"]) { const m = await srb.pixels.errorMap(id, id, kind);
          const d = m.getContext("2d").getImageData(0, 0, m.width, m.height).data;
          out.push(d.every((v, i) => i % 4 === 3 || v <= 4)); }
        return out; }"""
    )
    assert black == [True, True]


def test_where_models_differ_most(page: Opened) -> None:
    page.tab.wait_for_selector("#proposals .crop")
    before = zoom_text(page)
    page.tab.locator("#proposals .crop").first.click()
    assert zoom_text(page) > 2 * before
    page.tab.locator("#strip .thumb").nth(1).click()
    assert "img=sample%2F01" in page.hash()


def test_two_models_image_by_image(page: Opened, page_file: Path) -> None:
    page.tab.select_option("#pick-pa", "edsr_x4.tuned")
    page.tab.select_option("#pick-pb", "fsrcnn_x4.tuned")
    text = page.tab.locator("#versus .verdict").inner_text()
    assert "14 of 14 (100 %)" in text
    assert "EDSR is better." in text
    assert page.tab.locator("#versus .stick").count() == 14
    beside = page.tab.locator("#versus table").inner_text()
    assert re.search(r"LR-PSNR \(dB\)\s+\d+\.\d\d ± \d\.\d\d\s+\d+\.\d\d ± \d\.\d\d", beside), "what both invent"
    page.tab.locator("#swap").click()
    assert "0 of 14" in page.tab.locator("#versus .verdict").inner_text()
    cases: list[list[float]] = [
        [0.1, -0.2, 0.3, 0.3, -0.1, 0.0, 0.5, 0.25, 0.15, 0.05, 0.2, -0.05],
        [1.0, 2.0, 3.0, 4.0],
        [math.sin(i) + 0.2 for i in range(30)],
        [math.sin(i * i) for i in range(101)],
    ]
    for values in cases:
        p, ends = page.tab.evaluate("(v) => [srb.stats.wilcoxon(v), srb.stats.interval(v)]", values)
        assert p == pytest.approx(paired_test(values, [0.0] * len(values)), abs=1e-9)
        expected = mean_interval(values)
        assert expected is not None
        tolerance = 1e-9 if len(values) >= 10 else 1e-4  # the same resamples; a table of Student's t
        assert ends == pytest.approx(list(expected), abs=tolerance)


def test_a_verdict_says_where_test_and_interval_disagree(page: Opened) -> None:
    """Of these differences p is below .05, and one large one to the other side carries the interval across 0."""
    found = """(v) => { const f = srb.stats.compare(v, v.map(() => 0), true); return [f.p, ...f.interval]; }"""
    p, low, high = page.tab.evaluate(found, [0.1] * 4 + [0.2] * 8 + [-1.5, 0.3])
    assert p <= 0.05
    assert low <= 0 <= high
    page.tab.evaluate(
        """() => { const real = srb.stats.compare;
        srb.stats.compare = (...all) => ({ ...real(...all), p: 0.04, interval: [-0.1, 0.2] }); srb.perImage.draw(); }"""
    )
    assert "is better by the test, but the interval holds 0." in page.tab.locator("#versus .verdict").inner_text()


def test_effect_size_and_power_are_those_of_compare(page: Opened) -> None:
    """The random numbers are others than NumPy's: shares within 0.04, the number of images that it takes within a tenth."""
    page.tab.select_option("#pick-pa", "edsr_x4.tuned")
    page.tab.select_option("#pick-pb", "fsrcnn_x4.tuned")
    text = page.tab.locator("#versus .verdict").inner_text()
    assert re.search(r"rank-biserial \+1\.00, d \+\d+", text)
    assert "100 % with 14 images; about 6 would do" in text
    page.tab.select_option("#per-set", label="Set5")
    text = page.tab.locator("#versus .verdict").inner_text()
    assert "0 % with 5 images; about 6 are needed" in text
    cases: list[list[float]] = [
        [0.1, -0.2, 0.3, 0.3, -0.1, 0.0, 0.5, 0.25, 0.15, 0.05, 0.2, -0.05],
        [math.sin(i) + 0.2 for i in range(30)],
        [math.sin(i * i) - 0.14 for i in range(120)],
        [math.sin(i) + 0.002 for i in range(30)],
        [0.2, 0.2, 0.2, 0.2, 0.2, 0.2],
        [0.0, 0.0, 0.0],
    ]
    for values in cases:
        effect, power = page.tab.evaluate("(v) => [srb.stats.effect(v), srb.stats.power(v)]", values)
        expected, needs = effect_size(values, [0.0] * len(values)), power_of(values)
        assert effect["biserial"] == pytest.approx(expected.rank_biserial, abs=1e-12)
        assert effect["standardised"] == pytest.approx(expected.standardised)
        assert (power is None) == (needs is None)
        if needs is None:
            continue
        assert power["share"] == pytest.approx(needs.power, abs=0.04)
        if needs.needed is None or needs.needed > 1000:
            assert power["needed"] is None
        else:
            assert power["needed"] == pytest.approx(needs.needed, rel=0.1, abs=1)


def test_the_drawer_says_how_to_make_a_row_again(page: Opened) -> None:
    page.tab.locator("#grid .name", has_text="FSRCNN").click()
    drawer = page.tab.locator("#drawer")
    drawer.get_by_role("button", name="copy").first.wait_for()
    assert "srbench eval fsrcnn_x4.tuned --datasets set5,set14 --scale 4 --protocol standard" in drawer.inner_text()
    assert "measures Y" in drawer.inner_text()
    assert "open=fsrcnn_x4.tuned" in page.hash()
    drawer.get_by_role("button", name="copy").first.click()
    drawer.get_by_role("button", name="copied").or_(drawer.get_by_role("button", name="press Ctrl+C")).wait_for()
    page.tab.keyboard.press("Escape")
    page.tab.wait_for_timeout(600)
    assert page.hash() == ""


@pytest.mark.parametrize("width", [390, 1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_width_and_theme(browser: Any, page_file: Path, width: int, scheme: str) -> None:
    opened = Opened(browser, page_file, width, scheme).open()
    tab = opened.tab
    assert tab.evaluate("document.documentElement.scrollWidth") <= width, "the page itself does not scroll sideways"
    score = tab.locator("#grid .tabulator-row .tabulator-cell.main").first.bounding_box()
    assert score["x"] + score["width"] <= width
    assert score["y"] < 900, "a score is seen without scrolling"
    frozen = tab.locator("#grid .tabulator-row .tabulator-cell.frozen").first
    tab.evaluate("document.querySelector('#grid .tabulator-tableholder').scrollLeft = 400")
    tab.wait_for_timeout(150)
    assert frozen.bounding_box()["x"] <= 40, "the name stays where it is"
    light = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (light == "rgb(255, 255, 255)") == (scheme == "light")
    tab.locator("#theme").click()
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != light
    assert contrast(tab, "#grid .tabulator-row .name") >= 7
    assert contrast(tab, "#grid .tabulator-row .marks") >= 4.5
    opened.clean()
    opened.context.close()


def contrast(tab: Any, selector: str) -> float:
    """WCAG's contrast of a text against the page."""

    def luminance(text: str) -> float:
        rgb = [int(v) / 255 for v in text[4:-1].split(",")]
        r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    colours = tab.evaluate(
        "(s) => [getComputedStyle(document.querySelector(s)).color, getComputedStyle(document.body).backgroundColor]",
        selector,
    )
    low, high = sorted(map(luminance, colours))
    return (high + 0.05) / (low + 0.05)


def test_a_touch_screen_pinches(browser: Any, page_file: Path) -> None:
    opened = Opened(browser, page_file, 390).open()
    x, y = centre(opened)
    before = zoom_text(opened)
    session = opened.context.new_cdp_session(opened.tab)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 80), ("touchEnd", None)):
        points = [] if apart is None else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert zoom_text(opened) > 1.5 * before
    opened.clean()
    opened.context.close()


def test_checkpoints_of_one_architecture_have_names_of_their_own(page: Opened) -> None:
    page.tab.locator("#which button[value=all]").click()
    page.tab.wait_for_timeout(300)
    labels = page.tab.evaluate("[...document.querySelectorAll('#chart-plane .label')].map((l) => l.textContent)")
    assert "FSRCNN paper" in labels
    assert len(labels) == len(set(labels))
    assert {"FSRCNN tuned", "FSRCNN paper"} <= set(
        page.tab.evaluate("[...document.querySelectorAll('#pick-pa option')].map((o) => o.textContent)")
    )


def test_a_page_without_results_says_how_to_get_some(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    path.write_text(render_page([]), encoding="utf-8")
    opened = Opened(browser, path)
    opened.tab.goto(path.as_uri())
    opened.tab.wait_for_selector("html[data-ready=yes]")
    assert "srbench eval --all --datasets sample" in opened.tab.locator("main").inner_text()
    opened.clean()
    opened.context.close()
