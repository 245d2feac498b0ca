"""Anything that is like a table, taken by its shape rather than its type: no frame library is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import RowsRefused

_ACCEPTED = "a pandas or polars frame, a dict of lists, a list of dicts, or one dict of values"


def _is_column(cells: object) -> bool:
    if isinstance(cells, np.ndarray):
        return cells.ndim == 1
    return isinstance(cells, list | tuple | range) or (hasattr(cells, "to_numpy") and hasattr(cells, "dtype"))


def is_row(frame: object) -> bool:
    """Tell whether this is one row as a dict of values.

    Examples
    --------
    >>> is_row({"age": 3, "city": "Oslo"}), is_row({"age": [3], "city": ["Oslo"]}), is_row([{"age": 3}])
    (True, False, False)
    """
    return isinstance(frame, Mapping) and bool(frame) and not any(_is_column(cells) for cells in frame.values())


def _is_records(frame: object) -> bool:
    return isinstance(frame, Sequence) and not isinstance(frame, str | bytes)


def names_of(frame: Any) -> tuple[str, ...]:
    """Return the names of the columns, in order.

    Raises
    ------
    RowsRefused
        If it is nothing like a table, or a name is doubled.
    """
    if isinstance(frame, Mapping):
        names = tuple(str(name) for name in frame)
    elif _is_records(frame):
        if odd := next((row for row in frame if not isinstance(row, Mapping)), None):
            raise RowsRefused(f"cannot read rows from a list that holds {type(odd).__name__}; give {_ACCEPTED}")
        names = tuple(dict.fromkeys(str(name) for row in frame for name in row))
    elif hasattr(frame, "columns"):
        names = tuple(str(name) for name in frame.columns)
    else:
        raise RowsRefused(f"cannot read rows from {type(frame).__name__}; give {_ACCEPTED}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RowsRefused(f"column {twice!r} occurs twice; rename one of the two")
    return names


def cells_of(frame: Any, name: str) -> Sequence[Any] | NDArray[Any]:
    """Return the cells of one column: an array, or a list of Python values."""
    if _is_records(frame):
        return [row.get(name) for row in frame]
    if isinstance(frame, Mapping):
        cells = frame[name] if name in frame else next(c for n, c in frame.items() if str(n) == name)
    else:
        own = next((n for n in frame.columns if str(n) == name), name)
        cells = frame[own]
    if isinstance(cells, np.ndarray | list | tuple):
        return cells
    if hasattr(cells, "null_count") and hasattr(cells, "to_list"):  # polars: integers with nulls would turn to floats
        plain = not cells.null_count() and cells.dtype.is_numeric()
        return np.asarray(cells.to_numpy()) if plain else list(cells.to_list())
    return np.asarray(cells.to_numpy()) if hasattr(cells, "to_numpy") else list(cells)
