"""Levers on graphs, one by one and chained: ``python benchmarks/shrink/graphs.py``.

``fuse``, ``vocabulary`` and ``factorise`` (and ``quantise`` beside them) on a frozen encoder (MiniLM, banking77), a
convolutional net on text (banking77), one on images (mnist_10k), a net and trees on a table (adult_income), and tf-idf.
A row says, against the model that the chain starts from and against the step before: bytes, load, latency of one row,
rows a second in batches of 32, the share of test rows that are decided alike, and accuracy with the paired loss.

Models are trained once, on rows that are no test rows (nets on some), and kept in the temporary folder. Times are CPU
seconds of the process on one thread, the models called in turn; a ratio above 1 is faster than before. ``ONLY=minilm``
measures one model, ``MINUTES=4`` starts nothing after that time, ``ROWS=1000`` scores as many test rows, evenly spaced,
``CALLS=60`` times as many rows; a second call goes on. Data: ``STEELYARD_DATA``, else ``../shared/data``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rows import ROOT, Bench, Row

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
KEPT = Path(tempfile.gettempdir()) / "steelyard-shrink-graphs"
"""Where trained models are kept between calls."""
ROWS, CALLS = int(os.environ.get("ROWS", "1000")), int(os.environ.get("CALLS", "60"))
SETS: Mapping[str, Mapping[str, Any]] = {
    "banking77": {"data": "banking77/data.csv.gz", "target": "label", "columns": {"text": ["text"]}},
    "mnist_10k": {"data": "mnist_10k/mnist_10k.npz", "target": "label", "task": "classification"},
    "adult_income": {"data": "adult_income/data.csv.gz", "target": "income"},
}
SPLITS = {"mnist_10k": {"by": "index", "repeats": 1}}
MODELS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "minilm": ("banking77", "embed-linear", {}),
    "text-cnn": ("banking77", "text-cnn", {"epochs": 3}),
    "tf-idf": ("banking77", "tfidf-linear", {}),
    "cnn": ("mnist_10k", "cnn", {"epochs": 4}),
    "mlp": ("adult_income", "mlp", {"epochs": 3}),
    "trees": ("adult_income", "lightgbm", {}),
}
"""By name: data, learner, and settings that keep a training short: what is measured is a step's effect."""
FEW = {"text-cnn": 2000, "cnn": 2000, "mlp": 10_000}
"""Rows that the nets are trained on, for the same reason."""
Chain = tuple[tuple[str, dict[str, Any]], ...]
FUSE, QUANTISE = ("fuse", {}), ("quantise", {})
VOCABULARY: tuple[str, dict[str, Any]] = ("vocabulary", {})


def factors(keep: float, **more: Any) -> tuple[str, dict[str, Any]]:
    """Return the step that keeps a share of the numbers."""
    return ("factorise", {"keep": keep, **more})


NETS: tuple[Chain, ...] = (
    (FUSE,),
    (factors(0.5),),
    (factors(0.25),),
    (QUANTISE,),
    (QUANTISE, FUSE),
    (FUSE, QUANTISE),
    (factors(0.5), QUANTISE),
)
CHAINS: Mapping[str, tuple[Chain, ...]] = {
    "minilm": (
        (VOCABULARY,),
        (QUANTISE, FUSE),
        (VOCABULARY, QUANTISE, FUSE),
        *(chain for chain in NETS if chain != (QUANTISE, FUSE)),
        (("vocabulary", {"least": 3}),),
        (factors(0.75),),
        (factors(0.25, where="tables"),),
    ),
    "text-cnn": (*NETS, (VOCABULARY,), (("vocabulary", {"least": 3}),)),
    "tf-idf": ((FUSE,), (("vocabulary", {"least": 5}),), (("vocabulary", {"least": 20}),), (QUANTISE,)),
    "cnn": NETS,
    "mlp": NETS,
    "trees": ((FUSE,),),
}


@cache
def dataset(name: str) -> Any:
    """Return a set as a run reads it."""
    from steelyard.data.loading import load
    from steelyard.spec import parse

    told = SETS[name]
    spec = {**told, "data": str(DATA / told["data"]), "split": SPLITS.get(name, {"column": "split"})}
    return load(parse(json.dumps({**spec, "quality": {"metric": "accuracy"}})))


