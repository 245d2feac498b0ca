"""What the log keeps of the rows that were asked about; of texts and images nothing that can be read, by default.

Of a sequence it keeps how many readings there were, and the mean and the last one of each channel.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Kind
from steelyard.data.sequences import to_lists
from steelyard.errors import nearest
from steelyard.serve.table import Layout, Table

_MODES = ("summary", "numbers", "none")
_COLUMNS = "columns:"
_DIGITS = 16
_NUMERIC = frozenset({Kind.NUMBER, Kind.TIME})


def problem_of(mode: str, layout: Layout | None = None) -> str:
    """Return what is wrong with the words that say which inputs to log, if anything is; columns by their layout.

    Examples
    --------
    >>> problem_of("summary"), problem_of("columns:age")
    ('', '')
    >>> problem_of("number")
    "log_inputs must be summary, numbers, none or columns:NAME,NAME; got 'number' (did you mean 'numbers'?)"
    """
    if not mode.startswith(_COLUMNS):
        if mode in _MODES:
            return ""
        return (
            f"log_inputs must be summary, numbers, none or columns:NAME,NAME; got {mode[:80]!r}{nearest(mode, _MODES)}"
        )
    names = _named(mode)
    if not names:
        return "log_inputs names no column; write columns:NAME,NAME, or none"
    if layout is not None:
        for name in names:
            if name not in layout.columns:
                return f"log_inputs names {name[:80]!r}, which the model does not read{nearest(name, layout.columns)}"
    return ""


def _named(mode: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in mode.removeprefix(_COLUMNS).split(",") if name.strip())


class Inputs:
    """Takes from the rows of one model what is to be kept.

    Parameters
    ----------
    mode
        What to keep; see :attr:`steelyard.serve.log.LogSettings.inputs`.
    layout
        Where each column lies.
    """

    __slots__ = ("_channels", "_numbers", "_others")

    def __init__(self, mode: str, layout: Layout) -> None:
        named = _named(mode) if mode.startswith(_COLUMNS) else None

        def is_kept(name: str) -> bool:
            if named is not None:
                return name in named
            return mode == "summary" or (mode == "numbers" and layout.columns[name].kind in _NUMERIC)

        self._channels = {name: column.channels for name, column in layout.columns.items()}
        self._numbers = [(place, name) for place, name in enumerate(layout.numbers) if is_kept(name)]
        self._others = [
            (place, name, _hidden(layout.columns[name].kind, is_named=named is not None))
            for place, name in enumerate(layout.others)
            if is_kept(name)
        ]

    def of(self, table: Table, row: int) -> Mapping[str, Any]:
        """Return what is kept of a row, as plain JSON."""
        kept: dict[str, Any] = {}
        if self._numbers:
            cells = table.numbers[row].tolist()
            kept = {name: cells[place] if math.isfinite(cells[place]) else None for place, name in self._numbers}
        for place, name, is_hidden in self._others:
            cell = table.others[row, place]
            if isinstance(cell, np.ndarray):
                kept[name] = _summary_of(cell, self._channels[name]) if is_hidden else to_lists(cell)
            else:
                kept[name] = digest_of(cell) if is_hidden else cell
        return kept


def _hidden(kind: Kind, *, is_named: bool) -> bool:
    """Tell whether cells of a kind are kept as a hash; an image always, as its bytes are nothing for a log."""
    return kind is Kind.IMAGE or (kind in (Kind.TEXT, Kind.SEQUENCE) and not is_named)


def _summary_of(readings: NDArray[np.float32], channels: Sequence[str]) -> dict[str, Any]:
    """Return how many readings there are, and the mean and the last known value of each channel, to six digits.

    Examples
    --------
    >>> _summary_of(np.array([[1.0], [2.0], [np.nan]], np.float32), ["load"])
    {'steps': 3, 'mean': {'load': 1.5}, 'last': {'load': 2.0}}
    """
    mean, last = {}, {}
    for place, name in enumerate(channels):
        known = readings[:, place][~np.isnan(readings[:, place])]
        mean[name] = float(f"{known.mean(dtype=np.float64):.6g}") if len(known) else None
        last[name] = float(f"{known[-1]:.6g}") if len(known) else None
    return {"steps": len(readings), "mean": mean, "last": last}


def digest_of(cell: str | bytes | None) -> dict[str, Any] | None:
    """Return the hash and the length of a text (in characters) or of an image (in bytes).

    Examples
    --------
    >>> digest_of("abc")
    {'sha256': 'ba7816bf8f01cfea', 'length': 3}
    """
    if cell is None:
        return None
    data = cell if isinstance(cell, bytes) else cell.encode("utf-8", "surrogatepass")
    return {"sha256": hashlib.sha256(data).hexdigest()[:_DIGITS], "length": len(cell)}
