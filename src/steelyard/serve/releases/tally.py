"""What is counted of a version while it is watched: requests, failures, and how long they took."""

from __future__ import annotations

import math

_SHORTEST, _LONGEST = 1e-5, 100.0
_STEP = math.log(1.05)
_BUCKETS = math.ceil(math.log(_LONGEST / _SHORTEST) / _STEP) + 1


class Tally:
    """Requests of one version. Times are kept in buckets, each 5% longer than the one before, from 10 us to 100 s.

    Examples
    --------
    >>> tally = Tally()
    >>> for seconds in (0.010, 0.011, 0.012):
    ...     tally.answered(seconds)
    >>> tally.failed()
    >>> tally.requests, tally.failures
    (4, 1)
    >>> low, high = tally.between(2)
    >>> low <= 0.011 <= high
    True
    """

    __slots__ = ("_times", "failures", "late", "requests")

    def __init__(self) -> None:
        self._times = [0] * _BUCKETS
        self.requests = 0
        self.failures = 0
        """Requests that the model failed on: what a client sees as an error of the server."""
        self.late = 0
        """Requests that found the queue full or waited for too long; they count as infinitely slow."""

    def answered(self, seconds: float) -> None:
        """Count a request that was answered, and how long it waited and was computed."""
        self.requests += 1
        place = int(math.log(seconds / _SHORTEST) / _STEP) if seconds > _SHORTEST else 0
        self._times[min(place, _BUCKETS - 1)] += 1

    def failed(self) -> None:
        """Count a request that the model failed on."""
        self.requests += 1
        self.failures += 1

    def was_late(self) -> None:
        """Count a request that was turned away for want of time or room."""
        self.requests += 1
        self.late += 1

    @property
    def timed(self) -> int:
        """Requests whose time counts: those answered, and the late ones."""
        return self.requests - self.failures

    def between(self, rank: int) -> tuple[float, float]:
        """Return the bounds of the bucket of the time of a rank from 1, seconds; infinite for the late ones."""
        below = 0
        for place, count in enumerate(self._times):
            below += count
            if below >= rank:
                low = _SHORTEST * math.exp(place * _STEP) if place else 0.0
                return low, _SHORTEST * math.exp((place + 1) * _STEP)
        return (math.inf, math.inf)


class Agreement:
    """How often two versions decided alike on the same rows.

    Examples
    --------
    >>> agreement = Agreement()
    >>> agreement.compared(rows=4, disagreed=1, difference=0.2)
    >>> agreement.rows, agreement.share, agreement.mean_difference
    (4, 0.25, 0.05)
    """

    __slots__ = ("difference", "disagreed", "dropped", "failed", "requests", "rows", "shares")

    def __init__(self) -> None:
        self.requests = self.rows = self.disagreed = 0
        self.shares = 0.0
        """Sum over requests of the share of their rows that disagreed."""
        self.difference = 0.0
        """Sum over rows of the mean absolute difference of their scores."""
        self.dropped = 0
        """Rows that were not compared for want of room."""
        self.failed = 0
        """Rows that the other version did not answer."""

    def compared(self, *, rows: int, disagreed: int, difference: float) -> None:
        """Count the rows of a request."""
        self.requests += 1
        self.rows += rows
        self.disagreed += disagreed
        self.shares += disagreed / rows
        self.difference += difference

    @property
    def share(self) -> float:
        """Of the rows that disagreed; 0 before any was compared."""
        return self.disagreed / self.rows if self.rows else 0.0

    @property
    def mean_difference(self) -> float:
        """Mean absolute difference of the scores; 0 before any row was compared."""
        return self.difference / self.rows if self.rows else 0.0
