"""How long `steelyard ui` takes over a folder of many runs: the list at first sight and again, and a run's page.

Makes one real run, copies it until there are 500 (RUNS=500), and asks over loopback; each figure is the median of five.
The list is timed with nothing known, as at first sight, and again; a page is made from the run's events every time.

    python benchmarks/money/ui.py
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Bench, median_within  # type: ignore[import-not-found] # a script beside this one's folder
from steelyard import api
from steelyard.browse import Browser
from steelyard.demo import SPEC
from steelyard.spec import Budget, LearnersPart

RUNS = int(os.environ.get("RUNS", "500"))
TIMES = 5


def made(folder: Path) -> Path:
    """Make one real run, and as many copies of it as are asked for, each of a name of its own."""
    few = LearnersPart(only=("constant", "linear", "lightgbm"))
    spec = SPEC.model_copy(update={"budget": Budget(trials=6), "learners": few})
    first = api.run(spec, out=folder / "run-000", in_process=True).folder
    for number in range(1, RUNS):
        shutil.copytree(first, folder / f"run-{number:03}", ignore=shutil.ignore_patterns("bundles", ".*"))
    return first


@contextmanager
def browsing(folder: Path) -> Iterator[tuple[Browser, str]]:
    """Serve a folder in a thread; give the server and its address."""
    with Browser(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def timed(address: str, before: Callable[[], object]) -> float:
    """Return the median time of an answer, ms."""
    took = []
    for _ in range(TIMES):
        before()
        start = time.perf_counter()
        with urllib.request.urlopen(address) as answer:
            answer.read()
        took.append(1000 * (time.perf_counter() - start))
    return statistics.median(took)


def measured() -> Mapping[str, Any]:
    """Measure everything over one folder."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made(folder)
        with browsing(folder) as (server, address):
            return {
                "list_first_ms": timed(f"{address}/", server.known.clear),
                "list_again_ms": timed(f"{address}/", lambda: None),
                "page_ms": timed(f"{address}/run/run-000", lambda: None),
            }


def main() -> None:
    """Measure, and hold against the bars."""
    bench = Bench("money-ui")
    bench.measure({"runs": RUNS}, measured)
    found = bench.rows(runs=RUNS)
    bench.bar(f"a list of {RUNS} runs at first sight under 1 s", found, median_within("list_first_ms", 1000, "ms"))
    bench.bar(f"a list of {RUNS} runs again under 1 s", found, median_within("list_again_ms", 1000, "ms"))
    bench.bar("the page of a run under 300 ms", found, median_within("page_ms", 300, "ms"))
    bench.finish()


if __name__ == "__main__":
    main()
