"""Parquet files, and frames that are already in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from steelyard.data.fast import tidy
from steelyard.data.frames import cells_of, is_row, names_of
from steelyard.data.table import Cells
from steelyard.errors import DataUnreadable, RowsRefused, need


def read_parquet(path: Path) -> dict[str, Cells]:
    """Return the columns of a Parquet file.

    Raises
    ------
    DataUnreadable
        If it is damaged or holds no rows.
    """
    pl = need("polars", for_="reading Parquet")
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as problem:
        first = str(problem).partition("\n")[0]
        raise DataUnreadable(f"{path} cannot be read as Parquet ({first}); write it again, or export CSV") from None
    return read_frame(frame, str(path))


def read_frame(frame: Any, source: str = "the frame") -> dict[str, Cells]:
    """Return the columns of a pandas or polars frame, a dict of lists, or a list of dicts.

    Raises
    ------
    DataUnreadable
        If it is none of these, or holds no rows.
    """
    if is_row(frame):
        raise DataUnreadable(f"{source} is one row of values; give a list of such rows, or a dict of lists")
    try:
        columns = {name: tidy(_one_dimensional(cells_of(frame, name))) for name in names_of(frame)}
    except RowsRefused as problem:
        raise DataUnreadable(f"{source}: {problem}") from None
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        raise DataUnreadable(f"{source}: its columns differ in length; make them equally long")
    if not columns or not lengths.pop():
        raise DataUnreadable(f"{source} holds no rows; check how it was made")
    return columns


def _one_dimensional(cells: Any) -> Any:
    """Split an array of arrays (images) into a list of them."""
    return list(cells) if isinstance(cells, np.ndarray) and cells.ndim > 1 else cells
