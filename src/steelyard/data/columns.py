"""A frame's columns and a row's cells, typed as a bundle reads them; needs numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from steelyard.contracts import Column, Columns, Schema
from steelyard.data.coerce import column
from steelyard.data.frames import cells_of, is_row, names_of
from steelyard.errors import RowsRefused, nearest


def _column(what: Column, cells: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    return column(what.kind, cells, what.name, notation=what.notation, lenient=what.lenient, channels=what.channels)


def to_columns(frame: Any, schema: Schema) -> Columns:
    """Return the feature columns that a schema asks for, out of anything that is like a table.

    Parameters
    ----------
    frame
        A pandas or polars frame, a dict of lists or arrays, a list of dicts, or one dict (one row).
        Columns that the schema does not name are ignored (see :func:`extras`).
    schema
        Its ``features`` say which columns, and of which kinds.

    Raises
    ------
    RowsRefused
        If a column is missing (from the frame or from a row of a list), lengths differ, or a cell does not fit the
        kind of its column.
    """
    if is_row(frame):
        return row_to_columns(frame, schema)
    wanted = schema.features
    names = names_of(frame)
    _refuse_missing([c for c in wanted if c.name not in names], names)
    if isinstance(frame, Sequence):
        _refuse_short(frame, wanted)
    made = {c.name: _column(c, cells_of(frame, c.name)) for c in wanted}
    lengths = {name: len(values) for name, values in made.items()}
    if len(set(lengths.values())) > 1:
        raise RowsRefused(f"the columns differ in length: {', '.join(f'{k} {v}' for k, v in lengths.items())}")
    return made


def row_to_columns(row: Mapping[str, Any], schema: Schema) -> Columns:
    """Return the feature columns of a single row: the fast path of one prediction.

    Raises
    ------
    RowsRefused
        As :func:`to_columns`.
    """
    made: dict[str, NDArray[Any]] = {}
    for wanted in schema.features:
        if wanted.name not in row:
            _refuse_missing([c for c in schema.features if c.name not in row], tuple(row))
        made[wanted.name] = _column(wanted, (row[wanted.name],))
    return made


def _refuse_missing(absent: Sequence[Column], names: Sequence[str]) -> None:
    if absent:
        listed = ", ".join(f"{c.name!r}{nearest(c.name, names)}" for c in absent)
        raise RowsRefused(
            f"the rows lack {'column' if len(absent) == 1 else 'columns'} {listed}; give every column of the "
            "signature, empty where nothing is known"
        )


def _refuse_short(rows: Sequence[Mapping[str, Any]], wanted: Sequence[Column]) -> None:
    """Refuse a list of dicts of which one lacks a column that others have."""
    for place, row in enumerate(rows):
        absent = [repr(c.name) for c in wanted if c.name not in row]
        if absent:
            raise RowsRefused(
                f"row {place} (from 0) lacks {'column' if len(absent) == 1 else 'columns'} {', '.join(absent)}; give "
                "every column of the signature in every row, empty where nothing is known"
            )


def extras(frame: Any, schema: Schema) -> tuple[str, ...]:
    """Return the names of columns that a schema does not know, in their order; predicting ignores them."""
    known = {c.name for c in schema.columns}
    return tuple(name for name in names_of(frame) if name not in known)
