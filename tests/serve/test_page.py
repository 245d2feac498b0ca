"""The page at /docs in a real Chromium: what a visitor types is what the bundle answers."""

import io
import shutil
from dataclasses import replace

import pytest
from PIL import Image

from steelyard.bundle import About, write
from steelyard.contracts import Column, Kind, Schema
from steelyard.recipe import Train
from steelyard.serve import Key

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")
MIXED = {"age": "33", "when": "2011-01-31", "city": "a", "note": "the parcel is late"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver, driver.chromium.launch(executable_path=BROWSER, args=FLAGS) as opened:
        yield opened


@pytest.fixture
def page(browser):
    """A page of its own; an error in its script or a refused resource fails the test."""
    opened, problems = browser.new_page(), []
    opened.set_default_timeout(10_000)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda said: said.type == "error" and problems.append(said.text))
    yield opened
    opened.close()
    assert not [problem for problem in problems if "status of 4" not in problem]  # what a server refuses is logged


def opened_at(page, server):
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    return page


def tried(page):
    """Press the button, and return the answer once it is there."""
    page.get_by_role("button", name="Try").click()
    page.wait_for_selector("#answer .answer")
    return page.text_content("#answer .answer")


@pytest.mark.parametrize("name", ["mixed", "numbers", "regression"])
def test_a_row_that_is_typed_is_answered_as_by_the_bundle(page, serving, opened, name):
    opened_at(page, serving[name]).wait_for_selector("#fields [data-column]")
    asked = [each.get_attribute("data-column") for each in page.query_selector_all("#fields [data-column]")]
    assert asked == [column.name for column in opened[name].reads.features]
    for column in asked:
        page.fill(f'[data-column="{column}"]', MIXED[column])
    told = tried(page)
    if opened[name].task.classes:
        row = {column: MIXED[column] for column in asked}
        row["age"] = 33.0
        assert told == opened[name].predict(row)[0]
        best = max(opened[name].predict_proba(row)[0])
        assert page.text_content("#answer .bar b") == f"{100 * best:.1f}%"
    else:
        assert float(told) == pytest.approx(opened[name].predict({"age": 33.0})[0], rel=1e-5)


def test_an_empty_cell_is_a_missing_one(page, serving, opened):
    opened_at(page, serving["mixed"]).wait_for_selector("#fields [data-column]")
    for column in MIXED:
        page.fill(f'[data-column="{column}"]', "")
    row = dict.fromkeys(MIXED) | {"note": ""}
    assert tried(page) == opened["mixed"].predict(row)[0]


def test_an_image_is_sent_from_a_file(page, serving, opened):
    file = io.BytesIO()
    Image.new("RGB", (9, 7), "red").save(file, "PNG")
    (column,) = [each.name for each in opened["image"].reads.features]
    opened_at(page, serving["image"]).set_input_files(
        f'[data-column="{column}"]', {"name": "red.png", "mimeType": "image/png", "buffer": file.getvalue()}
    )
    assert tried(page) == opened["image"].predict({column: file.getvalue()})[0]


def test_what_the_server_refuses_is_said_on_the_page(page, serving):
    opened_at(page, serving["numbers"]).wait_for_selector("#fields [data-column]")
    page.fill('[data-column="age"]', "old")
    page.get_by_role("button", name="Try").click()
    page.wait_for_selector("#problem:not([hidden])")
    assert "'age'" in page.text_content("#problem")


def test_nothing_of_the_model_is_shown_without_a_key(page, start):
    opened_at(page, start(keys=(Key.of(32 * "k"),)))
    page.wait_for_function("document.getElementById('work').hidden")
    assert "age" not in page.text_content("main")
    page.fill("#key", "wrong")
    page.get_by_role("button", name="Open").click()
    page.wait_for_selector("#problem:not([hidden])")
    page.fill("#key", 32 * "k")
    page.get_by_role("button", name="Open").click()
    page.wait_for_selector("#fields [data-column]")
    page.fill('[data-column="age"]', "33")
    assert tried(page)


def test_names_of_columns_and_classes_are_text_to_the_page(page, maker, start, folders, monkeypatch):
    nasty = "<img src=x onerror=document.title='taken'>"
    schema = Schema((Column(name=nasty, kind=Kind.NUMBER, low=0.0, high=90.0),))
    task = replace(maker.task, classes=(nasty, "yes"))
    folder = folders["numbers"].parent / "nasty"
    write(folder, maker.artefact((nasty,)), About(task, schema, Train(learner="linear"), "f1ngerpr1nt", {}))
    monkeypatch.setitem(folders, "nasty", folder)
    opened_at(page, start("nasty")).wait_for_selector("#fields [data-column]")
    page.fill("[data-column]", "33")
    tried(page)
    assert nasty in page.text_content("#answer")
    assert page.query_selector("main img") is None
    assert page.title() != "taken"
