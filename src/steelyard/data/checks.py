"""What is worth knowing about a table before anything is trained on it, each thing a sentence with a way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import NUMERIC, Columns, Ints, Kind, Problem, Schema, Task
from steelyard.data.dataset import Finding, Partition, Severity
from steelyard.data.hashing import Hashes, distinct
from steelyard.spec import Spec

FEWEST_ROWS = 10
FEW_ROWS = 100
_MOSTLY_MISSING = 0.95
_MANY_CATEGORIES, _ROWS_A_CATEGORY = 1_000, 10
_FEW_TO_JUDGE = 10
"""Rows of a class below which a figure about it is rough."""
_CONFLICTS = 0.01
"""Share of rows from which conflicting targets are a warning."""
_SHOWN = 5


def of_schema(schema: Schema, spec: Spec) -> Iterator[Finding]:
    """Yield what the kinds of the columns say."""
    yield from _of_constants(schema)
    for column in schema.columns:
        name = column.name
        if column.kind is Kind.ID and column.why.startswith("names the sides"):
            sentence = f"column {name!r} names sides of a split and is left out; use it with split: {{column: {name}}}"
            yield Finding(code="unused_split", severity=Severity.WARN, column=name, sentence=sentence)
        elif column.kind is Kind.ID and name not in _steering(spec):
            sentence = (
                f"column {name!r} looks like an id ({column.why}) and is left out; to let models read it, give it a "
                f"kind, such as columns: {{category: [{name}]}}"
            )
            yield Finding(code="id_column", severity=Severity.NOTE, column=name, sentence=sentence)
        elif _MOSTLY_MISSING <= column.missing < 1:
            sentence = (
                f"column {name!r} is missing in {column.missing:.1%} of the rows; collect it, or list it under "
                "columns.ignore"
            )
            numbers = {"missing": column.missing}
            yield Finding(
                code="mostly_missing", severity=Severity.WARN, column=name, sentence=sentence, numbers=numbers
            )


def _steering(spec: Spec) -> tuple[str | None, ...]:
    """Return the columns that say how rows are made and divided: that no model reads them needs no telling."""
    readings = () if spec.sequence is None else (spec.sequence.unit, spec.sequence.time)
    return (spec.split.group, spec.split.time, *readings)


def _of_constants(schema: Schema) -> Iterator[Finding]:
    """Yield one finding for all constant columns: wide tables have many."""
    names = [column.name for column in schema.of(Kind.CONSTANT) if column.distinct]
    if names:
        one = len(names) == 1
        shown = ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
        sentence = (
            f"{'column' if one else f'{len(names)} columns'} {shown} {'has' if one else 'have'} the same value in "
            f"every row and {'is' if one else 'are'} left out; nothing needs to be done"
        )
        column = names[0] if one else None
        numbers = {"columns": float(len(names))}
        yield Finding(code="constant_column", severity=Severity.NOTE, column=column, sentence=sentence, numbers=numbers)


def of_categories(rows: int, schema: Schema) -> Iterator[Finding]:
    """Yield columns whose categories are so many that few have the rows to be learned from."""
    for column in schema.of(Kind.CATEGORY):
        if column.distinct >= _MANY_CATEGORIES and rows < _ROWS_A_CATEGORY * column.distinct:
            each = rows * (1 - column.missing) / column.distinct
            sentence = (
                f"column {column.name!r} has {column.distinct:,} categories, with {each:.1f} rows each on average, so "
                "that little can be learned of most; the rare ones are read as one, group them by what they share, or "
                f"list the column under columns.ignore if it names single cases"
            )
            numbers = {"categories": float(column.distinct), "rows_each": each}
            yield Finding(
                code="many_categories", severity=Severity.WARN, column=column.name, sentence=sentence, numbers=numbers
            )


def of_size(rows: int, schema: Schema, spec: Spec) -> Iterator[Finding]:
    """Yield what the numbers of rows and of columns say."""
    if not schema.features:
        sentence = (
            f"no column is left to predict {spec.target!r} from (ids and constants are no features); add columns, or "
            "give one a kind under columns"
        )
        yield Finding(code="no_features", severity=Severity.STOP, sentence=sentence)
    if rows < FEWEST_ROWS:
        sentence = f"{rows} rows with a target are too few to train and test on; bring at least {FEWEST_ROWS}"
        yield Finding(code="too_few_rows", severity=Severity.STOP, sentence=sentence, numbers={"rows": float(rows)})
    elif rows < FEW_ROWS:
        sentence = f"{rows} rows give figures with wide intervals; bring more before a decision that matters"
        yield Finding(code="few_rows", severity=Severity.WARN, sentence=sentence, numbers={"rows": float(rows)})
    columns = len(schema.features)
    if columns > rows >= FEWEST_ROWS:
        sentence = (
            f"{columns:,} columns for {rows:,} rows: some will seem to say something by chance alone; bring more rows, "
            "or leave out columns that cannot matter with columns.ignore"
        )
        numbers = {"columns": float(columns), "rows": float(rows)}
        yield Finding(code="more_columns_than_rows", severity=Severity.WARN, sentence=sentence, numbers=numbers)


def of_duplicates(units: Hashes, partition: Partition) -> Iterator[Finding]:
    """Yield rows that repeat others, and those of the test rows that training has seen."""
    repeats = len(units) - distinct(units)
    if not repeats:
        return
    test, known = units[partition.test], units[partition.development]
    across = int(np.isin(test, known).sum())
    if across:
        share = across / len(test)
        sentence = (
            f"{across:,} of {len(test):,} test rows ({share:.1%}) have the same features as a row outside the test, "
            "so the test is easier than life; remove repeats, or leave out split.by and split.column, which then "
            "keeps equal rows together"
        )
        numbers = {"rows": float(across), "share": share}
        yield Finding(code="duplicates_across", severity=Severity.WARN, sentence=sentence, numbers=numbers)
    sentence = (
        f"{repeats:,} of {len(units):,} rows repeat the features of an earlier row; remove them if they are the same "
        "case entered twice"
    )
    yield Finding(code="duplicate_rows", severity=Severity.NOTE, sentence=sentence, numbers={"rows": float(repeats)})


def of_conflicts(content: Hashes, target: NDArray[Any], task: Task) -> Iterator[Finding]:
    """Yield how often rows with the same features have another target: no model can be right about all of them.

    Parameters
    ----------
    content, target
        One hash of all features and one coded target for each development row, shape (n,).
    task
        Its classes.
    """
    _, unit, counts = np.unique(content, return_inverse=True, return_counts=True)
    repeated = counts[unit] > 1
    if not repeated.any():
        return
    if task.problem in NUMERIC:
        low, high = np.full(len(counts), np.inf), np.full(len(counts), -np.inf)
        np.minimum.at(low, unit, target)
        np.maximum.at(high, unit, target)
        differ, best = (high > low)[unit], ""
    else:
        table = np.zeros((len(counts), task.width), dtype=np.int64)
        np.add.at(table, (unit, target), 1)
        differ = (table.max(axis=1) < counts)[unit]
        best = f", so no model can have an accuracy above {table.max(axis=1).sum() / len(target):.4f} on them all"
    rows = int(differ.sum())
    if rows:
        sentence = (
            f"{rows:,} of {len(target):,} rows outside the test have the same features as another row and another "
            f"target{best}; correct the targets that are wrong, or add a column that tells such rows apart"
        )
        severity = Severity.WARN if rows >= _CONFLICTS * len(target) else Severity.NOTE
        numbers = {"rows": float(rows), "share": rows / len(target)}
        yield Finding(code="conflicting_targets", severity=severity, sentence=sentence, numbers=numbers)


def without_values(columns: Columns, schema: Schema, partition: Partition) -> Iterator[Finding]:
    """Yield columns that have values somewhere, but in no row that may be learned from, or in no row of some part."""
    known = partition.development
    for column in schema.features:
        if not column.missing:
            continue
        there = is_known(column.kind, columns[column.name])
        if not there[known].any():
            sentence = (
                f"column {column.name!r} has values in test rows only, so nothing can be learned of it and it is left "
                "out; fill it in for other rows, or change the split"
            )
            yield Finding(code="empty_in_training", severity=Severity.WARN, column=column.name, sentence=sentence)
        elif empty := [part.name for part in partition.parts if not there[part.fit].any()]:
            sentence = (
                f"column {column.name!r} has no value in the rows that train {' and '.join(empty)}, which learn "
                "nothing of it; fill it in for more rows, or list it under columns.ignore"
            )
            yield Finding(code="empty_in_part", severity=Severity.WARN, column=column.name, sentence=sentence)


def is_known(kind: Kind, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which cells of a typed column hold something."""
    if kind is Kind.SEQUENCE:
        return np.array([bool(len(cell)) for cell in values], dtype=bool)
    if kind is Kind.TOKENS:
        return np.fromiter(map(bool, values), dtype=bool, count=len(values))
    nothing = "" if kind is Kind.TEXT else None
    known: NDArray[np.bool_] = ~np.isnan(values) if kind in (Kind.NUMBER, Kind.TIME) else values != nothing
    return known


