"""How good a model's answers are: every metric with its interval, and two models compared on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Answer, Floats, Ints, Problem, Task
from steelyard.measure.answers import check_answer
from steelyard.measure.resampling import Bootstrap
from steelyard.tasks import Metric, metric, metrics_for
from steelyard.units import Estimate

PER_CLASS = 1 / 16
"""What one class costs in a metric that passes over the rows once for each, measured against the other metrics."""


def quality(
    task: Task,
    target: NDArray[Any],
    answer: Answer,
    *,
    weights: Floats | None = None,
    groups: Ints | None = None,
    seed: int = 0,
    resamples: int = 1000,
    names: Iterable[str] | None = None,
) -> dict[str, Estimate]:
    """Measure every metric that applies to a task, each with a 95% bootstrap interval.

    All metrics see the same resamples. For many rows (and for ROC AUC of many classes) fewer are drawn, so that
    the time stays bounded; each estimate's ``source`` says how many.

    Parameters
    ----------
    task : Task
        What is predicted.
    target : ndarray of shape (n,)
        True class codes (int64) or values (float64).
    answer : Answer
        What a bundle says of the same rows.
    weights : float64 ndarray of shape (n,), optional
        Positive row weights.
    groups : int64 ndarray of shape (n,), optional
        Rows with the same code are resampled together.
    seed : int
        Of the resampling.
    resamples : int
        The most resamples; 0 for figures without an interval (both ends NaN).
    names : iterable of str, optional
        Only these metrics; all that apply by default.

    Returns
    -------
    dict of str to Estimate
        By name of the metric; NaN where it is undefined on these rows.

    Raises
    ------
    AnswerUnfit
        If there are no rows, or the answer does not fit them (shape, finite numbers, probabilities).
    MetricUnfit
        If a metric is unknown or does not apply.
    """
    check_answer(task, target, answer, weights, groups)
    chosen = metrics_for(task) if names is None else tuple(metric(name, task) for name in names)
    bootstrap = Bootstrap(rows=len(target), groups=groups, weights=weights, seed=seed)

    def figures(each: Metric) -> Callable[[Floats], Floats]:
        return lambda counts: each.resample(task, target, answer, counts)

    enough = {each.name: bootstrap.affordable(resamples, passes(each, task)) for each in chosen}
    wanted = {each.name: figures(each) for each in chosen}
    draws = _draw(bootstrap, wanted, enough)
    left = _left(bootstrap, wanted, enough)
    return {
        each.name: bootstrap.interval(
            each.measure(task, target, answer, weights),
            draws[each.name],
            each.unit_for(task),
            left[each.name],
            bounded=each.bounded,
        )
        for each in chosen
    }


def paired(
    name: str | Metric,
    task: Task,
    target: NDArray[Any],
    first: Answer,
    second: Answer,
    *,
    weights: Floats | None = None,
    groups: Ints | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Estimate:
    """Return how much better the first answer is than the second, on the same rows and the same resamples.

    The difference is positive where the first is better, whichever way the metric runs; its 95% interval is much
    narrower than the two answers' own, since what makes a resample hard is hard for both.

    Parameters
    ----------
    name : str or Metric
        The metric, which must apply to the task.
    task, target, weights, groups, seed, resamples
        As in :func:`quality`.
    first, second : Answer
        What two bundles say of the same rows.

    Raises
    ------
    AnswerUnfit
        If one of the answers does not fit the rows.
    MetricUnfit
        If the metric is unknown or does not apply.
    """
    judge = metric(name, task) if isinstance(name, str) else name
    for answer in (first, second):
        check_answer(task, target, answer, weights, groups)
    sign = judge.higher_is_better(1.0)
    bootstrap = Bootstrap(rows=len(target), groups=groups, weights=weights, seed=seed)

    def difference(counts: Floats) -> Floats:
        one, other = (judge.resample(task, target, answer, counts) for answer in (first, second))
        return sign * (one - other)

    enough = bootstrap.affordable(resamples, passes(judge, task))
    draws, left = (how(bootstrap, {judge.name: difference}, {judge.name: enough})[judge.name] for how in (_draw, _left))
    one, other = (judge.measure(task, target, answer, weights) for answer in (first, second))
    return bootstrap.interval(sign * (one - other), draws, judge.unit_for(task), left, bounded=judge.bounded)


def jointly(
    name: str | Metric,
    task: Task,
    target: NDArray[Any],
    answers: Sequence[Answer],
    *,
    weights: Floats | None = None,
    groups: Ints | None = None,
    seed: int = 0,
    resamples: int = 500,
) -> Floats:
    """Return the figures of several answers on the same resamples of the rows, higher better.

    Together they take the work of one metric of :func:`quality`: the more answers, the fewer resamples.

    Returns
    -------
    float64 ndarray of shape (B, answers)
        NaN where a figure is undefined on a resample.

    Raises
    ------
    AnswerUnfit
        If one of the answers does not fit the rows.
    MetricUnfit
        If the metric is unknown or does not apply.
    """
    judge = metric(name, task) if isinstance(name, str) else name
    for answer in answers:
        check_answer(task, target, answer, weights, groups)
    bootstrap = Bootstrap(rows=len(target), groups=groups, weights=weights, seed=seed)
    enough = bootstrap.affordable(resamples, passes(judge, task) * max(1, len(answers)))
    draws = [
        np.column_stack([judge.resample(task, target, answer, counts) for answer in answers])
        for counts in bootstrap.counts(enough)
    ]
    return judge.higher_is_better(1.0) * np.concatenate(draws)


def passes(judge: Metric, task: Task) -> float:
    """Return how many passes over the rows one resample of a metric takes."""
    return task.width * PER_CLASS if judge.per_class and task.problem is Problem.MULTICLASS else 1.0


def _draw(
    bootstrap: Bootstrap, figures: Mapping[str, Callable[[Floats], Floats]], enough: Mapping[str, int]
) -> dict[str, Floats]:
    """Return the figures of each metric on its first resamples, as many as are enough for it."""
    draws: dict[str, list[Floats]] = {name: [np.empty(0)] for name in figures}
    done = 0
    for counts in bootstrap.counts(max(enough.values(), default=0)):
        for name, figure in figures.items():
            if enough[name] > done:
                draws[name].append(figure(counts[: enough[name] - done]))
        done += len(counts)
    return {name: np.concatenate(parts) for name, parts in draws.items()}


def _left(
    bootstrap: Bootstrap, figures: Mapping[str, Callable[[Floats], Floats]], enough: Mapping[str, int]
) -> dict[str, Floats]:
    """Return the figures that are left when parts of the rows are left out; none where no resample is asked for."""
    left: dict[str, list[Floats]] = {name: [np.empty(0)] for name in figures}
    for counts in bootstrap.without():
        for name, figure in figures.items():
            if enough[name]:
                left[name].append(figure(counts))
    return {name: np.concatenate(parts) for name, parts in left.items()}
