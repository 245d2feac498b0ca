"""Is one that is truly worse ever called equal? ``python benchmarks/money/equality.py``.

Pairs of real models answer a pool of tens of thousands of rows, whose figures are the truth. Each pair is compared on
a sample of 200 to 2,000 of these rows by the code that decides in a run. Half of the 500 pairs that are truly worse by
more than the tolerance are worse by at most twice of it: those are the hard ones. ``before`` is the rule as it was: the
interval covers zero and the loss seen is within the tolerance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from pools import Pool, pool

from rows import Bench, Row
from steelyard.decide import Candidate
from steelyard.decide.comparison import Comparison, Verdict
from steelyard.measure import paired
from steelyard.recipe import Train
from steelyard.tasks import metric
from steelyard.units import Estimate

SIZES = (200, 500, 1000, 2000)
CASES = (
    ("adult", "accuracy"),
    ("adult", "roc_auc"),
    ("connect_4", "accuracy"),
    ("beijing_pm25", "rmse"),
    ("houses", "rmse"),
)
WORSE, WITHIN = 100, 60
TOLERANCE = 0.01
"""Of a share; of an error, in standard deviations of the target."""


def case(name: str, aim: str) -> Mapping[str, Any]:
    found, judge = pool(name), metric(aim)
    tolerance = TOLERANCE * (1.0 if found.task.classes else float(found.target.std()))
    truth = [
        judge.higher_is_better(judge.measure(found.task, found.target, found.answer(i)))
        for i in range(len(found.names))
    ]
    random = np.random.default_rng(5)
    pairs = [(i, j, truth[i] - truth[j]) for i in range(len(truth)) for j in range(len(truth)) if i != j]
    kinds = {
        "hard": [p for p in pairs if tolerance < p[2] <= 2 * tolerance],
        "worse": [p for p in pairs if tolerance < p[2]],
        "within": [p for p in pairs if 0 <= p[2] <= tolerance],
    }
    result: dict[str, Any] = {"tolerance": tolerance}
    for kind, count in (("hard", WORSE // 2), ("worse", WORSE // 2), ("within", WITHIN)):
        drawn = [kinds[kind][k] for k in random.integers(0, len(kinds[kind]), count)]
        sizes = random.choice([n for n in SIZES if 8 * n < len(found)], count)
        told = [
            _called(found, aim, pair, size=int(n), tolerance=tolerance, random=random)
            for pair, n in zip(drawn, sizes, strict=True)
        ]
        result[kind] = {"pairs": count, **{k: [t[k] for t in told] for k in told[0]}}
    return result


def _called(
    found: Pool, aim: str, pair: tuple[int, int, float], *, size: int, tolerance: float, random: np.random.Generator
) -> dict[str, float]:
    """Compare a pair on a sample; ``pair`` holds the truly better one, the worse one, and by how much."""
    good, bad, loss = pair
    rows = random.choice(len(found), size, replace=False)
    target = found.target[rows]

    def difference(first: int, second: int) -> Estimate:
        one, other = (found.answer(i, rows) for i in (first, second))
        return paired(aim, found.task, target, one, other, seed=size)

    comparison = Comparison(metric(aim), difference, tolerance)
    two = {i: _candidate(i, metric(aim).measure(found.task, target, found.answer(i, rows))) for i in (good, bad)}
    best, other = sorted(two.values(), key=comparison.worth, reverse=True)
    verdict, seen = comparison.verdict(best, other), comparison.difference(best, other)
    ahead = verdict is Verdict.APART and best.number == bad
    was = seen.overlaps(0.0) and seen.value <= tolerance
    return {
        "called": float(verdict is Verdict.EQUAL or ahead),
        "before": float(was or ahead),
        "lost": loss if other.number == bad else -loss,
        "equal": float(verdict is Verdict.EQUAL),
        "equal_before": float(was),
    }


def _candidate(number: int, value: float) -> Candidate:
    none = Estimate.exact(0.0)
    figure = Estimate.exact(value)
    return Candidate(
        number=number, recipe=Train(learner=str(number)), quality=figure, p95=none, cost_per_million=none, size_bytes=0
    )


def _rate(field: str) -> Callable[[Any], tuple[bool, str]]:
    def met(rows: list[Row]) -> tuple[bool, str]:
        called = [x for row in rows for kind in ("hard", "worse") for x in row[kind][field]]
        return len(called) >= 500 and np.mean(called) <= 0.05, f"{np.mean(called):.1%} of {len(called)} pairs"

    return met


def _lost(rows: list[Row]) -> tuple[bool, str]:
    losses = [
        lost / row["tolerance"]
        for row in rows
        for kind in ("hard", "worse", "within")
        for lost, equal in zip(row[kind]["lost"], row[kind]["equal"], strict=True)
        if equal
    ]
    if not losses:
        return False, "none was called equal"
    return np.mean(losses) < 0.3, f"{np.mean(losses):.3f} points on average over {len(losses)} that were taken"


def main() -> None:
    bench = Bench("money-equality")
    for name, aim in CASES:
        bench.measure({"set": name, "metric": aim}, lambda name=name, aim=aim: case(name, aim))
    rows = [row for name, aim in CASES for row in bench.rows(set=name, metric=aim)]
    if rows:
        hard = [x for row in rows for x in row["hard"]["called"]]
        within, before = ([x for row in rows for x in row["within"][k]] for k in ("equal", "equal_before"))
        print(f"before: {_rate('before')(rows)[1]} truly worse were called equal or better")
        print(f"of those worse by one to two tolerances: {np.mean(hard):.1%}")
        print(f"of pairs within the tolerance {np.mean(within):.1%} are called equal; before: {np.mean(before):.1%}")
    bench.bar("truly worse by more than the tolerance, called equal or better, at most 5%", rows, _rate("called"))
    bench.bar("lost by taking the cheaper of equals, under 0.3 points", rows, _lost)
    bench.finish()


if __name__ == "__main__":
    main()