def of_parts(target: Ints, task: Task, partition: Partition) -> Iterator[Finding]:
    """Yield classes that some part of the split lacks, or has too few rows of to be judged by."""
    sides = {
        "test": partition.test,
        "development": partition.development,
        "validation": partition.validation,
        "calibration": partition.calibration,
    }
    counts = {side: np.bincount(target[rows], minlength=len(task.classes)) for side, rows in sides.items()}
    for i, name in enumerate(task.classes):
        if not counts["development"][i]:
            sentence = f"class {name!r} has test rows only, so no model can know it; change the split or add rows"
            yield Finding(code="unseen_class", severity=Severity.WARN, column=task.target, sentence=sentence)
        elif not counts["test"][i]:
            sentence = f"class {name!r} has no test rows, so the test says nothing about it; add rows of it"
            yield Finding(code="untested_class", severity=Severity.WARN, column=task.target, sentence=sentence)
    yield from _unchosen(counts, task, partition)
    yield from _untrained(target, task, partition)
    yield from _rough(counts, task, partition)


def _unchosen(counts: Mapping[str, Ints], task: Task, partition: Partition) -> Iterator[Finding]:
    """Yield classes that validation lacks although training has them: of two, nothing is left to choose by."""
    lost = [c for i, c in enumerate(task.classes) if counts["development"][i] and not counts["validation"][i]]
    if not lost:
        return
    stops = task.problem is Problem.BINARY
    sentence = (
        f"{_classes(lost)} of the target {task.target!r} {'has' if len(lost) == 1 else 'have'} no rows to validate on "
        f"({partition.protocol}), so {'nothing can be chosen by' if stops else 'no figure speaks of'} "
        f"{'it' if len(lost) == 1 else 'them'}; add rows, or validate on all rows with split: {{folds: 5}}"
    )
    severity = Severity.STOP if stops else Severity.WARN
    yield Finding(code="unvalidated_class", severity=severity, column=task.target, sentence=sentence)


