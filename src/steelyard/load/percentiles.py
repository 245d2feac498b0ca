"""Percentiles of latencies with 95% intervals that know that neighbours are alike.

The interval of a percentile lies between two order statistics, whose ranks are those of a binomial: of n independent
requests, how many stay below the true percentile. Requests are not independent: one that waits behind a long queue
tells that the next one waits too. So n is divided by the design effect, the variance of the share of requests above
the percentile by a moving block bootstrap over that of independent ones. The bootstrap's variance of a mean is known
in closed form, so nothing is drawn; the length of a block is chosen from the series itself.

Where too few requests were seen for an end (the 99.9th percentile of a thousand requests), that end is infinite.

References
----------
.. [1] Kuensch. The jackknife and the bootstrap for general stationary observations. Annals of Statistics, 1989.
.. [2] Politis, White. Automatic block-length selection for the dependent bootstrap. Econometric Reviews, 2004;
   corrected by Patton, Politis, White, 2009.
.. [3] Woodruff. Confidence intervals for medians and other position measures. JASA, 1952.
.. [4] Korn, Graubard. Confidence intervals for proportions with small expected number of positive counts estimated
   from survey data. Survey Methodology, 1998 (the size divided by the design effect, with Student's t).
"""

from __future__ import annotations

import math

import numpy as np

from steelyard.contracts import Floats
from steelyard.units import Estimate

LEVELS = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
TAIL = 0.025
"""What a 95% interval leaves out on each side."""
_Z = 1.959963984540054
_FEWEST_BLOCKS = 10
_SEEN = 20
"""Requests above a percentile from which on their dependence can be seen."""


def percentile(sorted_values: Floats, level: float) -> float:
    """Return the smallest value that a share ``level`` of the values does not exceed; NaN of none.

    Examples
    --------
    >>> percentile(np.arange(1.0, 101.0), 0.95)
    95.0
    """
    n = len(sorted_values)
    return float(sorted_values[max(0, math.ceil(round(level * n, 9)) - 1)]) if n else math.nan


def percentiles(values: Floats, *, unit: str = "ms") -> dict[str, Estimate]:
    """Return the 50th, 95th, 99th and 99.9th percentile with 95% intervals.

    Parameters
    ----------
    values
        Latencies in the order of their planned times, float64 of shape (n,); infinite where no answer came.
    unit
        Unit of the values.
    """
    order = np.sort(values)
    effects = {name: _dependence(values, order, level) for name, level in LEVELS.items()}
    worst = max((e for e in effects.values() if e is not None), default=(1.0, math.inf))
    return {name: _estimate(order, level, *(effects[name] or worst), unit=unit) for name, level in LEVELS.items()}


def _dependence(values: Floats, order: Floats, level: float) -> tuple[float, float] | None:
    """Return design effect and degrees of freedom of a percentile; none where too few requests lie above it."""
    at = percentile(order, level)
    above = (values > at if math.isfinite(at) else values >= at).astype(np.float64)
    return design_effect(above) if above.sum() >= _SEEN else None


def _estimate(order: Floats, level: float, effect: float, freedom: float, *, unit: str) -> Estimate:
    value, n = percentile(order, level), len(order)
    worth = n / effect * (_Z / student(freedom)) ** 2
    low, high = ranks(max(1, round(worth)), level)
    ends = (
        percentile(order, low) if low > 0 else 0.0,
        percentile(order, high) if high < 1 else math.inf,
    )
    source = f"order statistics of {n:,} requests, worth {worth:,.0f} independent ones by a moving block bootstrap"
    return Estimate(value, min(ends[0], value), max(ends[1], value), unit=unit, source=source) if n else _unknown(unit)


def _unknown(unit: str) -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, unit=unit, source="no request")


