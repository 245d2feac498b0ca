"""Columns that alone give the target away: they are known only afterwards, or are the target in other words.

Each number, category and time is scored alone, out of fold, on at most 3,000 development rows: by the target's mean
(most frequent class) within each category, or within bins of the number. Text and images are not scored: they may
rightly say it all. A column that is named like something that happens afterwards (``refund``, ``closed_date``) is
suspected from a lower score on. After Kaufman, Rosset, Perlich, Stitelman, "Leakage in Data Mining", ACM TKDD 2012.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Column, Columns, Floats, Ints, Kind, Problem, Schema, Task
from steelyard.data.dataset import Finding, Severity
from steelyard.data.hashing import Hashes
from steelyard.data.splits import deal

GIVES_AWAY = 0.995
"""Solo ROC AUC, accuracy or R2 from which a column stops a run."""
SUSPECT = {Problem.BINARY: 0.98, Problem.MULTICLASS: 0.95, Problem.REGRESSION: 0.9}
"""Solo score from which a column is worth a question."""
TELLING = {Problem.BINARY: 0.7, Problem.MULTICLASS: 0.3, Problem.REGRESSION: 0.3}
"""Solo score from which a column named like a result is worth a question: ROC AUC, R2, or the share of the errors of
the most frequent class that are put right."""
ROWS = 3_000
OF_EACH = 300
"""Rows of the rarer of two classes that a sample holds, if there are as many: few rows separate by chance."""
FEWEST_OF_EACH = 5
ENOUGH_ROWS, ENOUGH_OF_EACH = 200, 20
"""With fewer rows (or rows of the rarest class) one good column may separate all by nature: a warning, no stop."""
_FOLDS = 3
BINS = (2, 8, 64)
"""Rows of a bin; the width that answers best counts: narrow ones find an exact rule, wide ones a trend in noise."""
_NEAR = 0.2
"""How far below what is suspicious a column may score in one fold and still be scored in all."""
_RESULT = re.compile(
    r"(?:^|[_\W])(?:outcomes?|results?|resulting|after|afterwards|post|final(?:ly|_status)?|verdict|decision|decided|closed|"
    r"closing|close_(?:date|time)|resolved|resolution|settled|settlement|refund(?:ed|s)?|chargebacks?|repaid|recover(?:y|ies|ed)|"
    r"cancel(?:l?ed|lation)|churned|discharged?|death|died|defaulted|approved|rejected|converted|returned|"
    r"charged_off|collections?|completed)(?=$|[_\W])",
    re.IGNORECASE,
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NAME = {Problem.BINARY: "ROC AUC", Problem.MULTICLASS: "accuracy", Problem.REGRESSION: "R2"}
_SCORED = (Kind.NUMBER, Kind.TIME, Kind.CATEGORY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Development rows to look for leaks in: columns, coded target, and units that stay in one fold."""

    columns: Columns
    target: NDArray[Any]
    units: Hashes

    def sample(self, task: Task) -> Evidence:
        """Return about ``ROWS`` rows, chosen by the hash of their units; of two classes enough of the rarer one."""
        if len(self.target) <= ROWS:
            return self
        order = np.argsort(self.units, kind="stable")
        index = order[:ROWS]
        if task.problem is Problem.BINARY:
            rarer = order[self.target[order] == np.argmin(np.bincount(self.target, minlength=2))]
            index = np.union1d(index, rarer[:OF_EACH])
        index = np.sort(index)
        columns = {name: values[index] for name, values in self.columns.items()}
        return Evidence(columns=columns, target=self.target[index], units=self.units[index])


def leaks(evidence: Evidence, schema: Schema, task: Task) -> list[Finding]:
    """Return a finding for each column that gives the target away, alone or as a part of an exact sum.

    Parameters
    ----------
    evidence
        Development rows alone: test rows are not looked at.
    schema, task
        What the columns and the target are.
    """
    some = evidence.sample(task)
    if task.problem is Problem.BINARY and np.bincount(some.target, minlength=2).min() < FEWEST_OF_EACH:
        return []  # any column separates so few rows by chance
    found = []
    fold = folds_of(some, task)
    for column in schema.of(*_SCORED):
        named = is_result_name(column.name)
        score = solo(some, column, task, fold, (0 if named else SUSPECT[task.problem]) - _NEAR)
        if score >= SUSPECT[task.problem]:
            found.append(_finding(column.name, score, task, _severity(score, some, task)))
        elif named and _tells(score, some, task):
            found.append(_named(column.name, score, task))
    stopped = {finding.column for finding in found if finding.severity is Severity.STOP}
    if task.problem is Problem.REGRESSION and not stopped:
        found = [f for f in found if f.severity is not Severity.WARN] + _parts(some, schema, task, found)
    return found


