"""How scores become a decision, and how the answers of several members become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.contracts import Answer, Floats, Problem, Rule, Task
from steelyard.errors import BundleRefused, nearest


def answer_of(task: Task, scores: Floats) -> Answer:
    """Decide on scores.

    Regression takes the value itself. Classification takes the class of the highest probability or, where the
    task says what decisions are worth, the class of the highest expected value; the first one of a tie.

    Parameters
    ----------
    task
        What is predicted; ``task.value[true][decided]`` in money.
    scores
        float64, shape (n, classes) of probabilities, or (n, 1) of values.

    Examples
    --------
    >>> task = Task(problem=Problem.BINARY, target="y", aim="value", classes=("no", "yes"), value=((0, -1), (-9, 0)))
    >>> answer_of(task, np.array([[0.8, 0.2], [0.95, 0.05]])).decided.tolist()
    [1, 0]
    """
    if task.problem is Problem.REGRESSION:
        return Answer(scores, scores[:, 0])
    worth = scores if task.value is None else _expected(scores, np.asarray(task.value, np.float64))
    return Answer(scores, worth.argmax(axis=1))


def _expected(scores: Floats, value: Floats) -> Floats:
    """Return the expected value of each decision, shape (n, classes); a row's figures do not depend on the others."""
    expected: Floats = scores[:, :1] * value[0]
    for true in range(1, len(value)):
        expected += scores[:, true : true + 1] * value[true]
    return expected


@dataclass(frozen=True, slots=True)
class Runner:
    """A kind of rule: ``check`` returns a complaint or ``None``, ``run`` joins the members' answers."""

    check: Callable[[Rule, int, Task], str | None]
    run: Callable[[Rule, Sequence[Answer], Task], Answer]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _fields(rule: Rule, *names: str) -> str | None:
    if set(rule) == {"rule", *names}:
        return None
    return f"must have {' and '.join(map(repr, names))} and nothing else; got {', '.join(sorted(rule))}"


def _check_blend(rule: Rule, members: int, task: Task) -> str | None:
    del task
    if complaint := _fields(rule, "weights"):
        return complaint
    weights = rule["weights"]
    if not isinstance(weights, Sequence) or len(weights) != members:
        return f"needs one weight for each of its {members} members; got {weights!r}"
    if not all(_number(weight) and weight >= 0 for weight in weights) or not sum(weights) > 0:
        return f"needs weights of 0 or more with a sum above 0; got {weights!r}"
    return None


def _blend(rule: Rule, answers: Sequence[Answer], task: Task) -> Answer:
    total = math.fsum(rule["weights"])
    shares = [weight / total for weight in rule["weights"]]
    scores = answers[0].scores * shares[0]
    for share, answer in zip(shares[1:], answers[1:], strict=True):
        scores += answer.scores * share
    return answer_of(task, scores)


def _check_threshold(rule: Rule, members: int, task: Task) -> str | None:
    if complaint := _fields(rule, "positive", "at"):
        return complaint
    if members != 1 or task.problem is not Problem.BINARY:
        return f"decides on one member of a binary task; got {members} and {task.problem.value}"
    if not _number(rule["positive"]) or rule["positive"] not in {0, 1}:
        return f"needs the code of the positive class, 0 or 1; got {rule['positive']!r}"
    return None if _number(rule["at"]) else f"needs a number to compare with; got {rule['at']!r}"


def _threshold(rule: Rule, answers: Sequence[Answer], task: Task) -> Answer:
    del task
    (answer,) = answers
    positive = int(rule["positive"])
    called = answer.scores[:, positive] >= rule["at"]
    return Answer(answer.scores, np.where(called, np.int64(positive), np.int64(1 - positive)))


RULES: Mapping[str, Runner] = {
    "blend": Runner(_check_blend, _blend),
    "threshold": Runner(_check_threshold, _threshold),
}
"""Every rule by its name.

``blend``: the mean of the scores, weighted by ``weights``. ``threshold``: the class of code ``positive`` where its
score is ``at`` or more, the other one elsewhere; scores pass unchanged.
"""


def check_rule(rule: Mapping[str, Any], members: int, task: Task) -> Runner:
    """Return the runner of a rule.

    Raises
    ------
    BundleRefused
        If no such rule is known, or it does not fit the number of members or the task.
    """
    name = rule.get("rule")
    runner = RULES.get(name) if isinstance(name, str) else None
    if runner is None:
        raise BundleRefused(f"no rule is named {name!r}{nearest(name, RULES)}; known: {', '.join(RULES)}")
    if complaint := runner.check(rule, members, task):
        raise BundleRefused(f"rule {name!r} {complaint}")
    return runner


def apply_rule(rule: Rule, answers: Sequence[Answer], task: Task) -> Answer:
    """Join members' answers to the same rows into one.

    Examples
    --------
    >>> task = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"))
    >>> first, second = (answer_of(task, np.array([[1 - p, p]])) for p in (0.2, 0.6))
    >>> apply_rule({"rule": "blend", "weights": [1, 3]}, [first, second], task).scores.round(6).tolist()
    [[0.5, 0.5]]
    >>> apply_rule({"rule": "threshold", "positive": 1, "at": 0.15}, [first], task).decided.tolist()
    [1]
    """
    return check_rule(rule, len(answers), task).run(rule, answers, task)
