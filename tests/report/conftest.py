"""A run of ten trials on credit data, as a record; and its reports."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steelyard.contracts import Column, Ending, Kind, Problem, Schema, Task, Trial, Weight
from steelyard.decide import candidate, decide
from steelyard.money import Ledger, Prices, compute_entry, cost_per_million, note_entry
from steelyard.recipe import Combine, Plan, Settings, Shrink, Train
from steelyard.report import build
from steelyard.search.compared import Compared
from steelyard.search.judged import Judged
from steelyard.search.outcomes import BINARY
from steelyard.search.record import Final, RunRecord, Spent
from steelyard.spec import Budget, Quality, Serving, Spec, Traffic
from steelyard.tasks import metric
from steelyard.units import Estimate, Seconds


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


blocks, vectors = _load("blocks"), _load("vectors")
TASK = Task(problem=Problem.BINARY, target="class", aim="roc_auc", classes=("good", "bad"), positive="bad")
SCHEMA = Schema(
    (
        Column(name="duration", kind=Kind.NUMBER, distinct=33),
        Column(name="purpose", kind=Kind.CATEGORY, missing=0.012, distinct=10),
        Column(name="customer", kind=Kind.ID, distinct=1000),
        Column(name="foreign_worker", kind=Kind.CONSTANT, distinct=1),
    )
)
LINEAR = Train(learner="linear")
TREES = Train(learner="lightgbm")
TUNED = Train(learner="lightgbm", plan=Plan(settings=Settings(leaves=15, learning_rate=0.043, min_rows=12)))
AGAIN = Train(learner="lightgbm", plan=Plan(settings=Settings(leaves=9, learning_rate=0.081, min_rows=30)))
#        recipe, lever, roc_auc, half interval, p95 in ms, bytes, seconds
TRIALS = (
    (Train(learner="constant"), "start", 0.5, 0.0, 0.021, 1_100, 0.4),
    (LINEAR, "start", 0.785, 0.046, 0.064, 9_400, 2.1),
    (TREES, "start", 0.779, 0.047, 0.142, 482_000, 6.4),
    (TUNED, "tune", 0.789, 0.046, 0.118, 361_000, 5.2),
    (AGAIN, "tune", 0.784, 0.046, 0.109, 302_000, 4.8),
    (Combine(lever="ensemble", parents=(LINEAR, TUNED)), "ensemble", 0.795, 0.045, 0.171, 372_000, 1.3),
    (Shrink(lever="quantise", parent=LINEAR), "quantise", 0.784, 0.046, 0.071, 12_100, 0.9),
    (Combine(lever="threshold", parents=(LINEAR,)), "threshold", 0.785, 0.046, 0.066, 9_600, 0.7),
)


def quality(value, half):
    shown = Estimate(value, value - half, value + half)
    loss = Estimate(1.1 - value, 1.1 - value - half, 1.1 - value + half, unit="nats")
    return {"roc_auc": shown, "accuracy": Estimate(value - 0.03, value - 0.06, value), "log_loss": loss}


def weigh(ms, size):
    def spread(value):
        return Estimate(value, value * 0.96, value * 1.05, unit="ms")

    return Weight(
        p50=spread(ms * 0.8),
        p95=spread(ms),
        p99=spread(ms * 1.6),
        throughput=Estimate.exact(60_000.0, unit="rows/s"),
        batch=128,
        size_bytes=size,
        memory_bytes=Estimate.exact(21e6, unit="bytes"),
        threads=1,
        calls=1000,
    )


def measured(number, row):
    recipe, lever, value, half, ms, size, seconds = row
    return Trial(
        number=number,
        recipe=recipe,
        lever=lever,
        ending=Ending.MEASURED,
        validation=quality(value, half),
        protocol="5-fold",
        rounds=(84, 91, 77, 102, 88) if "lightgbm" in str(recipe) else (),
        seconds=Seconds(seconds),
        cpu_seconds=Seconds(seconds * 0.9),
        weight=weigh(ms, size),
    )


def unmeasured(number, ending, note):
    recipe = Train(learner="lightgbm", plan=Plan(settings=Settings(leaves=400 + number)))
    return Trial(number=number, recipe=recipe, lever="tune", ending=ending, note=note, seconds=Seconds(1.5))


def paired(first, second):
    value = TRIALS[first][2] - TRIALS[second][2]
    return Estimate(value, value - 0.014, value + 0.014)


def decisions():
    """What each candidate makes of 800 rows: true positive, false positive, true negative, false negative."""
    rng = np.random.default_rng(5)
    truth, made = rng.random(800) < 0.3, []
    for _, _, roc_auc, *_ in TRIALS:
        right = rng.random(800) < 0.4 + roc_auc / 2
        yes = np.where(right, truth, ~truth) if roc_auc > 0.5 else np.zeros(800, dtype=bool)
        made.append(np.column_stack([truth & yes, ~truth & yes, ~truth & ~yes, truth & ~yes]).astype(float))
    return made


def make_compared():
    made, numbers = decisions(), range(len(TRIALS))
    counts = [int(n) for n in made[1].sum(axis=0)]
    return Compared(
        baseline=0,
        expected={},
        pairs={(a, b): paired(a, b) for a in numbers for b in numbers if a != b},
        names=BINARY,
        outcomes={k: vectors.moments(made[k]) for k in numbers},
        spreads={(a, b): vectors.moments(made[a] - made[b])[1] for a in numbers for b in numbers if a < b},
        judged=Judged(
            rows=800,
            confusion=((counts[2], counts[1]), (counts[3], counts[0])),
            bins=((0.1, 0.12, 0.08, 0.17, 400), (0.6, 0.55, 0.5, 0.6, 400)),
            error=0.035,
        ),
    )


FINDINGS = (
    {
        "code": "id_column",
        "severity": "note",
        "column": "customer",
        "sentence": "Column 'customer' has a value of its own in every row and is left out; name it in "
        "`columns.category` to keep it.",
        "numbers": {"distinct": 1000.0},
    },
    {
        "code": "constant_column",
        "severity": "warn",
        "column": "foreign_worker",
        "sentence": "Column 'foreign_worker' holds one value only and is left out.",
        "numbers": {},
    },
)


def make_record(spec=None):
    spec = spec or Spec(
        name="credit",
        data="german_credit/data.csv.gz",
        target="class",
        quality=Quality(metric="roc_auc", at_least=0.78, tolerance=0.025),
        serving=Serving(latency_p95_ms=20, traffic=Traffic(mean_rps=50, peak_rps=200)),
        budget=Budget(minutes=1, trials=10),
    )
    prices = Prices.load()
    trials = (
        *(measured(k, row) for k, row in enumerate(TRIALS)),
        unmeasured(8, Ending.PRUNED, "Stopped at step 20 of 100."),
        unmeasured(9, Ending.FAILED, "The framework said: <bad> & 'ugly' [bold]."),
    )
    entries = [
        compute_entry("reading the data and checking it", Seconds(1.2), prices),
        *(compute_entry(f"trial {t.number}", Seconds(t.seconds * 2), prices, trial=t.number) for t in trials),
        note_entry("Trial 9 was not repeated: it failed the same way twice.", prices, trial=9),
    ]
    candidates = [c for t in trials if (c := candidate(t, prices, spec, TASK)) is not None]
    decision = decide(candidates, metric=metric("roc_auc"), paired=paired, spec=spec, task=TASK, baseline=0)
    chosen = trials[decision.number]
    final = Final(
        bundle=Path("runs/credit-20261122/bundles/0123456789abcdef"),
        refitted=True,
        validation=chosen.validation,
        test=quality(0.801, 0.062),
        weight=chosen.weight,
        cost_per_million=cost_per_million(chosen.weight, prices, spec.serving.traffic, spec.serving.latency_p95_ms),
        rounds=(88,),
    )
    return RunRecord(
        name="credit",
        folder=Path("runs/credit-20261122"),
        created="2026-11-22T02:30:00+00:00",
        spec=spec,
        schema=SCHEMA,
        task=TASK,
        fingerprint="3f1c9a0b7d2e4856",
        row_counts={"all": 1000, "development": 800, "validation": 800, "calibration": 800, "test": 200},
        protocol="5-fold",
        prices=prices,
        ending="Ten trials were run, as many as the budget allows.",
        spent=Spent(seconds=Seconds(31.4), money=Ledger.of(entries, "USD").total),
        findings=FINDINGS,
        trials=trials,
        entries=tuple(entries),
        decision=decision,
        final=final,
        notes=("Calibration rows are the validation rows: there are fewer than 5,000 to train on.",),
        test_reads=1,
        machine={"cpu": "x86-64, 2 cores", "python": "3.11", "onnxruntime": "1.31.1"},
        compared=make_compared(),
    )


@pytest.fixture
def record():
    return make_record()


@pytest.fixture
def infeasible():
    spec = Spec(
        data="german_credit/data.csv.gz",
        target="class",
        quality=Quality(metric="roc_auc", at_least=0.9),
        serving=Serving(latency_p95_ms=0.05, size_mb=0.005),
    )
    return make_record(spec)


@pytest.fixture
def empty(record):
    prices = record.prices
    return replace(
        record,
        trials=(unmeasured(0, Ending.BUDGET_SPENT, ""),),
        decision=None,
        final=None,
        entries=(),
        findings=(),
        notes=(),
        machine={},
        compared=None,
        ending="The budget ended before the first candidate was measured.",
        spent=Spent(seconds=Seconds(1.0), money=Ledger.of((), prices.currency).total),
    )


@pytest.fixture
def hostile(record):
    """Names that try to break out of whatever shows them."""
    nasty = "<script>alert(1)</script>[red]|`*_\"'&\n# x"
    finding = {**FINDINGS[0], "column": nasty, "sentence": f"Column {nasty} is odd."}
    entry = replace(record.entries[0], what=nasty)
    trial = replace(record.trials[-1], note=nasty)
    schema = Schema((Column(name=nasty, kind=Kind.NUMBER),))
    return replace(
        record,
        name=nasty,
        findings=(finding,),
        entries=(entry, *record.entries[1:]),
        trials=(*record.trials[:-1], trial),
        notes=(nasty,),
        machine={nasty: nasty},
        schema=schema,
        task=replace(record.task, target=nasty, classes=("good", nasty), positive=nasty),
        ending=nasty,
    )


@pytest.fixture
def report(record):
    return build(record)


@pytest.fixture
def full(report):
    """A report with every block filled."""
    return blocks.with_blocks(report)


@pytest.fixture(scope="session")
def cases():
    """The maker of decisions.json."""
    return vectors


@pytest.fixture
def rows():
    """What each candidate makes of the validation rows."""
    return decisions()
