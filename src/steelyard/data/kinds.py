"""What a column holds, from its cells alone. The first rule that fits decides, and is kept as the column's ``why``.

1. Bytes, arrays, pictures, or strings that all end like image files: IMAGE; bytes of wav files, or strings that all end
   in ``.wav``: AUDIO.
2. One value in all rows (missing counts as a value): CONSTANT.
3. Strings that are nearly all written dates (:mod:`steelyard.data.dates`), a typed date, whole numbers that are all
   dates like 20110131, and numbers under a name like ``created_at`` that count seconds or milliseconds to a day from
   1980 to 2100: TIME.
4. Numbers, typed or written (:mod:`steelyard.data.numerals`), with few cells that are none: NUMBER, however few the
   values. But whole numbers that count the rows (0 or 1, then up by one), or that are all different under a name like
   ``id``: ID; whole numbers under such a name that repeat, and digits with leading zeros (``007``): names of things, so
   CATEGORY.
5. Strings that are long (3.5 words, 50 characters, or 8 characters without spaces between words, on average) and
   seldom repeat (distinct ones are 30% of the rows, or 1,000): TEXT.
6. Strings of which 95% are different, in 20 rows or more: ID.
7. Anything else: CATEGORY.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Kind
from steelyard.data.coerce import is_missing
from steelyard.data.dataset import Finding
from steelyard.data.dates import COMPACT, MILLISECONDS, counted
from steelyard.data.fast import distinct_of
from steelyard.data.hashing import distinct as count_distinct
from steelyard.data.readers.images import IMAGE_ENDINGS, SOUND_ENDINGS
from steelyard.data.table import Cells
from steelyard.data.written import Reading, Unread, as_numbers, as_times

FEW = 20
"""Below this number of rows nothing is taken for an id: too little to tell."""
_ALL_BUT = 0.95
_WORDS, _CHARACTERS, _UNSPACED_CHARACTERS = 3.5, 50, 8
_TEXT_SHARE, _TEXT_COUNT = 0.3, 1_000
_SAMPLE = 2_000
_TIME_NAME = re.compile(
    r"(?:^|[_\s.\-])(?:at|ts|time|timestamp|date|datetime|epoch|day)$|(?:time|stamp|date|epoch)", re.IGNORECASE
)
_SINCE, _UNTIL = 315_532_800.0, 4_102_444_800.0
"""Epoch seconds of 1980 and of 2100: numbers in between, under a name of time, are moments."""
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
    notation: str = ""
    lenient: bool = False
    values: Floats | None = None
    """The cells as numbers or times, where finding the kind has read them all."""
    findings: tuple[Finding, ...] = ()


def kind_of(name: str, cells: Cells) -> Found:
    """Return what a column holds; see the rules above.

    Parameters
    ----------
    name
        Tells ids from quantities.
    cells
        Every cell of the column.
    """
    if isinstance(cells, np.ndarray) and cells.dtype == object and _are_sounds(cells):
        return Found(Kind.AUDIO, "wav files in the cells", len(cells))
    if isinstance(cells, np.ndarray) and cells.dtype == object and _are_images(cells):
        return Found(Kind.IMAGE, "pictures in the cells", len(cells))
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "iufM":
        return _of_numbers(name, cells)
    return _of_strings(name, cells)


def _are_images(cells: NDArray[Any]) -> bool:
    first = next((cell for cell in cells if not is_missing(cell)), None)
    return isinstance(first, bytes) or (isinstance(first, np.ndarray) and first.ndim > 1) or is_picture(first)


def _are_sounds(cells: NDArray[Any]) -> bool:
    first = next((cell for cell in cells if not is_missing(cell)), None)
    return isinstance(first, bytes) and first[:4] == b"RIFF" and first[8:12] == b"WAVE"


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
    distinct = count_distinct(known)
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
    if whole and distinct >= FEW and (moments := _moments(name, known)) is not None:
        notation, why = moments
        return Found(Kind.TIME, why, distinct, notation)
    return Found(Kind.NUMBER, "numbers", distinct)


def _moments(name: str, known: Floats) -> tuple[str, str] | None:
    """Tell whether whole numbers are dates: the notation and why, or ``None``."""
    low, high = known.min(), known.max()
    if low >= 19_000_101 and high <= 21_001_231:
        if all(counted(float(number), COMPACT) is not None for number in np.unique(known)):
            return COMPACT, "whole numbers that are all dates like 20110131"
    elif _TIME_NAME.search(name) and low >= _SINCE and high <= _UNTIL:
        return "", "seconds since 1970, under a name of time"
    elif _TIME_NAME.search(name) and low >= 1000 * _SINCE and high <= 1000 * _UNTIL:
        return MILLISECONDS, "milliseconds since 1970, under a name of time"
    return None


def is_id_name(name: str) -> bool:
    """Tell whether a column is called like an identifier.

    Examples
    --------
    >>> [is_id_name(n) for n in ("id", "customer_id", "PassengerId", "customerID", "paid", "humid", "idea")]
    [True, True, True, True, False, False, False]
    """
    return bool(_ID_NAME.search(name))


def _of_strings(name: str, cells: Cells) -> Found:
    read = as_times(name, cells) or as_numbers(name, cells)
    if isinstance(read, Reading):
        found = _of_reading(name, read)
        if found.kind is not Kind.CATEGORY or not read.lenient:
            return found
    said = read.findings if isinstance(read, Unread) else ()
    counts, missing = distinct_of(cells)
    distinct = sorted(counts)
    if len(distinct) + bool(missing) <= 1:
        why = "one value in all rows" if distinct else "no value in any row"
        return Found(Kind.CONSTANT, why, len(distinct))
    endings = tuple(IMAGE_ENDINGS)
    if all(cell.lower().endswith(endings) for cell in distinct):
        return Found(Kind.IMAGE, "names of image files", len(distinct))
    if all(cell.lower().endswith(tuple(SOUND_ENDINGS)) for cell in distinct):
        return Found(Kind.AUDIO, "names of wav files", len(distinct))
    return replace(_of_words(len(cells), len(cells) - missing, distinct), findings=said)


def _of_reading(name: str, read: Reading) -> Found:
    """Return the kind of strings that are read as numbers or times."""
    found = number_kind(name, read.values)
    if found.kind is Kind.CONSTANT:
        return found
    if read.kind is Kind.TIME:
        found = Found(Kind.TIME, read.why, found.distinct, read.notation, values=read.values)
    elif found.kind is Kind.NUMBER:
        found = replace(found, notation=read.notation, values=read.values)
    if found.kind not in (Kind.NUMBER, Kind.TIME):
        return found
    return replace(found, lenient=read.lenient, findings=read.findings)


def _of_words(rows: int, known: int, distinct: Sequence[str]) -> Found:
    """Tell text, ids and categories apart (rules 5 to 7)."""
    if is_text(distinct, known):
        return Found(Kind.TEXT, "long strings that seldom repeat", len(distinct))
    if rows >= FEW and len(distinct) >= _ALL_BUT * known:
        return Found(Kind.ID, f"{len(distinct) / known:.0%} of the strings are different", len(distinct))
    return Found(Kind.CATEGORY, "strings that repeat", len(distinct))


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
