"""The weights of a linear model by L-BFGS, in coordinates in which its loss is nearly round.

L-BFGS (Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989) needs hundreds of
steps where features go together, as neighbouring pieces of a spline do. Here it walks in coordinates ``L' w``, with
``L L'`` the Hessian at weights of zero: one matrix product, after which some twenty steps do. Wide matrices are
scaled by the diagonal of that Hessian alone.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from steelyard.contracts import Floats, Ints, Meter
from steelyard.errors import need
from steelyard.learners._prelude import Matrix

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

TOLERANCE = 1e-4
"""Largest gradient, in round coordinates, at which the walk ends: the mean loss is then within some 1e-6 of its least.

Within 1e-4 where a weak penalty lets classes come apart without an error."""
WIDE = 2500
"""Features from which on the whole Hessian would take longer than the steps that it saves."""
HESSIAN_PRODUCTS = 5e10
"""Most products that the Hessian is made of: it is read off as many rows, for it only has to be about right."""
RESERVE = 0.1
"""Share of the time spent so far that is kept for the export."""
FAINT = 1e-6
"""Share of the mean of the Hessian's diagonal that is added to it."""
HISTORY = 20
"""Steps that L-BFGS remembers."""


class Loss(Protocol):
    """The loss of a row as a function of its sums."""

    @property
    def curvature(self) -> float:
        """Second derivative where the features say nothing, a mean over the sums."""
        ...

    @property
    def start(self) -> Floats:
        """Offsets, shape (sums,), of the model that looks at nothing."""
        ...

    def __call__(self, sums: Floats) -> tuple[float, Floats]:
        """Return the weighted mean loss of sums (n, k), and its gradient by the sums."""
        ...


@dataclass(frozen=True, slots=True)
class Squares:
    """Half the squared distance to ``target``; ``shares`` are row weights that sum to one. Both have shape (n,)."""

    target: Floats
    shares: Floats

    @property
    def curvature(self) -> float:
        """Return one."""
        return 1.0

    @property
    def start(self) -> Floats:
        """Return the mean."""
        return np.array([self.shares @ self.target])

    def __call__(self, sums: Floats) -> tuple[float, Floats]:
        """Return loss and gradient."""
        off = sums[:, 0] - self.target
        pull = self.shares * off
        return float(pull @ off) / 2, pull[:, None]


@dataclass(frozen=True, slots=True)
class Odds:
    """The log loss of two classes; ``second`` is 1 where a row is of the second one, else 0."""

    second: Floats
    shares: Floats

    @property
    def curvature(self) -> float:
        """Return the variance of the class."""
        mean = float(self.shares @ self.second)
        return mean * (1 - mean)

    @property
    def start(self) -> Floats:
        """Return the log-odds of the second class."""
        mean = float(self.shares @ self.second)
        return np.array([np.log(mean / (1 - mean))])

    def __call__(self, sums: Floats) -> tuple[float, Floats]:
        """Return loss and gradient."""
        odds = sums[:, 0]
        small = np.exp(-np.abs(odds))
        losses = np.maximum(odds, 0) - self.second * odds + np.log1p(small)
        chance = np.where(odds >= 0, 1, small) / (1 + small)
        return float(self.shares @ losses), (self.shares * (chance - self.second))[:, None]


@dataclass(frozen=True, slots=True)
class Entropy:
    """The log loss of ``classes`` classes; ``codes`` are 0 to ``classes`` - 1, each of which occurs."""

    codes: Ints
    shares: Floats
    classes: int

    @property
    def curvature(self) -> float:
        """Return the mean variance of a class."""
        means = np.bincount(self.codes, self.shares, self.classes)
        return float((means * (1 - means)).mean())

    @property
    def start(self) -> Floats:
        """Return the logarithms of the shares of the classes."""
        return np.log(np.bincount(self.codes, self.shares, self.classes))

    def __call__(self, sums: Floats) -> tuple[float, Floats]:
        """Return loss and gradient."""
        rows = np.arange(len(self.codes))
        gradient = np.asarray(_scipy("special").softmax(sums, axis=1))
        losses = -np.log(np.maximum(gradient[rows, self.codes], 1e-300))
        gradient[rows, self.codes] -= 1
        return float(self.shares @ losses), gradient * self.shares[:, None]


