"""Latency as a user sees it when a device, a server, or the device first and then the server answers; and its cost.

Times are points of their distributions, all equally likely: a sum of independent times pairs the points at random, and
a mixture holds both kinds of requests. So percentiles of the mix are percentiles of points, and no formula for the sum
of two distributions is needed; what that costs in precision is tested against simulations that share no code with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from steelyard.contracts import Floats
from steelyard.money.batching import DRAWS
from steelyard.units import Estimate

POINTS = DRAWS
_Z95 = 1.6448536269514722


class Way(StrEnum):
    """Who answers."""

    EDGE = "edge"
    SERVER = "server"
    CASCADE = "cascade"


def points(at: Callable[[float], float]) -> Floats:
    """Return the points of a distribution, ascending, shape (POINTS,), by the function of its percentiles."""
    shares = (np.arange(POINTS) + 0.5) / POINTS
    return np.array([at(float(share)) for share in shares])


def lognormal(p50: float, p95: float) -> Floats:
    """Return the points of the lognormal distribution with these percentiles; of one value where they are equal.

    Examples
    --------
    >>> found = lognormal(10.0, 20.0)
    >>> [round(float(q), 1) for q in np.quantile(found, (0.5, 0.95))]
    [10.0, 20.0]
    """
    sigma = math.log(max(p95, p50) / p50) / _Z95 if p50 > 0 else 0.0
    return np.asarray(p50 * np.exp(sigma * _normal()), np.float64)


@lru_cache(maxsize=1)
def _normal() -> Floats:
    return points(NormalDist().inv_cdf)


def plus(*parts: Floats) -> Floats:
    """Return the points of the sum of independent times.

    Examples
    --------
    >>> float(plus(np.full(POINTS, 2.0), np.full(POINTS, 3.0)).max())
    5.0
    """
    rng = np.random.default_rng(0)
    total = np.zeros(POINTS)
    for part in parts:
        total += rng.permutation(part)
    return np.sort(total)


def mixed(share: float, first: Floats, second: Floats, at: tuple[float, ...] = (0.5, 0.95)) -> tuple[float, ...]:
    """Return percentiles of a mixture: ``share`` of the requests take the second's time, the others the first's.

    Examples
    --------
    >>> mixed(0.1, np.full(POINTS, 1.0), np.full(POINTS, 50.0))
    (1.0, 50.0)
    >>> mixed(0.04, np.full(POINTS, 1.0), np.full(POINTS, 50.0))
    (1.0, 1.0)
    """
    times = np.concatenate((first, second))
    weights = np.concatenate((np.full(len(first), (1 - share) / len(first)), np.full(len(second), share / len(second))))
    order = np.argsort(times, kind="stable")
    reached = np.cumsum(weights[order])
    places = [min(int(np.searchsorted(reached, each - 1e-12)), len(order) - 1) for each in at]
    return tuple(float(times[order[place]]) for place in places)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Points of the times that answers are made of, ms: on the device, and on a server at its usual rate.

    Attributes
    ----------
    edge
        The model that answers alone on the device.
    front
        The model that answers there first; ``None`` where there is none.
    server, behind
        The server where every request reaches it, and where only what is passed on does.
    """

    edge: Floats
    front: Floats | None
    server: Floats
    behind: Floats


def latency(way: Way, times: Times, trip: Floats, escalated: float, offline: float) -> tuple[float, float]:
    """Return p50 and p95 of the latency that a user sees, ms; of a server, of what it answers at all.

    Parameters
    ----------
    escalated
        Share of the rows that the device passes on while it can.
    offline
        Share of requests without a server; the device's own answer stands then.
    """
    if way is Way.SERVER:
        found = mixed(0.0, plus(trip, times.server), times.server)
    elif way is Way.EDGE or times.front is None:
        found = mixed(0.0, times.edge, times.edge)
    else:
        found = mixed(escalated * (1 - offline), times.front, plus(times.front, trip, times.behind))
    return found[0], found[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one way comes to: latency seen, quality, money a month, and what it returns where that is known.

    ``month`` and ``returned`` are in the currency of the prices; ``unanswered`` is the share of requests that nobody
    answers.
    """

    way: Way
    p50: float
    p95: float
    quality: Estimate
    month: float
    unanswered: float = 0.0
    returned: float | None = None


_CHEAPEST = "of equal quality it is the cheapest"


def winner(outcomes: list[Outcome], target_ms: float | None, higher: bool, tolerance: float) -> tuple[Outcome, str]:
    """Return which way is taken, and why, as the end of a sentence.

    Where returns are known, the most money a month among those within the latency target. Else, among those within the
    target whose quality is within the tolerance of the best of them, the cheapest; of several that cost the same, the
    fastest. Where none keeps the target, the fastest.

    Parameters
    ----------
    outcomes
        At least one.
    target_ms
        At the 95th percentile, as the user sees it.
    higher
        Whether quality is better when higher.
    tolerance
        What counts as equal quality.
    """
    fits = [o for o in outcomes if target_ms is None or o.p95 <= target_ms]
    if not fits:
        return min(outcomes, key=lambda o: (o.p95, o.month)), f"none keeps {target_ms:g} ms, and it is the fastest"
    if all(o.returned is not None for o in fits):
        return max(fits, key=lambda o: (o.returned or 0.0, -o.p95)), "it returns most"
    sign = 1 if higher else -1
    best = max(sign * o.quality.value for o in fits)
    good = [o for o in fits if sign * o.quality.value >= best - tolerance]
    taken = min(good, key=lambda o: (round(o.month, 6), o.p95))
    why = f"it alone keeps {target_ms:g} ms" if len(fits) == 1 and len(outcomes) > 1 else _CHEAPEST
    if len(good) == 1 and len(fits) > 1:
        why = "the others are worse by more than the tolerance"
    elif len(good) > 1 and len({round(o.month, 6) for o in good}) == 1:
        why = "at the same cost it is the fastest"
    return taken, why


@dataclass(frozen=True, slots=True)
class Turn:
    """Where another way wins: above ``at``, ms of the round trip's median or requests a second."""

    at: float
    below: Way
    above: Way


def turns(taken: Callable[[float], Way], low: float, high: float, *, steps: int = 25, halvings: int = 8) -> list[Turn]:
    """Return where the winner changes between two figures above 0, in even steps of their logarithm.

    Examples
    --------
    >>> found = turns(lambda ms: Way.SERVER if ms < 40 else Way.EDGE, 0.1, 1000.0)
    >>> [(round(turn.at), turn.above.value) for turn in found]
    [(40, 'edge')]
    """
    grid = np.geomspace(low, high, steps)
    ways = [taken(float(one)) for one in grid]
    found = []
    for first, last, below, above in zip(grid, grid[1:], ways, ways[1:], strict=False):
        if below is above:
            continue
        left, right = float(first), float(last)
        for _ in range(halvings):
            middle = math.sqrt(left * right)
            left, right = (middle, right) if taken(middle) is below else (left, middle)
        found.append(Turn(right, below, above))
    return found
