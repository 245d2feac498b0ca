"""Linear models for text: squared-hinge margins, turned into probabilities on rows that were held out.

Fan et al., "LIBLINEAR: A Library for Large Linear Classification" (2008). On sparse tf-idf features margins decide
better than a multinomial logistic regression, in a tenth of its time where there are many classes. They are no
log-odds yet: Guo et al., "On Calibration of Modern Neural Networks" (2017), fit one scale, their temperature, which
leaves every decision as it was.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.svm import LinearSVC

from steelyard.contracts import Floats, Meter, Split, Work
from steelyard.learners._head import probabilities
from steelyard.learners._prelude import Matrix
from steelyard.learners._solve import Weights, fit_classes

FOLDS = 3
"""Parts of the training rows, each of which is held out in turn ..."""
ENOUGH = 2000
"""... until so many rows were: one number is fitted on them."""
MOST_STEPS = 2000
"""Passes of the solver, after which the weights are taken as they are, with a note."""


def margins(features: Matrix, train: Split, *, inverse_penalty: float, work: Work, meter: Meter) -> Weights:
    """Fit one margin a class (two classes: one margin) and scale it to log-odds.

    Parameters are those of :func:`steelyard.learners._solve.solve`.
    """
    features = features.astype(np.float64)
    weights = _fit(features, train, inverse_penalty, work, meter)
    if len(np.unique(train.target)) == 1:
        return weights
    fold = np.random.default_rng(work.seed).permutation(len(train)) % FOLDS
    sums = np.zeros((len(train), len(weights.offsets)))
    held = np.zeros(len(train), bool)
    for number in range(FOLDS):
        out = fold == number
        part = _fit(features[~out], train.take(~out), inverse_penalty, work, meter)
        sums[out] = features[out] @ part.slopes + part.offsets
        held |= out
        if held.sum() >= ENOUGH:
            break
    scale = _scale(sums[held], train.take(held))
    return Weights(weights.slopes * scale, weights.offsets * scale)


def _fit(features: Matrix, train: Split, inverse_penalty: float, work: Work, meter: Meter) -> Weights:
    model = LinearSVC(C=inverse_penalty, max_iter=MOST_STEPS, random_state=work.seed)
    return fit_classes(model, features, train, work.task.width, meter)


def _scale(sums: Floats, split: Split) -> float:
    """Return the factor, from 0.01 to 100, at which the log loss of the sums is least."""
    rows = np.arange(len(split))

    def loss(power: float) -> float:
        right: NDArray[np.float64] = probabilities(sums * math.exp(power))[rows, split.target]
        return float(-np.average(np.log(np.maximum(right, 1e-300)), weights=split.weights))

    found = minimize_scalar(loss, bounds=(math.log(0.01), math.log(100)), method="bounded")
    return math.exp(found.x)
