"""What a metric is: one record that owns its direction, its range, its unit and what it needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Answer, Floats, Ints, Problem, Task
from steelyard.errors import Exit, SteelyardError
from steelyard.tasks.spans import codes_of

CLASSIFICATION = frozenset({Problem.BINARY, Problem.MULTICLASS})
SLACK = 1e-3
"""How far the probabilities of a row may be from adding up to one; float32 graphs are within 1e-6."""


class MetricUnfit(SteelyardError):
    """No such metric, or it says nothing about this task."""

    exit_code = Exit.SPEC_INVALID


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with their true target and a model's answer: all that a metric looks at.

    ``target`` has shape (n,): class codes, values or rows of tags, as in :class:`steelyard.contracts.Split`.
    """

    task: Task
    target: NDArray[Any]
    answer: Answer

    @property
    def truth(self) -> Ints:
        """True class codes, shape (n,)."""
        return np.asarray(self.target, dtype=np.int64)

    @property
    def decided(self) -> Ints:
        """Class codes decided on, shape (n,)."""
        return np.asarray(self.answer.decided, dtype=np.int64)

    @property
    def values(self) -> Floats:
        """True values of a regression, shape (n,)."""
        return np.asarray(self.target, dtype=np.float64)

    @property
    def predicted(self) -> Floats:
        """Predicted values of a regression, shape (n,)."""
        return np.asarray(self.answer.decided, dtype=np.float64)

    @property
    def positive(self) -> int:
        """Code of the class that precision, recall and PR AUC speak of; the last one where none is named."""
        named = self.task.positive
        return len(self.task.classes) - 1 if named is None else self.task.classes.index(named)

    @property
    def probabilities(self) -> Floats:
        """Scores that add up to one in double precision, shape (n, classes).

        A graph answers in float32, whose rows add up to one within 1e-6; what lacks is shared out in proportion.
        """
        scores: Floats = np.asarray(self.answer.scores, dtype=np.float64)
        total: Floats = scores.sum(axis=1, keepdims=True)
        return scores / total

    def usable(self, needs: str) -> bool:
        """Whether there are rows, and what a metric needs of the answer is finite (and, for classes, probabilities)."""
        if self.task.problem is Problem.TAGGING:  # what was decided on tokens are codes, which are finite
            return len(self.target) > 0
        numbers = self.answer.scores if needs == "scores" else self.answer.decided
        if not len(self.target) or not np.isfinite(numbers).all():
            return False
        return needs == "decided" or are_probabilities(numbers)


def are_probabilities(scores: Floats) -> bool:
    """Whether every row of ``scores``, shape (n, classes), holds shares that add up to one within :data:`SLACK`.

    Examples
    --------
    >>> are_probabilities(np.array([[0.2, 0.8]])), are_probabilities(np.array([[-1.0, 2.0]]))
    (True, False)
    """
    return bool((scores >= 0).all() and (np.abs(scores.sum(axis=1) - 1.0) <= SLACK).all())


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure of quality: what it says, which way is better, from where to where, in what unit.

    ``figure`` takes :class:`Rows` and the weights of their rows in B resamples, shape (B, n), and returns B figures;
    those are scikit-learn's where it has the metric, which the tests see to. Use :meth:`measure` and :meth:`resample`,
    which also answer NaN where the figure is undefined.
    """

    name: str
    about: str
    better: Literal["higher", "lower"]
    low: float
    high: float
    unit: str
    needs: Literal["scores", "decided"]
    problems: frozenset[Problem]
    figure: Callable[[Rows, Floats], Floats]
    positive: bool = False
    """Whether, in a binary task, it speaks of the positive class, and so needs one to be named."""
    priced: bool = False
    """Whether it speaks of the task's value of outcomes, and so needs one."""
    spans: bool = False
    """Whether it speaks of entities, and so needs tags that spell some (``B-`` and ``I-`` with a type)."""
    per_class: bool = False
    """Whether one resample takes a pass over the rows for each class, and so costs that much more."""

    def refusal(self, task: Task) -> str | None:
        """Say why it does not apply to a task, as a sentence with the way out, or ``None``."""
        if task.problem not in self.problems:
            suits = " and ".join(sorted(self.problems))
            return f"metric {self.name!r} is for {suits}, not for {task.problem}; leave it out or choose another"
        if self.positive and task.problem is Problem.BINARY and task.positive is None:
            return f"metric {self.name!r} speaks of the positive class; name it with `positive:` in the spec"
        if self.spans and not codes_of(task.classes).spells:
            return f"metric {self.name!r} speaks of entities, and these tags spell none (B- and I-); use token_accuracy"
        if self.priced and task.value is None:
            return f"metric {self.name!r} needs the money that outcomes are worth; give `value:` in the spec"
        return None

    @property
    def bounded(self) -> bool:
        """Whether it has a lowest and a highest value, so that one row can only move it so far."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def unit_for(self, task: Task) -> str:
        """Return the unit, in the task's own currency where it is money."""
        return self.unit.replace("money", task.currency)

    def higher_is_better(self, value: float) -> float:
        """Return the value itself, or with its sign turned where lower is better."""
        return value if self.better == "higher" else -value

    def measure(self, task: Task, target: NDArray[Any], answer: Answer, weights: Floats | None = None) -> float:
        """Return the figure on all rows; NaN where it is undefined on them.

        Parameters
        ----------
        task : Task
            What is predicted.
        target : ndarray of shape (n,)
            Class codes (int64) or values (float64).
        answer : Answer
            What a bundle says of the same rows.
        weights : float64 ndarray of shape (n,), optional
            Positive row weights.

        Raises
        ------
        MetricUnfit
            If the metric does not apply to the task.
        """
        counts = np.ones((1, len(target))) if weights is None else np.asarray(weights, dtype=np.float64)[None, :]
        return float(self.resample(task, target, answer, counts)[0])

    def resample(self, task: Task, target: NDArray[Any], answer: Answer, counts: Floats) -> Floats:
        """Return the figure on B weighted resamples, float64 of shape (B,); NaN where it is undefined.

        ``counts``, float64 of shape (B, n), says how often each row stands in each resample, times its weight.
        Row ``b`` of the result equals :meth:`measure` on the rows with ``counts[b] > 0`` under these weights.

        Raises
        ------
        MetricUnfit
            If the metric does not apply to the task.
        """
        rows = self._rows(task, target, answer)
        if not rows.usable(self.needs):
            return np.full(len(counts), math.nan)
        return self.figure(rows, counts)

    def _rows(self, task: Task, target: NDArray[Any], answer: Answer) -> Rows:
        if why := self.refusal(task):
            raise MetricUnfit(why)
        return Rows(task, target, answer)
