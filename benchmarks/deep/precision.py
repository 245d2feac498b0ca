"""Bar 9: ``python benchmarks/deep/precision.py``: bfloat16 against float32, and two processes against one.

Each pair trains the same net on the same rows from the same seed, one right after the other, so that a busy machine
slows both; what is scored are test rows of the data catalogue. ``seconds_a_step`` is wall time of the loop over its
steps, ``core_seconds_a_step`` what its processes computed, which a busy machine changes less.

Three nets: ``cnn`` on cifar10_12k (BatchNorm, whose statistics each process takes of its own rows), ``text-cnn`` on
chnsenticorp_hotel_zh with its dropout at 0 (nothing is drawn by chance, so that the curves of one and of two processes
must agree), ``transformer`` on sst2 where the package of its checkpoint is installed.

``ONLY=cnn`` measures one net, ``SEEDS=1`` one seed, ``ROWS=500`` on so many rows (a quick look; such rows are kept
apart), ``MINUTES=4`` starts nothing after that time, ``THREADS=2`` are the cores of a training. Data:
``STEELYARD_DATA``, else ``../shared/data``.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the workers of a run: idle threads sleep

import numpy as np

from rows import ROOT, Bench, Row

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
THREADS = int(os.environ.get("THREADS", "2"))
SEEDS = int(os.environ.get("SEEDS", "3"))
ROWS = int(os.environ.get("ROWS", "4000"))
USD_A_CORE_HOUR = 0.05
"""What a core is counted as, an hour; printed beside each row."""
STUDENT = {2: 4.303, 3: 3.182, 4: 2.776}
"""97.5% points of Student's t, by degrees of freedom."""
BF16 = {"mixed-precision": {"precision": "bf16"}}
TWO = {"data-parallel": {"processes": 2}}
LOCAL = {"local-sgd": {"processes": 2, "sync_every": 8}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A net and the rows that it is trained on."""

    spec: Mapping[str, Any]
    settings: Mapping[str, Any]
    rows: int
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


SUBJECTS = {
    "cnn": Subject(
        spec={
            "data": "cifar10_12k/cifar10_12k_jpg.zip",
            "target": "label",
            "task": "classification",
            "split": {"column": "split", "repeats": 1},
        },
        settings={"epochs": 6},
        rows=4000,
    ),
    "text-cnn": Subject(
        spec={"data": "chnsenticorp_hotel_zh/data.csv.gz", "target": "label", "split": {"by": "index"}},
        settings={"epochs": 4},
        rows=3000,
        parts={"regularise": {"dropout": 0.0}},
    ),
    "transformer": Subject(
        spec={"data": "sst/sst2.csv.gz", "target": "label", "split": {"column": "split"}},
        settings={"epochs": 1},
        rows=2000,
    ),
}
WAYS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {"usual": {}, "bf16": BF16, "two": TWO, "local": LOCAL}


@cache
def dataset(name: str) -> Any:
    from steelyard.data import load
    from steelyard.spec import Spec

    spec = SUBJECTS[name].spec
    return load(Spec(**{**spec, "data": str(DATA / spec["data"])}))


def spent() -> float:
    """Return the processor time of this process and of those it waited for, in s."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def measure(name: str, way: str, seed: int) -> Mapping[str, Any]:
    """Train once and score the test rows."""
    from steelyard.contracts import Work
    from steelyard.learners.nets import loop
    from steelyard.recipe import Plan, Settings, Step
    from steelyard.registry import learners
    from steelyard.testing.pupils import Watch

    one, data, took = SUBJECTS[name], dataset(name), {}
    usual = loop.train

    def timed(*args: Any, **kwargs: Any) -> Any:
        began, busy = time.perf_counter(), spent()
        trained = usual(*args, **kwargs)
        took["seconds"], took["core_seconds"] = time.perf_counter() - began, spent() - busy
        took["rows"], took["batch"] = len(args[1]), args[4].batch
        return trained

    order = np.random.default_rng(seed).permutation(data.partition.development)[: min(one.rows, ROWS)]
    train, test = data.rows.take(np.sort(order)), data.rows.take(data.partition.test[:2000])
    steps = {**one.parts, **WAYS[way]}
    plan = Plan(
        settings=Settings(one.settings), parts=tuple(Step(lever=k, settings=Settings(v)) for k, v in steps.items())
    )
    work = Work(task=data.task, schema=data.schema, seed=seed, threads=THREADS)
    loop.train = timed
    try:
        fitted = learners().get(name).fit(plan, train, None, work, Watch())
    finally:
        loop.train = usual
    count = fitted.rounds * -(-took["rows"] // took["batch"])
    right = float((fitted.scores(test.columns).argmax(1) == test.target).mean())
    return {
        "seconds": took["seconds"],
        "seconds_a_step": took["seconds"] / count,
        "core_seconds_a_step": took["core_seconds"] / count,
        "rows_a_second": fitted.rounds * took["rows"] / took["seconds"],
        "usd": took["seconds"] * THREADS * USD_A_CORE_HOUR / 3600,
        "accuracy": right,
        "test_rows": len(test),
        "losses": list(fitted.losses),
        "seed": seed,
    }


def interval(values: Sequence[float]) -> str:
    """Return mean and 95% interval of a few seeds."""
    mean = statistics.mean(values)
    if len(values) - 1 not in STUDENT:
        return f"{mean:.4g} ({len(values)} seeds)"
    half = STUDENT[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.4g} ({mean - half:.4g} to {mean + half:.4g})"


def pairs(bench: Bench, name: str, way: str) -> list[tuple[Row, Row]]:
    """Return rows of the usual way and of another one, seed by seed."""
    usual, other = (
        {row["seed"]: row for row in bench.rows(net=name, way=w, rows=ROWS, threads=THREADS)} for w in ("usual", way)
    )
    return [(usual[seed], other[seed]) for seed in sorted(usual.keys() & other.keys())]


def gap(pair: tuple[Row, Row]) -> float:
    """Return the largest difference of two loss curves, as a share of the first's."""
    return max(abs(a - b) / abs(a) for a, b in zip(pair[0]["losses"], pair[1]["losses"], strict=True))


def told(bench: Bench, name: str, way: str) -> None:
    """Print what another way changes."""
    found = pairs(bench, name, way)
    if not found:
        return
    faster, busier = ([b[what] / a[what] for a, b in found] for what in ("seconds_a_step", "core_seconds_a_step"))
    points = [100 * (b["accuracy"] - a["accuracy"]) for a, b in found]
    first, other = (statistics.mean(p[i]["seconds_a_step"] for p in found) for i in (0, 1))
    speeds = [statistics.mean(p[i]["rows_a_second"] for p in found) for i in (0, 1)]
    money = [statistics.mean(p[i]["usd"] for p in found) for i in (0, 1)]
    print(f"{name}, {way} against usual, {len(found)} seeds, {THREADS} cores:")
    print(f"  s a step {first:.4f} -> {other:.4f}, {interval(faster)} times; core-seconds {interval(busier)} times")
    print(f"  rows a second {speeds[0]:.0f} -> {speeds[1]:.0f}; USD a training {money[0]:.6f} -> {money[1]:.6f}")
    print(f"  accuracy {interval(points)} points; loss curves at most {max(map(gap, found)):.2g} apart (share)")


def main() -> None:
    from steelyard.registry import learners

    if not DATA.exists():
        print(f"no data at {DATA}: set STEELYARD_DATA")
        return
    bench = Bench("deep-precision", ("torch", "onnxruntime"))
    only = os.environ.get("ONLY", "")
    names = [name for name in SUBJECTS if (not only or name == only) and name in learners().names()]
    for seed in range(SEEDS):
        for name in names:
            for way in WAYS:
                bench.measure(
                    {"net": name, "way": way, "seed": seed, "threads": THREADS, "rows": ROWS},
                    lambda name=name, way=way, seed=seed: measure(name, way, seed),
                    seed=seed,
                )
    for name in names:
        for way in ("bf16", "two", "local"):
            told(bench, name, way)
    for name in names:
        bench.bar(
            f"{name}: bf16 loses at most 1 point of accuracy on the mean of {SEEDS} seeds",
            [{"points": 100 * (b["accuracy"] - a["accuracy"])} for a, b in pairs(bench, name, "bf16")],
            lambda rows: (
                statistics.mean(r["points"] for r in rows) >= -1.0,
                f"{interval([r['points'] for r in rows])} points",
            ),
            least=SEEDS,
        )
    if "text-cnn" in names:
        bench.bar(
            "text-cnn: two processes have the loss curve of one, within 1%",
            [{"gap": gap(pair)} for pair in pairs(bench, "text-cnn", "two")],
            lambda rows: (max(r["gap"] for r in rows) <= 0.01, f"{max(r['gap'] for r in rows):.2g} at most"),
            least=SEEDS,
        )
    bench.finish()


if __name__ == "__main__":
    main()
