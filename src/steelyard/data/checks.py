"""What is worth knowing about a table before anything is trained on it, each thing a sentence with a way out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steelyard.contracts import Ints, Kind, Schema, Task
from steelyard.data.dataset import Finding, Partition, Severity
from steelyard.data.hashing import Hashes
from steelyard.spec import Spec

FEWEST_ROWS = 10
FEW_ROWS = 100
_MOSTLY_MISSING = 0.95


def of_schema(schema: Schema, spec: Spec) -> Iterator[Finding]:
    """Yield what the kinds of the columns say."""
    yield from _of_constants(schema)
    for column in schema.columns:
        name = column.name
        if column.kind is Kind.ID and column.why.startswith("names the sides"):
            sentence = f"column {name!r} names sides of a split and is left out; use it with split: {{column: {name}}}"
            yield Finding(code="unused_split", severity=Severity.WARN, column=name, sentence=sentence)
        elif column.kind is Kind.ID and name not in (spec.split.group, spec.split.time):
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


def of_duplicates(units: Hashes, partition: Partition) -> Iterator[Finding]:
    """Yield rows that repeat others, and those of the test rows that training has seen."""
    repeats = len(units) - len(np.unique(units))
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


def of_parts(target: Ints, task: Task, partition: Partition) -> Iterator[Finding]:
    """Yield classes that the split leaves out of training or out of test."""
    counts = {
        side: np.bincount(target[rows], minlength=len(task.classes))
        for side, rows in (("test", partition.test), ("development", partition.development))
    }
    for i, name in enumerate(task.classes):
        if not counts["development"][i]:
            sentence = f"class {name!r} has test rows only, so no model can know it; change the split or add rows"
            yield Finding(code="unseen_class", severity=Severity.WARN, column=task.target, sentence=sentence)
        elif not counts["test"][i]:
            sentence = f"class {name!r} has no test rows, so the test says nothing about it; add rows of it"
            yield Finding(code="untested_class", severity=Severity.WARN, column=task.target, sentence=sentence)
