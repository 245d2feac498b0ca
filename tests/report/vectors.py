"""Makes decisions.json: cases that Python decides, for the browser to decide alike. Run me when the rule changes."""

import json
import math
import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np

from steelyard.contracts import Ending, Problem, Task, Trial, Weight
from steelyard.decide import candidate, decide
from steelyard.money import Prices
from steelyard.recipe import Plan, Settings, Shrink, Step, Train
from steelyard.report.deciding import deciding
from steelyard.search.compared import Compared
from steelyard.search.outcomes import BINARY
from steelyard.search.record import RunRecord, Spent
from steelyard.spec import Quality, Serving, ShrinkPart, Spec, Traffic, Value
from steelyard.tasks import metric
from steelyard.units import Estimate, Money, Seconds

FILE = Path(__file__).with_name("decisions.json")
CLASSES = {"classes": ("no", "yes"), "positive": "yes"}
ROWS = 400


def ms(value, noise):
    return Estimate(value, value * (1 - noise), value * (1 + noise), unit="ms")


def recipes(rng, count):
    """The constant model, learners, and what levers make of them: some shrink, some alter data or leave columns out."""
    made = [Train(learner="constant")]
    for k in range(1, count):
        base = rng.choice(made)
        plain = Train(learner=f"model-{k}")
        kind = rng.choice(("new", "new", "shrink", "clean", "select"))
        if kind == "shrink":
            made.append(Shrink(lever="quantise", settings=Settings(k=k), parent=base))
        elif kind == "clean" and isinstance(base, Train) and not base.data:
            made.append(replace(base, data=(Step(lever="clean", settings=Settings(k=k)),)))
        elif kind == "select" and isinstance(base, Train) and not base.plan.parts:
            step = Step(lever="select", settings=Settings(columns=json.dumps([f"c{k}"])))
            made.append(replace(base, plan=Plan(parts=(step,))))
        else:
            made.append(plain)
    return made


def answers(rng, count):
    """What each candidate makes of the same rows: true positive, false positive, true negative, false negative."""
    truth = np.array([rng.random() < 0.3 for _ in range(ROWS)])
    rows = []
    for k in range(count):
        right = rng.uniform(0.6, 0.95)
        yes = np.array([t if rng.random() < right else not t for t in truth]) if k else np.zeros(ROWS, dtype=bool)
        rows.append(np.column_stack([truth & yes, ~truth & yes, ~truth & ~yes, truth & ~yes]).astype(float))
    return rows


def moments(rows):
    mean, off = rows.mean(axis=0), rows - rows.mean(axis=0)
    return mean.tolist(), (off.T @ off / len(rows) ** 2)[np.triu_indices(4)].tolist()


def priced(rows, values):
    """Money per thousand decisions, with a normal interval: what the page says of other values."""
    each = 1000 * rows @ np.asarray(values)
    half = 1.9599639845400545 * each.std() / math.sqrt(len(each))
    return Estimate(each.mean(), each.mean() - half, each.mean() + half)


def grid(value):
    return round(value, 3)  # coarse, so that there are ties


def situation(seed):
    """A run of up to nine candidates, with everything that was compared."""
    rng = random.Random(seed)
    count = rng.randint(1, 9)
    aim = rng.choice(("roc_auc", "roc_auc", "log_loss"))
    task = Task(problem=Problem.BINARY, target="y", aim=aim, **CLASSES)
    quality = [grid(rng.choice((0.7, 0.75, 0.8)) + rng.choice((0, 0.004, 0.012, 0.03))) for _ in range(count)]
    half = rng.choice((0.003, 0.005, 0.005, 0.02))
    trials = []
    for number, recipe in enumerate(recipes(rng, count)):
        p95, size, noise = rng.choice((0.1, 0.12, 1.0, 4.0, 30.0)), rng.choice((900, 40_000, 7_000_000)), 0.03
        p95 *= rng.choice((1.0, 1.0, 1.21))
        weight = Weight(
            p50=ms(p95 * 0.7, noise),
            p95=ms(p95, noise),
            p99=ms(p95 * 2, noise),
            throughput=Estimate.exact(1000.0),
            batch=8,
            size_bytes=size,
            memory_bytes=Estimate.exact(1e6),
            threads=rng.choice((1, 1, 2)),
            calls=200,
            mean=rng.choice((None, ms(p95 * 0.8, noise))),
        )
        shown = Estimate(quality[number], quality[number] - 0.03, quality[number] + 0.03)
        figures = {aim: shown, "accuracy": Estimate(grid(rng.uniform(0.6, 0.9)), 0.5, 0.95)}
        trials.append(
            Trial(number=number, recipe=recipe, lever="x", ending=Ending.MEASURED, validation=figures, weight=weight)
        )
    sign = metric(aim).higher_is_better(1.0)
    pairs = {
        (a, b): Estimate(*(sign * (quality[a] - quality[b]) + d for d in (0, -half, half)))
        for a in range(count)
        for b in range(count)
        if a != b
    }
    lucky = {k: sign * q + rng.choice((0, 0, -0.02, 0.01)) for k, q in enumerate(quality)}
    rows = answers(rng, count)
    compared = Compared(
        baseline=0 if rng.random() < 0.8 else None,
        expected=lucky if rng.random() < 0.5 else {},
        pairs=pairs,
        names=BINARY,
        outcomes={k: moments(r) for k, r in enumerate(rows)},
        spreads={(a, b): moments(rows[a] - rows[b])[1] for a in range(count) for b in range(a + 1, count)},
    )
    return rng, task, tuple(trials), compared, rows


