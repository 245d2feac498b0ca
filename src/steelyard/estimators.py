"""Two ordinary scikit-learn estimators over the same engine."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from steelyard.api import Run, run
from steelyard.bundle import Bundle
from steelyard.spec import Budget, LearnersPart, Quality, Spec

TARGET = "target"


class _Estimator(BaseEstimator):  # type: ignore[misc] # scikit-learn ships no types
    """What both estimators share: they run a spec in a folder of their own and keep the bundle."""

    _task: str

    def __init__(
        self,
        *,
        metric: str | None = None,
        trials: int | None = 8,
        minutes: float | None = None,
        learners: tuple[str, ...] | None = None,
        folder: str | Path | None = None,
        random_state: int = 0,
    ) -> None:
        self.metric = metric
        self.trials = trials
        self.minutes = minutes
        self.learners = learners
        self.folder = folder
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's names
        """Weigh the ways to predict ``y`` from ``X`` and keep the bundle of the one that pays.

        Parameters
        ----------
        X : array of shape (n, features) or data frame
            Columns of a frame keep their names; those of an array are called ``x0``, ``x1`` ...
        y : array of shape (n,)
            Class labels or values.
        """
        names, columns = self._columns(X, y, reset=True)
        target = _free(TARGET, names)
        frame = dict(zip(names, columns, strict=True)) | {target: self._target(np.asarray(y))}
        spec = Spec(
            data=frame,
            target=target,
            task=self._task,
            quality=Quality(metric=self.metric),
            budget=Budget(trials=self.trials, minutes=self.minutes),
            learners=LearnersPart(only=self.learners),
            seed=self.random_state,
        )
        place = Path(self.folder) if self.folder is not None else Path(tempfile.mkdtemp(prefix="steelyard-")) / "run"
        self.run_: Run = run(spec, out=place, in_process=self.minutes is None)
        self.bundle_: Bundle = self.run_.bundle
        return self

    def _target(self, y: NDArray[Any]) -> list[Any]:
        return list(y)

    def _columns(self, X: Any, y: Any = None, *, reset: bool) -> tuple[list[str], list[Any]]:  # noqa: N803
        if hasattr(X, "columns"):
            if reset:
                self.feature_names_in_ = np.asarray([str(c) for c in X.columns], object)
                self.n_features_in_ = len(X.columns)
            return [str(c) for c in X.columns], [list(X[c]) for c in X.columns]
        checked = (
            validate_data(self, X, y, reset=True, ensure_all_finite="allow-nan", multi_output=False)[0]
            if y is not None
            else validate_data(self, X, reset=reset, ensure_all_finite="allow-nan")
        )
        return [f"x{i}" for i in range(checked.shape[1])], list(checked.T)

    def _frame(self, X: Any) -> dict[str, Any]:  # noqa: N803
        check_is_fitted(self, "bundle_")
        names, columns = self._columns(X, reset=False)
        return dict(zip(names, columns, strict=True))


def _free(name: str, taken: Sequence[str]) -> str:
    """Return a name that is not taken: itself, or with as many underscores as it needs."""
    while name in taken:
        name += "_"
    return name


class SteelyardClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc] # scikit-learn ships no types
    """A classifier that is chosen by what it costs and returns.

    Parameters
    ----------
    metric : str, optional
        What counts as good; unset: ROC AUC for two classes, accuracy for more.
    trials : int, optional
        Recipes that may be tried.
    minutes : float, optional
        Wall-clock time of ``fit``. With it trials run in processes of their own, which can be stopped in time.
    learners : tuple of str, optional
        Only these learners.
    folder : path, optional
        Where the run folder goes; unset: a temporary one.
    random_state : int
        Seed of everything random.

    Attributes
    ----------
    classes_ : ndarray of shape (classes,)
    run_ : Run
    bundle_ : Bundle
    """

    _task = "classification"

    def _target(self, y: NDArray[Any]) -> list[Any]:
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._names = [f"c{code:05d}" for code in range(len(self.classes_))]
        return [self._names[code] for code in codes]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return probabilities, shape (n, classes), in the order of ``classes_``."""
        return self.bundle_.predict_proba(self._frame(X))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return class labels, shape (n,)."""
        decided = self.bundle_.predict(self._frame(X))
        code_of = {name: code for code, name in enumerate(self._names)}
        return np.asarray(self.classes_[[code_of[str(name)] for name in decided]])


class SteelyardRegressor(RegressorMixin, _Estimator):  # type: ignore[misc] # scikit-learn ships no types
    """A regressor that is chosen by what it costs and returns; parameters as for :class:`SteelyardClassifier`."""

    _task = "regression"

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return values, shape (n,)."""
        return np.asarray(self.bundle_.predict(self._frame(X)), np.float64)
