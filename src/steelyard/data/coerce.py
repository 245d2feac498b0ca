"""The one coercion of cells to typed columns, used to train and to predict alike. Needs numpy alone.

Rules, by kind:

* Spaces around a string are no part of it. ``MISSING`` strings, ``None`` and NaN are missing; for a number or a
  time so are those of ``MISSING_NUMBER``, in any case; for text only blank strings are.
* NUMBER: plain decimal notation (``-1.5e3``), the notation of the column if it has one (``1.234,5 €``, see
  :mod:`steelyard.data.numerals`), booleans as 0 and 1. Infinite values are missing: no model can use them.
* CATEGORY: a whole number is written without a point (``3.0`` and ``"3.0"`` are ``"3"``), truth values in lower case.
* TEXT: as it is; missing text is ``""``.
* TIME: a written date (see :mod:`steelyard.data.dates`) or a number of epoch seconds. A time without a zone is UTC.
* IMAGE: a path, ``archive.zip::member``, bytes, an array or a PIL image, untouched.
* AUDIO: a path, ``archive.zip::member``, or the bytes of a wav file, untouched.
* SEQUENCE: readings in any way that :mod:`steelyard.data.sequences` knows; a missing one has no steps.
* TOKENS: a list of strings (numbers in it are written as strings), such a list as JSON, or a string that white space
  parts; none is missing.

A cell that does not fit is refused, unless the column is *lenient*: then it is missing, as it was in training.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Kind
from steelyard.data.dates import COMPACT, MILLISECONDS, counted, date_of
from steelyard.data.numerals import PLAIN, numeral_of
from steelyard.data.sequences import sequences_of
from steelyard.data.tokenised import token_column
from steelyard.errors import RowsRefused

BLANKS = " \t\r\n\f\v\u00a0\u3000\ufeff"
"""What is stripped from both ends of a string cell; named here so that every reader strips the same."""
MISSING = frozenset({"", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NaT", "NULL", "null"})
MISSING_NUMBER = frozenset({m.lower() for m in MISSING} | {"none", "-", "--", "."})

_INFINITE = frozenset({"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)\.0")
_LARGEST_EXACT = 1e15


class NotThisKind(ValueError):
    """A cell does not fit the kind of its column."""


def is_missing(cell: object) -> bool:
    """Tell whether a cell of any type says that nothing is known.

    Examples
    --------
    >>> [is_missing(c) for c in (None, float("nan"), " NA ", "none", 0)]
    [True, True, True, False, False]
    """
    if cell is None:
        return True
    if isinstance(cell, str):
        return cell.strip(BLANKS) in MISSING
    if isinstance(cell, float | np.floating):
        return bool(cell != cell)  # noqa: PLR0124 - NaN is the one value that differs from itself
    if isinstance(cell, np.datetime64):
        return bool(np.isnat(cell))
    return type(cell).__name__ in {"NAType", "NaTType"}


def number_of(cell: object, notation: str = "") -> float:
    """Return a cell as a number; NaN where missing, and infinity where it says so.

    ``notation`` is how the column writes numbers where that is not plain (:mod:`steelyard.data.numerals`).

    Raises
    ------
    NotThisKind
        If it is anything but a number.

    Examples
    --------
    >>> [number_of(c) for c in (" 1.50 ", True, "", "NONE", "-1e3")]
    [1.5, 1.0, nan, nan, -1000.0]
    """
    if isinstance(cell, str):
        return _number_of_string(cell.strip(BLANKS), notation)
    if is_missing(cell):
        return math.nan
    if isinstance(cell, bool | int | float | np.number | np.bool_) or type(cell).__name__ == "Decimal":
        try:
            return float(cell)  # type: ignore[arg-type]
        except OverflowError:
            return math.inf
    raise NotThisKind(cell)


def _number_of_string(text: str, notation: str = "") -> float:
    if notation:
        value = numeral_of(text, notation)
        if value is not None:
            return value
    elif PLAIN.fullmatch(text):
        return float(text)
    small = text.lower()
    if small in MISSING_NUMBER:
        return math.nan
    if small in _INFINITE:
        return float(small)
    raise NotThisKind(text)


def is_number(text: str) -> bool:
    """Tell whether a string is a number in plain notation."""
    return PLAIN.fullmatch(text) is not None


def category_of(cell: object) -> str | None:
    """Return a cell as the name of a category, or ``None`` where missing.

    Examples
    --------
    >>> [category_of(c) for c in (3.0, "3.0", "007", 2.5, True, "FALSE", " a ", "NA")]
    ['3', '3', '007', '2.5', 'true', 'false', 'a', None]
    """
    if is_missing(cell):
        return None
    if isinstance(cell, float | np.floating):
        return _category_of_float(cell)
    if isinstance(cell, dt.date | np.datetime64):
        return str(cell).removesuffix(" 00:00:00").removesuffix("T00:00:00.000000000")
    text = str(cell).strip(BLANKS)
    if text[:1] in "tTfF" and text.lower() in {"true", "false"}:
        return text.lower()
    if text.endswith(".0") and _WHOLE.fullmatch(text):
        return str(int(text[:-2]))
    return text


def _category_of_float(cell: float | np.floating[Any]) -> str:
    value = float(cell)
    if value.is_integer() and abs(value) < _LARGEST_EXACT:
        return str(int(value))
    return str(cell)


def text_of(cell: object) -> str:
    """Return a cell as text, ``""`` where missing.

    Examples
    --------
    >>> [text_of(c) for c in ("NA is a word here", "  ", None, 3.0)]
    ['NA is a word here', '', '', '3']
    """
    if isinstance(cell, str):
        return cell if cell.strip(BLANKS) else ""
    return category_of(cell) or ""


def time_of(cell: object, notation: str = "") -> float:
    """Return a cell as epoch seconds (UTC), NaN where missing.

    ``notation`` is how the column writes dates where they do not say it themselves (:mod:`steelyard.data.dates`).

    Raises
    ------
    NotThisKind
        If it is neither a date, a time, nor a number.

    Examples
    --------
    >>> [time_of(c) for c in ("1970-01-02", "2.1.1970", "1970/1/1 00:01", "1970-01-01T01:00:00+01:00", 5, "")]
    [86400.0, 86400.0, 60.0, 0.0, 5.0, nan]
    """
    if isinstance(cell, str):
        text = cell.strip(BLANKS)
        moment = date_of(text, notation)
        return _counted(_number_of_string(text), notation, cell) if moment is None else moment
    if is_missing(cell):
        return math.nan
    if isinstance(cell, dt.datetime):
        return (cell if cell.tzinfo else cell.replace(tzinfo=dt.UTC)).timestamp()
    if isinstance(cell, dt.date):
        return dt.datetime(cell.year, cell.month, cell.day, tzinfo=dt.UTC).timestamp()
    if isinstance(cell, np.datetime64):
        return float(cell.astype("datetime64[us]").astype(np.int64)) / 1e6
    return _counted(number_of(cell), notation, cell)


def _counted(number: float, notation: str, cell: object) -> float:
    moment = counted(number, notation)
    if moment is None:
        raise NotThisKind(cell)
    return moment


Rule = Callable[[object], float]


def rule_of(kind: Kind, notation: str = "", *, lenient: bool = False) -> Rule:
    """Return what reads a cell of a NUMBER or TIME column; infinite numbers are left as they are.

    Examples
    --------
    >>> rule_of(Kind.NUMBER, "1.234,5")("1.000,5"), rule_of(Kind.NUMBER, lenient=True)("about ten")
    (1000.5, nan)
    """
    read = number_of if kind is Kind.NUMBER else time_of

    def strict(cell: object) -> float:
        return read(cell, notation)

    def tolerant(cell: object) -> float:
        try:
            return read(cell, notation)
        except NotThisKind:
            return math.nan

    return tolerant if lenient else strict if notation else read


# --------------------------------------------------------------------------------------------- columns


def objects(cells: Iterable[Any]) -> NDArray[Any]:
    """Return an object array of the cells as they are, arrays among them included."""
    several = list(cells)
    made = np.empty(len(several), dtype=object)
    for i, cell in enumerate(several):
        made[i] = cell
    return made


def _finite(values: Floats) -> Floats:
    return np.where(np.isinf(values), np.nan, values)


def _from_array(kind: Kind, cells: NDArray[Any]) -> Floats | None:
    """Return an array of numbers (or of numpy's dates) as it stands; ``None`` where each cell has to be read."""
    if cells.dtype.kind in "biuf":
        return _finite(cells.astype(np.float64))
    if cells.dtype.kind == "M" and kind is Kind.TIME:
        micros = cells.astype("datetime64[us]")
        return np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 1e6)
    return None


