"""From cells to a schema and typed columns; what a spec says of a column wins over what its cells say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import FEATURES, Column, Kind, Schema
from steelyard.data import pictures, sounds
from steelyard.data.coerce import column as coerced
from steelyard.data.coerce import is_missing, objects
from steelyard.data.dataset import Finding, Severity
from steelyard.data.fast import as_list, categories, is_strings, measured, texts
from steelyard.data.hashing import distinct
from steelyard.data.kinds import Found, is_spaced, kind_of
from steelyard.data.readers.images import SIDES
from steelyard.data.roles import Roles
from steelyard.data.sequences import channels_of
from steelyard.data.table import Cells, Table
from steelyard.data.tokens import token_columns, typed_tokens
from steelyard.data.written import Unread, as_numbers, as_times
from steelyard.errors import RowsRefused
from steelyard.spec import Spec

_SIDE_NAMES = frozenset({"split", "set", "subset", "fold", "partition", "part", "side"})
_GIVEN = "given in the spec"
_FILES = {Kind.IMAGE: pictures, Kind.AUDIO: sounds}
"""What takes in the cells of columns of files."""


@dataclass(frozen=True, slots=True)
class Typed:
    """One column with its typed values (``None`` for ids and constants) and what was found in it.

    ``unusable`` marks the rows that cannot be used for what their cell holds.
    """

    column: Column
    values: NDArray[Any] | None
    findings: tuple[Finding, ...] = ()
    unusable: NDArray[np.bool_] | None = None


def typed_columns(spec: Spec, table: Table, roles: Roles) -> list[Typed]:
    """Return every column of the schema, in the order of the source."""
    tokens = token_columns(spec, table)
    made = [
        _tokens(name, cells, roles) if name in tokens else _typed(name, cells, table, roles)
        for name, cells in table.columns.items()
        if name not in roles.aside
    ]
    prices = spec.columns.price
    return [replace(t, column=replace(t.column, price=prices.get(t.column.name))) for t in made]


def schema_of(typed: list[Typed]) -> Schema:
    """Return the schema of typed columns."""
    return Schema(tuple(t.column for t in typed))


def _typed(name: str, cells: Cells, table: Table, roles: Roles) -> Typed:
    typed = _as_found(name, cells, table, roles)
    if typed.column.missing < 1 or typed.findings:
        return typed
    sentence = f"column {name!r} has no value in any row and is left out; fill it, or list it under columns.ignore"
    column = replace(typed.column, kind=Kind.CONSTANT, why="no value in any row")
    finding = Finding(code="empty_column", severity=Severity.WARN, column=name, sentence=sentence)
    return Typed(column, None, (finding,))


def _as_found(name: str, cells: Cells, table: Table, roles: Roles) -> Typed:
    if name in table.sequences:
        return _sequence(table.sequences[name], objects(cells))
    as_files = roles.kinds.get(name) in _FILES
    if not as_files and isinstance(cells, np.ndarray) and cells.dtype == object and (nested := _nested(cells)):
        channels = channels_of(cells)
        return _refused(name, cells, nested) if channels is None else _nested_sequence(name, cells, channels)
    given = roles.kinds.get(name) or _known(name, table)
    found = _found(name, cells, roles, given)
    if found.kind in (Kind.NUMBER, Kind.TIME):
        return _measured(name, cells, found)
    if found.kind is Kind.TEXT:
        return _text(name, cells, found)
    if found.kind in _FILES:
        return _files(name, cells, found, table)
    return _named(name, cells, found)


def _known(name: str, table: Table) -> Kind | None:
    return Kind.IMAGE if name in table.images else Kind.AUDIO if name in table.sounds else None


def _found(name: str, cells: Cells, roles: Roles, given: Kind | None) -> Found:
    if given is not None:
        return _given_found(name, cells, given)
    found = kind_of(name, cells)
    if name == roles.group and found.kind is not Kind.CONSTANT:
        return Found(Kind.ID, "groups the rows of the split (give it a kind under columns to let models read it)", 0)
    if name == roles.time and found.kind is not Kind.CONSTANT:
        return Found(
            Kind.ID, "orders the split: all later rows lie beyond it (give it a kind to let models read it)", 0
        )
    if name in roles.readings and found.kind is not Kind.CONSTANT:
        what = "which readings belong together" if name == roles.readings[0] else "in which order readings came"
        return Found(Kind.ID, f"says {what} (give it a kind to let models read it)", 0)
    if name.lower() in _SIDE_NAMES and found.kind is Kind.CATEGORY and _are_sides(cells):
        return Found(Kind.ID, "names the sides of a split", 0)
    return found


def _given_found(name: str, cells: Cells, given: Kind) -> Found:
    """Return a kind that the spec gives, with the notation that the cells show."""
    found = Found(given, _GIVEN, 0)
    if given not in (Kind.NUMBER, Kind.TIME) or not is_strings(cells):
        return found
    read = as_times(name, cells) if given is Kind.TIME else as_numbers(name, cells, given=True)
    if isinstance(read, Unread):
        return replace(found, findings=read.findings)
    if read is None:
        return found
    return replace(found, notation=read.notation, lenient=read.lenient, values=read.values, findings=read.findings)


def _are_sides(cells: Cells) -> bool:
    return {str(cell).lower() for cell in set(categories(cells)) if cell is not None} <= SIDES


def _nested(cells: NDArray[Any]) -> str | None:
    for cell in cells:
        plain = isinstance(cell, np.ndarray) and (cell.ndim == 1 or (cell.ndim == 2 and cell.dtype.kind == "f"))
        if plain or isinstance(cell, list | tuple | dict | set):
            return type(cell).__name__
    return None


def _refused(name: str, cells: Cells, nested: str) -> Typed:
    sentence = (
        f"column {name!r} holds {nested}s, which no model here reads; spread it over columns of single values, "
        f"or leave it out with columns.ignore: [{name}]"
    )
    column = Column(name=name, kind=Kind.ID, missing=_missing_share(cells), why=f"holds {nested}s")
    return Typed(column, None, (Finding(code="nested_column", severity=Severity.STOP, column=name, sentence=sentence),))


def _nested_sequence(name: str, cells: NDArray[Any], channels: tuple[str, ...]) -> Typed:
    """Return lists of readings as a column of sequences."""
    column = Column(name=name, kind=Kind.SEQUENCE, channels=channels, distinct=len(cells), why="lists of readings")
    try:
        return _sequence(column, coerced(Kind.SEQUENCE, cells, name, channels=channels))
    except RowsRefused as problem:
        stop = Finding(code="misfit", severity=Severity.STOP, column=name, sentence=str(problem))
        return Typed(replace(column, kind=Kind.ID), None, (stop,))


def _sequence(column: Column, values: NDArray[Any]) -> Typed:
    steps = np.fromiter(map(len, values), np.int64, count=len(values))
    return Typed(replace(column, missing=float(np.mean(steps == 0)) if len(steps) else 0.0), values)


def _missing_share(cells: Cells) -> float:
    several = as_list(cells)
    return sum(is_missing(cell) for cell in several) / len(several) if several else 0.0


def _measured(name: str, cells: Cells, found: Found) -> Typed:
    findings = list(found.findings)
    values, bad = (found.values, None) if found.values is not None else measured(found.kind, cells, found.notation)
    if bad is not None and bad.any() and not found.lenient:
        findings.append(_misfit(name, cells, found.kind, bad))
    infinite = np.isinf(values)
    if infinite.any():
        findings.append(_infinite(name, infinite))
        values = np.where(infinite, np.nan, values)
    known = values[~np.isnan(values)]
    column = Column(
        name=name,
        kind=found.kind,
        missing=1 - len(known) / len(values),
        distinct=found.distinct if found.distinct and not infinite.any() else distinct(known),
        low=float(known.min()) if len(known) else None,
        high=float(known.max()) if len(known) else None,
        notation=found.notation,
        lenient=found.lenient,
        why=found.why,
    )
    return Typed(column, values, tuple(findings))


def _misfit(name: str, cells: Cells, kind: Kind, bad: NDArray[np.bool_]) -> Finding:
    row = int(np.flatnonzero(bad)[0])
    what = "a number" if kind is Kind.NUMBER else "a time (2011-01-31 or 2011-01-31 08:30:00)"
    sentence = (
        f"column {name!r} is given as {kind.value}, but {int(bad.sum()):,} cells are not {what}, the first is "
        f"{as_list(cells)[row]!r} in row {row} (from 0); correct or empty them, or give another kind"
    )
    numbers = {"cells": float(bad.sum()), "row": float(row)}
    return Finding(code="misfit", severity=Severity.STOP, column=name, sentence=sentence, numbers=numbers)


def _infinite(name: str, infinite: NDArray[np.bool_]) -> Finding:
    count, row = int(infinite.sum()), int(np.flatnonzero(infinite)[0])
    sentence = (
        f"column {name!r} has {count:,} infinite numbers, the first in row {row} (from 0); they count as missing, "
        "here and when predicting; write a limit instead if they mean one"
    )
    numbers = {"cells": float(count), "row": float(row)}
    return Finding(code="infinite", severity=Severity.WARN, column=name, sentence=sentence, numbers=numbers)


def _text(name: str, cells: Cells, found: Found) -> Typed:
    values = texts(cells)
    different = set(values) - {""}
    column = Column(
        name=name,
        kind=Kind.TEXT,
        missing=float(np.mean(values == "")),
        distinct=len(different),
        spaced=is_spaced(sorted(different)),
        why=found.why,
    )
    return Typed(column, values)


def _tokens(name: str, cells: Cells, roles: Roles) -> Typed:
    column, values, findings, unusable = typed_tokens(name, cells, _GIVEN if name in roles.kinds else "lists of words")
    return Typed(column, values, findings, unusable)


def _files(name: str, cells: Cells, found: Found, table: Table) -> Typed:
    reader = _FILES[found.kind]
    values, findings = reader.resolve(name, as_list(cells), table)
    absent = sum(cell is None for cell in values)
    unusable = None
    if absent < len(values) and not findings:
        unusable, findings = reader.judge(name, values)
    column = Column(
        name=name,
        kind=found.kind,
        missing=absent / len(values),
        distinct=len(set(values) - {None}),
        why=found.why,
    )
    return Typed(column, values, tuple(findings), unusable)


def _named(name: str, cells: Cells, found: Found) -> Typed:
    values = categories(cells)
    column = Column(
        name=name,
        kind=found.kind,
        missing=float(np.mean(values == None)),  # noqa: E711 - cell by cell
        distinct=found.distinct or len(set(values) - {None}),
        why=found.why,
    )
    return Typed(column, values if found.kind in FEATURES else None, found.findings)
