"""Labels as people write them: an id, what the row really was, and when that was known."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

from steelyard.data.coerce import category_of
from steelyard.errors import RequestInvalid
from steelyard.predictions.records import Label, parts_of

_LONGEST = 1000
_LAST = 253_402_300_799.0
"""The last second of the year 9999."""


def label_from(given: Mapping[str, Any], now: float) -> Label:
    """Return the label of ``{"id": ..., "label": ..., "at": ...}``; without ``at`` it is known ``now``.

    Raises
    ------
    RequestInvalid
        If a part is missing or malformed.

    Examples
    --------
    >>> label_from({"id": "r-1#2", "label": True, "at": "1970-01-01T00:01:00Z"}, 0.0)
    Label(request='r-1', row=2, label='true', at=60.0)
    """
    name = given.get("id")
    if type(name) is not str or not name:
        raise RequestInvalid("'id' is missing; write the X-Request-Id of the answer, '#', and the row from 0")
    request, row = parts_of(name)
    at = given.get("at")
    return Label(
        request=request, row=row, label=text_of(given.get("label")), at=now if at in (None, "") else moment(at)
    )


def text_of(label: object) -> str:
    """Return a label as it is kept: a class as training names it, a value as its digits.

    Raises
    ------
    RequestInvalid
        If it is missing, too long, or neither text nor a finite number.

    Examples
    --------
    >>> [text_of(label) for label in ("yes ", 3.0, 2.5, True)]
    ['yes', '3', '2.5', 'true']
    """
    if not isinstance(label, str | int | float) or (isinstance(label, float) and not math.isfinite(label)):
        raise RequestInvalid("'label' must be text, a number, or a truth value; give what the row really was")
    text = category_of(label)
    if text is None:
        raise RequestInvalid("'label' is empty; leave out rows whose outcome is not known")
    if len(text) > _LONGEST or "\0" in text:
        raise RequestInvalid(f"'label' must have at most {_LONGEST:,} characters, none of them NUL")
    return text


def moment(at: object) -> float:
    """Return seconds since 1970-01-01 UTC, given as such or in ISO 8601; a time without a zone is in UTC.

    Raises
    ------
    RequestInvalid
        If it is neither.

    Examples
    --------
    >>> moment("1970-01-02"), moment("1970-01-01T01:00:00+01:00"), moment("12.5"), moment(3)
    (86400.0, 0.0, 12.5, 3.0)
    """
    found = math.nan
    if isinstance(at, int | float) and not isinstance(at, bool):
        found = float(at) if abs(at) <= _LAST else math.nan
    elif isinstance(at, str):
        found = _seconds_of(at.strip())
    if not 0 <= found <= _LAST:
        raise RequestInvalid(f"{str(at)[:40]!r} is no time; write 2026-11-22T10:00:00Z, or seconds since 1970")
    return found


def _seconds_of(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return math.nan
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()