def _untrained(target: Ints, task: Task, partition: Partition) -> Iterator[Finding]:
    """Yield classes that some part does not train on."""
    for part in partition.parts:
        here = np.bincount(target[part.fit], minlength=len(task.classes))
        there = np.bincount(target[partition.development], minlength=len(task.classes))
        if lost := [name for name, a, b in zip(task.classes, here, there, strict=True) if b and not a]:
            sentence = (
                f"{_classes(lost)} of the target {task.target!r} {'has' if len(lost) == 1 else 'have'} no rows that "
                f"train in {part.name}; add rows, or change the split"
            )
            yield Finding(code="untrained_class", severity=Severity.WARN, column=task.target, sentence=sentence)


def _rough(counts: Mapping[str, Ints], task: Task, partition: Partition) -> Iterator[Finding]:
    """Yield how few rows of a rare class the figures rest on."""
    least = np.minimum(counts["test"], counts["validation"])
    few = [i for i in np.argsort(least, kind="stable").tolist() if 0 < least[i] < _FEW_TO_JUDGE]
    if not few:
        return
    shown = ", ".join(
        f"{task.classes[i]!r} ({counts['validation'][i]} to validate, {counts['test'][i]} to test)"
        for i in few[:_SHOWN]
    )
    folds = "" if partition.protocol.endswith("-fold") else ", or validate on all rows with split: {folds: 5}"
    sentence = (
        f"few rows of class{'' if len(few) == 1 else 'es'} {shown}{', ...' if len(few) > _SHOWN else ''} are there to "
        f"judge by, so that figures are rough and their intervals wide; add rows of it{folds}"
    )
    numbers = {"classes": float(len(few)), "least": float(least[few[0]])}
    yield Finding(code="rough_class", severity=Severity.WARN, column=task.target, sentence=sentence, numbers=numbers)


def _classes(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
    return f"class {shown}" if len(names) == 1 else f"classes {shown}"
