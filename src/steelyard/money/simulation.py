"""Servers played through request by request: what the formulas of waiting are checked against.

Nothing here knows a formula. Times are in s; arrivals ascend.
"""

from __future__ import annotations

import heapq

import numpy as np

from steelyard.contracts import Floats
from steelyard.money.batching import Replica


def poisson(rate: float, number: int, rng: np.random.Generator) -> Floats:
    """Return times of arrival that know nothing of each other, shape (number,)."""
    return np.asarray(np.cumsum(rng.exponential(1 / rate, number)), np.float64)


def one_line(arrivals: Floats, services: Floats, servers: int) -> Floats:
    """Return how long each waits, first come first served, in one line before several servers.

    Examples
    --------
    >>> one_line(np.array([0.0, 1.0, 2.0]), np.array([5.0, 5.0, 1.0]), 2).tolist()
    [0.0, 0.0, 3.0]
    """
    free = [0.0] * servers
    waits = np.empty(len(arrivals))
    for place, (came, takes) in enumerate(zip(arrivals.tolist(), services.tolist(), strict=True)):
        begins = max(came, free[0])
        heapq.heapreplace(free, begins + takes)
        waits[place] = begins - came
    return waits


def in_batches(arrivals: Floats, replica: Replica, rng: np.random.Generator) -> Floats:
    """Return the latency of each request, s, at a server that takes all that wait, at most ``replica.most`` at once.

    The delay of the replica's overhead is drawn for each.

    Examples
    --------
    >>> replica = Replica(curve=((1, 1000.0), (2, 1500.0)))
    >>> in_batches(np.array([0.0, 0.2, 0.4]), replica, np.random.default_rng(0)).tolist()
    [1.0, 2.3, 2.1]
    """
    sizes = np.arange(1, replica.most + 1)
    model, whole = replica.model_ms(sizes) / 1000, replica.batch_ms(sizes) / 1000
    rate = (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) if len(arrivals) > 1 else 0.0
    woken, uneven = replica.overhead.wake_ms(rate) / 1000, replica.overhead.spread
    done = np.empty(len(arrivals))
    now, first = 0.0, 0
    while first < len(arrivals):
        asleep = arrivals[first] > now
        now = max(now, float(arrivals[first]))
        last = min(int(np.searchsorted(arrivals, now, side="right")), first + replica.most)
        rows = last - first
        takes = whole[rows - 1] + (woken if asleep else 0.0)
        if uneven and not asleep:
            takes += (takes - model[rows - 1]) * (rng.gamma(rows / uneven) * uneven / rows - 1)
        if replica.spread:
            shape = rows / replica.spread
            takes += model[rows - 1] * (rng.gamma(shape) / shape - 1)
        now += takes
        done[first:last] = now
        first = last
    return np.asarray(done - arrivals + replica.overhead.delays(rng.uniform(size=len(arrivals))) / 1000, np.float64)


def over_replicas(arrivals: Floats, replica: Replica, replicas: int, rng: np.random.Generator) -> Floats:
    """Return latencies, s, where each request goes to one of several replicas by chance; in no order."""
    dealt = rng.integers(0, replicas, len(arrivals))
    return np.concatenate([in_batches(arrivals[dealt == each], replica, rng) for each in range(replicas)])
