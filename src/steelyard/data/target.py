"""From the target's cells to class codes or numbers, and everything about them that stops a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Kind, Problem
from steelyard.data.dataset import Finding, Severity
from steelyard.data.fast import as_list, categories, measured
from steelyard.data.multilabel import several_labels
from steelyard.data.table import Cells
from steelyard.spec import Spec

MOST_CODED = 20
"""Whole numbers with at most this many values are taken for classes, unless the spec says regression."""
ROWS_PER_VALUE = 5
TOO_RARE, RARE = 3, 10
"""Rows that a class needs to be in training, validation and test at all, and to be judged at all well."""
_NEXT_TO = ("no", "false", "n", "0", "-1", "neg", "negative", "good", "ham", "benign", "normal", "healthy", "legit")
_POSITIVE = ("yes", "true", "y", "1", "1", "pos", "positive", "bad", "spam", "malignant", "abnormal", "sick", "fraud")


@dataclass(frozen=True, slots=True)
class Target:
    """A coded target: classes and int64 codes, or float64 values; ``keep`` masks the rows that have one.

    ``values`` has an entry for each row of the source, meaningless where ``keep`` is false. ``problem`` is
    ``None`` where a finding stops the run before it can be told. ``spare`` masks the rows without a target whose
    features can be used; ``None`` where they are not asked for.
    """

    problem: Problem | None
    classes: tuple[str, ...]
    values: NDArray[Any]
    keep: NDArray[np.bool_]
    findings: tuple[Finding, ...]
    spare: NDArray[np.bool_] | None = None


def code_target(spec: Spec, cells: Cells, usable: NDArray[np.bool_] | None = None) -> Target:
    """Code the target of a spec.

    Parameters
    ----------
    spec
        Its ``target``, ``task`` and ``checks.missing_target``.
    cells
        The cells of the target column, one a row.
    usable
        The rows whose features can be used; all, where it is not given.
    """
    name = spec.target
    if labels := several_labels(cells):
        return _unusable(name, len(cells), "multi_label", labels)
    numbers, bad = measured(Kind.NUMBER, cells)
    names = categories(cells)
    task = spec.task or _guess(numbers, bad, names)
    missing = np.isnan(numbers) & ~bad if task == "regression" else np.array([n is None for n in names], dtype=bool)
    if missing.all():
        return _unusable(name, len(cells), "missing_target", f"no row has a value in the target {name!r}; fill it in")
    keep = ~missing if usable is None else ~missing & usable
    made = _regression(name, cells, numbers, bad) if task == "regression" else _classes(name, names[keep])
    problem, classes, findings = made
    values = numbers if task == "regression" else _codes(names, classes)
    findings = [*_missing(spec, missing), *findings]
    if spec.task is None and not bad.any():
        findings += _guessed(name, numbers[~missing], task)
    return Target(problem, classes, values, keep, tuple(findings), spare_of(spec, missing, usable))


def spare_of(spec: Spec, missing: NDArray[np.bool_], usable: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Return which rows without a target are kept for what learns without one; ``None`` for no row."""
    spare = missing if usable is None else missing & usable
    return spare if spec.checks.missing_target == "use" and spare.any() else None


def _guess(numbers: Floats, bad: NDArray[np.bool_], names: NDArray[Any]) -> Literal["classification", "regression"]:
    """Tell classes from quantities: few whole numbers, close together and each often, are classes; others are not."""
    known = numbers[~np.isnan(numbers)]
    if bad.any() or set(names) - {None} <= {"true", "false"}:
        return "classification"
    distinct = len(np.unique(known))
    whole = bool(np.all(known == np.floor(known)))
    near = distinct <= MOST_CODED and np.ptp(known) < 2 * distinct
    few = distinct <= 2 or (near and len(known) >= ROWS_PER_VALUE * distinct)
    return "classification" if whole and few else "regression"


def _guessed(name: str, numbers: Floats, task: str) -> list[Finding]:
    """Say which way a target was read that might have been read the other way."""
    distinct = len(np.unique(numbers))
    if not 2 < distinct <= MOST_CODED:
        return []
    taken, other = ("classes", "regression if it is a quantity")
    if task == "regression":
        taken, other = ("a quantity", "classification if they are classes")
    sentence = f"the target {name!r} has {distinct} values, all numbers, and is taken for {taken}; write task: {other}"
    return [Finding(code="task", severity=Severity.NOTE, column=name, sentence=sentence)]


def _unusable(name: str, rows: int, code: str, sentence: str) -> Target:
    stop = Finding(code=code, severity=Severity.STOP, column=name, sentence=sentence)
    return Target(None, (), np.zeros(rows), np.ones(rows, dtype=bool), (stop,))


def _missing(spec: Spec, missing: NDArray[np.bool_]) -> list[Finding]:
    count = int(missing.sum())
    if not count:
        return []
    share = f"{count:,} of {len(missing):,} rows have no target in {spec.target!r}"
    label = "label them, leave them out with checks: {missing_target: drop}, or let levers learn from them with `use`"
    severity, sentence = what_becomes(spec, share, label)
    numbers = {"rows": float(count)}
    return [Finding(code="missing_target", severity=severity, column=spec.target, sentence=sentence, numbers=numbers)]


