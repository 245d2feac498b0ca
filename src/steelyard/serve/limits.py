"""How much one client may ask for; everything a stranger can send is bounded by one of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from steelyard.serve.faults import malformed, too_large


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a server, each with its unit."""

    body_bytes: int = 16 * 2**20
    header_bytes: int = 32 * 2**10
    """Request line and headers together."""
    rows: int = 4096
    """Of one request."""
    elements: int = 2**20
    """Cells of all tensors of one request."""
    in_flight: int = 1024
    """Requests that are read or worked on at once; one more gets 503."""
    held_bytes: int = 512 * 2**20
    """Of long bodies that are being read at once, by what their headers promise; one more gets 503."""
    connections: int = 2048
    """Open at once; one more is closed."""
    header_seconds: float = 10.0
    """From the first byte of a connection, or of a request, to the end of its headers."""
    body_seconds: float = 30.0
    """From the end of the headers to the end of the body."""

    def check_rows(self, rows: int) -> None:
        """Refuse a request of too many rows.

        Raises
        ------
        Fault
            If there are none, or more than one request may have.
        """
        if rows < 1:
            raise malformed("the request holds no rows; give at least one")
        if rows > self.rows:
            raise too_large(f"the request holds {rows:,} rows; the most is {self.rows:,}: split it")

    def check_elements(self, elements: int) -> None:
        """Refuse tensors of too many elements, before any of them is made.

        Raises
        ------
        Fault
            If there are more than one request may have.
        """
        if elements > self.elements:
            raise too_large(f"the tensors hold {elements:,} elements; the most is {self.elements:,}: split the request")


def json_object(body: bytes | memoryview) -> dict[str, Any]:
    """Return the JSON object of a body.

    The reader refuses what is nested deeper than 1,024 levels, and so does not recurse without bound; every reader of
    this package checks the type of each level that it steps into.

    Raises
    ------
    Fault
        If it is no JSON, or no object.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise malformed(f"the body is no valid JSON: {problem}") from None
    if type(data) is not dict:
        raise malformed(f"the body must be a JSON object; got {name_of(data)}")
    return data


_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}


def name_of(value: object) -> str:
    """Return what a JSON value is called.

    Examples
    --------
    >>> name_of([]), name_of(3), name_of(None)
    ('a list', 'a number', 'null')
    """
    return _NAMES.get(type(value), "a number")
