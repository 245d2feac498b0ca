"""What is left of a text model on a bad day, and in another domain: ``python benchmarks/deep/stress.py``.

*typos*: learners are trained on sst2 as it is, and their bundles asked about its test sentences as they are and with
one word in ten mistyped (:mod:`steelyard.measure.stress`). *domain*: learners are trained on Chinese reviews of things
bought online, those of hotels left out because two thirds of them also stand in the other set, and asked about the
hotel reviews of chnsenticorp_hotel_zh, all of them. What training against attacks, and with words left out, does to
both stands beside them. There is no bar: it is a measurement.

``ONLY=typos``, ``SEEDS=2``, ``THREADS=2`` and ``MINUTES=4`` as in ``text.py``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from text_cases import DATA, PARTS, dataset

from rows import Bench

THREADS = int(os.environ.get("THREADS", "2"))
SEEDS = range(int(os.environ.get("SEEDS", "2")))
SHOP, CATEGORY, HOTELS = "shopping_reviews_zh/data.csv.gz", "cat", "酒店"
MODELS = (("tfidf-linear", ""), ("text-cnn", ""), ("text-cnn", "augment"), ("text-cnn", "adversarial"), ("rnn", ""))
Sides = Mapping[str, Any]


def typos() -> tuple[Any, Any, Sides]:
    """Return sst2: what is asked, rows to train on, and the test rows clean and mistyped."""
    from dataclasses import replace

    from steelyard.measure.stress import stressed

    data = dataset("sst2")
    test = data.rows.take(data.partition.test)
    harmed = replace(test, columns=stressed(test.columns, data.schema, "typos"))
    return data, data.rows.take(data.partition.development), {"clean": test, "stressed": harmed}


def domain() -> tuple[Any, Any, Sides]:
    """Return what is asked, shopping reviews to train on, and shopping and hotel reviews to be asked about."""
    import polars as pl

    from steelyard.contracts import Split

    table = pl.read_csv(DATA / SHOP)
    table = table.filter(pl.col(CATEGORY) != HOTELS)
    hotels = dataset("chnsenticorp_hotel_zh")
    texts = np.array([text or "" for text in table["text"]], object)
    codes = np.array([hotels.task.classes.index(str(label)) for label in table["label"]], np.int64)
    rows = Split({"text": texts}, codes, np.arange(len(codes)))
    held = np.arange(len(codes)) % 5 == 0
    return hotels, rows.take(~held), {"clean": rows.take(held), "stressed": hotels.rows}


KINDS = {"typos": typos, "domain": domain}


def measure(kind: str, learner: str, parts: str, seed: int) -> Mapping[str, Any]:
    """Train on one side, and ask the bundle about both."""
    from steelyard.bundle import About, load, write
    from steelyard.contracts import Work
    from steelyard.measure import quality
    from steelyard.recipe import Plan, Settings, Step, Train
    from steelyard.registry import learners
    from steelyard.testing.pupils import Watch

    data, train, sides = KINDS[kind]()
    work = Work(task=data.task, schema=data.schema, seed=seed, threads=THREADS)
    steps = tuple(Step(lever=lever, settings=Settings(settings)) for lever, settings in PARTS[parts])
    fitted = learners().get(learner).fit(Plan(parts=steps), train, None, work, Watch())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "bundle"
        write(place, fitted.export(), About(data.task, data.schema, Train(learner=learner), data.fingerprint))
        bundle = load(place, threads=THREADS)
        found = {name: quality(data.task, s.target, bundle.answer(s.columns))["accuracy"] for name, s in sides.items()}
    return {name: {"value": f.value, "low": f.low, "high": f.high} for name, f in found.items()}


def main() -> None:
    """Measure what is missing, then print one line a model."""
    bench, only = Bench("deep-stress", packages=("torch", "onnxruntime", "tokenizers")), os.environ.get("ONLY", "")
    if not DATA.is_dir():
        print(f"there is no data in {DATA}; set STEELYARD_DATA to the folder that holds sst/ and the others")
        sys.exit(1)
    for kind in KINDS:
        for learner, parts in MODELS:
            case = {"kind": kind, "learner": learner, "parts": parts}
            for seed in SEEDS if learner != "tfidf-linear" else [0]:
                if only in f"{kind} {learner} {parts}":
                    bench.measure(case, lambda k=kind, n=learner, p=parts, s=seed: measure(k, n, p, s), seed=seed)
            if rows := bench.rows(**case):
                clean, harmed = (sum(row[side]["value"] for row in rows) / len(rows) for side in ("clean", "stressed"))
                span = f"{rows[0]['stressed']['low']:.3f} to {rows[0]['stressed']['high']:.3f}"
                print(
                    f"{kind:7} {learner} {parts:12} {clean:.4f} -> {harmed:.4f} (first seed {span}), {len(rows)} seeds"
                )
    bench.finish()


if __name__ == "__main__":
    main()