def design_effect(series: Floats) -> tuple[float, float]:
    """Return how much the mean of a dependent 0/1 series varies, over that of an independent one; at least 1.

    Returns
    -------
    tuple
        The ratio of variances, and the degrees of freedom it was estimated with (blocks less one).
    """
    n, share = len(series), float(series.mean())
    length = block_length(series)
    sums = np.cumsum(np.concatenate(([0.0], series)))
    means = (sums[length:] - sums[:-length]) / length
    variance = length * float(((means - share) ** 2).mean())
    return max(1.0, variance / (share * (1 - share))) if 0 < share < 1 else 1.0, max(1.0, n / length - 1)


def block_length(series: Floats) -> int:
    """Return the length of a block by the rule of Politis and White, at most a tenth of the series.

    Their upper bound on lags is widened to a twentieth of the series: a server that stands still for a second makes
    as long a cluster as requests arrive in that second.
    """
    n = len(series)
    most = max(1, n // _FEWEST_BLOCKS)
    lags = max(5, n // 20)
    covariance = _autocovariance(series, min(lags, n - 1))
    if covariance[0] <= 0:
        return 1
    quiet = 5
    small = np.abs(covariance / covariance[0]) < 2 * math.sqrt(math.log10(n) / n)
    runs = np.convolve(small[1:], np.ones(quiet), "valid") if len(small) > quiet else np.array([])
    found = np.flatnonzero(runs >= quiet)
    window = min(2 * max(1, int(found[0]) if len(found) else lags // 2), len(covariance) - 1)
    k = np.arange(1, window + 1)
    taper = np.minimum(1.0, 2 * (1 - k / window)) if window > 1 else np.ones(1)
    spectrum = covariance[0] + 2 * float((taper * covariance[1 : window + 1]).sum())
    slope = 2 * float((taper * k * covariance[1 : window + 1]).sum())
    if spectrum <= 0:
        return min(most, max(1, round(math.cbrt(n))))
    length = (2 * slope**2 / (4 / 3 * spectrum**2)) ** (1 / 3) * math.cbrt(n)
    return min(most, max(1, math.ceil(float(length))))


def _autocovariance(series: Floats, lags: int) -> Floats:
    n = len(series)
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(series - series.mean(), size)
    return np.asarray(np.fft.irfft(np.abs(spectrum) ** 2, size)[: lags + 1] / n, np.float64)


def ranks(n: int, level: float) -> tuple[float, float]:
    """Return the ends of the 95% interval of a percentile as shares of the sorted values; 0 and 1 where there is none.

    Examples
    --------
    >>> ranks(1000, 0.5)
    (0.469, 0.532)
    >>> ranks(1000, 0.999)  # the largest of 1,000 lies below the true percentile too often
    (0.997, 1.0)
    """
    first, mass = _binomial(n, level)
    cumulative = np.cumsum(mass)
    low = first + int(np.searchsorted(cumulative, TAIL, "right"))
    high = first + int(np.searchsorted(cumulative, 1 - TAIL)) + 1
    return low / n, min(high, n + 1) / n if high <= n else 1.0


def _binomial(n: int, p: float) -> tuple[int, Floats]:
    """Return the probabilities of a binomial from its first value that matters on, by ratios from the mode."""
    mode, reach = int((n + 1) * p), math.ceil(10 * math.sqrt(n * p * (1 - p)) + 20)
    first, last = max(0, mode - reach), min(n, mode + reach)
    k = np.arange(first, last)
    steps = np.log((n - k) / (k + 1.0)) + math.log(p / (1 - p))
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    mass = np.exp(logs - logs.max())
    return first, mass / mass.sum()


def student(freedom: float) -> float:
    """Return the 97.5th percentile of Student's t, by Cornish and Fisher's expansion (within 1% from 3 degrees on).

    Examples
    --------
    >>> round(student(9), 2), round(student(math.inf), 2)
    (2.26, 1.96)
    """
    z, v = _Z, freedom
    second, third = 5 * z**5 + 16 * z**3 + 3 * z, 3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z
    return z + (z**3 + z) / (4 * v) + second / (96 * v**2) + third / (384 * v**3)
