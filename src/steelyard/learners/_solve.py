"""Weights of linear models: scikit-learn's solvers, with classes that a training split happens to lack."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from steelyard.contracts import Floats, Meter, Problem, Split, Work
from steelyard.errors import need
from steelyard.learners._prelude import Matrix

ABSENT = -13.8
"""Log-odds of a class that no training row has: one in a million."""
TOLERANCE = 1e-5
"""Gradient of the mean loss at which the solver stops."""
MOST_STEPS = 1000
"""Steps of the solver, after which the weights are taken as they are, with a note."""
DENSE = 20_000_000
"""Most cells of a matrix that is worth unpacking: dense products are faster, but take 8 bytes a cell."""


Classifier = Any
"""A linear classifier of scikit-learn, which has no types."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A linear map: ``slopes`` (width, sums) and ``offsets`` (sums,)."""

    slopes: Floats
    offsets: Floats


def solve(features: Matrix, train: Split, *, inverse_penalty: float, work: Work, meter: Meter) -> Weights:
    """Fit log-odds of classes by logistic regression, or values by ridge regression.

    Parameters
    ----------
    features
        Shape (n, width).
    train
        Target and row weights.
    inverse_penalty
        scikit-learn's C: how much a unit of loss weighs against half the squared norm of the weights.

    Returns
    -------
    Weights
        One sum for two classes (log-odds of the second) and for values, else one a class.
    """
    features = features.astype(np.float64)
    if not isinstance(features, np.ndarray) and features.shape[0] * features.shape[1] <= DENSE:
        features = features.toarray()
    limits = need("threadpoolctl", for_="training linear models").threadpool_limits
    with limits(work.threads):
        if work.task.problem is Problem.REGRESSION:
            return _ridge(features, train, inverse_penalty)
        return _logistic(features, train, inverse_penalty, work, meter)


def _ridge(features: Matrix, train: Split, inverse_penalty: float) -> Weights:
    centre, spread = scale_of(train)
    model = Ridge(alpha=1 / inverse_penalty)
    model.fit(features, (train.target - centre) / spread, sample_weight=train.weights)
    return Weights(model.coef_.reshape(-1, 1) * spread, np.array([model.intercept_ * spread + centre]))


def scale_of(train: Split) -> tuple[float, float]:
    """Return weighted mean and standard deviation of the target; a spread of 0 is returned as 1."""
    centre = float(np.average(train.target, weights=train.weights))
    spread = float(np.sqrt(np.average((train.target - centre) ** 2, weights=train.weights)))
    return centre, spread if spread > 0 else 1.0


def _logistic(features: Matrix, train: Split, inverse_penalty: float, work: Work, meter: Meter) -> Weights:
    model = LogisticRegression(C=inverse_penalty, tol=TOLERANCE, max_iter=MOST_STEPS)
    return fit_classes(model, features, train, work.task.width, meter)


def fit_classes(model: Classifier, features: Matrix, train: Split, classes: int, meter: Meter) -> Weights:
    """Fit a linear classifier of scikit-learn on the classes that are there; the others get :data:`ABSENT`.

    A fit that its limit of steps ends is kept, with a note to the meter.
    """
    present = np.unique(train.target)
    slopes, offsets = np.zeros((features.shape[1], classes)), np.full(classes, ABSENT)
    if len(present) == 1:
        offsets[present] = 0.0
        return _folded(slopes, offsets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, train.target, sample_weight=train.weights)
    if np.max(model.n_iter_) >= model.max_iter:
        meter.note(f"the solver was stopped after {model.max_iter} steps; a lower C converges sooner")
    if len(present) == 2:  # one sum, for the second of the two: split it evenly
        slopes[:, present] = np.vstack([-model.coef_ / 2, model.coef_ / 2]).T
        offsets[present] = np.array([-0.5, 0.5]) * model.intercept_
    else:
        slopes[:, present], offsets[present] = model.coef_.T, model.intercept_
    return _folded(slopes, offsets)


def _folded(slopes: Floats, offsets: Floats) -> Weights:
    """Return one sum for two classes: the difference of theirs."""
    if len(offsets) != 2:
        return Weights(slopes, offsets)
    return Weights(slopes[:, 1:] - slopes[:, :1], offsets[1:] - offsets[:1])
