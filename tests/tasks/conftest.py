"""Tasks, answers and resamples, drawn anew from a seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from steelyard.contracts import Answer, Problem, Task
from steelyard.tasks.metric import Rows


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def binary():
    worth = ((0.0, -40.0), (-5.0, 500.0))
    return Task(
        problem=Problem.BINARY,
        target="y",
        aim="roc_auc",
        classes=("no", "yes"),
        positive="yes",
        value=worth,
        currency="EUR",
    )


@pytest.fixture
def several():
    return Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=tuple("abcde"))


@pytest.fixture
def numeric():
    return Task(problem=Problem.REGRESSION, target="y", aim="rmse")


def answered(task, rng, n, *, levels=None):
    """A target and an answer somewhat better than chance; with ``levels``, scores have ties."""
    if task.problem is Problem.REGRESSION:
        target = rng.normal(5.0, 1.0, n)
        guess = target + rng.normal(0.0, 0.5, n)
        return target, Answer(guess[:, None], guess)
    target = rng.integers(0, task.width, n)
    raw = rng.random((n, task.width)) + 0.5 * (target[:, None] == np.arange(task.width))
    if levels:
        raw = np.ceil(raw * levels) / levels
    scores = raw / raw.sum(axis=1, keepdims=True)
    if task.width == 2 and levels:
        scores[:, 1] = np.round(scores[:, 1], 1)
        scores[:, 0] = 1.0 - scores[:, 1]
    return target, Answer(scores, scores.argmax(axis=1))


@pytest.fixture
def answers():
    return answered


@pytest.fixture
def drawn():
    """Counts of a bootstrap: shape (resamples, n), times weights where given."""

    def draw(rng, resamples, n, weights=None):
        counts = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(resamples)]).astype(float)
        return counts if weights is None else counts * weights

    return draw


def _of_class(judge):
    """A figure of what was decided: of the positive class, or averaged over the classes."""

    def figure(rows, weights):
        if rows.task.problem is Problem.MULTICLASS:
            return judge(rows.truth, rows.decided, average="macro", zero_division=0.0, sample_weight=weights)
        truth, decided = rows.truth == rows.positive, rows.decided == rows.positive
        return judge(truth, decided, zero_division=math.nan, sample_weight=weights)

    return figure


def _balanced(rows, w):
    given = {"labels": np.unique(rows.truth), "average": "macro", "zero_division": 0.0, "sample_weight": w}
    return sk.recall_score(rows.truth, rows.decided, **given)


def _f1(average):
    return lambda rows, w: sk.f1_score(rows.truth, rows.decided, average=average, zero_division=0.0, sample_weight=w)


def _area(rows, w):
    if len(np.unique(rows.truth)) < rows.task.width:
        return math.nan
    if rows.task.problem is Problem.BINARY:
        return sk.roc_auc_score(rows.truth == rows.positive, rows.answer.scores[:, rows.positive], sample_weight=w)
    given = {"multi_class": "ovr", "average": "macro", "labels": np.arange(rows.task.width)}
    return sk.roc_auc_score(rows.truth, rows.probabilities, sample_weight=w, **given)


def _average_precision(rows, w):
    positive = rows.truth == rows.positive
    if not positive.any():
        return math.nan
    return sk.average_precision_score(positive, rows.answer.scores[:, rows.positive], sample_weight=w)


def _log_loss(rows, w):
    return sk.log_loss(rows.truth, rows.probabilities, sample_weight=w, labels=np.arange(rows.task.width))


def _brier(rows, w):
    happened = np.equal.outer(rows.truth, np.arange(rows.task.width)).astype(float)
    each = sk.mean_squared_error(happened, rows.probabilities, sample_weight=w, multioutput="raw_values")
    return each.sum() / (2 if rows.task.problem is Problem.BINARY else 1)


def _r2(rows, w):
    if np.ptp(rows.values) == 0:
        return math.nan
    return sk.r2_score(rows.values, rows.predicted, sample_weight=w, force_finite=False)


def _mape(rows, w):
    if (rows.values == 0).any():
        return math.nan
    return sk.mean_absolute_percentage_error(rows.values, rows.predicted, sample_weight=w)


def _worth(rows, w):
    return 1000 * np.average([rows.task.value[t][d] for t, d in zip(rows.truth, rows.decided, strict=True)], weights=w)


def _ece(rows, w):
    """Ours in a plain loop: scikit-learn has none."""
    w = np.ones(len(rows.truth)) if w is None else w
    confidence, right = rows.probabilities.max(axis=1), rows.probabilities.argmax(axis=1) == rows.truth
    inside = [np.minimum((confidence * 15).astype(int), 14) == k for k in range(15)]
    return sum(abs((w * (right - confidence))[rows_in].sum()) for rows_in in inside) / w.sum()


SCIKIT = {
    "accuracy": lambda rows, w: sk.accuracy_score(rows.truth, rows.decided, sample_weight=w),
    "balanced_accuracy": _balanced,
    "precision": _of_class(sk.precision_score),
    "recall": _of_class(sk.recall_score),
    "f1": _of_class(sk.f1_score),
    "f1_macro": _f1("macro"),
    "f1_micro": _f1("micro"),
    "roc_auc": _area,
    "pr_auc": _average_precision,
    "log_loss": _log_loss,
    "brier": _brier,
    "ece": _ece,
    "value": _worth,
    "mae": lambda rows, w: sk.mean_absolute_error(rows.values, rows.predicted, sample_weight=w),
    "rmse": lambda rows, w: sk.root_mean_squared_error(rows.values, rows.predicted, sample_weight=w),
    "r2": _r2,
    "mape": _mape,
}


@pytest.fixture
def scikit():
    """What scikit-learn says of rows under weights: ``scikit(name, task, target, answer, weights)``."""
    return lambda name, task, target, answer, weights: SCIKIT[name](Rows(task, target, answer), weights)
