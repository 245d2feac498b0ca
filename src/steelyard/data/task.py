"""The task of a spec: problem, classes, positive class, aim, and the money that decisions are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from steelyard.contracts import Problem, Task
from steelyard.data.coerce import category_of
from steelyard.data.dataset import Finding, Severity
from steelyard.data.target import Target, positive_of
from steelyard.errors import SpecInvalid, nearest
from steelyard.spec import Spec, Value
from steelyard.tasks import default_aim, metric

_BINARY_OUTCOMES = {
    "true_positive": (True, True),
    "false_positive": (False, True),
    "true_negative": (False, False),
    "false_negative": (True, False),
}
"""Outcome to whether the row is positive, and whether it is called so."""


def task_of(spec: Spec, target: Target) -> tuple[Task, list[Finding]]:
    """Return the task, and a finding where the positive class had to be chosen.

    Raises
    ------
    SpecInvalid
        If the spec asks for what this target cannot have: a positive class, outcomes or a metric of another
        kind of task.
    """
    assert target.problem is not None
    positive, findings = _positive(spec, target)
    value = None if spec.value is None else _matrix(spec.value, target, positive)
    aim = "value" if value is not None else spec.quality.metric or default_aim(target.problem)
    task = Task(
        problem=target.problem,
        target=spec.target,
        aim=aim,
        classes=target.classes,
        positive=positive,
        value=value,
        currency="USD" if spec.value is None else _currency(spec.value),
    )
    for name in {aim, spec.quality.metric or aim}:
        if refusal := metric(name).refusal(task):
            raise SpecInvalid(f"quality.metric: {refusal}")
    return task, findings


def _positive(spec: Spec, target: Target) -> tuple[str | None, list[Finding]]:
    if target.problem is not Problem.BINARY:
        if spec.positive is not None:
            raise SpecInvalid(f"positive: only a task with two classes has one, and this is {target.problem}; drop it")
        return None, []
    if spec.positive is not None:
        given = category_of(spec.positive)
        if given not in target.classes:
            known = " and ".join(map(repr, target.classes))
            raise SpecInvalid(
                f"positive: the target has no class {given!r}{nearest(given, target.classes)}; it has {known}"
            )
        return given, []
    counts = np.bincount(target.values[target.keep], minlength=2).tolist()
    classes = cast("tuple[str, str]", target.classes)
    positive, why = positive_of(classes, counts)
    sentence = (
        f"class {positive!r} is taken for the positive one ({why}); write positive: "
        f"{next(c for c in classes if c != positive)!r} for the other"
    )
    numbers = {"rows": float(counts[classes.index(positive)])}
    return positive, [
        Finding(code="positive_class", severity=Severity.NOTE, column=spec.target, sentence=sentence, numbers=numbers)
    ]


def _amounts(value: Value) -> dict[str, float]:
    return {n: float(m.amount) for n in (*_BINARY_OUTCOMES, "right", "wrong") if (m := getattr(value, n)) is not None}


def _currency(value: Value) -> str:
    found = {m.currency for n in (*_BINARY_OUTCOMES, "right", "wrong") if (m := getattr(value, n)) is not None}
    if len(found) > 1:
        raise SpecInvalid(f"value: amounts are in {' and '.join(sorted(found))}; write them in one currency")
    return found.pop() if found else "USD"


def _matrix(value: Value, target: Target, positive: str | None) -> tuple[tuple[float, ...], ...]:
    """Return money per decision: a row for each true class, a column for each decided one."""
    amounts = _amounts(value)
    classes: Sequence[str] = target.classes
    if target.problem is Problem.REGRESSION:
        raise SpecInvalid("value: outcomes are right or wrong, which predicted numbers are not; drop value")
    named = [name for name in _BINARY_OUTCOMES if name in amounts]
    if named and positive is None:
        raise SpecInvalid(f"value.{named[0]}: the task has {len(classes)} classes; give `right` and `wrong` instead")
    made = np.full((len(classes), len(classes)), amounts.get("wrong", 0.0))
    np.fill_diagonal(made, amounts.get("right", 0.0))
    for name in named:
        is_positive, called = _BINARY_OUTCOMES[name]
        rows, columns = ([(c == positive) is flag for c in classes] for flag in (is_positive, called))
        made[np.ix_(rows, columns)] = amounts[name]
    return tuple(tuple(float(amount) for amount in row) for row in made)