def _takes_numbers(notation: str) -> bool:
    """Tell whether numbers of a column count seconds, or are numbers."""
    return COMPACT not in notation and MILLISECONDS not in notation


def _each(rule: Rule, cells: Sequence[Any] | NDArray[Any]) -> Floats:
    made = np.empty(len(cells))
    for i, cell in enumerate(cells):
        try:
            made[i] = rule(cell)
        except NotThisKind:
            raise _At(i, cell) from None
    return made


class _At(NotThisKind):
    """Row and cell that do not fit."""

    def __init__(self, row: int, cell: object) -> None:
        super().__init__(row, cell)
        self.row, self.cell = row, cell


def image_of(cell: object) -> object:
    """Return an image cell: a path-like becomes a string, a missing one ``None``."""
    if isinstance(cell, os.PathLike):
        return os.fspath(cell)
    return None if is_missing(cell) else cell


def sound_of(cell: object) -> object:
    """Return a sound cell: a path-like becomes a string, other buffers bytes, a missing one ``None``."""
    if isinstance(cell, bytearray | memoryview):
        return bytes(cell)
    return image_of(cell)


_ENDING = {
    Kind.NUMBER: "a number{}",
    Kind.TIME: "a time (write it as 2011-01-31 or 2011-01-31 08:30:00{})",
}


