"""ONNX Runtime Web, bundles of every kind that a browser answers, and a real headless Chromium to ask them in."""

import base64
import contextlib
import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from steelyard.bundle import About, load, write
from steelyard.contracts import Work
from steelyard.errors import ExportRefused
from steelyard.export import Given, export
from steelyard.export.browser.runtime import cache, runtime
from steelyard.recipe import Plan, Settings, Train
from steelyard.registry import learners
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import scene

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")
ASK = """async ([rows, images]) => {
    window.model ??= await (await import("./steelyard.js")).Model.load(".");
    const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    return window.model.predict(rows.map((row) => ({
        ...row, ...Object.fromEntries(images.filter((name) => row[name]).map((name) => [name, bytes(row[name])])),
    })));
}"""


@pytest.fixture(scope="session")
def web():
    """The folder of ONNX Runtime Web: the one that STEELYARD_WEB names, what is kept, or what npm fetches."""
    named = os.environ.get("STEELYARD_WEB", "")
    try:
        runtime(Path(named) if named else None, download=not named)
    except ExportRefused as problem:
        pytest.skip(f"ONNX Runtime Web is not at hand: {problem}")
    return Path(named) if named else cache()


@pytest.fixture(scope="session")
def exported(web, tmp_path_factory):
    """Exports a bundle; returns the folder."""

    def made(bundle):
        out = tmp_path_factory.mktemp("browser") / "model"
        export(Path(bundle), "browser", Given(out=out, web=web))
        return out

    return made


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    """Trains a learner on a made-up scene; returns its bundle and the rows that it was not trained on."""

    @functools.cache
    def made(learner, kind, problem):
        told = scene(kind, problem)
        plan = Plan(settings=Settings())
        work = Work(task=told.task, schema=told.schema, seed=7, threads=1)
        found = learners().get(learner).fit(plan, told.train, None, work, Watch())
        folder = tmp_path_factory.mktemp("bundles") / learner
        about = About(told.task, told.schema, Train(learner=learner, plan=plan), "0" * 16)
        write(folder, found.export(), about)
        return folder, rows_of(told.valid.columns)

    return made


def rows_of(columns):
    """Return typed columns as rows of plain cells."""

    def plain(cell):
        if isinstance(cell, float) and np.isnan(cell):
            return None
        return cell.item() if isinstance(cell, np.generic) else cell

    names = list(columns)
    return [{name: plain(columns[name][row]) for name in names} for row in range(len(columns[names[0]]))]


@pytest.fixture(scope="session")
def chromium():
    if BROWSER is None:
        pytest.skip("no Chromium on the PATH (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver, driver.chromium.launch(executable_path=BROWSER, args=FLAGS) as opened:
        yield opened


@pytest.fixture
def tab(chromium):
    """Opens pages; an error in a script, a warning, or a request to elsewhere fails the test."""
    problems, contexts = [], []

    def visit(address, **view):
        context = chromium.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **view})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: said.type in {"error", "warning"} and problems.append(said.text))
        page.on("request", lambda asked: _is_at_home(asked.url, address) or problems.append(asked.url))
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not problems


def _is_at_home(url, address):
    return url.startswith((address.rpartition("/")[0], "blob:", "data:"))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *said):
        pass


@pytest.fixture(scope="session")
def served():
    """Serves a folder as long as a context lasts; gives its address."""

    @contextlib.contextmanager
    def made(folder):
        handler = functools.partial(_Quiet, directory=str(folder))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()

    return made


@pytest.fixture
def asked(tab, served):
    """Asks an export rows over its JavaScript; the server is gone before the rows come."""

    def made(folder, rows):
        with served(folder) as address:
            page = tab(f"{address}/index.html")
            page.wait_for_selector("#work:not([hidden])")
            page.evaluate(ASK, [[], []])
        return page.evaluate(ASK, [*plain_rows(rows)])

    return made


def plain_rows(rows):
    """Return rows as JSON carries them, and the names of the columns whose cells are bytes in base64."""
    images = sorted({name for row in rows for name, cell in row.items() if isinstance(cell, bytes)})
    coded = [
        {name: base64.b64encode(cell).decode() if isinstance(cell, bytes) else cell for name, cell in row.items()}
        for row in rows
    ]
    return coded, images


@pytest.fixture
def held(exported, asked):
    """Holds what a browser says of rows against their bundle; returns what it said."""

    def made(bundle, rows, *, within=2e-5):
        said, opened = asked(exported(bundle), rows), load(bundle)
        answer = opened.answer_rows(rows)
        assert len(said) == len(rows)
        if opened.task.classes:
            assert [each["label"] for each in said] == list(opened.predict(rows))
            told = np.array([[each["probabilities"][name] for name in opened.task.classes] for each in said])
            assert np.abs(told - answer.scores).max() <= within
        else:
            assert np.array([each["value"] for each in said]) == pytest.approx(answer.decided, rel=within)
        return said

    return made
