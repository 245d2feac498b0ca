"""Comparing, once a run is decided, what other wishes may want to decide on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

from steelyard.contracts import Problem, Task, Trial
from steelyard.data import Dataset
from steelyard.decide import Candidate, candidate
from steelyard.decide.altered import plain
from steelyard.money import Prices
from steelyard.recipe import Recipe, trainings
from steelyard.search.compared import Compared
from steelyard.search.finish import Pairs, baseline_of
from steelyard.search.judging import judge
from steelyard.search.outcomes import Outcomes, names_of, within
from steelyard.spec import Spec
from steelyard.tasks import metric

LEADERS, RIVALS, PRICED = 16, 10, 24
"""Candidates that may be best by some wishes, cheaper ones that each is compared with, and candidates that are priced
anew by outcome."""


def compare(
    trials: Sequence[Trial],
    dataset: Dataset,
    pairs: Pairs,
    *,
    spec: Spec,
    prices: Prices,
    seconds: float,
    chosen: int,
    expected: Mapping[int, float],
) -> Compared:
    """Compare what other wishes may bring together, as far as the time goes, the likeliest first.

    What the decision itself compared is in ``pairs`` already and costs nothing. With no time left, that is all.

    Parameters
    ----------
    trials : sequence of Trial
        All of the run.
    dataset : Dataset
        Its rows.
    pairs : Pairs
        Compares on the validation rows; what it knows is kept.
    spec, prices
        Of the run.
    seconds : float
        Time that may be spent.
    chosen : int
        The trial that was decided on.
    expected : mapping
        By number, as :func:`steelyard.decide.decide` takes it.
    """
    task, left = dataset.task, within(seconds, time.monotonic)
    found = [c for t in trials if (c := candidate(t, prices, spec, task, dataset.schema)) is not None]
    busy = {t.number: t.weight.busy.value for t in trials if t.weight is not None}
    rows = Outcomes.of(dataset) if left() else None
    judged = None if rows is None else judge(dataset, rows, pairs.answer(chosen))
    spared = rows is None or task.problem is Problem.TAGGING  # nobody says what a row of tags is worth
    priced, spreads = ({}, {}) if rows is None or spared else _priced(rows, pairs, _best(found, task, chosen), left)
    for first, second in _wanted(found, busy, task):
        if not left():
            break
        pairs(first, second)
    return Compared(
        baseline=baseline_of(found),
        expected={c.number: expected[c.number] for c in found if c.number in expected},
        pairs=dict(pairs.known),
        names=names_of(task),
        outcomes=priced,
        spreads=spreads,
        judged=judged,
    )


def _priced(
    rows: Outcomes, pairs: Pairs, candidates: Sequence[Candidate], left: Callable[[], bool]
) -> tuple[dict[int, tuple[list[float], list[float]]], dict[tuple[int, int], list[float]]]:
    came_to = {}
    for one in candidates:
        if not left():
            break
        came_to[one.number] = rows.of_rows(pairs.answer(one.number))
    spreads = {}
    for first, second in combinations(came_to, 2):
        if not left():
            break
        spreads[first, second] = rows.moments(came_to[first] - came_to[second])[1]
    return {number: rows.moments(each) for number, each in came_to.items()}, spreads


def _best(candidates: Sequence[Candidate], task: Task, chosen: int) -> list[Candidate]:
    aim, base = metric(task.aim), baseline_of(candidates)
    ranked = sorted(candidates, key=lambda c: (c.number not in {chosen, base}, -aim.higher_is_better(c.quality.value)))
    return sorted(ranked[:PRICED], key=lambda c: c.number)


def _wanted(candidates: Sequence[Candidate], busy: Mapping[int, float], task: Task) -> Iterator[tuple[int, int]]:
    """Yield the pairs that a decision may ask for: what may be best, against what is cheaper; altered against not."""
    yield from ((leaf, bare) for c in candidates for leaf, bare in altered_pairs(c, candidates) if min(leaf, bare) >= 0)
    aim = metric(task.aim)

    def shape(one: Candidate) -> tuple[float, ...]:
        return -aim.higher_is_better(one.quality.value), one.p95.value, busy[one.number], one.size_bytes

    shapes = {c.number: shape(c) for c in candidates}
    leaders = [c for c in candidates if not any(_beats(shapes[o.number], shapes[c.number]) for o in candidates)]
    leaders.sort(key=lambda c: shapes[c.number])
    for best in leaders[:LEADERS]:
        rivals = sorted((c for c in candidates if c is not best), key=lambda c: (busy[c.number], c.number))
        close = [c for c in rivals if best.quality.low <= c.quality.high and c.quality.low <= best.quality.high]
        for rival in close[:RIVALS]:
            yield best.number, rival.number


def altered_pairs(one: Candidate, candidates: Sequence[Candidate]) -> list[tuple[int, int]]:
    """Return, for each training on altered data under a candidate, its trial and that of the same without; -1: none."""
    by_recipe: dict[Recipe, int] = {c.recipe: c.number for c in candidates}
    leaves = [leaf for leaf in trainings(one.recipe) if plain(leaf) != leaf]
    return [(by_recipe.get(leaf, -1), by_recipe.get(plain(leaf), -1)) for leaf in leaves]


def _beats(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    gains = [b - a for a, b in zip(first, second, strict=True)]
    return min(gains) >= 0 and max(gains) > 0
