"""Queues of one line and several servers: M/M/c exactly, M/D/c and G/G/c by two-moment approximations.

Rates are in 1/s and times in s. These are the textbook models that our own server is held against; it answers all that
waits at once and has a line a replica, which :mod:`steelyard.money.batching` models.

References
----------
.. [1] Erlang. Solution of some problems in the theory of probabilities of significance in automatic telephone
   exchanges. Elektroteknikeren, 1917.
.. [2] Cosmetatos. Approximate explicit formulae for the average queueing time in the processes (M/D/r) and (D/M/r).
   INFOR 13, 1975.
.. [3] Kimura. Refining Cosmetatos' approximation for the mean waiting time in the M/D/s queue. Journal of the
   Operational Research Society 42, 1991, doi:10.1057/jors.1991.119 (too long a wait in light traffic).
.. [4] Allen. Probability, statistics, and queueing theory. 2nd edition, 1990 (the formula of Allen and Cunneen).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wait:
    """How long one waits before being served: the chance of it, and the mean over all, s.

    Of those who wait the time is taken as exponential, which is exact for M/M/c.
    """

    chance: float
    mean: float

    def quantile(self, share: float) -> float:
        """Return the wait that a share of all does not exceed, s; infinite where the line only grows.

        Examples
        --------
        >>> Wait(0.5, 1.0).quantile(0.4), round(Wait(0.5, 1.0).quantile(0.95), 2)
        (0.0, 4.61)
        """
        if math.isinf(self.mean):
            return math.inf
        if self.chance <= 1 - share:
            return 0.0
        return self.mean / self.chance * math.log(self.chance / (1 - share))


NEVER = Wait(1.0, math.inf)
"""The wait where more comes than can be served."""


def erlang_c(servers: int, load: float) -> float:
    """Return the chance that all servers are busy when one comes; ``load`` is rate times service time, in servers.

    By Erlang's B recursion, which stays exact for thousands of servers.

    Examples
    --------
    >>> round(erlang_c(2, 1.0), 4), erlang_c(3, 3.0)
    (0.3333, 1.0)
    """
    _check(servers, load)
    if load >= servers:
        return 1.0
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return servers * blocked / (servers - load * (1 - blocked))


def mmc(rate: float, service: float, servers: int) -> Wait:
    """Return the wait where service times are exponential [1]_.

    Examples
    --------
    >>> round(mmc(0.5, 1.0, 1).mean, 6), round(mmc(1.0, 1.0, 2).mean, 4)
    (1.0, 0.3333)
    """
    load = rate * service
    chance = erlang_c(servers, load)
    return NEVER if load >= servers else Wait(chance, chance * service / (servers - load))


def mdc(rate: float, service: float, servers: int) -> Wait:
    """Return the wait where every service takes the same time, by Cosmetatos [2]_.

    Against M/M/c the ratio of mean waits is held to at most c / (c + 1), its limit in light traffic [3]_.

    Examples
    --------
    >>> round(mdc(0.5, 1.0, 1).mean, 6)
    0.5
    """
    found = mmc(rate, service, servers)
    if math.isinf(found.mean) or not found.mean:
        return found
    busy = rate * service / servers
    more = (1 - busy) * (servers - 1) * (math.sqrt(4 + 5 * servers) - 2) / (16 * busy * servers)
    return Wait(found.chance, found.mean * min((1 + more) / 2, servers / (servers + 1)))


def ggc(rate: float, service: float, servers: int, *, arrivals: float = 1.0, services: float = 1.0) -> Wait:
    """Return the wait for any two squared coefficients of variation, by Allen and Cunneen [4]_.

    Examples
    --------
    >>> ggc(0.5, 1.0, 1).mean == mmc(0.5, 1.0, 1).mean, ggc(0.5, 1.0, 1, services=0.0).mean
    (True, 0.5)
    """
    if arrivals < 0 or services < 0:
        raise ValueError(f"a squared coefficient of variation is 0 or more; got {arrivals:g} and {services:g}")
    found = mmc(rate, service, servers)
    return Wait(found.chance, found.mean * (arrivals + services) / 2)


def _check(servers: int, load: float) -> None:
    if servers < 1 or not (math.isfinite(load) and load >= 0):
        raise ValueError(
            f"a queue needs a server and a load of 0 or more; got {servers} servers and a load of {load:g}"
        )
