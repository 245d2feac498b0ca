"""What another server says of labelled rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.bundle.stakes import Stakes
from steelyard.client import Client
from steelyard.contracts import Answer, Columns, Kind
from steelyard.errors import RowsRefused
from steelyard.serve.escalation.plan import Remote
from steelyard.serve.escalation.wiring import decode, encode, wiring_of
from steelyard.serve.model import Served
from steelyard.serve.table import Table

_BATCH = 64
_PATIENCE = 60.0
"""Seconds for one call while calibrating, where nobody waits."""


def ask_all(remote: dict[str, Any], served: Served, table: Table, key: str) -> tuple[Remote, Answer, list[float]]:
    """Ask a server about every row, some at a time.

    Parameters
    ----------
    remote
        The fields of :class:`Remote` but for the wiring, which is found here.
    served
        The bundle that the rows are typed for.
    table
        The rows.
    key
        To show; empty for none.

    Returns
    -------
    tuple
        How to ask it, its answer, and the milliseconds of each call.

    Raises
    ------
    ServerUnreachable, ServerRefused
        If it does not answer, or answers what cannot be used.
    """
    parts, milliseconds = [], []
    stakes = Stakes(served.task, served.bundle.schema)
    with Client(remote["url"], key=key, timeout=_PATIENCE) as line:
        metadata = line.metadata(remote["model"], version=remote.get("version", ""))
        found = Remote(**remote, wiring=wiring_of(metadata, served.layout, served.task))
        for start in range(0, len(table), _BATCH):
            some = Table(table.numbers[start : start + _BATCH], table.others[start : start + _BATCH])
            inputs, began = encode(found.wiring, served.layout, some), time.perf_counter()
            said = line.infer(found.model, inputs, version=found.version)
            milliseconds.append(1000 * (time.perf_counter() - began))
            amounts = stakes(served.layout.columns_of(some))
            parts.append(decode(found.wiring, served.task, said, len(some), amounts))
    answer = Answer(np.concatenate([p.scores for p in parts]), np.concatenate([p.decided for p in parts]))
    return found, answer, milliseconds


def table_of(served: Served, columns: Columns, rows: int) -> Table:
    """Return typed columns as a table whose images and sounds are the bytes of their files.

    Raises
    ------
    RowsRefused
        If one is no file that can be read.
    """
    files = [c.name for c in served.layout.columns.values() if c.kind in (Kind.IMAGE, Kind.AUDIO)]
    return served.layout.of_columns({**columns, **{name: _opened(columns[name], name) for name in files}}, rows)


def _opened(cells: Any, name: str) -> Any:
    made = np.empty(len(cells), np.object_)
    for row, cell in enumerate(cells):
        try:
            made[row] = cell if isinstance(cell, bytes) else Path(str(cell)).read_bytes()
        except OSError as problem:
            raise RowsRefused(
                f"row {row} (from 0): the file of column {name!r} cannot be read: {problem.strerror}; give the path "
                "of a file"
            ) from None
    return made
