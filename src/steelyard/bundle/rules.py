"""How scores become a decision, and how the answers of several members become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.scores import IN_MONEY, MEASURES, is_curve, number, pooled, sureness, swayed, tempered, worth_of
from steelyard.bundle.tags import decode, outweighed
from steelyard.contracts import NUMERIC, Answer, Floats, Problem, Rule, Task
from steelyard.contracts.ragged import flattened
from steelyard.errors import BundleRefused, nearest
from steelyard.tasks.money import widest
from steelyard.tasks.spans import OUTSIDE

Mask = NDArray[np.bool_]
TEMPERATURES = (1e-3, 1e3)
CHOSEN = ("low", "high", "rows")


def answer_of(task: Task, scores: Floats, amounts: Floats | None = None) -> Answer:
    """Decide on scores.

    Regression and forecasting take the values themselves; tagging the most probable tags that are consistent
    (:func:`steelyard.bundle.tags.decode`). Classification takes the class of the highest probability or, where the
    task says what decisions are worth, the class of the highest expected value; the first one of a tie. Amounts that
    are known when a decision is made count row by row (:func:`steelyard.bundle.scores.worth_of`).

    Parameters
    ----------
    task
        What is predicted; ``task.value[true][decided]`` in money.
    scores
        float64, shape (n, classes) of probabilities, or (n, 1) of values.
    amounts
        float64, shape (n, amounts of the task): the money at stake in each row; the answer carries it on.

    Examples
    --------
    >>> task = Task(problem=Problem.BINARY, target="y", aim="value", classes=("no", "yes"), value=((0, -1), (-9, 0)))
    >>> answer_of(task, np.array([[0.8, 0.2], [0.95, 0.05]])).decided.tolist()
    [1, 0]
    """
    if task.problem in NUMERIC:
        return Answer(scores, scores if task.problem is Problem.FORECASTING else scores[:, 0], amounts=amounts)
    if task.problem is Problem.TAGGING:
        return Answer(scores, decode(task.classes, scores))
    worth = scores if task.value is None else worth_of(task, scores, amounts)
    return Answer(scores, worth.argmax(axis=1), amounts=amounts)


class Ask(Protocol):
    """How a rule gets at its members: ``ask(k)`` is member k's answer to every row, ``ask(k, some)`` to a mask of them.

    A member is run only when it is asked, and only for those rows.
    """

    def __call__(self, member: int, some: Mask | None = None, /) -> Answer:
        """Return what one member answers."""
        ...


Joiner = Callable[[Ask], Answer]


@dataclass(frozen=True, slots=True)
class Runner:
    """A kind of rule: ``check`` returns a complaint or ``None``, ``ready`` makes what joins the members' answers."""

    check: Callable[[Rule, int, Task], str | None]
    ready: Callable[[Rule, Task], Joiner]


def _fields(rule: Rule, *names: str, also: tuple[str, ...] = ()) -> str | None:
    if set(rule) - set(also) == {"rule", *names}:
        return None
    return f"must have {' and '.join(map(repr, names))} and nothing else; got {', '.join(sorted(rule))}"


def _members(members: int, needed: int, task: Task) -> str | None:
    """Complain of a rule on probabilities that has another number of members than it joins, or joins values."""
    if members == needed and task.problem in {Problem.BINARY, Problem.MULTICLASS}:
        return None
    noun = "one member" if needed == 1 else f"{needed} members"
    return f"is for {noun} with probabilities; got {members} and {task.problem.value}"


# --------------------------------------------------------------------------------------------- blend, threshold


def _check_blend(rule: Rule, members: int, task: Task) -> str | None:
    del task
    if complaint := _fields(rule, "weights"):
        return complaint
    weights = rule["weights"]
    if not isinstance(weights, Sequence) or len(weights) != members:
        return f"needs one weight for each of its {members} members; got {weights!r}"
    if not all(number(weight) and weight >= 0 for weight in weights) or not sum(weights) > 0:
        return f"needs weights of 0 or more with a sum above 0; got {weights!r}"
    return None


