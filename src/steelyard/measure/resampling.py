"""The bootstrap: how often each row stands in each resample, and what the figures of the resamples say.

Rows are drawn with replacement, as many as there are; with groups, whole groups are, since rows of one group
tell less than as many independent ones.

References
----------
.. [1] Efron, Tibshirani. An introduction to the bootstrap. Chapman & Hall, 1993.
.. [2] Field, Welsh. Bootstrapping clustered data. Journal of the Royal Statistical Society B, 2007.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steelyard.contracts import Floats, Ints
from steelyard.units import Estimate

WORK = 10_000_000
"""Rows times resamples that one metric may pass over: 1,000 resamples of 10,000 rows."""
LEAST = 100
"""Resamples below which the ends of a 95% interval are not worth reading, however many rows there are."""
CHUNK = 1_000_000
"""Counts held at a time (8 MB); bounds memory whatever the number of rows and resamples."""
ENDS = (0.025, 0.975)
DEFINED = 40
"""Resamples that must have a figure: fewer do not reach the ends of a 95% interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Which resamples to draw: rows, or whole groups of them, from a seed.

    ``groups`` holds one group code a row, and ``weights`` one positive weight a row, shape (n,).
    """

    rows: int
    groups: Ints | None = None
    weights: Floats | None = None
    seed: int = 0

    @property
    def units(self) -> int:
        """What is drawn independently: rows, or groups."""
        return self.rows if self.groups is None else len(np.unique(self.groups))

    def affordable(self, resamples: int, passes: float = 1.0) -> int:
        """Return how many resamples fit in the work of one metric: fewer for many rows, never under 100 if asked for.

        Examples
        --------
        >>> [Bootstrap(rows=n).affordable(1000) for n in (500, 10_000, 50_000, 10_000_000)]
        [1000, 1000, 200, 100]
        """
        fit = int(WORK / max(1.0, self.rows * max(1.0, passes)))
        return min(resamples, max(LEAST, fit))

    def counts(self, resamples: int) -> Iterator[Floats]:
        """Yield counts times weights, float64 of shape (some, n), until there are ``resamples`` rows in all.

        The first resamples are the same however many are asked for.
        """
        member = None if self.groups is None else np.unique(self.groups, return_inverse=True)[1]
        rng, units, done = np.random.default_rng(self.seed), self.units, 0
        while done < resamples:
            some = min(resamples - done, max(1, CHUNK // max(1, self.rows)))
            drawn = rng.integers(0, units, (some, units)) + np.arange(some)[:, None] * units
            times = np.bincount(drawn.ravel(), minlength=some * units).reshape(some, units)
            counts = (times if member is None else times.take(member, axis=1)).astype(np.float64)
            yield counts if self.weights is None else counts * self.weights
            done += some

    def interval(self, value: float, draws: Floats, unit: str) -> Estimate:
        """Return a figure with the 95% percentile interval of its resamples.

        Resamples where the figure is undefined are left out; where too few are left, or there is but one row or
        group, the ends are NaN. The interval always holds the figure itself, which for a figure that resampling
        pushes to one side (the calibration error) the percentiles alone need not.
        """
        defined = draws[np.isfinite(draws)]
        if math.isnan(value) or self.units < 2 or len(defined) < max(1, min(DEFINED, len(draws))):
            low = high = math.nan
        else:
            low, high = (float(end) for end in np.quantile(defined, ENDS))
            low, high = min(low, value), max(high, value)
        return Estimate(value, low, high, unit=unit, source=self._source(len(draws), len(defined)))

    def _source(self, resamples: int, defined: int) -> str:
        of = f"{self.rows:,} rows" if self.groups is None else f"{self.units:,} groups of {self.rows:,} rows in all"
        text = f"bootstrap of {of}, {resamples:,} resamples, seed {self.seed}"
        return text if defined == resamples else f"{text}, undefined in {resamples - defined:,} of them"
