"""Classification, what was decided: accuracy, balanced accuracy, precision, recall and the F1 family.

Averages over classes follow scikit-learn: they are plain means over the classes that occur among the true or
the decided ones, and a class that was never decided on has precision 0. In a binary task precision, recall and
F1 speak of the positive class alone, and are undefined (NaN) where their denominator is zero.

References
----------
.. [1] Sokolova, Lapalme. A systematic analysis of performance measures for classification tasks. 2009.
.. [2] Brodersen et al. The balanced accuracy and its posterior distribution. ICPR 2010.
"""

from __future__ import annotations

import numpy as np

from steelyard.contracts import Floats, Problem
from steelyard.tasks.metric import Rows
from steelyard.tasks.sums import by_class, mean, mean_over, ratio


def _binary(rows: Rows) -> bool:
    return rows.task.problem is Problem.BINARY


def _tallies(rows: Rows, counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Weight decided on rightly, truly there, and decided on; each by class, shape (B, classes)."""
    classes = rows.task.width
    hit = by_class(rows.truth, counts, classes, rows.truth == rows.decided)
    return hit, by_class(rows.truth, counts, classes), by_class(rows.decided, counts, classes)


def _averaged(rows: Rows, counts: Floats, *, over: str) -> Floats:
    """Weight decided on rightly over a denominator, of the positive class or averaged over classes."""
    hit, true, called = _tallies(rows, counts)
    bottom = {"called": called, "true": true, "both": (true + called) / 2}[over]
    if _binary(rows):
        return ratio(hit[:, rows.positive], bottom[:, rows.positive])
    return mean_over(true + called > 0, np.nan_to_num(ratio(hit, bottom)))


def accuracy(rows: Rows, counts: Floats) -> Floats:
    """Return the share of right decisions."""
    return mean(rows.truth == rows.decided, counts)


def balanced_accuracy(rows: Rows, counts: Floats) -> Floats:
    """Return the mean, over the classes that truly occur, of the share that was found."""
    hit, true, _ = _tallies(rows, counts)
    return mean_over(true > 0, ratio(hit, true))


def precision(rows: Rows, counts: Floats) -> Floats:
    """Return the share of the rows called positive that are; several classes: the mean over them."""
    return _averaged(rows, counts, over="called")


def recall(rows: Rows, counts: Floats) -> Floats:
    """Return the share of the positive rows that are called so; several classes: the mean over them."""
    return _averaged(rows, counts, over="true")


def f1(rows: Rows, counts: Floats) -> Floats:
    """Return the harmonic mean of precision and recall of the positive class."""
    return _averaged(rows, counts, over="both")


def f1_macro(rows: Rows, counts: Floats) -> Floats:
    """Return the plain mean of every class's F1."""
    hit, true, called = _tallies(rows, counts)
    return mean_over(true + called > 0, ratio(2 * hit, true + called))


def f1_micro(rows: Rows, counts: Floats) -> Floats:
    """Return the F1 of all decisions pooled; where each row has one class, this is the accuracy."""
    return accuracy(rows, counts)
