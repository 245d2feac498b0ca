"""From a table of past values to a data set of origins: typed, laid on regular steps, checked, split."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard.contracts import Floats, Ints, Kind, Problem, Split, Task, Timeline
from steelyard.data import source
from steelyard.data.dataset import Dataset, Finding, Severity
from steelyard.data.fast import as_list, categories, is_strings, measured
from steelyard.data.fingerprint import fingerprint
from steelyard.data.hashing import hash_columns
from steelyard.data.histories import (
    Origins,
    Rows,
    Series,
    columns_of,
    known_ends,
    laid_out,
    scales_of,
    schema_of,
    targets_of,
)
from steelyard.data.origins import Ahead, ahead_of, partition, units
from steelyard.data.sides import sides_of
from steelyard.data.steps import Step, step_of
from steelyard.data.table import Cells, Table
from steelyard.data.value import value_of
from steelyard.data.written import Reading, as_numbers, time_notation
from steelyard.errors import DataUnfit, DataUnreadable, SpecInvalid, SteelyardError, nearest
from steelyard.spec import ALL, ForecastPart, Spec, forecast_targets
from steelyard.tasks import default_aim, metric

NUMBERS = 24_000_000
"""Numbers that the histories of all origins may hold in all (some 100 MB); the stride grows until they do."""
LEAST = 3
"""Known values that a history must have at least for its origin to train."""
LIKELY = 315_532_800.0
"""Epoch seconds of 1980: whole numbers from here on are moments, smaller ones count."""
SHOWN = 5


def forecasting(spec: Spec, table: Table, base: Path | None = None) -> tuple[Dataset, list[Finding]]:
    """Return the data set of a forecast, and what was found on the way to it.

    Raises
    ------
    DataUnfit
        If the table holds no series that can be learned from; the message says how to go on.
    SpecInvalid
        If the spec asks for what a forecast cannot have.
    """
    assert spec.forecast is not None, "only a spec with a `forecast:` part is a forecasting"
    try:
        return _Making.of(spec, spec.forecast, table, base).dataset()
    except (DataUnfit, SpecInvalid):
        raise
    except SteelyardError as problem:  # what steps and series say is said of files to predict too
        raise DataUnfit(f"forecast: {problem}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Making:
    """A data set in the making: the series of a table, on their steps."""

    spec: Spec
    table: Table
    task: Task
    step: Step
    every: list[Series]
    findings: list[Finding]

    @classmethod
    def of(cls, spec: Spec, forecast: ForecastPart, table: Table, base: Path | None) -> _Making:
        targets = _targets(spec, forecast, table)
        rows, notations, time_written = _read(spec, forecast, table, targets)
        moments = _are_moments(table.columns[forecast.time], rows.times)
        step = step_of([np.unique(rows.times[rows.series == code]) for code in range(len(rows.names))], moments=moments)
        every = laid_out(rows, step)
        season = forecast.season or step.season
        usual = int(np.median([len(one.values) for one in every]))
        history = min(forecast.history or max(2 * season, 2 * forecast.horizon), max(1, usual - 1))
        line = Timeline(
            time=forecast.time,
            series=forecast.series or "",
            history=history,
            past=forecast.past,
            known=forecast.known,
            size=step.size,
            unit=step.unit,
            start=step.start,
            day=step.day,
            notation=time_written,
            notations=notations if any(notations) else (),
            edges=() if forecast.graph is None else edges_of(source.find(forecast.graph, base), len(targets)),
            names=tuple(one.name for one in every) if forecast.series else (),
        )
        findings = _gaps(every, len(targets), step) + _left_out(spec, forecast, table, targets)
        findings.append(_told(step, season, history, forecast))
        task = _task(spec, targets, line, season, forecast.horizon)
        return cls(spec=spec, table=table, task=task, step=step, every=every, findings=findings)

    def dataset(self) -> tuple[Dataset, list[Finding]]:
        """Return the data set, and what was found."""
        stride = self._stride()
        origins, steps = self._origins(stride), self.step
        column = self.spec.split.column
        sides = None if column is None else sides_of(column, self.table.columns[column])
        if not len(origins):
            self._refuse_short()
        ahead = ahead_of(self.every, origins, self.task.horizon, step=steps, how=self.spec.split, sides=sides)
        parts, used = partition(self.spec.split, ahead)
        origins, schema = origins.take(used), schema_of(self.task)
        rows = Split(
            columns_of(self.every, origins, self.task, steps),
            targets_of(self.every, origins, self.task),
            np.arange(len(origins), dtype=np.int64),
            scales=scales_of(self.every, origins, self.task),
        )
        ahead = Ahead(first=ahead.first[used], last=ahead.last[used], horizon=ahead.horizon, length=ahead.length)
        hashes = hash_columns(rows.columns, schema)
        made = Dataset(
            name=self.spec.name or self.table.name,
            source=self.table.source,
            schema=schema,
            task=self.task,
            rows=rows,
            partition=parts,
            findings=(),
            fingerprint=fingerprint(schema, self.task, rows, hashes, parts),
            groups=units(ahead, origins, (parts.validation, parts.test)),
            times=ahead.first.astype(np.float64),
        )
        return made, self.findings + self._scaled(rows)

    def _stride(self) -> int:
        """Return the steps between origins; said where it is not the plain 1."""
        forecast = self.spec.forecast
        assert forecast is not None
        if forecast.stride is not None:
            return forecast.stride
        channels = len(self.task.series) + len(forecast.past) + len(forecast.known)
        numbers = sum(len(one.values) for one in self.every) * (_line(self.task).history + self.task.horizon) * channels
        stride = max(1, -(-numbers // NUMBERS))
        if stride > 1:
            self.findings.append(
                _note(
                    "stride",
                    f"every {stride}th origin is a row (forecast.stride), since all of them would be {numbers:,} "
                    "numbers; set forecast.stride, or a shorter forecast.history",
                    stride=float(stride),
                )
            )
        return stride

    def _origins(self, stride: int) -> Origins:
        """Return the steps to forecast from: those with some history and a value to learn."""
        line, width = _line(self.task), len(self.task.series)
        least = min(line.history, max(LEAST, line.history // 4))
        series, steps = [], []
        for number, one in enumerate(self.every):
            _, last = known_ends(one, width)
            known = ~np.isnan(one.values[:, :width]).all(axis=1)
            so_far = np.r_[0, np.cumsum(known)]
            place = np.arange(max(0, last - self.task.horizon - one.first + 1))
            before = so_far[place + 1] - so_far[np.maximum(place + 1 - line.history, 0)]
            after = so_far[place + 1 + self.task.horizon] - so_far[place + 1]
            kept = place[(before >= least) & (after > 0) & ((place[::-1]) % stride == 0)]
            series.append(np.full(len(kept), number, dtype=np.int64))
            steps.append(kept + one.first)
        return Origins(series=np.concatenate(series), steps=np.concatenate(steps).astype(np.int64))

    def _refuse_short(self) -> None:
        longest = max(len(one.values) for one in self.every)
        raise DataUnfit(
            f"forecast.horizon: no series has values to learn {self.task.horizon:,} steps ahead from (the longest has "
            f"{longest:,} steps); lower the horizon, or give longer series"
        )

    def _scaled(self, rows: Split) -> list[Finding]:
        """Say where a scale of errors is missing, which MASE leaves out."""
        assert rows.scales is not None
        lost = ~(rows.scales > 0)
        if not lost.any():
            return []
        sentence = (
            f"{lost.mean():.1%} of the histories are flat or shorter than a season of {self.task.season:,} steps, so "
            "that MASE leaves them out; a shorter forecast.season counts more of them"
        )
        return [_note("no_scale", sentence, share=float(lost.mean()))]


def edges_of(path: Path, series: int) -> tuple[tuple[float, ...], ...]:
    """Return the edges of a graph from a file: a square of numbers, one row and column a series.

    Raises
    ------
    DataUnreadable
        If the file holds no such square.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as held:
                square = np.asarray(held[held.files[0]], np.float64)
        else:
            square = np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError, zipfile.BadZipFile) as problem:
        raise DataUnreadable(f"forecast.graph: {path} cannot be read as a square of numbers ({problem})") from None
    if square.shape != (series, series) or not (np.isfinite(square) & (square >= 0)).all():
        raise DataUnfit(
            f"forecast.graph: {path} holds {list(square.shape)} numbers; give {series} rows of {series} numbers of 0 "
            "or more, in the order of the columns that are forecast"
        )
    return tuple((float(i), float(j), float(square[i, j])) for i, j in zip(*np.nonzero(square), strict=True))


