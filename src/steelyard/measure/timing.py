"""Timing of calls: percentiles with intervals that assume nothing about the shape of the times."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from steelyard.contracts import Floats
from steelyard.errors import need
from steelyard.units import Estimate, Seconds

TAIL = 0.025
"""Chance of missing on each side of a 95% interval."""


def time_calls(call: Callable[[int], object], *, least: int, most: int, aim: Seconds, limit: Seconds) -> Floats:
    """Time calls one by one, in ms, shape (calls,).

    ``call`` is given 0, 1, 2 ... . At least ``least`` calls are made, then on until ``aim`` has gone by or there
    are ``most``; ``limit`` ends it in any case, after one call at the soonest. The garbage collector rests
    meanwhile: its pauses belong to the heap of the process that measures, not to what is measured.
    """
    times: list[int] = []
    clock = time.perf_counter_ns
    with _no_collection():
        start = clock()
        while len(times) < most:
            begun = clock()
            call(len(times))
            ended = clock()
            times.append(ended - begun)
            spent = (ended - start) / 1e9
            if spent >= limit or (len(times) >= least and spent >= aim):
                break
    return np.array(times, dtype=np.float64) / 1e6


@contextmanager
def _no_collection() -> Iterator[None]:
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def percentile(times: Floats, share: float) -> Estimate:
    """Return a percentile of times in ms, with the 95% interval of its order statistics.

    The number of calls below the true percentile is binomial, whatever the times are like, so two of the ordered
    times bound it [1]_. Where there are too few calls for that, the interval ends at the extreme time seen, and
    the source says so.

    References
    ----------
    .. [1] David, Nagaraja. Order statistics, section 7.1. Wiley, 2003.

    Examples
    --------
    >>> found = percentile(np.arange(1.0, 1001.0), 0.95)
    >>> found.value, found.low, found.high
    (950.0, 936.0, 964.0)
    """
    ordered, n = np.sort(times), len(times)
    below, above = _ranks(n, share)
    source = f"{n:,} calls"
    if below < 1 or above > n:
        source += f"; {_calls_needed(share):,} bound it, so the interval ends at the extreme call"
    low, high = ordered[max(below, 1) - 1], ordered[min(above, n) - 1]
    value = ordered[max(1, math.ceil(n * share - 1e-9)) - 1]
    return Estimate(float(value), float(low), float(high), unit="ms", source=source)


def mean(times: Floats) -> Estimate:
    """Return the mean of times in ms, the slowest hundredth cut to the 99th percentile, with its 95% interval.

    On a shared machine the longest times are those in which somebody else was served; a single one of them can be
    longer than a thousand others.

    Examples
    --------
    >>> mean(np.array([1.0] * 980 + [2.0] * 19 + [500.0])).value
    1.02
    """
    cut = np.minimum(times, np.sort(times)[max(1, math.ceil(len(times) * 0.99 - 1e-9)) - 1])
    half = 1.96 * float(cut.std()) / math.sqrt(len(cut))
    value = float(cut.mean())
    return Estimate(value, max(0.0, value - half), value + half, unit="ms", source=f"{len(times):,} calls, cut at p99")


def _ranks(n: int, share: float) -> tuple[int, int]:
    """Ranks, from 1, that hold the percentile between them 95% of the time; 0 and n + 1 stand for unbounded."""
    at_most = need("scipy.special", for_="the interval of a latency").bdtr(np.arange(n + 1), n, share)
    below = int(np.searchsorted(at_most, TAIL, side="right"))
    above = int(np.searchsorted(at_most, 1 - TAIL)) + 1
    return below, above


def _calls_needed(share: float) -> int:
    return math.ceil(math.log(TAIL) / math.log(max(share, 1 - share)))
