"""What outcomes are worth, from a spec's words to matrices, and the columns that hold the money at stake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import NUMERIC, Amount, Floats, Kind, Matrix, Problem, Schema, Split, Task
from steelyard.data.fast import as_list, is_strings, measured
from steelyard.data.table import Cells, Table
from steelyard.data.written import Reading, as_numbers
from steelyard.errors import DataUnfit, SpecInvalid, nearest
from steelyard.spec import OUTCOMES, PLAIN, UNITS, Share, Value, Worth, where

_BINARY = {
    "true_positive": (True, True),
    "false_positive": (False, True),
    "true_negative": (False, False),
    "false_negative": (True, False),
}
"""Outcome to whether the row is positive, and whether it is called so."""


def value_of(
    value: Value, problem: Problem, classes: Sequence[str], positive: str | None
) -> tuple[Matrix, tuple[Amount, ...]]:
    """Return money per outcome, and what columns add to it.

    Raises
    ------
    SpecInvalid
        If the value speaks of classes that the target does not have, or of another kind of task.
    """
    cells = _units(value) if problem in NUMERIC else _cells(value, tuple(classes), positive)
    shape = (1, len(UNITS)) if problem in NUMERIC else (len(classes), len(classes))
    constant, columns = np.zeros(shape), dict[str, NDArray[np.float64]]()
    for true, decided, worth in cells:
        money = worth.plus if isinstance(worth, Share) else worth
        constant[true, decided] = 0.0 if money is None else float(money.amount)
        for column in columns.values():
            column[true, decided] = 0.0
        if isinstance(worth, Share):
            columns.setdefault(worth.column, np.zeros(shape))[true, decided] = worth.times
    return _frozen(constant), tuple(Amount(n, _frozen(t), known=n in value.known) for n, t in columns.items())


def _frozen(matrix: NDArray[np.float64]) -> Matrix:
    return tuple(tuple(float(amount) for amount in row) for row in matrix)


_Cells = Iterator[tuple[int, int, Worth]]
"""Each outcome that is named, by true and decided class; a later one counts."""


def _units(value: Value) -> _Cells:
    for place, name in enumerate(UNITS):
        worth = getattr(value, name)
        if worth is None:
            raise SpecInvalid(
                f"value: the target is a number, and {name} is not given: what each unit too "
                f"{'much' if name == 'over' else 'little'} costs, such as {name}: -2 USD"
            )
        yield 0, place, worth


def _cells(value: Value, classes: tuple[str, ...], positive: str | None) -> _Cells:
    for name in UNITS:
        if getattr(value, name) is not None:
            raise SpecInvalid(f"value.{name}: is per unit of a predicted number, and the target has classes; drop it")
    everywhere = range(len(classes))
    for name, right in zip(PLAIN, (True, False), strict=True):
        if (worth := getattr(value, name)) is not None:
            yield from ((t, d, worth) for t in everywhere for d in everywhere if (t == d) is right)
    for name in OUTCOMES:
        if (worth := getattr(value, name)) is None:
            continue
        if positive is None:
            raise SpecInvalid(f"value.{name}: there are {len(classes)} classes; give `right` and `wrong`, or a matrix")
        is_positive, called = _BINARY[name]
        code, other = classes.index(positive), 1 - classes.index(positive)
        yield code if is_positive else other, code if called else other, worth
    yield from _table(value, classes)


def _table(value: Value, classes: tuple[str, ...]) -> _Cells:
    """Yield the outcomes of a matrix, those of costs with their sign turned."""
    strange = [
        f"{where((field, *place))}: the target has no class {name!r}{nearest(name, classes)}; it has {_listed(classes)}"
        for field in ("matrix", "cost")
        for place, name in _names(getattr(value, field) or {})
        if name not in classes
    ]
    if strange:
        raise SpecInvalid("\n".join(strange))
    for true, row in (value.matrix or {}).items():
        yield from ((classes.index(true), classes.index(decided), worth) for decided, worth in row.items())
    for true, row in (value.cost or {}).items():
        for decided, worth in row.items():
            loss = worth.negative if isinstance(worth, Share) else worth * -1
            yield classes.index(true), classes.index(decided), loss


def _names(table: dict[str, dict[str, Worth]]) -> Iterator[tuple[tuple[str, ...], str]]:
    for true, row in table.items():
        yield (true,), true
        for decided in row:
            yield (true, decided), decided


def _listed(classes: tuple[str, ...]) -> str:
    shown = ", ".join(map(repr, classes[:10]))
    return shown if len(classes) <= 10 else f"{shown}, ... ({len(classes)} in all)"


# ------------------------------------------------------------------------------------------- amounts in columns


def amounts_of(task: Task, table: Table, keep: NDArray[np.bool_]) -> Floats | None:
    """Return the money at stake in each row that is kept, shape (n, amounts of the task); ``None`` where none is.

    Raises
    ------
    DataUnfit
        If a cell is missing, is no number, or is below zero.
    """
    if not task.amounts:
        return None
    return np.column_stack([_amounts(each.column, table.columns[each.column], keep) for each in task.amounts])


def _amounts(name: str, cells: Cells, keep: NDArray[np.bool_]) -> Floats:
    values, bad = measured(Kind.NUMBER, cells)
    if bad.any() and is_strings(cells) and isinstance(found := as_numbers(name, cells, given=True), Reading):
        values, bad = found.values, found.bad
    odd = keep & (bad | ~(np.isfinite(values) & (values >= 0)))
    if not odd.any():
        return np.asarray(values[keep], np.float64)
    row = int(np.flatnonzero(odd)[0])
    cell = as_list(cells)[row]
    raise DataUnfit(
        f"value: column {name!r} holds {'nothing' if cell is None or cell == '' else repr(cell)} in row {row} (from 0) "
        f"({int(odd.sum()):,} such rows), and the money at stake must be a number of 0 or more in every row; fill it "
        "in, correct it, or leave those rows out"
    )


def with_means(task: Task, rows: Split, schema: Schema) -> Task:
    """Return the task with what is known of its amounts from some rows: means by class, and the largest.

    A class without a row has the mean of all rows.

    Raises
    ------
    DataUnfit
        If an amount that decides is no column of numbers that a model may read.
    """
    if rows.amounts is None:
        return task
    kinds = {column.name: column.kind for column in schema.columns}
    for amount in task.amounts:
        if amount.known and kinds.get(amount.column) is not Kind.NUMBER:
            raise DataUnfit(_unread(amount.column, kinds.get(amount.column)))
    weights = np.ones(len(rows)) if rows.weights is None else rows.weights
    made = []
    for place, amount in enumerate(task.amounts):
        money = rows.amounts[:, place]
        whole = float(np.average(money, weights=weights))
        groups = [rows.target == code for code in range(len(task.classes))] or [np.ones(len(rows), dtype=bool)]
        means = tuple(float(np.average(money[g], weights=weights[g])) if g.any() else whole for g in groups)
        made.append(replace(amount, means=means, high=float(money.max())))
    return replace(task, amounts=tuple(made))


def _unread(name: str, kind: Kind | None) -> str:
    if kind is None:
        why = "is left out because it gives the target away; take it off known, or keep it with columns.allow"
    elif kind is Kind.CONSTANT:
        why = "is the same in every row; write the amount itself instead of the column"
    else:
        why = f"is read as {kind.value}; list it under columns.number, or take it off known"
    return f"value.known: column {name!r} {why}"
