"""What both estimators share: they run a spec in a folder of their own, and keep the bundle that ships."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from steelyard.api import Run, bundle_folder
from steelyard.bundle import Bundle
from steelyard.contracts import Answer, Floats
from steelyard.errors import DataUnfit, DataUnreadable, Exit, NothingMeasured, RowsRefused, SpecInvalid, SteelyardError
from steelyard.estimators.kept import Home, Kept
from steelyard.estimators.table import Array, Table, columns_to_answer, free, training_table, weights_of
from steelyard.search.conduct import conduct
from steelyard.search.folder import RunFolder
from steelyard.spec import Budget, Checks, ColumnsPart, LearnersPart, Quality, Spec, SplitPart

FEW, FOLDS = 1_000, 5
"""Below so many rows there are no more folds than different rows; 5 where neither they nor the user say otherwise."""
_GIVEN = (SpecInvalid, DataUnreadable, DataUnfit, NothingMeasured, RowsRefused)
"""What is wrong with what was given, rather than with the machine."""


class Unfit(SteelyardError, ValueError):
    """Rows or parameters that an estimator cannot work with: a ``ValueError``, as scikit-learn's users expect."""

    exit_code = Exit.DATA_UNFIT


@contextlib.contextmanager
def _as_value_errors() -> Iterator[None]:
    try:
        yield
    except _GIVEN as problem:
        raise Unfit(str(problem)) from problem


class Estimator(BaseEstimator):  # type: ignore[misc] # scikit-learn ships no types
    """Fits by a run; see :class:`steelyard.SteelyardClassifier` for the parameters."""

    _task: str

    def __init__(
        self,
        *,
        metric: str | None = None,
        tolerance: float = 0.0,
        trials: int | None = 8,
        minutes: float | None = None,
        folds: int | None = None,
        learners: tuple[str, ...] | None = None,
        folder: str | Path | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.metric = metric
        self.tolerance = tolerance
        self.trials = trials
        self.minutes = minutes
        self.folds = folds
        self.learners = learners
        self.folder = folder
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803 - scikit-learn's names
        """Weigh the ways to predict ``y`` from ``X`` and keep the bundle of the one that pays.

        The ways are compared on validation rows (``folds``), and the one that is chosen is trained once more on all
        rows but one, which the run keeps as its test. Whoever wants to know how good the result is holds rows back,
        as scikit-learn's tools do.

        Parameters
        ----------
        X : array of shape (n, features) or data frame
            Numbers, NaN where missing. A frame may also have columns of text, categories, dates and truth values.
            Columns of a frame keep their names in the bundle; those of an array are called ``x0``, ``x1`` ...
        y : array of shape (n,)
            Class labels or values.
        sample_weight : array of shape (n,), optional
            How much each row counts when models are trained and compared; a row of weight 0 is left out.

        Raises
        ------
        ValueError
            If nothing can be learned from these rows, or a parameter does not fit; the message says how to go on.
        """
        table, target = training_table(self, X, y, numeric=self._task == "regression")
        weights = None if sample_weight is None else weights_of(sample_weight, len(target))
        if weights is not None and not weights.all():
            counting = np.flatnonzero(weights)
            table, target, weights = table.take(counting), target[counting], weights[counting]
        self._columns = tuple(table.columns)
        target = self._coded(target)
        home = Home() if self.folder is None else None
        try:
            with _as_value_errors():
                run = self._run(self._spec(table, target, weights), home)
            self.run_, self._kept = run, Kept(bundle_folder(run.folder), home)
        except BaseException:
            if home is not None:
                home.clear()
            raise
        return self

    @property
    def bundle_(self) -> Bundle:
        """The bundle that predicts."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"this {type(self).__name__} has no bundle yet; call fit first")
        return self._kept.bundle

    def _coded(self, y: Array) -> Array:
        """Return the target as the engine is to read it."""
        raise NotImplementedError

    def _facts(self) -> dict[str, Any]:
        """Return what a spec says of the target beside its name."""
        return {"task": self._task}

    def _answer(self, X: Any) -> Answer:  # noqa: N803
        """Answer rows.

        Raises
        ------
        NotFittedError
            Before anything else, where there is nothing to answer with.
        ValueError
            If the rows are not like those of ``fit``.
        """
        check_is_fitted(self)
        columns = columns_to_answer(self, X)
        with _as_value_errors():
            return self.bundle_.answer_rows(dict(zip(self._columns, columns, strict=True)))

    def _spec(self, table: Table, target: Array, weights: Floats | None) -> Spec:
        names = list(table.columns)
        for role in ("target", "side", "weight"):
            names.append(free(role, names))
        label, side, weight = names[-3:]
        data = {**table.columns, label: target, side: _sides(target)}
        weighted = {} if weights is None else {weight: weights}
        return Spec(
            data=data | weighted,
            target=label,
            columns=ColumnsPart(number=table.numbers, category=table.categories, weight=next(iter(weighted), None)),
            split=SplitPart(column=side, folds=self._folds(table, target), repeats=1),
            quality=Quality(metric=self.metric, tolerance=self.tolerance),
            budget=Budget(trials=self.trials, minutes=self.minutes),
            learners=LearnersPart(only=self.learners),
            checks=Checks(leaks="keep"),
            seed=_seed(self.random_state),
            **self._facts(),
        )

    def _folds(self, table: Table, target: Array) -> int | None:
        """Return the folds asked for; fewer where few rows differ, since equal rows stay together."""
        if len(target) >= FEW or (self.folds is not None and self.folds < 2):
            return self.folds
        most = FOLDS if self.folds is None else self.folds
        different = table.take(_commonest(target)).different(most)
        return most if different == most else max(2, different)

    def _run(self, spec: Spec, home: Home | None) -> Run:
        """Run a spec to its end, in this process unless it is to end in time.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C: a loop around ``fit`` is to end as well.
        """
        folder = RunFolder.create("run", Path(str(self.folder)) if home is None else home.path / "run")
        in_process = self.minutes is None and self.trials is not None
        if conduct(spec, folder=folder, in_process=in_process) is Exit.INTERRUPTED:
            raise KeyboardInterrupt
        run = Run(folder.path)  # without the spec, which holds the rows
        if home is None:
            run.write_views()
        return run

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether there is a bundle to predict with."""
        return hasattr(self, "_kept")

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that NaN may be there: it stands for a missing value."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or a copy carries: the bundle, but not the record of the run, which stays here."""
        return {name: value for name, value in super().__getstate__().items() if name != "run_"}


def _commonest(target: Array) -> NDArray[np.int64]:
    """Return the rows of the commonest class; all where the target is a quantity."""
    if target.dtype.kind == "f":
        return np.arange(len(target))
    _, codes, counts = np.unique(target, return_inverse=True, return_counts=True)
    return np.flatnonzero(codes == counts.argmax())


def _sides(target: Array) -> Array:
    """Return the sides of the split: all rows but one train and validate, since a run cannot do without a test."""
    sides = np.full(len(target), "train", dtype=object)
    sides[_commonest(target)[-1]] = "test"
    return sides


def _seed(state: Any) -> int:
    return int(state) if isinstance(state, Integral) else int(check_random_state(state).randint(2**31 - 1))
