"""``POST /predict``: rows as JSON objects by column, answered by names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.bundle.front_ends.base import Cells
from steelyard.contracts import Kind
from steelyard.errors import RowsRefused
from steelyard.serve.endpoint import BY_BUNDLE, Answered
from steelyard.serve.faults import malformed, unfit
from steelyard.serve.limits import Limits, json_object, name_of
from steelyard.serve.model import Served
from steelyard.serve.table import Table
from steelyard.serve.tagged import told
from steelyard.serve.wire import checked_image, from_base64

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
    limits.check_elements(len(rows) * len(served.layout.columns))
    tokens = [name for name, column in served.layout.columns.items() if column.kind is Kind.TOKENS]
    images = [name for name, column in served.layout.columns.items() if column.kind is Kind.IMAGE]
    cells = [_cells(served, row, place, images, tokens) for place, row in enumerate(rows)]
    if tokens:
        limits.check_elements(sum(len(row[name]) for row in cells for name in tokens))
    return served.layout.of_cells(cells)


def _cells(served: Served, row: Any, place: int, images: list[str], tokens: list[str]) -> Cells:
    if type(row) is not dict:
        raise malformed(f"row {place} (from 0) must be an object of values by column; got {name_of(row)}")
    if not _SCALARS.issuperset(map(type, row.values())):
        odd = [name for name, cell in row.items() if type(cell) not in _SCALARS]
        if other := [name for name in odd if name not in tokens or type(row[name]) is not list]:
            name = other[0]
            raise malformed(f"row {place} (from 0): column {name!r} holds {name_of(row[name])}; give a plain value")
    if images:
        row = {**row, **{name: _image(row[name], name) for name in images if name in row}}
    try:
        return served.bundle.cells(row)
    except RowsRefused as problem:
        if not place:
            raise
        raise unfit(f"row {place} (from 0): {_alone(str(problem))}") from None


def _alone(sentence: str) -> str:
    """Return what is said of a single row, without its number there."""
    return sentence.removeprefix("row 0 (from 0) of ")


def _image(cell: Any, name: str) -> bytes:
    if type(cell) is not str:
        raise unfit(f"column {name!r} holds {name_of(cell)}; give the bytes of an image file in base64")
    return checked_image(from_base64(cell, name), name)


def reply(answered: Answered, table: Table) -> Mapping[str, Any]:
    """Return what is answered: a label with probabilities, tags, or a value, for each row, and which stage answered."""
    served, answer = answered.served, answered.answer
    if served.tags:
        predictions = told(served, table, answer)
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
