"""The classifier and the regressor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets

from steelyard.contracts import Floats
from steelyard.data.coerce import category_of
from steelyard.estimators.base import Estimator
from steelyard.estimators.table import Array


class SteelyardClassifier(ClassifierMixin, Estimator):  # type: ignore[misc] # scikit-learn ships no types
    """A classifier that is chosen by what it costs and returns.

    Parameters
    ----------
    metric : str, optional
        What counts as good; unset: ROC AUC for two classes, accuracy for more. Of two classes the positive one is
        ``classes_[1]``.
    tolerance : float
        Loss of quality, in units of the metric, up to which a model that is cheaper to serve is preferred. Costs are
        measured and never come out the same twice: above 0, two fits may end with different models.
    trials : int, optional
        Recipes that may be tried.
    minutes : float, optional
        Wall-clock time of ``fit``. With it trials run in processes of their own, which can be stopped in time.
        With neither ``trials`` nor ``minutes``, five minutes.
    folds : int, optional
        Folds for validation; 0: one holdout of 15% of the rows. Unset: 5 below 5,000 rows, one holdout from there.
    learners : tuple of str, optional
        Only these learners.
    folder : path, optional
        Where the run folder goes and stays; it must not hold a run yet. Unset: a temporary one, which goes when the
        estimator goes.
    random_state : int, RandomState or None
        Seed of everything random.

    Attributes
    ----------
    classes_ : ndarray of shape (classes,)
        The labels, sorted.
    bundle_ : Bundle
        What predicts.
    run_ : Run
        The record of the run: what was tried, what it cost, what was decided. A pickle or a copy does not carry it.
    n_features_in_ : int
        Columns of ``X``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where ``X`` was a frame whose names are strings.
    """

    _task = "classification"

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """Return probabilities, shape (n, classes), in the order of ``classes_``."""
        scores = self._answer(X).scores
        order = [self.bundle_.task.classes.index(name) for name in self._class_names]
        return scores[:, order]

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Return class labels, shape (n,)."""
        decided = self._answer(X).decided
        order = [self._class_names.index(name) for name in self.bundle_.task.classes]
        return np.asarray(self.classes_[np.array(order)[decided]])

    def _coded(self, y: Array) -> Array:
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes in the data, but the data contains only "
                f"one class: {self.classes_[0]!r}"
            )
        self._class_names = _class_names(self.classes_.tolist())
        return np.array(self._class_names, dtype=object)[codes]

    def _facts(self) -> dict[str, Any]:
        facts = super()._facts()
        return facts | {"positive": self._class_names[1]} if len(self.classes_) == 2 else facts


def _class_names(labels: Sequence[object]) -> list[str]:
    """Return what the bundle is to call the labels: as the engine reads them, where that tells them apart.

    Examples
    --------
    >>> _class_names([1.0, 2.0]), _class_names(["3", "3.0"]), _class_names(["NA", "b"])
    (['1', '2'], ["'3'", "'3.0'"], ["'NA'", "'b'"])
    """
    names = [name for name in map(category_of, labels) if name is not None]
    return names if len(set(names)) == len(labels) else [repr(label) for label in labels]


class SteelyardRegressor(RegressorMixin, Estimator):  # type: ignore[misc] # scikit-learn ships no types
    """A regressor that is chosen by what it costs and returns.

    Parameters and attributes are those of :class:`SteelyardClassifier`, without classes; ``metric`` unset: RMSE.
    """

    _task = "regression"

    def predict(self, X: Any) -> Floats:  # noqa: N803
        """Return values, shape (n,)."""
        return np.asarray(self._answer(X).decided, np.float64)

    def _coded(self, y: Array) -> Array:
        return y.astype(np.float64)
