"""Linear models for text: squared-hinge margins, turned into probabilities on rows that were held out.

Fan et al., "LIBLINEAR: A Library for Large Linear Classification" (2008). On sparse tf-idf features margins decide
better than a multinomial logistic regression, in a tenth of its time where there are many classes. They are no
log-odds yet: Guo et al., "On Calibration of Modern Neural Networks" (2017), fit one scale, their temperature, which
leaves every decision as it was.
"""

from __future__ import annotations

import math

import numpy as np

from steelyard.contracts import Floats, Meter, Split, Work
from steelyard.errors import need
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
    made = need("sklearn.svm", for_="tfidf-linear").LinearSVC
    model = made(C=inverse_penalty, max_iter=MOST_STEPS, random_state=work.seed)
    return fit_classes(model, features, train, work.task.width, meter)


def _scale(sums: Floats, split: Split) -> float:
    """Return the factor, from 0.01 to 100, at which the log loss of the sums is least.

    As in Platt, "Probabilistic outputs for support vector machines" (1999), the target is not quite 1 but what n
    rows without an error can show, so that rows told apart without one are not answered with certainty.
    """
    rows, doubt = np.arange(len(split)), 1 / (len(split) + 2)

    def loss(power: float) -> float:
        logs = np.log(np.maximum(probabilities(sums * math.exp(power)), 1e-300))
        losses = (doubt - 1) * logs[rows, split.target] - doubt * logs.mean(axis=1)
        return float(np.average(losses, weights=split.weights))

    optimize = need("scipy.optimize", for_="tfidf-linear")
    found = optimize.minimize_scalar(loss, bounds=(math.log(0.01), math.log(100)), method="bounded")
    return math.exp(found.x)
