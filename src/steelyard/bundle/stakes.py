"""The money at stake in a row, where it is known when the decision is made: an input that decides."""

from __future__ import annotations

import numpy as np

from steelyard.bundle.front_ends import Cells
from steelyard.bundle.front_ends.base import RowRefused
from steelyard.contracts import Columns, Floats, Kind, Schema, Task
from steelyard.errors import BundleRefused


class Stakes:
    """Reads the amounts of a task out of rows that are typed.

    Raises
    ------
    BundleRefused
        If an amount that decides is no number among the columns there are.
    """

    __slots__ = ("_names", "_places", "_width", "columns")

    columns: frozenset[str]
    """The columns that it reads; none where no amount is known when a decision is made."""

    def __init__(self, task: Task, schema: Schema) -> None:
        known = {place: amount.column for place, amount in enumerate(task.amounts) if amount.known}
        numbers = {column.name for column in schema.of(Kind.NUMBER)}
        if absent := sorted(set(known.values()) - numbers):
            raise BundleRefused(f"decisions depend on the amount in {absent[0]!r}, which is no column of numbers here")
        self._places, self._names, self._width = list(known), list(known.values()), len(task.amounts)
        self.columns = frozenset(self._names)

    def __call__(self, columns: Columns) -> Floats | None:
        """Return amounts, shape (n, amounts of the task), NaN for those that are not known; ``None`` where none is.

        Raises
        ------
        RowRefused
            If a row has none, or one below zero: its decision cannot be weighed.
        """
        if not self._names:
            return None
        found = np.column_stack([np.asarray(columns[name], np.float64) for name in self._names])
        fine = found >= 0
        if not fine.all():
            row, place = (int(index[0]) for index in np.nonzero(~fine))
            raise _refusal(row, self._names[place], float(found[row, place]))
        made = np.full((len(found), self._width), np.nan)
        made[:, self._places] = found
        return made

    def row(self, cells: Cells) -> Floats | None:
        """Return the amounts of one row."""
        if not self._names:
            return None
        return self({name: np.array([cells[name]], np.float64) for name in self._names})


def _refusal(row: int, name: str, amount: float) -> RowRefused:
    what = "has nothing" if np.isnan(amount) else f"has {amount:g}"
    return RowRefused(row, f" {what} in {name!r}, the money at stake that decides; give a number of 0 or more")
