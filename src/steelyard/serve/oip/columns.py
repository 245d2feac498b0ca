"""Tensors to typed rows: each column is an input of its own, or all of them are one block of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Column, Kind
from steelyard.data.coerce import column as coerced
from steelyard.data.coerce import objects
from steelyard.errors import nearest
from steelyard.serve.faults import malformed, unfit
from steelyard.serve.limits import Limits
from steelyard.serve.model import Served
from steelyard.serve.oip.signature import ROWS, takes_rows
from steelyard.serve.table import Table
from steelyard.serve.wire import checked_image, from_base64

Tensors = Mapping[str, NDArray[Any]]


def table_of(served: Served, tensors: Tensors, limits: Limits) -> Table:
    """Return the typed rows that the inputs of a request hold.

    Raises
    ------
    Fault
        If an input is missing, unknown, or of a shape that is no column.
    RowsRefused
        If a cell does not fit its column.
    """
    if ROWS in tensors and takes_rows(served):
        return _of_block(served, tensors, limits)
    _refuse_unknown(served, tensors)
    rows = _rows_of(served, tensors)
    limits.check_rows(rows)
    columns = {name: _typed(column, _cells(column, tensors[name])) for name, column in served.layout.columns.items()}
    return served.layout.of_columns(columns, rows)


def _cells(column: Column, tensor: NDArray[Any]) -> NDArray[Any]:
    """Return one cell a row: of a tensor of readings, shape (rows, steps, channels), the readings of each row."""
    return objects(tensor) if column.kind is Kind.SEQUENCE else tensor.reshape(len(tensor))


def _of_block(served: Served, tensors: Tensors, limits: Limits) -> Table:
    block, width = tensors[ROWS], len(served.layout.columns)
    if len(tensors) > 1:
        raise malformed(f"the input {ROWS!r} holds every column; send no other input beside it")
    if block.ndim != 2 or block.shape[1] != width:
        raise malformed(f"input {ROWS!r} must have the shape [rows, {width}]; got {list(block.shape)}")
    limits.check_rows(len(block))
    if block.dtype.kind == "O" or not served.layout.is_plain:
        columns = {
            name: _typed(served.layout.columns[name], block[:, i]) for i, name in enumerate(served.layout.columns)
        }
        return served.layout.of_columns(columns, len(block))
    numbers = block.astype(np.float64)
    numbers[np.isinf(numbers)] = np.nan  # as everywhere: no model can use them
    return served.layout.of_numbers(numbers)


def _refuse_unknown(served: Served, tensors: Tensors) -> None:
    """Refuse inputs that are no column of the table, and say which are missing."""
    known = {column.name for column in served.bundle.schema.columns}
    for name in tensors:
        if name not in known:
            shown = name[:80]
            raise malformed(f"the model has no input {shown!r}{nearest(shown, served.layout.columns)}")
    absent = [repr(name) for name in served.layout.columns if name not in tensors]
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise malformed(f"the request lacks the inputs {', '.join(absent[:3])}{more}; give every column")


def _rows_of(served: Served, tensors: Tensors) -> int:
    """Return how many rows the inputs have, the same in all of them."""
    rows = 0
    for name in served.layout.columns:
        shape = tensors[name].shape
        if served.layout.columns[name].kind is Kind.SEQUENCE:
            _check_readings(served.layout.columns[name], tensors[name])
        elif len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
            raise malformed(f"input {name!r} must have the shape [rows, 1] or [rows]; got {list(shape)}")
        if rows and shape[0] != rows:
            raise malformed(f"input {name!r} has {shape[0]:,} rows, others have {rows:,}; give as many of each")
        rows = shape[0]
    return rows


def _check_readings(column: Column, tensor: NDArray[Any]) -> None:
    width = len(column.channels)
    if tensor.dtype.kind == "O":
        raise malformed(f"input {column.name!r} must be of a datatype of numbers, such as FP32")
    if tensor.ndim != 3 or tensor.shape[2] != width:
        shape = list(tensor.shape)
        raise malformed(f"input {column.name!r} must have the shape [rows, steps, {width}]; got {shape}")


def _typed(column: Column, cells: NDArray[Any]) -> NDArray[Any]:
    """Return the cells of one input as a typed column."""
    if column.kind in {Kind.TEXT, Kind.IMAGE} and cells.dtype.kind != "O":
        raise malformed(f"input {column.name!r} must be of datatype BYTES")
    if column.kind is Kind.IMAGE:
        return objects(_image(cell, column.name) for cell in cells)
    if cells.dtype.kind == "O":
        cells = objects(_text(cell, column.name) for cell in cells)
    return coerced(
        column.kind, cells, column.name, notation=column.notation, lenient=column.lenient, channels=column.channels
    )


def _image(cell: object, name: str) -> bytes:
    """Return the bytes of an image: as they are behind the JSON part, in base64 inside it."""
    match cell:
        case bytes():
            return checked_image(cell, name)
        case str():
            return checked_image(from_base64(cell, name), name)
    raise unfit(f"input {name!r} lacks an image; there is no answer without one")


def _text(cell: object, name: str) -> object:
    if isinstance(cell, bytes):
        try:
            return cell.decode()
        except UnicodeDecodeError:
            raise malformed(f"input {name!r} holds text that is not UTF-8") from None
    return cell
