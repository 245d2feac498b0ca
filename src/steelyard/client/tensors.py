"""Tensors of the Open Inference Protocol, version 2, from and to numpy: as JSON, and as bytes.

Bytes are Triton's extension "binary tensor data": after the JSON object come the tensors' bytes, little-endian and row
by row; its length stands in the header ``Inference-Header-Content-Length``. An element of BYTES carries its own
length, an unsigned 32-bit integer, before it.

References
----------
.. [1] Open Inference Protocol, REST. https://github.com/kserve/open-inference-protocol
.. [2] Binary tensor data extension.
   https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from steelyard.datatypes import BYTES, DATATYPES, FP16, LENGTH, pack, unpack
from steelyard.errors import RowsRefused, ServerRefused

_BY_DTYPE = {dtype: name for name, dtype in DATATYPES.items()}


@dataclass(frozen=True, slots=True)
class Message:
    """The body of a request or an answer; ``json_length`` is set where tensors follow the JSON as bytes."""

    body: bytes
    json_length: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What to send along."""
        if self.json_length is None:
            return {"Content-Type": "application/json"}
        return {"Content-Type": "application/octet-stream", LENGTH: str(self.json_length)}


def datatype_of(array: NDArray[Any], name: str) -> str:
    """Return the protocol's name for the type of an array.

    Raises
    ------
    RowsRefused
        If the protocol has no such type.

    Examples
    --------
    >>> datatype_of(np.zeros(2, "f4"), "x"), datatype_of(np.array(["a"]), "x")
    ('FP32', 'BYTES')
    """
    if array.dtype.kind in "USO":
        return BYTES
    found = _BY_DTYPE.get(array.dtype.newbyteorder("<"))
    if found is None:
        known = ", ".join(str(dtype) for dtype in _BY_DTYPE if dtype.kind != "O")
        raise RowsRefused(
            f"input {name!r} is of type {array.dtype}, which the protocol has not; use {known} or strings"
        )
    return found


def write(
    inputs: Mapping[str, Any],
    *,
    outputs: Sequence[str] = (),
    binary: bool = True,
    request_id: str = "",
    parameters: Mapping[str, Any] | None = None,
) -> Message:
    """Return an inference request.

    Parameters
    ----------
    inputs
        An array, or what numpy makes one of, by the name of the input.
    outputs
        Names of the outputs to ask for; empty: all of them.
    binary
        Send tensors as bytes, and ask for bytes.

    Raises
    ------
    RowsRefused
        If there is no input, or one has a type that the protocol, or JSON, cannot carry.
    """
    if not inputs:
        raise RowsRefused("an inference needs at least one input; give {name: array}")
    arrays = {name: np.atleast_1d(np.asarray(values)) for name, values in inputs.items()}
    head: dict[str, Any] = {"id": request_id} if request_id else {}
    asked = dict(parameters or {})
    if outputs:
        wanted: dict[str, Any] = {"parameters": {"binary_data": True}} if binary else {}
        head["outputs"] = [{"name": name, **wanted} for name in outputs]
    elif binary:
        asked["binary_data_output"] = True
    if asked:
        head["parameters"] = asked
    if not binary:
        head["inputs"] = [_described(name, array) | {"data": _plain(array, name)} for name, array in arrays.items()]
        return Message(orjson.dumps(head))
    raw = {name: to_bytes(array, name) for name, array in arrays.items()}
    head["inputs"] = [
        _described(name, array) | {"parameters": {"binary_data_size": len(raw[name])}} for name, array in arrays.items()
    ]
    written = orjson.dumps(head)
    return Message(written + b"".join(raw.values()), len(written))


def _described(name: str, array: NDArray[Any]) -> dict[str, Any]:
    return {"name": name, "shape": list(array.shape), "datatype": datatype_of(array, name)}


def _plain(array: NDArray[Any], name: str) -> list[Any]:
    """Return the values as JSON, flat; NaN becomes ``null``."""
    kind = datatype_of(array, name)
    if kind == FP16:
        raise RowsRefused(
            f"input {name!r} is of type float16, which JSON does not carry here; send it with binary=True"
        )
    flat: list[Any] = array.ravel().tolist()
    return [_text(value, name) for value in flat] if kind == BYTES else flat


