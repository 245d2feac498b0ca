"""The page in a real Chromium: it decides as Python does, speaks two languages, and bars nobody.

Screenshots are left in the folder that STEELYARD_SCREENSHOTS names, or in a temporary one.
"""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from steelyard import api
from steelyard.report import build, page
from steelyard.spec import Budget, LearnersPart, Quality, Serving, Spec, Traffic, Value

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")
ARITHMETIC = Path(__file__).resolve().parents[2] / "src/steelyard/report/page/arithmetic.js"
WIDTHS = (1280, 390)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver, driver.chromium.launch(executable_path=BROWSER, args=FLAGS) as opened:
        yield opened


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens a report as a file on disk; an error, a warning or a request to anywhere fails the test."""
    problems, contexts = [], []

    def visit(report, *, width=1280, scheme="light", **more):
        file = tmp_path / "report.html"
        file.write_text(page(report), encoding="utf-8")
        view = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "locale": "en-GB"}
        context = chromium.new_context(**(view | more))
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(10_000)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("console", lambda said: said.type in {"error", "warning"} and problems.append(said.text))
        tab.on("request", lambda asked: re.match("file:|blob:", asked.url) or problems.append(asked.url))
        tab.goto(file.as_uri())
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The report of a real run, with values and traffic."""
    spec = Spec(
        data="sklearn:breast_cancer",
        target="diagnosis",
        positive="malignant",
        serving=Serving(latency_p95_ms=50, traffic=Traffic(mean_rps=20, peak_rps=80)),
        value=Value(true_positive="100 USD", false_positive="-50 USD", false_negative="-1000 USD"),
        learners=LearnersPart(only=("constant", "linear", "lightgbm")),
        quality=Quality(),
        budget=Budget(trials=6),
    )
    return api.run(spec, out=tmp_path_factory.mktemp("real") / "run", in_process=True).report


def wish(tab, **fields):
    for name, value in fields.items():
        tab.fill(f"#{name}", "" if value is None else str(value))


def test_the_browser_decides_every_case_as_python_does(chromium, cases):
    tab = chromium.new_page()
    tab.add_script_tag(type="module", content=ARITHMETIC.read_text(encoding="utf-8") + "window.again = decideAgain;")
    tab.wait_for_function("window.again !== undefined")
    for case in json.loads(cases.FILE.read_text(encoding="utf-8")):
        for wishes, said in zip(case["wishes"], case["said"], strict=True):
            told = tab.evaluate("([deciding, wishes]) => window.again(deciding, wishes)", [case["deciding"], wishes])
            costs = {str(row["number"]): row["cost"] for row in told["rows"]}
            rejected = sorted(map(int, told["rejected"]))
            same = {k: told[k] for k in ("number", "feasible", "equal", "tightest", "frontier")}
            for number, expected in said.pop("costs").items():
                assert costs[number] == pytest.approx(expected, rel=1e-12)
            assert {**same, "rejected": rejected} == said
    tab.close()


def test_money_over_a_horizon_is_that_of_the_textbook(chromium):
    tab = chromium.new_page()
    tab.add_script_tag(type="module", content=ARITHMETIC.read_text(encoding="utf-8") + "window.worth = presentValue;")
    tab.wait_for_function("window.worth !== undefined")
    for months, rate in ((12, 0.1), (2.5, 0.0), (0.5, 0.2), (60, 0.03)):
        whole, rest = int(months), months - int(months)
        expected = sum((1 + rate) ** (-k / 12) for k in range(1, whole + 1)) + rest * (1 + rate) ** (-months / 12)
        assert tab.evaluate("([m, r]) => window.worth(20, m, r)", [months, rate]) == pytest.approx(20 * expected)
    tab.close()


WISHES = (
    {"latency_p95_ms": 0.065},
    {"latency_p95_ms": 0.01},
    {"mean_rps": 4000.0, "peak_rps": 9000.0, "latency_p95_ms": None},
    {"core_hour": 0.0, "mean_rps": None, "peak_rps": None},
    {"values": [40.0, -3.0, 0.0, -25.0]},
    {"values": [0.0, -900.0, 5.0, -1.0], "mean_rps": 3.0},
)


