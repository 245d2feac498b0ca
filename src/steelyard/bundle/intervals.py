"""Prediction intervals of forecasts: split-conformal half-widths, one for each step ahead and series.

A half-width is a quantile of the absolute errors on calibration origins, which the model that erred was not trained on.
In a long table, whose series differ in size, errors are counted in units of a row's own spread: how far its series
moves from one season to the next within its history (locally weighted: Lei et al., section 5.2).

References
----------
.. [1] Lei, G'Sell, Rinaldo, Tibshirani, Wasserman. Distribution-free predictive inference for regression. JASA, 2018.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import column
from steelyard.contracts import Answer, Columns, Floats, Task
from steelyard.data.histories import HISTORY, line_of
from steelyard.errors import BundleRefused

LEVEL = 0.9
"""Share of true values that intervals are to hold."""
EXTRA = "intervals"
"""Where a manifest keeps them."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Half-widths of intervals, float64 (width,), in units of the target or, if ``scaled``, of a row's spread."""

    level: float
    half: Floats
    scaled: bool
    rows: int
    """Calibration origins that they were read off."""

    @classmethod
    def fitted(cls, task: Task, columns: Columns, target: Floats, decided: Floats) -> Bands | None:
        """Return the bands of some calibration origins; ``None`` where a value ahead is known of none of them.

        With few rows the level is what they can promise: ``n / (n + 1)``.

        Examples
        --------
        >>> conformal(np.arange(1.0, 20.0), 0.9)
        18.0
        """
        scaled = bool(line_of(task).series)
        errors = np.abs(target - decided)
        if scaled:
            errors = errors / np.tile(spread_of(columns, task), (1, task.horizon))
        known = np.isfinite(errors)
        fewest = int(known.sum(axis=0).min(initial=len(errors)))
        if not fewest:
            return None
        level = min(LEVEL, fewest / (fewest + 1))
        half = np.array([conformal(errors[known[:, place], place], level) for place in range(task.width)])
        return cls(level, half, scaled, len(errors))

    @classmethod
    def of(cls, extra: Mapping[str, Any], task: Task) -> Bands | None:
        """Return the bands that a manifest holds, if any.

        Raises
        ------
        BundleRefused
            If they do not fit the task.
        """
        data = extra.get(EXTRA)
        if data is None:
            return None
        half = np.asarray(data["half"], dtype=np.float64)
        if half.shape != (task.width,) or not (half >= 0).all():
            raise BundleRefused(f"the intervals of the manifest do not fit {task.width} values ahead; fetch it again")
        return cls(float(data["level"]), half, bool(data["scaled"]), int(data["rows"]))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        half = [float(f"{value:.7g}") for value in self.half]
        return {"level": self.level, "half": half, "scaled": self.scaled, "rows": self.rows}

    def around(self, answer: Answer, columns: Columns, task: Task) -> Answer:
        """Return an answer with its intervals."""
        half = np.broadcast_to(self.half, answer.decided.shape)
        if self.scaled:
            half = half * np.tile(spread_of(columns, task), (1, task.horizon))
        return replace(answer, low=answer.decided - half, high=answer.decided + half)


def conformal(errors: Floats, level: float) -> float:
    """Return the conformal quantile of some errors: the ``ceil((n + 1) level)``-th smallest, or the largest."""
    place = math.ceil((len(errors) + 1) * level - 1e-9)
    return float(np.sort(errors)[min(place, len(errors)) - 1])


def spread_of(columns: Columns, task: Task) -> Floats:
    """Return how far each series moves from one season to the next within its history, float64 (n, series).

    Of histories shorter than a season from step to step; of flat ones, the least number above 0.
    """
    width, steps = len(task.series), line_of(task).history
    cells = column(columns, HISTORY)
    values = np.full((len(cells), steps, width), np.nan)
    for row, cell in enumerate(cells):
        kept = np.asarray(cell, np.float64)[-steps:, :width]
        values[row, steps - len(kept) :] = kept
    found = _moves(values, task.season)
    whole = np.where(np.isnan(found), np.nan_to_num(_moves(values, 1)), found)
    return np.asarray(np.maximum(whole, np.finfo(np.float32).tiny))


def _moves(values: NDArray[np.float64], apart: int) -> Floats:
    if apart >= values.shape[1]:
        return np.full((values.shape[0], values.shape[2]), np.nan)
    moves = np.abs(values[:, apart:] - values[:, :-apart])
    known = ~np.isnan(moves)
    counts, sums = known.sum(axis=1), np.where(known, moves, 0.0).sum(axis=1)
    return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))
