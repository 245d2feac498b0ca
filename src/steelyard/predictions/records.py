"""What the log holds: an answered row, and what it really was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard.errors import RequestInvalid

_ID = re.compile(r"(?P<request>[A-Za-z0-9._:/+=-]{1,128})(?:#(?P<row>[0-9]{1,6}))?")


def row_id(request: str, row: int) -> str:
    """Return the id of a row: the id of its request (``X-Request-Id``), ``#``, and its number from 0.

    Examples
    --------
    >>> row_id("7f3a-1", 2)
    '7f3a-1#2'
    """
    return f"{request}#{row}"


def parts_of(text: str) -> tuple[str, int]:
    """Return the request and the number of the row that an id names; without a number it is the first row.

    Raises
    ------
    RequestInvalid
        If it is no such id.

    Examples
    --------
    >>> parts_of("7f3a-1#2"), parts_of("7f3a-1")
    (('7f3a-1', 2), ('7f3a-1', 0))
    """
    found = _ID.fullmatch(text)
    if found is None:
        raise RequestInvalid(
            f"{text[:80]!r} is no id of a prediction; write the X-Request-Id of the answer, '#', and the row from 0"
        )
    return found["request"], int(found["row"] or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One row that was answered."""

    request: str
    """The ``X-Request-Id`` of its request."""
    row: int
    """Its number in the request, from 0."""
    at: float
    """When it was answered, seconds since 1970-01-01 UTC."""
    model: str
    version: str
    digest: str
    """Of the bundle that answered."""
    decided: str | float
    """The class that was decided on, or the predicted value."""
    scores: tuple[float, ...] = ()
    """Probabilities in the order of the model's classes; empty where a value is predicted."""
    latency: float = 0.0
    """Seconds in the queue and in the model, of the whole request."""
    stage: str = ""
    """Which stage of a cascade answered; empty where there is one."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What was kept of the row, by column, as plain JSON."""

    @property
    def id(self) -> str:
        """The id that a label names."""
        return row_id(self.request, self.row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a row really was.

    A class is its name; a value is written so that ``float`` reads it.
    """

    request: str
    row: int
    label: str
    at: float
    """When that was known, seconds since 1970-01-01 UTC."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A prediction and the label that came last for it, if any did."""

    prediction: Prediction
    label: Label | None = None
