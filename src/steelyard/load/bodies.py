"""The requests that are sent in turn: from a file of real rows, or made up from what the server says of its model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson
from numpy.typing import NDArray

from steelyard.client import tensors
from steelyard.datatypes import BYTES, DATATYPES
from steelyard.errors import RequestInvalid, RowsRefused, ServerRefused, nearest
from steelyard.load.target import Target

MADE_UP = 100
"""Rows that are made up where no file is given."""
_MISSING = ("", None)

Row = Mapping[str, Any]


class Protocol(StrEnum):
    """How rows are put."""

    PREDICT = "predict"
    V2 = "v2"
    V2_BINARY = "v2-binary"

    @property
    def path(self) -> str:
        """Path of a request; ``{model}`` stands for the model's name."""
        return "/predict" if self is Protocol.PREDICT else "/v2/models/{model}/infer"


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a model as its metadata describe it; a side of -1 is as long as there are rows."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def shaped(self, rows: int) -> tuple[int, ...]:
        """Return the shape for a number of rows."""
        return tuple(rows if side < 0 else side for side in self.shape)


def inputs_of(metadata: Any) -> list[Input]:
    """Read the inputs out of a model's metadata (``GET /v2/models/NAME``).

    Raises
    ------
    ServerRefused
        If these are not metadata of the protocol, or speak of a datatype that it has not.

    Examples
    --------
    >>> inputs_of({"inputs": [{"name": "age", "datatype": "FP64", "shape": [-1, 1]}]})
    [Input(name='age', datatype='FP64', shape=(-1, 1))]
    """
    try:
        found = [Input(str(i["name"]), str(i["datatype"]), tuple(map(int, i["shape"]))) for i in metadata["inputs"]]
    except (KeyError, TypeError, ValueError) as problem:
        raise ServerRefused("the server's metadata of the model name no inputs") from problem
    if strange := [i.name for i in found if i.datatype not in DATATYPES]:
        raise ServerRefused(f"the server's inputs {', '.join(map(repr, strange))} are of no datatype of the protocol")
    return found


def rows_of(columns: Mapping[str, Sequence[Any]], inputs: Sequence[Input] = ()) -> list[dict[str, Any]]:
    """Return rows of columns; where the model's inputs are known, their numerals become numbers.

    Raises
    ------
    RequestInvalid
        If there is no row.

    Examples
    --------
    >>> rows_of({"age": ["51", ""], "job": ["cook", "nurse"]}, [Input("age", "FP64", (-1,))])
    [{'age': 51.0, 'job': 'cook'}, {'age': None, 'job': 'nurse'}]
    """
    numeric = {i.name for i in inputs if i.datatype not in {BYTES, "BOOL"}}
    cells = [[_number(v) for v in values] if name in numeric else values for name, values in columns.items()]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
    if not rows:
        raise RequestInvalid("the file holds no rows; give one with at least one row")
    return rows


def _number(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        value = float(cell or "nan")
    except ValueError:
        return cell
    return value if math.isfinite(value) else None


def made_up(inputs: Sequence[Input], seed: int) -> list[dict[str, Any]]:
    """Make up rows that have the right types; what they say is noise."""
    rng = np.random.default_rng(seed)
    return [{i.name: _noise(i, rng) for i in inputs} for _ in range(MADE_UP)]


def _noise(one: Input, rng: np.random.Generator) -> Any:
    kind = DATATYPES[one.datatype].kind
    sides = one.shaped(1)
    size = math.prod(sides)
    if kind == "O":
        values: list[Any] = [f"value {number}" for number in rng.integers(0, 10, size)]
    elif kind == "f":
        values = rng.normal(size=size).round(4).tolist()
    else:
        values = rng.integers(0, 2, size).astype("?" if kind == "b" else "i8").tolist()
    return values[0] if size == 1 else values


def messages(
    target: Target, rows: Sequence[Row], *, protocol: Protocol, model: str, inputs: Sequence[Input], batch: int
) -> list[bytes]:
    """Return one whole HTTP request for each ``batch`` rows; the last ones are filled up from the first.

    Raises
    ------
    RequestInvalid
        If the rows do not fit the model's inputs.
    """
    if batch < 1:
        raise RequestInvalid(f"a request needs at least one row; got {batch}")
    starts = range(0, len(rows), batch)
    groups = [[rows[(start + k) % len(rows)] for k in range(batch)] for start in starts]
    return [_message(target, group, protocol=protocol, model=model, inputs=inputs) for group in groups]


def _message(target: Target, rows: Sequence[Row], *, protocol: Protocol, model: str, inputs: Sequence[Input]) -> bytes:
    path = protocol.path.format(model=quote(model, safe=""))
    if protocol is Protocol.PREDICT:
        body = orjson.dumps({"rows": rows})
        return target.head(path, len(body)) + body
    try:
        arrays = {i.name: _array(i, rows) for i in inputs}
        made = tensors.write(arrays, binary=protocol is Protocol.V2_BINARY)
    except RowsRefused as problem:
        raise RequestInvalid(str(problem)) from problem
    headers = made.headers
    kind = headers.pop("Content-Type")
    extra = (f"{name}: {value}" for name, value in headers.items())
    return target.head(path, len(made.body), *extra, kind=kind) + made.body


def _array(one: Input, rows: Sequence[Row]) -> NDArray[Any]:
    if one.name not in rows[0]:
        raise RequestInvalid(f"the rows have no column {one.name!r}{nearest(one.name, rows[0])}, which the model reads")
    cells = [row[one.name] for row in rows]
    dtype, sides = DATATYPES[one.datatype], one.shaped(len(rows))
    try:
        if dtype.kind == "O":
            made = np.empty(len(cells), object)
            made[:] = [_written(cell) for cell in cells]
        else:
            made = _numbers(cells, dtype)
        return made.reshape(sides)
    except (ValueError, TypeError, OverflowError) as problem:
        raise RequestInvalid(
            f"column {one.name!r} does not fit the input of datatype {one.datatype} and shape {list(sides)}: {problem}"
        ) from problem


def _numbers(cells: Sequence[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return cells as numbers; a missing one is NaN, which whole numbers have not."""
    values = np.array([math.nan if isinstance(c, str | None) and c in _MISSING else c for c in cells], np.float64)
    if dtype.kind != "f" and not np.isfinite(values).all():
        raise ValueError("a value is missing")
    return values.astype(dtype)


def _written(cell: Any) -> str | None:
    """Return a cell as text: a list of tokens as JSON."""
    if isinstance(cell, list | tuple):
        return orjson.dumps(cell).decode()
    return None if cell in _MISSING else str(cell)
