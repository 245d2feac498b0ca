"""Written dates and times, read alike in training and in serving. Needs the standard library alone.

Most ways to write a date say themselves which number is the day: ``2011-01-31``, ``2011/1/31 08:30``,
``2011-01-31T08:30:00.5+01:00``, ``31.1.2011`` (with points the day comes first), ``31 Jan 2011``,
``January 31, 2011``, ``Mon, 31 Jan 2011 08:30:00 GMT``, ``2011年1月31日``. Others need the *notation* of their column:

========================= ==================================================================
notation                  what it reads beside the above
========================= ==================================================================
``"day/month/year"``      ``31/1/2011``, ``31-01-2011``, ``31/1/11``
``"month/day/year"``      ``1/31/2011``, ``01-31-2011``, ``1/31/11``
``"yyyymmdd"``            ``20110131``, and numbers of eight digits; no other number
``"milliseconds"``        numbers count milliseconds since 1970, not seconds
========================= ==================================================================

Two of them may stand together, with a space between.
A time without a zone is UTC. Years of two digits are those from 1969 to 2068, as POSIX has it.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence

DAY_FIRST, MONTH_FIRST = "day/month/year", "month/day/year"
COMPACT, MILLISECONDS = "yyyymmdd", "milliseconds"

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,? )?"
_ZONE = r"[+-]\d{2}:?\d{2}"
_CLOCK = (
    r"(?:(?:[T ]|, ?)(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?(?: ?([AaPp])\.?[Mm]\.?)?"
    rf"(?: ?(Z|UTC|GMT|{_ZONE}|[+-]\d{{2}}))?|(Z|{_ZONE}))?"
)
"""Seven groups: hour, minute, second, its fraction, half of the day, and the zone with and without a time of day."""
_YEAR_FIRST = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?" + _CLOCK, re.ASCII)
_POINTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})" + _CLOCK, re.ASCII)
_NAMED_DAY_FIRST = re.compile(
    _WEEKDAY + r"(\d{1,2})(?:st|nd|rd|th)?[ -]" + _MONTH + r",?[ -](\d{4})" + _CLOCK, re.ASCII | re.IGNORECASE
)
_NAMED_MONTH_FIRST = re.compile(
    _WEEKDAY + _MONTH + r" (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})" + _CLOCK, re.ASCII | re.IGNORECASE
)
_NUMBERED = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4}|(?<=/)\d{2})" + _CLOCK, re.ASCII)
_EIGHT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\.0)?", re.ASCII)
_LAST_OF_THE_CENTURY = 69


def date_of(text: str, notation: str = "") -> float | None:
    """Return epoch seconds (UTC) of a written date, ``None`` where the string is not one.

    Parameters
    ----------
    text
        A string without spaces at its ends.
    notation
        How the column writes what does not say itself which number is the day; see the table above.

    Examples
    --------
    >>> date_of("2011-13-01") is None, date_of("20110101") is None, date_of("1970年1月2日")
    (True, True, 86400.0)
    >>> date_of("2/1/1970"), date_of("2/1/1970", DAY_FIRST), date_of("2/1/1970", MONTH_FIRST)
    (None, 86400.0, 2678400.0)
    """
    found = _parts(text, notation)
    return None if found is None else _moment(*found)


_Parts = tuple[str, str, str, Sequence[str | None]]


def _parts(text: str, notation: str) -> _Parts | None:
    """Return year, month and day as written, and the groups of the clock."""
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day, *clock = found.groups()
        return year, month, day, clock
    if (found := _POINTED.fullmatch(text)) or (found := _NAMED_DAY_FIRST.fullmatch(text)):
        day, month, year, *clock = found.groups()
        return year, month, day, clock
    if found := _NAMED_MONTH_FIRST.fullmatch(text):
        month, day, year, *clock = found.groups()
        return year, month, day, clock
    if COMPACT in notation and (found := _EIGHT.fullmatch(text)):
        return found[1], found[2], found[3], [None] * 7
    if "/" in notation and (found := _NUMBERED.fullmatch(text)):
        first, _, second, year, *clock = found.groups()
        return (year, second, first, clock) if DAY_FIRST in notation else (year, first, second, clock)
    return None


def _year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) == 4 else year + (1900 if year >= _LAST_OF_THE_CENTURY else 2000)


def _month(written: str) -> int:
    return int(written) if written.isdigit() else _MONTHS.index(written[:3].lower()) + 1


def _moment(year: str, month: str, day: str, clock: Sequence[str | None]) -> float | None:
    hour, minute, second, fraction, half, *zones = clock
    hours = int(hour or 0)
    if half is not None:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if half in "pP" else 0)
    try:
        moment = dt.datetime(
            _year(year), _month(month), int(day), hours, int(minute or 0), int(second or 0), tzinfo=dt.UTC
        )
    except ValueError:
        return None
    return moment.timestamp() + float(fraction or 0) - _offset(zones[0] or zones[1])


def _offset(zone: str | None) -> float:
    if zone is None or zone in ("Z", "UTC", "GMT"):
        return 0.0
    sign = -1 if zone[0] == "-" else 1
    return float(sign * (int(zone[1:3]) * 3600 + (int(zone[-2:]) * 60 if len(zone) > 3 else 0)))


def counted(number: float, notation: str = "") -> float | None:
    """Return epoch seconds of a number in a column of times; NaN where it is not finite, ``None`` where it is no date.

    Examples
    --------
    >>> counted(5.0), counted(5000.0, MILLISECONDS), counted(19700102.0, COMPACT), counted(7.0, COMPACT)
    (5.0, 5.0, 86400.0, None)
    """
    if not math.isfinite(number):
        return math.nan
    if notation == MILLISECONDS:
        return number / 1000
    if COMPACT in notation:
        return date_of(str(int(number)), COMPACT) if number.is_integer() else None
    return number


def numbered(text: str) -> tuple[int, int] | None:
    """Return the first two numbers of a date like ``31/1/2011``, of which one is the day; else ``None``.

    Examples
    --------
    >>> numbered("31/1/2011"), numbered("1-2-2011 08:30"), numbered("2011/1/31"), numbered("1/2")
    ((31, 1), (1, 2), None, None)
    """
    found = _NUMBERED.fullmatch(text)
    return None if found is None else (int(found[1]), int(found[3]))


def shape_of(text: str) -> str:
    """Return the way a date is written, with its digits and letters made equal: two dates of one format share it.

    Examples
    --------
    >>> shape_of("31 Jan 2011") == shape_of("1 February 2012"), shape_of("2011-01-31") == shape_of("31/1/2011")
    (True, False)
    """
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d{1,2}(?!\d)", "9", re.sub(r"\d{3,}", "9999", text)))
