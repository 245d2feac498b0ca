"""Sequences of readings: one cell as float32 of shape (steps, channels), NaN where a reading is missing.

A cell may be written as a list of readings, oldest first, each a list of numbers in the order of the channels or an
object of numbers by channel; as a list of numbers, where there is one channel; as an object of one list a channel; as
the JSON text of one of these; or as an array. A missing cell is a sequence without steps. Needs numpy alone: used to
train and to predict alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Ints
from steelyard.errors import RowsRefused, nearest

Readings = NDArray[np.float32]

_SHOWN = 40


class NoReadings(ValueError):
    """A cell is no sequence of readings of these channels; the message says what it is instead."""


def empty(channels: int) -> Readings:
    """Return a sequence without steps: what stands for a missing cell."""
    return np.empty((0, channels), np.float32)


def _plain(value: object) -> float:
    if isinstance(value, bool | int | float | str | np.number):
        return float(value)
    raise ValueError(value)


def sequence_of(cell: object, channels: Sequence[str], number: Callable[[object], float] = _plain) -> Readings:
    """Return a cell as readings, shape (steps, channels).

    Parameters
    ----------
    cell
        As the head of this module says.
    channels
        The names of the channels, in order.
    number
        What reads a value that is neither a plain number nor ``None``; it raises ``ValueError`` where it cannot.

    Raises
    ------
    NoReadings
        If readings are ragged, of other channels, or hold what is no number.

    Examples
    --------
    >>> sequence_of([[1, None], [2, 5]], ["a", "b"]).tolist()
    [[1.0, nan], [2.0, 5.0]]
    >>> sequence_of([{"b": 1, "a": 2}], ["a", "b"]).tolist(), sequence_of([1, 2], ["a"]).tolist()
    ([[2.0, 1.0]], [[1.0], [2.0]])
    >>> sequence_of([[1, 2], [3]], ["a", "b"])
    Traceback (most recent call last):
    steelyard.data.sequences.NoReadings: whose reading 1 (from 0) has 1 values where 2 channels are read: a, b
    """
    if _is_nothing(cell):
        return empty(len(channels))
    if isinstance(cell, np.ndarray) and cell.dtype.kind in "biuf":
        return _of_array(cell, channels)
    if isinstance(cell, str):
        cell = _parsed(cell)
    if isinstance(cell, Mapping):
        cell = _across(cell, channels)
    if isinstance(cell, str | bytes) or not isinstance(cell, Sequence | np.ndarray):
        raise NoReadings(f"which is no list of readings but {_shown(cell)}")
    if not len(cell):
        return empty(len(channels))
    return _of_rows([_reading(one, place, channels) for place, one in enumerate(cell)], channels, number)


def _is_nothing(cell: object) -> bool:
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def sequences_of(
    cells: Iterable[Any], name: str, channels: Sequence[str], number: Callable[[object], float]
) -> Iterator[Readings]:
    """Yield each cell of a column as readings.

    Raises
    ------
    RowsRefused
        If a cell is no such sequence; the sentence names the row (from 0), the column and the reading.
    """
    for row, cell in enumerate(cells):
        try:
            yield sequence_of(cell, channels, number)
        except NoReadings as problem:
            raise RowsRefused(
                f"row {row} (from 0) of column {name!r} holds a sequence {problem}; give a list of readings, each a "
                "list of numbers"
            ) from None


def to_lists(readings: Readings) -> list[list[float | None]]:
    """Return readings as plain JSON; a missing one is ``None``.

    Examples
    --------
    >>> to_lists(np.array([[1.0, np.nan]], np.float32))
    [[1.0, None]]
    """
    return [[None if math.isnan(value) else value for value in reading] for reading in readings.tolist()]


def _parsed(text: str) -> object:
    """Return what a string says in JSON, as a table of text holds readings; the string where it is none."""
    try:
        return json.loads(text) if text.lstrip()[:1] in ("[", "{") else text
    except ValueError:
        return text


def _of_array(cell: NDArray[Any], channels: Sequence[str]) -> Readings:
    made = cell.reshape(-1, 1) if cell.ndim == 1 and len(channels) == 1 else cell
    if made.ndim != 2 or made.shape[1] != len(channels):
        raise NoReadings(f"which has the shape {list(cell.shape)} where (steps, {len(channels)}) is read")
    return _finite(made)


def _finite(values: NDArray[Any]) -> Readings:
    if values.dtype == np.float32 and np.isfinite(values).all():
        return values
    with np.errstate(over="ignore"):  # beyond float32 a number is infinite, and so missing
        made = values.astype(np.float32)
    return np.where(np.isinf(made), np.float32(np.nan), made)


def _across(cell: Mapping[Any, Any], channels: Sequence[str]) -> list[Any]:
    """Return an object of one list a channel as readings."""
    _check_names(cell, channels, "which")
    columns = [cell[name] for name in channels]
    if not all(isinstance(column, list | tuple | np.ndarray) for column in columns):
        raise NoReadings("which is an object of something else than one list a channel")
    if len({len(column) for column in columns}) > 1:
        raise NoReadings("whose channels differ in length")
    return [list(reading) for reading in zip(*columns, strict=True)]


def _check_names(given: Mapping[Any, Any], channels: Sequence[str], who: str) -> None:
    if absent := [name for name in channels if name not in given]:
        raise NoReadings(f"{who} lacks channel {absent[0]!r}{nearest(absent[0], [str(name) for name in given])}")


def _reading(one: object, place: int, channels: Sequence[str]) -> Sequence[Any] | NDArray[Any]:
    """Return one reading as values in the order of the channels."""
    if isinstance(one, Mapping):
        _check_names(one, channels, f"whose reading {place} (from 0)")
        return [one[name] for name in channels]
    if isinstance(one, list | tuple | np.ndarray):
        if len(one) != len(channels):
            listed = ", ".join(channels[:8]) + (", ..." if len(channels) > 8 else "")
            raise NoReadings(
                f"whose reading {place} (from 0) has {len(one)} values where {len(channels)} channels are read: "
                f"{listed}"
            )
        return one
    if len(channels) == 1:
        return (one,)
    raise NoReadings(f"whose reading {place} (from 0) is {_shown(one)}, not one value for each of {len(channels)}")


def _of_rows(
    rows: list[Sequence[Any] | NDArray[Any]], channels: Sequence[str], number: Callable[[object], float]
) -> Readings:
    plain = all(type(value) is float or type(value) is int or value is None for row in rows for value in row)
    if plain:
        try:
            return _finite(np.array(rows, np.float64))
        except OverflowError:  # a whole number beyond any float
            pass
    made = np.empty((len(rows), len(channels)))
    for place, row in enumerate(rows):
        for channel, value in enumerate(row):
            try:
                made[place, channel] = number(value)
            except ValueError:
                said = f"whose reading {place} (from 0) holds {_shown(value)} for {channels[channel]!r}"
                raise NoReadings(f"{said}, which is no number") from None
    return _finite(made)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


# ----------------------------------------------------------------------------------------------- what a column holds


def channels_of(cells: Sequence[Any] | NDArray[Any]) -> tuple[str, ...] | None:
    """Return the channels of cells that are sequences, by the first that has a reading; ``None`` where none are.

    Channels without names are called ``channel_0`` and so on.

    Examples
    --------
    >>> channels_of([None, [[1.0, 2.0]]]), channels_of([[{"x": 1}]]), channels_of([["a", "b"]]), channels_of([3.0])
    (('channel_0', 'channel_1'), ('x',), None, None)
    """
    for cell in cells:
        if _is_nothing(cell) or (isinstance(cell, Sequence | np.ndarray | Mapping) and not len(cell)):
            continue
        return _channels_of(cell)
    return None


def _channels_of(cell: object) -> tuple[str, ...] | None:
    if isinstance(cell, Mapping):
        lists = all(isinstance(column, list | tuple | np.ndarray) for column in cell.values())
        return tuple(map(str, cell)) if lists else None
    if isinstance(cell, np.ndarray) and cell.dtype.kind != "O":
        of_numbers = cell.dtype.kind == "f" or (cell.dtype.kind in "iu" and cell.ndim == 1)
        return _numbered(cell.shape[1] if cell.ndim == 2 else 1) if of_numbers and cell.ndim in (1, 2) else None
    if isinstance(cell, str | bytes) or not isinstance(cell, Sequence | np.ndarray):
        return None
    first = cell[0]
    if isinstance(first, Mapping):
        return tuple(map(str, first))
    if isinstance(first, list | tuple | np.ndarray):
        return _numbered(len(first)) if all(map(_is_value, first)) else None
    return _numbered(1) if all(map(_is_value, cell)) else None


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"channel_{place}" for place in range(count))


def _is_value(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | np.number)


# -------------------------------------------------------------------------------------------- many cells as one array


def pooled(cells: NDArray[Any], channels: int) -> tuple[Readings, Ints, Ints]:
    """Return every reading of some cells once, and for each cell where it begins there and how long it is.

    Cells that are views of one array, as windows are, share what they overlap in.

    Examples
    --------
    >>> base = np.zeros((4, 1), np.float32)
    >>> cells = np.empty(2, object)
    >>> cells[0], cells[1] = base[0:3], base[1:4]
    >>> pool, first, steps = pooled(cells, 1)
    >>> pool.shape, first.tolist(), steps.tolist()
    ((4, 1), [0, 1], [3, 3])
    """
    steps = np.fromiter(map(len, cells), np.int64, count=len(cells))
    base = _common_base(cells)
    if base is None:
        pool = np.concatenate([empty(channels), *cells]).astype(np.float32, copy=False)
        return pool, np.cumsum(steps) - steps, steps
    start, stride = base.__array_interface__["data"][0], base.strides[0]
    at = np.fromiter((cell.__array_interface__["data"][0] for cell in cells), np.int64, count=len(cells))
    first = np.where(steps > 0, (at - start) // stride, 0)
    covered = np.zeros(len(base) + 1, np.int64)
    np.add.at(covered, first, 1)
    np.add.at(covered, first + steps, -1)
    used = np.cumsum(covered)[:-1] > 0
    before = np.concatenate([[0], np.cumsum(used)])
    return base[used], before[first], steps


def _common_base(cells: NDArray[Any]) -> Readings | None:
    """Return the array that all cells are consecutive rows of, if they are."""
    base = next((cell.base for cell in cells if len(cell)), None)
    if not isinstance(base, np.ndarray) or base.ndim != 2 or base.dtype != np.float32 or not base.flags.c_contiguous:
        return None
    alike = all(not len(cell) or (cell.base is base and cell.strides == base.strides) for cell in cells)
    return base if alike else None


def unpooled(pool: Readings, first: Ints, steps: Ints) -> NDArray[Any]:
    """Return the cells that :func:`pooled` took apart, as views of the pool."""
    made = np.empty(len(first), dtype=object)
    for row, (start, length) in enumerate(zip(first.tolist(), steps.tolist(), strict=True)):
        made[row] = pool[start : start + length]
    return made
