"""What every front end keeps: columns in, tensors out, the same for one row and for many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Columns, Feed, Kind
from steelyard.errors import BundleRefused, RowsRefused, nearest

Tensors = dict[str, NDArray[Any]]
"""Input tensors of a graph by name, the first axis over rows."""

Cells = Mapping[str, Any]
"""One row by column, each cell as it would stand in :data:`steelyard.contracts.Columns`."""


class RowRefused(RowsRefused):
    """One row does not fit; ``row`` is its place among the rows that were given, from 0."""

    def __init__(self, row: int, sentence: str) -> None:
        super().__init__(f"row {row} (from 0){sentence}")
        self.row, self.sentence = row, sentence

    def shifted(self, rows: int) -> RowRefused:
        """Return the same refusal where so many rows went before."""
        return RowRefused(self.row + rows, self.sentence)


class Extractor(Protocol):
    """A front end made ready for one feed. Holds no state between calls."""

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of columns it reads."""
        ...

    @property
    def batch(self) -> int:
        """Most rows to give it at once, so that memory stays bounded."""
        ...

    def __call__(self, columns: Columns, /) -> Tensors:
        """Return the tensors of some rows."""
        ...

    def row(self, cells: Cells, /) -> Tensors:
        """Return the tensors of one row: what :meth:`__call__` returns for columns of length one, but faster."""
        ...


FrontEnd = Callable[[Feed, Mapping[str, bytes]], Extractor]
"""Makes an extractor; refuses a feed it cannot keep."""


def column(columns: Columns, name: str) -> NDArray[Any]:
    """Return one column, or say which is missing.

    Raises
    ------
    RowsRefused
        If there is no such column; the nearest name is suggested.
    """
    try:
        return columns[name]
    except KeyError:
        lacking(name, columns)


def lacking(name: str, known: Cells) -> NoReturn:
    """Raise the refusal of rows that lack a column."""
    raise RowsRefused(f"the rows lack column {name!r}{nearest(name, known)}; the model reads it") from None


def picker(names: Sequence[str]) -> Callable[[Cells], tuple[Any, ...]]:
    """Return the fast way to take some cells of a row, in order.

    Examples
    --------
    >>> picker(["b"])({"a": 1, "b": 2}), picker(["b", "a"])({"a": 1, "b": 2}), picker([])({"a": 1})
    ((2,), (2, 1), ())
    """
    if len(names) > 1:
        return itemgetter(*names)
    return lambda cells: tuple(cells[name] for name in names)


class Blocks(Mapping[str, NDArray[Any]]):
    """Typed columns that lie side by side in tables, so that a front end takes many of them at once.

    Parameters
    ----------
    places
        The table and the column in it of each name.
    tables
        Arrays of shape (n, k).

    Examples
    --------
    >>> blocks = Blocks({"a": (0, 0), "b": (0, 1)}, (np.array([[1.0, 2.0], [3.0, 4.0]]),))
    >>> blocks["b"].tolist(), stack(blocks, ("b", "a"), np.float64).tolist()
    ([2.0, 4.0], [[2.0, 1.0], [4.0, 3.0]])
    """

    __slots__ = ("_places", "_tables")

    def __init__(self, places: Mapping[str, tuple[int, int]], tables: Sequence[NDArray[Any]]) -> None:
        self._places, self._tables = places, tables

    def __getitem__(self, name: str) -> NDArray[Any]:
        table, place = self._places[name]
        return self._tables[table][:, place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def side_by_side(self, names: Sequence[str]) -> NDArray[Any] | None:
        """Return some columns as one array, shape (n, k), not to be written to; ``None`` where they lie in two tables.

        Raises
        ------
        RowsRefused
            If there is no such column.
        """
        try:
            found = [self._places[name] for name in names]
        except KeyError as absent:
            lacking(str(absent.args[0]), self._places)
        table = self._tables[found[0][0]]
        if any(place[0] != found[0][0] for place in found):
            return None
        places = [place[1] for place in found]
        return table if places == list(range(table.shape[1])) else table[:, places]


def stack(columns: Columns, names: Sequence[str], dtype: type[np.generic]) -> NDArray[Any]:
    """Return some columns side by side, shape (n, k), not to be written to.

    With no names, n is taken from any column.
    """
    if not names:
        n = len(next(iter(columns.values()), ()))
        return np.empty((n, 0), dtype)
    if isinstance(columns, Blocks) and (block := columns.side_by_side(names)) is not None:
        return block.astype(dtype, copy=False)
    table = np.empty((len(column(columns, names[0])), len(names)), dtype)
    for place, name in enumerate(names):
        table[:, place] = column(columns, name)
    return table


def options_of(feed: Feed, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the feed's options over the defaults; a default of ``...`` must be given.

    Raises
    ------
    BundleRefused
        If an option is unknown, absent, or of another type than its default.
    """
    front = f"front end {feed.front_end!r}"
    for name, value in feed.options.items():
        if name not in defaults:
            raise BundleRefused(f"{front} has no option {name!r}{nearest(name, defaults)}")
        default = defaults[name]
        if default is not ... and type(value) is not type(default):
            raise BundleRefused(f"{front}: option {name!r} must be a {type(default).__name__}; got {value!r}")
    merged = {**defaults, **feed.options}
    if absent := [name for name, value in merged.items() if value is ...]:
        raise BundleRefused(f"{front} needs option {absent[0]!r}")
    return merged


def shape_of(feed: Feed, *, inputs: int, columns: int | None) -> None:
    """Check how many graph inputs a feed fills and how many columns it reads (``None``: any number).

    Raises
    ------
    BundleRefused
        If the numbers differ.
    """
    if len(feed.inputs) != inputs:
        raise BundleRefused(f"front end {feed.front_end!r} fills {inputs} graph inputs; the feed names {feed.inputs}")
    if columns is not None and len(feed.columns) != columns:
        raise BundleRefused(f"front end {feed.front_end!r} reads {columns} column; the feed names {feed.columns}")
