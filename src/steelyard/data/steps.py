"""The regular steps of a time series: found from its times, and counted from there. Needs numpy alone.

A step is a number of seconds, of calendar months or of business days (Monday to Friday), or plain counting where the
column of time holds numbers that are no moments. Months keep their day: those of a series that ends its months on the
28th to the 31st end with the month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints
from steelyard.errors import SteelyardError

DAY = 86_400.0
REGULAR = 0.5
"""Share of the distances between neighbours that must be one step, for there to be one."""
OFF = 0.05
"""How far from a step a time may lie, as a share of a step, and still count as that step."""
_MONTH = (27.5 * DAY, 31.5 * DAY)
_YEAR_DAYS = 365.25
_LATE = 28
_FRIDAY = 4

SECONDS, MONTHS, BUSINESS_DAYS, COUNT = "second", "month", "business day", "count"
UNITS = (SECONDS, MONTHS, BUSINESS_DAYS, COUNT)

_NAMES = {60.0: "minute", 3600.0: "hour", DAY: "day", 7 * DAY: "week"}
_SEASONS = {"minute": 1440, "hour": 24, "day": 7, "week": 52, "month": 12, "quarter": 4, "business day": 5}


class Irregular(SteelyardError):
    """Times that keep no regular step; the message says where, and the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far apart the values of a series are.

    ``size`` counts ``unit``; ``start`` is the time of step 0 in epoch seconds (of COUNT, a number). ``day`` is the day
    of the month on which a month's value stands, 31 for the last.

    Examples
    --------
    >>> monthly = Step(size=1.0, unit=MONTHS, start=0.0, day=31)
    >>> [str(np.datetime64(int(t), "s"))[:10] for t in monthly.times(np.array([1, 2]))]
    ['1970-02-28', '1970-03-31']
    >>> Step(size=3600.0, unit=SECONDS, start=0.0).counts(np.array([0.0, 7200.0])).tolist()
    [0.0, 2.0]
    """

    size: float
    unit: str
    start: float = 0.0
    day: int = 1

    def counts(self, times: Floats) -> Floats:
        """Return how many steps after ``start`` some times are; whole numbers where they keep to the steps."""
        if self.unit == MONTHS:
            return np.asarray((_months(times) - _months(np.array([self.start]))[0]) / self.size)
        if self.unit == BUSINESS_DAYS:
            first = np.datetime64(int(np.floor(self.start / DAY)), "D")
            days = np.floor(times / DAY).astype(np.int64).astype("datetime64[D]")
            counted: Floats = np.busday_count(first, days).astype(np.float64)
            return np.where(np.is_busday(days), counted, counted + 0.5)
        return np.asarray((times - self.start) / self.size)

    def times(self, counts: Ints) -> Floats:
        """Return the times of some steps, in epoch seconds (of COUNT, numbers)."""
        if self.unit == MONTHS:
            months = _months(np.array([self.start]))[0] + counts * int(self.size)
            return _days_of(months, self.day) * DAY + self.start % DAY
        if self.unit == BUSINESS_DAYS:
            first = np.datetime64(int(np.floor(self.start / DAY)), "D")
            days = np.busday_offset(first, counts, roll="forward").astype(np.int64)
            return np.asarray(days * DAY + self.start % DAY)
        return np.asarray(self.start + counts * self.size)

    def written(self, count: int) -> str:
        """Return the time of a step as it is written for people and in files.

        Examples
        --------
        >>> Step(size=3600.0, unit=SECONDS, start=0.0).written(25)
        '1970-01-02 01:00:00'
        """
        time = float(self.times(np.array([count]))[0])
        if self.unit == COUNT:
            return f"{time:.10g}"
        text = str(np.datetime64(round(time * 1000), "ms")).replace("T", " ").removesuffix(".000")
        return text.removesuffix(" 00:00:00") if self.unit != SECONDS or not self.size % DAY else text

    @property
    def name(self) -> str:
        """Its name, such as ``hour``, ``2 weeks`` or ``quarter``."""
        if self.unit == COUNT:
            return "1" if self.size == 1 else f"{self.size:g}"
        if self.unit == MONTHS:
            return {1: "month", 3: "quarter", 12: "year"}.get(int(self.size), f"{self.size:g} months")
        if self.unit == BUSINESS_DAYS:
            return BUSINESS_DAYS
        return _of_seconds(self.size)

    @property
    def season(self) -> int:
        """After how many steps a series usually repeats itself, by the calendar alone; 1 where none is known."""
        if self.name in _SEASONS:
            return _SEASONS[self.name]
        if self.unit == SECONDS and self.size < DAY and not DAY % self.size:
            return int(DAY / self.size)
        return 1


def _of_seconds(size: float) -> str:
    for length in sorted(_NAMES, reverse=True):
        if not size % length:
            count = int(size / length)
            return _NAMES[length] if count == 1 else f"{count} {_NAMES[length]}s"
    return "second" if size == 1 else f"{size:g} seconds"


def _months(times: Floats) -> Floats:
    days = np.floor(times / DAY).astype(np.int64).astype("datetime64[D]")
    return days.astype("datetime64[M]").astype(np.int64).astype(np.float64)


def _day_of_month(times: Floats) -> Ints:
    days = np.floor(times / DAY).astype(np.int64).astype("datetime64[D]")
    months = days.astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray((days - months).astype(np.int64) + 1, dtype=np.int64)


def _days_of(months: Floats, day: int) -> Floats:
    """Return the days since 1970 of a day of some months, the last day where a month is shorter."""
    first = months.astype(np.int64).astype("datetime64[M]")
    length = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    return np.asarray(first.astype("datetime64[D]").astype(np.int64) + np.minimum(day, length) - 1, dtype=np.float64)


def step_of(groups: Sequence[Floats], *, moments: bool) -> Step:
    """Return the step of several series: the most frequent distance between neighbours in time.

    Parameters
    ----------
    groups
        The times of each series, sorted, each once.
    moments
        Whether they are epoch seconds; otherwise numbers that count.

    Raises
    ------
    Irregular
        If there are not two times in any series, or neighbours are seldom the same distance apart.

    Examples
    --------
    >>> step_of([np.array([0.0, 3600.0, 7200.0, 14400.0])], moments=True).name
    'hour'
    >>> step_of([np.array([4.0, 5.0, 6.0])], moments=False).name
    '1'
    """
    gaps = np.concatenate([np.diff(times) for times in groups if len(times) > 1] or [np.empty(0)])
    if not len(gaps):
        raise Irregular("no series has two times, so nothing says how far apart its steps are; give more rows")
    start = min(float(times[0]) for times in groups if len(times))
    every = np.concatenate(list(groups))
    if moments and (calendar := _calendar(gaps, every, start)) is not None:
        return calendar
    lengths, counts = np.unique(gaps.round(6), return_counts=True)
    size = float(lengths[int(np.argmax(counts))])
    whole = gaps / size
    if np.mean(np.abs(whole - whole.round()) <= OFF) < REGULAR or counts.max() < REGULAR * len(gaps) * REGULAR:
        raise Irregular(
            f"times keep no regular step: the most frequent distance, {_of_seconds(size) if moments else f'{size:g}'}, "
            f"is that of {counts.max():,} of {len(gaps):,} neighbours; sum or average the rows to regular times first"
        )
    return Step(size=size, unit=SECONDS if moments else COUNT, start=start)


def _calendar(gaps: Floats, times: Floats, start: float) -> Step | None:
    """Return a step of months or business days, where times keep to one."""
    usual = float(np.median(gaps))
    days = _day_of_month(times)
    if usual >= _MONTH[0] and (len(np.unique(days)) == 1 or (days >= _LATE).all()):
        months = max(1, round(usual / DAY / (_YEAR_DAYS / 12)))
        return Step(size=float(months), unit=MONTHS, start=start, day=int(days.max()))
    weekday = (np.floor(times / DAY).astype(np.int64) + 3) % 7
    whole = not (times % DAY - start % DAY).any()
    if usual == DAY and whole and (weekday <= _FRIDAY).all() and np.isclose(gaps, 3 * DAY).any():
        return Step(size=1.0, unit=BUSINESS_DAYS, start=start)
    return None


def places(step: Step, times: Floats) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the nearest step of each time, and which times lie too far from any.

    Examples
    --------
    >>> hourly = Step(size=3600.0, unit=SECONDS, start=0.0)
    >>> [part.tolist() for part in places(hourly, np.array([0.0, 3601.0, 5400.0]))]
    [[0, 1, 2], [False, False, True]]
    """
    counts = step.counts(times)
    nearest = np.rint(counts)
    off = np.abs(counts - nearest) > OFF
    if step.unit == SECONDS:
        off &= np.abs(times - step.times(nearest.astype(np.int64))) > 1e-6
    return nearest.astype(np.int64), off
