"""Classification, the probabilities themselves: log loss, Brier score and expected calibration error.

References
----------
.. [1] Good. Rational decisions. Journal of the Royal Statistical Society B, 1952.
.. [2] Brier. Verification of forecasts expressed in terms of probability. Monthly Weather Review, 1950.
.. [3] Guo et al. On calibration of modern neural networks. ICML 2017.
"""

from __future__ import annotations

import numpy as np

from steelyard.contracts import Floats, Ints, Problem
from steelyard.tasks.metric import Rows
from steelyard.tasks.sums import by_class, mean, ratio

BINS = 15
"""Equal bins of confidence for the calibration error, as many as in its paper."""


def log_loss(rows: Rows, counts: Floats) -> Floats:
    """Return the mean of minus the logarithm of the probability given to what happened, in nats."""
    given = np.take_along_axis(rows.probabilities, rows.truth[:, None], axis=1)[:, 0]
    tiny = np.finfo(np.float64).eps
    return mean(-np.log(np.clip(given, tiny, 1.0 - tiny)), counts)


def _happened(rows: Rows) -> Floats:
    return np.equal.outer(rows.truth, np.arange(rows.task.width)).astype(np.float64)


def _half(rows: Rows) -> float:
    return 0.5 if rows.task.problem is Problem.BINARY else 1.0


def brier(rows: Rows, counts: Floats) -> Floats:
    """Return the mean squared distance of the probabilities from what happened.

    As in scikit-learn: of the one probability in a binary task (0 to 1), summed over classes otherwise (0 to 2).
    """
    return mean(np.square(rows.probabilities - _happened(rows)).sum(axis=1), counts) * _half(rows)


def _calibration(rows: Rows) -> tuple[Ints, Floats]:
    """Return each row's bin of confidence, and by how much being right exceeds the confidence."""
    scores = rows.probabilities
    best = scores.argmax(axis=1)
    confidence = np.take_along_axis(scores, best[:, None], axis=1)[:, 0]
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return bins, (best == rows.truth) - confidence


def ece(rows: Rows, counts: Floats) -> Floats:
    """Return the mean distance between confidence and accuracy over 15 equal bins of confidence.

    Confidence is the highest probability of a row. scikit-learn has no such figure.
    """
    bins, excess = _calibration(rows)
    gaps = np.abs(by_class(bins, counts, BINS, excess)).sum(axis=1)
    return ratio(gaps, counts.sum(axis=1))
