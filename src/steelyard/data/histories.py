"""Series of a table, laid on their regular steps, and the origins in them: the same to train and to predict.

Needs numpy alone. An origin is the last step that is known; a row is made of the ``history`` steps up to it, padded on
the left with NaN where a series is younger than that, and of the steps ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Column, Columns, Floats, Ints, Kind, Schema, Task, Timeline
from steelyard.data.coerce import objects
from steelyard.data.steps import COUNT, Step, places
from steelyard.errors import SteelyardError

HISTORY, FUTURE, TIME, SERIES = "history", "future", "time", "series"
"""The columns that a forecasting's data set is made of."""


class SeriesUnfit(SteelyardError):
    """Rows that are no series: two for one time, or times between steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table as it is read: one time a row, the series it belongs to, and the values of its channels.

    ``times`` float64 (n,); ``series`` one code a row, an index into ``names``; ``values`` float64 (n, channels), the
    forecast ones first, then those that are known up to the origin, then those known ahead.
    """

    times: Floats
    series: Ints
    names: tuple[str, ...]
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series: its values from step ``first`` on, float64 (length, channels), NaN where there is none.

    ``rows`` holds the number of the row that each step came from, -1 for a gap.
    """

    name: str
    first: int
    values: Floats
    rows: Ints

    @property
    def last(self) -> int:
        """The last step that has a row."""
        return self.first + len(self.values) - 1


def laid_out(rows: Rows, step: Step) -> list[Series]:
    """Return the series of a table, each on its steps, gaps as NaN.

    Raises
    ------
    SeriesUnfit
        If two rows of a series have the same time, or a time lies between two steps.

    Examples
    --------
    >>> daily = Step(size=1.0, unit=COUNT)
    >>> times, values = np.array([3.0, 1.0]), np.array([[30.0], [10.0]])
    >>> table = Rows(times=times, series=np.array([0, 0]), names=("a",), values=values)
    >>> laid_out(table, daily)[0].values.tolist()
    [[10.0], [nan], [30.0]]
    """
    at, off = places(step, rows.times)
    if off.any():
        _refuse_off(rows, step, int(np.flatnonzero(off)[0]), int(off.sum()))
    found = []
    order = np.lexsort([at, rows.series])
    starts = (
        np.flatnonzero(np.r_[True, np.diff(rows.series[order]) != 0]) if len(order) else np.empty(0, dtype=np.int64)
    )
    for place, start in enumerate(starts):
        own = order[start : starts[place + 1] if place + 1 < len(starts) else None]
        steps = at[own]
        if (twice := np.flatnonzero(np.diff(steps) == 0)).size:
            _refuse_twice(rows, step, own[twice[0]], own[twice[0] + 1], len(twice))
        values = np.full((int(steps[-1] - steps[0]) + 1, rows.values.shape[1]), np.nan)
        source = np.full(len(values), -1, dtype=np.int64)
        values[steps - steps[0]], source[steps - steps[0]] = rows.values[own], own
        found.append(Series(name=rows.names[rows.series[own[0]]], first=int(steps[0]), values=values, rows=source))
    return found


def _refuse_off(rows: Rows, step: Step, row: int, many: int) -> NoReturn:
    raise SeriesUnfit(
        f"row {row} (from 0){_of(rows, row)} lies between two steps of one {step.name} ({many:,} such rows); round the "
        "times, or sum or average the rows to regular times"
    )


def _refuse_twice(rows: Rows, step: Step, first: int, second: int, many: int) -> NoReturn:
    time = step.written(int(places(step, rows.times[[first]])[0][0]))
    way_out = (
        "keep one of them, or sum or average them"
        if len(rows.names) > 1
        else "keep one of them, or name the column that tells series apart as forecast.series"
    )
    raise SeriesUnfit(
        f"rows {min(first, second)} and {max(first, second)} (from 0){_of(rows, first)} both stand for {time} "
        f"({many:,} such pairs); {way_out}"
    )


def _of(rows: Rows, row: int) -> str:
    return f" of series {rows.names[rows.series[row]]!r}" if len(rows.names) > 1 else ""


def known_ends(series: Series, targets: int) -> tuple[int, int]:
    """Return the first and the last step in which some forecast channel has a value; (0, -1) where none has."""
    known = np.flatnonzero(~np.isnan(series.values[:, :targets]).all(axis=1))
    return (series.first + int(known[0]), series.first + int(known[-1])) if len(known) else (0, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Steps to forecast from: which series, and which step, of each; both int64 (n,)."""

    series: Ints
    steps: Ints

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, index: NDArray[Any]) -> Origins:
        """Return those that an index array or a mask selects."""
        return Origins(series=self.series[index], steps=self.steps[index])


