"""Rows of a data set as a client would send them: plain values by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from steelyard.contracts import Ints, Kind
from steelyard.data import Dataset
from steelyard.data.hashing import opened
from steelyard.data.sequences import to_lists


def plain_columns(dataset: Dataset, rows: Ints) -> dict[str, list[object]]:
    """Return rows as named lists of plain values."""
    split = dataset.rows.take(rows)
    kinds = {column.name: column.kind for column in dataset.schema.columns}
    return {name: [_plain(kinds[name], value) for value in values] for name, values in split.columns.items()}


def sample_rows(dataset: Dataset, rows: Ints) -> list[dict[str, object]]:
    """Return rows as dicts of named plain values; of a picture or a sound the bytes, wherever its file lies.

    Raises
    ------
    DataUnreadable
        If a file is gone.
    """
    columns = plain_columns(dataset, rows)
    for column in dataset.schema.of(Kind.IMAGE, Kind.AUDIO):
        columns[column.name] = opened(columns[column.name])
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(kind: Kind, value: Any) -> object:
    """Return a cell as a client would send it; a time as text, so that reading it counts."""
    if kind is Kind.SEQUENCE:
        return to_lists(value)
    if kind not in {Kind.NUMBER, Kind.TIME}:
        return value
    if np.isnan(value):
        return None
    return float(value) if kind is Kind.NUMBER else datetime.fromtimestamp(float(value), UTC).isoformat()
