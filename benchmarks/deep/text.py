"""Text from nothing, against tf-idf: ``python benchmarks/deep/text.py``.

Every learner is trained with its defaults, as a user gets them, on all rows but the test rows of the catalogue's
split, and its exported bundle is asked about the test rows; nothing is chosen by them. Beside the bars stands what each
lever of training does to ``text-cnn``. The last cases are runs of ``examples/chnsenticorp_hotel_zh`` with a longer
budget: one as it is, which ships the cheapest of those equal to the best to a point of accuracy, and one that gives up
no quality for money (``tolerance: 0``), whose model is the best learner that the search found.

``ONLY=rnn`` measures the cases whose name has it, ``SEEDS=3`` trains with so many seeds, ``MINUTES=4`` starts nothing
after that time, ``RUN_MINUTES=6`` is the budget of the run, ``THREADS=2`` are those of a training; a second call goes
on. The data is looked for in ``STEELYARD_DATA``, else in ``../shared/data``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from text_cases import DATA, PARTS, measure

from rows import ROOT, Bench, Row

HOTEL, SST = "chnsenticorp_hotel_zh", "sst2"
QUICK, SECONDS, BEST = 0.879, 50.0, 0.91
THREADS = int(os.environ.get("THREADS", "2"))
SEEDS = range(int(os.environ.get("SEEDS", "3")))
RUN_MINUTES = float(os.environ.get("RUN_MINUTES", "6"))
TOLERANCES = (0.01, 0.0)
CASES = [
    *((name, learner, "") for name in (HOTEL, SST) for learner in ("tfidf-linear", "text-cnn", "rnn")),
    *((HOTEL, "text-cnn", parts) for parts in PARTS if parts),
]
Held = Callable[[Sequence[Row]], tuple[bool, str]]


def run(minutes: float, tolerance: float) -> Mapping[str, Any]:
    """Run the example with a budget and return what it decided, with its figures on the test rows."""
    environment = {**os.environ, "STEELYARD_DATA": str(DATA)}
    text = (ROOT / "examples" / f"{HOTEL}.yaml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.yaml"
        text = text.replace("{minutes: 4}", f"{{minutes: {minutes:g}}}")
        text = text.replace("at_least: 0.88}", f"at_least: 0.88, tolerance: {tolerance:g}}}")
        spec.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "steelyard.cli", "run", spec, "--out", Path(folder) / "run", "--json"]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        seconds = time.perf_counter() - began
    if done.returncode not in {0, 20}:
        raise ValueError(done.stderr.strip()[-500:])
    report = json.loads(done.stdout)
    decision = report["decision"]
    figure = decision["test"]["accuracy"]
    return {
        "accuracy": figure["value"],
        "low": figure["low"],
        "high": figure["high"],
        "recipe": decision["recipe"],
        "trials": len(report["trials"]),
        "p50_ms": decision["latency_ms"]["p50"],
        "size_bytes": decision["size_bytes"],
        "seconds": seconds,
        "usd": report["spent"]["money"],
    }


def named(name: str, learner: str, parts: str) -> dict[str, Any]:
    """Return the case under which a row is kept."""
    return {"set": name, "learner": learner, "parts": parts, "threads": THREADS}


def said(case: Sequence[str], rows: Sequence[Row]) -> str:
    """Return one line on a case: the mean over seeds, the interval of the first, wall time, cost, latency, size."""
    one = rows[0]
    mean, seconds = (sum(row[field] for row in rows) / len(rows) for field in ("accuracy", "seconds"))
    return (
        f"{' '.join(filter(None, case)):50} accuracy {mean:.4f} (seeds: {len(rows)}; the first {one['low']:.3f} to "
        f"{one['high']:.3f}), {seconds:.1f} s, {one['usd']:.2g} USD, {one['p50_ms']:.2f} ms a row, "
        f"{one['size_bytes'] / 1e6:.1f} MB"
    )


def at_least(least: float) -> Held:
    """Make a bar: the mean over seeds is at least a number."""

    def met(rows: Sequence[Row]) -> tuple[bool, str]:
        values = [row["accuracy"] for row in rows]
        mean, span = sum(values) / len(values), f"{rows[0]['low']:.4f} to {rows[0]['high']:.4f}"
        return mean >= least, f"{mean:.4f} (seeds from {min(values):.4f} to {max(values):.4f}; interval {span})"

    return met


def within(most: float) -> Held:
    """Make a bar: the slowest training takes at most so many seconds."""

    def met(rows: Sequence[Row]) -> tuple[bool, str]:
        slowest = max(row["seconds"] for row in rows)
        return slowest <= most, f"{slowest:.1f} s, the slowest of {len(rows)}, on {THREADS} threads"

    return met


def main() -> None:
    """Measure what is missing, then hold the rows against the bars."""
    bench, only = Bench("deep-text", packages=("torch", "onnxruntime", "tokenizers")), os.environ.get("ONLY", "")
    if not DATA.is_dir():
        print(f"there is no data in {DATA}; set STEELYARD_DATA to the folder that holds {HOTEL}/ and the others")
        sys.exit(1)
    for case in CASES:
        for seed in SEEDS if case[1] != "tfidf-linear" else [0]:
            if only in " ".join(case):
                bench.measure(named(*case), lambda case=case, seed=seed: measure(*case, seed, THREADS), seed=seed)
    for tolerance in TOLERANCES if only in "run" else ():
        case = {"set": HOTEL, "run": RUN_MINUTES, "tolerance": tolerance}
        bench.measure(case, lambda tolerance=tolerance: run(RUN_MINUTES, tolerance))
    for case in CASES:
        if rows := bench.rows(**named(*case)):
            print(said(case, rows))
    quick = bench.rows(**named(HOTEL, "text-cnn", ""))
    bench.bar(f"text-cnn on {HOTEL} at least {QUICK}", quick, at_least(QUICK))
    bench.bar(f"text-cnn on {HOTEL} within {SECONDS:g} s of training", quick, within(SECONDS))
    for tolerance in TOLERANCES:
        for row in bench.rows(set=HOTEL, run=RUN_MINUTES, tolerance=tolerance):
            print(
                f"shipped by a run with tolerance {tolerance}: {row['recipe'][:110]}, accuracy {row['accuracy']:.4f}, "
                f"{row['p50_ms']:.2f} ms a row, after {row['trials']} trials"
            )
    best = bench.rows(set=HOTEL, run=RUN_MINUTES, tolerance=0.0)
    bench.bar(f"the best learner on {HOTEL} at least {BEST}", best, at_least(BEST))
    bench.finish()


if __name__ == "__main__":
    main()
