"""What can be read off scores: expected worth, how sure they are, and what they become once calibrated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from steelyard.contracts import Amount, Answer, Floats, Task
from steelyard.tasks.money import widest

FAINT = 1e-7
"""A calibrated probability starts from no less than this: near 1, float32 cannot tell smaller ones from 0."""
MEASURES = ("margin", "confidence", "worth", "regret")
"""How sure a member is of a row, from 0 to 1; see :func:`sureness`."""
IN_MONEY = frozenset({"worth", "regret"})
"""Measures that take a task which says what decisions are worth."""


def expected_worth(scores: Floats, value: Floats) -> Floats:
    """Return the expected value of each decision, shape (n, classes); a row's figures do not depend on the others."""
    worth: Floats = scores[:, :1] * value[0]
    for true in range(1, len(value)):
        worth += scores[:, true : true + 1] * value[true]
    return worth


def worth_of(task: Task, scores: Floats, amounts: Floats | None = None) -> Floats:
    """Return the expected money of each decision, shape (n, classes); a row's figures do not depend on the others.

    An amount that is known when a decision is made counts as it stands in the row; of another the mean of each class
    stands for it, as it does where no amounts are given.

    Parameters
    ----------
    task
        ``value`` and ``amounts`` say what outcomes are worth.
    scores
        Probabilities, shape (n, classes).
    amounts
        The money at stake in each row, shape (n, amounts of the task).

    Examples
    --------
    >>> from steelyard.contracts import Amount, Problem
    >>> loan = Amount("loan", ((0.0, 0.0), (-1.0, 0.0)), known=True, means=(50.0, 50.0))
    >>> task = Task(problem=Problem.BINARY, target="bad", aim="value", classes=("no", "yes"),
    ...             value=((0.0, -10.0), (0.0, 0.0)), amounts=(loan,))
    >>> worth_of(task, np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[20.0], [200.0]])).tolist()
    [[-2.0, -9.0], [-20.0, -9.0]]
    """
    worth = expected_worth(scores, _certain(task, amounts))
    for place, amount in _by_row(task, amounts):
        assert amounts is not None
        worth += expected_worth(scores, np.asarray(amount.times)) * amounts[:, place : place + 1]
    return worth


def _by_row(task: Task, amounts: Floats | None) -> list[tuple[int, Amount]]:
    """Return the amounts that decide row by row, with their places."""
    return [] if amounts is None else [(place, each) for place, each in enumerate(task.amounts) if each.known]


def _certain(task: Task, amounts: Floats | None) -> Floats:
    """Return what outcomes are worth in every row: the amounts that do not decide row by row at their means."""
    matrix: Floats = np.asarray(task.value, np.float64)
    for amount in task.amounts:
        if amounts is None or not amount.known:
            matrix = matrix + np.asarray(amount.times) * np.asarray(amount.means)[:, None]
    return matrix


def regret(task: Task, answer: Answer) -> Floats:
    """Return what the right decision is expected to bring more than the one taken, shape (n,), 0 or more.

    It is what knowing the class is worth (the expected value of perfect information), and so the most that a person
    who knows it may cost.

    Examples
    --------
    >>> from steelyard.contracts import Problem
    >>> task = Task(problem=Problem.BINARY, target="y", aim="value", classes=("n", "y"), value=((0, -1), (-5, 0)))
    >>> regret(task, Answer(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 1]))).tolist()
    [0.5, 0.5]
    """
    matrix, by_row = _certain(task, answer.amounts), _by_row(task, answer.amounts)
    best: Floats = np.zeros(len(answer.scores))
    for true, row in enumerate(matrix):
        each = np.broadcast_to(row, (len(best), len(row)))
        for place, amount in by_row:
            assert answer.amounts is not None
            each = each + np.outer(answer.amounts[:, place], amount.times[true])
        best += answer.scores[:, true] * each.max(axis=1)
    taken = worth_of(task, answer.scores, answer.amounts)[np.arange(len(best)), answer.decided]
    gap: Floats = np.maximum(best - taken, 0.0)
    return gap


