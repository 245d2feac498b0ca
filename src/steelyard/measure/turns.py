"""Latencies of several bundles as ratios: they are called in turn, so that all of them see the same machine.

A shared machine is a tenth faster in one minute than in the next, and a change of a tenth is what is asked about. So
each round calls every bundle once with the same row, beginning with another one each time, and times are taken over
the pace of their block of neighbouring rounds, which is the same for both [1]_. Intervals are of a bootstrap over the
blocks, since slow moments last longer than a call.

References
----------
.. [1] Kalibera, Jones. Rigorous benchmarking in reasonable time. ISMM 2013, doi:10.1145/2464157.2464160; on blocks:
   Kuensch. The jackknife and the bootstrap for general stationary observations. Annals of Statistics 17, 1989.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from steelyard import bundle as bundles
from steelyard.contracts import Beside, Floats
from steelyard.measure.weighing import Row
from steelyard.units import Estimate

LEAST, MOST = 40, 1_000
"""Rounds below which nothing is said, and those that are enough."""
AIM = 0.6
"""Seconds of rounds that are made where :data:`LEAST` of them take less."""
WARM = 10
"""Rounds before the clock counts."""
BLOCK, RESAMPLES = 10, 400


def in_turn(
    folder: Path, others: Mapping[str, Path], rows: Sequence[Row], *, threads: int = 1, seconds: float = 5.0
) -> dict[str, Beside]:
    """Return the latency of one row of a bundle over that of each of the others, by the names given to them.

    Parameters
    ----------
    folder : Path
        The bundle.
    others : mapping of str to Path
        Those that it is compared with.
    rows : sequence of dict
        Raw rows; each is given to every bundle.
    threads : int
        Threads that one answer may use.
    seconds : float
        Time that it may take. Where it is too short for :data:`LEAST` rounds, nothing is returned.

    Raises
    ------
    BundleRefused, RowsRefused
        If a bundle cannot be loaded, or does not take the rows.
    """
    end = time.monotonic() + seconds
    loaded = [bundles.load(place, threads=threads) for place in (folder, *others.values())]
    times = _rounds([one.answer_row for one in loaded], rows, end)
    if len(times) < LEAST:
        return {}
    return {name: Beside(*(_ratio(times[:, [0, k]], q) for q in (0.5, 0.95))) for k, name in enumerate(others, start=1)}


def _rounds(calls: Sequence[Callable[[Row], object]], rows: Sequence[Row], end: float) -> Floats:
    """Return the times of rounds in ms, shape (rounds, calls)."""
    clock, found = time.perf_counter_ns, list[list[int]]()
    was = gc.isenabled()
    gc.disable()
    try:
        begun = time.monotonic()
        for number in range(WARM + MOST):
            times = [0] * len(calls)
            for place in range(len(calls)):
                which = (place + number) % len(calls)
                start = clock()
                calls[which](rows[number % len(rows)])
                times[which] = clock() - start
            found.append(times)
            now = time.monotonic()
            if now > end or (number >= WARM + LEAST and now - begun > AIM):
                break
    finally:
        if was:
            gc.enable()
    return np.array(found[WARM:], dtype=np.float64).reshape(-1, len(calls)) / 1e6


def _ratio(times: Floats, share: float) -> Estimate:
    """Return the first column's quantile over the second's, with the 95% interval of a bootstrap over blocks."""
    blocks = np.array_split(np.arange(len(times)), max(2, len(times) // BLOCK))
    level = np.sqrt(np.maximum(times, 1e-9).prod(axis=1))
    pace = np.concatenate([np.full(len(block), np.median(level[block])) for block in blocks])
    times = times / pace[:, None]
    most = max(map(len, blocks))
    padded = np.stack([np.resize(times[block], (most, 2)) for block in blocks])
    drawn = np.random.default_rng(0).integers(0, len(blocks), (RESAMPLES, len(blocks)))
    values = np.quantile(padded[drawn].reshape(RESAMPLES, -1, 2), share, axis=1)
    value = float(np.divide(*np.quantile(times, share, axis=0)))
    low, high = np.quantile(values[:, 0] / values[:, 1], (0.025, 0.975))
    source = f"{len(times):,} rounds in turn"
    return Estimate(value, min(float(low), value), max(float(high), value), source=source)
