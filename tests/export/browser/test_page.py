"""The page as a person meets it: opened from the disk, without a network, in two languages, by keyboard.

Screenshots are left in the folder that STEELYARD_SCREENSHOTS names, or in a temporary one.
"""

import os
import re
from pathlib import Path

import pytest

from steelyard.bundle import load
from steelyard.contracts import Problem

pytestmark = pytest.mark.slow
ROW = {"age": "41.5", "noise": "0.25", "seen": "2023-11-16 08:30", "job": "clerk"}


@pytest.fixture(scope="module")
def model(fitted, exported):
    bundle, _ = fitted("linear", "numbers", Problem.BINARY)
    return bundle, exported(bundle)


def opened(tab, folder, **view):
    page = tab((folder / "index.html").as_uri(), **view)
    page.context.set_offline(True)
    page.wait_for_selector("#work:not([hidden])")
    return page


def test_a_row_is_typed_and_answered_from_the_disk_without_a_network(tab, model):
    bundle, folder = model
    page = opened(tab, folder)
    for name, cell in ROW.items():
        page.fill(f'[data-column="{name}"]', cell)
    page.keyboard.press("Enter")
    page.wait_for_selector(".said")
    told = load(bundle)
    assert page.text_content(".said") == told.predict(ROW)[0]
    best = max(told.predict_proba(ROW)[0])
    assert page.text_content("#answer tr td:last-child") == f"{100 * best:.1f}%"


def test_the_median_of_repeated_calls_is_read_off_the_page(tab, model):
    page = opened(tab, model[1])
    page.click("#try")
    page.click("#measure")
    page.wait_for_selector("#times[data-p50]")
    p50, p95 = (float(page.get_attribute("#times", f"data-{name}")) for name in ("p50", "p95"))
    assert 0 < p50 <= p95
    assert "Of 50 calls" in page.text_content("#times")


def test_what_does_not_fit_is_said_and_the_page_goes_on(tab, model):
    page = opened(tab, model[1])
    page.fill('[data-column="age"]', "old")
    page.click("#try")
    page.wait_for_selector("#problem:not([hidden])")
    assert "column 'age' holds 'old', which is not a number" in page.text_content("#problem")
    page.fill('[data-column="age"]', "")
    page.click("#try")
    page.wait_for_selector(".said")
    assert not page.is_visible("#problem")


def test_the_page_speaks_chinese_to_a_chinese_browser_and_english_on_demand(tab, model):
    page = opened(tab, model[1], locale="zh-CN")
    page.click("#try")
    page.wait_for_selector(".said")
    assert page.get_attribute("html", "lang") == "zh-CN"
    own = page.eval_on_selector_all("[data-t]", "all => all.map((each) => each.textContent)")
    assert all(re.search("[\u4e00-\u9fff]", text) for text in own)
    page.click("#language")
    assert page.get_attribute("html", "lang") == "en"
    assert page.text_content("#try") == "Try"


def test_the_page_may_neither_connect_nor_evaluate(tab, model):
    page = opened(tab, model[1])
    policy = page.get_attribute('meta[http-equiv="Content-Security-Policy"]', "content")
    assert "connect-src 'none'" in policy
    assert "'unsafe-eval'" not in policy
    assert "'unsafe-inline'" not in policy


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(tab, served, model, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with served(model[1]) as address:  # axe reads style sheets, which a page on the disk may not
        page = tab(f"{address}/index.html", color_scheme=scheme, bypass_csp=True)
        page.wait_for_selector("#work:not([hidden])")
        page.click("#try")
        page.wait_for_selector(".said")
        found = axe.Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in {"serious", "critical"}] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_screen_and_is_pictured(tab, model, tmp_path, width):
    page = opened(tab, model[1], viewport={"width": width, "height": 900})
    page.click("#try")
    page.wait_for_selector(".said")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    folder = Path(os.environ.get("STEELYARD_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"browser-{width}.png", full_page=True)