def _blend(rule: Rule, task: Task) -> Joiner:
    total = math.fsum(rule["weights"])
    shares = [weight / total for weight in rule["weights"]]

    def join(ask: Ask) -> Answer:
        first = ask(0)
        scores = first.scores * shares[0]
        for member, share in enumerate(shares[1:], 1):
            scores += ask(member).scores * share
        return answer_of(task, scores, first.amounts)

    return join


def _check_pool(rule: Rule, members: int, task: Task) -> str | None:
    if complaint := _fields(rule, "weights", "offsets"):
        return complaint
    for name, needed, noun in (("weights", members, "members"), ("offsets", task.width, "columns of scores")):
        given = rule[name]
        if not isinstance(given, Sequence) or len(given) != needed or not all(number(one) for one in given):
            return f"needs one of {name} for each of its {needed} {noun}; got {given!r}"
    if min(rule["weights"]) < 0 or max(rule["weights"]) <= 0:
        return f"needs weights of 0 or more with a sum above 0; got {rule['weights']!r}"
    return None


def _pool(rule: Rule, task: Task) -> Joiner:
    weights, offsets = list(map(float, rule["weights"])), list(map(float, rule["offsets"]))
    used = [member for member, weight in enumerate(weights) if weight > 0]
    kept = [weights[member] for member in used]

    def join(ask: Ask) -> Answer:
        answers = [ask(member) for member in used]
        scores = [answer.scores for answer in answers]
        if task.problem is Problem.REGRESSION:
            total = np.asarray(sum((w * m for w, m in zip(kept, scores, strict=True)), np.asarray(offsets)))
            return answer_of(task, total, answers[0].amounts)
        return answer_of(task, pooled(scores, kept, offsets), answers[0].amounts)

    return join


def _check_threshold(rule: Rule, members: int, task: Task) -> str | None:
    if complaint := _fields(rule, "positive", "at", also=("chosen",)) or _decides(rule, members, task):
        return complaint
    return None if number(rule["at"]) else f"needs a number to compare with; got {rule['at']!r}"


def _decides(rule: Rule, members: int, task: Task) -> str | None:
    """Complain of a rule that decides for the positive class of one member where there is none."""
    if members != 1 or task.problem is not Problem.BINARY:
        return f"decides on one member of a binary task; got {members} and {task.problem.value}"
    if not number(rule["positive"]) or rule["positive"] not in {0, 1}:
        return f"needs the code of the positive class, 0 or 1; got {rule['positive']!r}"
    return _chosen(rule)


def _chosen(rule: Rule) -> str | None:
    if "chosen" in rule and not _is_note(rule["chosen"], CHOSEN):
        return f"needs {', '.join(CHOSEN)} as chosen; got {rule['chosen']!r}"
    return None


def _threshold(rule: Rule, task: Task) -> Joiner:
    del task
    positive, at = int(rule["positive"]), rule["at"]
    yes, no = np.int64(positive), np.int64(1 - positive)

    def join(ask: Ask) -> Answer:
        given = ask(0)
        return Answer(given.scores, np.where(given.scores[:, positive] >= at, yes, no), amounts=given.amounts)

    return join


def _check_odds(rule: Rule, members: int, task: Task) -> str | None:
    if complaint := _fields(rule, "positive", "times", also=("chosen",)) or _decides(rule, members, task):
        return complaint
    if task.value is None:
        return "needs a task that says what decisions are worth"
    if number(rule["times"]) and rule["times"] >= 0:
        return None
    return f"needs a factor of 0 or more; got {rule['times']!r}"


def _odds(rule: Rule, task: Task) -> Joiner:
    positive, times = int(rule["positive"]), float(rule["times"])

    def join(ask: Ask) -> Answer:
        given = ask(0)
        decided = answer_of(task, swayed(given.scores, positive, times), given.amounts).decided
        return Answer(given.scores, decided, amounts=given.amounts)

    return join