def _line(task: Task) -> Timeline:
    assert task.timeline is not None
    return task.timeline


def _note(code: str, sentence: str, severity: Severity = Severity.NOTE, **numbers: float) -> Finding:
    return Finding(code=code, severity=severity, sentence=sentence, numbers=numbers)


def _targets(spec: Spec, forecast: ForecastPart, table: Table) -> tuple[str, ...]:
    """Return the columns to forecast, once all columns that a forecast names are known to be there."""
    names = tuple(table.columns)
    asked = {"target": forecast_targets(spec), "forecast": forecast.columns}
    asked["split.column"] = () if spec.split.column is None else (spec.split.column,)
    problems = [
        f"{field}: the data has no column {name!r}{nearest(name, names)}; its columns: {', '.join(names[:12])}"
        for field, several in asked.items()
        for name in several
        if name not in names
    ]
    if problems:
        raise DataUnfit("\n".join(problems))
    if forecast.together != ALL:
        return forecast_targets(spec)
    aside = {*forecast.columns, spec.split.column, *spec.columns.ignore}
    return (spec.target, *(name for name in names if name not in aside and name != spec.target))


def _read(
    spec: Spec, forecast: ForecastPart, table: Table, targets: tuple[str, ...]
) -> tuple[Rows, tuple[str, ...], str]:
    """Return the rows as numbers, how each channel writes them, and how times are written."""
    time = table.columns[forecast.time]
    written = time_notation(time) if is_strings(time) else ""
    times, bad = measured(Kind.TIME, time, written)
    if (lost := bad | np.isnan(times)).any():
        row = int(np.flatnonzero(lost)[0])
        raise DataUnfit(
            f"forecast.time: {forecast.time!r} holds {as_list(time)[row]!r} in row {row} (from 0), which is no time "
            f"({int(lost.sum()):,} such rows); write 2011-01-31, 2011-01-31 08:30:00 or a number in every row"
        )
    read = [_numbers(name, table.columns[name]) for name in (*targets, *forecast.past, *forecast.known)]
    names, codes = _series(forecast, table, spec.target)
    values = np.column_stack([values for values, _ in read])
    return Rows(times=times, series=codes, names=names, values=values), tuple(told for _, told in read), written


