"""What flows through a graph at one row: constants, strings of the row, and numbers worked out when they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.export.c.code import C_TYPES, Array, At, Code

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Strings:
    """Cells of category columns, each behind a prefix; ``shape`` is that of the tensor, elements in its order."""

    shape: Shape
    columns: tuple[str, ...]
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers of a row. ``at`` tells an element by its place; ``stored`` is that it costs no more than a look.

    ``parts`` are the pieces of a tensor that was put together along its last axis; then ``at`` must not be asked.
    """

    shape: Shape
    kind: np.dtype[np.generic]
    at: At
    stored: bool = False
    parts: tuple[Numbers, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def c(self) -> str:
        """The type of an element."""
        return C_TYPES[self.kind.name]


Tensor = Array | Numbers | Strings


def store(code: Code, tensor: Numbers, stem: str = "t") -> Numbers:
    """Work a tensor out into a local array, unless it is stored already."""
    if tensor.stored:
        return tensor
    name = code.buffer(tensor.c, max(1, tensor.size), stem)
    first = 0
    for part in tensor.parts or (tensor,):
        with code.loop(part.size) as i:
            code.add(f"{name}[{_plus(first, i)}] = {cast(tensor.c, part.at(i))};")
        first += part.size
    return Numbers(tensor.shape, tensor.kind, lambda i: f"{name}[{i}]", stored=True)


def _plus(first: int, at: str) -> str:
    if first == 0:
        return at
    return str(first) if at == "0" else f"{first} + {at}"


def whole(code: Code, tensor: Numbers) -> Numbers:
    """Return a tensor that is in one piece."""
    return store(code, tensor) if tensor.parts else tensor


def cast(kind: str, expression: str) -> str:
    """Return an expression in a type that may be narrower than what C makes of it."""
    return f"({kind})({expression})" if kind in {"int8_t", "int16_t", "uint8_t", "uint16_t"} else expression


def view(code: Code, tensor: Numbers, places: NDArray[np.int64], shape: Shape) -> Numbers:
    """Return the elements of a tensor at constant places; what would be worked out more than once is stored."""
    tensor = whole(code, tensor)
    if places.size > tensor.size:
        tensor = store(code, tensor)
    flat = places.ravel()
    return Numbers(shape, tensor.kind, lambda i: tensor.at(code.index(flat, i)), stored=tensor.stored)


def reshaped(code: Code, tensor: Numbers, shape: Shape) -> Numbers:
    """Return the same elements under another shape."""
    tensor = whole(code, tensor)
    return Numbers(shape, tensor.kind, tensor.at, stored=tensor.stored)


def spread(code: Code, tensor: Array | Numbers, shape: Shape) -> At:
    """Return the elements of a tensor as they stand where it is broadcast to a shape."""
    if isinstance(tensor, Numbers):
        tensor = whole(code, tensor)
        places = np.broadcast_to(np.arange(tensor.size).reshape(tensor.shape), shape).ravel()
        if len(places) > tensor.size:
            tensor = store(code, tensor)
        kept = tensor
        return lambda i: kept.at(code.index(places, i))
    values = np.broadcast_to(tensor, shape)
    return lambda i: code.constant(values, i)


def elementwise(
    code: Code, kind: np.dtype[np.generic], write: Callable[..., str], *tensors: Array | Numbers
) -> Numbers:
    """Return what an expression makes of tensors, element by element, broadcast to one shape."""
    shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors))
    cells = [spread(code, tensor, shape) for tensor in tensors]
    return Numbers(shape, kind, lambda i: write(*(cell(i) for cell in cells)))
