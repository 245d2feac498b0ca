"""How much one client may ask for; everything a stranger can send is bounded by one of these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import orjson

from steelyard.errors import ServingRefused, nearest
from steelyard.serve.faults import malformed, too_large


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a server, each with its unit."""

    body_bytes: int = 16 * 2**20
    header_bytes: int = 32 * 2**10
    """Request line and headers together."""
    rows: int = 4096
    """Of one request."""
    depth: int = 32
    """Of lists and objects inside each other, in JSON."""
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
    write_seconds: float = 60.0
    """In which a client must take its answer from the connection."""

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

    def allows_depth(self, body: bytes, data: object) -> bool:
        """Tell whether lists and objects are nested no deeper than allowed, in JSON and what was read from it.

        Few opening brackets settle it: a row has three, and looking takes half a microsecond. Else all but brackets and
        quotes is cut out and pairs that hold nothing are taken away, a level a time, without a loop of ours. Only where
        strings hold brackets or quotes is the data itself gone through.

        Examples
        --------
        >>> [Limits(depth=2).allows_depth(body, orjson.loads(body)) for body in (b'{"a": ["]", "[[[["]}', b"[[[3]]]")]
        [True, False]
        """
        if body.count(b"[") + body.count(b"{") <= self.depth:
            return True
        marks = body.translate(_ALIKE, _NO_MARKS).replace(b'""', b"")
        if b'"' in marks or b"\\" in marks:
            return _is_within(data, self.depth)
        for _ in range(self.depth):
            marks = marks.replace(b"[]", b"")
        return not marks


_ALIKE = bytes.maketrans(b"{}", b"[]")
_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"\\'))
_CONTAINERS = frozenset({dict, list})


def _is_within(data: object, most: int) -> bool:
    """Tell whether data of JSON has so many levels at most."""
    level: list[Any] = [data]
    for _ in range(most):
        below: list[Any] = []
        for each in level:
            cells = each.values() if type(each) is dict else each
            if not _CONTAINERS.isdisjoint(map(type, cells)):
                below += [cell for cell in cells if type(cell) in _CONTAINERS]
        if not below:
            return True
        level = below
    return False


def json_object(body: bytes, limits: Limits) -> dict[str, Any]:
    """Return the JSON object of a body.

    Raises
    ------
    Fault
        If it is no JSON, no object, or nested too deeply.
    """
    try:
        data = orjson.loads(body)  # which recurses for 1,024 levels at most
    except orjson.JSONDecodeError as problem:
        raise malformed(f"the body is no valid JSON: {problem}") from None
    if not limits.allows_depth(body, data):
        raise malformed(f"the JSON is nested deeper than {limits.depth} levels; send it flat")
    if type(data) is not dict:
        raise malformed(f"the body must be a JSON object; got {name_of(data)}")
    return data


def limits_from(texts: Iterable[str], **more: float) -> Limits:
    """Return limits as they are written on a command line, ``NAME=VALUE``, beside some that are given by name.

    Raises
    ------
    ServingRefused
        If one is unknown or no number; all of them are named.

    Examples
    --------
    >>> limits_from(["connections=100", "body_seconds=2.5"]).body_seconds
    2.5
    >>> limits_from(["conections=100"])
    Traceback (most recent call last):
    steelyard.errors.ServingRefused: no limit 'conections=100' (did you mean 'connections'?); write NAME=VALUE, ...
    """
    kinds: dict[str, Any] = {each.name: type(each.default) for each in fields(Limits)}
    found: dict[str, Any] = dict(more)
    problems = []
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name] = kinds[name](value)
        except (KeyError, ValueError):
            near = "" if name in kinds else nearest(name, kinds)
            problems.append(f"no limit {text[:80]!r}{near}; write NAME=VALUE, a number of: {', '.join(kinds)}")
    if problems:
        raise ServingRefused("\n".join(problems))
    return Limits(**found)


_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}


def name_of(value: object) -> str:
    """Return what a JSON value is called.

    Examples
    --------
    >>> name_of([]), name_of(3), name_of(None)
    ('a list', 'a number', 'null')
    """
    return _NAMES.get(type(value), "a number")