def _numbers(name: str, cells: Cells) -> tuple[Floats, str]:
    """Return a column as numbers, infinite ones as missing, and its notation."""
    notation = ""
    if is_strings(cells):
        reading = as_numbers(name, cells, given=True)
        notation = reading.notation if isinstance(reading, Reading) else ""
    values, bad = measured(Kind.NUMBER, cells, notation)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataUnfit(
            f"forecast: column {name!r} holds {as_list(cells)[row]!r} in row {row} (from 0), which is no number "
            f"({int(bad.sum()):,} such rows); correct or empty it, or write a category as columns of 0 and 1"
        )
    return np.where(np.isfinite(values), values, np.nan), notation


def _series(forecast: ForecastPart, table: Table, target: str) -> tuple[tuple[str, ...], Ints]:
    if forecast.series is None:
        return (target,), np.zeros(table.rows, dtype=np.int64)
    names = categories(table.columns[forecast.series])
    if missing := [row for row, name in enumerate(names) if name is None]:
        raise DataUnfit(
            f"forecast.series: {forecast.series!r} is empty in row {missing[0]} (from 0) ({len(missing):,} such rows); "
            "name the series in every row"
        )
    found, codes = np.unique(names.astype(str), return_inverse=True)
    return tuple(found.tolist()), codes.astype(np.int64)


