"""Cells of tokens: lists, lists written as JSON, and text that white space parts. Needs numpy alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import RowsRefused

_ODD = {"NAType", "NaTType"}


class NotTokens(ValueError):
    """A cell is no list of tokens and no text."""


def tokens_of(cell: object) -> tuple[str, ...]:
    """Return a cell as tokens, none where missing: a list as it is, or written as JSON, else a string's words.

    Raises
    ------
    NotTokens
        If it is neither, or the list holds anything but strings and numbers.

    Examples
    --------
    >>> tokens_of(["New York", "sleeps"]), tokens_of(" Oslo  sleeps "), tokens_of('["New York"]'), tokens_of(None)
    (('New York', 'sleeps'), ('Oslo', 'sleeps'), ('New York',), ())
    """
    if isinstance(cell, str):
        return _listed(cell) or tuple(cell.split())
    if isinstance(cell, list | tuple | np.ndarray):
        return tuple(_token(token, cell) for token in cell)
    if cell is None or type(cell).__name__ in _ODD or cell != cell:  # noqa: PLR0124 - NaN differs from itself
        return ()
    raise NotTokens(cell)


def _listed(text: str) -> tuple[str, ...]:
    """Return the tokens of a JSON list of strings, as a cell of a CSV file holds one; none of any other text."""
    if not text.startswith("["):
        return ()
    try:
        found = json.loads(text)
    except ValueError:
        return ()
    return tuple(found) if isinstance(found, list) and all(isinstance(token, str) for token in found) else ()


def _token(token: object, cell: object) -> str:
    if isinstance(token, str):
        return token
    if isinstance(token, int | float | np.number) and token == token:  # noqa: PLR0124 - as above
        return str(int(token)) if float(token).is_integer() else str(float(token))
    raise NotTokens(cell)


def token_column(cells: Sequence[Any] | NDArray[Any], name: str) -> NDArray[np.object_]:
    """Return cells as a column of tokens, objects of ``tuple[str, ...]``.

    Raises
    ------
    RowsRefused
        If a cell does not fit; the message names the row (from 0) and the column.
    """
    made = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        try:
            made[row] = tokens_of(cell)
        except NotTokens:
            raise RowsRefused(
                f"row {row} (from 0) of column {name!r} holds {str(cell)[:80]!r}, which is no list of tokens; write a "
                "list of strings, or a string with white space between tokens"
            ) from None
    return made
