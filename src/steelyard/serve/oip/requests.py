"""An inference request of the protocol: JSON, or JSON followed by binary tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.datatypes import LENGTH
from steelyard.serve.faults import malformed
from steelyard.serve.limits import Limits, json_object, name_of
from steelyard.serve.model import Served
from steelyard.serve.oip.columns import table_of
from steelyard.serve.oip.datatypes import dtype_of, from_bytes, from_json, shape_of
from steelyard.serve.oip.signature import names_of_outputs
from steelyard.serve.table import Table

HEADER_LENGTH = LENGTH.lower().encode()
_MICROSECONDS = 1e-6
_UNHONOURED = ("sequence_id", "sequence_start", "sequence_end", "priority")
_UNREAD = ("shared_memory_region", "classification")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks: rows, which outputs (with whether as bytes), and how long it may wait."""

    table: Table
    id: str | None
    outputs: tuple[tuple[str, bool], ...]
    wait: float | None
    """Seconds, if the request says so."""


def parse(served: Served, headers: Mapping[bytes, bytes], body: bytes, limits: Limits) -> Asked:
    """Read a request.

    Raises
    ------
    Fault
        If it is malformed, too large, or asks for what is not there.
    RowsRefused
        If a cell does not fit its column.
    """
    head, raw = _split(headers, body)
    data = json_object(head, limits)
    return asked(served, data, _tensors(data, raw, limits), limits)


def asked(served: Served, data: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], limits: Limits) -> Asked:
    """Return what a request asks.

    Parameters
    ----------
    served
        The model.
    data
        The request in the words of JSON; its inputs are not looked at.
    tensors
        The inputs by name.
    limits
        How much one request may hold.

    Raises
    ------
    Fault
        If it cannot be honoured, or asks for what is not there.
    RowsRefused
        If a cell does not fit its column.
    """
    request_id = data.get("id")
    if request_id is not None and type(request_id) is not str:
        raise malformed(f"'id' must be a string; got {name_of(request_id)}")
    parameters = _object(data, "parameters", "the request")
    for name in _UNHONOURED:
        if parameters.get(name):
            raise malformed(f"the parameter {name!r} cannot be honoured here; leave it out")
    table = table_of(served, tensors, limits)
    return Asked(table, request_id, _outputs(served, data, parameters), _wait(parameters))


def refuse_unread(parameters: Mapping[str, Any], owner: str) -> None:
    """Refuse parameters of a tensor that say that its values are elsewhere, or are wanted in another form.

    Raises
    ------
    Fault
        If there is one.
    """
    for unread in _UNREAD:
        if unread in parameters:
            raise malformed(f"the parameter {unread!r} of {owner} is not supported; leave it out")


def _split(headers: Mapping[bytes, bytes], body: bytes) -> tuple[bytes, memoryview | None]:
    """Return the JSON part and, where a header says how long that is, the bytes after it."""
    length = headers.get(HEADER_LENGTH)
    if length is None:
        return body, None
    if not length.isdigit() or len(length) > 18 or not 0 < int(length) <= len(body):
        raise malformed(f"Inference-Header-Content-Length must be from 1 to the length of the body, {len(body):,}")
    return body[: int(length)], memoryview(body)[int(length) :]


def _object(data: Mapping[str, Any], name: str, owner: str) -> dict[str, Any]:
    """Return an object that may be left out."""
    found = data.get(name)
    if found is None:
        return {}
    if type(found) is not dict:
        raise malformed(f"{name!r} of {owner} must be an object; got {name_of(found)}")
    return found


def _list(data: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = data.get(name)
    if type(found) is not list or not all(type(each) is dict for each in found):
        raise malformed(f"{name!r} must be a list of objects")
    return found


def _named(data: Mapping[str, Any], what: str) -> str:
    name = data.get("name")
    if type(name) is not str:
        raise malformed(f"each {what} needs a 'name', a string")
    return name


def _tensors(data: Mapping[str, Any], raw: memoryview | None, limits: Limits) -> dict[str, NDArray[Any]]:
    """Return the inputs by name; nothing is made before all of them were found to be within the limits."""
    inputs = _list(data, "inputs")
    found, elements = [], 0
    for each in inputs:
        name = _named(each, "input")
        shape = shape_of(each.get("shape"), name)
        elements += prod(shape)
        found.append((name, shape, dtype_of(each.get("datatype"), name), each))
    limits.check_elements(elements)
    reader = _Binary(raw)
    tensors: dict[str, NDArray[Any]] = {}
    for name, shape, dtype, each in found:
        if name in tensors:
            raise malformed(f"input {name[:80]!r} comes twice; send it once")
        tensors[name] = reader.tensor(each, name, shape, dtype)
    reader.check_end()
    return tensors


class _Binary:
    """Takes the tensors that lie behind the JSON part, one after the other."""

    __slots__ = ("_place", "_raw")

    def __init__(self, raw: memoryview | None) -> None:
        self._raw, self._place = raw, 0

    def tensor(self, data: Mapping[str, Any], name: str, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return one tensor, from wherever its values are."""
        parameters = _object(data, "parameters", f"input {name[:80]!r}")
        refuse_unread(parameters, f"input {name[:80]!r}")
        size = parameters.get("binary_data_size")
        if size is None:
            return from_json(data.get("data"), shape, dtype, name)
        if "data" in data:
            raise malformed(f"input {name[:80]!r} has both 'data' and 'binary_data_size'; send one of them")
        return from_bytes(self._next(size, name), shape, dtype, name)

    def _next(self, size: object, name: str) -> memoryview:
        if self._raw is None:
            raise malformed(f"input {name[:80]!r} is binary; say where with the header Inference-Header-Content-Length")
        if type(size) is not int or not 0 <= size <= len(self._raw) - self._place:
            left = len(self._raw) - self._place
            raise malformed(f"'binary_data_size' of input {name[:80]!r} must be from 0 to the {left:,} bytes left")
        self._place += size
        return self._raw[self._place - size : self._place]

    def check_end(self) -> None:
        """Refuse bytes that belong to no tensor."""
        if self._raw is not None and self._place != len(self._raw):
            raise malformed(f"{len(self._raw) - self._place:,} bytes at the end of the body belong to no input")


def _outputs(served: Served, data: Mapping[str, Any], parameters: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    """Return the outputs that are asked for; all of them where none is named."""
    default, names = _flag(parameters, "binary_data_output"), names_of_outputs(served)
    if data.get("outputs") is None:
        return tuple((name, default) for name in names)
    found = []
    for each in _list(data, "outputs"):
        name = _named(each, "output")
        if name not in names:
            raise malformed(f"there is no output {name[:80]!r}; there are {', '.join(names)}")
        own = _object(each, "parameters", f"output {name!r}")
        refuse_unread(own, f"output {name!r}")
        found.append((name, _flag(own, "binary_data") if "binary_data" in own else default))
    return tuple(found) or tuple((name, default) for name in names)


def _flag(parameters: Mapping[str, Any], name: str) -> bool:
    found = parameters.get(name, False)
    if type(found) is not bool:
        raise malformed(f"{name!r} must be true or false; got {name_of(found)}")
    return found


def _wait(parameters: Mapping[str, Any]) -> float | None:
    """Return the seconds that the parameter ``timeout`` (in microseconds) allows; 0 says nothing."""
    found = parameters.get("timeout")
    if found in (None, 0) and found is not False:
        return None
    if type(found) is not int or found < 0:
        raise malformed("the parameter 'timeout' must be a whole number of microseconds above 0")
    return found * _MICROSECONDS
