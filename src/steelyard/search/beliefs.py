"""What the looks so far say of the looks to come: experience, updated by this run's validation figures.

Log errors of looks are jointly normal (:mod:`steelyard.search.experience`). A validation figure is its look's log
error plus noise, and flatters a look that was chosen among many by the same rows; both are taken off. What looking at
one more way is worth is the knowledge gradient: how much lower the error of the pick is expected to be, once it was
seen (Frazier, Powell, Dayanik 2009, doi:10.1287/ijoc.1080.0314).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from steelyard.contracts import Floats
from steelyard.search.experience import Experience

ANY_LEVEL = 100.0
"""Variance of the shift that all looks at one table share: how hard a table is, nobody knows before the first look."""
_AT, _SHARE = np.polynomial.hermite_e.hermegauss(15)


@dataclass(frozen=True, slots=True)
class Seen:
    """What validation said of a look: its log error, and the standard deviation of that on its own rows.

    Two models that answer the same rows err together, so what separates them is surer than what each one has.
    """

    error: float
    noise: float


@dataclass(frozen=True)
class Beliefs:
    """What is known of the looks of an experience after some were ``seen``."""

    experience: Experience
    seen: Mapping[str, Seen]

    @cached_property
    def _posterior(self) -> tuple[Floats, Floats]:
        """Return mean (k,) and covariance (k, k) of the log errors."""
        known = self.experience
        covariance = known.covariance + ANY_LEVEL
        if not self.seen:
            return known.mean, covariance
        at = known.at(list(self.seen))
        noise = np.array([one.noise for one in self.seen.values()])
        error = np.array([one.error for one in self.seen.values()])
        expected = known.mean[at] + known.optimism[at] * noise
        among = covariance[np.ix_(at, at)] + np.diag(self._spoilt(at, noise) ** 2)
        gain = np.linalg.solve(among, covariance[at]).T
        return known.mean + gain @ (error - expected), covariance - gain @ covariance[at]

    def _spoilt(self, at: list[int], noise: Floats) -> Floats:
        """Return the standard deviation of what separates a validation figure from its look."""
        return np.asarray(np.maximum(self.experience.noise[at] * noise, 1e-4))

    def error(self, look: str) -> float:
        """Return the expected log error of a look."""
        return float(self._posterior[0][self.experience.looks.index(look)])

    def difference(self, first: str, second: str) -> tuple[float, float]:
        """Return by how much the log error of the first is above the second's, and the standard deviation of that."""
        mean, covariance = self._posterior
        i, j = self.experience.at([first, second])
        variance = covariance[i, i] + covariance[j, j] - 2 * covariance[i, j]
        return float(mean[i] - mean[j]), math.sqrt(max(float(variance), 0.0))

    def worth(self, look: str, noise: float) -> float:
        """Return by how much one more look is expected to lower the log error of the look that is then picked.

        ``noise`` as in :class:`Seen`. Infinite before the first look: anything is better than nothing.
        """
        if not self.seen:
            return math.inf
        mean, covariance = self._posterior
        (new,) = self.experience.at([look])
        at = [*self.experience.at(list(self.seen)), new]
        spoilt = float(self._spoilt([new], np.array([noise]))[0])
        move = covariance[at, new] / math.sqrt(max(float(covariance[new, new]) + spoilt**2, 1e-12))
        then = (mean[at][:, None] + move[:, None] * _AT[None, :]).min(axis=0)
        return max(0.0, float(mean[at[:-1]].min() - then @ _SHARE / _SHARE.sum()))