def _text(value: Any, name: str) -> str | None:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as problem:
            raise RowsRefused(f"input {name!r} holds bytes that are no UTF-8; send them with binary=True") from problem
    if value is None or isinstance(value, str):
        return value
    raise RowsRefused(f"input {name!r} holds {value!r} among its strings; give one type to all of its values")


def to_bytes(array: NDArray[Any], name: str) -> bytes:
    r"""Return the bytes of a tensor; a missing string is sent as an empty one.

    Examples
    --------
    >>> to_bytes(np.array(["ab", None], object), "x")
    b'\x02\x00\x00\x00ab\x00\x00\x00\x00'
    """
    kind = datatype_of(array, name)
    if kind != BYTES:
        return np.ascontiguousarray(array, DATATYPES[kind]).tobytes()
    return pack(v if isinstance(v, bytes) else (_text(v, name) or "").encode() for v in array.ravel().tolist())


def read(body: bytes, json_length: str | None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the JSON of an answer and its tensors by name; strings are arrays of ``str`` (``bytes`` if no UTF-8).

    Parameters
    ----------
    body
        The answer's bytes.
    json_length
        What its header ``Inference-Header-Content-Length`` says; ``None`` where it has none.

    Raises
    ------
    ServerRefused
        If the answer does not keep the protocol; the message says where.
    """
    length = len(body) if json_length is None else int(json_length) if json_length.isdecimal() else -1
    if not 0 <= length <= len(body):
        raise ServerRefused(f"the server's header {LENGTH} is {json_length!r}, and the answer has {len(body):,} bytes")
    try:
        head = orjson.loads(body[:length])
        outputs = [(str(o["name"]), o["datatype"], tuple(int(side) for side in o["shape"]), o) for o in head["outputs"]]
    except (ValueError, KeyError, TypeError) as problem:
        raise ServerRefused("the server's answer is no inference response of the protocol, version 2") from problem
    return head, dict(_tensors(outputs, memoryview(body)[length:]))


def _tensors(
    outputs: Iterable[tuple[str, str, tuple[int, ...], Mapping[str, Any]]], rest: memoryview
) -> Iterable[tuple[str, NDArray[Any]]]:
    for name, datatype, shape, output in outputs:
        if datatype not in DATATYPES:
            raise ServerRefused(f"the server's output {name!r} has the unknown datatype {datatype!r}")
        size = _size(output.get("parameters"), name)
        if size is None:
            values = _from_json(output.get("data"), datatype)
        else:
            values, rest = _from_bytes(rest[:size], datatype), rest[size:]
        if values is None or values.size != math.prod(shape):
            raise ServerRefused(f"the server's output {name!r}: its data and its shape {list(shape)} disagree")
        yield name, values.reshape(shape)


def _size(parameters: Any, name: str) -> int | None:
    """Return how many of the bytes behind the JSON are an output's; ``None`` where its values are in the JSON."""
    if parameters is None:
        return None
    size = parameters.get("binary_data_size") if isinstance(parameters, Mapping) else -1
    if size is None or (type(size) is int and size >= 0):
        return size
    raise ServerRefused(f"the server's output {name!r}: its parameters and the protocol disagree")


def _from_json(data: Any, datatype: str) -> NDArray[Any] | None:
    try:
        return np.asarray(data, DATATYPES[datatype]).ravel() if isinstance(data, list) else None
    except (ValueError, TypeError, OverflowError):
        return None


def _from_bytes(raw: memoryview, datatype: str) -> NDArray[Any] | None:
    if datatype == BYTES:
        return _strings(raw)
    dtype = DATATYPES[datatype]
    return np.frombuffer(raw, dtype).copy() if len(raw) % dtype.itemsize == 0 else None


def _strings(raw: memoryview) -> NDArray[Any] | None:
    found = unpack(raw, len(raw))
    if found is None:
        return None
    made = np.empty(len(found), object)
    made[:] = [_decoded(value) for value in found]
    return made


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