def wished(rng):
    mean = rng.choice((None, 0.0, 0.5, 50.0, 900.0))
    return {
        "core_hour": rng.choice((0.0, 0.04, 1.7)),
        "mean_rps": mean,
        "peak_rps": None if mean is None else rng.choice((None, mean * 4, 1.0)),
        "latency_p95_ms": rng.choice((None, None, 0.11, 2.0, 20.0)),
        "values": rng.choice((None, None, [5.0, -1.0, 0.0, -20.0], [0.0, -3.0, 0.1, 0.0])),
        "horizon_months": 12,
    }


def spec_of(rng):
    asked = rng.choice((None, None, 0.72, 0.8))
    quality = Quality(
        metric=rng.choice(("accuracy", "roc_auc")) if asked else None,
        at_least=asked,
        tolerance=rng.choice((0.0, 0.01, 0.05)),
        confidence=rng.choice((None, 0.9)) if asked else None,
    )
    gains = rng.choice(({}, {"faster": 0.15}, {"smaller": 0.5}, {"faster": 0.05, "smaller": 0.9}))
    shrink = ShrinkPart(lose=rng.choice((None, 0.02, 0.2)), **gains)
    serving = Serving(size_mb=rng.choice((None, 1.0)))
    return Spec(data="x.csv", target="y", quality=quality, serving=serving, shrink=shrink)


def with_wishes(spec, wishes):
    traffic = None
    if wishes["mean_rps"] is not None:
        traffic = Traffic(mean_rps=wishes["mean_rps"], peak_rps=wishes["peak_rps"])
    serving = spec.serving.model_copy(update={"traffic": traffic, "latency_p95_ms": wishes["latency_p95_ms"]})
    return spec.model_copy(update={"serving": serving})


def decided(task, trials, compared, rows, spec, wishes):  # noqa: PLR0917 - all of a run
    """What decide says, asked as a run with these wishes would ask it."""
    usual = Prices.load()
    price = replace(usual.core_hour, amount=Money(Decimal(str(wishes["core_hour"])), "USD"))
    prices, values, expected = replace(usual, core_hour=price), wishes["values"], compared.expected
    spec = with_wishes(spec, wishes)
    if values is not None:
        task = replace(task, aim="value", value=((values[2], values[1]), (values[3], values[0])))
        spec = spec.model_copy(update={"value": Value(**{n: f"{v} USD" for n, v in zip(BINARY, values, strict=True)})})
        trials = [replace(t, validation={**t.validation, "value": priced(rows[t.number], values)}) for t in trials]
        expected = {}

    def paired(a, b):
        return compared.pairs[a, b] if values is None else priced(rows[a] - rows[b], values)

    found = [candidate(t, prices, spec, task) for t in trials]
    with_baseline = {"baseline": compared.baseline, "expected": expected}
    told = decide(found, metric=metric(task.aim), paired=paired, spec=spec, task=task, **with_baseline)
    costs = {str(c.number): [c.cost_per_million.value, c.cost_per_million.low, c.cost_per_million.high] for c in found}
    return {
        "number": told.number,
        "feasible": told.feasible,
        "equal": list(told.equal),
        "rejected": sorted(told.rejected),
        "tightest": told.tightest,
        "frontier": list(told.frontier),
        "costs": costs,
    }


def block(task, trials, compared, spec):
    """The block of the report for a run without wishes of its own."""
    prices = Prices.load()
    found = [candidate(t, prices, spec, task) for t in trials]
    told = decide(
        found,
        metric=metric(task.aim),
        paired=lambda a, b: compared.pairs[a, b],
        spec=spec,
        task=task,
        baseline=compared.baseline,
        expected=compared.expected,
    )
    record = RunRecord(
        name="case",
        folder=Path("case"),
        created="",
        spec=spec,
        schema=None,
        task=task,
        fingerprint="",
        row_counts={},
        protocol="holdout",
        prices=prices,
        ending="",
        spent=Spent(seconds=Seconds(1.0), money=Money(Decimal(1))),
        trials=trials,
        decision=told,
        compared=compared,
    )
    return deciding(record, {t.number: f"model {t.number}" for t in trials})


def cases(seeds):
    """Yield one run after another, each with a few wishes and what Python says of them."""
    for seed in seeds:
        rng, task, trials, compared, rows = situation(seed)
        spec = spec_of(rng)
        wishes = [wished(rng) for _ in range(4)]
        said = [decided(task, trials, compared, rows, spec, each) for each in wishes]
        yield {"deciding": block(task, trials, compared, spec), "wishes": wishes, "said": said}


def text(made):
    return "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in made) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(text(cases(range(56))), encoding="utf-8")
