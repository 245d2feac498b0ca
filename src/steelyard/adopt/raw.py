"""What an ONNX model answers as it was given, asked by ONNX Runtime itself: what its bundle is held against."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from steelyard.bundle.running import session_of
from steelyard.contracts import Columns, Floats, Problem, Task
from steelyard.errors import BundleRefused

_DTYPES: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


def raw_answers(content: bytes, columns: Sequence[str], rows: Columns, task: Task, classes: Sequence[str]) -> Floats:
    """Return probabilities in the order of the task's classes, or values, shape (n, width).

    Parameters
    ----------
    content
        The model as it was given.
    columns
        What it reads, in its order.
    rows
        Typed columns.
    task
        What is predicted.
    classes
        Names in the order of its probabilities, where it names none itself; empty: the task's own order.

    Raises
    ------
    BundleRefused
        If it does not take these rows, or answers nothing that can be compared.
    """
    session = session_of(content, threads=1)
    states = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    ends = session.get_inputs()
    by_name = {end.name for end in ends} == set(columns)
    feeds = {
        end.name: _tensor(end, [end.name] if by_name and len(ends) > 1 else _taken(ends, place, columns), rows)
        for place, end in enumerate(ends)
    }
    try:
        outputs = session.run(None, feeds)
    except (states.Fail, states.InvalidArgument, states.RuntimeException, states.NotImplemented) as problem:
        raise BundleRefused(f"the model fails on these rows: {str(problem).splitlines()[0]}") from None
    return _scores(dict(zip([o.name for o in session.get_outputs()], outputs, strict=True)), task, classes)


def _taken(ends: Sequence[Any], place: int, columns: Sequence[str]) -> Sequence[str]:
    return columns if len(ends) == 1 else columns[place : place + 1]


def _tensor(end: Any, names: Sequence[str], rows: Columns) -> Any:
    dtype = _DTYPES.get(end.type)
    if dtype is None:
        raise BundleRefused(f"input {end.name!r} of the model is a {end.type}; export it with numbers or words")
    cells = [rows[name] for name in names]
    if dtype is np.object_:
        cells = [np.array(["" if cell is None else cell for cell in column], np.object_) for column in cells]
    table = np.stack([np.asarray(column).astype(dtype) for column in cells], axis=1)
    return table[:, 0] if len(end.shape) == 1 else table


def _scores(outputs: Mapping[str, Any], task: Task, classes: Sequence[str]) -> Floats:
    for answer in outputs.values():
        if isinstance(answer, list) and answer and isinstance(answer[0], dict):  # what a ZipMap makes
            return np.array([[{str(k): v for k, v in row.items()}[c] for c in task.classes] for row in answer])
    tables = {
        name: table for name, table in ((n, np.asarray(a)) for n, a in outputs.items()) if table.dtype.kind == "f"
    }
    likely = [n for n in tables if "prob" in n.lower()] or list(tables)
    if not likely:
        raise BundleRefused("the model answers no numbers that could be compared; export it with its probabilities")
    found = tables[likely[0 if "prob" in likely[0].lower() or not task.classes else -1]].astype(np.float64)
    if task.problem is Problem.REGRESSION:
        return found.reshape(-1, 1)
    if found.size == len(found):
        found = np.stack([1.0 - found.ravel(), found.ravel()], axis=1)
    order = list(classes or task.classes)
    return found[:, [order.index(name) for name in task.classes]]
