"""What the target is like for each value of a category, without a row's own target reaching it.

Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes in classification and prediction
problems" (2001): the mean of a value is pulled towards the mean of all, the more the fewer rows it has. How much is
estimated from the data, as for the effects of a one-way layout (Searle, Casella and McCulloch, "Variance components",
1992, chapter 3): where values differ by no more than chance would have it, all get the mean of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints, Split
from steelyard.learners._categories import Values
from steelyard.learners._graph import table
from steelyard.learners._lookup import Lookup, ids_of

FOLDS = 5
"""Parts of the training rows; each is encoded by the others."""


@dataclass(frozen=True, slots=True)
class Targets(Lookup):
    """Means of the target by value, in standard deviations from the mean of all, pulled towards it.

    A row's own target must not reach it through the number of its value, or training learns to trust what it will
    not find later. So training rows see numbers that were learnt without them (:meth:`train_matrix`); every other
    row those of all training rows, which are in the graph. ``classes`` is 0 for a regression; two classes have one
    number, more have one each.
    """

    classes: int = 0
    seed: int = 0

    @classmethod
    def fit(cls, train: Split, names: tuple[str, ...], values: Values, *, classes: int, seed: int) -> Targets:
        """Learn the numbers of all training rows."""
        ids = ids_of(train.columns, names, values)
        numbers = _numbers(ids, _outcomes(train.target, classes), _weights(train), values)
        return cls("encoded", names, values, numbers, classes, seed)

    def train_matrix(self, train: Split) -> NDArray[np.float32]:
        """Return the features of the training rows, shape (n, width): each row's learnt on the folds it is not in.

        Copies of a row (equal ``train.rows``) are in one fold.
        """
        ids = ids_of(train.columns, self.columns, self.values)
        outcomes, weights = _outcomes(train.target, self.classes), _weights(train)
        fold = _folds(train.rows, self.seed)
        matrix = np.zeros((len(train), len(self.columns) * outcomes.shape[1]), np.float32)
        for number in range(FOLDS):
            out = fold == number
            if out.any() and not out.all():
                numbers = _numbers(ids[~out], outcomes[~out], weights[~out], self.values)
                matrix[out] = table(numbers)[ids[out]].reshape(-1, matrix.shape[1])
        return matrix


def _folds(rows: Ints, seed: int) -> Ints:
    names, places = np.unique(rows, return_inverse=True)
    return (np.random.default_rng([seed, 11]).permutation(len(names)) % FOLDS)[places]


def _outcomes(target: NDArray[np.float64] | Ints, classes: int) -> Floats:
    """Return the columns whose means are taken: the target, or one a class (for two classes, the second)."""
    if not classes:
        return np.asarray(target, np.float64).reshape(-1, 1)
    ones = np.eye(classes)[target]
    return ones[:, 1:] if classes == 2 else ones


def _weights(train: Split) -> Floats:
    """Return row weights of mean one, so that they count rows."""
    return np.ones(len(train)) if train.weights is None else train.weights / train.weights.mean()


def _numbers(ids: Ints, outcomes: Floats, weights: Floats, values: Values) -> Floats:
    """Return one row a value and one column an outcome."""
    centre = np.average(outcomes, axis=0, weights=weights)
    spread = np.sqrt(np.average((outcomes - centre) ** 2, axis=0, weights=weights))
    off = (outcomes - centre) / np.where(spread > 0, spread, 1.0)
    found, first = [], 0
    for column, known in zip(ids.T, values, strict=True):
        have = column < first + len(known)
        places = (column[have] - first).astype(np.intp)
        found.append(np.column_stack([effects(places, outcome[have], weights[have], len(known)) for outcome in off.T]))
        first += len(known)
    return np.vstack(found)


def effects(places: NDArray[np.intp], outcome: Floats, weights: Floats, count: int) -> Floats:
    """Return by how much each of ``count`` values moves the outcome, whose mean is 0; 0 for one without rows.

    The best linear predictor of a random effect: the mean of a value times ``n v / (n v + w)``, with n its rows, v
    the variance between values and w that within, both from the mean squares of the layout.

    Examples
    --------
    >>> effects(np.array([0, 0, 1, 1]), np.array([-1.0, -0.8, 1.0, 0.8]), np.ones(4), 3).round(2).tolist()
    [-0.89, 0.89, 0.0]
    >>> effects(np.array([0, 0, 1, 1]), np.array([-1.0, 1.0, 1.0, -1.0]), np.ones(4), 2).tolist()
    [0.0, 0.0]
    """
    rows = np.bincount(places, weights, count)
    sums = np.bincount(places, weights * outcome, count)
    means = np.divide(sums, rows, out=np.zeros(count), where=rows > 0)
    total, groups = rows.sum(), int((rows > 0).sum())
    if groups < 2 or total <= groups:
        return np.zeros(count)
    within = float(weights @ (outcome - means[places]) ** 2) / (total - groups)
    usual = sums.sum() / total
    between = float(rows @ (means - usual) ** 2) / (groups - 1)
    variance = max(0.0, between - within) / ((total - float(rows @ rows) / total) / (groups - 1))
    if variance == 0:
        return np.zeros(count)
    return np.asarray(means * rows * variance / (rows * variance + within))
