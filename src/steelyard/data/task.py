"""The task of a spec: problem, classes, positive class, aim, and the money that decisions are worth."""

from __future__ import annotations

from typing import cast

import numpy as np

from steelyard.contracts import Amount, Matrix, Problem, Task
from steelyard.data.coerce import category_of
from steelyard.data.dataset import Finding, Severity
from steelyard.data.target import Target, positive_of
from steelyard.data.value import value_of
from steelyard.errors import SpecInvalid, nearest
from steelyard.spec import Spec
from steelyard.tasks import default_aim, metric
from steelyard.tasks.spans import codes_of


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
    value: Matrix | None = None
    amounts: tuple[Amount, ...] = ()
    if spec.value is not None and target.problem is Problem.TAGGING:
        raise SpecInvalid("value: tags have no outcomes with a value; leave it out, and choose by quality.metric")
    if spec.value is not None:
        value, amounts = value_of(spec.value, target.problem, target.classes, positive)
    aim = "value" if value is not None else spec.quality.metric or aim_of(target)
    task = Task(
        problem=target.problem,
        target=spec.target,
        aim=aim,
        classes=target.classes,
        positive=positive,
        value=value,
        currency="USD" if spec.value is None else spec.value.money_in(),
        amounts=amounts,
    )
    for name in {aim, spec.quality.metric or aim}:
        if refusal := metric(name).refusal(task):
            raise SpecInvalid(f"quality.metric: {refusal}")
    return task, findings


def aim_of(target: Target) -> str:
    """Return what is chosen by where the spec does not say: of tags that spell no entities the accuracy of tokens."""
    assert target.problem is not None
    if target.problem is Problem.TAGGING and not codes_of(target.classes).spells:
        return "token_accuracy"
    return default_aim(target.problem)


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
