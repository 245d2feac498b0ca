"""A long table, one reading a row, as the table to learn from: one row a unit, or one a window of readings.

Columns of numbers that change within units are the channels of one column of sequences; every other column keeps the
value of the row's last reading. What is odd about the readings is told, a sentence each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Column, Floats, Gathered, Ints, Kind
from steelyard.data.dataset import Finding, Severity
from steelyard.data.fast import as_list, categories, is_strings, measured
from steelyard.data.kinds import kind_of
from steelyard.data.long import Order, order, rows_of
from steelyard.data.readings import about, channels_left_out, described
from steelyard.data.roles import roles_of
from steelyard.data.sequences import Readings
from steelyard.data.table import Cells, Table
from steelyard.data.windows import Spans
from steelyard.data.written import time_notation
from steelyard.errors import DataUnfit, nearest
from steelyard.spec import SequencePart, Spec


@dataclass(frozen=True, slots=True)
class Gathering:
    """The table of rows, the spec as it is of them, and what was found in the readings."""

    table: Table
    spec: Spec
    findings: tuple[Finding, ...]


def gather(table: Table, spec: Spec) -> Gathering:
    """Gather rows from readings as ``spec.sequence`` says; a table without that part is returned as it is.

    Raises
    ------
    DataUnfit
        If columns that the spec names are not there, a channel holds no numbers, nothing is left to read, the target
        of a unit differs from reading to reading, or only some of the readings were read.
    """
    asked = spec.sequence
    if asked is None:
        return Gathering(table, spec, ())
    _check(table, spec, asked)
    notation = _notation(table, asked)
    made = order(categories(table.columns[asked.unit]), _times(table, asked, notation))
    if not made.names:
        raise DataUnfit(f"sequence.unit: no reading has a unit in {asked.unit!r} (and a time); fill them in")
    channels = _channels(table, spec, asked, made)
    how = Gathered(unit=asked.unit, time=asked.time, window=asked.window, step=asked.step, notation=notation)
    rows = rows_of(made, how)
    rows, findings = _with_target(table, spec, made, rows)
    column = Column(
        name=asked.name,
        kind=Kind.SEQUENCE,
        distinct=len(rows),
        channels=tuple(channels.values),
        gathered=how,
        lenient=channels.lenient,
        why="readings of a long table",
    )
    last = made.source[rows.last]
    kept = {name: _take(cells, last) for name, cells in table.columns.items() if name not in channels.values}
    readings = _readings(channels.values, made.source)
    gathered = replace(
        table,
        columns={**kept, asked.name: rows.cells(readings)},
        sequences={asked.name: column},
        last=last,
    )
    told = [*about(made, rows, column), *described(made, rows, how), *channels.findings, *findings]
    told += channels_left_out(spec.target, kept, channels.changing)
    return Gathering(gathered, _settled(spec, gathered, made), tuple(told))


def _check(table: Table, spec: Spec, asked: SequencePart) -> None:
    names = tuple(table.columns)
    if asked.name in names:
        raise DataUnfit(f"sequence.name: the data has a column {asked.name!r} already; choose another name")
    for field, several in (("unit", (asked.unit,)), ("time", (asked.time,)), ("channels", asked.channels)):
        for name in several:
            if name is not None and name not in names:
                raise DataUnfit(f"sequence.{field}: the data has no column {name!r}{nearest(name, names)}")
            if name == spec.target:
                raise DataUnfit(f"sequence.{field}: {name!r} is the target; name another column")
    roles_of(spec, names)
    if table.drawn is not None:
        raise DataUnfit(
            f"{table.source} has more readings than fit the memory ({table.drawn.why}), and drawing some would tear "
            "sequences apart; raise budget.memory_gb, or bring a file of fewer units"
        )


def _notation(table: Table, asked: SequencePart) -> str:
    cells = None if asked.time is None else table.columns[asked.time]
    return time_notation(cells) if cells is not None and is_strings(cells) else ""


def _times(table: Table, asked: SequencePart, notation: str) -> Floats | None:
    """Return the time of each reading, NaN where it is missing."""
    if asked.time is None:
        return None
    cells = table.columns[asked.time]
    values, bad = measured(Kind.TIME, cells, notation)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataUnfit(
            f"sequence.time: {asked.time!r} holds {as_list(cells)[row]!r} in row {row} (from 0), which is neither a "
            f"time nor a number ({int(bad.sum()):,} such readings); correct or empty them"
        )
    return np.where(np.isinf(values), np.nan, values)


# ---------------------------------------------------------------------------------------------------------- channels


@dataclass(frozen=True, slots=True, kw_only=True)
class _Channels:
    """The columns that are read as channels; ``changing`` are others that change within units and are no numbers."""

    values: Mapping[str, Floats]
    lenient: bool
    changing: tuple[str, ...]
    findings: tuple[Finding, ...]


def _channels(table: Table, spec: Spec, asked: SequencePart, made: Order) -> _Channels:
    given = roles_of(spec, tuple(table.columns))
    aside = {*given.aside, asked.unit, asked.time, given.group, given.time}
    others = {name for name, kind in given.kinds.items() if kind is not Kind.NUMBER}
    values: dict[str, Floats] = {}
    changing: list[str] = []
    findings: list[Finding] = []
    lenient = False
    for name in asked.channels or [name for name in table.columns if name not in aside | others]:
        cells = table.columns[name]
        found = kind_of(name, cells)
        numbers = _numbers(cells, found.values) if found.kind in (Kind.NUMBER, Kind.CONSTANT, Kind.ID) else None
        if found.notation or numbers is None:
            if asked.channels:
                raise DataUnfit(_no_channel(name, found.notation, found.why))
            changing += [name] if _changes(categories(cells), made) else []
        elif asked.channels or (found.kind is Kind.NUMBER and _changes(numbers, made)):
            values[name], lenient = numbers, lenient or found.lenient
            findings += found.findings
    if not values:
        raise DataUnfit(
            "sequence: no column of numbers changes within units, so there is no sequence to read; name its columns "
            "with sequence.channels, or leave out `sequence`"
        )
    return _Channels(values=values, lenient=lenient, changing=tuple(changing), findings=tuple(findings))


def _numbers(cells: Cells, read: Floats | None) -> Floats | None:
    if read is not None:
        return read
    values, bad = measured(Kind.NUMBER, cells)
    return None if bad.any() else values


def _no_channel(name: str, notation: str, why: str) -> str:
    what = f"writes its numbers like {notation}" if notation else f"holds no numbers ({why})"
    return f"sequence.channels: column {name!r} {what}; write them plainly, such as 1234.5, or leave it out"


def _changes(values: NDArray[Any], made: Order) -> bool:
    """Tell whether a column takes more than one value within some unit; missing cells are no value."""
    ordered = values[made.source]
    unit = np.repeat(np.arange(len(made.names)), made.lengths)
    known = ~np.isnan(ordered) if ordered.dtype.kind == "f" else ordered != None  # noqa: E711 - cell by cell
    ordered, unit = ordered[known], unit[known]
    return bool(((ordered[1:] != ordered[:-1]) & (unit[1:] == unit[:-1])).any())


def _readings(channels: Mapping[str, Floats], source: Ints) -> Readings:
    readings = np.empty((len(source), len(channels)), np.float32)
    with np.errstate(over="ignore"):  # beyond float32 a number is infinite, and so missing
        for place, values in enumerate(channels.values()):
            readings[:, place] = values[source]
    readings[np.isinf(readings)] = np.nan
    return readings


# ------------------------------------------------------------------------------------------------------------- rows


def _take(cells: Cells, rows: Ints) -> Cells:
    return cells.gather(rows) if is_strings(cells) else cells[rows]


def _with_target(table: Table, spec: Spec, made: Order, rows: Spans) -> tuple[Spans, list[Finding]]:
    """Leave out rows whose last reading has no target; see that a unit has one target where it is one row."""
    names = categories(table.columns[spec.target])[made.source]
    assert spec.sequence is not None
    if spec.sequence.window is None:
        _check_targets(spec, made, names)
        return rows, []
    there = names[rows.last] != None  # noqa: E711 - cell by cell
    if there.all() or not there.any():
        return rows, []
    lost = int((~there).sum())
    sentence = (
        f"{lost:,} of {len(rows):,} windows end at a reading without a target in {spec.target!r} and are left out; "
        "their readings are still seen by later windows"
    )
    finding = Finding(
        code="unlabelled_windows",
        severity=Severity.NOTE,
        column=spec.target,
        sentence=sentence,
        numbers={"rows": float(lost)},
    )
    return rows.take(there), [finding]


def _check_targets(spec: Spec, made: Order, names: NDArray[Any]) -> None:
    for unit, (start, end) in enumerate(zip(made.offsets[:-1].tolist(), made.offsets[1:].tolist(), strict=True)):
        if len(set(names[start:end].tolist())) > 1:
            raise DataUnfit(
                f"the target {spec.target!r} is not the same in all readings of unit {made.names[unit]!r}, and without "
                "sequence.window a unit is one row; give a window (the target is then that of its last reading), or "
                "write one target a unit"
            )


def _settled(spec: Spec, table: Table, made: Order) -> Spec:
    """Return the spec of the gathered table: without the columns that are channels now, units on one side."""
    asked, columns = spec.sequence, spec.columns
    assert asked is not None
    there = set(table.columns)
    kept = {field: _among(getattr(columns, field), there) for field in ("ignore", "number")}
    changes: dict[str, Any] = {"columns": columns.model_copy(update=kept)}
    if spec.split.group is None and asked.window is not None and len(made.names) > 1:
        changes["split"] = spec.split.model_copy(update={"group": asked.unit})
    return spec.model_copy(update=changes)


def _among(names: Iterable[str], there: set[str]) -> Sequence[str]:
    return tuple(name for name in names if name in there)
