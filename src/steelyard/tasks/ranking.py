"""Classification, the order of the scores: ROC AUC and PR AUC.

References
----------
.. [1] Hanley, McNeil. The meaning and use of the area under a ROC curve. Radiology, 1982.
.. [2] Davis, Goadrich. The relationship between precision-recall and ROC curves. ICML 2006.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Problem
from steelyard.errors import need
from steelyard.tasks.metric import Rows
from steelyard.tasks.sums import ratio

Mask = NDArray[np.bool_]


def _positive(rows: Rows) -> tuple[Mask, Floats]:
    """Return which rows are positive, and their score of being so."""
    return rows.truth == rows.positive, np.asarray(rows.answer.scores[:, rows.positive], dtype=np.float64)


def roc_auc(rows: Rows, counts: Floats) -> Floats:
    """Return the chance that a positive row scores above a negative one; several classes: mean of one against rest.

    Undefined where a class of the task does not occur.
    """
    if rows.task.problem is Problem.BINARY:
        return _area(*_positive(rows), counts)
    means: Floats = _areas(rows, counts).mean(axis=1)
    return means


def _area(positive: Mask, score: Floats, counts: Floats) -> Floats:
    """Weighted Mann-Whitney statistic: for each positive row, the negative weight below it and half of that level."""
    against = np.flatnonzero(~positive)
    against = against[np.argsort(score[against])]
    for_, ladder = np.flatnonzero(positive), score[against]
    below = np.zeros((len(counts), len(against) + 1))
    np.cumsum(counts.take(against, axis=1), axis=1, out=below[:, 1:])
    chosen = counts.take(for_, axis=1)
    beaten = below.take(np.searchsorted(ladder, score[for_], side="left"), axis=1)
    beaten += below.take(np.searchsorted(ladder, score[for_], side="right"), axis=1)
    return ratio(np.einsum("bi,bi->b", beaten, chosen) / 2, chosen.sum(axis=1) * below[:, -1])


def _areas(rows: Rows, counts: Floats) -> Floats:
    """One against rest for each class, shape (B, classes).

    The scores of a class's own few rows cut the others into bins; a sparse matrix adds up the weight of each
    bin, which costs one pass over the counts and no sorting of them.
    """
    sparse = need("scipy.sparse", for_="ROC AUC of several classes")
    by_row, scores = np.ascontiguousarray(counts.T), rows.probabilities
    total, areas = counts.sum(axis=1), np.empty((len(counts), rows.task.width))
    for code in range(rows.task.width):
        own, other = np.flatnonzero(rows.truth == code), np.flatnonzero(rows.truth != code)
        levels, level = np.unique(scores[own, code], return_inverse=True)
        # Bin 2i + 1 ties with level i; bin 2i lies between the levels i - 1 and i.
        bins = sum(np.searchsorted(levels, scores[other, code], side=side) for side in ("left", "right"))
        shape = (2 * len(levels) + 1, len(rows.truth))
        weight = sparse.csr_matrix((np.ones(len(other)), (bins, other)), shape=shape) @ by_row
        beaten = np.cumsum(weight, axis=0) - weight / 2
        inside = by_row[own].sum(axis=0)
        won = np.einsum("ib,ib->b", beaten[2 * level + 1], by_row[own])
        areas[:, code] = ratio(won, inside * (total - inside))
    return areas


def pr_auc(rows: Rows, counts: Floats) -> Floats:
    """Return the average precision: precision at each positive row's score, weighted by what it adds to recall.

    Undefined where no row is positive.
    """
    positive, score = _positive(rows)
    everyone, own = np.argsort(-score), np.flatnonzero(positive)
    own = own[np.argsort(-score[own])]
    above = np.cumsum(counts.take(everyone, axis=1), axis=1)
    found = counts.take(own, axis=1)
    found_above = np.cumsum(found, axis=1)
    # Rows with equal scores are called positive together: each stands at the last row of its level.
    last = np.searchsorted(-score[everyone], -score[own], side="right") - 1
    last_own = np.searchsorted(-score[own], -score[own], side="right") - 1
    precision = np.nan_to_num(ratio(found_above.take(last_own, axis=1), above.take(last, axis=1)))
    return ratio(np.einsum("bi,bi->b", precision, found), found.sum(axis=1))
