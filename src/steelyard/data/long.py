"""A long table, one reading a row, as rows of sequences: the same to train and to predict. Needs numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Column, Floats, Gathered, Ints, Kind, Schema
from steelyard.data.coerce import category_of, column
from steelyard.data.frames import cells_of, names_of
from steelyard.data.sequences import Readings
from steelyard.data.windows import Arranged, Spans, arrange, repeated, spans
from steelyard.errors import RowsRefused, nearest

REGULAR = 0.9
"""Share of the steps between readings that are alike where readings are said to come at a regular pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The readings of a long table that are used, unit by unit in the order of time, and what became of the others.

    ``source`` holds the row of the table of each; ``offsets`` where units begin, and where the last one ends; ``names``
    the units, in the order of their first reading; ``times`` when each reading was.
    """

    source: Ints
    offsets: Ints
    names: tuple[str, ...]
    times: Floats | None
    lost: int
    """Readings without a unit, or without a time."""
    doubled: int
    """Readings that a later one of the same unit and time replaces."""
    unsorted: int
    """Units whose readings did not stand in the order of time."""
    skipped: int
    """Readings that are missing where a unit's readings come at a regular pace."""

    @property
    def lengths(self) -> Ints:
        """Readings of each unit."""
        return np.diff(self.offsets)


def order(units: NDArray[Any], times: Floats | None) -> Order:
    """Put the readings of a table in order.

    Parameters
    ----------
    units
        The name of the unit of each reading, ``None`` where there is none; objects, shape (n,).
    times
        When each reading was, NaN where that is not known; ``None``: they stand in order.

    Examples
    --------
    >>> names = np.array(["b", "a", "b", "b", None], object)
    >>> made = order(names, np.array([2.0, 1.0, 1.0, 2.0, 9.0]))
    >>> made.source.tolist(), made.offsets.tolist(), made.names, made.lost, made.doubled
    ([2, 3, 1], [0, 2, 3], ('b', 'a'), 1, 1)
    """
    known = units != None  # noqa: E711 - cell by cell
    if times is not None:
        known &= ~np.isnan(times)
    rows = np.flatnonzero(known)
    codes: dict[str, int] = {}
    unit = np.fromiter((codes.setdefault(name, len(codes)) for name in units[rows]), np.int64, count=len(rows))
    arranged = arrange(unit, None if times is None else times[rows])
    unsorted = 0
    keep = np.ones(len(rows), dtype=bool)
    if times is not None:
        back = np.diff(arranged.index) < 0
        unsorted = len(np.unique(arranged.unit[1:][back & (np.diff(arranged.unit) == 0)]))
        keep = ~repeated(arranged, times[rows])
    kept = arranged.index[keep]
    counts = np.bincount(arranged.unit[keep], minlength=len(codes)) if codes else np.zeros(0, np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    ordered = None if times is None else times[rows][kept]
    return Order(
        source=rows[kept],
        offsets=offsets,
        names=tuple(codes),
        times=ordered,
        lost=len(units) - len(rows),
        doubled=int((~keep).sum()),
        unsorted=unsorted,
        skipped=0 if ordered is None else _skipped(ordered, Arranged(kept, offsets)),
    )


def _skipped(times: Floats, arranged: Arranged) -> int:
    """Count the readings that are missing between others, if nearly all come at one pace."""
    within = np.diff(arranged.unit) == 0
    steps = np.diff(times)[within]
    pace = float(np.median(steps)) if len(steps) else 0.0
    if pace <= 0 or np.mean(np.abs(steps - pace) <= 0.01 * pace) < REGULAR:
        return 0
    return int(np.maximum(np.round(steps / pace) - 1, 0).sum())


def rows_of(made: Order, how: Gathered) -> Spans:
    """Return the rows that readings in order come to."""
    return spans(made.offsets, window=how.window, step=how.step)


# ------------------------------------------------------------------------------------------------------ predicting


@dataclass(frozen=True, slots=True)
class Regrouped:
    """The rows of a long table that a bundle is asked about: a frame of them, and what each row is.

    ``keys`` holds the unit, and the time of the last reading, of each row, by the names of their columns; ``source``
    the row of the table that the last reading is.
    """

    frame: dict[str, Any]
    keys: Mapping[str, list[Any]]
    source: Ints


def is_long(frame: Any, schema: Schema) -> bool:
    """Tell whether a frame is a long table for a schema whose rows were gathered from one."""
    found = _gathered(schema)
    if found is None:
        return False
    names = names_of(frame)
    return found.name not in names and any(name in names for name in found.channels)


def _gathered(schema: Schema) -> Column | None:
    return next((c for c in schema.of(Kind.SEQUENCE) if c.gathered is not None), None)


def regroup(frame: Any, schema: Schema) -> Regrouped:
    """Gather the rows of a long table as training did: one a unit, or one a window.

    Raises
    ------
    RowsRefused
        If a column is missing, no reading names a unit, or a value does not fit; the sentence names row and column.
    """
    found = _gathered(schema)
    assert found is not None, "asked of a frame that is_long has seen"
    assert found.gathered is not None
    how, names = found.gathered, names_of(frame)
    _check_columns(found, how, names)
    units = np.array([category_of(cell) for cell in cells_of(frame, how.unit)], dtype=object)
    times = None if how.time is None else column(Kind.TIME, cells_of(frame, how.time), how.time, notation=how.notation)
    made = order(units, times)
    if not made.names:
        raise RowsRefused(f"no reading has a unit in {how.unit!r}{' and a time' if how.time else ''}; fill them in")
    rows = rows_of(made, how)
    last = made.source[rows.last]
    readings = _readings(frame, found, made)
    kept = [name for name in names if name not in found.channels]
    columns: dict[str, Any] = {name: _taken(cells_of(frame, name), last) for name in kept}
    keys = {name: list(map(_written, columns[name])) for name in (how.unit, how.time) if name is not None}
    return Regrouped({**columns, found.name: list(rows.cells(readings))}, keys, last)


def _check_columns(found: Column, how: Gathered, names: Sequence[str]) -> None:
    needed = [name for name in (how.unit, how.time, *found.channels) if name is not None]
    if absent := [name for name in needed if name not in names]:
        listed = ", ".join(f"{name!r}{nearest(name, names)}" for name in absent)
        raise RowsRefused(
            f"the table of readings lacks {'column' if len(absent) == 1 else 'columns'} {listed}; give every channel "
            f"of {found.name!r} and what says which readings belong together"
        )


def _readings(frame: Any, found: Column, made: Order) -> Readings:
    readings = np.empty((len(made.source), len(found.channels)), np.float32)
    with np.errstate(over="ignore"):  # beyond float32 a number is infinite, and so missing
        for place, name in enumerate(found.channels):
            values = column(Kind.NUMBER, cells_of(frame, name), name, lenient=found.lenient)
            readings[:, place] = values[made.source]
    readings[np.isinf(readings)] = np.nan
    return readings


def _taken(cells: Sequence[Any] | NDArray[Any], rows: Ints) -> list[Any]:
    if isinstance(cells, np.ndarray):
        return list(cells[rows]) if cells.dtype.kind == "M" else list(cells[rows].tolist())
    return [cells[row] for row in rows.tolist()]


def _written(cell: Any) -> Any:
    """Return a unit or a time as it is written beside a prediction."""
    return cell if cell is None or isinstance(cell, str | int | float) else str(cell)
