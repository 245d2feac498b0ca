"""A CSV of requests per hour: one line an hour, none left out."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

DAY = 24
COLUMNS = ("hour", "requests")
_MOST = DAY * 366 * 2
_HOUR = timedelta(hours=1)
_WAY_OUT = "write one line an hour under the heading hour,requests, for example 2026-11-02T13:00,18400"


def read_hours(path: Path) -> tuple[float, ...]:
    """Read requests per hour from a CSV with the columns ``hour`` and ``requests``.

    ``hour`` counts from 0, or holds times such as ``2026-11-02T13:00``; either way one follows the other without a
    gap. There must be a whole day at least.

    Returns
    -------
    tuple of float
        Requests in each hour, in order.

    Raises
    ------
    ValueError
        If the file cannot be read, has other columns, a gap, or anything that is no number of 0 or more; the message
        names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        why = "not UTF-8" if isinstance(problem, UnicodeDecodeError) else problem.strerror
        raise ValueError(f"{path} cannot be read ({why}); name a CSV of requests per hour") from None
    records = list(csv.reader(text.splitlines()))
    head = [cell.strip().lower() for cell in records[0]] if records else []
    if sorted(head) != sorted(COLUMNS):
        raise ValueError(f"{path} has the columns {', '.join(head) or 'none'}, not hour and requests; {_WAY_OUT}")
    lines = [(number, record) for number, record in enumerate(records[1:], start=2) if record]
    if ragged := next((number for number, record in lines if len(record) != len(COLUMNS)), None):
        raise ValueError(f"{path}, line {ragged}: must hold 2 cells; {_WAY_OUT}")
    when, counts = head.index("hour"), head.index("requests")
    _check_hours(path, [(number, record[when].strip()) for number, record in lines])
    found = tuple(_count(path, number, record[counts].strip()) for number, record in lines)
    if not DAY <= len(found) <= _MOST:
        raise ValueError(f"{path} holds {len(found)} hours; give {DAY} (a day) to {_MOST:,} (two years)")
    return found


def _count(path: Path, number: int, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{path}, line {number}: requests must be a number of 0 or more; got {cell!r}")
    return value


def _check_hours(path: Path, cells: Sequence[tuple[int, str]]) -> None:
    read = int if cells and cells[0][1].isdigit() else datetime.fromisoformat
    before: int | datetime | None = None
    for number, cell in cells:
        try:
            hour: int | datetime = read(cell)
        except ValueError:
            raise ValueError(
                f"{path}, line {number}: hour must be a whole number from 0, or a time such as 2026-11-02T13:00, as in "
                f"the first line; got {cell!r}"
            ) from None
        for problem in _out_of_turn(before, hour):
            raise ValueError(f"{path}, line {number}: {problem}")
        before = hour


def _out_of_turn(before: int | datetime | None, hour: int | datetime) -> Iterator[str]:
    if before is None:
        if isinstance(hour, int) and hour != 0:
            yield f"hours count from 0; the first one is {hour}"
        return
    if isinstance(hour, datetime) and isinstance(before, datetime):
        if (hour.tzinfo is None) != (before.tzinfo is None):
            yield f"{hour.isoformat()} and the line before must both have an offset from UTC, or none"
        elif hour != before + _HOUR:
            yield f"{hour.isoformat()} is not one hour after {before.isoformat()}; fill the gap (0 if nobody came)"
    elif isinstance(hour, int) and isinstance(before, int) and hour != before + 1:
        yield f"hour {hour} does not follow {before}; fill the gap (0 if nobody came)"
