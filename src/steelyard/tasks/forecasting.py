"""Forecasting: absolute, squared, symmetric percentage and scaled errors, and the coverage of intervals.

A row is an origin; its target has one value for each step ahead and series, NaN where it is not known. Every figure is
a mean over the values that are known, so that a row counts as often as it has values.

References
----------
.. [1] Hyndman, Koehler. Another look at measures of forecast accuracy. Int. Journal of Forecasting, 2006.
.. [2] Makridakis, Spiliotis, Assimakopoulos. The M4 Competition: 100,000 time series and 61 forecasting methods.
   Int. Journal of Forecasting, 2020.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Answer, Floats, Task
from steelyard.tasks.metric import Rows
from steelyard.tasks.sums import ratio

PERCENT = 100.0


def over_known(cells: Floats, known: NDArray[np.bool_], counts: Floats) -> Floats:
    """Return the mean of some cells, shape (n, width), over those that are known, in each resample, shape (B,).

    Examples
    --------
    >>> over_known(np.array([[1.0, 2.0], [6.0, 0.0]]), np.array([[True, True], [True, False]]), np.ones((1, 2)))
    array([3.])
    """
    sums = np.where(known, cells, 0.0).sum(axis=1)
    return ratio(counts @ sums, counts @ known.sum(axis=1).astype(np.float64))


def _errors(rows: Rows) -> tuple[Floats, NDArray[np.bool_]]:
    return rows.values - rows.predicted, ~np.isnan(rows.values)


def mae(rows: Rows, counts: Floats) -> Floats:
    """Return the mean distance from the true value."""
    errors, known = _errors(rows)
    return over_known(np.abs(errors), known, counts)


def rmse(rows: Rows, counts: Floats) -> Floats:
    """Return the root of the mean squared distance from the true value."""
    errors, known = _errors(rows)
    return np.sqrt(over_known(np.square(errors), known, counts))


def smape(rows: Rows, counts: Floats) -> Floats:
    """Return the mean of 200 |error| / (|true| + |forecast|), in percent, as M4 defines it [2]_; 0 where both are 0."""
    errors, known = _errors(rows)
    size = np.abs(rows.values) + np.abs(rows.predicted)
    return over_known(2 * PERCENT * np.nan_to_num(ratio(np.abs(errors), size)), known, counts)


def mase(rows: Rows, counts: Floats) -> Floats:
    """Return the mean of |error| over what the seasonal naive forecast errs by within the history [1]_.

    Values of series without such a scale (all of it one season, or flat) are left out; undefined where none has one.
    """
    scales = rows.answer.scales
    if scales is None:
        return np.full(len(counts), math.nan)
    errors, known = _errors(rows)
    spread = np.tile(scales, (1, rows.task.horizon))
    known &= spread > 0
    return over_known(ratio(np.abs(errors), np.where(known, spread, 0.0)), known, counts)


def coverage(rows: Rows, counts: Floats) -> Floats:
    """Return the share of true values that lie within the prediction interval; undefined where there is none."""
    low, high = rows.answer.low, rows.answer.high
    if low is None or high is None:
        return np.full(len(counts), math.nan)
    known = ~np.isnan(rows.values)
    with np.errstate(invalid="ignore"):
        inside = (rows.values >= low) & (rows.values <= high)
    return over_known(inside.astype(np.float64), known, counts)


def by_step(task: Task, target: Floats, answer: Answer) -> dict[str, list[float]]:
    """Return the errors and the coverage of each step ahead, over all series of it: what a report draws.

    Examples
    --------
    >>> from steelyard.contracts import Problem
    >>> task = Task(problem=Problem.FORECASTING, target="y", aim="mae", horizon=2, series=("y",))
    >>> by_step(task, np.array([[1.0, 4.0]]), Answer(np.zeros((1, 2)), np.zeros((1, 2))))["mae"]
    [1.0, 4.0]
    """
    width = len(task.series)
    found: dict[str, list[float]] = {"mae": [], "mase": [], "coverage": []}
    one = Task(problem=task.problem, target=task.target, aim=task.aim, horizon=1, series=task.series)
    for step in range(task.horizon):
        part = slice(step * width, (step + 1) * width)
        low, high = (None if end is None else end[:, part] for end in (answer.low, answer.high))
        told = Answer(answer.scores[:, part], answer.decided[:, part], low=low, high=high, scales=answer.scales)
        rows, all_ = Rows(one, target[:, part], told), np.ones((1, len(target)))
        for name, figure in (("mae", mae), ("mase", mase), ("coverage", coverage)):
            found[name].append(float(figure(rows, all_)[0]))
    return found
