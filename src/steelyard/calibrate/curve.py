"""How long a bundle takes for batches of real rows, as the server computes them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from steelyard.errors import RequestInvalid
from steelyard.serve import Limits
from steelyard.serve.batching import INLINE
from steelyard.serve.model import Served, open_served
from steelyard.serve.rows import read
from steelyard.serve.table import Table, joined

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_LEAST, _MOST = 5, 400
_REST = 0.0005
_RESTS = (0.0015, 0.005)
"""Longer seconds without a request, that show what cold caches cost a row."""
_RESTED = 50
_SINGLES = 3
_ROWS = 200
_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Mean ms of batches by rows, the spread of single rows (see Replica), and the batch that a server would take.

    ``wake`` is what a row takes longer after some ms without a request, as in
    :class:`steelyard.money.overhead.Overhead`.
    """

    curve: tuple[tuple[int, float], ...]
    spread: float
    batch: int
    wake: tuple[tuple[float, float], ...] = ()


def measure_curve(bundle: Path, rows: Sequence[Mapping[str, Any]], *, threads: int = 1) -> Measured:
    """Time batches of the rows, beginning anywhere in them, as :mod:`steelyard.serve` computes batches.

    With one thread the processor's time counts, which others on the machine do not stretch. Takes some seconds.

    Parameters
    ----------
    bundle
        Its folder.
    rows
        As a client sends them: plain values by column.
    threads
        Of one inference.

    Raises
    ------
    RequestInvalid
        If there are no rows.
    BundleRefused, RowsRefused
        If the bundle cannot be loaded, or does not take the rows.
    """
    if not rows:
        raise RequestInvalid("a curve is measured of rows, and there is none; give at least one")
    served = open_served("model", bundle, threads=threads)
    served.warm_up()
    bodies = [orjson.dumps({"rows": [row]}) for row in rows[:_ROWS]]
    clock = time.process_time if threads == 1 else time.perf_counter
    with ThreadPoolExecutor(1) as pool:
        times = {size: _time_of(served, bodies, size, pool, clock) for size in _sizes(served)}
    tables = [read(served, body, Limits()) for body in bodies]
    wake = _wake(served, bodies, clock)
    return Measured(tuple(times.items()), _spread(served, tables, clock), served.batch, wake)


def _sizes(served: Served) -> list[int]:
    return [size for size in SIZES if size <= max(2, served.batch)]


def _time_of(
    served: Served, bodies: Sequence[bytes], size: int, pool: ThreadPoolExecutor, clock: Callable[[], float]
) -> float:
    """Return the mean ms of a batch, the slowest tenth left out.

    As in the server each batch comes after a rest and after its requests were read, so that caches are as cold as
    there; one that takes long is handed to a thread.
    """
    until, found, place = time.perf_counter() + _SECONDS / len(SIZES), list[float](), 0
    is_long = served.pace.expected(size) > INLINE
    while len(found) < _LEAST or (time.perf_counter() < until and len(found) < _MOST):
        time.sleep(_REST)
        tables = [read(served, bodies[(place + k) % len(bodies)], Limits()) for k in range(size)]
        place += size
        began = clock()
        if is_long:
            pool.submit(served.answer, joined(tables)).result()
        else:
            served.answer(joined(tables))
        found.append(1000 * max(clock() - began, 1e-7))
    return _middle(found)


def _middle(times: Sequence[float]) -> float:
    return statistics.mean(sorted(times)[: max(1, int(0.9 * len(times)))])


def _wake(served: Served, bodies: Sequence[bytes], clock: Callable[[], float]) -> tuple[tuple[float, float], ...]:
    """Return what a row takes longer, ms, after some ms without a request; it does not fall with them."""
    found: list[tuple[float, float]] = []
    for rest in (_REST, *_RESTS):
        times = []
        for place in range(_RESTED):
            time.sleep(rest)
            table = read(served, bodies[place % len(bodies)], Limits())
            began = clock()
            served.answer(table)
            times.append(1000 * (clock() - began))
        found.append((1000 * rest, _middle(times)))
    awake = found[0][1]
    return tuple((gap, max(ms - awake for _, ms in found[: place + 1])) for place, (gap, _) in enumerate(found))


def _spread(served: Served, tables: Sequence[Table], clock: Callable[[], float]) -> float:
    """Return the variance between rows over the squared mean; the median of a few calls is a row's time."""
    until, times = time.perf_counter() + _SECONDS / 3, []
    for table in tables:
        tries = []
        for _ in range(_SINGLES):
            began = clock()
            served.answer(table)
            tries.append(clock() - began)
        times.append(statistics.median(tries))
        if time.perf_counter() > until:
            break
    mean = float(np.mean(times))
    return float(np.var(times)) / mean**2 if mean > 0 and len(times) > 1 else 0.0