@pytest.mark.parametrize("changed", WISHES, ids=str)
def test_fields_change_the_decision_as_python_says(opened, record, rows, cases, changed):
    report = build(record)
    wishes = {**report["deciding"]["wishes"], **changed}
    measured = [t for t in record.trials if t.weight is not None]
    said = cases.decided(record.task, measured, record.compared, rows, record.spec, wishes)
    tab = opened(report)
    values = {f"value_{k}": v for k, v in enumerate(changed.get("values", ()))}
    wish(tab, **{k: v for k, v in changed.items() if k != "values"}, **values)
    title = next(row["title"] for row in report["trials"] if row["number"] == said["number"])
    expected = f"Take {title}" if said["feasible"] else f"{title} comes nearest"
    assert tab.text_content("#verdict h3") == expected
    assert tab.locator("#standing tr.chosen th").text_content() == title
    assert tab.get_attribute("svg.wide .dot.taken", "data-n") == str(said["number"])


def test_a_slider_writes_its_field_and_decides_and_the_run_s_own_wishes_come_back(opened, report):
    tab = opened(report)
    before = tab.text_content("#verdict")
    tab.evaluate("""() => {
        const slider = document.querySelector('[data-for="latency_p95_ms"]');
        slider.value = "0";
        slider.dispatchEvent(new Event("input", { bubbles: true }));
    }""")
    assert 0 < float(tab.input_value("#latency_p95_ms")) < 0.021
    assert "comes nearest" in tab.text_content("#verdict h3")
    assert "p95 latency" in tab.text_content("#verdict")
    tab.click("#reset")
    assert tab.text_content("#verdict") == before
    assert f"Take {report['decision']['title']}" in before


def test_what_is_no_figure_is_refused_beside_its_field_and_decides_nothing(opened, report):
    tab = opened(report)
    for nonsense in ("ten", "-5", "1e400", "NaN"):
        wish(tab, core_hour=nonsense)
        assert tab.get_attribute("#core_hour", "aria-invalid") == "true"
        assert "no figure that is allowed" in tab.text_content("#verdict")
    wish(tab, core_hour="0.05")
    assert tab.get_attribute("#core_hour", "aria-invalid") == "false"
    assert "Take" in tab.text_content("#verdict h3")


def test_a_real_run_is_decided_again_as_it_was(opened, real):
    tab = opened(real)
    assert tab.locator("#verdict .bad").count() == (0 if real["decision"]["feasible"] else 1)
    assert real["decision"]["title"] in tab.text_content("#verdict h3")
    chosen = next(row for row in real["trials"] if row["chosen"])
    shown = float(tab.get_attribute("#standing tr.chosen td:nth-child(4)", "data-v"))
    assert shown == pytest.approx(chosen["cost_per_million"], rel=1e-12)
    assert "net present value" in tab.text_content("#sums")


def test_a_point_says_what_it_is_to_the_pointer_and_to_the_keyboard(opened, report):
    tab = opened(report)
    dot = tab.locator("svg.wide .dot.chosen")
    dot.hover()
    assert tab.is_visible("#tip")
    for words in (report["decision"]["title"], "roc_auc", "0.785", "p95 of one row", "a million predictions"):
        assert words in tab.text_content("#tip")
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#tip")
    tab.locator("svg.wide .dot.frontier").first.focus()
    assert tab.is_visible("#tip")


def test_a_table_sorts_by_its_figures_both_ways_from_the_keyboard(opened, report):
    tab = opened(report)
    button = tab.locator('table[data-name="trials"] th button', has_text="p95")
    cells = 'table[data-name="trials"] td:nth-child(3)[data-v]'
    for press in range(2):
        button.focus()
        tab.keyboard.press("Enter")
        found = tab.eval_on_selector_all(cells, "cells => cells.map((c) => Number(c.dataset.v))")
        assert len(found) == 8
        assert found == sorted(found, reverse=press == 0)