@cache
def parent(name: str) -> Any:
    """Return the artefact that chains start from, trained once."""
    from steelyard.bundle import About, load, write
    from steelyard.recipe import Plan, Settings, Train
    from steelyard.registry import learners
    from steelyard.testing.pupils import Watch

    data_name, learner, settings = MODELS[name]
    folder = KEPT / name
    if not folder.exists():
        data = dataset(data_name)
        rows = np.random.default_rng(0).permutation(data.partition.development)[: FEW.get(name)]
        train = data.rows.take(np.sort(rows))
        plan = Plan(settings=Settings(settings))
        fitted = learners().get(learner).fit(plan, train, None, work_of(data, threads=2), Watch())
        aside = KEPT / f"{name}-{os.getpid()}"
        KEPT.mkdir(parents=True, exist_ok=True)
        write(aside, fitted.export(), About(data.task, data.schema, Train(learner=learner, plan=plan), "0" * 16))
        aside.rename(folder)
    return load(folder).artefact()


def work_of(data: Any, threads: int = 1) -> Any:
    from steelyard.contracts import Work

    return Work(task=data.task, schema=data.schema, seed=0, threads=threads)


def measure(name: str, chain: Chain) -> Mapping[str, Any]:
    """Pull the levers of a chain, and hold the result against the model and against the step before the last."""
    from steelyard.bundle.running import GraphModel, session_of
    from steelyard.errors import SteelyardError
    from steelyard.recipe import Settings
    from steelyard.registry import levers
    from steelyard.testing.chains import size_of
    from steelyard.testing.pupils import Watch

    data = dataset(MODELS[name][0])
    work, train = work_of(data), data.rows.take(data.partition.development)
    made, watch, spent = [parent(name)], Watch(), []
    for lever, settings in chain:
        began = time.process_time()
        try:
            made.append(levers().get(lever).apply(made[-1], train, Settings(settings), work, watch))
        except SteelyardError as problem:
            return {"refusal": str(problem)}
        spent.append(round(time.process_time() - began, 2))
    test = data.rows.take(spaced(data.partition.test))
    stages = {"parent": made[0], "before": made[-2], "made": made[-1]}
    running = {key: GraphModel(one, data.task, data.schema, threads=1) for key, one in stages.items()}
    first, last = (running[key].answer(test.columns) for key in ("parent", "made"))
    right = {key: (one.decided == test.target).astype(float) for key, one in (("parent", first), ("made", last))}
    return {
        "bytes": {key: size_of(one) for key, one in stages.items()},
        "load": in_turn(
            {k: lambda a=a: session_of(a.graph, threads=1) for k, a in stages.items()}, calls=max(5, CALLS // 12)
        ),
        "one": in_turn({k: one_row(m, test) for k, m in running.items()}, calls=CALLS),
        "batch": in_turn({k: batches(m, test) for k, m in running.items()}, calls=max(5, CALLS // 12)),
        "alike": float((first.decided == last.decided).mean()),
        "accuracy": float(right["made"].mean()),
        "lost": _interval(right["parent"] - right["made"]),
        "rows": len(test),
        "seconds": spent,
        "notes": watch.notes,
        "load_average": os.getloadavg()[0],
    }


def spaced(rows: Any) -> Any:
    return rows[np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(np.int64)]


def one_row(model: Any, test: Any) -> Callable[[], object]:
    rows = [{name: cells[i] for name, cells in test.columns.items()} for i in range(min(50, len(test)))]
    turn = iter(range(10**9))
    return lambda: model.row(rows[next(turn) % len(rows)])


def batches(model: Any, test: Any) -> Callable[[], object]:
    turn = iter(range(10**9))

    def call() -> object:
        start = 32 * (next(turn) % max(1, len(test) // 32))
        return model.answer({name: cells[start : start + 32] for name, cells in test.columns.items()})

    return call


def in_turn(calls_of: Mapping[str, Callable[[], object]], *, calls: int) -> dict[str, Any]:
    """Return the median CPU milliseconds of each call, and the ratios to the last, with intervals, called in turn."""
    spent: dict[str, list[float]] = {key: [] for key in calls_of}
    order = np.random.default_rng(0)
    for _ in range(calls + 1):
        for key in order.permutation(list(calls_of)):
            began = time.process_time()
            calls_of[str(key)]()
            spent[str(key)].append(1000 * (time.process_time() - began))
    times = {key: np.array(values[1:]) for key, values in spent.items()}
    drawn = np.random.default_rng(1).integers(0, calls, (400, calls))
    found: dict[str, Any] = {key: float(np.median(values)) for key, values in times.items()}
    for key in ("parent", "before"):
        ratios = np.median(times[key][drawn], axis=1) / np.median(times["made"][drawn], axis=1)
        low, high = np.quantile(ratios, (0.025, 0.975))
        found[f"over_{key}"] = {"value": found[key] / found["made"], "low": float(low), "high": float(high)}
    return found


def _interval(values: Any) -> dict[str, float]:
    drawn = np.random.default_rng(0).integers(0, len(values), (1000, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))
    return {"value": float(values.mean()), "low": float(low), "high": float(high)}


def named(chain: Chain) -> str:
    """Return a chain as words."""
    return " > ".join(
        lever + (f"({', '.join(f'{k}={v}' for k, v in told.items())})" if told else "") for lever, told in chain
    )


def main() -> None:
    """Measure what is missing, print the table, and hold rows against bars."""
    bench = Bench("shrink-graphs", packages=("numpy", "onnx", "onnxruntime", "tokenizers"))
    only = os.environ.get("ONLY", "")
    if not DATA.is_dir():
        print(f"there is no data in {DATA}; set STEELYARD_DATA to the folder that holds banking77/ and the others")
    for name, chains in CHAINS.items() if DATA.is_dir() else ():
        for chain in chains:
            if name.startswith(only):
                bench.measure({"model": name, "chain": named(chain)}, lambda n=name, c=chain: measure(n, c))
    report(bench)
    bench.finish()


def report(bench: Bench) -> None:
    """Print a line a chain, and the bars."""
    heads = (("", 52), ("MB", 15), ("load ms", 13), ("one row ms", 13), ("faster", 20), ("batch", 6), ("alike", 6))
    print(" ".join(f"{head:>{width}}" for head, width in heads), " accuracy, lost")
    for name, chains in CHAINS.items():
        for chain in chains:
            for row in bench.rows(model=name, chain=named(chain)):
                print(f"{name:9} {named(chain):42} {shown(row)}")
    halves = bench.rows(model="minilm", chain="vocabulary")
    bench.bar("vocabulary halves MiniLM and loses less than a point", halves, _smaller(0.55))
    eight = bench.rows(model="minilm", chain="quantise > fuse")
    bench.bar("fuse makes MiniLM in 8 bits faster, and its load", eight, _faster)
    every = [r for n, cs in CHAINS.items() for c in cs for r in bench.rows(model=n, chain=named(c)) if "bytes" in r]
    bench.bar("no chain of these leaves a larger model", every, _none_larger)


def shown(row: Row) -> str:
    """Return a row as a line."""
    if "refusal" in row:
        return f"refused: {row['refusal'].partition(';')[0]}"
    size, one, lost = row["bytes"], row["one"], row["lost"]
    ratio, batch = one["over_parent"], row["batch"]["over_parent"]["value"]
    return (
        f"{size['parent'] / 1e6:6.2f} -> {size['made'] / 1e6:5.2f} "
        f"{row['load']['parent']:5.1f} -> {row['load']['made']:4.1f} {one['parent']:5.2f} -> {one['made']:4.2f} "
        f"{ratio['value']:5.2f} ({ratio['low']:.2f} to {ratio['high']:.2f}) {batch:6.2f} "
        f"{row['alike']:6.3f}  {row['accuracy']:.4f}, {lost['value']:+.4f} ({lost['low']:+.4f} to {lost['high']:+.4f})"
    )


def _smaller(share: float) -> Callable[[Sequence[Row]], tuple[bool, str]]:
    def met(rows: Sequence[Row]) -> tuple[bool, str]:
        row = rows[-1]
        ratio, lost = row["bytes"]["made"] / row["bytes"]["parent"], row["lost"]
        said = f"{ratio:.2f} of the bytes, {lost['value']:+.4f} lost ({lost['low']:+.4f} to {lost['high']:+.4f})"
        return ratio <= share and lost["low"] < 0.01, said

    return met


def _faster(rows: Sequence[Row]) -> tuple[bool, str]:
    one, load = rows[-1]["one"]["over_before"], rows[-1]["load"]["over_before"]
    said = f"{one['value']:.2f} times ({one['low']:.2f} to {one['high']:.2f}), load {load['value']:.2f} times"
    return one["low"] > 1.0 and load["low"] > 1.0, said


def _none_larger(rows: Sequence[Row]) -> tuple[bool, str]:
    worst = max(row["bytes"]["made"] / row["bytes"]["parent"] for row in rows)
    return worst <= 1.0, f"at most {worst:.3f} of the bytes in {len(rows)} chains"


if __name__ == "__main__":
    main()
