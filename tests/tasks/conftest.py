"""Tasks, answers and resamples, drawn anew from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.contracts import Answer, Problem, Task


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
