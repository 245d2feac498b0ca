"""What a column holds, from its cells alone. The first rule that fits decides, and is kept as the column's ``why``.

1. Bytes, arrays, pictures, or strings that all end like image files: IMAGE.
2. One value in all rows (missing counts as a value): CONSTANT.
3. Strings that are all written dates (year first, or day first with points), or a typed date: TIME.
4. Numbers, typed or written: NUMBER, however few the values. But whole numbers that count the rows (0 or 1, then
   up by one), or that are all different under a name like ``id``: ID; whole numbers under such a name that repeat,
   and digits with leading zeros (``007``): names of things, so CATEGORY.
5. Strings that are long (3.5 words, 50 characters, or 8 characters without spaces between words, on average) and
   seldom repeat (distinct ones are 30% of the rows, or 1,000): TEXT.
6. Strings of which 95% are different, in 20 rows or more: ID.
7. Anything else: CATEGORY.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Kind
from steelyard.data.coerce import date_of, is_missing, is_number
from steelyard.data.fast import distinct_of, measured
from steelyard.data.readers.images import IMAGE_ENDINGS
from steelyard.data.table import Cells

FEW = 20
"""Below this number of rows nothing is taken for an id: too little to tell."""
_ALL_BUT, _ALMOST = 0.95, 0.05
_WORDS, _CHARACTERS, _UNSPACED_CHARACTERS = 3.5, 50, 8
_TEXT_SHARE, _TEXT_COUNT = 0.3, 1_000
_SAMPLE = 2_000
_GLANCE = 50
"""Distinct strings looked at before all of them are tried as numbers."""
_ID_NAME = re.compile(r"(?:^|[_\s.\-])(?:id|Id|ID|uuid|UUID|guid|GUID)$|[a-z0-9](?:ID|Id)$")
_ZEROS = re.compile(r"-?0[0-9]+")
_LETTER = re.compile(r"[^\W\d_]")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
"""Letters of scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, kana, Han."""


@dataclass(frozen=True, slots=True)
class Found:
    """The kind of a column, the rule that found it, and how many values it has."""

    kind: Kind
    why: str
    distinct: int
    almost: tuple[int, int] | None = None
    """For a CATEGORY or an ID that is nearly a number: how many cells are not, and the row of the first."""


def kind_of(name: str, cells: Cells) -> Found:
    """Return what a column holds; see the rules above.

    Parameters
    ----------
    name
        Tells ids from quantities.
    cells
        Every cell of the column.
    """
    if isinstance(cells, np.ndarray) and cells.dtype == object and _are_images(cells):
        return Found(Kind.IMAGE, "pictures in the cells", len(cells))
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "iufM":
        return _of_numbers(name, cells)
    return _of_strings(name, cells)


def _are_images(cells: NDArray[Any]) -> bool:
    first = next((cell for cell in cells if not is_missing(cell)), None)
    return isinstance(first, bytes) or (isinstance(first, np.ndarray) and first.ndim > 1) or is_picture(first)


def is_picture(cell: object) -> bool:
    """Tell whether a cell is a PIL image, without importing PIL."""
    return type(cell).__module__.startswith("PIL.")


def _of_numbers(name: str, cells: NDArray[Any]) -> Found:
    if cells.dtype.kind == "M":
        distinct = len(np.unique(cells[~np.isnat(cells)]))
        constant = distinct + bool(np.isnat(cells).any()) <= 1
        kind, why = (Kind.CONSTANT, "one value in all rows") if constant else (Kind.TIME, "dates")
        return Found(kind, why, distinct)
    return number_kind(name, cells.astype(np.float64))


def number_kind(name: str, values: Floats) -> Found:
    """Return the kind of a column whose cells are all numbers or missing (rule 2 and 4)."""
    known = values[~np.isnan(values)]
    distinct = len(np.unique(known))
    if distinct + (len(known) < len(values)) <= 1:
        return Found(Kind.CONSTANT, "one value in all rows" if distinct else "no value in any row", distinct)
    whole = bool(np.all(np.isfinite(known)) and np.all(known == np.floor(known)))
    named = whole and is_id_name(name)
    if whole and len(values) >= FEW and distinct == len(values):
        if known[0] in (0, 1) and np.all(np.diff(known) == 1):
            return Found(Kind.ID, "whole numbers that count the rows", distinct)
        if named:
            return Found(Kind.ID, "whole numbers, all different, under a name like id", distinct)
    if named and distinct > 2:
        return Found(Kind.CATEGORY, "whole numbers that repeat under a name like id: not a quantity", distinct)
    return Found(Kind.NUMBER, "numbers", distinct)


def is_id_name(name: str) -> bool:
    """Tell whether a column is called like an identifier.

    Examples
    --------
    >>> [is_id_name(n) for n in ("id", "customer_id", "PassengerId", "customerID", "paid", "humid", "idea")]
    [True, True, True, True, False, False, False]
    """
    return bool(_ID_NAME.search(name))


def _of_strings(name: str, cells: Cells) -> Found:
    counts, missing = distinct_of(cells)
    distinct = sorted(counts)
    if len(distinct) + bool(missing) <= 1:
        why = "one value in all rows" if distinct else "no value in any row"
        return Found(Kind.CONSTANT, why, len(distinct))
    if all(cell.lower().endswith(tuple(IMAGE_ENDINGS)) for cell in distinct):
        return Found(Kind.IMAGE, "names of image files", len(distinct))
    if all(date_of(cell) is not None for cell in distinct):
        return Found(Kind.TIME, "written dates", len(distinct))
    almost = None
    if any(is_number(cell) for cell in distinct[:_GLANCE]):
        values, bad = measured(Kind.NUMBER, cells)
        if not bad.any() and not any(_ZEROS.fullmatch(cell) for cell in distinct):
            return number_kind(name, values)
        if 0 < bad.sum() <= _ALMOST * (len(cells) - missing):
            almost = (int(bad.sum()), int(np.flatnonzero(bad)[0]))
    return _of_words(len(cells), len(cells) - missing, distinct, almost)


def _of_words(rows: int, known: int, distinct: Sequence[str], almost: tuple[int, int] | None) -> Found:
    """Tell text, ids and categories apart (rules 5 to 7)."""
    if is_text(distinct, known):
        return Found(Kind.TEXT, "long strings that seldom repeat", len(distinct))
    if rows >= FEW and len(distinct) >= _ALL_BUT * known:
        return Found(Kind.ID, f"{len(distinct) / known:.0%} of the strings are different", len(distinct), almost)
    return Found(Kind.CATEGORY, "strings that repeat", len(distinct), almost)


def is_text(distinct: Sequence[str], known: int) -> bool:
    """Tell whether strings are free text: long, and seldom the same (rule 5).

    Examples
    --------
    >>> is_text(["the card has not come", "where is my new card now"], 2), is_text(["red", "green"], 2)
    (True, False)
    """
    if len(distinct) < min(_TEXT_COUNT, _TEXT_SHARE * known):
        return False
    sample = distinct[:_SAMPLE]
    characters = sum(map(len, sample)) / len(sample)
    words = sum(len(cell.split()) for cell in sample) / len(sample)
    long_unspaced = characters >= _UNSPACED_CHARACTERS and not is_spaced(sample)
    return words >= _WORDS or characters >= _CHARACTERS or long_unspaced


def is_spaced(texts: Sequence[str]) -> bool:
    """Tell whether words stand apart: ``False`` when most letters are of a script without spaces.

    Examples
    --------
    >>> is_spaced(["a room with a view"]), is_spaced(["商务大床房，房间很大 OK"])
    (True, False)
    """
    sample = "".join(texts[:_SAMPLE])[:200_000]
    letters = len(_LETTER.findall(sample))
    return 2 * len(_UNSPACED.findall(sample)) <= letters
