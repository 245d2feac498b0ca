"""The Theta method on many histories at once, in numpy: what its graph must answer too."""

from __future__ import annotations

import numpy as np

from steelyard.contracts import Floats

RATES = np.round(np.concatenate([[0.02, 0.05], np.arange(0.1, 1.0, 0.1), [0.99]]), 6)
"""Rates of smoothing that are tried on each history."""
NONE, ADDITIVE, MULTIPLICATIVE = "none", "additive", "multiplicative"
WAYS = (NONE, ADDITIVE, MULTIPLICATIVE)
LEAST = 1e-12


def forecasts(values: Floats, lengths: Floats, season: int, horizon: int, way: str) -> Floats:
    """Return the values ahead of some histories, shape (n, horizon).

    Parameters
    ----------
    values
        Shape (n, steps), without gaps; what stands before the first known value repeats it.
    lengths
        Steps from the first known value on, shape (n,).
    season, horizon
        In steps.
    way
        How a season is taken out, one of :data:`WAYS`; none is, where histories hold less than two.

    Examples
    --------
    >>> forecasts(np.full((1, 6), 3.0), np.array([6.0]), 1, 2, NONE).tolist()
    [[3.0, 3.0]]
    """
    if way == NONE or season < 2 or 2 * season > values.shape[1]:
        return _smoothed(values, lengths, horizon)
    figures = _seasonal(values, lengths, season, way)
    phases = phases_of(values.shape[1], season)
    ahead = (-np.arange(1, horizon + 1)) % season
    if way == ADDITIVE:
        return _smoothed(values - figures[:, phases], lengths, horizon) + figures[:, ahead]
    return _smoothed(values / figures[:, phases], lengths, horizon) * figures[:, ahead]


def phases_of(steps: int, season: int) -> np.ndarray:
    """Return the place of each step in its season, counted back from the last one, which is 0."""
    return (steps - 1 - np.arange(steps)) % season


def _smoothed(values: Floats, lengths: Floats, horizon: int) -> Floats:
    level = np.repeat(values[:, :1], len(RATES), axis=1)
    squares = np.zeros_like(level)
    for step in range(values.shape[1]):
        errors = values[:, step : step + 1] - level
        squares += errors**2
        level = level + RATES * errors
    best = squares.argmin(axis=1)
    rate, last = RATES[best], level[np.arange(len(level)), best]
    steps = values.shape[1]
    from_end = np.arange(steps - 1, -1, -1.0)
    known = from_end < lengths[:, None]
    middle = (lengths - 1) / 2
    spread = np.maximum(lengths * (lengths**2 - 1) / 12, 1.0)
    slope = np.where(known, (middle[:, None] - from_end) * values, 0.0).sum(axis=1) / spread
    start = 1 / rate - (1 - rate) ** lengths / rate - 1
    return np.asarray(last[:, None] + slope[:, None] / 2 * (np.arange(1.0, horizon + 1) + start[:, None]))


def _seasonal(values: Floats, lengths: Floats, season: int, way: str) -> Floats:
    """Return the seasonal figures of each history, shape (n, season), by classical decomposition."""
    half, steps = season // 2, values.shape[1]
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    inner = np.arange(half, steps - half)
    first = sums[:, inner + half + (season % 2)] - sums[:, inner - half]
    second = sums[:, inner + half + 1] - sums[:, inner - half + 1 - (season % 2)]
    trend = (first + second) / (2 * season)
    here = values[:, inner]
    weights = ((steps - 1 - inner + half) < lengths[:, None]).astype(np.float64)
    apart = here - trend if way == ADDITIVE else here / np.where(np.abs(trend) < LEAST, 1.0, trend)
    phases = phases_of(steps, season)[inner]
    onto = (phases[:, None] == np.arange(season)).astype(np.float64)
    neutral = 0.0 if way == ADDITIVE else 1.0
    counts = weights @ onto
    means = np.where(counts > 0, (apart * weights) @ onto / np.maximum(counts, 1.0), neutral)
    if way == ADDITIVE:
        return np.asarray(means - means.mean(axis=1, keepdims=True))
    even = means / means.mean(axis=1, keepdims=True)
    usable = np.isfinite(even).all(axis=1, keepdims=True) & (means > FAINT).all(axis=1, keepdims=True)
    usable &= (values > 0).all(axis=1, keepdims=True)
    return np.where(usable, even, 1.0)


FAINT = 0.05
"""A seasonal factor below which dividing by it would blow a history up; such histories keep their season."""
