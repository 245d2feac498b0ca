"""From a table of recent values, like the one a forecast was trained on, to the rows that a bundle reads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.contracts import Columns, Floats, Ints, Kind, Task
from steelyard.data import coerce
from steelyard.data.frames import cells_of, names_of
from steelyard.data.histories import (
    FUTURE,
    HISTORY,
    Origins,
    Rows,
    Series,
    SeriesUnfit,
    columns_of,
    known_ends,
    laid_out,
    line_of,
    scales_of,
    step_of_line,
    targets_of,
)
from steelyard.data.steps import Step
from steelyard.errors import RowsRefused, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """The series of a table, and the origins in them to forecast from."""

    task: Task
    step: Step
    every: tuple[Series, ...]
    origins: Origins
    ignored: tuple[str, ...] = ()
    """Columns of the table that no forecast reads."""

    @property
    def columns(self) -> Columns:
        """What a bundle reads of each origin."""
        return columns_of(self.every, self.origins, self.task, self.step)

    @property
    def target(self) -> Floats:
        """The values ahead of each origin, float64 (n, horizon x series), NaN where they are not known."""
        return targets_of(self.every, self.origins, self.task)

    @property
    def scales(self) -> Floats:
        """What errors are scaled by, float64 (n, series)."""
        return scales_of(self.every, self.origins, self.task)

    @property
    def blocks(self) -> Ints:
        """Origins of one horizon, which forecast the same values: a code each, int64 (n,)."""
        codes = self.origins.steps // self.task.horizon
        return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def is_table(frame: Any, task: Task) -> bool:
    """Tell whether something is a table of values by time, not of histories that are rows already."""
    names = names_of(frame)
    return HISTORY not in names or (line_of(task).time in names and set(task.series) <= set(names))


def latest(frame: Any, task: Task, reads: Collection[str]) -> Recent:
    """Return the newest origin of every series: the last time with a value of what is forecast.

    ``reads`` names the columns of histories that a bundle asks for: what is known ahead is needed where it reads that.

    Raises
    ------
    RowsRefused
        If a column is missing, a cell does not fit, times keep no steps, or what is known ahead is not given.
    """
    every, step, ignored = _read(frame, task)
    ends = [known_ends(one, len(task.series)) for one in every]
    kept = [number for number, (first, last) in enumerate(ends) if first <= last]
    if not kept:
        raise RowsRefused(f"no row has a value of {task.target!r} to forecast from; give at least the latest ones")
    steps = np.array([ends[number][1] for number in kept], dtype=np.int64)
    found = Recent(
        task=task,
        step=step,
        every=every,
        origins=Origins(series=np.array(kept, dtype=np.int64), steps=steps),
        ignored=ignored,
    )
    if FUTURE in reads:
        _need_known(found)
    return found


def labelled(frame: Any, task: Task) -> Recent:
    """Return every origin whose whole horizon lies in a table, to measure forecasts on.

    Raises
    ------
    RowsRefused
        As in :func:`latest`, or if no series is long enough.
    """
    every, step, ignored = _read(frame, task)
    series, steps = [], []
    for number, one in enumerate(every):
        first, last = known_ends(one, len(task.series))
        own = np.arange(first, last - task.horizon + 1)
        series.append(np.full(len(own), number, dtype=np.int64))
        steps.append(own)
    origins = Origins(series=np.concatenate(series), steps=np.concatenate(steps).astype(np.int64))
    if not len(origins):
        raise RowsRefused(
            f"no series has a value and {task.horizon:,} further steps behind it to compare with; give longer series"
        )
    found = Recent(task=task, step=step, every=every, origins=origins, ignored=ignored)
    with_truth = np.asarray(~np.isnan(found.target).all(axis=1))
    return Recent(task=task, step=step, every=every, origins=origins.take(with_truth), ignored=ignored)


def _read(frame: Any, task: Task) -> tuple[tuple[Series, ...], Step, tuple[str, ...]]:
    """Return the series of a table, their step, and the columns that are not read."""
    line, names = line_of(task), names_of(frame)
    channels = (*task.series, *line.past, *line.known)
    wanted = (line.time, *((line.series,) if line.series else ()), *channels)
    if absent := [name for name in wanted if name not in names]:
        raise RowsRefused(
            f"the rows lack column {absent[0]!r}{nearest(absent[0], names)}; a forecast reads {', '.join(wanted[:12])}"
        )
    notations = line.notations or ("",) * len(channels)
    times = coerce.column(Kind.TIME, cells_of(frame, line.time), line.time, notation=line.notation)
    if not len(times):
        raise RowsRefused("there are no rows; give the latest ones of each series")
    if (lost := np.flatnonzero(np.isnan(times))).size:
        raise RowsRefused(f"row {lost[0]} (from 0) has no {line.time!r}; give the time of every row")
    values = np.column_stack(
        [
            coerce.column(Kind.NUMBER, cells_of(frame, name), name, notation=notation)
            for name, notation in zip(channels, notations, strict=True)
        ]
    )
    found, codes = _names(frame, task, len(times))
    step = step_of_line(line)
    try:
        every = laid_out(Rows(times=times, series=codes, names=found, values=values), step)
    except SeriesUnfit as problem:
        raise RowsRefused(str(problem)) from None
    return tuple(every), step, tuple(name for name in names if name not in wanted)


def _names(frame: Any, task: Task, rows: int) -> tuple[tuple[str, ...], Ints]:
    line = line_of(task)
    if not line.series:
        return (task.target,), np.zeros(rows, dtype=np.int64)
    names = coerce.column(Kind.CATEGORY, cells_of(frame, line.series), line.series)
    if empty := [row for row, name in enumerate(names) if name is None]:
        raise RowsRefused(f"row {empty[0]} (from 0) has no {line.series!r}; name the series of every row")
    found, codes = np.unique(names.astype(str), return_inverse=True)
    return tuple(found.tolist()), codes.astype(np.int64)


def _need_known(found: Recent) -> None:
    """Refuse a table that lacks what is to be known ahead."""
    task, line = found.task, line_of(found.task)
    if not line.known:
        return
    for number, origin in zip(found.origins.series.tolist(), found.origins.steps.tolist(), strict=True):
        one = found.every[number]
        ahead = np.full((task.horizon, len(line.known)), np.nan)
        rows = one.values[origin + 1 - one.first :, len(task.series) + len(line.past) :][: task.horizon]
        ahead[: len(rows)] = rows
        if np.isnan(ahead).any():
            place, channel = (int(part[0]) for part in np.nonzero(np.isnan(ahead)))
            of = f" of series {one.name!r}" if line.series else ""
            raise RowsRefused(
                f"{line.known[channel]!r}{of} is not given for {found.step.written(origin + 1 + place)}; add rows for "
                f"the {task.horizon:,} steps ahead that hold what is known of them, and leave {task.target!r} empty"
            )