def test_tables_are_saved_with_every_digit_and_with_their_intervals(opened, hostile):
    report = build(hostile)
    tab = opened(report)
    saved = {}
    for kind in ("CSV", "JSON"):
        with tab.expect_download() as waiting:
            tab.click(f'.sheet:has(table[data-name="frontier"]) .save button:has-text("{kind}")')
        assert waiting.value.suggested_filename == f"frontier.{kind.lower()}"
        saved[kind] = Path(waiting.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(saved["CSV"].splitlines()))
    assert [row["candidate"].split(" lightgbm(")[0] for row in rows]
    best = report["frontier"][0]["validation"]["roc_auc"]
    got = [float(rows[0][f"roc_auc, 95% interval{end}"]) for end in ("", " low", " high")]
    assert got == [best["value"], best["low"], best["high"]]
    assert [float(r["p95 of one row"]) for r in json.loads(saved["JSON"])] == [float(r["p95 of one row"]) for r in rows]
    with tab.expect_download() as waiting:
        tab.click("#everything")
    whole = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert {"frontier", "trials", "ledger", "standing"} <= whole["tables"].keys()


def test_a_cell_that_a_spreadsheet_would_run_is_saved_as_text(opened, record):
    from dataclasses import replace

    entry = replace(record.entries[0], what="=HYPERLINK(1)")
    tab = opened(build(replace(record, entries=(entry, *record.entries[1:]))))
    tab.click('details:has(table[data-name="ledger"]) summary')
    with tab.expect_download() as waiting:
        tab.click('.sheet:has(table[data-name="ledger"]) .save button:has-text("CSV")')
    assert "\r\n'=HYPERLINK(1)," in Path(waiting.value.path()).read_bytes().decode()


def test_the_page_says_all_of_its_own_words_in_chinese_and_goes_back(opened, full):
    tab = opened(full)
    before = tab.text_content("main")
    tab.click("#language")
    assert tab.get_attribute("html", "lang") == "zh-CN"
    assert tab.text_content("h1") == f"选用 {full['decision']['title']}"
    left = tab.eval_on_selector_all(
        "[data-t]", "all => all.filter((e) => !/[\\u4e00-\\u9fff]/.test(e.textContent)).map((e) => e.dataset.t)"
    )
    assert set(left) <= {"{0}", "ms"}
    heads = tab.eval_on_selector_all("th[scope=col]", "all => all.map((e) => e.textContent)")
    assert [h for h in heads if h and not re.search("[\u4e00-\u9fff]", h)] == ["roc_auc"]
    labels = tab.eval_on_selector_all("td[data-label]", "all => all.map((e) => e.dataset.label)")
    assert all(re.search("[\u4e00-\u9fff]", label) for label in labels if label and "roc_auc" not in label)
    wish(tab, latency_p95_ms="0.065")
    assert "选用" in tab.text_content("#verdict")
    tab.click("#reset")
    tab.click("#language")
    assert tab.text_content("main") == before


def test_a_chinese_browser_is_spoken_to_in_chinese(opened, report):
    assert opened(report, locale="zh-CN").text_content("#print") == "打印"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_nothing_serious(opened, full, scheme, language):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tab = opened(full, scheme=scheme)
    if language == "zh":
        tab.click("#language")
    tab.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = axe.Axe().run(tab).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in {"serious", "critical"}] == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seen", ["full-en", "full-zh", "real-en", "real-zh"])
def test_it_fits_the_screen_and_is_pictured(opened, request, tmp_path, width, seen):
    kind, language = seen.split("-")
    tab = opened(request.getfixturevalue(kind), width=width)
    if language == "zh":
        tab.click("#language")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    clipped = tab.eval_on_selector_all(
        "main button, main input, main h2, main th, main td",
        "all => all.filter((e) => e.offsetWidth > 1 && e.getBoundingClientRect().right > innerWidth + 1)"
        ".map((e) => e.outerHTML.slice(0, 80))",
    )
    assert clipped == []
    folder = Path(os.environ.get("STEELYARD_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=folder / f"page-{kind}-{width}-{language}.png", full_page=True)


def test_without_script_and_on_paper_all_that_matters_is_there(opened, full):
    tab = opened(full, java_script_enabled=False)
    for hidden in ("#again", ".tools", "#tip"):
        assert not tab.is_visible(hidden)
    for words in ("Why", "What it returns", "Frontier", "Where the next dollar goes", "Everything that was tried"):
        assert tab.is_visible(f'h2:has-text("{words}")')
    paper = opened(full)
    paper.emulate_media(media="print")
    assert not paper.is_visible("#again")
    assert not paper.is_visible(".tools")
    assert paper.is_visible('table[data-name="waterfall"]')
    assert paper.pdf()[:5] == b"%PDF-"