@dataclass(frozen=True, slots=True)
class Found:
    """Slopes (width, sums) and offsets (sums,), after so many steps; ``late``: the deadline ended the walk."""

    slopes: Floats
    offsets: Floats
    steps: int
    late: bool


def descend(features: Matrix, loss: Loss, *, penalty: float, most_steps: int, meter: Meter) -> Found:
    """Minimise the mean loss plus ``penalty`` times half the squared slopes.

    Parameters
    ----------
    features
        float32 of shape (n, width), an array or CSR.
    penalty
        Positive; offsets are not penalised.
    most_steps
        Steps after which the weights are taken as they are.
    """
    began, width = time.monotonic(), features.shape[1]
    space = _coordinates(features, loss.curvature, penalty)
    start = np.zeros((width + 1, len(loss.start)))
    start[-1] = loss.start

    def value(point: Floats) -> tuple[float, Floats]:
        weights = space.weights(point.reshape(start.shape))
        slopes, offsets = weights[:-1], weights[-1]
        sums = (features @ slopes.astype(np.float32)).astype(np.float64) + offsets
        mean, pulls = loss(sums)
        slope_pulls = features.T @ pulls.astype(np.float32) + penalty * slopes
        gradient = space.gradient(np.vstack([slope_pulls, pulls.sum(axis=0)]))
        return mean + penalty / 2 * float(np.vdot(slopes, slopes)), gradient.ravel()

    steps, late = 0, False

    def watch(intermediate_result: OptimizeResult) -> None:
        nonlocal steps, late
        del intermediate_result
        steps += 1
        late = meter.remaining() <= RESERVE * (time.monotonic() - began)
        if late:
            raise StopIteration

    options = {"maxiter": most_steps, "gtol": TOLERANCE, "ftol": 0.0, "maxcor": HISTORY}
    first = space.point(start).ravel()
    found = _scipy("optimize").minimize(value, first, jac=True, method="L-BFGS-B", callback=watch, options=options)
    weights = space.weights(found.x.reshape(start.shape))
    return Found(weights[:-1], weights[-1], steps, late)


@dataclass(frozen=True, slots=True)
class _Whole:
    """Coordinates by a Cholesky factor of the Hessian: ``point = factor' weights``."""

    factor: Floats

    def point(self, weights: Floats) -> Floats:
        return self.factor.T @ weights

    def weights(self, point: Floats) -> Floats:
        solved = _scipy("linalg").solve_triangular(self.factor, point, lower=True, trans="T", check_finite=False)
        return np.asarray(solved)

    def gradient(self, by_weights: Floats) -> Floats:
        solved = _scipy("linalg").solve_triangular(self.factor, by_weights, lower=True, check_finite=False)
        return np.asarray(solved)


@dataclass(frozen=True, slots=True)
class _Diagonal:
    """Coordinates by the square roots of the Hessian's diagonal, shape (width + 1, 1)."""

    roots: Floats

    def point(self, weights: Floats) -> Floats:
        return weights * self.roots

    def weights(self, point: Floats) -> Floats:
        return point / self.roots

    def gradient(self, by_weights: Floats) -> Floats:
        return by_weights / self.roots


def _coordinates(features: Matrix, curvature: float, penalty: float) -> _Whole | _Diagonal:
    if not isinstance(features, np.ndarray) or features.shape[1] > WIDE:
        squares = features.multiply(features) if not isinstance(features, np.ndarray) else features * features
        means = np.append(np.asarray(squares.mean(axis=0)).ravel(), 1.0).astype(np.float64)
        return _Diagonal(np.sqrt(curvature * means + penalty).reshape(-1, 1))
    width = features.shape[1]
    some = features[:: math.ceil(len(features) * width**2 / HESSIAN_PRODUCTS)]
    hessian = np.empty((width + 1, width + 1))
    hessian[:width, :width] = some.T @ some / len(some)
    hessian[:width, width] = hessian[width, :width] = some.mean(axis=0, dtype=np.float64)
    hessian[width, width] = 1.0
    hessian *= curvature
    # The products are float32's: what they cannot tell from zero must not make the matrix indefinite.
    hessian[np.diag_indices(width + 1)] += penalty + FAINT * np.trace(hessian) / (width + 1)
    return _Whole(_scipy("linalg").cholesky(hessian, lower=True))


def _scipy(part: str) -> Any:
    """Return a part of SciPy, imported by what trains: the descriptions of learners do without."""
    return need(f"scipy.{part}", for_="a linear model")
