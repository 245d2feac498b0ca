"""Bar 6, a bundle in a browser: ``python benchmarks/shrink/browser.py``.

For a table, texts (tf-idf, a small convolutional net, MiniLM made smaller) and images: how large the folder of
``steelyard export --to browser`` is, how long headless Chromium takes from opening the page on the disk to the first
answer, the median latency that the page shows, and whether it says what the bundle says of 200 test rows.

The clock is held against the bar. A busy machine makes a page wait: beside it stand the load, and what Chromium's
processes computed until the first answer.

``ONLY=text-cnn`` measures one case, ``MINUTES=4`` starts nothing after that time; a second call goes on. ``WEB`` names
a folder that holds onnxruntime-web; unset, npm may fetch it. Data: ``STEELYARD_DATA``, else ``../shared/data``.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from rows import ROOT, Bench, Row

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")
LARGEST, LONGEST, ROWS, VISITS = 30e6, 3000.0, 200, 5
ASK = """async ([rows, images]) => {
    const { Model } = await import("./steelyard.js");
    const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    const [model, said] = [await Model.load("."), []];
    for (const row of rows) {
        const files = Object.fromEntries(images.map((name) => [name, bytes(row[name])]));
        said.push((await model.predict([{ ...row, ...files }]))[0]);
    }
    return said;
}"""
"""What asks a model for rows one by one, as the page does: a graph that is quantised on the fly takes the range of its
numbers from the whole batch, so that among others a row has scores of its own there as well as here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One bundle: a set, a learner with its settings, and what makes it smaller."""

    file: str
    learner: str
    spec: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    shrink: tuple[str, ...] = ()
    train: int = 4000
    """Most training rows: neither size nor latency asks for more."""


TEXT = {"columns": {"text": ["text"]}}
INDEX = {"split": {"by": "index"}}
CASES: Mapping[str, Case] = {
    "table": Case(
        file="adult_income/data.csv.gz", learner="lightgbm", spec={"target": "income", "split": {"column": "split"}}
    ),
    "tf-idf": Case(file="sms_spam/data.csv.gz", learner="tfidf-linear", spec={"target": "label", **TEXT, **INDEX}),
    "text-cnn": Case(
        file="chnsenticorp_hotel_zh/data.csv.gz",
        learner="text-cnn",
        settings={"epochs": 2},
        spec={"target": "label", **TEXT, **INDEX},
    ),
    "minilm": Case(
        file="banking77/data.csv.gz",
        learner="embed-linear",
        shrink=("vocabulary", "quantise"),
        spec={"target": "label", **TEXT, "split": {"column": "split"}},
        train=1500,
    ),
    "image": Case(
        file="mnist_10k/mnist_10k.npz",
        learner="cnn",
        settings={"epochs": 4},
        spec={"target": "label", "task": "classification", **INDEX},
    ),
}


def trained(case: Case, folder: Path) -> Any:
    """Write the bundle of a case; return the data."""
    from steelyard.bundle import About, write
    from steelyard.contracts import Work
    from steelyard.data.loading import load
    from steelyard.recipe import Plan, Settings, Train
    from steelyard.registry import learners, levers
    from steelyard.spec import parse
    from steelyard.testing.pupils import Watch

    data = load(parse(json.dumps({"data": str(DATA / case.file), **case.spec})))
    rows = np.random.default_rng(0).permutation(data.partition.development)[: case.train]
    train, plan = data.rows.take(np.sort(rows)), Plan(settings=Settings(case.settings))
    work = Work(task=data.task, schema=data.schema, seed=0, threads=1)
    artefact = learners().get(case.learner).fit(plan, train, None, work, Watch()).export()
    for name in case.shrink:
        if name in levers().names():
            artefact = levers().get(name).apply(artefact, train, Settings(), work, Watch())
    write(folder, artefact, About(data.task, data.schema, Train(learner=case.learner, plan=plan), "0" * 16))
    return data


def cells(data: Any) -> list[dict[str, Any]]:
    """Return test rows as plain cells; arrays of levels as the bytes of a PNG."""
    from PIL import Image

    def plain(cell: Any) -> Any:
        if isinstance(cell, np.ndarray):
            file = io.BytesIO()
            Image.fromarray(cell).save(file, "PNG")
            return file.getvalue()
        if isinstance(cell, float) and np.isnan(cell):
            return None
        return cell.item() if isinstance(cell, np.generic) else cell

    columns = data.rows.take(data.partition.test[:ROWS]).columns
    return [{name: plain(values[row]) for name, values in columns.items()} for row in range(ROWS)]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *said: Any) -> None:
        """Say nothing of requests."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def agreement(chromium: Any, folder: Path, bundle: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the share of rows with the same decision, and the widest distance between two probabilities."""
    images = sorted({name for name, cell in rows[0].items() if isinstance(cell, bytes)})
    coded = [{n: base64.b64encode(c).decode() if isinstance(c, bytes) else c for n, c in row.items()} for row in rows]
    page = chromium.new_page()
    with served(folder) as address:
        page.goto(f"{address}/index.html")
        said = page.evaluate(ASK, [coded, images])
    page.close()
    answers = [bundle.answer_row(row) for row in rows]
    told = np.array([[each["probabilities"][name] for name in bundle.task.classes] for each in said])
    decided = [bundle.task.classes[int(answer.decided[0])] for answer in answers]
    same = [each["label"] == name for each, name in zip(said, decided, strict=True)]
    scores = np.concatenate([answer.scores for answer in answers])
    return {"agreement": float(np.mean(same)), "off": float(np.abs(told - scores).max())}


