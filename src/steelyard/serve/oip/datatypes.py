"""Tensors of the protocol to arrays: from JSON values or from bytes, strictly as the datatype says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.datatypes import DATATYPES, FP16, unpack
from steelyard.errors import nearest
from steelyard.serve.faults import Fault, malformed
from steelyard.serve.limits import name_of

MOST_AXES = 8
"""Of a tensor."""
_NONE = type(None)
_TAKES = {"b": frozenset({bool}), "f": frozenset({float, int, _NONE}), "O": frozenset({str, _NONE})}
_WHOLE = frozenset({int})


def dtype_of(datatype: object, name: str) -> np.dtype[Any]:
    """Return the array type of a datatype.

    Raises
    ------
    Fault
        If there is no such datatype.
    """
    found = DATATYPES.get(datatype) if isinstance(datatype, str) else None
    if found is None:
        near = nearest(datatype, DATATYPES) if isinstance(datatype, str) else ""
        raise malformed(f"input {name!r} has no known datatype{near}; known: {', '.join(DATATYPES)}")
    return found


def shape_of(shape: object, name: str) -> tuple[int, ...]:
    """Return a checked shape.

    Raises
    ------
    Fault
        If it is anything but a short list of whole numbers above 0.
    """
    if type(shape) is not list or not 1 <= len(shape) <= MOST_AXES:
        raise malformed(f"input {name!r} needs a shape: a list of 1 to {MOST_AXES} whole numbers")
    if not all(type(side) is int and side > 0 for side in shape):
        raise malformed(f"input {name!r}: each number of its shape must be whole and above 0")
    return tuple(shape)


def from_json(data: object, shape: Sequence[int], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """Return an array of JSON values, flat or nested; ``null`` becomes NaN or ``None``.

    Raises
    ------
    Fault
        If values and shape disagree, or a value is not of the datatype.
    """
    if type(data) is not list:
        raise malformed(f"input {name!r} needs its values as the list 'data'; got {name_of(data)}")
    if dtype.kind == "f" and dtype.itemsize == 2:
        raise malformed(f"input {name!r} is of datatype {FP16}, which JSON does not carry; send it as binary data")
    flat = _flat(data, shape, name)
    taken = _TAKES.get(dtype.kind, _WHOLE)
    if not taken.issuperset(map(type, flat)):
        odd = next(value for value in flat if type(value) not in taken)
        raise malformed(f"input {name!r} holds {name_of(odd)} ({str(odd)[:40]!r}), which its datatype does not take")
    if dtype.kind == "O":
        return of_elements(flat).reshape(shape)
    try:
        if dtype.itemsize == 8:
            return np.array(flat, dtype).reshape(shape)
        with np.errstate(over="ignore"):  # a number beyond float32 is infinite there
            return np.array(flat, dtype).reshape(shape)
    except OverflowError:
        raise malformed(f"input {name!r} holds a number that is out of the range of its datatype") from None


def _flat(data: list[Any], shape: Sequence[int], name: str) -> list[Any]:
    """Return the values of a flat list, or of lists nested exactly as the shape says."""
    parts = data
    if parts and type(parts[0]) is list:
        if len(parts) != shape[0]:
            raise _disagrees(name, shape)
        for side in shape[1:]:
            if not all(type(part) is list and len(part) == side for part in parts):
                raise _disagrees(name, shape)
            parts = list(chain.from_iterable(parts))
    if len(parts) != prod(shape):
        raise _disagrees(name, shape)
    return parts


def _disagrees(name: str, shape: Sequence[int]) -> Fault:
    return malformed(f"input {name!r}: its data and its shape {list(shape)} disagree")


def from_bytes(raw: memoryview, shape: Sequence[int], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """Return an array of little-endian bytes, row by row; elements of BYTES carry their length before them.

    Raises
    ------
    Fault
        If there are too few or too many bytes.
    """
    size = prod(shape)
    if dtype.kind == "O":
        return of_elements(_strings(raw, size, name)).reshape(shape)
    if len(raw) != size * dtype.itemsize:
        raise malformed(f"input {name!r} has {len(raw):,} bytes; its shape and datatype need {size * dtype.itemsize:,}")
    values: NDArray[Any] = np.frombuffer(raw, dtype if dtype.kind != "b" else np.uint8).reshape(shape)
    return values.astype(np.bool_) if dtype.kind == "b" else values


def _strings(raw: memoryview, count: int, name: str) -> list[bytes]:
    found = unpack(raw, count)
    if found is None or len(found) != count:
        raise malformed(f"input {name!r}: its bytes do not hold {count:,} elements, each after its length in 4 bytes")
    return found


def of_elements(values: Sequence[Any]) -> NDArray[Any]:
    """Return strings or bytes as an array of objects."""
    made = np.empty(len(values), np.object_)
    made[:] = values
    return made
