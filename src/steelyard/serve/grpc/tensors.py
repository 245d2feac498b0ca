"""Inference requests and answers of gRPC, to and from what the models of this package take and give."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from steelyard.datatypes import BYTES
from steelyard.serve import oip
from steelyard.serve.endpoint import Answered
from steelyard.serve.faults import malformed
from steelyard.serve.grpc.messages import InferResponse
from steelyard.serve.limits import Limits
from steelyard.serve.model import Served
from steelyard.serve.oip.datatypes import dtype_of, from_bytes, from_json, of_elements, shape_of

_FIELD = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where the values of a datatype stand, unless they are sent raw; FP16 is only ever raw."""


def decoded(kind: Any, raw: bytes) -> Any:
    """Return a message of some kind.

    Raises
    ------
    Fault
        If the bytes are no such message.
    """
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise malformed(f"the bytes are no {kind.DESCRIPTOR.name} of the protocol") from None


def parse(served: Served, request: Any, limits: Limits) -> oip.Asked:
    """Read a ``ModelInferRequest``.

    Raises
    ------
    Fault
        If it is malformed, too large, or asks for what is not there.
    RowsRefused
        If a cell does not fit its column.
    """
    head = {
        "id": request.id or None,
        "parameters": _parameters(request.parameters),
        "outputs": [{"name": each.name, "parameters": _parameters(each.parameters)} for each in request.outputs],
    }
    return oip.asked(served, head, _tensors(request, limits), limits)


def _parameters(given: Any) -> dict[str, Any]:
    """Return parameters by name; one that says nothing is ``None``."""
    found = {}
    for name, value in given.items():
        choice = value.WhichOneof("parameter_choice")
        found[name] = getattr(value, choice) if choice else None
    return found


def _tensors(request: Any, limits: Limits) -> dict[str, NDArray[Any]]:
    """Return the inputs by name; nothing is made before all of them were found to be within the limits."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise malformed(f"raw_input_contents has {len(raw):,} entries for {len(request.inputs):,} inputs")
    found, elements = [], 0
    for each in request.inputs:
        shape = shape_of(list(each.shape), each.name)
        elements += prod(shape)
        found.append((each, shape, dtype_of(each.datatype, each.name)))
    limits.check_elements(elements)
    tensors: dict[str, NDArray[Any]] = {}
    for place, (each, shape, dtype) in enumerate(found):
        if each.name in tensors:
            raise malformed(f"input {each.name[:80]!r} comes twice; send it once")
        if each.parameters:
            oip.refuse_unread(_parameters(each.parameters), f"input {each.name[:80]!r}")
        if not raw:
            tensors[each.name] = _typed(each, shape, dtype)
        elif each.HasField("contents"):
            raise malformed(f"input {each.name[:80]!r} has both contents and raw_input_contents; send one of them")
        else:
            tensors[each.name] = from_bytes(memoryview(raw[place]), shape, dtype, each.name)
    return tensors


def _typed(each: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the tensor whose values stand in the field of its datatype."""
    name, field = each.name, _FIELD.get(each.datatype)
    if field is None:
        raise malformed(f"input {name[:80]!r} of datatype {each.datatype} must be sent in raw_input_contents")
    if others := [found.name for found, _ in each.contents.ListFields() if found.name != field]:
        raise malformed(f"input {name[:80]!r} of datatype {each.datatype} has its values in {others[0]}, not {field}")
    values = getattr(each.contents, field)
    if len(values) != prod(shape):
        raise malformed(f"input {name[:80]!r}: {field} has {len(values):,} values; its shape needs {prod(shape):,}")
    return (
        of_elements(values).reshape(shape) if field == "bytes_contents" else from_json(list(values), shape, dtype, name)
    )


def encode(request: Any, asked: oip.Asked, answered: Answered) -> bytes:
    """Return the ``ModelInferResponse``; its tensors are raw where those of the request were."""
    served, is_raw = answered.served, bool(request.raw_input_contents)
    response = InferResponse(model_name=served.name, model_version=served.version, id=asked.id or "")
    for name, value in answered.parameters().items():
        response.parameters[name].string_param = value
    for name, _ in asked.outputs:
        described, values = oip.output_of(served, name, answered.answer)
        output = response.outputs.add(**described)
        if is_raw:
            response.raw_output_contents.append(oip.raw_of(values))
        elif isinstance(values, list):
            output.contents.bytes_contents.extend(value.encode() for value in values)
        else:
            output.contents.fp64_contents.extend(values.ravel().tolist())
    encoded: bytes = response.SerializeToString()
    return encoded