def what_becomes(spec: Spec, share: str, way_out: str) -> tuple[Severity, str]:
    """Return how grave it is that some rows have no target, and the sentence that says so."""
    match spec.checks.missing_target:
        case "drop":
            return Severity.WARN, f"{share} and are left out"
        case "use":
            return Severity.NOTE, f"{share} and are kept for what learns without one; no figure is measured on them"
        case _:
            return Severity.STOP, f"{share}; {way_out}"


_Made = tuple[Problem | None, tuple[str, ...], list[Finding]]


def _regression(name: str, cells: Cells, numbers: Floats, bad: NDArray[np.bool_]) -> _Made:
    odd = np.isinf(numbers)
    for mask, code, what, way_out in (
        (bad, "target_not_number", "is not a number", "correct it, empty it, or write task: classification"),
        (odd, "infinite_target", "is infinite", "correct it, or empty it and write checks: {missing_target: drop}"),
    ):
        if mask.any():
            row = int(np.flatnonzero(mask)[0])
            sentence = (
                f"the target {name!r} holds {as_list(cells)[row]!r} in row {row} (from 0), which {what} "
                f"({int(mask.sum()):,} such rows); {way_out}"
            )
            stop = Finding(code=code, severity=Severity.STOP, column=name, sentence=sentence)
            return None, (), [stop]
    if len(np.unique(numbers[~np.isnan(numbers)])) == 1:
        return None, (), [_one_value(name, f"the value {np.nanmin(numbers):g}")]
    return Problem.REGRESSION, (), []


def _one_value(name: str, what: str) -> Finding:
    sentence = f"all rows have {what} in the target {name!r}, so there is nothing to learn; add rows that differ"
    return Finding(code="one_class", severity=Severity.STOP, column=name, sentence=sentence)


def _classes(name: str, names: NDArray[Any]) -> _Made:
    counts = Counter(names.tolist())
    classes = sorted_classes(list(counts))
    if len(classes) == 1:
        return None, (), [_one_value(name, f"class {classes[0]!r}")]
    if len(names) < 2 * len(classes):
        return None, (), [_too_many(name, len(classes), len(names))]
    problem = Problem.BINARY if len(classes) == 2 else Problem.MULTICLASS
    findings = [
        _rare(name, [c for c in classes if counts[c] < TOO_RARE], counts, Severity.STOP),
        _rare(name, [c for c in classes if TOO_RARE <= counts[c] < RARE], counts, Severity.WARN),
    ]
    return problem, classes, [found for found in findings if found is not None]


def _too_many(name: str, classes: int, rows: int) -> Finding:
    each = "one row per class" if classes == rows else "fewer than two rows per class"
    sentence = (
        f"the target {name!r} has {classes:,} classes in {rows:,} rows, {each}, so nothing repeats that could be "
        "learned; choose another target, merge classes, or write task: regression if it is a quantity"
    )
    return Finding(code="row_per_class", severity=Severity.STOP, column=name, sentence=sentence)


def _rare(name: str, classes: Sequence[str], counts: Counter[str], severity: Severity) -> Finding | None:
    if not classes:
        return None
    shown = ", ".join(f"{c!r} ({counts[c]})" for c in classes[:5]) + (", ..." if len(classes) > 5 else "")
    one = len(classes) == 1
    if severity is Severity.STOP:
        about = f"{'has' if one else 'have'} fewer than {TOO_RARE} rows, too rare to split into training and test"
        way_out = "merge them into another class, drop their rows, or add more"
    else:
        about = f"{'has' if one else 'have'} fewer than {RARE} rows"
        way_out = "their figures will be rough, add rows or merge classes"
    sentence = f"{'class' if one else 'classes'} {shown} of the target {name!r} {about}; {way_out}"
    numbers = {"classes": float(len(classes)), "least": float(min(counts[c] for c in classes))}
    return Finding(code="rare_class", severity=severity, column=name, sentence=sentence, numbers=numbers)


def sorted_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return class names in order: by value where all are numbers, else by letters.

    Examples
    --------
    >>> sorted_classes(["10", "9", "1"]), sorted_classes(["b", "10", "a"])
    (('1', '9', '10'), ('10', 'a', 'b'))
    """
    try:
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    except ValueError:
        return tuple(sorted(names))


def _codes(names: NDArray[Any], classes: tuple[str, ...]) -> NDArray[Any]:
    code = {name: i for i, name in enumerate(classes)}
    return np.fromiter((code.get(name, 0) for name in names), dtype=np.int64, count=len(names))


def positive_of(classes: tuple[str, str], counts: Sequence[int]) -> tuple[str, str]:
    """Return the class that precision and recall speak of, and why.

    Examples
    --------
    >>> positive_of(("bad", "good"), (300, 700))
    ('bad', 'the usual one of bad and good')
    >>> positive_of(("a", "b"), (300, 700))
    ('a', 'the rarer one')
    """
    lower = {name.lower(): name for name in classes}
    for negative, positive in zip(_NEXT_TO, _POSITIVE, strict=True):
        if set(lower) == {negative, positive}:
            return lower[positive], f"the usual one of {classes[0]} and {classes[1]}"
    return classes[int(np.argmin(counts))], "the rarer one"
