"""Parquet files, and frames that are already in memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import numpy as np

from steelyard.data.fast import tidy
from steelyard.data.frames import cells_of, is_row, names_of
from steelyard.data.readers.drawing import Drawing
from steelyard.data.room import Drawn, Room
from steelyard.data.table import Cells
from steelyard.errors import DataUnreadable, RowsRefused, need

BATCH = 1 << 17
"""Rows read at a time."""


def read_parquet(path: Path) -> dict[str, Cells]:
    """Return the columns of a Parquet file.

    Raises
    ------
    DataUnreadable
        If it is damaged or holds no rows.
    """
    return draw_parquet(path, None)[0]


def draw_parquet(path: Path, room: Room | None) -> tuple[dict[str, Cells], Drawn | None]:
    """Return the columns of a Parquet file, drawn from where it holds more rows than there is room for.

    Raises
    ------
    DataUnreadable
        If it is damaged or holds no rows.
    """
    polars = need("polars", for_="reading Parquet")
    arrow, files = need("pyarrow", for_="reading Parquet"), need("pyarrow.parquet", for_="reading Parquet")
    drawing = Drawing(room or Room(float("inf"), ""))
    try:
        with files.ParquetFile(path) as opened:
            for batch in opened.iter_batches(BATCH):
                drawing.add(polars.from_arrow(arrow.Table.from_batches([batch])))
    except (arrow.ArrowException, polars.exceptions.PolarsError, OSError) as problem:
        first = str(problem).partition("\n")[0]
        raise DataUnreadable(f"{path} cannot be read as Parquet ({first}); write it again, or export CSV") from None
    if not drawing.total:
        raise DataUnreadable(f"{path} holds no rows; check how it was made")
    frame, drawn = drawing.whole()
    return read_frame(frame, str(path)), drawn


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
        columns = {name: _cells(frame, name) for name in names_of(frame)}
    except RowsRefused as problem:
        raise DataUnreadable(f"{source}: {problem}") from None
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        raise DataUnreadable(f"{source}: its columns differ in length; make them equally long")
    if not columns or not lengths.pop():
        raise DataUnreadable(f"{source} holds no rows; check how it was made")
    return columns


_EXACT = 2**53
"""Whole numbers up to here are the same as float64."""


def _cells(frame: Any, name: str) -> Cells:
    """Return one column; of a polars frame without a detour through Python's objects where there is no need of one."""
    polars = sys.modules.get("polars")  # a frame that is one of polars has imported it
    if polars is None or not isinstance(frame, polars.DataFrame):
        return tidy(_one_dimensional(cells_of(frame, name)))
    series = frame[name]
    if series.dtype == polars.String:
        return cast("Cells", series)
    whole = series.dtype.is_integer() and max(abs(series.min() or 0), abs(series.max() or 0)) < _EXACT
    if series.null_count() and (whole or series.dtype.is_float()):
        return np.array(series.cast(polars.Float64).fill_null(float("nan")).to_numpy())
    return tidy(_one_dimensional(cells_of(frame, name)))


def _one_dimensional(cells: Any) -> Any:
    """Split an array of arrays (images) into a list of them."""
    return list(cells) if isinstance(cells, np.ndarray) and cells.ndim > 1 else cells
