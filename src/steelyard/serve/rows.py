"""``POST /predict``: rows as JSON objects by column, answered by names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.bundle.front_ends.base import Cells
from steelyard.contracts import Floats, Kind, Problem
from steelyard.errors import RowsRefused
from steelyard.serve.endpoint import BY_BUNDLE, Answered
from steelyard.serve.faults import malformed, unfit
from steelyard.serve.limits import Limits, json_object, name_of
from steelyard.serve.model import Served
from steelyard.serve.table import Table
from steelyard.serve.tagged import told
from steelyard.serve.wire import FILES, from_base64

_SCALARS = frozenset({str, int, float, bool, type(None)})


def read(served: Served, body: bytes, limits: Limits) -> Table:
    """Return the typed rows of a body: ``{"rows": [{column: value}]}``, or one row ``{column: value}``.

    Columns that the model does not read are ignored.

    Raises
    ------
    Fault
        If the body is malformed, or has too many rows or cells.
    RowsRefused
        If a column is missing, or a cell does not fit its kind.
    """
    data = json_object(body, limits)
    rows = data["rows"] if type(data.get("rows")) is list else [data]
    limits.check_rows(len(rows))
    sequences = {column.name for column in served.bundle.schema.of(Kind.SEQUENCE)}  # those not read are ignored
    limits.check_elements(len(rows) * len(served.layout.columns) + _readings(rows, sequences))
    tokens = {name for name, column in served.layout.columns.items() if column.kind is Kind.TOKENS}
    files = {name: column.kind for name, column in served.layout.columns.items() if column.kind in FILES}
    cells = [_cells(served, row, place, files, (sequences, tokens)) for place, row in enumerate(rows)]
    if tokens:
        limits.check_elements(sum(len(row[name]) for row in cells for name in tokens))
    return served.layout.of_cells(cells)


def _readings(rows: list[Any], sequences: set[str]) -> int:
    """Return about how many values the sequences of some rows hold; what is no sequence counts as none."""
    several = (row.get(name) for name in sequences for row in rows if type(row) is dict)
    return sum(len(cell) * _width(cell) for cell in several if type(cell) is list and cell)


def _width(cell: list[Any]) -> int:
    return max((len(reading) for reading in cell if type(reading) in (list, dict)), default=1)


def _cells(served: Served, row: Any, place: int, files: Mapping[str, Kind], nested: tuple[set[str], set[str]]) -> Cells:
    """Return the typed cells of a row; ``nested`` are the columns of sequences, and those of tokens."""
    sequences, tokens = nested
    if type(row) is not dict:
        raise malformed(f"row {place} (from 0) must be an object of values by column; got {name_of(row)}")
    if not _SCALARS.issuperset(map(type, row.values())):
        odd = [name for name, cell in row.items() if type(cell) not in _SCALARS and name not in sequences]
        if other := [name for name in odd if name not in tokens or type(row[name]) is not list]:
            name = other[0]
            raise malformed(f"row {place} (from 0): column {name!r} holds {name_of(row[name])}; give a plain value")
    if files:
        row = {**row, **{name: _file(row[name], name, kind) for name, kind in files.items() if name in row}}
    try:
        return served.bundle.cells(row)
    except RowsRefused as problem:
        if not place:
            raise
        raise unfit(f"row {place} (from 0): {_alone(str(problem))}") from None


def forecasts_of(answered: Answered) -> list[dict[str, Any]]:
    """Return the steps ahead of each row by series, the next one first: values, and the ends of their intervals."""
    answer, task = answered.answer, answered.served.task
    parts = {"values": answer.decided, "low": answer.low, "high": answer.high}

    def by_series(values: Floats) -> dict[str, list[float]]:
        steps = values.reshape(task.horizon, len(task.series))
        return dict(zip(task.series, steps.T.tolist(), strict=True))

    return [
        {name: by_series(values[row]) for name, values in parts.items() if values is not None}
        for row in range(len(answer.decided))
    ]


def _alone(sentence: str) -> str:
    """Return what is said of a single row, without its number there."""
    return sentence.removeprefix("row 0 (from 0) of ")


def _file(cell: Any, name: str, kind: Kind) -> bytes:
    if type(cell) is not str:
        what = "an image file" if kind is Kind.IMAGE else "a wav file"
        raise unfit(f"column {name!r} holds {name_of(cell)}; give the bytes of {what} in base64")
    return FILES[kind](from_base64(cell, name), name)


def reply(answered: Answered, table: Table) -> Mapping[str, Any]:
    """Return what is answered: a label with probabilities, tags, or a value, for each row, and which stage answered."""
    served, answer = answered.served, answered.answer
    predictions: list[dict[str, Any]]
    if served.tags:
        predictions = told(served, table, answer)
    elif served.task.problem is Problem.FORECASTING:
        predictions = forecasts_of(answered)
    elif served.predicts_value:
        predictions = [{"value": value} for value in answer.decided.tolist()]
    else:
        classes = served.task.classes
        predictions = [
            {"label": classes[code], "probabilities": dict(zip(classes, scores, strict=True))}
            for code, scores in zip(answer.decided.tolist(), answer.scores.tolist(), strict=True)
        ]
    if answered.staged is not None:
        for place, one in enumerate(predictions):
            one.update(answered.staged.get(place, BY_BUNDLE).to_json())
    if answer.members is not None:
        for one, member in zip(predictions, answer.members.tolist(), strict=True):
            one["member"] = member
    return {"model": served.name, "version": served.version, "digest": served.digest, "predictions": predictions}
