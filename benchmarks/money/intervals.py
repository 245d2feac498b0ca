"""Do 95% intervals hold the truth, and how much does choosing flatter? ``python benchmarks/money/intervals.py``.

Of a pool of real answers, n rows are validated on, and the rest, at least 20 times as many, say what the figure is: in
2,000 resamplings. ``plain`` is the percentile bootstrap of the same resamples. Then the best of ten real models is
chosen by n rows, 500 times over: its figure against its truth, as measured and as ``right.expected`` corrects it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from pools import pool, samples

from rows import Bench, Row
from steelyard.decide import Candidate, decide
from steelyard.measure import jointly, paired
from steelyard.measure.resampling import ENDS, Bootstrap
from steelyard.recipe import Train
from steelyard.spec import Quality, Spec
from steelyard.tasks import metric
from steelyard.units import Estimate

TIMES, CHOICES = 2_000, 500
MODEL = 5
CASES = (
    ("adult", "accuracy", 200),
    ("adult", "log_loss", 200),
    ("adult", "value", 200),
    ("adult", "balanced_accuracy", 200),
    ("adult", "f1", 200),
    ("houses", "rmse", 200),
    ("beijing_pm25", "rmse", 200),
    ("adult", "roc_auc", 200),
    ("adult", "accuracy", 1000),
    ("houses", "rmse", 800),
    ("beijing_pm25", "rmse", 1800),
    ("adult", "log_loss", 2000),
    ("adult", "roc_auc", 1000),
)
CURSES = (("adult", "accuracy", 200), ("adult", "roc_auc", 500), ("houses", "rmse", 300))


def held(name: str, aim: str, size: int) -> Mapping[str, Any]:
    found, judge = pool(name), metric(aim)
    task, answer = found.task, found.answer(MODEL)
    everyone = np.ones((1, len(found)))
    inside, plain, miss = [], [], {"below": 0, "above": 0}
    for seed, rows in enumerate(samples(size, len(found), TIMES, 7)):
        further = everyone.copy()
        further[0, rows] = 0.0
        truth = _truth(found, aim, answer, further, rows)
        own, target = found.answer(MODEL, rows), found.target[rows]
        boot = Bootstrap(rows=size, seed=seed)
        draws = np.concatenate([judge.resample(task, target, own, c) for c in boot.counts(boot.affordable(1000))])
        left = np.concatenate([judge.resample(task, target, own, c) for c in boot.without()])
        figure = boot.interval(judge.measure(task, target, own), draws, "", left, bounded=judge.bounded)
        inside.append(figure.overlaps(truth))
        low, high = np.quantile(draws[np.isfinite(draws)], ENDS)
        plain.append(bool(low <= truth <= high))
        miss["below"] += truth < figure.low
        miss["above"] += truth > figure.high
    return {"held": float(np.mean(inside)), "plain": float(np.mean(plain)), **{k: int(v) for k, v in miss.items()}}


def _truth(found: Any, aim: str, answer: Any, further: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> float:
    """Return the figure on all rows but some; of means by subtraction, which is much quicker."""
    judge = metric(aim)
    if aim in ("roc_auc", "f1", "balanced_accuracy"):
        return float(judge.resample(found.task, found.target, answer, further)[0])
    whole, some = len(found), len(rows)
    all_, own = (
        judge.measure(found.task, found.target, answer) if _known.get((found.name, aim)) is None else 0.0,
        judge.measure(found.task, found.target[rows], found.answer(MODEL, rows)),
    )
    mean = _known.setdefault((found.name, aim), all_)
    if aim == "rmse":
        return float(np.sqrt((mean**2 * whole - own**2 * some) / (whole - some)))
    return (mean * whole - own * some) / (whole - some)


_known: dict[tuple[str, str], float] = {}


def curse(name: str, aim: str, size: int) -> Mapping[str, Any]:
    """Choose the best of all models by a sample, and compare its figure with its truth."""
    found, judge = pool(name), metric(aim)
    task, models = found.task.__class__(**{**_fields(found.task), "aim": aim}), range(len(found.names))
    truth = [judge.measure(task, found.target, found.answer(i)) for i in models]
    spec = Spec(data="rows.csv", target="y", quality=Quality(metric=aim, tolerance=0.0))
    raw, corrected, chance, right = [], [], [], []
    for rows in samples(size, len(found), CHOICES, 11):
        target, answers = found.target[rows], [found.answer(i, rows) for i in models]
        figures = [judge.measure(task, target, a) for a in answers]
        none = Estimate.exact(0.0)
        candidates = [
            Candidate(
                number=i,
                recipe=Train(learner=str(i)),
                quality=Estimate.exact(v),
                p95=none,
                cost_per_million=none,
                size_bytes=0,
            )
            for i, v in enumerate(figures)
        ]
        decision = decide(
            candidates,
            metric=judge,
            paired=lambda i, j, t=target, a=answers: paired(judge, task, t, a[i], a[j], resamples=100),
            joint=lambda several, t=target, a=answers: jointly(judge, task, t, [a[i] for i in several]),
            spec=spec,
            task=task,
        )
        number, sure = decision.number, decision.right
        assert sure is not None
        assert sure.expected is not None
        raw.append(judge.higher_is_better(figures[number] - truth[number]))
        corrected.append(judge.higher_is_better(sure.expected.value - truth[number]))
        chance.append(sure.probability.get(number, 0.0))
        best = max(judge.higher_is_better(t) for t in truth)
        right.append(judge.higher_is_better(truth[number]) >= best)
    return {
        "flattered": float(np.mean(raw)),
        "corrected": float(np.mean(corrected)),
        "spread": float(np.std(raw)),
        "stated": float(np.mean(chance)),
        "right": float(np.mean(right)),
    }


def _fields(task: Any) -> dict[str, Any]:
    return {name: getattr(task, name) for name in ("problem", "target", "classes", "positive", "value")}


def _inside(rows: list[Row]) -> tuple[bool, str]:
    (row,) = rows
    return 0.93 <= row["held"] <= 0.97, f"{row['held']:.1%} (plain percentiles: {row['plain']:.1%})"


def _less(rows: list[Row]) -> tuple[bool, str]:
    (row,) = rows
    said = f"{row['flattered']:+.4g} as measured, {row['corrected']:+.4g} corrected"
    more = f"the choice was right in {row['right']:.0%}, {row['stated']:.0%} was stated"
    return abs(row["corrected"]) < abs(row["flattered"]) / 2, f"{said}; {more}"


def main() -> None:
    bench = Bench("money-intervals")
    for name, aim, size in CURSES:
        bench.measure({"curse": name, "metric": aim, "rows": size}, lambda a=name, b=aim, c=size: curse(a, b, c))
    for name, aim, size in CASES:
        bench.measure({"set": name, "metric": aim, "rows": size}, lambda a=name, b=aim, c=size: held(a, b, c))
    for name, aim, size in CASES:
        rows = bench.rows(set=name, metric=aim, rows=size)
        bench.bar(f"the 95% interval of {aim} on {size:,} rows of {name} holds in 93 to 97%", rows[-1:], _inside)
    for name, aim, size in CURSES:
        rows = bench.rows(curse=name, metric=aim, rows=size)
        bench.bar(f"the winner's curse in {aim}, best of 10 on {size} rows of {name}, is halved", rows[-1:], _less)
    bench.finish()


if __name__ == "__main__":
    main()
