"""Rows to the tensors of another server, and its answer back to probabilities of our classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.rules import answer_of
from steelyard.client.answers import Inference
from steelyard.contracts import Answer, Floats, Kind, Task
from steelyard.datatypes import DATATYPES
from steelyard.errors import ServerRefused
from steelyard.serve.escalation.plan import Wiring
from steelyard.serve.oip.signature import ROWS
from steelyard.serve.table import Layout, Table

_SLACK = 1e-3
"""How far probabilities in float32 may be from a sum of one."""
_FLOATS = frozenset({"FP32", "FP64"})
_USUAL = ("scores", "probabilities", "probability", "predict_proba", "output_probability")


def wiring_of(metadata: Mapping[str, Any], layout: Layout, task: Task) -> Wiring:
    """Return how to ask a server, by what it says of its model.

    Raises
    ------
    ServerRefused
        If it reads what the bundle does not, or gives no probabilities of the same classes.
    """
    inputs, outputs = _tensors(metadata, "inputs"), _tensors(metadata, "outputs")
    parameters = metadata.get("parameters")
    named = parameters.get("classes") if isinstance(parameters, Mapping) else None
    classes = tuple(map(str, named)) if isinstance(named, list) else task.classes
    if sorted(classes) != sorted(task.classes):
        raise ServerRefused(f"the other model knows the classes {_some(classes)}, the bundle {_some(task.classes)}")
    scores = _scores(outputs, len(classes))
    label = next((name for name, kind, _ in outputs if name == "label" and kind == "BYTES"), "")
    whole = isinstance(parameters, Mapping) and parameters.get("rows_as_one_tensor") is True
    if whole and layout.is_plain and [name for name, _, _ in inputs] == list(layout.columns):
        return Wiring(block=ROWS, inputs={ROWS: "FP64"}, scores=scores, label=label, classes=classes)
    if all(name in layout.columns for name, _, _ in inputs):
        said = {name: kind for name, kind, _ in inputs}
        return Wiring(inputs=said, scores=scores, label=label, classes=classes)
    if len(inputs) == 1 and layout.is_numeric and inputs[0][1] in DATATYPES and inputs[0][1] != "BYTES":
        name, kind, shape = inputs[0]
        if len(shape) == 2 and shape[1] in {-1, len(layout.columns)}:
            return Wiring(block=name, inputs={name: kind}, scores=scores, label=label, classes=classes)
    unknown = next(name for name, _, _ in inputs if name not in layout.columns)
    raise ServerRefused(f"the other model reads {unknown!r}, which the bundle does not; only its columns can be sent")


def _tensors(metadata: Mapping[str, Any], which: str) -> list[tuple[str, str, tuple[int, ...]]]:
    try:
        found = [(str(t["name"]), str(t["datatype"]), tuple(map(int, t["shape"]))) for t in metadata[which]]
    except (KeyError, TypeError, ValueError):
        found = []
    if not found:
        raise ServerRefused(f"the other server does not say what the {which} of its model are")
    return found


def _scores(outputs: Sequence[tuple[str, str, tuple[int, ...]]], classes: int) -> str:
    fit = [name for name, kind, shape in outputs if kind in _FLOATS and len(shape) == 2 and shape[1] in {-1, classes}]
    usual = [name for name in _USUAL if name in fit]
    if not fit or (len(fit) > 1 and not usual):
        raise ServerRefused(f"the other model has no output that is plainly probabilities of {classes} classes")
    return (usual or fit)[0]


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (" ..." if len(names) > 5 else "")


def encode(wiring: Wiring, layout: Layout, table: Table) -> dict[str, NDArray[Any]]:
    """Return the tensors of some rows, by the name of the input."""
    if wiring.block:
        return {wiring.block: table.numbers.astype(_dtype(wiring.inputs[wiring.block]))}
    columns = layout.columns_of(table)
    return {name: _column(layout, name, kind, columns[name])[:, None] for name, kind in wiring.inputs.items()}


def _dtype(datatype: str) -> np.dtype[Any]:
    return DATATYPES.get(datatype, np.dtype(np.float64))


def _column(layout: Layout, name: str, datatype: str, cells: NDArray[Any]) -> NDArray[Any]:
    column = layout.columns[name]
    if column.kind is Kind.TIME and (column.notation or datatype == "BYTES"):
        return _strings([iso(cell) for cell in cells.tolist()])
    if cells.dtype.kind == "O":
        return _strings(cells.tolist())
    if datatype == "BYTES":
        return _strings(["" if cell != cell else repr(cell) for cell in cells.tolist()])  # noqa: PLR0124 - NaN
    return cells.astype(_dtype(datatype))


def _strings(cells: Sequence[Any]) -> NDArray[Any]:
    made = np.empty(len(cells), np.object_)
    made[:] = ["" if cell is None else cell for cell in cells]
    return made


def iso(seconds: float) -> str:
    """Return epoch seconds as ISO 8601 in UTC; nothing where they are missing, or beyond the calendar.

    Examples
    --------
    >>> iso(0.0), iso(float("nan"))
    ('1970-01-01T00:00:00+00:00', '')
    """
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def decode(wiring: Wiring, task: Task, inference: Inference, rows: int, amounts: Floats | None = None) -> Answer:
    """Return what a server answered, its classes in our order; ``amounts`` are at stake in the rows.

    Raises
    ------
    ServerRefused
        If the answer is not one row of probabilities for each row that was sent.
    """
    scores = _probabilities(wiring, inference, rows)
    order = [wiring.classes.index(name) for name in task.classes]
    answer = answer_of(task, scores[:, order], amounts)
    if not wiring.label:
        return answer
    said = inference.outputs.get(wiring.label)
    codes = {name: code for code, name in enumerate(task.classes)}
    if said is None or said.size != rows or not codes.keys() >= set(said.ravel().tolist()):
        raise ServerRefused("the other server's decisions are not one known class for each row")
    decided = np.array([codes[name] for name in said.ravel().tolist()], np.int64)
    return Answer(answer.scores, decided, amounts=amounts)


def _probabilities(wiring: Wiring, inference: Inference, rows: int) -> Floats:
    given = inference.outputs.get(wiring.scores)
    if given is None or given.shape != (rows, len(wiring.classes)) or given.dtype.kind != "f":
        raise ServerRefused("the other server's scores are not one row of probabilities for each row sent")
    scores: Floats = given.astype(np.float64)
    total = scores.sum(axis=1, keepdims=True)
    if not ((scores >= 0).all() and (np.abs(total - 1.0) <= _SLACK).all()):
        raise ServerRefused("the other server's scores are no probabilities")
    whole: Floats = scores / total
    return whole