def _check_line(rule: Rule, members: int, task: Task) -> str | None:
    if complaint := _fields(rule, "plus", "times", also=("chosen",)) or _chosen(rule):
        return complaint
    if members != 1 or task.problem not in NUMERIC:
        return f"is for one member that predicts a number; got {members} and {task.problem.value}"
    wrong = [name for name in ("plus", "times") if not number(rule[name])]
    return f"needs a number as {wrong[0]!r}; got {rule[wrong[0]]!r}" if wrong else None


def _line(rule: Rule, task: Task) -> Joiner:
    del task
    plus, times = float(rule["plus"]), float(rule["times"])

    def join(ask: Ask) -> Answer:
        given = ask(0)
        return Answer(given.scores, plus + times * given.decided, amounts=given.amounts)

    return join


# -------------------------------------------------------------------------------------------------------- tags


def _check_outside(rule: Rule, members: int, task: Task) -> str | None:
    if complaint := _fields(rule, "times", also=("chosen",)) or _chosen(rule):
        return complaint
    if members != 1 or task.problem is not Problem.TAGGING or OUTSIDE not in task.classes:
        return f"is for one member that tags entities; got {members} and {task.problem.value}"
    if number(rule["times"]) and rule["times"] > 0:
        return None
    return f"needs a factor above 0; got {rule['times']!r}"


def _outside(rule: Rule, task: Task) -> Joiner:
    times, outside = float(rule["times"]), task.classes.index(OUTSIDE)

    def join(ask: Ask) -> Answer:
        given = ask(0)
        if not len(given.scores):
            return given
        return Answer(given.scores, decode(task.classes, outweighed(*flattened(given.scores), outside, times)))

    return join


# ------------------------------------------------------------------------------------------------- calibration


def _check_temperature(rule: Rule, members: int, task: Task) -> str | None:
    if complaint := _fields(rule, "at") or _members(members, 1, task):
        return complaint
    low, high = TEMPERATURES
    if number(rule["at"]) and low <= rule["at"] <= high:
        return None
    return f"needs a temperature from {low:g} to {high:g}; got {rule['at']!r}"


def _temperature(rule: Rule, task: Task) -> Joiner:
    def join(ask: Ask) -> Answer:
        given = ask(0)
        return answer_of(task, tempered(given.scores, rule["at"]), given.amounts)

    return join


def _check_isotonic(rule: Rule, members: int, task: Task) -> str | None:
    if complaint := _fields(rule, "curves") or _members(members, 1, task):
        return complaint
    curves, needed = rule["curves"], 1 if task.problem is Problem.BINARY else task.width
    if not isinstance(curves, Sequence) or len(curves) != needed:
        return f"needs one curve for each class, of two classes for the second alone: {needed} here"
    if all(is_curve(curve) for curve in curves):
        return None
    return "needs curves of 'from', rising from 0 to 1 at most, and as many 'to' above 0 and below 1 that never fall"


def _isotonic(rule: Rule, task: Task) -> Joiner:
    curves = [(np.array(curve["from"], np.float64), np.array(curve["to"], np.float64)) for curve in rule["curves"]]

    def join(ask: Ask) -> Answer:
        given = ask(0)
        scores = given.scores
        if len(curves) == 1:
            chance = np.interp(scores[:, 1], *curves[0])
            return answer_of(task, np.column_stack([1.0 - chance, chance]), given.amounts)
        meant = np.column_stack([np.interp(scores[:, code], *curve) for code, curve in enumerate(curves)])
        return answer_of(task, meant / meant.sum(axis=1, keepdims=True), given.amounts)

    return join


# ----------------------------------------------------------------------------------------------------- cascade


