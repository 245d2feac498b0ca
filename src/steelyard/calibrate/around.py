"""What a server spends around a model, measured with a bundle that reads the same columns and computes nothing.

Requests that come at random cost a server more than those of a few busy connections: it is woken more often, with
colder caches. So the price of a turn and of a request is fitted to loads of both kinds. What a client waits on top is
what a light load leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from steelyard.calibrate.curve import Measured
from steelyard.calibrate.server import Server
from steelyard.contracts import Floats
from steelyard.load import Plan, Result, Way, at_rate, with_connections
from steelyard.load.run import latencies_at
from steelyard.money.batching import Replica
from steelyard.money.overhead import Overhead

_MANY = 32
_CLOSED = Plan(rate=1.0, seconds=1.0, warm_up=0.2)
_SHARES = (0.3, 0.6)
"""Of the rate of many busy connections, at which requests are sent at random."""
_SECONDS = 3.0
_PASSES = 2
NOISY_MS = 5.0
"""Delay of a twentieth of light requests to a server that does nothing that tells of other work on the machine."""
_QUANTILES = 41


@dataclass(frozen=True, slots=True)
class _Point:
    """A load: turns a request, processor ms a request, and requests a second."""

    turns: float
    cost_ms: float
    rate: float


def measure_around(server: Server, messages: Sequence[bytes], idle: Measured) -> Overhead:
    """Measure the overhead of a server that serves a bundle without a model, in about 12 s.

    Parameters
    ----------
    server
        It, running.
    messages
        Requests of one row each, as the real bundle will get them.
    idle
        The times of its batches, which are taken off.
    """
    way = Way(target=server.target, messages=messages, pid=server.pid)
    points = []
    for turn in range(_PASSES):
        many = _point(server, partial(with_connections, way, _CLOSED, _MANY))
        plans = [replace(_CLOSED, rate=share * many.rate, seed=turn + 1) for share in _SHARES]
        points += [many, *(_point(server, partial(at_rate, way, plan)) for plan in plans)]
    turn_ms, request_ms = fitted(points)
    first, slope = _line(idle)
    around = Overhead(
        turn_ms=max(0.0, turn_ms - (first - slope)),
        request_ms=max(0.0, request_ms - slope),
        source="",
    )
    rate = _SHARES[0] * max(point.rate for point in points)
    heard = latencies_at(way, replace(_CLOSED, rate=rate, seconds=_SECONDS, seed=9))
    delays = _unexplained(heard, Replica(curve=idle.curve, most=idle.batch, overhead=around), rate)
    source = f"HTTP measured with a bundle that computes nothing, {len(heard):,} requests at {rate:,.0f}/s"
    found = replace(around, delay_ms=delays, source=source)
    if (late := late_ms(found)) > NOISY_MS:
        return replace(found, source=f"{source}, while this machine was not quiet (5% waited over {late:.0f} ms)")
    return found


def late_ms(overhead: Overhead) -> float:
    """Return the delay that a twentieth of requests exceed, ms; over :data:`NOISY_MS` the machine was not quiet."""
    return float(overhead.delays(np.array([0.95]))[0])


def _unexplained(heard: Floats, server: Replica, rate: float) -> tuple[float, ...]:
    """Return quantiles of what is left of latencies, ms, once the server and the line before it are taken off."""
    steps = np.linspace(0.0, 1.0, _QUANTILES)
    known = np.array(server.latency(min(rate, 0.9 * server.limit_rps), tuple(steps.tolist())))
    left = np.quantile(heard, steps, method="lower") - known
    return tuple(np.maximum.accumulate(np.maximum(0.0, left)).tolist())


def fitted(points: Sequence[_Point]) -> tuple[float, float]:
    """Return the ms of a turn and of a request, neither below 0, that come nearest to some loads.

    Examples
    --------
    >>> turn, request = fitted([_Point(1.0, 0.5, 100.0), _Point(0.5, 0.35, 200.0)])
    >>> round(turn, 6), round(request, 6)
    (0.3, 0.2)
    """
    turns, costs = (np.array([getattr(p, name) for p in points]) for name in ("turns", "cost_ms"))
    spread = float(((turns - turns.mean()) ** 2).sum())
    turn = float(((turns - turns.mean()) * (costs - costs.mean())).sum()) / spread if spread else 0.0
    turn = min(max(turn, 0.0), float(costs.mean() / turns.mean()))
    return turn, max(0.0, float(costs.mean() - turn * turns.mean()))


def _line(idle: Measured) -> tuple[float, float]:
    """Return the ms of one row, and of each further one."""
    model = dict(idle.curve)
    last = max(model)
    return model[1], (model[last] - model[1]) / (last - 1) if last > 1 else 0.0


def _point(server: Server, load: Callable[[], Result]) -> _Point:
    before = server.batches()
    result = load()
    after = server.batches()
    assert result.server_cpu is not None
    rows, batches = after[0] - before[0], after[1] - before[1]
    return _Point(batches / max(1.0, rows), result.server_cpu.value, result.rate)
