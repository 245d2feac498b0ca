"""Text sets of the catalogue with their splits, and the training of one learner on one of them."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(os.environ.get("STEELYARD_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
SETS: Mapping[str, Mapping[str, Any]] = {
    "chnsenticorp_hotel_zh": {"target": "label", "columns": {"text": ["text"]}, "split": {"by": "index"}},
    "sst2": {"target": "label", "columns": {"text": ["text"]}, "split": {"column": "split"}},
}
"""What a spec says of each set; the splits are those of the catalogue."""
FILES = {"chnsenticorp_hotel_zh": "chnsenticorp_hotel_zh/data.csv.gz", "sst2": "sst/sst2.csv.gz"}
PARTS: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    "": (),
    "augment": (("augment", {"drop": 0.15}),),
    "adversarial": (("adversarial", {"radius": 0.05}),),
    "self-supervised": (("self-supervised", {"epochs": 6}),),
    "mixed-precision": (("mixed-precision", {"precision": "bf16"}),),
}
"""By the name of a case, the levers on the plan of a training."""


@cache
def dataset(name: str) -> Any:
    """Return a set as a run reads it."""
    from steelyard.data.loading import load
    from steelyard.spec import parse

    spec = {"data": str(DATA / FILES[name]), "quality": {"metric": "accuracy"}, **SETS[name]}
    return load(parse(json.dumps(spec)))


def trained(name: str, learner: str, parts: str, seed: int, threads: int) -> tuple[Any, list[str], float]:
    """Train a learner with its defaults on everything but the test rows; return it, its notes and the seconds."""
    from steelyard.contracts import Work
    from steelyard.recipe import Plan, Settings, Step
    from steelyard.registry import learners
    from steelyard.testing.pupils import Watch

    data = dataset(name)
    work = Work(task=data.task, schema=data.schema, seed=seed, threads=threads)
    steps = tuple(Step(lever=lever, settings=Settings(settings)) for lever, settings in PARTS[parts])
    watch, began = Watch(), time.perf_counter()
    train = data.rows.take(data.partition.development)
    fitted = learners().get(learner).fit(Plan(parts=steps), train, None, work, watch)
    return fitted, watch.notes, time.perf_counter() - began


def measure(name: str, learner: str, parts: str, seed: int, threads: int) -> Mapping[str, Any]:
    """Train, export, and ask the bundle about the test rows; nothing is chosen by them."""
    from steelyard.bundle import About, load, write
    from steelyard.measure import quality
    from steelyard.recipe import Train

    data = dataset(name)
    fitted, notes, seconds = trained(name, learner, parts, seed, threads)
    test = data.rows.take(data.partition.test)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "bundle"
        write(place, fitted.export(), About(data.task, data.schema, Train(learner=learner), data.fingerprint))
        bundle = load(place, threads=1)
        accuracy = quality(data.task, test.target, bundle.answer(test.columns))["accuracy"]
        size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        milliseconds = latency(bundle, data, test)
    return {
        "accuracy": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
        "rows": len(test),
        "seconds": seconds,
        "p50_ms": milliseconds,
        "size_bytes": size,
        "usd": seconds * threads * core_second(),
        "notes": notes,
    }


def latency(bundle: Any, data: Any, test: Any, calls: int = 200) -> float:
    """Return the median time of one answer from a dict of named values, in ms."""
    names = [column.name for column in data.schema.features]
    rows = [{name: test.columns[name][i] for name in names} for i in range(min(50, len(test)))]
    spent = []
    for call in range(calls):
        began = time.perf_counter()
        bundle.answer_row(rows[call % len(rows)])
        spent.append(1000 * (time.perf_counter() - began))
    return float(np.median(spent[calls // 10 :]))


def core_second() -> float:
    """Return what a second of one core costs, in USD, by the built-in prices."""
    from steelyard.money import Prices

    return float(Prices.load().core_hour.amount.amount) / 3600
