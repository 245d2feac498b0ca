"""The coercions of :mod:`steelyard.data.coerce` on whole columns of strings: same results, by polars.

Numbers in plain notation are cast by polars; anything else goes through ``coerce``, once for each distinct string.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Kind
from steelyard.data.coerce import BLANKS, NotThisKind, category_of, column, number_of, objects, text_of, time_of
from steelyard.data.table import Cells
from steelyard.errors import need

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
_PLAIN = r"^-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?$"


def is_strings(cells: Cells) -> TypeGuard[pl.Series]:
    """Tell whether cells are a polars series of strings."""
    return not isinstance(cells, np.ndarray)


def tidy(cells: Any) -> Cells:
    """Return cells as a polars series where all of them are strings or missing, else as an array."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "U":
        cells = objects(cells.tolist())
    if isinstance(cells, np.ndarray) and cells.dtype != object:
        return cells
    values = [None if c is None or c != c else c for c in cells] if _only_strings(cells) else None  # noqa: PLR0124
    if values is not None:
        polars = need("polars", for_="reading a table")
        return cast("pl.Series", polars.Series(values=values, dtype=polars.String))
    return _typed(cells)


def _only_strings(cells: Any) -> bool:
    return all(type(c) is str or c is None or (type(c) is float and c != c) for c in cells) and any(  # noqa: PLR0124
        type(c) is str for c in cells
    )


def _typed(cells: Any) -> NDArray[Any]:
    """Return a list of numbers as an array of numbers; anything mixed stays as objects."""
    if all(type(c) is float or type(c) is int for c in cells):
        made = np.array(list(cells)) if len(cells) else np.empty(0)
        return made if made.dtype.kind in "iuf" else objects(cells)
    return objects(cells)


def _by_distinct(cells: Cells, rule: Callable[[Any], T]) -> list[T]:
    if isinstance(cells, np.ndarray):
        return [rule(cell) for cell in cells]
    made = {cell: rule(cell) for cell in cells.unique().to_list()}
    return [made[cell] for cell in cells.to_list()]


def _or_none(rule: Callable[[object], float]) -> Callable[[object], float | None]:
    def tried(cell: object) -> float | None:
        try:
            return rule(cell)
        except NotThisKind:
            return None

    return tried


def measured(kind: Kind, cells: Cells) -> tuple[Floats, NDArray[np.bool_]]:
    """Return cells as numbers or times, and which cells do not fit. Infinite numbers are left as they are."""
    if isinstance(cells, np.ndarray) and cells.dtype != object:
        return _from_array(kind, cells)
    values = np.full(len(cells), np.nan)
    rest = np.ones(len(cells), dtype=bool)
    if kind is Kind.NUMBER and is_strings(cells):
        values, rest = _plain_numbers(cells)
    rule = _or_none(number_of if kind is Kind.NUMBER else time_of)
    slow = _by_distinct(cells.filter(rest) if is_strings(cells) else cells[rest], rule)
    bad = np.array([value is None for value in slow], dtype=bool)
    values[rest] = [np.nan if value is None else value for value in slow]
    rest[rest] = bad
    return values, rest


def _from_array(kind: Kind, cells: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
    fits = cells.dtype.kind in ("biuf" if kind is Kind.NUMBER else "biufM")
    if not fits:
        return np.full(len(cells), np.nan), np.ones(len(cells), dtype=bool)
    values = cells.astype(np.float64) if cells.dtype.kind in "biuf" else column(Kind.TIME, cells, "")
    return values, np.zeros(len(cells), dtype=bool)


def _plain_numbers(series: pl.Series) -> tuple[Floats, NDArray[np.bool_]]:
    """Cast what is in plain notation; return the values and which cells are still to be done."""
    polars = need("polars", for_="reading a table")
    stripped = series.str.strip_chars(BLANKS)
    plain = stripped.str.contains(_PLAIN).fill_null(value=False)
    cast = stripped.set(~plain, None).cast(polars.Float64)
    return np.array(cast.to_numpy(), dtype=np.float64), ~plain.to_numpy()


def categories(cells: Cells) -> NDArray[Any]:
    """Return cells as an object array of category names, ``None`` where missing."""
    return np.array(_by_distinct(cells, category_of), dtype=object)


def texts(cells: Cells) -> NDArray[Any]:
    """Return cells as an object array of texts, ``""`` where missing."""
    return np.array(_by_distinct(cells, text_of), dtype=object)


def distinct_of(cells: Cells) -> tuple[dict[str, int], int]:
    """Return each category name with the number of its rows, and the number of rows that have none."""
    if not is_strings(cells):
        counts = Counter(_by_distinct(cells, category_of))
    else:
        counts = Counter()
        for cell, rows in cells.value_counts().rows():
            counts[category_of(cell)] += rows
    missing = counts.pop(None, 0)
    return {name: rows for name, rows in counts.items() if name is not None}, missing


def as_list(cells: Cells) -> list[Any]:
    """Return the cells as a list of Python values."""
    return list(cells.tolist() if isinstance(cells, np.ndarray) else cells.to_list())
