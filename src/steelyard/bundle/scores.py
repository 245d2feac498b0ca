"""What can be read off scores: expected worth, how sure they are, and what they become once calibrated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from steelyard.contracts import Floats, Task

FAINT = 1e-7
"""A calibrated probability starts from no less than this: near 1, float32 cannot tell smaller ones from 0."""
MEASURES = ("margin", "confidence", "worth")
"""How sure a member is of a row, from 0 to 1; see :func:`sureness`."""


def expected_worth(scores: Floats, value: Floats) -> Floats:
    """Return the expected value of each decision, shape (n, classes); a row's figures do not depend on the others."""
    worth: Floats = scores[:, :1] * value[0]
    for true in range(1, len(value)):
        worth += scores[:, true : true + 1] * value[true]
    return worth


def sureness(measure: str, scores: Floats, task: Task) -> Floats:
    """Return how sure a member is of each row, 0 to 1, shape (n,).

    ``confidence`` is the highest probability, ``margin`` its distance from the second highest, and ``worth`` the
    distance of the best decision from the second best in expected money, as a share of the widest distance between
    two outcomes of one class.

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
    if measure == "worth" and task.value is not None:
        value = np.asarray(task.value, np.float64)
        scores = expected_worth(scores, value) / np.ptp(value, axis=1).max()
    first_two = np.partition(scores, -2, axis=1)
    margin: Floats = first_two[:, -1] - first_two[:, -2]
    return margin


def tempered(scores: Floats, at: float) -> Floats:
    """Return probabilities whose logarithms are divided by a temperature: above 1 less sure, below 1 more.

    Examples
    --------
    >>> tempered(np.array([[0.2, 0.8]]), 2.0).round(3).tolist()
    [[0.333, 0.667]]
    """
    logs = np.log(np.maximum(scores, FAINT)) / at
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
