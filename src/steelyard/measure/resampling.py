"""The bootstrap: how often each row stands in each resample, and what the figures of the resamples say.

Rows are drawn with replacement, as many as there are; with groups, whole groups are, since rows of one group
tell less than as many independent ones.

The plain percentiles of few rows hold the truth too rarely: they miss on the side where figures tail off, and by more
the more a few rows decide. So the percentiles that are read are moved by the skewness of the figure (Efron's
acceleration [3]_) and spread as a t distribution's are ([4]_), whose degrees of freedom follow from how few rows
decide (Satterthwaite [5]_). Both come from the figures that are left when rows are left out.

References
----------
.. [1] Efron, Tibshirani. An introduction to the bootstrap. Chapman & Hall, 1993.
.. [2] Field, Welsh. Bootstrapping clustered data. Journal of the Royal Statistical Society B, 2007.
.. [3] Efron. Better bootstrap confidence intervals. Journal of the American Statistical Association, 1987.
.. [4] Hesterberg. What teachers should know about the bootstrap. The American Statistician, 2015.
.. [5] Satterthwaite. An approximate distribution of estimates of variance components. Biometrics Bulletin, 1946.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

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
BLOCKS = 200
"""Parts that rows are left out in: one row each, where there are no more."""
FEW = 40
"""Parts below which skewness is not worth reading; then there are so many rows that it does not matter."""
UNSEEN = 2.0
"""By how much the freedom of a figure without bounds is overstated: few rows show too few of the largest errors.
Chosen on the pools of ``benchmarks/money/intervals.py``, where squared errors tail off furthest."""
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

    def without(self) -> Iterator[Floats]:
        """Yield counts times weights as :meth:`counts` does, each row of them leaving out one part of the rows.

        There are as many parts as rows or groups, at most :data:`BLOCKS`; none where that is too much work.
        """
        parts = min(self.units, BLOCKS, WORK // (4 * max(1, self.rows)))
        if parts < min(FEW, self.units):
            return
        member = np.arange(self.rows) if self.groups is None else np.unique(self.groups, return_inverse=True)[1]
        part = np.random.default_rng(self.seed).permutation(self.units)[member] % parts
        some = max(1, CHUNK // max(1, self.rows))
        for first in range(0, parts, some):
            counts = (part != np.arange(first, min(first + some, parts))[:, None]).astype(np.float64)
            yield counts if self.weights is None else counts * self.weights

    def interval(
        self, value: float, draws: Floats, unit: str, left: Floats | None = None, *, bounded: bool = True
    ) -> Estimate:
        """Return a figure with the 95% interval of its resamples: percentiles, corrected as the module says.

        Resamples where the figure is undefined are left out; where too few are left, or there is but one row or
        group, the ends are NaN. The interval always holds the figure itself, which for a figure that resampling
        pushes to one side (the calibration error) the percentiles alone need not.

        Parameters
        ----------
        value : float
            The figure on all rows.
        draws : float64 ndarray of shape (B,)
            The figure of each resample.
        unit : str
            Of the figure.
        left : float64 ndarray of shape (G,), optional
            The figure of each set of counts of :meth:`without`; plain percentiles where it is not given.
        bounded : bool
            Whether one row can only move the figure so far.
        """
        defined = draws[np.isfinite(draws)]
        if math.isnan(value) or self.units < 2 or len(defined) < max(1, min(DEFINED, len(draws))):
            low = high = math.nan
        else:
            levels = ENDS if left is None else self.levels(left, bounded=bounded)
            low, high = (float(end) for end in np.quantile(defined, levels))
            low, high = min(low, value), max(high, value)
        return Estimate(value, low, high, unit=unit, source=self._source(len(draws), len(defined)))

    def levels(self, left: Floats, *, bounded: bool = True) -> tuple[float, float]:
        """Return which percentiles of the resamples end a 95% interval; see :meth:`interval`.

        Examples
        --------
        >>> few = Bootstrap(rows=20)
        >>> [round(level, 3) for level in few.levels(np.r_[np.ones(10), np.zeros(10)])]
        [0.016, 0.984]
        >>> [round(level, 3) for level in few.levels(np.r_[np.ones(19), 0.0])]
        [0.008, 1.0]
        """
        left = left[np.isfinite(left)]
        moved = left.mean() - left if len(left) > 1 else np.zeros(1)
        size = float(np.square(moved).sum())
        if not size > 0:
            return ENDS
        lean = float((moved**3).sum()) / (6 * size**1.5)
        tails = len(left) * float((moved**4).sum()) / size**2
        freedom = 2 * len(left) / max(tails - 1, 1e-9) / (1 if bounded else UNSEEN)
        reach = _t975(min(max(freedom, 2.0), self.units - 1)) * math.sqrt(self.units / (self.units - 1))
        low, high = (_NORMAL.cdf(z / max(1 - lean * z, 0.1)) for z in (-reach, reach))
        return low, high

    def _source(self, resamples: int, defined: int) -> str:
        of = f"{self.rows:,} rows" if self.groups is None else f"{self.units:,} groups of {self.rows:,} rows in all"
        text = f"bootstrap of {of}, {resamples:,} resamples, seed {self.seed}"
        return text if defined == resamples else f"{text}, undefined in {resamples - defined:,} of them"


_NORMAL = NormalDist()


def _t975(freedom: float) -> float:
    """Return the 97.5% point of a t distribution, within 1% from 2 degrees of freedom on.

    Abramowitz, Stegun. Handbook of mathematical functions, 1964, 26.7.5.

    Examples
    --------
    >>> [round(_t975(f), 2) for f in (2, 3, 10, 1e9)]
    [4.27, 3.18, 2.23, 1.96]
    """
    z = _NORMAL.inv_cdf(0.975)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))
