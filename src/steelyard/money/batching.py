"""A server that answers at once whatever has gathered while it was busy: how long one waits, and how many it bears.

Requests come independently of each other (Poisson). A free server takes the first one at once; when it is done it
takes all that wait, up to ``most``. A batch of k takes ``S(k)``, of any measured shape, and varies as rows do. What is
left after a batch is a Markov chain [1]_, solved by state reduction [3]_; what one request then waits for is the rest
of the batch in progress and its own batch, which all that came meanwhile share. With ``S(k) = a + b k`` and no limit
this is the inference server of Inoue [2]_.

Several replicas are as many such servers: requests are dealt out by chance, so each sees its share of the rate, and a
free replica does not help a busy one.

References
----------
.. [1] Neuts. A general class of bulk queues with Poisson input. Annals of Mathematical Statistics 38, 1967.
.. [2] Inoue. Queueing analysis of GPU-based inference servers with dynamic batching: a closed-form characterization.
   Performance Evaluation 147, 2021, arXiv:1912.06322.
.. [3] Grassmann, Taksar, Heyman. Regenerative analysis and steady state distributions for Markov chains. Operations
   Research 33, 1985.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints
from steelyard.money.overhead import NONE, Overhead

DRAWS = 8_192
"""Requests that percentiles are taken of; the same random numbers every time."""
USUAL_LOAD = 0.7
"""Share of the time that a replica may be busy where no latency target decides it."""
_LARGEST = 256
"""Requests left behind by a batch; a line that is longer than this keeps no target worth the name."""
_TAIL = 1e-5
_NEAR = 0.995
"""Share of the rate at which the line only grows, up to which capacity is looked for."""
_SHARES = (0.4, 0.7, 0.85, 0.93)
_STEPS, _CLOSE = 8, 0.002
_RARE = 0.01
"""Share of the limit at which a replica answers as an idle one does: requests hardly ever meet."""
_LEAST_SPREAD = 1e-6
"""Squared coefficient of variation below which times are taken as equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One server process: what batches take it, and what it spends around them.

    Attributes
    ----------
    curve
        Rows of a batch and the ms that the model takes for it, ascending, at least one point.
    most
        Most rows of a batch.
    spread
        Variance of the time of one row over its squared mean.
    overhead
        Time of the server beside the model.
    """

    curve: tuple[tuple[int, float], ...]
    most: int = 64
    spread: float = 0.0
    overhead: Overhead = NONE

    def __post_init__(self) -> None:
        rows, times = zip(*self.curve, strict=True) if self.curve else ((), ())
        if (
            not rows
            or list(rows) != sorted(set(rows))
            or rows[0] < 1
            or not all(t > 0 and math.isfinite(t) for t in times)
        ):
            raise ValueError(
                f"a curve needs ascending batches of 1 row or more, each with a time above 0; got {self.curve}"
            )
        if self.most < 1 or not (math.isfinite(self.spread) and self.spread >= 0):
            raise ValueError(
                f"a batch holds 1 row or more, and times spread by 0 or more; got {self.most}, {self.spread}"
            )

    def model_ms(self, rows: Ints) -> Floats:
        """Return what the model takes for batches of some sizes, ms: the curve, straight between and after its points.

        Examples
        --------
        >>> Replica(curve=((1, 1.0), (11, 2.0))).model_ms(np.array([1, 6, 21]))
        array([1. , 1.5, 3. ])
        """
        known, times = (np.array(part, np.float64) for part in zip(*self.curve, strict=True))
        times = np.maximum.accumulate(times)
        slope = (times[-1] - times[-2]) / (known[-1] - known[-2]) if len(known) > 1 else times[0] / known[0]
        inside = np.interp(rows, known, times)
        return np.asarray(inside + slope * np.maximum(0.0, rows - known[-1]), np.float64)

    def batch_ms(self, rows: Ints) -> Floats:
        """Return the mean time that the server is busy with batches of some sizes, ms, HTTP included."""
        return self.model_ms(rows) + self.overhead.turn_ms + self.overhead.request_ms * rows

    @property
    def busy_ms(self) -> float:
        """The time that one request alone keeps the server busy, ms."""
        return float(self.batch_ms(np.array([1]))[0])

    @property
    def limit_rps(self) -> float:
        """Requests a second above which the line only grows."""
        sizes = np.arange(1, self.most + 1)
        return float((1000 * sizes / self.batch_ms(sizes)).max())

    def scaled(self, factor: float) -> Replica:
        """Return a replica on which the model takes ``factor`` times as long."""
        return Replica(
            curve=tuple((rows, factor * ms) for rows, ms in self.curve),
            most=self.most,
            spread=self.spread,
            overhead=self.overhead,
        )

    def latency(self, rps: float, shares: tuple[float, ...] = (0.5, 0.95)) -> tuple[float, ...]:
        """Return percentiles of latency at a rate, ms; infinite where the line only grows."""
        found = _state(self, rps)
        if found is None:
            return tuple(math.inf for _ in shares)
        return tuple(float(q) for q in np.quantile(_sojourns(self, found), shares))

    def draws(self, rps: float) -> Floats:
        """Return the latencies of requests at a rate, ms, shape (DRAWS,), ascending; infinite where the line grows."""
        found = _state(self, rps)
        return np.full(DRAWS, math.inf) if found is None else np.sort(_sojourns(self, found))

    def busy(self, rps: float) -> float:
        """Return the share of the time that the server is busy at a rate; 1 where the line only grows."""
        found = _state(self, rps)
        return 1.0 if found is None else found.busy

    def asleep(self, rps: float) -> float:
        """Return the share of turns that find the server with nothing left to do; 0 where the line only grows."""
        found = _state(self, rps)
        return 0.0 if found is None else float(found.left[0])

    def rate_at(self, busy: float) -> float:
        """Return the requests a second at which the server is busy a share of the time, above 0 and below 1."""
        return _highest(lambda rate: self.busy(rate) / busy, self.limit_rps)

    def keeps(self, target_ms: float) -> bool:
        """Tell whether an idle replica answers 95% of requests within a target."""
        return self.latency(0.0)[1] <= target_ms

    def capacity(self, target_ms: float | None = None) -> float:
        """Return the most requests a second of which 95% are answered within a target, ms.

        Without a target, or with one that not even an idle replica keeps, the rate at which it is busy
        :data:`USUAL_LOAD` of the time.

        Examples
        --------
        >>> one = Replica(curve=((1, 1.0),), most=1)  # M/D/1
        >>> 600 < one.capacity(4.0) < 650, round(one.capacity())
        (True, 700)
        """
        return _capacity(self, target_ms)


@functools.lru_cache(maxsize=512)
def _capacity(replica: Replica, target_ms: float | None) -> float:
    if target_ms is not None and replica.keeps(target_ms):
        return _highest(lambda rate: replica.latency(rate)[1] / target_ms, replica.limit_rps)
    return replica.rate_at(USUAL_LOAD)


def _highest(taken: Callable[[float], float], limit: float) -> float:
    """Return the highest rate at which what is taken stays within 1; it ascends with the rate.

    The bracket is found from below, since chains near the limit are long; the rest is regula falsi on logarithms, with
    halving where that is slow.
    """
    low, low_at = 0.0, taken(0.0)
    high, high_at = _NEAR * limit, math.inf
    for share in _SHARES:
        at = taken(share * limit)
        if at > 1:
            high, high_at = share * limit, at
            break
        low, low_at = share * limit, at
    for step in range(_STEPS):
        middle = (low + high) / 2
        if step % 3 and 0 < low_at < high_at < math.inf:
            part = -math.log(low_at) / (math.log(high_at) - math.log(low_at))
            middle = low + min(0.98, max(0.02, part)) * (high - low)
        at = taken(middle)
        if at > 1:
            high, high_at = middle, at
        else:
            low, low_at = middle, at
        if high - low < _CLOSE * high:
            break
    return max(low, _RARE * limit)


@dataclass(frozen=True, slots=True)
class _State:
    """The chain in the long run: chance of each number left behind by a batch; per s, the rate."""

    rate: float
    left: Floats
    sizes: Ints
    times: Floats
    """Mean seconds of the batch that follows each number left."""

    @property
    def busy(self) -> float:
        working = float(self.left @ self.times)
        idle = self.left[0] / self.rate if self.rate else math.inf
        return working / (working + idle)


@functools.lru_cache(maxsize=512)
def _state(replica: Replica, rps: float) -> _State | None:
    """Solve the chain; ``None`` where the line only grows, or grows too long to tell from that."""
    if rps < 0 or not math.isfinite(rps):
        raise ValueError(f"a rate must be a finite number of 0 or more; got {rps!r}")
    if rps == 0:
        alone = replica.batch_ms(np.array([1])) + replica.overhead.wake_ms(0.0)
        return _State(0.0, np.ones(1), np.ones(1, np.int64), alone / 1000)
    if rps >= replica.limit_rps:
        return None
    length = 32
    while length <= _LARGEST:
        sizes = np.clip(np.arange(length), 1, replica.most)
        times = replica.batch_ms(sizes) / 1000
        times[0] += replica.overhead.wake_ms(rps) / 1000
        left = _stationary(_moves(replica, rps, sizes, times))
        if left[-max(1, length // 8) :].sum() < _TAIL:
            return _State(rps, left, sizes, times)
        length *= 2
    return None


def _moves(replica: Replica, rps: float, sizes: Ints, times: Floats) -> Floats:
    """Return the chances from each number left to the next; what goes beyond the last is put there."""
    length, most = len(sizes), replica.most
    taken = min(length, most + 1)
    model = replica.model_ms(sizes[:taken]) / 1000
    meanwhile = _arrivals(rps * model, replica.spread / sizes[:taken], length)
    uneven = np.where(np.arange(taken) > 0, replica.overhead.spread / sizes[:taken], 0.0)
    around = _arrivals(rps * (times[:taken] - model), uneven, length)
    moves = np.zeros((length, length))
    for left, (one, other) in enumerate(zip(meanwhile, around, strict=True)):
        moves[left] = np.convolve(one, other)[:length]
    for left in range(taken, length):
        moves[left, left - most :] = moves[most, : length - left + most]
    moves[:, -1] += 1 - moves.sum(axis=1)
    return moves


def _arrivals(means: Floats, spreads: Floats, length: int) -> Floats:
    """Return the chances of 0, 1 ... arrivals during times of gamma distributions, a row each.

    Where a time does not spread, the number is Poisson; else it is negative binomial.
    """
    n = np.arange(1, length, dtype=np.float64)
    logs = np.empty((len(means), length))
    means = np.maximum(means, np.finfo(np.float64).tiny)
    mean, shape = means[:, None], 1 / np.maximum(spreads[:, None], _LEAST_SPREAD)
    odds = mean / (mean + shape)
    logs[:, :1] = shape * np.log1p(-odds)
    logs[:, 1:] = np.log(odds) + np.log((n + shape - 1) / n)
    return np.asarray(np.exp(np.cumsum(logs, axis=1)), np.float64)


def _stationary(moves: Floats) -> Floats:
    """Return the chances of the states in the long run, by taking states away one by one [3]_.

    It subtracts nothing, so it loses no digits, and it needs no linear solver, whose threads would fight for cores
    with whatever else runs.
    """
    left = moves.copy()
    for state in range(len(left) - 1, 0, -1):
        left[:state, state] /= max(float(left[state, :state].sum()), np.finfo(np.float64).tiny)
        left[:state, :state] += left[:state, state, None] * left[state, :state]
    chances = np.ones(len(left))
    for state in range(1, len(left)):
        chances[state] = float((chances[:state] * left[:state, state]).sum())
    return np.asarray(chances / chances.sum(), np.float64)


def _sojourns(replica: Replica, state: _State) -> Floats:
    """Return the latency of requests, ms, of shape (DRAWS,): drawn evenly over what the chain does."""
    rng = np.random.default_rng(0)
    even = (np.arange(DRAWS) + 0.5) / DRAWS
    starts = state.left[0] if state.rate else 1.0
    weights = np.concatenate(([starts], state.rate * state.left * state.times))
    drawn = np.searchsorted(np.cumsum(weights) / weights.sum(), even, side="right")
    drawn = np.minimum(drawn, len(weights) - 1)
    place = drawn - 1
    first = place < 0
    left = np.maximum(place, 0)
    size = state.sizes[left]
    woken = replica.overhead.wake_ms(state.rate)
    now = _drawn(replica, size, left == 0, rng, woken=woken, biased=True)
    gone = rng.uniform(size=DRAWS)
    rest = (1 - gone) * now
    ahead = np.maximum(left - replica.most, 0) + rng.poisson(state.rate * gone * now)
    after = rng.poisson(state.rate * rest)
    whole = ahead // replica.most
    held = _full(replica, whole, rng)
    later = ahead + 1 + after - whole * replica.most + rng.poisson(state.rate * held)
    own = np.where(first, 1, np.clip(later, 1, replica.most))
    served = _drawn(replica, own, first, rng, woken=woken, biased=False)
    waited = np.where(first, 0.0, rest + held)
    return 1000 * (waited + served) + replica.overhead.delays(rng.permutation(even))


def _full(replica: Replica, batches: Ints, rng: np.random.Generator) -> Floats:
    """Return the times of some full batches one after another, s."""
    full, rows = np.array([replica.most]), np.maximum(1, batches * replica.most)
    model = float(replica.model_ms(full)[0])
    around = float(replica.batch_ms(full)[0]) - model
    alone = np.zeros(len(batches), np.bool_)
    parts = ((model, replica.spread), (around, replica.overhead.spread))
    each = sum(ms * _gamma(spread / rows, alone, rng) for ms, spread in parts)
    return np.asarray(batches * each / 1000, np.float64)


def _drawn(
    replica: Replica, sizes: Ints, asleep: NDArray[np.bool_], rng: np.random.Generator, *, woken: float, biased: bool
) -> Floats:
    """Return times of batches, s, some of which wake the server; ``biased`` by length, as one who comes finds them."""
    model = replica.model_ms(sizes)
    around = replica.overhead.turn_ms + replica.overhead.request_ms * sizes + woken * asleep
    counts = rng.uniform(size=len(sizes)) < model / (model + around) if biased else np.zeros(len(sizes), np.bool_)
    model = model * _gamma(replica.spread / sizes, counts, rng)
    around = around * _gamma(np.where(asleep, 0.0, replica.overhead.spread / sizes), ~counts & biased, rng)
    return np.asarray((model + around) / 1000, np.float64)


def _gamma(spreads: Floats, longer: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """Return draws of mean 1 with some squared coefficients of variation.

    The density of a sum of two such times, biased by its length, is a mixture: one of the two is ``longer``, its shape
    higher by one, each with the chance of its share of the mean.
    """
    if spreads.max() < _LEAST_SPREAD:
        return np.ones(len(spreads))
    drawn = rng.gamma(1 / np.maximum(spreads, _LEAST_SPREAD) + longer) * spreads
    return np.asarray(np.where(spreads < _LEAST_SPREAD, 1.0, drawn), np.float64)
