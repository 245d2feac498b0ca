"""What decisions came to, in shares of rows: so that they can be priced anew without looking at the rows again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from steelyard.contracts import NUMERIC, Answer, Floats, Problem, Task
from steelyard.data import Dataset
from steelyard.search.making import part_answer, validation_of
from steelyard.tasks.money import excess_and_lack

BINARY = ("true_positive", "false_positive", "true_negative", "false_negative")
CALLS = ("right", "wrong")
ERRORS = ("over", "under")


def names_of(task: Task) -> tuple[str, ...]:
    """Return what can be priced in a task: outcomes of a decision, or by how much a number is too high or too low.

    Examples
    --------
    >>> names_of(Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("a", "b", "c")))
    ('right', 'wrong')
    """
    if task.problem in NUMERIC:
        return ERRORS
    return BINARY if task.problem is Problem.BINARY and task.positive is not None else CALLS


def prices_of(task: Task) -> tuple[float, ...] | None:
    """Return the money that each outcome of :func:`names_of` is worth; ``None`` where that does not say it all."""
    if task.value is None or task.amounts:
        return None
    if task.problem in NUMERIC:
        return tuple(float(amount) for amount in task.value[0])
    money = np.asarray(task.value, dtype=np.float64)
    if names_of(task) == BINARY:
        assert task.positive is not None, "the outcomes of a binary task are named by its positive class"
        yes = task.classes.index(task.positive)
        no = 1 - yes
        return tuple(float(money[i, j]) for i, j in ((yes, yes), (no, yes), (no, no), (yes, no)))
    right, wrong = np.diag(money), money[~np.eye(len(money), dtype=bool)]
    if np.ptp(right) or np.ptp(wrong):
        return None
    return float(right[0]), float(wrong[0])


@dataclass(slots=True)
class Outcomes:
    """Shares of the validation rows by outcome, and how sure they are; row weights and groups count.

    The variance is that of a weighted mean over independent groups (rows, where there are none), without a
    correction for their number: what the bootstrap of :mod:`steelyard.measure` comes to with many resamples.
    """

    task: Task
    weights: Floats
    groups: np.ndarray
    target: np.ndarray
    where: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset) -> Outcomes:
        """Return those of a data set's validation rows."""
        where, held = validation_of(dataset)
        rows = dataset.partition.validation
        count = len(rows)
        groups = np.arange(count) if dataset.clusters is None else dataset.clusters[rows]
        weights = np.ones(count) if held.weights is None else np.asarray(held.weights, dtype=np.float64)
        return cls(dataset.task, weights, np.unique(groups, return_inverse=True)[1], held.target, where)

    def of_rows(self, answer: Answer) -> Floats:
        """Return what became of each row, shape (rows, outcomes)."""
        decided = part_answer(answer, self.where).decided
        if self.task.problem in NUMERIC:
            return np.column_stack(excess_and_lack(self.target, Answer(decided, decided)))
        right = decided == self.target
        if names_of(self.task) == CALLS:
            return np.column_stack([right, ~right]).astype(np.float64)
        assert self.task.positive is not None, "only a task with a positive class has these outcomes"
        yes = decided == self.task.classes.index(self.task.positive)
        return np.column_stack([right & yes, ~right & yes, right & ~yes, ~right & ~yes]).astype(np.float64)

    def moments(self, rows: Floats) -> tuple[list[float], list[float]]:
        """Return the means of the columns and the upper triangle, row by row, of the covariance of those means."""
        total = self.weights.sum()
        mean = self.weights @ rows / total
        off = np.zeros((int(self.groups.max()) + 1, rows.shape[1]))
        np.add.at(off, self.groups, self.weights[:, None] * (rows - mean))
        spread = off.T @ off / total**2
        return _short(mean), _short(spread[np.triu_indices(rows.shape[1])])


def _short(values: Floats) -> list[float]:
    """Nine digits are more than any count of rows has to give."""
    return [float(f"{value:.9g}") for value in values]


def within(seconds: float, clock: Callable[[], float]) -> Callable[[], bool]:
    """Return whether there is still time, whenever it is asked."""
    end = clock() + seconds
    return lambda: clock() < end
