"""Remaining useful life of turbofan engines (C-MAPSS FD001): windows of 30 cycles, the last one of each test engine.

The usual protocol: the target is capped at 125 cycles, in training and in the test (Heimes, "Recurrent neural networks
for remaining useful life estimation", PHM 2008); engines of the training file are split whole into training and
validation; of each of the 100 test engines the last 30 cycles are answered. Every learner runs with its defaults; the
one that does best on validation engines is held against the bar. What a net costs stands beside what figures of the
window (mean, slope, last reading ...) under a cheap learner cost.

    STEELYARD_DATA=... python benchmarks/deep/sensors.py
    ONLY=linear,lightgbm SEEDS=1 MINUTES=2 python benchmarks/deep/sensors.py
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import polars as pl

from rows import ROOT, Bench, Row
from steelyard.bundle import About, load, write
from steelyard.contracts import Work
from steelyard.data import Dataset
from steelyard.data import load as load_data
from steelyard.measure import weigh
from steelyard.money import Prices, cost_per_million
from steelyard.recipe import Plan, Train
from steelyard.registry import learners
from steelyard.spec import Spec
from steelyard.testing.pupils import Watch

CAP, WINDOW, BAR = 125, 30, 15.0
LEARNERS = ("constant", "linear", "lightgbm", "tcn", "sequence-rnn")
SEEDS = int(os.environ.get("SEEDS", "3"))
THREADS = 1
DRAWS = 2000


def table(folder: Path) -> pl.DataFrame:
    """Return both files as one table; of a test engine only the last reading has a target."""
    target, last = pl.col("rul").clip(upper_bound=CAP), pl.col("cycle").max().over("unit")
    train = pl.read_csv(folder / "train.csv.gz").with_columns(rul=last - pl.col("cycle"), side=pl.lit("train"))
    test = pl.read_csv(folder / "test.csv.gz").join(pl.read_csv(folder / "test_rul.csv.gz"), on="unit")
    test = test.with_columns(rul=pl.when(pl.col("cycle") == last).then(pl.col("rul")), side=pl.lit("test"))
    both = pl.concat([train, test.select(train.columns)])
    return both.with_columns(rul=target, unit=pl.format("{}-{}", "side", "unit"))


def dataset_of(folder: Path) -> Dataset:
    spec = Spec(
        data=table(folder),
        target="rul",
        task="regression",
        sequence={"unit": "unit", "time": "cycle", "window": WINDOW},
        split={"column": "side", "folds": 0},
    )
    return load_data(spec)


def measured(dataset: Dataset, name: str, seed: int) -> Mapping[str, Any]:
    """Train a learner with its defaults, export it, and measure the bundle."""
    parts, rows = dataset.partition, dataset.rows
    train, valid, test = rows.take(parts.parts[0].fit), rows.take(parts.validation), rows.take(parts.test)
    work = Work(task=dataset.task, schema=dataset.schema, seed=seed, threads=THREADS)
    began, watch = time.monotonic(), Watch()
    fitted = learners().get(name).fit(Plan(), train, valid, work, watch)
    seconds = time.monotonic() - began
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "bundle"
        write(folder, fitted.export(), About(dataset.task, dataset.schema, Train(learner=name), dataset.fingerprint))
        bundle = load(folder, threads=THREADS)
        judged = bundle.answer(valid.columns).scores[:, 0]
        said = bundle.answer(test.columns).scores[:, 0]
        sample = [{column: cells[row] for column, cells in test.columns.items()} for row in range(len(test))]
        weight = weigh(folder, sample, threads=THREADS)
        cost = cost_per_million(weight, Prices.load(None), None, None)
    errors = (said - test.target) ** 2
    low, high = interval(errors)
    return {
        "valid_rmse": rmse((judged - valid.target) ** 2),
        "test_rmse": rmse(errors),
        "low": low,
        "high": high,
        "engines": len(test),
        "seconds": seconds,
        "rounds": fitted.rounds,
        "p50_ms": weight.p50.value,
        "cost_per_million": cost.value,
    }


def rmse(squares: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(np.sqrt(squares.mean()))


def interval(squares: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Return the 95% interval of the RMSE, engines drawn with replacement."""
    random = np.random.default_rng(0)
    drawn = squares[random.integers(len(squares), size=(DRAWS, len(squares)))]
    low, high = np.quantile(np.sqrt(drawn.mean(axis=1)), [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    home = Path(os.environ.get("STEELYARD_DATA") or ROOT.parent / "shared" / "data") / "cmapss_fd001"
    if not home.exists():
        print(f"skipped: {home} is not there; set STEELYARD_DATA")
        return
    bench = Bench("deep-sensors", ("torch", "lightgbm", "onnxruntime"))
    only = [name for name in os.environ.get("ONLY", "").split(",") if name]
    dataset = dataset_of(home)
    for seed in range(SEEDS):
        for name in only or LEARNERS:
            bench.measure({"learner": name}, lambda name=name, seed=seed: measured(dataset, name, seed), seed=seed)
    rows = {name: bench.rows(learner=name) for name in LEARNERS}
    show({name: found for name, found in rows.items() if found})
    every = [row for found in rows.values() for row in found]
    bench.bar(f"the learner that validation chooses has an RMSE of {BAR:g} cycles at most", every, chosen)
    bench.finish()


def chosen(rows: Sequence[Row]) -> tuple[bool, str]:
    best = min(rows, key=lambda row: row["valid_rmse"])
    name = (
        f"{best['test_rmse']:.2f} ({best['low']:.2f} to {best['high']:.2f} over {best['engines']} engines), trained in "
    )
    return best["test_rmse"] <= BAR, f"{name}{best['seconds']:.0f} s, {best['cost_per_million']:.3g} USD a million rows"


def show(rows: Mapping[str, Sequence[Row]]) -> None:
    heads = f"{'learner':12} {'runs':>4} {'valid':>6} {'test':>6} {'95% interval':>14}"
    print(f"{heads} {'seconds':>8} {'ms':>6} {'USD/M':>7}")
    for name, found in rows.items():
        valid, test, seconds, ms, cost = (
            float(np.mean([row[field] for row in found]))
            for field in ("valid_rmse", "test_rmse", "seconds", "p50_ms", "cost_per_million")
        )
        first = found[0]
        between = f"{first['low']:.2f} to {first['high']:.2f}"
        print(f"{name:12} {len(found):4} {valid:6.2f} {test:6.2f} {between:>14} {seconds:8.1f} {ms:6.3f} {cost:7.3f}")


if __name__ == "__main__":
    main()
