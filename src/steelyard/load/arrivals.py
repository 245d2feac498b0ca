"""When requests are to be sent: Poisson arrivals, planned before the first one is.

An open loop sends each request at its planned time whatever became of the earlier ones, as people who do not know of
each other do. A closed loop, which asks again only after an answer, slows down with the server and so hides what a
slow server does to its users.

References
----------
.. [1] Schroeder, Wierman, Harchol-Balter. Open versus closed: a cautionary tale. NSDI 2006.
.. [2] Tene. How not to measure latency. Strange Loop 2015 (there: "coordinated omission"); HdrHistogram.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steelyard.contracts import Floats
from steelyard.errors import RequestInvalid

MOST_REQUESTS = 20_000_000
"""Requests that one test may plan: their times, five numbers each, stay in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One test: how fast to ask, for how long, and how much of the beginning is left out of the figures.

    ``rate`` is in requests per second; ``warm_up`` and ``seconds`` follow each other.
    """

    rate: float
    seconds: float
    warm_up: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (("rate", self.rate, 0.0), ("seconds", self.seconds, 0.0)):
            if not (math.isfinite(value) and value > least):
                raise RequestInvalid(f"{name} must be a finite number above 0; got {value!r}")
        if not (math.isfinite(self.warm_up) and self.warm_up >= 0):
            raise RequestInvalid(f"the warm-up must be a finite number of seconds from 0 on; got {self.warm_up!r}")
        if self.rate * self.length > MOST_REQUESTS:
            raise RequestInvalid(
                f"{self.rate:g} requests a second for {self.length:g} s are over {MOST_REQUESTS:,} requests; "
                "test for a shorter time"
            )

    @property
    def length(self) -> float:
        """Seconds from the first planned time to the last, warm-up included."""
        return self.warm_up + self.seconds

    def arrivals(self) -> Floats:
        """Return the planned times in seconds from the start, ascending, float64 of shape (n,); n is Poisson.

        Given their number, the arrivals of a Poisson process are uniform on the time it is watched.

        Examples
        --------
        >>> plan = Plan(rate=100, seconds=10, warm_up=0, seed=1)
        >>> len(plan.arrivals()), bool((plan.arrivals() == plan.arrivals()).all())
        (1001, True)
        """
        rng = np.random.default_rng(self.seed)
        number = int(rng.poisson(self.rate * self.length))
        return np.sort(rng.uniform(0.0, self.length, number))
