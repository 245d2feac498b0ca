"""Learning curves: what more labels are worth, from scores on subsets, with an interval that was held to the test.

Every shape of :mod:`steelyard.advise.families` is fitted to the points (one factor, in closed form) and weighed by how
well the smaller subsets foretell the larger ones under it, and by how usual its next doubling is
(:data:`PRIOR`). What they say together is a mixture; its width is corrected by how far off the same procedure was when
it foretold the larger subsets of this very curve from the smaller ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from statistics import NormalDist

import numpy as np

from steelyard.advise.families import FAMILIES, shapes
from steelyard.contracts import Floats, Ints
from steelyard.errors import Exit, SteelyardError

LEAST_SIZES = 3
"""Different numbers of rows that a curve needs."""


class TooFewSizes(SteelyardError):
    """Too few subsets of different size to say how the score goes on."""

    exit_code = Exit.DATA_UNFIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is usual among curves, before the points of this one are looked at.

    ``step`` and ``spread`` are the mean and the standard deviation of the logarithm by which the error changes from one
    doubling of the rows, ``lasting`` and ``fading`` those of the next doubling's logarithm as a multiple of that one.
    ``noise`` is the usual spread of one training's score on all the rows, as a share of the error, worth ``worth``
    observations; it grows with the root of fewer rows. ``bend`` is by how many times that a shape is off for each
    factor e of rows where it is fitted, ``drift`` by how much, as a share of the error, where it is foretold. ``width``
    is by how much intervals are usually to be widened, worth ``tests`` held-out subsets.
    """

    step: float = -0.09
    spread: float = 0.08
    lasting: float = 0.85
    fading: float = 0.5
    noise: float = 0.07
    worth: float = 5.0
    bend: float = 0.43
    drift: float = 0.03
    width: float = 0.95
    tests: float = 6.0


PRIOR = Prior()
"""Of labels: set by hand on 40 curves of eight data sets that no bar is judged on (``GROWN`` of
``benchmarks/money/sets.py``), 2026-11-22."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """A mixture of normal beliefs about a score: centres, standard deviations, weights that add up to 1."""

    centres: Floats
    spreads: Floats
    weights: Floats

    @property
    def value(self) -> float:
        """The mean."""
        return float(self.weights @ self.centres)

    @property
    def spread(self) -> float:
        """The standard deviation."""
        return math.sqrt(float(self.weights @ (self.spreads**2 + (self.centres - self.value) ** 2)))

    def quantile(self, chance: float) -> float:
        """Return the score that lies above the truth with a chance from 0 to 1, both left out."""
        reach = NormalDist().inv_cdf(min(1 - 1e-9, max(chance, 1 - chance))) * self.spreads.max() + 1e-12
        low, high = float(self.centres.min() - reach), float(self.centres.max() + reach)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self._below(middle) < chance else (low, middle)
        return (low + high) / 2

    def _below(self, score: float) -> float:
        z = (score - self.centres) / np.maximum(self.spreads, 1e-12)
        return float(self.weights @ np.interp(z, *_normal()))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the central interval that holds the truth with some confidence."""
        tail = (1 - confidence) / 2
        return self.quantile(tail), self.quantile(1 - tail)


@cache
def _normal() -> tuple[Floats, Floats]:
    """Return the distribution function of the standard normal as a table fine enough for five digits."""
    z = np.linspace(-8.0, 8.0, 4001)
    return z, np.array([0.5 + 0.5 * math.erf(one / math.sqrt(2)) for one in z.tolist()])


@dataclass(frozen=True, slots=True)
class _Fits:
    """Every shape's fit: weights that add up to 1, errors at x = 1 with their variance, and the noise's variance."""

    weights: Floats
    errors: Floats
    variances: Floats
    noises: Floats


