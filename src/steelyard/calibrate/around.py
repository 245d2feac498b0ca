"""What a server spends around a model, measured with a bundle that reads the same columns and computes nothing.

Busy connections that never let it sleep tell the price of a turn and of a request. Requests that come at random cost
more: they find a process asleep whose caches have gone cold, the longer the colder. What a turn costs on top then is
measured at the rates that the real bundle will see. How much all this varies is fitted to latencies under a heavy load;
what a client waits on top is what a light one leaves unexplained.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from steelyard.calibrate.curve import Measured
from steelyard.calibrate.server import Server
from steelyard.contracts import Floats
from steelyard.load import Plan, Result, Way, at_rate, with_connections
from steelyard.load.run import latencies_at
from steelyard.money.batching import USUAL_LOAD, Replica
from steelyard.money.overhead import Overhead

_BUSY = (32, 4)
"""Connections that ask again as soon as they are answered, so that the server never sleeps."""
_CLOSED = Plan(rate=1.0, seconds=1.0, warm_up=0.2)
_SHARES = (0.1, 0.4, 1.0)
"""Of the rate at which the real bundle is busy as usual: where requests are sent at random."""
_LIGHT, _HEAVY = 0.4, 0.8
"""Shares of the time that a server without a model is busy where its latencies are looked at."""
_SECONDS = 2.0
_PASSES = 2
NOISY_MS = 5.0
"""Delay of a twentieth of light requests to a server that does nothing that tells of other work on the machine."""
_QUANTILES = 41
_MOST_SPREAD, _HALVINGS = 16.0, 12
_BOUND = 0.99
"""Share of the most uneven that turns may be from which on it is other work on the machine that was measured."""
_LEAST_ASLEEP = 0.01
_MOST_BUSY = 0.9
"""Share of its limit up to which a server without a model is reckoned with."""


@dataclass(frozen=True, slots=True)
class _Point:
    """A load: turns a request, processor ms a request, and requests a second."""

    turns: float
    cost_ms: float
    rate: float


def measure_around(server: Server, messages: Sequence[bytes], idle: Measured, real: Measured) -> Overhead:
    """Measure the overhead of a server that serves a bundle without a model, in about 20 s.

    Parameters
    ----------
    server
        It, running.
    messages
        Requests of one row each, as the real bundle will get them.
    idle
        The times of its batches, which are taken off.
    real
        The times of the batches of the bundle that is to be predicted: they say at which rates it will be asked.
    """
    way = Way(target=server.target, messages=messages, pid=server.pid)
    busy = [_point(server, partial(with_connections, way, _CLOSED, n)) for n in _BUSY * _PASSES]
    turn_ms, request_ms = fitted(busy)
    first, slope = _line(idle)
    around = Overhead(
        turn_ms=max(0.0, turn_ms - (first - slope)),
        request_ms=max(0.0, request_ms - slope),
        source="",
    )
    usual = _served(real, around).rate_at(USUAL_LOAD)
    plans = [replace(_CLOSED, rate=share * usual, seed=turn) for turn in range(_PASSES) for share in _SHARES]
    woken = [_point(server, partial(at_rate, way, plan)) for plan in plans]
    around = replace(around, wake=_wake(_served(idle, around), woken))
    own = _of_the_model(around.wake, idle, real)
    rates = [_served(idle, around).rate_at(share) for share in (_LIGHT, _HEAVY)]
    plans = [replace(_CLOSED, rate=rate, seconds=_SECONDS, seed=9) for rate in rates]
    heard = [latencies_at(way, replace(plan, seed=9 + turn)) for turn in range(_PASSES) for plan in plans]
    light, heavy = np.concatenate(heard[::2]), statistics.mean(float(np.quantile(one, 0.95)) for one in heard[1::2])
    found = _varied(_served(idle, around), light, rates[0], heavy, rates[1])
    source = f"HTTP measured with a bundle that computes nothing, {len(light):,} requests at {rates[0]:,.0f}/s"
    if (late := late_ms(found)) > NOISY_MS or found.spread > _BOUND * _MOST_SPREAD:
        source += f", while this machine was not quiet (5% waited over {late:.0f} ms)"
    return replace(found, wake=own, source=source)


def _served(model: Measured, around: Overhead) -> Replica:
    return Replica(curve=model.curve, most=model.batch, spread=model.spread, overhead=around)


def late_ms(overhead: Overhead) -> float:
    """Return the delay that a twentieth of requests exceed, ms; over :data:`NOISY_MS` the machine was not quiet."""
    return float(overhead.delays(np.array([0.95]))[0])


def _wake(awake: Replica, points: Sequence[_Point]) -> tuple[tuple[float, float], ...]:
    """Return what a turn of a server that slept takes longer, by the gap between requests; it does not fall with it."""
    found = []
    for place in range(len(_SHARES)):
        same = points[place :: len(_SHARES)]
        rate = statistics.mean(point.rate for point in same)
        asleep = awake.asleep(min(rate, _MOST_BUSY * awake.limit_rps))
        extra = statistics.mean(
            (point.cost_ms / point.turns - float(awake.batch_ms(np.array([1 / point.turns]))[0])) for point in same
        )
        found.append((1000 / rate, max(0.0, extra) / max(asleep, _LEAST_ASLEEP)))
    found.sort()
    return tuple((gap, max(ms for _, ms in found[: place + 1])) for place, (gap, _) in enumerate(found))


def _of_the_model(
    wake: tuple[tuple[float, float], ...], idle: Measured, real: Measured
) -> tuple[tuple[float, float], ...]:
    """Return the wake with what the real model's row takes longer in the place of the idle one's."""
    idle_, real_ = (Overhead(turn_ms=0.0, request_ms=0.0, wake=one.wake) for one in (idle, real))
    return tuple((gap, max(0.0, ms - idle_.wake_ms(1000 / gap) + real_.wake_ms(1000 / gap))) for gap, ms in wake)


def _varied(mean: Replica, light: Floats, light_rps: float, heavy_ms: float, heavy_rps: float) -> Overhead:
    """Return the overhead of a replica with its delays, as uneven as its p95 under a heavy load says."""

    def uneven(spread: float) -> Replica:
        around = replace(mean.overhead, spread=spread)
        delays = _unexplained(light, replace(mean, overhead=around), light_rps)
        return replace(mean, overhead=replace(around, delay_ms=delays))

    low, high = 0.0, _MOST_SPREAD
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if uneven(middle).latency(heavy_rps)[1] < heavy_ms else (low, middle)
    return uneven(low).overhead


def _unexplained(heard: Floats, server: Replica, rate: float) -> tuple[float, ...]:
    """Return quantiles of what is left of latencies, ms, once the server and the line before it are taken off."""
    steps = np.linspace(0.0, 1.0, _QUANTILES)
    known = np.array(server.latency(min(rate, _MOST_BUSY * server.limit_rps), tuple(steps.tolist())))
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
