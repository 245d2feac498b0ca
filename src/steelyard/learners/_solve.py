"""Weights of linear models, with classes that a training split happens to lack."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.contracts import Floats, Meter, Problem, Split, Work
from steelyard.errors import need
from steelyard.learners._descent import Entropy, Found, Loss, Odds, Squares, descend
from steelyard.learners._prelude import Matrix

ABSENT = -13.8
"""Log-odds of a class that no training row has: one in a million."""
MOST_STEPS = 1000
"""Steps of the solver, after which the weights are taken as they are, with a note."""
DENSE = 40_000_000
"""Most cells of a matrix that is worth unpacking: dense products are faster, but take 4 bytes a cell."""


Classifier = Any
"""A linear classifier of scikit-learn, which has no types."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A linear map: ``slopes`` (width, sums) and ``offsets`` (sums,); ``late``: the deadline cut the solver short."""

    slopes: Floats
    offsets: Floats
    late: bool = False


def solve(
    features: Matrix, train: Split, *, inverse_penalty: float, work: Work, meter: Meter, balanced: bool = False
) -> Weights:
    """Fit log-odds of classes by logistic regression, or values by ridge regression.

    Parameters
    ----------
    features
        Shape (n, width).
    train
        Target and row weights.
    inverse_penalty
        scikit-learn's C: how much a unit of loss weighs against half the squared norm of the weights. The loss of a
        value is half its squared distance in standard deviations of the target.
    balanced
        Whether every class weighs as much as any other, however many rows it has.

    Returns
    -------
    Weights
        One sum for two classes (log-odds of the second) and for values, else one a class.
    """
    features = features.astype(np.float32, copy=False)
    if not isinstance(features, np.ndarray) and features.shape[0] * features.shape[1] <= DENSE:
        features = features.toarray()
    weights = np.ones(len(train)) if train.weights is None else train.weights
    penalty = 1 / (inverse_penalty * float(weights.sum()))

    def fit(loss: Loss) -> Found:
        limits = need("threadpoolctl", for_="training linear models").threadpool_limits
        with limits(work.threads):
            found = descend(features, loss, penalty=penalty, most_steps=MOST_STEPS, meter=meter)
        if found.late:
            meter.note(f"the deadline stopped the solver after {found.steps} steps")
        elif found.steps >= MOST_STEPS:
            meter.note(f"the solver was stopped after {MOST_STEPS} steps; a lower C converges sooner")
        return found

    if work.task.problem is Problem.REGRESSION:
        centre, spread = scale_of(train)
        found = fit(Squares((train.target - centre) / spread, weights / weights.sum()))
        return Weights(found.slopes * spread, found.offsets * spread + centre, found.late)
    present, codes = np.unique(train.target, return_inverse=True)
    if len(present) == 1:
        return _spread(np.zeros((features.shape[1], 1)), np.zeros(1), present, work.task.width)
    if balanced:
        weights = weights / np.bincount(codes, weights)[codes]
    shares = weights / weights.sum()
    two = len(present) == 2
    found = fit(Odds(codes.astype(np.float64), shares) if two else Entropy(codes, shares, len(present)))
    return _spread(found.slopes, found.offsets, present, work.task.width, late=found.late)


def scale_of(train: Split) -> tuple[float, float]:
    """Return weighted mean and standard deviation of the target; a spread of 0 is returned as 1."""
    centre = float(np.average(train.target, weights=train.weights))
    spread = float(np.sqrt(np.average((train.target - centre) ** 2, weights=train.weights)))
    return centre, spread if spread > 0 else 1.0


def fit_classes(model: Classifier, features: Matrix, train: Split, classes: int, meter: Meter) -> Weights:
    """Fit a linear classifier of scikit-learn on the classes that are there; the others get :data:`ABSENT`.

    A fit that its limit of steps ends is kept, with a note to the meter.
    """
    present = np.unique(train.target)
    if len(present) == 1:
        return _spread(np.zeros((features.shape[1], 1)), np.zeros(1), present, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", need("sklearn.exceptions", for_="the solver").ConvergenceWarning)
        model.fit(features, train.target, sample_weight=train.weights)
    if np.max(model.n_iter_) >= model.max_iter:
        meter.note(f"the solver was stopped after {model.max_iter} steps; a lower C converges sooner")
    return _spread(model.coef_.T, model.intercept_, present, classes)


def _spread(slopes: Floats, offsets: Floats, present: Any, classes: int, *, late: bool = False) -> Weights:
    """Return the sums of all classes, given those of the classes that are present: :data:`ABSENT` for the others.

    One sum for two present classes is the log-odds of the second: it is split evenly between them. For a task of
    two classes the result is one sum again, the difference of theirs.
    """
    if len(present) == 2:
        slopes, offsets = np.hstack([-slopes / 2, slopes / 2]), np.concatenate([-offsets / 2, offsets / 2])
    wide, far = np.zeros((len(slopes), classes)), np.full(classes, ABSENT)
    wide[:, present], far[present] = slopes, offsets
    if classes != 2:
        return Weights(wide, far, late)
    return Weights(wide[:, 1:] - wide[:, :1], far[1:] - far[:1], late)