def _are_moments(cells: Cells, times: Floats) -> bool:
    """Tell whether times are moments: dates, or numbers large enough to count seconds to a day since 1980."""
    if is_strings(cells) or cells.dtype.kind == "M" or cells.dtype == object:
        return True
    return bool(len(times)) and float(times.min()) >= LIKELY


def _task(spec: Spec, targets: tuple[str, ...], line: Timeline, season: int, horizon: int) -> Task:
    value = None if spec.value is None else value_of(spec.value, Problem.REGRESSION, (), None)
    if value is not None and value[1]:
        raise SpecInvalid("value: a forecast has no column of the money at stake; give over and under as amounts")
    aim = "value" if value is not None else spec.quality.metric or default_aim(Problem.FORECASTING)
    task = Task(
        problem=Problem.FORECASTING,
        target=spec.target,
        aim=aim,
        value=None if value is None else value[0],
        currency="USD" if spec.value is None else spec.value.money_in(),
        horizon=horizon,
        series=targets,
        season=season,
        timeline=line,
    )
    for name in {aim, spec.quality.metric or aim}:
        if refusal := metric(name).refusal(task):
            raise SpecInvalid(f"quality.metric: {refusal}")
    if aim == "coverage":
        raise SpecInvalid("quality.metric: coverage tells whether intervals are right, not which forecast is; name mae")
    return task


def _told(step: Step, season: int, history: int, forecast: ForecastPart) -> Finding:
    """Say what was inferred: the step, and what was not given in the spec."""
    unset = [name for name in ("season", "history") if getattr(forecast, name) is None]
    given: Mapping[str, str] = {"season": f"a season of {season:,} steps", "history": f"a history of {history:,} steps"}
    more = "".join(f", {given[name]} (forecast.{name})" for name in unset)
    sentence = f"the times of {forecast.time!r} are one {step.name} apart{more}"
    return _note("steps", sentence, season=float(season), history=float(history), horizon=float(forecast.horizon))


def _gaps(every: list[Series], width: int, step: Step) -> list[Finding]:
    """Say how many steps have no row or no value."""
    gaps = sum(int((one.rows < 0).sum()) for one in every)
    empty = sum(int(np.isnan(one.values[one.rows >= 0, :width]).sum()) for one in every)
    found = []
    if gaps:
        with_gaps = [one for one in every if (one.rows < 0).any()]
        first = with_gaps[0]
        at = step.written(first.first + int(np.flatnonzero(first.rows < 0)[0]))
        of = f" of series {first.name!r}" if len(every) > 1 else ""
        sentence = (
            f"{gaps:,} steps have no row, in {len(with_gaps):,} of {len(every):,} series, the first at {at}{of}; they "
            "count as missing: histories are filled from the step before, and errors there are not counted"
        )
        found.append(_note("gaps", sentence, Severity.WARN, steps=float(gaps), series=float(len(with_gaps))))
    if empty:
        sentence = (
            f"{empty:,} values to forecast are empty; histories are filled from the step before, and errors there are "
            "not counted"
        )
        found.append(_note("empty_values", sentence, Severity.WARN, values=float(empty)))
    return found


def _left_out(spec: Spec, forecast: ForecastPart, table: Table, targets: tuple[str, ...]) -> list[Finding]:
    """Say which columns no part of the forecast reads."""
    read = {*targets, *forecast.columns, spec.split.column, *spec.columns.ignore}
    rest = [name for name in table.columns if name not in read]
    if not rest:
        return []
    shown = ", ".join(map(repr, rest[:SHOWN])) + (", ..." if len(rest) > SHOWN else "")
    sentence = (
        f"{len(rest):,} columns are not read ({shown}); name them under forecast.known if they are known ahead, "
        "forecast.past if not, or forecast.together to forecast them too"
    )
    return [_note("not_read", sentence, columns=float(len(rest)))]
