"""The coercions of :mod:`steelyard.data.coerce` on whole columns of strings: same results, by polars.

Numbers in plain notation and dates like ``2011-01-31 08:30:00`` are read by polars; anything else goes through
``coerce``, once for each distinct string.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Kind
from steelyard.data.coerce import (
    BLANKS,
    MISSING,
    NotThisKind,
    category_of,
    column,
    is_missing,
    objects,
    rule_of,
    text_of,
)
from steelyard.data.dates import COMPACT, MILLISECONDS
from steelyard.data.table import Cells
from steelyard.errors import need

if TYPE_CHECKING:
    import polars as pl
    from typing_extensions import TypeIs

T = TypeVar("T")
_PLAIN = r"^-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?$"
_PLAIN_TIME = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2})?$"
_NAMED_OTHERWISE = r"\.0$|^(?i:true|false)$"
"""Strings whose name as a category may differ from them: whole numbers with a point, and truth values."""


def is_strings(cells: Cells) -> TypeIs[pl.Series]:
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


def measured(kind: Kind, cells: Cells, notation: str = "") -> tuple[Floats, NDArray[np.bool_]]:
    """Return cells as numbers or times, and which cells do not fit. Infinite numbers are left as they are.

    Parameters
    ----------
    kind
        NUMBER or TIME.
    cells
        The cells of one column.
    notation
        How the column writes numbers or dates where that is not plain; see :class:`steelyard.contracts.Column`.
    """
    values, rest = np.full(len(cells), np.nan), np.ones(len(cells), dtype=bool)
    if not is_strings(cells):
        if cells.dtype != object and COMPACT not in notation:
            return _from_array(kind, cells, notation)
    elif kind is Kind.TIME:
        values, rest = _plain_times(cells)
    elif not notation:
        values, rest = _plain_numbers(cells)
    slow = _by_distinct(cells.filter(rest) if is_strings(cells) else cells[rest], _or_none(rule_of(kind, notation)))
    bad = np.array([value is None for value in slow], dtype=bool)
    values[rest] = [np.nan if value is None else value for value in slow]
    rest[rest] = bad
    return values, rest


def _from_array(kind: Kind, cells: NDArray[Any], notation: str) -> tuple[Floats, NDArray[np.bool_]]:
    fits = cells.dtype.kind in ("biuf" if kind is Kind.NUMBER else "biufM")
    if not fits:
        return np.full(len(cells), np.nan), np.ones(len(cells), dtype=bool)
    values = cells.astype(np.float64) if cells.dtype.kind in "biuf" else column(Kind.TIME, cells, "")
    if notation == MILLISECONDS and cells.dtype.kind != "M":
        values = values / 1000
    return values, np.zeros(len(cells), dtype=bool)


def _plain_numbers(series: pl.Series) -> tuple[Floats, NDArray[np.bool_]]:
    """Cast what is in plain notation; return the values and which cells are still to be done."""
    polars = need("polars", for_="reading a table")
    plain = series.str.contains(_PLAIN).fill_null(value=False)
    cast = series.set(~plain, None).cast(polars.Float64)
    return np.array(cast.to_numpy(), dtype=np.float64), ~plain.to_numpy()


def _plain_times(series: pl.Series) -> tuple[Floats, NDArray[np.bool_]]:
    """Read what is like ``2011-01-31 08:30:00``; return epoch seconds, and which cells are still to be done."""
    polars = need("polars", for_="reading a table")
    plain = series.str.contains(_PLAIN_TIME).fill_null(value=False)
    if not plain.any():
        return np.full(len(series), np.nan), np.ones(len(series), dtype=bool)
    written = series.set(~plain, None)
    days = written.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).cast(polars.Int32)
    clock = [written.str.slice(at, 2).cast(polars.Int32, strict=False).fill_null(0) for at in (11, 14, 17)]
    fits = (days.is_not_null() & (clock[0] < 24) & (clock[1] < 60) & (clock[2] < 60)).to_numpy()
    seconds = days.cast(polars.Float64) * 86400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    return np.where(fits, seconds.fill_null(float("nan")).to_numpy(), np.nan), ~fits


def _names(series: pl.Series) -> pl.Series:
    """Return the category name of each cell, as ``coerce.category_of`` has it; null where missing."""
    polars = need("polars", for_="reading a table")
    names = series.str.strip_chars(BLANKS)
    odd = names.is_in(list(MISSING)) | names.str.contains(_NAMED_OTHERWISE)
    if not odd.any():
        return names
    known = names.filter(odd).unique().drop_nulls().to_list()
    renamed = [category_of(cell) for cell in known]
    return names.replace_strict(known, renamed, default=names, return_dtype=polars.String)


def categories(cells: Cells) -> NDArray[Any]:
    """Return cells as an object array of category names, ``None`` where missing; equal names are one object."""
    if not is_strings(cells):
        return np.array(_by_distinct(cells, category_of), dtype=object)
    polars = need("polars", for_="reading a table")
    names = _names(cells)
    distinct = names.unique().drop_nulls()
    if 2 * len(distinct) > len(names):
        return np.array(names.to_list(), dtype=object)
    codes = names.cast(polars.Enum(distinct)).to_physical().fill_null(len(distinct)).to_numpy()
    return np.array([*distinct.to_list(), None], dtype=object).take(codes)


def texts(cells: Cells) -> NDArray[Any]:
    """Return cells as an object array of texts, ``""`` where missing."""
    if not is_strings(cells):
        return np.array(_by_distinct(cells, text_of), dtype=object)
    blank = (cells.str.strip_chars(BLANKS) == "").fill_null(value=True)
    return np.array(cells.set(blank, "").to_list(), dtype=object)


def distinct_of(cells: Cells) -> tuple[dict[str, int], int]:
    """Return each category name with the number of its rows, and the number of rows that have none."""
    if is_strings(cells):
        counts = dict(_names(cells).value_counts().rows())
    else:
        counts = dict(Counter(_by_distinct(cells, category_of)))
    missing = counts.pop(None, 0)
    return {str(name): rows for name, rows in counts.items()}, missing


def some_of(cells: Cells, most: int) -> list[Any]:
    """Return at most a number of cells that are not missing, evenly spread over the column."""
    if is_strings(cells):
        few = _known(cells.gather_every(max(1, len(cells) // (10 * most))))
        known = few if len(few) >= most else _known(cells)
        return known.gather_every(max(1, -(-len(known) // most))).to_list()
    present = [cell for cell in cells if not is_missing(cell)]
    return present[:: max(1, -(-len(present) // most))]


def _known(series: pl.Series) -> pl.Series:
    stripped = series.str.strip_chars(BLANKS)
    return stripped.filter(stripped.is_not_null() & ~stripped.is_in(list(MISSING)))


def known_strings(cells: Cells, like: str = "") -> list[str]:
    """Return the different strings that are not missing, without blanks at their ends; those like a pattern alone."""
    if not is_strings(cells):
        several = {cell.strip(BLANKS) for cell in cells if isinstance(cell, str) and not is_missing(cell)}
        return sorted(cell for cell in several if re.search(like, cell))
    known = _known(cells)
    return (known.filter(known.str.contains(like)) if like else known).unique().sort().to_list()


def has(cells: Cells, pattern: str) -> NDArray[np.bool_]:
    """Tell which cells are strings with a pattern in them; the pattern is one that Rust and Python read alike."""
    if is_strings(cells):
        return np.array(cells.str.contains(pattern).fill_null(value=False).to_numpy(), dtype=bool)
    return np.array([isinstance(cell, str) and re.search(pattern, cell) is not None for cell in cells], dtype=bool)


def as_list(cells: Cells) -> list[Any]:
    """Return the cells as a list of Python values."""
    return list(cells.tolist() if isinstance(cells, np.ndarray) else cells.to_list())