def sureness(measure: str, scores: Floats, task: Task, amounts: Floats | None = None) -> Floats:
    """Return how sure a member is of each row, 0 to 1, shape (n,).

    ``confidence`` is the highest probability, ``margin`` its distance from the second highest, and ``worth`` the
    distance of the best decision from the second best in expected money, as a share of the widest distance between
    two outcomes of one class. ``regret`` is one less what the right decision is expected to bring more than the best
    one (:func:`regret`), as the same share. Both stay within 0 and 1 where ``amounts`` are larger than any seen.

    Examples
    --------
    >>> from steelyard.contracts import Problem
    >>> task = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("a", "b", "c"))
    >>> scores = np.array([[0.7, 0.2, 0.1]])
    >>> [sureness(measure, scores, task).round(6).tolist() for measure in ("margin", "confidence")]
    [[0.5], [0.7]]
    """
    if measure == "confidence":
        highest: Floats = scores.max(axis=1)
        return highest
    if measure == "regret" and task.value is not None:
        best = worth_of(task, scores, amounts).argmax(axis=1)
        calm: Floats = 1.0 - regret(task, Answer(scores, best, amounts=amounts)) / widest(task)
        return np.maximum(calm, 0.0)
    if measure == "worth" and task.value is not None:
        scores = worth_of(task, scores, amounts) / widest(task)
    first_two = np.partition(scores, -2, axis=1)
    margin: Floats = first_two[:, -1] - first_two[:, -2]
    return margin if not task.amounts else np.minimum(margin, 1.0)


def swayed(scores: Floats, positive: int, times: float) -> Floats:
    """Return probabilities of two classes as if the odds of one were so many times as high.

    Examples
    --------
    >>> swayed(np.array([[0.5, 0.5], [0.0, 1.0]]), 1, 3.0).tolist()
    [[0.25, 0.75], [0.0, 1.0]]
    """
    weighed: Floats = scores.copy()
    weighed[:, positive] *= times
    shares: Floats = weighed / weighed.sum(axis=1, keepdims=True)
    return shares


def tempered(scores: Floats, at: float) -> Floats:
    """Return probabilities whose logarithms are divided by a temperature: above 1 less sure, below 1 more.

    Examples
    --------
    >>> tempered(np.array([[0.2, 0.8]]), 2.0).round(3).tolist()
    [[0.333, 0.667]]
    """
    return pooled([scores], [1 / at], [0.0] * scores.shape[1])


def pooled(members: Sequence[Floats], weights: Sequence[float], offsets: Sequence[float]) -> Floats:
    """Return the logarithmic pool of several members' probabilities: their weighted logarithms and an offset a class.

    Examples
    --------
    >>> pooled([np.array([[0.2, 0.8]]), np.array([[0.5, 0.5]])], [2.0, 1.0], [0.0, 0.0]).round(3).tolist()
    [[0.059, 0.941]]
    """
    logs = sum((w * np.log(np.maximum(m, FAINT)) for w, m in zip(weights, members, strict=True)), np.asarray(offsets))
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares: Floats = odds / odds.sum(axis=1, keepdims=True)
    return shares


def is_curve(curve: object) -> bool:
    """Tell whether something is a curve: ``from`` rises within 0 to 1, ``to`` lies between 0 and 1 and never falls.

    Examples
    --------
    >>> is_curve({"from": [0.1, 0.9], "to": [0.3, 0.6]}), is_curve({"from": [0.1, 0.9], "to": [0.3, 0.2]})
    (True, False)
    """
    if not isinstance(curve, Mapping) or set(curve) != {"from", "to"}:
        return False
    ends = curve["from"], curve["to"]
    if not all(isinstance(end, Sequence) and end and all(map(number, end)) for end in ends):
        return False
    shown, meant = ends
    rising = all(a < b for a, b in pairwise(shown)) and shown[0] >= 0 and shown[-1] <= 1
    return rising and len(shown) == len(meant) and meant[0] > 0 and meant[-1] < 1 and list(meant) == sorted(meant)


def number(value: object) -> bool:
    """Tell whether something is a finite number, and no ``bool``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
