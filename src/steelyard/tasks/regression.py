"""Regression: mean absolute error, root mean squared error, R2, and mean absolute percentage error.

References
----------
.. [1] Hyndman, Koehler. Another look at measures of forecast accuracy. Int. Journal of Forecasting, 2006.
"""

from __future__ import annotations

import math

import numpy as np

from steelyard.contracts import Floats, Problem
from steelyard.tasks import forecasting
from steelyard.tasks.metric import Rows
from steelyard.tasks.sums import mean, ratio

FLAT = 1e-12
"""Share of the squares below which the spread of a resample's target is rounding, not spread."""


def mae(rows: Rows, counts: Floats) -> Floats:
    """Return the mean distance from the true value."""
    if rows.task.problem is Problem.FORECASTING:
        return forecasting.mae(rows, counts)
    return mean(np.abs(rows.values - rows.predicted), counts)


def rmse(rows: Rows, counts: Floats) -> Floats:
    """Return the root of the mean squared distance from the true value."""
    if rows.task.problem is Problem.FORECASTING:
        return forecasting.rmse(rows, counts)
    return np.sqrt(mean(np.square(rows.values - rows.predicted), counts))


def r2(rows: Rows, counts: Floats) -> Floats:
    """Return the share of the target's variance that is explained. Undefined where the target does not vary."""
    centred = rows.values - rows.values.mean()  # near zero, so that the difference of squares below keeps its digits
    squares = mean(np.square(centred), counts)
    spread = squares - np.square(mean(centred, counts))
    spread[spread <= FLAT * squares] = 0.0
    return 1.0 - ratio(mean(np.square(rows.values - rows.predicted), counts), spread)


def mape(rows: Rows, counts: Floats) -> Floats:
    """Return the mean distance as a share of the true value. Undefined where a true value is zero."""
    size = np.maximum(np.abs(rows.values), np.finfo(np.float64).eps)
    shares = mean(np.abs(rows.values - rows.predicted) / size, counts)
    return np.where(counts @ (rows.values == 0).astype(np.float64) > 0, math.nan, shares)