def column(
    kind: Kind,
    cells: Sequence[Any] | NDArray[Any],
    name: str,
    *,
    notation: str = "",
    lenient: bool = False,
    channels: Sequence[str] = (),
) -> NDArray[Any]:
    """Return cells as one typed column, as :data:`steelyard.contracts.Columns` describes.

    Parameters
    ----------
    kind, cells, name
        What the column holds, its cells, and what it is called.
    notation, lenient
        How numbers and dates are written there, and whether what does not fit is missing; see
        :class:`steelyard.contracts.Column`.
    channels
        Of a sequence what its readings are called.

    Raises
    ------
    RowsRefused
        If a cell does not fit; the message names the row (from 0), the column and the cell.
    """
    if kind in _ENDING:
        typed = _from_array(kind, cells) if isinstance(cells, np.ndarray) and _takes_numbers(notation) else None
        if typed is not None:
            return typed
        try:
            return _finite(_each(rule_of(kind, notation, lenient=lenient), cells))
        except _At as where:
            raise RowsRefused(
                f"row {where.row} (from 0) of column {name!r} holds {where.cell!r}, which is not "
                f"{_ENDING[kind].format(f' or like {notation}' if notation else '')}; correct it or leave it empty"
            ) from None
    if kind is Kind.SEQUENCE:
        known = (None if is_missing(cell) else cell for cell in cells)
        return objects(sequences_of(known, name, channels, rule_of(Kind.NUMBER, lenient=lenient)))
    if kind is Kind.TOKENS:
        return token_column(cells, name)
    rule = {Kind.TEXT: text_of, Kind.IMAGE: image_of, Kind.AUDIO: sound_of}.get(kind, category_of)
    return objects(rule(cell) for cell in cells)