def columns_of(every: Sequence[Series], origins: Origins, task: Task, step: Step) -> Columns:
    """Return the columns of some origins, as :func:`schema_of` describes them.

    Histories are views of one array, and so are the steps ahead: a long history costs memory once.
    """
    line = line_of(task)
    starts, base = _base(every, line.history, task.horizon)
    columns: dict[str, NDArray[Any]] = {HISTORY: np.empty(len(origins), dtype=object)}
    first = np.array([one.first for one in every], dtype=np.int64)
    ends = origins.steps - first[origins.series] + starts[origins.series] + 1
    for place, end in enumerate(ends.tolist()):
        columns[HISTORY][place] = base[end - line.history : end]
    if line.known:
        known = np.ascontiguousarray(base[:, len(task.series) + len(line.past) :])
        columns[FUTURE] = np.empty(len(origins), dtype=object)
        for place, end in enumerate(ends.tolist()):
            columns[FUTURE][place] = known[end : end + task.horizon]
    columns[TIME] = step.times(origins.steps)
    if line.series:
        columns[SERIES] = objects([every[number].name for number in origins.series.tolist()])
    return columns


def _base(every: Sequence[Series], before: int, ahead: int) -> tuple[Ints, NDArray[np.float32]]:
    """Return all series below each other, with room before and behind each, and where each begins."""
    lengths = np.array([len(one.values) for one in every], dtype=np.int64)
    starts = np.cumsum(lengths + before + ahead) - lengths - ahead
    base = np.full((int((lengths + before + ahead).sum()), every[0].values.shape[1]), np.nan, dtype=np.float32)
    for one, start in zip(every, starts.tolist(), strict=True):
        base[start : start + len(one.values)] = one.values
    return starts, base


def line_of(task: Task) -> Timeline:
    """Return the timeline of a forecasting."""
    assert task.timeline is not None, "a forecasting has a timeline"
    return task.timeline


def targets_of(every: Sequence[Series], origins: Origins, task: Task) -> Floats:
    """Return the values ahead of some origins, float64 (n, horizon x series), NaN where there is none."""
    width, ahead = len(task.series), np.arange(1, task.horizon + 1)
    found = np.full((len(origins), task.horizon, width), np.nan)
    for number, one in enumerate(every):
        mine = np.flatnonzero(origins.series == number)
        place = origins.steps[mine][:, None] + ahead - one.first
        there = (place >= 0) & (place < len(one.values))
        found[mine] = np.where(there[:, :, None], one.values[:, :width][np.clip(place, 0, len(one.values) - 1)], np.nan)
    return found.reshape(len(origins), -1)


def scales_of(every: Sequence[Series], origins: Origins, task: Task) -> Floats:
    """Return what the seasonal naive forecast errs by, one step ahead, up to each origin: float64 (n, series)."""
    width, season = len(task.series), task.season
    found = np.full((len(origins), width), np.nan)
    for number, one in enumerate(every):
        mine = np.flatnonzero(origins.series == number)
        values = one.values[:, :width]
        errors = np.full_like(values, np.nan)
        errors[season:] = np.abs(values[season:] - values[:-season])
        known = ~np.isnan(errors)
        counts = np.cumsum(known, axis=0)
        sums = np.cumsum(np.where(known, errors, 0.0), axis=0)
        at = np.clip(origins.steps[mine] - one.first, 0, len(values) - 1)
        found[mine] = np.divide(sums[at], counts[at], out=np.full((len(mine), width), np.nan), where=counts[at] > 0)
    return found


def schema_of(task: Task, findings: Mapping[str, float] | None = None) -> Schema:
    """Return the columns of the data set of a forecasting; ``findings`` may say which share of a column is missing."""
    line, missing = line_of(task), findings or {}
    made = [
        Column(
            name=HISTORY,
            kind=Kind.SEQUENCE,
            channels=(*task.series, *line.past, *line.known),
            missing=missing.get(HISTORY, 0.0),
            why=f"the last {line.history:,} steps",
        )
    ]
    if line.known:
        made.append(
            Column(name=FUTURE, kind=Kind.SEQUENCE, channels=line.known, why=f"known for {task.horizon:,} steps ahead")
        )
    made.append(Column(name=TIME, kind=Kind.NUMBER if line.unit == COUNT else Kind.TIME, why="the last step known"))
    if line.series:
        made.append(Column(name=SERIES, kind=Kind.CATEGORY, distinct=len(line.names), why="which series"))
    return Schema(tuple(made))


def step_of_line(line: Timeline) -> Step:
    """Return the step of a timeline."""
    return Step(size=line.size, unit=line.unit, start=line.start, day=line.day)