@dataclass(frozen=True)
class Curve:
    """A learning curve through scores on subsets.

    Parameters
    ----------
    rows : int64 or float64 ndarray of shape (m,)
        How many rows each training saw.
    scores : float64 ndarray of shape (m,)
        What it scored, higher better.
    top : float
        The score of a perfect model, or of one that is as good as can be imagined.
    prior : Prior
        What is usual.

    Raises
    ------
    TooFewSizes
        If there are fewer than three different numbers of rows among the finite scores.

    Examples
    --------
    >>> curve = Curve.of([125, 250, 500, 1000], [0.6, 0.7, 0.77, 0.82], top=1.0)
    >>> 0.83 < curve.at(2000).value < 0.88
    True
    """

    rows: Floats
    scores: Floats
    top: float
    prior: Prior = PRIOR

    @classmethod
    def of(cls, rows: Sequence[float], scores: Sequence[float], *, top: float, prior: Prior = PRIOR) -> Curve:
        """Return the curve through the finite ones among some scores."""
        n, y = np.asarray(rows, np.float64), np.asarray(scores, np.float64)
        fine = np.isfinite(y) & (n > 0)
        if len(np.unique(n[fine])) < LEAST_SIZES:
            raise TooFewSizes(
                f"a learning curve needs scores at {LEAST_SIZES} different sizes, and there are "
                f"{len(np.unique(n[fine]))}; let `--minutes` allow for more trainings"
            )
        return cls(n[fine], y[fine], max(top, float(y[fine].max()) + 1e-9), prior)

    @property
    def most(self) -> float:
        """The largest number of rows that was measured."""
        return float(self.rows.max())

    def at(self, rows: float, *, noise: bool = True) -> Foretold:
        """Return what is to be expected of some number of rows.

        ``noise`` adds that of the one training to come; without it the interval is of what trainings score on average.
        """
        return self._foretold(self._fits, rows / self.most, self.width, noise=noise)

    def gain(self, start: float, end: float) -> Foretold:
        """Return by how much the score is expected to rise from one number of rows to another, the noise left out."""
        fits = self._fits
        kept = self._kept(fits)
        weights = fits.weights[kept] / fits.weights[kept].sum()
        first, last = _heights(np.array([start, end]) / self.most)[kept].T
        centres = fits.errors[kept] * (first - last)
        drift = self.prior.drift * math.log(end / start) * fits.errors[kept]
        spreads = np.hypot(np.sqrt(fits.variances[kept]) * (first - last), drift)
        middle = float(weights @ centres)
        return Foretold(middle + self.width * (centres - middle), self.width * spreads, weights)

    @cached_property
    def families(self) -> dict[str, float]:
        """The weight of each family."""
        found = dict.fromkeys(FAMILIES, 0.0)
        for shape, weight in zip(shapes(), self._fits.weights.tolist(), strict=True):
            found[shape.family] += weight
        return found

    @cached_property
    def width(self) -> float:
        """By how much intervals are widened: how far off larger subsets were when foretold, and usually."""
        found = [z * z for z in self._misses()]
        prior = self.prior
        return math.sqrt((prior.tests * prior.width**2 + sum(found)) / (prior.tests + len(found)))

    def _misses(self) -> list[float]:
        """Return how many standard deviations off each larger size was, foretold from the smaller ones."""
        sizes, found = np.unique(self.rows), []
        for k in range(LEAST_SIZES - 1, len(sizes)):
            before, here = self.rows < sizes[k], self.rows == sizes[k]
            fits = _weigh(self.rows[before] / sizes[k - 1], self.top - self.scores[before], self.prior)
            told = self._foretold(fits, sizes[k] / sizes[k - 1], 1.0, noise=True)
            found.append((float(self.scores[here].mean()) - told.value) / told.spread)
        return found

    @cached_property
    def _fits(self) -> _Fits:
        return _weigh(self.rows / self.most, self.top - self.scores, self.prior)

    def _kept(self, fits: _Fits) -> Ints:
        return np.flatnonzero(fits.weights > 1e-5).astype(np.int64)

    def _foretold(self, fits: _Fits, x: float, width: float, *, noise: bool) -> Foretold:
        kept = self._kept(fits)
        shape = _heights(np.array([x]))[kept, 0]
        centres = self.top - fits.errors[kept] * shape
        drift = (self.prior.drift * math.log(x) * fits.errors[kept]) ** 2
        variance = fits.variances[kept] * shape**2 + drift
        if noise:
            variance = variance + fits.noises[kept] / x
        weights = fits.weights[kept] / fits.weights[kept].sum()
        middle = float(weights @ centres)
        return Foretold(middle + width * (centres - middle), width * np.sqrt(variance), weights)


def _heights(x: Floats) -> Floats:
    """Return what each shape says at some multiples, shape (shapes, m)."""
    return _cached(tuple(np.round(x, 12).tolist()))


@lru_cache(maxsize=64)
def _cached(x: tuple[float, ...]) -> Floats:
    return np.stack([shape.at(np.array(x)) for shape in shapes()])


@lru_cache(maxsize=8)
def _usual(prior: Prior) -> Floats:
    """Return the log weight of each shape before any point: by its next two doublings."""
    steps, both = np.log(np.maximum(_heights(np.array([2.0, 4.0])), 1e-3)).T
    lasting = np.where(steps < -1e-3, (both - steps) / np.minimum(steps, -1e-3), prior.lasting)
    families = np.array([list(FAMILIES).index(shape.family) for shape in shapes()])
    bins = np.round(steps / 0.02)
    weights = np.exp(-(((steps - prior.step) / prior.spread) ** 2) / 2)
    usual = np.exp(-(((lasting - prior.lasting) / prior.fading) ** 2) / 2)
    for family in range(len(FAMILIES)):
        mine = families == family
        _, where, counts = np.unique(bins[mine], return_inverse=True, return_counts=True)
        share = weights[mine] * usual[mine] / counts[where]
        weights[mine] = share
    logs: Floats = np.log(weights / weights.sum() + 1e-300)
    return logs


def _evidence(x: Floats, errors: Floats, prior: Prior) -> tuple[Floats, Floats, Floats, Floats]:
    """Return each shape's log evidence, its error at x = 1, the variance of that, and the noise's variance.

    A training's noise has a variance of ``1/x + (bend log x)^2``, times a factor that is learned from the points; of
    that factor the prior is an inverse chi-square around the square of ``noise``. What all shapes share is left out.
    """
    usual = prior.noise * max(float(errors[x == x.max()].mean()), 1e-12)
    weight = 1.0 / (1.0 / x + (prior.bend * np.log(x)) ** 2)
    heights = _heights(x)
    total = (heights**2 * weight).sum(axis=1)
    best = (heights * weight * errors).sum(axis=1) / total
    misfit = ((errors - best[:, None] * heights) ** 2 * weight).sum(axis=1)
    freedom = prior.worth + len(x) - 1
    spent = prior.worth * usual**2 + misfit
    evidence = -0.5 * np.log(total) - 0.5 * freedom * np.log(spent)
    return evidence, best, spent / freedom / total, spent / freedom


def _weigh(x: Floats, errors: Floats, prior: Prior) -> _Fits:
    """Fit every shape and weigh it by the prior and by how well smaller subsets foretell larger ones under it."""
    evidence, best, variance, noise = _evidence(x, errors, prior)
    first = x <= np.unique(x)[: LEAST_SIZES - 1].max()
    if not first.all():
        evidence = evidence - _evidence(x[first] / x[first].max(), errors[first], prior)[0]
    log = _usual(prior) + evidence
    weights = np.exp(log - log.max())
    return _Fits(weights / weights.sum(), best, variance, noise)
