"""Rows on their way from a request to the model: typed, and quick to lay together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import Blocks, Cells, picker
from steelyard.contracts import Column, Columns, Floats, Kind, Schema

_NUMERIC = frozenset({Kind.NUMBER, Kind.TIME})


@dataclass(frozen=True, slots=True)
class Table:
    """Some typed rows as two blocks, so that tables of many requests become one by two copies.

    ``numbers`` is float64 of shape (n, numeric columns); ``others`` holds objects, shape (n, other columns). Cells are
    as :data:`steelyard.contracts.Columns` describes them.
    """

    numbers: Floats
    others: NDArray[Any]

    def __len__(self) -> int:
        return len(self.numbers)


def joined(tables: Sequence[Table]) -> Table:
    """Return the rows of all tables, in order."""
    if len(tables) == 1:
        return tables[0]
    numbers = np.concatenate([table.numbers for table in tables])
    others = np.concatenate([table.others for table in tables])
    return Table(numbers, others)


class Layout:
    """Which column lies where in the tables of one model."""

    __slots__ = ("_pick_numbers", "_pick_others", "_places", "columns", "is_plain", "numbers", "others")

    columns: Mapping[str, Column]
    """What a row must hold, by name, in the order of the signature."""
    numbers: tuple[str, ...]
    others: tuple[str, ...]

    def __init__(self, reads: Schema) -> None:
        self.columns = {column.name: column for column in reads.features}
        self.numbers = tuple(name for name, column in self.columns.items() if column.kind in _NUMERIC)
        self.others = tuple(name for name, column in self.columns.items() if column.kind not in _NUMERIC)
        self.is_plain = not self.others and not any(column.notation for column in self.columns.values())
        """Whether a row is numbers alone, each of which is what it says: none is a date written as a number."""
        self._places = {name: (0, place) for place, name in enumerate(self.numbers)}
        self._places.update((name, (1, place)) for place, name in enumerate(self.others))
        self._pick_numbers, self._pick_others = picker(self.numbers), picker(self.others)

    @property
    def is_numeric(self) -> bool:
        """Whether a row is numbers alone."""
        return not self.others

    def of_cells(self, rows: Sequence[Cells]) -> Table:
        """Return the table of typed rows."""
        numbers = np.array([self._pick_numbers(row) for row in rows], np.float64)
        others = np.empty((len(rows), len(self.others)), np.object_)
        if self.others:
            for place, row in enumerate(rows):
                for column, cell in enumerate(self._pick_others(row)):
                    others[place, column] = cell
        return Table(numbers.reshape(len(rows), len(self.numbers)), others)

    def of_columns(self, columns: Columns, rows: int) -> Table:
        """Return the table of typed columns."""
        numbers = np.empty((rows, len(self.numbers)))
        others = np.empty((rows, len(self.others)), np.object_)
        for block, names in ((numbers, self.numbers), (others, self.others)):
            for place, name in enumerate(names):
                block[:, place] = columns[name]
        return Table(numbers, others)

    def of_numbers(self, numbers: Floats) -> Table:
        """Return the table of rows that are numbers alone, shape (n, columns), in the order of the signature."""
        return Table(numbers, np.empty((len(numbers), 0), np.object_))

    def columns_of(self, table: Table) -> Columns:
        """Return typed columns; they are views of the table."""
        return Blocks(self._places, (table.numbers, table.others))

    def cells_of(self, table: Table) -> Cells:
        """Return the cells of a table of one row."""
        made: dict[str, Any] = dict(zip(self.numbers, table.numbers[0].tolist(), strict=True))
        if self.others:
            made.update(zip(self.others, table.others[0], strict=True))
        return made
