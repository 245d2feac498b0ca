"""Comparisons in pairs: means over sets with their interval, one-sided tests within a set, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 10_000
LEVEL = 0.05


def mean_interval(found: Sequence[float], resampled: Sequence[Floats], *, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean of differences over sets with its 95% interval.

    Parameters
    ----------
    found
        The difference on each set.
    resampled
        The difference on each resample of the set's test rows.

    Notes
    -----
    Sets are drawn with replacement, and for each set drawn one resample of its rows: the interval covers both which
    sets were chosen and which rows fell into the test. Percentile interval of :data:`DRAWS` draws.

    >>> mean_interval([0.0, 1.0], [np.zeros(4), np.ones(4)])
    (0.5, 0.0, 1.0)
    """
    table = np.stack(resampled)
    random = np.random.default_rng(seed)
    sets = random.integers(len(table), size=(DRAWS, len(table)))
    means = table[sets, random.integers(table.shape[1], size=sets.shape)].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(np.mean(found)), float(low), float(high)


def below(difference: float, resampled: Floats) -> float:
    """Return the one-sided p-value that a difference is not below zero: normal, its error that of the resamples.

    >>> below(0.0, np.array([-1.0, 1.0]))
    0.5
    """
    error = float(np.std(resampled, ddof=1))
    if error == 0:
        return 0.0 if difference < 0 else 1.0
    return 0.5 * math.erfc(-difference / error / math.sqrt(2))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected for how many there are (Holm 1979, "A simple sequentially rejective ...").

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    corrected: dict[str, float] = {}
    least = 0.0
    for rank, (name, value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, value * (len(p_values) - rank)))
        corrected[name] = least
    return corrected


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two in the middle; infinite values are values.

    >>> median([1.0, math.inf, 3.0]), median([1.0, math.inf])
    (3.0, inf)
    """
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