def _severity(score: float, some: Evidence, task: Task) -> Severity:
    rarest = len(some.target) if task.problem is Problem.REGRESSION else int(np.bincount(some.target).min())
    enough = len(some.target) >= ENOUGH_ROWS and rarest >= min(ENOUGH_OF_EACH, len(some.target) // task.width)
    return Severity.STOP if score >= GIVES_AWAY and enough else Severity.WARN


def _finding(name: str, score: float, task: Task, severity: Severity) -> Finding:
    shown = f"column {name!r} alone predicts the target {task.target!r} with {_NAME[task.problem]} {score:.4f}"
    if severity is Severity.STOP:
        sentence = (
            f"{shown}: it gives the answer away, and will not be known when predicting; leave it out with "
            f"checks: {{leaks: drop}} or columns: {{ignore: [{name}]}}, or keep it with columns: {{allow: [{name}]}}"
        )
    else:
        sentence = f"{shown}; if it is not known yet when predicting, list it under columns.ignore"
    code = "leak" if severity is Severity.STOP else "suspect"
    return Finding(code=code, severity=severity, column=name, sentence=sentence, numbers={"solo_score": score})


def is_result_name(name: str) -> bool:
    """Tell whether a column is called like something that is known only afterwards.

    Examples
    --------
    >>> [is_result_name(n) for n in ("outcome", "closed_date", "RefundAmount", "after 30 days", "posture", "age")]
    [True, True, True, True, False, False]
    """
    return _RESULT.search(_HUMP.sub("_", name)) is not None


def _tells(score: float, some: Evidence, task: Task) -> bool:
    """Tell whether a column says something worth mentioning of the target."""
    if task.problem is Problem.MULTICLASS:
        usual = float(np.bincount(some.target).max() / len(some.target))
        score = (score - usual) / max(1 - usual, 1e-12)
    return score >= TELLING[task.problem]


def _named(name: str, score: float, task: Task) -> Finding:
    sentence = (
        f"column {name!r} is named like a result, and alone predicts the target {task.target!r} with "
        f"{_NAME[task.problem]} {score:.4f}; if it is not known yet when predicting, list it under columns.ignore"
    )
    numbers = {"solo_score": score}
    return Finding(code="suspect", severity=Severity.WARN, column=name, sentence=sentence, numbers=numbers)


# ----------------------------------------------------------------------------------------------- solo


def folds_of(some: Evidence, task: Task) -> Ints:
    """Return the fold of each row, in which every column is scored."""
    strata = np.zeros(len(some.target), dtype=np.int64) if task.problem is Problem.REGRESSION else some.target
    return deal(some.units, strata, [1 / _FOLDS] * _FOLDS, "check")


def solo(some: Evidence, column: Column, task: Task, fold: Ints, least: float = -np.inf) -> float:
    """Return how well one column predicts the target out of fold: ROC AUC, accuracy, or R2.

    A column that stays below ``least`` in the first fold scores 0 and is not looked at again: tables have thousands.

    Accuracy is scaled so that the most frequent class scores 0 when it already reaches 99%: there, raw accuracy
    says nothing.
    """
    values = some.columns[column.name]
    target = some.target.astype(np.float64) if task.problem is not Problem.MULTICLASS else some.target
    category = column.kind is Kind.CATEGORY
    codings = [_category_codes] if category else [functools.partial(_bin_codes, size) for size in BINS]
    score = 0.0
    for coding in codings:
        answers = np.zeros(len(values))
        for k in range(_FOLDS):
            train = fold != k
            if train.all() or not train.any():
                continue
            code = coding(values[train])
            answers[~train] = _usual(code(values[train]), target[train], task)[code(values[~train])]
            if k == 0 and _score(target[~train], answers[~train], task) < least:
                break
        else:
            score = max(score, _score(target, answers, task))
    straight = task.problem is Problem.REGRESSION and not category
    return max(score, _straight(values, target)) if straight else score


_Code = Callable[[NDArray[Any]], Ints]
"""Gives each value the number of its group; -1 where no training row was like it."""


def _usual(codes: Ints, target: Any, task: Task) -> Floats:
    """Return what each group answers, its mean or most frequent class, and last what the rest does."""
    groups = int(codes.max(initial=-1)) + 1
    if task.problem is not Problem.MULTICLASS:
        means = np.bincount(codes, weights=target) / np.maximum(np.bincount(codes), 1)
        return np.append(means, target.mean())
    table = np.bincount(codes * len(task.classes) + target, minlength=groups * len(task.classes))
    usual = table.reshape(groups, -1).argmax(axis=1)
    return np.append(usual, np.bincount(target).argmax()).astype(np.float64)


def _bin_codes(size: int, values: Floats) -> _Code:
    """Return the bin of a value: ``size`` rows side by side; a frequent value and a missing one have their own."""
    known, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    bins = (np.cumsum(counts) - counts / 2) // size
    last = np.flatnonzero(np.diff(bins))
    edges = known[last] / 2 + known[last + 1] / 2
    return lambda some: np.where(np.isnan(some), len(edges) + 1, np.searchsorted(edges, some))


def _category_codes(values: NDArray[Any]) -> _Code:
    """Return the number of a category; a missing one is one of them."""
    known = {value: code for code, value in enumerate(dict.fromkeys(values.tolist()))}
    return lambda some: np.array([known.get(value, -1) for value in some.tolist()], dtype=np.int64)


def _score(target: NDArray[Any], answers: Floats, task: Task) -> float:
    if task.problem is Problem.REGRESSION:
        spread = float(np.sum((target - target.mean()) ** 2))
        return 1 - float(np.sum((target - answers) ** 2)) / spread if spread else 0.0
    if task.problem is Problem.BINARY:
        return _auc(target, answers)
    right = float(np.mean(answers == target))
    usual = float(np.bincount(target).max() / len(target))
    return right if usual < 0.99 else (right - usual) / max(1 - usual, 1e-12)


def _auc(target: Floats, answers: Floats) -> float:
    """Return the ROC AUC by mean ranks: a hundred columns are scored, and a general function takes its time."""
    _, inverse, counts = np.unique(answers, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive, total = float(target.sum()), len(target)
    if not 0 < positive < total:
        return 0.0
    return float((ranks @ target - positive * (positive + 1) / 2) / (positive * (total - positive)))


def _straight(values: Floats, target: Floats) -> float:
    """Return the squared correlation: a copy in other units, which a tree only follows in steps."""
    known = ~np.isnan(values)
    if known.mean() < GIVES_AWAY or not np.ptp(values[known]) or not np.ptp(target[known]):
        return 0.0
    return float(np.corrcoef(values[known], target[known])[0, 1] ** 2)


# ----------------------------------------------------------------------------------------------- sums


def _parts(some: Evidence, schema: Schema, task: Task, suspects: list[Finding]) -> list[Finding]:
    """Return a finding for each part of an exact sum: columns that add up (or subtract) to the target."""
    names = [c.name for c in schema.of(Kind.NUMBER) if c.missing == 0]
    parts = exact_sum({name: some.columns[name] for name in names}, some.target)
    if not parts:
        return suspects
    listed = " and ".join(f"{'-' if sign < 0 else ''}{name}" for name, sign in parts.items())
    rest = [finding for finding in suspects if finding.column not in parts]
    return rest + [
        Finding(
            code="leak",
            severity=Severity.STOP,
            column=name,
            sentence=f"column {name!r} is a part of the target {task.target!r}, which is exactly the sum of {listed} "
            "(R2 1.0000 together); leave the parts out with checks: {leaks: drop} or columns.ignore, or keep them "
            f"with columns: {{allow: [{', '.join(parts)}]}}",
            numbers={"solo_score": 1.0},
        )
        for name in parts
    ]


def exact_sum(columns: Columns, target: Floats) -> dict[str, int]:
    """Return the columns whose sum (sign +1 or -1) is the target in every row, or nothing.

    Examples
    --------
    >>> a, b, c = np.random.default_rng(0).integers(0, 99, (3, 50)).astype(float)
    >>> exact_sum({"a": a, "b": b, "c": c}, a + b)
    {'a': 1, 'b': 1}
    """
    names = list(columns)
    if not names or len(target) <= 2 * len(names) or len(target) < ENOUGH_OF_EACH:
        return {}
    matrix = np.column_stack([*(columns[name] for name in names), np.ones(len(target))])
    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0] = 1
    weights = np.linalg.lstsq(matrix / scale, target, rcond=None)[0] / scale
    parts = {name: round(float(w)) for name, w in zip(names, weights, strict=False) if abs(w) > 1e-6}
    total: Ints | Floats = sum((sign * columns[name] for name, sign in parts.items()), np.zeros(len(target)))
    tolerance = 1e-9 * max(float(np.abs(target).max()), 1.0)
    exact = len(parts) > 1 and set(parts.values()) <= {1, -1} and bool(np.abs(total - target).max() <= tolerance)
    return parts if exact else {}
