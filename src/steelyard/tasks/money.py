"""Money: what a thousand decisions bring, given what each outcome is worth.

An outcome is worth an amount, a share of a column of the row (the money at stake: example-dependent costs), or both. A
predicted number is worth so much for each unit that it is too high, and so much for each that it is too low.

References
----------
.. [1] Elkan. The foundations of cost-sensitive learning. IJCAI 2001.
.. [2] Bahnsen, Aouada, Ottersten. Example-dependent cost-sensitive logistic regression for credit scoring. ICMLA 2014.
.. [3] Arrow, Harris, Marschak. Optimal inventory policy. Econometrica, 1951.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import NUMERIC, Answer, Floats, Matrix, Task
from steelyard.tasks.metric import MetricUnfit, Rows
from steelyard.tasks.sums import mean

DECISIONS = 1000.0
ROUNDING = 1e-12
"""Of sums of money: what they may differ by and be the same."""


def brought(task: Task, target: NDArray[np.generic], answer: Answer) -> Floats:
    """Return the money that the decision on each row brought, shape (n,).

    Parameters
    ----------
    task
        What outcomes are worth: ``value`` and ``amounts``.
    target
        True class codes or values, shape (n,).
    answer
        Its ``decided``, and its ``amounts`` where columns of the data say what is at stake.

    Raises
    ------
    MetricUnfit
        If the amounts of the rows are asked for and not given.

    Examples
    --------
    >>> from steelyard.contracts import Problem
    >>> task = Task(problem=Problem.REGRESSION, target="sold", aim="value", value=((-1.0, -4.0),))
    >>> brought(task, np.array([10.0, 10.0]), Answer(np.zeros((2, 1)), np.array([12.0, 9.0]))).tolist()
    [-2.0, -4.0]
    """
    if task.value is None:
        raise MetricUnfit(f"nothing says what decisions on {task.target!r} are worth; give `value:` in the spec")
    made = _of(task, task.value, target, answer)
    if not task.amounts:
        return made
    if answer.amounts is None:
        columns = ", ".join(repr(amount.column) for amount in task.amounts)
        raise MetricUnfit(f"what decisions are worth depends on {columns}, which these rows lack; add the column")
    for place, amount in enumerate(task.amounts):
        made = made + _of(task, amount.times, target, answer) * answer.amounts[:, place]
    return made


def _of(task: Task, matrix: Matrix, target: NDArray[np.generic], answer: Answer) -> Floats:
    """Return what one matrix says of each outcome, shape (n,)."""
    worth: Floats = np.asarray(matrix, dtype=np.float64)
    if task.problem not in NUMERIC:
        return worth[np.asarray(target, dtype=np.int64), np.asarray(answer.decided, dtype=np.int64)]
    over, under = excess_and_lack(target, answer)
    return np.asarray(worth[0, 0] * over + worth[0, 1] * under)


def excess_and_lack(target: NDArray[np.generic], answer: Answer) -> tuple[Floats, Floats]:
    """Return by how much each row's number is too high and too low, each of shape (n,), 0 or more.

    Of a forecast they are means over the values that are known: a decision is one forecast of one value.

    Examples
    --------
    >>> two = Answer(np.zeros((1, 3)), np.array([[12.0, 9.0, 5.0]]))
    >>> [part.tolist() for part in excess_and_lack(np.array([[10.0, 10.0, np.nan]]), two)]
    [[1.0], [0.5]]
    """
    above = np.asarray(answer.decided, dtype=np.float64) - np.asarray(target, dtype=np.float64)
    over, under = np.maximum(above, 0.0), np.maximum(-above, 0.0)
    if above.ndim == 1:
        return over, under
    known = np.maximum((~np.isnan(above)).sum(axis=1), 1)
    return np.nansum(over, axis=1) / known, np.nansum(under, axis=1) / known


def per_unit(task: Task, rows: int, amounts: Floats | None = None) -> tuple[Floats, Floats]:
    """Return what a unit too much and a unit too little is worth in each row of a regression, each of shape (n,).

    Examples
    --------
    >>> from steelyard.contracts import Problem
    >>> task = Task(problem=Problem.REGRESSION, target="sold", aim="value", value=((-1.0, -4.0),))
    >>> [part.tolist() for part in per_unit(task, 2)]
    [[-1.0, -1.0], [-4.0, -4.0]]
    """
    over, under = (
        brought(task, np.zeros(rows), Answer(np.zeros((rows, 1)), np.full(rows, error), amounts=amounts))
        for error in (1.0, -1.0)
    )
    return over, under


def cheapest(values: Floats, over: Floats, under: Floats) -> float:
    """Return the number that costs least: the newsvendor's quantile of some values [3]_.

    Parameters
    ----------
    values
        What may turn out, shape (n,).
    over, under
        What each unit above and below it costs, 0 or more, shape (n,).

    Examples
    --------
    >>> cheapest(np.arange(1.0, 11.0), np.full(10, 1.0), np.full(10, 4.0))
    8.0
    """
    order = np.argsort(values, kind="stable")
    mass = np.cumsum((over + under)[order])  # one step right costs `over` of all below, and saves `under` of the rest
    place = int(np.searchsorted(mass, under.sum() * (1.0 - ROUNDING)))
    return float(values[order[min(place, len(order) - 1)]])


def value(rows: Rows, counts: Floats) -> Floats:
    """Return the money that a thousand decisions bring."""
    return mean(brought(rows.task, rows.target, rows.answer) * DECISIONS, counts)


def widest(task: Task) -> float:
    """Return the widest distance in money between two decisions on one class, at the largest amounts seen.

    Examples
    --------
    >>> from steelyard.contracts import Problem
    >>> widest(Task(problem=Problem.BINARY, target="y", aim="value", classes=("n", "y"), value=((0, -1), (-5, 2))))
    7.0
    """
    if task.value is None:
        return 0.0
    matrices = [np.asarray(task.value, np.float64)]
    for amount in task.amounts:
        matrices += [each + np.asarray(amount.times) * amount.high for each in matrices]
    return max(float(np.ptp(each, axis=1).max()) for each in matrices)
