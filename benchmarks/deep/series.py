"""Forecasts of road speeds, transformer loads and the M4's weekly series against what doing nothing costs.

Each set is one run of the command line with every learner that takes it, by defaults; what ships is scored on the test
rows, and beside it every trial's bundle, which validation rows were kept from. References are computed here on the very
rows: persistence and the historical average (roads), a DLinear trained by gradient descent as its paper does
(transformer), naive2 (M4; with a season of one step, which M4 gives weekly series, it is the last value).

``ONLY=metr_la_week`` takes one set, ``BUDGET=2`` minutes of search instead of its own.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rows import ROOT, Bench, Row

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
BUDGET = {"metr_la_week": 12.0, "etth1": 6.0, "m4_weekly": 6.0}
MINUTES_AHEAD = {15: 3, 30: 6, 60: 12}
TRAIN, VALIDATION, TEST = 8640, 2880, 2880
"""Hours of the 12, 4 and 4 months that the transformer data is split into."""
SLACK = 1.03

Figures = dict[str, float]


@dataclass(frozen=True)
class Scored:
    """Test rows with what a bundle says of them."""

    task: Any
    target: np.ndarray
    answer: Any
    columns: Mapping[str, np.ndarray]


def write(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def run(spec: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], float]:
    """Run a spec by the command line; return its report and the seconds it took."""
    (folder / "spec.yaml").write_text(json.dumps(spec), encoding="utf-8")
    command = [sys.executable, "-m", "steelyard.cli", "run", folder / "spec.yaml", "--out", folder / "run", "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 20}:
        raise ValueError(done.stderr.strip()[-600:])
    return json.loads(done.stdout), time.perf_counter() - began


def answers(folder: Path) -> tuple[Any, dict[str, Scored]]:
    """Return a run's data, and what its test rows are answered by what ships and by each trial's bundle."""
    import steelyard as sy
    from steelyard.bundle import load
    from steelyard.recipe import describe
    from steelyard.search.store import Store

    finished, store = sy.open_run(folder), Store(folder)
    dataset = finished.dataset
    held = dataset.rows.take(dataset.partition.test)
    bundles = {"chosen": finished.bundle}
    for trial in finished.record.trials:
        if trial.ending.usable:
            bundles[describe(trial.recipe)] = load(store.place(trial.recipe) / dataset.partition.parts[0].name)
    found = {}
    for name, bundle in bundles.items():
        answer = replace(bundle.answer(held.columns), scales=held.scales)
        found[name] = Scored(dataset.task, held.target, answer, held.columns)
    return dataset, found


def interval(errors: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of a mean of errors, one a row, over resampled clusters of rows."""
    codes = np.unique(clusters, return_inverse=True)[1]
    sums = np.bincount(codes, weights=errors)
    counts = np.bincount(codes).astype(float)
    drawn = np.random.default_rng(0).integers(0, len(sums), (1000, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def kept(report: Mapping[str, Any], seconds: float, found: Mapping[str, Figures]) -> dict[str, Any]:
    """Return what a row keeps of a run."""
    decision = report["decision"]
    coverage = decision["test"].get("coverage", {})
    return {
        "recipe": decision["recipe"],
        "p95_ms": decision["latency_ms"]["p95"],
        "cost_per_million": decision["cost_per_million"],
        "money": report["spent"]["money"],
        "seconds": seconds,
        "coverage": coverage.get("value"),
        "by_model": dict(found),
        "trials": [
            {"recipe": t["recipe"], "seconds": t.get("seconds"), "note": t.get("note", "")} for t in report["trials"]
        ],
    }


def roads() -> Mapping[str, Any]:
    """Forecast an hour of speeds of 207 sensors, every five minutes."""
    with np.load(DATA / "metr_la_week" / "metr_la_week.npz") as held:
        speed, ties = held["speed"].astype(float), held["adj"]
    times = np.datetime64("2012-03-01T00:00:00") + np.arange(len(speed)) * np.timedelta64(5, "m")
    names = [f"s{place}" for place in range(speed.shape[1])]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stamps = [str(t).replace("T", " ") for t in times]
        columns = {name: speed[:, place].tolist() for place, name in enumerate(names)}
        write(folder / "data.csv", {"time": stamps} | columns)
        np.savetxt(folder / "ties.csv", ties, delimiter=",")
        forecast = {"time": "time", "horizon": 12, "history": 12, "season": 1, "together": "all", "graph": "ties.csv"}
        spec = {
            **common("metr_la_week"),
            "target": names[0],
            "forecast": forecast,
            "quality": {"metric": "mae"},
            "split": {"test": 0.2, "folds": 0},
        }
        report, seconds = run(spec, folder)
        dataset, found = answers(folder / "run")
        figures = {name: ahead(one) for name, one in found.items()}
        figures["historical average"] = ahead(averaged(speed, found["chosen"], times))
        clusters = dataset.groups[dataset.partition.test]
        return kept(report, seconds, figures) | {
            "interval": {f"mae_{m}": of_step(found, s, clusters) for m, s in MINUTES_AHEAD.items()}
        }


def of_step(found: Mapping[str, Scored], step: int, clusters: np.ndarray) -> tuple[float, float]:
    one, width = found["chosen"], len(found["chosen"].task.series)
    part = slice((step - 1) * width, step * width)
    return interval(np.abs(one.target[:, part] - one.answer.decided[:, part]).mean(axis=1), clusters)


def ahead(one: Scored) -> Figures:
    """Return the mean absolute error 15, 30 and 60 minutes ahead, and over all steps."""
    errors = np.abs(one.target - one.answer.decided).reshape(len(one.target), one.task.horizon, -1).mean(axis=(0, 2))
    return {f"mae_{minutes}": float(errors[step - 1]) for minutes, step in MINUTES_AHEAD.items()} | {
        "mae": float(errors.mean())
    }


def averaged(speed: np.ndarray, like: Scored, times: np.ndarray) -> Scored:
    """Answer with the mean of the same time of day in training."""
    from steelyard.contracts import Answer

    slots = (times - times.astype("datetime64[D]")).astype("timedelta64[m]").astype(int) // 5
    before = int(0.8 * len(speed))
    means = np.stack([speed[:before][slots[:before] == slot].mean(axis=0) for slot in range(288)])
    start = times[0].astype("datetime64[s]").astype(int)
    origin = np.rint((like.columns["time"] - start) / 300).astype(int)
    told = means[slots[np.minimum(origin[:, None] + np.arange(1, 13), len(slots) - 1)]].reshape(len(origin), -1)
    return Scored(like.task, like.target, Answer(told, told), like.columns)


def transformer() -> Mapping[str, Any]:
    """Forecast 96 hours of seven loads and temperatures from the 96 before."""
    with gzip.open(DATA / "etth1" / "ETTh1.csv.gz", "rt") as file:
        lines = list(csv.reader(file))
    names, lines = lines[0][1:], lines[1 : 1 + TRAIN + VALIDATION + TEST]
    values = np.array([line[1:] for line in lines], float)
    sides = ["train"] * TRAIN + ["validation"] * VALIDATION + ["test"] * TEST
    mean, spread = values[:TRAIN].mean(axis=0), values[:TRAIN].std(axis=0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        columns = {name: values[:, place].tolist() for place, name in enumerate(names)}
        write(folder / "data.csv", {"date": [line[0] for line in lines], "side": sides} | columns)
        spec = {
            **common("etth1"),
            "target": names[0],
            "forecast": {"time": "date", "horizon": 96, "history": 96, "together": names[1:]},
            "split": {"column": "side"},
        }
        report, seconds = run(spec, folder)
        dataset, found = answers(folder / "run")
    scaled = {name: standardised(one, mean, spread) for name, one in found.items()}
    scaled["DLinear by gradient descent"] = descended((values - mean) / spread)
    chosen = found["chosen"]
    squares = np.square(((chosen.target - chosen.answer.decided).reshape(len(chosen.target), 96, -1)) / spread)
    clusters = dataset.groups[dataset.partition.test]
    return kept(report, seconds, scaled) | {"interval": {"mse": interval(squares.mean(axis=(1, 2)), clusters)}}


def standardised(one: Scored, mean: np.ndarray, spread: np.ndarray) -> Figures:
    """Return errors in standard deviations of the training months."""
    del mean
    apart = (one.target - one.answer.decided).reshape(len(one.target), one.task.horizon, -1) / spread
    return {"mse": float(np.mean(np.square(apart))), "mae": float(np.mean(np.abs(apart)))}


def descended(values: np.ndarray, steps: int = 96, epochs: int = 10) -> Figures:
    """Train a DLinear by gradient descent: Adam at 0.005 halved each epoch, batches of 32, the best epoch."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    table = torch.tensor(values, dtype=torch.float32)
    windows = table.unfold(0, 2 * steps, 1)
    train = windows[: TRAIN - 2 * steps + 1]
    valid = windows[TRAIN - steps : TRAIN + VALIDATION - 2 * steps + 1]
    test = windows[TRAIN + VALIDATION - steps :]
    pool = nn.AvgPool1d(25, 1)
    trend_map, rest_map = nn.Linear(steps, steps), nn.Linear(steps, steps)

    def told(some: Any) -> Any:
        seen = some[:, :, :steps]
        trend = pool(torch.cat([seen[:, :, :1].expand(-1, -1, 12), seen, seen[:, :, -1:].expand(-1, -1, 12)], dim=2))
        return trend_map(trend) + rest_map(seen - trend)

    weights = [*trend_map.parameters(), *rest_map.parameters()]
    optimiser = torch.optim.Adam(weights, lr=0.005)
    best, found = float("inf"), {}
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = 0.005 * 0.5**epoch
        for rows in torch.randperm(len(train)).split(32):
            optimiser.zero_grad()
            nn.functional.mse_loss(told(train[rows]), train[rows][:, :, steps:]).backward()
            optimiser.step()
        with torch.no_grad():
            loss = float(nn.functional.mse_loss(told(valid), valid[:, :, steps:]))
            if loss < best:
                apart = told(test) - test[:, :, steps:]
                best, found = loss, {"mse": float(apart.square().mean()), "mae": float(apart.abs().mean())}
    return found


def weekly() -> Mapping[str, Any]:
    """Forecast 13 weeks of 359 series of unequal length."""
    with np.load(DATA / "m4_weekly" / "m4_weekly.npz", allow_pickle=True) as held:
        train, lengths, test, ids = held["train"], held["train_len"], held["test"], held["ids"]
    starts = np.cumsum(lengths) - lengths
    table: dict[str, list[Any]] = {"series": [], "week": [], "value": [], "side": []}
    for place, name in enumerate(ids):
        own = [*train[starts[place] : starts[place] + lengths[place]].tolist(), *test[place].tolist()]
        table["series"] += [str(name)] * len(own)
        table["week"] += list(range(len(own)))
        table["value"] += own
        table["side"] += ["train"] * int(lengths[place]) + ["test"] * 13
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder / "data.csv", table)
        forecast = {"time": "week", "series": "series", "horizon": 13, "season": 1, "history": 104}
        spec = {**common("m4_weekly"), "target": "value", "forecast": forecast, "split": {"column": "side", "folds": 0}}
        report, seconds = run(spec, folder)
        dataset, found = answers(folder / "run")
    clusters = dataset.groups[dataset.partition.test]
    chosen = found["chosen"]
    scaled = np.abs(chosen.target - chosen.answer.decided).mean(axis=1) / chosen.answer.scales[:, 0]
    figures = {name: by_m4(one) for name, one in found.items()}
    figures["naive2"] = figures["seasonal-naive"]
    return kept(report, seconds, figures) | {"interval": {"mase": interval(scaled, clusters)}, "series": len(scaled)}


def by_m4(one: Scored) -> Figures:
    """Return M4's figures."""
    from steelyard.tasks import metric

    return {name: metric(name).measure(one.task, one.target, one.answer) for name in ("smape", "mase")}


def common(name: str) -> dict[str, Any]:
    """Return what every spec says."""
    return {
        "name": name,
        "data": "data.csv",
        "task": "forecasting",
        "budget": {"minutes": float(os.environ.get("BUDGET", BUDGET[name]))},
        "seed": 0,
    }


SETS: dict[str, Callable[[], Mapping[str, Any]]] = {
    "metr_la_week": roads,
    "etth1": transformer,
    "m4_weekly": weekly,
}


def below(field: str, reference: str, slack: float = 1.0) -> Callable[[Sequence[Row]], tuple[bool, str]]:
    """Make a bar: what ships has a lower figure than a reference, or one not higher than ``slack`` times as high."""

    def met(rows: Sequence[Row]) -> tuple[bool, str]:
        row = rows[0]
        own, other = (row["by_model"][name][field] for name in ("chosen", reference))
        spread = row["interval"].get(field)
        ends = "" if spread is None else f" ({spread[0]:.4g} to {spread[1]:.4g})"
        fine = own < other if slack == 1.0 else own <= slack * other
        said = f"{own:.4g}{ends} against {other:.4g}, by {words(row['recipe'])}"
        return fine, f"{said}; {row['seconds']:.0f} s, {row['money']:.2g} USD"

    return met


def words(recipe: Any) -> str:
    """Return a recipe's name."""
    return recipe if isinstance(recipe, str) else str(recipe.get("title", recipe))


def main() -> None:
    """Measure what is missing, then hold it against the bars."""
    bench = Bench("deep-series", ("torch", "lightgbm", "numpy", "onnxruntime"))
    only = os.environ.get("ONLY", "")
    for name, how in SETS.items():
        if only in {"", name}:
            bench.measure({"set": name}, how)
    for name in SETS:
        for row in bench.rows(set=name):
            for model, figures in row["by_model"].items():
                print(f"{name:>13}  {model:40.40}  " + "  ".join(f"{k} {v:.4g}" for k, v in figures.items()))
    rows = {name: bench.rows(set=name) for name in SETS}
    for minutes in MINUTES_AHEAD:
        for reference in ("seasonal-naive", "historical average"):
            sentence = f"metr_la_week: error {minutes} minutes ahead below {reference}"
            bench.bar(sentence, rows["metr_la_week"], below(f"mae_{minutes}", reference))
    for reference in ("dlinear", "DLinear by gradient descent"):
        sentence = f"etth1: squared error at most {SLACK} of {reference}"
        bench.bar(sentence, rows["etth1"], below("mse", reference, SLACK))
    for field in ("smape", "mase"):
        bench.bar(f"m4_weekly: {field} below naive2", rows["m4_weekly"], below(field, "naive2"))
    bench.finish()


if __name__ == "__main__":
    main()