_NOTES = {"escalated": ("share", "low", "high", "rows"), "promise": ("metric", "lost_at_most", "confidence")}
"""What a cascade may say of itself, and what stands in that; the metric is a word, the rest are numbers."""


def _check_cascade(rule: Rule, members: int, task: Task) -> str | None:
    if complaint := _fields(rule, "measure", "at", also=tuple(_NOTES)) or _members(members, 2, task):
        return complaint
    if rule["measure"] not in MEASURES:
        return f"needs one of the measures {', '.join(MEASURES)}; got {rule['measure']!r}"
    if rule["measure"] in IN_MONEY and not widest(task):
        return f"needs a task that says what decisions are worth for the measure {rule['measure']!r}"
    if not number(rule["at"]) or not 0 <= rule["at"] <= 1:
        return f"needs a number from 0 to 1 to compare with; got {rule['at']!r}"
    wrong = [name for name in _NOTES if name in rule and not _is_note(rule[name], _NOTES[name])]
    return f"needs {', '.join(_NOTES[wrong[0]])} as {wrong[0]!r}; got {rule[wrong[0]]!r}" if wrong else None


def _is_note(note: object, names: tuple[str, ...]) -> bool:
    if not isinstance(note, Mapping) or set(note) != set(names):
        return False
    return all(isinstance(value, str) if name == "metric" else number(value) for name, value in note.items())


def _cascade(rule: Rule, task: Task) -> Joiner:
    measure, at = rule["measure"], rule["at"]

    def join(ask: Ask) -> Answer:
        cheap = ask(0)
        unsure = sureness(measure, cheap.scores, task, cheap.amounts) < at
        members = unsure.astype(np.int64)
        if not unsure.any():
            return Answer(cheap.scores, cheap.decided, members, cheap.amounts)
        if unsure.all():
            dear = ask(1)
            return Answer(dear.scores, dear.decided, members, cheap.amounts)
        dear, scores, decided = ask(1, unsure), cheap.scores.copy(), cheap.decided.copy()
        scores[unsure], decided[unsure] = dear.scores, dear.decided
        return Answer(scores, decided, members, cheap.amounts)

    return join


RULES: Mapping[str, Runner] = {
    "blend": Runner(_check_blend, _blend),
    "pool": Runner(_check_pool, _pool),
    "threshold": Runner(_check_threshold, _threshold),
    "odds": Runner(_check_odds, _odds),
    "line": Runner(_check_line, _line),
    "outside": Runner(_check_outside, _outside),
    "temperature": Runner(_check_temperature, _temperature),
    "isotonic": Runner(_check_isotonic, _isotonic),
    "cascade": Runner(_check_cascade, _cascade),
}
"""Every rule by its name.

``blend``: the mean of the scores, weighted by ``weights``. ``pool``: the weighted sum of the logarithms of
probabilities (of values: of themselves) and ``offsets``, made probabilities again. ``threshold``: the class of code
``positive`` where its score is ``at`` or more, the other one elsewhere; scores pass unchanged. ``odds``: the decision
of most expected money if the odds of class ``positive`` were ``times`` as high; scores pass unchanged. ``line``: the
predicted number times ``times``, and ``plus``; scores pass unchanged. ``outside``: the tags of tokens if ``O`` were
``times`` as probable; scores pass unchanged. ``chosen`` says within which ends, and from how many rows, a decision was
chosen, and changes no answer. ``temperature``: the logarithms of the probabilities over ``at``. ``isotonic``: each
probability read off a rising curve (``curves``, of two classes the second's alone), then scaled to a sum of one.
``cascade``: the first member's answer where its ``measure`` of sureness is ``at`` or more, the second's elsewhere;
``escalated`` and ``promise`` say what was seen and promised when it was fitted, and change no answer.
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

    def at_hand(member: int, some: Mask | None = None) -> Answer:
        answer = answers[member]
        return answer if some is None else answer.take(some)

    return check_rule(rule, len(answers), task).ready(rule, task)(at_hand)
