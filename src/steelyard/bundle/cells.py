"""One raw row to typed cells, fast: what :mod:`steelyard.data.coerce` says, with short cuts for the usual types."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from steelyard.contracts import Kind, Schema
from steelyard.data.coerce import (
    NotThisKind,
    category_of,
    image_of,
    is_missing,
    number_of,
    rule_of,
    sound_of,
    text_of,
    time_of,
)
from steelyard.data.columns import row_to_columns
from steelyard.data.sequences import NoReadings, sequence_of
from steelyard.data.tokenised import NotTokens, tokens_of
from steelyard.errors import RowsRefused

Reader = Callable[[Any], Any]

_REMEMBERED = 4096
_LONGEST = 64


def _number(cell: object) -> float:
    value = cell if type(cell) is float else float(cell) if type(cell) is int else number_of(cell)
    return value if -math.inf < value < math.inf else math.nan


def _remembering() -> Reader:
    """Return a reader of categories that keeps what it has seen: a column holds few, and they come again."""
    seen: dict[str, str | None] = {}

    def read(cell: object) -> str | None:
        if type(cell) is not str:
            return category_of(cell)
        if cell in seen:
            return seen[cell]
        name = category_of(cell)
        if len(seen) < _REMEMBERED and len(cell) <= _LONGEST:
            seen[cell] = name
        return name

    return read


def _time(cell: object) -> float:
    return cell if type(cell) is float and -math.inf < cell < math.inf else time_of(cell)


def _written(kind: Kind, notation: str, *, lenient: bool) -> Reader:
    """Return a reader of numbers or times that are written in a way of their column."""
    rule = rule_of(kind, notation, lenient=lenient)

    def read(cell: object) -> float:
        value = rule(cell)
        return value if -math.inf < value < math.inf else math.nan

    return read


def _sequence(channels: tuple[str, ...], *, lenient: bool) -> Reader:
    number = rule_of(Kind.NUMBER, lenient=lenient)

    def read(cell: object) -> Any:
        try:
            return sequence_of(None if is_missing(cell) else cell, channels, number)
        except NoReadings as problem:
            raise NotThisKind(cell) from problem

    return read


_PLAIN: dict[Kind, Reader] = {
    Kind.NUMBER: _number,
    Kind.TIME: _time,
    Kind.TEXT: text_of,
    Kind.IMAGE: image_of,
    Kind.AUDIO: sound_of,
    Kind.TOKENS: tokens_of,
}


def reader(kind: Kind, notation: str = "", *, lenient: bool = False, channels: tuple[str, ...] = ()) -> Reader:
    """Return the function that reads a cell of some kind; it raises ``NotThisKind`` where the cell does not fit.

    ``notation``, ``lenient`` and ``channels`` are those of the column (:class:`steelyard.contracts.Column`).

    Examples
    --------
    >>> [reader(Kind.NUMBER)(cell) for cell in (3, "4.5", None, float("inf"))]
    [3.0, 4.5, nan, nan]
    >>> [reader(Kind.CATEGORY)(cell) for cell in (3.0, " a ", "")]
    ['3', 'a', None]
    """
    if kind is Kind.CATEGORY:
        return _remembering()
    if kind is Kind.SEQUENCE:
        return _sequence(channels, lenient=lenient)
    if notation or lenient:
        return _written(kind, notation, lenient=lenient)
    return _PLAIN[kind]


class RowReader:
    """Reads raw rows (dicts of values) for the columns of one schema."""

    __slots__ = ("_readers", "_schema")

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._readers = tuple(
            (column.name, reader(column.kind, column.notation, lenient=column.lenient, channels=column.channels))
            for column in schema.features
        )

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the cells of a row.

        Raises
        ------
        RowsRefused
            If a column is missing or a cell does not fit; the sentence is that of many rows.
        """
        try:
            return {name: read(row[name]) for name, read in self._readers}
        except (KeyError, TypeError, OverflowError, NotThisKind, NotTokens):
            return self._slow(row)

    def _slow(self, row: object) -> dict[str, Any]:
        if not isinstance(row, Mapping):
            raise RowsRefused(f"one row is a dict of values by column name; got {type(row).__name__}") from None
        return {name: cells[0] for name, cells in row_to_columns(row, self._schema).items()}
