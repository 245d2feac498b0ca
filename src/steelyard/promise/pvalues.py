"""Whether a mean loss is below a limit, at a confidence that holds for any number of units and any distribution.

Learn then Test asks for a p-value of "the loss is at the limit or above" [1]_. There are two here, both valid for
finitely many independent units:

- *by counting*, where a unit loses, gains, or does neither: the exact chance of so small a sum, if units lose by the
  limit more often than they gain. How many units do either is not known; the rate is taken from its upper bound down,
  and the doubt about that bound is added [2]_.
- *by betting*, for any loss from -1 to 1 and weighted units: the wealth of a gambler who stakes a share of it on
  every unit's loss being below the limit. If it is not, the wealth does not grow on average, so it passes
  ``1 / doubt`` with a chance of ``doubt`` at most (Markov's inequality) [3]_.

References
----------
.. [1] Angelopoulos, Bates, Candes, Jordan, Lei. Learn then Test: Calibrating Predictive Algorithms to Achieve Risk
   Control. 2021, arXiv 2110.01052.
.. [2] Berger, Boos. P values maximized over a confidence set for the nuisance parameter. JASA 1994,
   doi:10.1080/01621459.1994.10476836.
.. [3] Waudby-Smith, Ramdas. Estimating means of bounded random variables by betting. JRSS B 2024, arXiv 2010.09686.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from steelyard.contracts import Floats
from steelyard.errors import need

DOUBT = 0.05
"""Chance that a promise does not hold: one less the confidence."""
OF_THE_RATE = 0.005
"""The part of it that is spent on how often units lose or gain at all."""
RATES = 3
"""Rates tried up to the bound. The chance grows with the rate, so that the last one decides."""
WHOLE = 0.99
"""A limit is never taken as more of the largest loss than this, so that a bet always has a price."""


@dataclass(frozen=True, slots=True)
class Paired:
    """What was lost on some independent units, as shares of the largest loss: -1 to 1, negative where gained.

    ``losses`` has shape (draws, units): where there are several ways to draw units from the rows, each is one row of
    it. ``weights`` has the same shape, 0 to 1, or is ``None``. ``signs`` says that losses are all or nothing; what is
    in between (a tie) is then counted as a loss, and never as a gain.
    """

    losses: Floats
    weights: Floats | None = None
    signs: bool = False


def doubt(paired: Paired, limit: float) -> float:
    """Return a p-value of "the mean loss is ``limit`` or more".

    Examples
    --------
    >>> nothing_lost, much_lost = Paired(np.zeros((1, 600))), Paired(np.ones((1, 600)))
    >>> doubt(nothing_lost, 0.01) < DOUBT, doubt(much_lost, 0.01)
    (True, 1.0)
    """
    limit = min(limit, WHOLE)
    if paired.signs and paired.weights is None:
        return _by_counting(np.ceil(paired.losses[0]), limit)
    return math.exp(min(0.0, -_log_wealth(paired, limit)))


@lru_cache(maxsize=256)
def units_needed(limit: float, *, counted: bool, most: float = DOUBT) -> int:
    """Return the least number of units on which a mean loss below ``limit`` can be shown: where nothing is lost.

    ``most`` is the chance that the promise does not hold.

    Examples
    --------
    >>> units_needed(0.01, counted=True), units_needed(0.05, counted=True), units_needed(0.01, counted=False)
    (408, 80, 482)
    """
    low, high = 0, math.ceil((5 - math.log(most)) / min(limit, WHOLE))
    while high - low > 1:
        middle = (low + high) // 2
        shown = doubt(Paired(np.zeros((1, middle)), signs=counted), limit) <= most
        low, high = (low, middle) if shown else (middle, high)
    return high


def _special() -> Any:
    return need("scipy.special", for_="a promise about quality")


# --------------------------------------------------------------------------------------------------- by counting


def _by_counting(losses: Floats, limit: float) -> float:
    return _of_counts(float(losses.sum()), int(np.count_nonzero(losses)), len(losses), limit)


@lru_cache(maxsize=4096)
def _of_counts(net: float, moved: int, units: int, limit: float) -> float:
    """Return the p-value for units of which ``moved`` lost or gained, ``net`` more of them lost."""
    if net >= limit * units:
        return 1.0
    bound = 1.0 if moved == units else float(_special().betaincinv(moved + 1, units - moved, 1 - OF_THE_RATE))
    rates = np.geomspace(limit, max(bound, limit), RATES)
    return min(1.0, max(chance_of_net(net, units, limit, min(float(rate), 1.0)) for rate in rates) + OF_THE_RATE)


def chance_of_net(net: float, units: int, limit: float, rate: float) -> float:
    """Return the chance of a net loss of ``net`` units or fewer.

    A unit loses with probability ``(rate + limit) / 2`` and gains with ``(rate - limit) / 2``.

    Examples
    --------
    >>> round(chance_of_net(0, 1, 0.2, 0.6), 12), round(chance_of_net(-1, 2, 0.2, 0.6), 12)
    (0.6, 0.2)
    """
    special, width = _special(), 8 * math.sqrt(units * rate * (1 - rate)) + 8
    moved = np.arange(max(0, math.floor(units * rate - width)), min(units, math.ceil(units * rate + width)) + 1)
    log_ways = special.gammaln(units + 1) - special.gammaln(moved + 1) - special.gammaln(units - moved + 1)
    each = np.exp(log_ways + special.xlogy(moved, rate) + special.xlog1py(units - moved, -rate))
    most_lost = np.floor((net + moved) / 2)
    losing = min((rate + limit) / (2 * rate), 1.0)
    below = np.where(most_lost < 0, 0.0, special.bdtr(np.clip(most_lost, 0, moved), moved, losing))
    return float((each * below).sum())


# ---------------------------------------------------------------------------------------------------- by betting


def _log_wealth(paired: Paired, limit: float) -> float:
    """Return the logarithm of the mean wealth over stakes and draws: means of wealths are wealths again.

    Stakes go from all, by halves, to less than any losses call for: the best one is about the limit over the losses'
    mean square, which is 1 at most.
    """
    below = limit - paired.losses
    if paired.weights is not None:
        below = below * paired.weights
    stakes = 2.0 ** -np.arange(math.floor(-math.log2(limit)) + 1.0)
    logs = np.array([np.log1p(stake * below).sum(axis=1) for stake in stakes])
    highest = float(logs.max())
    return highest + math.log(float(np.exp(logs - highest).mean()))
