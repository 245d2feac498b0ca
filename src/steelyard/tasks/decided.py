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

import math
from typing import Any

import numpy as np

from steelyard.contracts import Floats, Problem
from steelyard.errors import need
from steelyard.tasks.metric import Rows
from steelyard.tasks.sums import by_class, mean, mean_over, ratio


def _sklearn() -> Any:
    return need("sklearn.metrics", for_="measuring what was decided")


def _binary(rows: Rows) -> bool:
    return rows.task.problem is Problem.BINARY


def _about(rows: Rows) -> tuple[Any, Any, dict[str, Any]]:
    """Return truth, decision and options as scikit-learn takes them: of the positive class, or a mean over all."""
    if not _binary(rows):
        return rows.truth, rows.decided, {"average": "macro", "zero_division": 0.0}
    truth, decided = rows.truth == rows.positive, rows.decided == rows.positive
    return truth.astype(np.int64), decided.astype(np.int64), {"zero_division": math.nan}


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


def accuracy(rows: Rows, weights: Floats | None) -> float:
    """Return the share of right decisions."""
    return float(_sklearn().accuracy_score(rows.truth, rows.decided, sample_weight=weights))


def accuracy_draws(rows: Rows, counts: Floats) -> Floats:
    """Resample :func:`accuracy`."""
    return mean(rows.truth == rows.decided, counts)


def balanced_accuracy(rows: Rows, weights: Floats | None) -> float:
    """Return the mean, over the classes that truly occur, of the share that was found.

    This is scikit-learn's ``balanced_accuracy_score``, asked for as macro recall over the classes that occur: the
    same number without the warning about decided classes that do not.
    """
    given = {"labels": np.unique(rows.truth), "average": "macro", "zero_division": 0.0, "sample_weight": weights}
    return float(_sklearn().recall_score(rows.truth, rows.decided, **given))


def balanced_accuracy_draws(rows: Rows, counts: Floats) -> Floats:
    """Resample :func:`balanced_accuracy`."""
    hit, true, _ = _tallies(rows, counts)
    return mean_over(true > 0, ratio(hit, true))


def precision(rows: Rows, weights: Floats | None) -> float:
    """Return the share of the rows called positive that are; several classes: the mean over them."""
    truth, decided, options = _about(rows)
    return float(_sklearn().precision_score(truth, decided, sample_weight=weights, **options))


def precision_draws(rows: Rows, counts: Floats) -> Floats:
    """Resample :func:`precision`."""
    return _averaged(rows, counts, over="called")


def recall(rows: Rows, weights: Floats | None) -> float:
    """Return the share of the positive rows that are called so; several classes: the mean over them."""
    truth, decided, options = _about(rows)
    return float(_sklearn().recall_score(truth, decided, sample_weight=weights, **options))


def recall_draws(rows: Rows, counts: Floats) -> Floats:
    """Resample :func:`recall`."""
    return _averaged(rows, counts, over="true")


def f1(rows: Rows, weights: Floats | None) -> float:
    """Return the harmonic mean of precision and recall of the positive class."""
    truth, decided, options = _about(rows)
    return float(_sklearn().f1_score(truth, decided, sample_weight=weights, **options))


def f1_draws(rows: Rows, counts: Floats) -> Floats:
    """Resample :func:`f1`."""
    return _averaged(rows, counts, over="both")


def f1_macro(rows: Rows, weights: Floats | None) -> float:
    """Return the plain mean of every class's F1."""
    given = {"average": "macro", "zero_division": 0.0, "sample_weight": weights}
    return float(_sklearn().f1_score(rows.truth, rows.decided, **given))


def f1_macro_draws(rows: Rows, counts: Floats) -> Floats:
    """Resample :func:`f1_macro`."""
    hit, true, called = _tallies(rows, counts)
    return mean_over(true + called > 0, ratio(2 * hit, true + called))


def f1_micro(rows: Rows, weights: Floats | None) -> float:
    """Return the F1 of all decisions pooled; where each row has one class, this is the accuracy."""
    given = {"average": "micro", "zero_division": 0.0, "sample_weight": weights}
    return float(_sklearn().f1_score(rows.truth, rows.decided, **given))


def f1_micro_draws(rows: Rows, counts: Floats) -> Floats:
    """Resample :func:`f1_micro`."""
    return accuracy_draws(rows, counts)
