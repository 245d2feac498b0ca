"""Tasks and answers, drawn anew from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.contracts import Answer, Problem, Task


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def binary():
    return Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes")


@pytest.fixture
def numeric():
    return Task(problem=Problem.REGRESSION, target="y", aim="rmse")


@pytest.fixture
def answers(rng):
    """A target and an answer that is as good as ``skill`` says."""

    def draw(task, n, skill=0.5):
        if task.problem is Problem.REGRESSION:
            target = rng.normal(5.0, 1.0, n)
            guess = target + rng.normal(0.0, 1.0 - skill, n)
            return target, Answer(guess[:, None], guess)
        target = rng.integers(0, task.width, n)
        raw = rng.random((n, task.width)) + skill * (target[:, None] == np.arange(task.width))
        scores = raw / raw.sum(axis=1, keepdims=True)
        return target, Answer(scores, scores.argmax(axis=1))

    return draw
