"""Whether an answer fits the rows it is judged on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import NUMERIC, Answer, Floats, Ints, Problem, Task
from steelyard.contracts.ragged import flattened
from steelyard.errors import SteelyardError
from steelyard.tasks.metric import are_probabilities


class AnswerUnfit(SteelyardError):
    """What a model says of some rows cannot be judged."""


def check_answer(
    task: Task,
    target: NDArray[Any],
    answer: Answer,
    weights: Floats | None = None,
    groups: Ints | None = None,
) -> None:
    """Refuse to measure what would only give a figure that means nothing.

    Raises
    ------
    AnswerUnfit
        If there are no rows; a shape differs; the answer is not finite or, for classes, no probabilities; a decided
        class does not exist; or a weight is not positive.
    """
    if task.problem is Problem.TAGGING:
        why = _tags(task, target, answer) or _numbers_of_rows(len(target), weights, groups)
        if why:
            raise AnswerUnfit(f"cannot measure {task.target!r}: {why}")
        return
    if why := _shapes(task, target, answer, weights, groups) or _numbers(task, answer, weights) or _money(task, answer):
        raise AnswerUnfit(f"cannot measure {task.target!r}: {why}")


def _tags(task: Task, target: NDArray[Any], answer: Answer) -> str | None:
    """Complain of answers to rows of tokens that do not fit them."""
    if not len(target):
        return "there are no rows; give at least one row with tags"
    if not len(target) == len(answer.scores) == len(answer.decided):
        return f"{len(answer.decided):,} rows are answered of {len(target):,}; answer each"
    for row, (tags, own, scores) in enumerate(zip(target, answer.decided, answer.scores, strict=True)):
        if own.shape != tags.shape or scores.shape != (len(tags), task.width):
            return f"row {row} (from 0) has {len(tags)} tokens, and is answered for {len(own)}"
    scores, _ = flattened(answer.scores)
    decided, _ = flattened(answer.decided)
    if len(scores) and not are_probabilities(scores):
        return "scores must be probabilities that add up to one in each token"
    if ((decided < 0) | (decided >= task.width)).any():
        return f"decisions must be codes of tags from 0 to {task.width - 1}"
    return None


def _numbers_of_rows(rows: int, weights: Floats | None, groups: Ints | None) -> str | None:
    for name, each in (("weights", weights), ("groups", groups)):
        if each is not None and each.shape != (rows,):
            return f"{name} must have shape {(rows,)}, one a row; got {each.shape}"
    if weights is not None and not (np.isfinite(weights) & (weights > 0)).all():
        return "row weights must be positive numbers; drop the rows that weigh nothing"
    return None


def _shapes(
    task: Task, target: NDArray[Any], answer: Answer, weights: Floats | None, groups: Ints | None
) -> str | None:
    n = len(target)
    if n == 0:
        return "there are no rows; give at least one row with a target"
    if answer.scores.shape != (n, task.width):
        return f"scores must have shape {(n, task.width)}, a row each and a column a class; got {answer.scores.shape}"
    for name, each in (("decisions", answer.decided), ("weights", weights), ("groups", groups)):
        if name == "decisions" and task.problem is Problem.FORECASTING:
            if answer.decided.shape != target.shape or target.shape != (n, task.width):
                return f"decisions and target must have shape {(n, task.width)}; got {answer.decided.shape}"
            continue
        if each is not None and each.shape != (n,):
            return f"{name} must have shape {(n,)}, one a row; got {each.shape}"
    return None


def _money(task: Task, answer: Answer) -> str | None:
    """Complain of money at stake that is not there, where decisions are worth shares of it."""
    if not task.amounts or answer.amounts is None:
        return (
            f"the money at stake in {task.amounts[0].column!r} is not given; add the column" if task.amounts else None
        )
    if answer.amounts.shape != (len(answer.decided), len(task.amounts)):
        shape = (len(answer.decided), len(task.amounts))
        return f"amounts must have shape {shape}, a row each and a column an amount; got {answer.amounts.shape}"
    lost = np.logical_not(np.all(answer.amounts >= 0, axis=1, keepdims=True))
    if lost.any():
        return f"the money at stake is no number of 0 or more in {np.count_nonzero(lost):,} of {len(lost):,} rows"
    return None


def _numbers(task: Task, answer: Answer, weights: Floats | None) -> str | None:
    finite = np.isfinite(answer.scores).all(axis=1) & np.isfinite(answer.decided.reshape(len(answer.decided), -1)).all(
        1
    )
    if not finite.all():
        return f"the answer is not finite in {np.count_nonzero(~finite):,} of {len(finite):,} rows"
    if weights is not None and not (np.isfinite(weights) & (weights > 0)).all():
        return "row weights must be positive numbers; drop the rows that weigh nothing"
    if task.problem in NUMERIC:
        return None
    if not are_probabilities(answer.scores):
        return "scores must be probabilities that add up to one in each row"
    if ((answer.decided < 0) | (answer.decided >= task.width)).any():
        return f"decisions must be class codes from 0 to {task.width - 1}"
    return None
