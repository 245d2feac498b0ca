"""Strings that write numbers or times in some notation: which one, found from the whole column, and what does not fit.

A few cells that do not fit (5% of those that are not missing) make no other column of it: they count as missing, in
training and in serving alike, and a finding shows them. Which of two numbers of a date is the day is never guessed: a
day above 12 somewhere in the column tells, or the dates are pointed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Kind
from steelyard.data.coerce import is_number
from steelyard.data.dataset import Finding, Severity
from steelyard.data.dates import COMPACT, DAY_FIRST, MONTH_FIRST, date_of, numbered, shape_of
from steelyard.data.fast import as_list, has, known_strings, measured, some_of
from steelyard.data.numerals import could_be_numeral, is_ambiguous, notation_of
from steelyard.data.table import Cells

FEW_ODD = 0.05
"""Share of the cells that may be no number (no time) in a column of numbers (of times)."""
_FIRST, _GLANCE = 10, 200
"""Cells looked at before a whole column is tried."""
_CODES = 20
"""Whole numbers of at most this many values beside a few words are names of things rather than quantities."""
_SHOWN = 5
_ORDERED = r"^[0-9]{1,2}[/-][0-9]{1,2}[/-][0-9]{2}"


@dataclass(frozen=True, slots=True)
class Reading:
    """A column of strings read as numbers or as times: the values, and the cells that are none."""

    kind: Kind
    values: Floats
    bad: NDArray[np.bool_]
    notation: str = ""
    why: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def lenient(self) -> bool:
        """Whether some cells did not fit."""
        return bool(self.bad.any())


@dataclass(frozen=True, slots=True)
class Unread:
    """A column that nearly is one of numbers or times; why it is not read as one."""

    findings: tuple[Finding, ...]


# ---------------------------------------------------------------------------------------------- times


def as_times(name: str, cells: Cells) -> Reading | Unread | None:
    """Read strings as times; ``None`` where they are none."""
    some = [str(cell).strip() for cell in some_of(cells, _GLANCE)]
    if not any(_is_dated(cell) for cell in some[:_FIRST]):
        return None
    dated = sum(_is_dated(cell) for cell in some)
    if not some or dated < (1 - 2 * FEW_ODD) * len(some) or all(map(is_number, some)):
        return None
    order = _order_of(cells)
    values, bad = measured(Kind.TIME, cells, order.notation)
    known = int((~np.isnan(values) | bad).sum())
    if bad.sum() > FEW_ODD * known:
        return Unread((_unread(name, cells, bad, order),))
    found = [_odd(name, Kind.TIME, cells, bad)] if bad.any() else []
    values = np.where(bad, np.nan, values)
    return Reading(Kind.TIME, values, bad, order.notation, order.why, (*found, *_formats(name, cells, bad)))


def _is_dated(cell: str) -> bool:
    return date_of(cell, COMPACT) is not None or numbered(cell) is not None


def time_notation(cells: Cells) -> str:
    """Return the notation in which strings write dates, empty where they need none."""
    return _order_of(cells).notation


@dataclass(frozen=True, slots=True)
class _Order:
    """Whether the day or the month comes first in dates like ``1/2/2011``, and the cells that show it."""

    notation: str = ""
    why: str = "written dates"
    day_first: str = ""
    month_first: str = ""
    either: str = ""


def _order_of(cells: Cells) -> _Order:
    """Find the order of day and month: the one that more cells show, if any cell does."""
    bare = known_strings(cells, r"^[0-9]+$")
    compact = bool(bare) and all(date_of(cell, COMPACT) is not None for cell in bare)
    plain = _Order(notation=COMPACT if compact else "")
    asked = known_strings(cells, _ORDERED)
    pairs = {cell: pair for cell in asked if (pair := numbered(cell)) is not None}
    if not pairs:
        return plain
    day = [cell for cell, (first, second) in pairs.items() if first > 12 >= second]
    month = [cell for cell, (first, second) in pairs.items() if second > 12 >= first]
    either = min(
        (c for c, (first, second) in pairs.items() if first <= 12 and second <= 12 and first != second), default=""
    )
    shown = replace(plain, day_first=min(day, default=""), month_first=min(month, default=""), either=either)
    if len(day) == len(month):
        return shown
    first, example = (DAY_FIRST, shown.day_first) if len(day) > len(month) else (MONTH_FIRST, shown.month_first)
    why = f"written dates, the {first.partition('/')[0]} first as {example!r} shows"
    return replace(shown, notation=f"{first} {plain.notation}".strip(), why=why)


def _unread(name: str, cells: Cells, bad: NDArray[np.bool_], order: _Order) -> Finding:
    way_out = "write them year first, as in 2011-01-31, to have them read as times"
    if order.day_first and order.month_first:
        what = f"some with the day first ({order.day_first!r}) and some with the month first ({order.month_first!r})"
    elif order.either and "/" not in order.notation:
        what = f"of which none says whether day or month comes first ({order.either!r} could be either)"
    else:
        count, shown = int(bad.sum()), _examples(cells, bad)
        what = f"but {count:,} cells are none ({shown})"
    sentence = f"column {name!r} holds dates, {what}, so it is not read as times; {way_out}"
    numbers = {"cells": float(bad.sum())}
    return Finding(code="almost_time", severity=Severity.WARN, column=name, sentence=sentence, numbers=numbers)


def _formats(name: str, cells: Cells, bad: NDArray[np.bool_]) -> list[Finding]:
    """Say that a column writes its dates in several ways, with an example of each."""
    shapes: dict[str, str] = {}
    for cell in some_of(cells[~bad] if isinstance(cells, np.ndarray) else cells.filter(~bad), 10 * _GLANCE):
        shapes.setdefault(shape_of(str(cell).strip()), str(cell).strip())
    if len(shapes) < 2:
        return []
    shown = ", ".join(repr(example) for example in list(shapes.values())[:_SHOWN])
    sentence = (
        f"column {name!r} writes its dates in {len(shapes)} ways ({shown}), all of which are read as times; nothing "
        "needs to be done"
    )
    numbers = {"formats": float(len(shapes))}
    return [Finding(code="date_formats", severity=Severity.NOTE, column=name, sentence=sentence, numbers=numbers)]


# -------------------------------------------------------------------------------------------- numbers


def as_numbers(name: str, cells: Cells, *, given: bool = False) -> Reading | Unread | None:
    """Read strings as numbers; ``None`` where they are none, or are codes.

    With ``given`` the spec says that they are numbers: then neither leading zeros nor few values make them codes.
    """
    some = [str(cell).strip() for cell in some_of(cells, _GLANCE)]
    likely = sum(could_be_numeral(cell) for cell in some)
    if not some or likely < (1 - 2 * FEW_ODD) * len(some):
        return None
    values, bad = measured(Kind.NUMBER, cells)
    notation = _notation(cells) if bad.any() else ""
    if notation:
        values, bad = measured(Kind.NUMBER, cells, notation)
    known = int((~np.isnan(values) | bad).sum())
    if (not given and has(cells, r"^\s*-?0[0-9]+\s*$").any()) or bad.sum() > FEW_ODD * known:
        return None
    reading = Reading(Kind.NUMBER, np.where(bad, np.nan, values), bad, notation, "numbers")
    if not bad.any():
        return replace(reading, findings=tuple(_told(name, cells, notation)))
    if not given and _are_codes(values[~bad]):
        return Unread((_codes(name, cells, bad),))
    return replace(reading, findings=(_odd(name, Kind.NUMBER, cells, bad), *_told(name, cells, notation)))


def _notation(cells: Cells) -> str:
    """Return the notation of nearly all cells, empty where they have none in common."""
    several = known_strings(cells)
    fit = [cell for cell in several if could_be_numeral(cell)]
    if len(fit) < (1 - FEW_ODD) * len(several) or all(map(is_number, fit)):
        return ""
    return notation_of(fit) or ""


def _are_codes(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return len(np.unique(known)) <= _CODES and bool(np.all(known == np.floor(known)))


def _codes(name: str, cells: Cells, bad: NDArray[np.bool_]) -> Finding:
    count, shown = int(bad.sum()), _examples(cells, bad)
    are = "cell is" if count == 1 else "cells are"
    sentence = (
        f"column {name!r} is not read as a number because {count:,} {are} none ({shown}) and the others are few "
        "whole numbers; empty those cells to have it read as one"
    )
    numbers = {"cells": float(bad.sum()), "row": float(np.flatnonzero(bad)[0])}
    return Finding(code="almost_number", severity=Severity.WARN, column=name, sentence=sentence, numbers=numbers)


def _told(name: str, cells: Cells, notation: str) -> list[Finding]:
    """Say in which notation numbers are read, where that is not plain."""
    if not notation:
        return []
    if is_ambiguous([cell for cell in known_strings(cells) if could_be_numeral(cell)], notation):
        example = next(cell for cell in known_strings(cells) if "," in cell or "." in cell)
        sentence = (
            f"column {name!r} is read as numbers written like {notation}, so {example!r} counts thousands; if it "
            "means decimals, write them plainly, such as 1.234"
        )
        return [Finding(code="notation", severity=Severity.WARN, column=name, sentence=sentence)]
    sentence = (
        f"column {name!r} is read as numbers written like {notation}; to have it read otherwise, give it a kind, such "
        f"as columns: {{category: [{name}]}}"
    )
    return [Finding(code="notation", severity=Severity.NOTE, column=name, sentence=sentence)]


# ------------------------------------------------------------------------------------------- odd cells


def _odd(name: str, kind: Kind, cells: Cells, bad: NDArray[np.bool_]) -> Finding:
    """Say which cells are no numbers (no times) and count as missing."""
    count, what = int(bad.sum()), "number" if kind is Kind.NUMBER else "time"
    one = count == 1
    sentence = (
        f"column {name!r} is read as {what}s, and {count:,} {'cell that is' if one else 'cells that are'} none "
        f"({_examples(cells, bad)}) {'counts' if one else 'count'} as missing, here and when predicting; correct them "
        f"if they are mistakes, or give the column another kind, such as columns: {{category: [{name}]}}"
    )
    numbers = {"cells": float(count), "row": float(np.flatnonzero(bad)[0]), "share": count / len(cells)}
    return Finding(code=f"almost_{what}", severity=Severity.WARN, column=name, sentence=sentence, numbers=numbers)


def _examples(cells: Cells, bad: NDArray[np.bool_]) -> str:
    """Return a few different cells, cut where they are long, and the row of the first."""
    rows: Sequence[int] = np.flatnonzero(bad)[: 20 * _SHOWN].tolist()
    picked = as_list(cells[rows] if isinstance(cells, np.ndarray) else cells.gather(np.array(rows)))
    shown = list(dict.fromkeys(repr(cell if len(str(cell)) <= 40 else f"{str(cell)[:37]}...") for cell in picked))
    shown[0] += f" in row {rows[0]} (from 0)"
    return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")
