"""A reader of the protobuf wire format: enough to see what a graph asks for before anything runs it.

The core install has no protobuf package, and a graph must be judged before ONNX Runtime opens it. See
https://protobuf.dev/programming-guides/encoding for the format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5

# Trees keep their nodes as repeated numbers, one tag each: millions of them are stepped over in one match.
_NUMBERS = re.compile(rb"(?:\x3d[\x00-\xff]{4})++|(?:\x40[\x80-\xff]{0,9}[\x00-\x7f])++")


class Malformed(ValueError):
    """The bytes are no protobuf message."""


def fields(message: memoryview, *, step_over: bool = False) -> Iterator[tuple[int, int | memoryview]]:
    r"""Yield the fields of a message: number, and an int (varint) or the bytes of anything else.

    Parameters
    ----------
    message
        The encoded message.
    step_over
        Leave out runs of fixed 32-bit values of field 7 and varints of field 8 (``floats`` and ``ints`` of an
        ONNX attribute).

    Raises
    ------
    Malformed
        If the bytes end inside a field or hold a wire type that ONNX does not use.

    Examples
    --------
    >>> [(number, value) for number, value in fields(memoryview(b"\x08\x96\x01"))]
    [(1, 150)]
    """
    place, end = 0, len(message)
    while place < end:
        if step_over and message[place] in b"\x3d\x40" and (run := _NUMBERS.match(message, place)):
            place = run.end()
            continue
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == BYTES:
            size, place = _varint(message, place)
        elif kind in {FOUR, EIGHT}:
            size = 4 if kind == FOUR else 8
        else:
            raise Malformed(f"wire type {kind}")
        if place + size > end:
            raise Malformed("it ends inside a field")
        yield number, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if place >= len(message):
            raise Malformed("it ends inside a number")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise Malformed("a number of more than 64 bits")