def computed() -> float:
    """Return the seconds of processor that the processes below this one have had, those that ended included."""
    ticks, parents = {}, {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(place.parent.name)] = int(fields[1])
        ticks[int(place.parent.name)] = sum(map(int, fields[11:15]))

    def is_below(process: int) -> bool:
        above = parents.get(process, 0)
        return above == os.getpid() or (above > 1 and is_below(above))

    return sum(ticks[process] for process in ticks if is_below(process)) / os.sysconf("SC_CLK_TCK")


def visited(chromium: Any, folder: Path, row: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Open the page from the disk without a network.

    Returns the first answer by the clock and by what was computed, the median latency, all in ms, and the load.
    """
    context = chromium.new_context()
    context.set_offline(True)
    page = context.new_page()
    before, began = computed(), time.perf_counter()
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("#work:not([hidden])")
    for name, cell in row.items():
        place = f'[data-column="{name}"]'
        if isinstance(cell, bytes):
            page.set_input_files(place, {"name": "it.png", "mimeType": "image/png", "buffer": cell})
        else:
            page.fill(place, "" if cell is None else str(cell))
    page.click("#try")
    page.wait_for_selector(".said")
    first, cores = 1e3 * (time.perf_counter() - began), 1e3 * (computed() - before)
    page.click("#measure")
    page.wait_for_selector("#times[data-p50]")
    p50 = float(page.get_attribute("#times", "data-p50"))
    context.close()
    return first, cores, p50, os.getloadavg()[0]


def measure(case: Case) -> Mapping[str, Any]:
    """Train, export, and visit the page."""
    from playwright.sync_api import sync_playwright

    from steelyard.bundle import load
    from steelyard.export import Given, export

    web = os.environ.get("WEB", "")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        home = Path(place)
        rows = cells(trained(case, home / "bundle"))
        export(home / "bundle", "browser", Given(out=home / "out", web=Path(web) if web else None, download=not web))
        bundle = load(home / "bundle", threads=1)
        size = sum(path.stat().st_size for path in (home / "out").rglob("*") if path.is_file())
        with driver.chromium.launch(executable_path=found, args=FLAGS) as chromium:
            same = agreement(chromium, home / "out", bundle, rows)
            visits = [visited(chromium, home / "out", rows[0]) for _ in range(VISITS)]
    first, cores, p50, busy = zip(*visits, strict=True)
    return {
        "learner": case.learner,
        "size_bytes": size,
        "bundle_bytes": bundle.size_bytes,
        "first_answer_ms": statistics.median(first),
        "first_answer_core_ms": statistics.median(cores),
        "first_answers_ms": [round(ms) for ms in first],
        "p50_ms": statistics.median(p50),
        "load": statistics.mean(busy),
        "rows": len(rows),
        **same,
    }


def small(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether every folder is small enough."""
    worst = max(rows, key=lambda row: row["size_bytes"])
    return worst["size_bytes"] < LARGEST, f"{worst['size_bytes'] / 1e6:.1f} MB at most ({worst['learner']})"


def soon(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether every first answer comes in time by the clock, as the median of the visits."""
    worst = max(rows, key=lambda row: row["first_answer_ms"])
    seconds, cores = worst["first_answer_ms"] / 1e3, worst["first_answer_core_ms"] / 1e3
    said = f"{seconds:.2f} s at most ({worst['learner']}), {cores:.2f} s computed, load {worst['load']:.1f}"
    return seconds < LONGEST / 1e3, said


def agrees(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether every row is decided as by the bundle."""
    return all(row["agreement"] == 1.0 for row in rows), ", ".join(
        f"{row['learner']} {row['agreement']:.1%} of {row['rows']} (probabilities within {row['off']:.1g})"
        for row in rows
    )


def main() -> None:
    """Measure what is missing, then hold the rows against the bars."""
    bench = Bench("shrink-browser", packages=("onnxruntime", "playwright", "pillow", "tokenizers"))
    if not DATA.is_dir():
        print(f"there is no data in {DATA}; set STEELYARD_DATA to the folder that holds sms_spam/ and the others")
    only = os.environ.get("ONLY", "")
    for name, case in CASES.items() if DATA.is_dir() else ():
        if only in ("", name):
            bench.measure({"case": name}, functools.partial(measure, case))
    every = [row for name in CASES for row in bench.rows(case=name)[-1:]]
    texts = [row for name in ("tf-idf", "text-cnn", "minilm") for row in bench.rows(case=name)[-1:]]
    for row in every:
        clock, cores = row["first_answers_ms"], row["first_answer_core_ms"]
        print(
            f"  {row['learner']}: {row['size_bytes'] / 1e6:.1f} MB, first answers {clock} ms ({cores:.0f} ms computed) "
            f"at a load of {row['load']:.1f}, p50 {row['p50_ms']:.2f} ms"
        )
    bench.bar("text: the folder is under 30 MB", texts, small, least=3)
    bench.bar("the first answer comes within 3 s of opening the page", every, soon, least=len(CASES))
    bench.bar("200 test rows are decided as by the bundle", every, agrees, least=len(CASES))
    bench.finish()


if __name__ == "__main__":
    main()
