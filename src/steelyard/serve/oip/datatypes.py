"""Tensors of the protocol to arrays: from JSON values or from bytes, strictly as the datatype says."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import nearest
from steelyard.serve.faults import Fault, malformed
from steelyard.serve.limits import name_of

BYTES = "BYTES"
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    BYTES: np.dtype(object),
}
_MOST_AXES = 8
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
    found = DTYPES.get(datatype) if isinstance(datatype, str) else None
    if found is None:
        near = nearest(datatype, DTYPES) if isinstance(datatype, str) else ""
        raise malformed(f"input {name!r} has no known datatype{near}; known: {', '.join(DTYPES)}")
    return found


def shape_of(shape: object, name: str) -> tuple[int, ...]:
    """Return a checked shape.

    Raises
    ------
    Fault
        If it is anything but a short list of whole numbers above 0.
    """
    if type(shape) is not list or not 1 <= len(shape) <= _MOST_AXES:
        raise malformed(f"input {name!r} needs a shape: a list of 1 to {_MOST_AXES} whole numbers")
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
    flat = _flat(data, shape, name)
    taken = _TAKES.get(dtype.kind, _WHOLE)
    if not taken.issuperset(map(type, flat)):
        odd = next(value for value in flat if type(value) not in taken)
        raise malformed(f"input {name!r} holds {name_of(odd)} ({str(odd)[:40]!r}), which its datatype does not take")
    if dtype.kind == "O":
        return _objects(flat).reshape(shape)
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
        return _objects(_strings(raw, size, name)).reshape(shape)
    if len(raw) != size * dtype.itemsize:
        raise malformed(f"input {name!r} has {len(raw):,} bytes; its shape and datatype need {size * dtype.itemsize:,}")
    values: NDArray[Any] = np.frombuffer(raw, dtype if dtype.kind != "b" else np.uint8).reshape(shape)
    return values.astype(np.bool_) if dtype.kind == "b" else values


def _strings(raw: memoryview, count: int, name: str) -> list[bytes]:
    found: list[bytes] = []
    place, end = 0, len(raw)
    while place < end and len(found) <= count:
        if place + 4 > end:
            break
        (length,) = struct.unpack_from("<I", raw, place)
        place += 4 + length
        if place > end:
            break
        found.append(bytes(raw[place - length : place]))
    if len(found) != count or place != end:
        raise malformed(f"input {name!r}: its bytes do not hold {count:,} elements, each after its length in 4 bytes")
    return found


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    made = np.empty(len(values), np.object_)
    made[:] = values
    return made


def strings_to_bytes(values: Sequence[str]) -> bytes:
    r"""Return strings as elements of BYTES.

    Examples
    --------
    >>> strings_to_bytes(["ab"])
    b'\x02\x00\x00\x00ab'
    """
    encoded = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(value)) + value for value in encoded)
