"""The datatypes of the Open Inference Protocol, version 2, and how elements of BYTES lie one after the other.

References
----------
.. [1] Open Inference Protocol. https://github.com/kserve/open-inference-protocol
.. [2] Binary tensor data extension.
   https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

BYTES = "BYTES"
FP16 = "FP16"
"""JSON and the typed contents of gRPC have no place for it: it is sent as bytes."""
DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    FP16: np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    BYTES: np.dtype(object),
}
"""The array type of each, little-endian as on the wire."""
LENGTH = "Inference-Header-Content-Length"
"""The header that says where JSON ends and bytes begin."""


def pack(elements: Iterable[bytes]) -> bytes:
    r"""Return elements of BYTES one after the other, each after its length, an unsigned 32-bit integer.

    Examples
    --------
    >>> pack([b"ab", b""])
    b'\x02\x00\x00\x00ab\x00\x00\x00\x00'
    """
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def unpack(raw: memoryview, most: int) -> list[bytes] | None:
    r"""Return the elements that lie in some bytes, or nothing if those do not end where an element does.

    Parameters
    ----------
    raw
        The bytes.
    most
        How many elements are wanted; reading ends after one more, so that a lie costs no more than the truth.

    Examples
    --------
    >>> unpack(memoryview(b"\x01\x00\x00\x00a\x00\x00\x00\x00"), 2)
    [b'a', b'']
    >>> unpack(memoryview(b"\x09\x00\x00\x00a"), 1)
    """
    found: list[bytes] = []
    place, end = 0, len(raw)
    while place < end and len(found) <= most:
        if place + 4 > end:
            return None
        (length,) = struct.unpack_from("<I", raw, place)
        place += 4 + length
        if place > end:
            return None
        found.append(bytes(raw[place - length : place]))
    return found
