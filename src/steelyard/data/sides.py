"""Columns that steer: the sides of a given split, the time of a split, and the weights of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Kind
from steelyard.data.fast import as_list, categories, is_strings, measured
from steelyard.data.table import Cells
from steelyard.data.written import time_notation
from steelyard.errors import DataUnfit

SIDES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "calibration": ("calibration", "calib"),
    "test": ("test", "testing"),
}
SIDE_OF = {name: side for side, names in SIDES.items() for name in names}
"""What a side may be called, and its own name."""


def sides_of(name: str, cells: Cells) -> NDArray[np.str_]:
    """Return the side of each row as a column gives it: train, validation, calibration or test.

    Raises
    ------
    DataUnfit
        If a row has another value or none, or no row is for training or for the test.
    """
    given = categories(cells)
    for row, side in enumerate(given):
        if side is None or side.lower() not in SIDE_OF:
            what = "nothing" if side is None else repr(side)
            raise DataUnfit(
                f"split.column: {name!r} holds {what} in row {row} (from 0); write train, validation, calibration or "
                "test in every row"
            )
    sides = np.array([SIDE_OF[side.lower()] for side in given])
    for side in ("train", "test"):
        if not (sides == side).any():
            raise DataUnfit(f"split.column: {name!r} has no row that says {side}; write it in some rows")
    return sides


def times_of(name: str, cells: Cells) -> Floats:
    """Return the time of each row, in epoch seconds or any number that grows with time.

    Raises
    ------
    DataUnfit
        If a row has no time.
    """
    values, bad = measured(Kind.TIME, cells, time_notation(cells) if is_strings(cells) else "")
    lost = bad | np.isnan(values)
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        raise DataUnfit(
            f"split.time: {name!r} holds {as_list(cells)[row]!r} in row {row} (from 0), which is no time "
            f"({int(lost.sum()):,} such rows); write 2011-01-31, 2011-01-31 08:30:00 or a number in every row"
        )
    return values


def weights_of(name: str, cells: Cells) -> Floats:
    """Return the weight of each row.

    Raises
    ------
    DataUnfit
        If a weight is missing, infinite, zero or negative.
    """
    values, bad = measured(Kind.NUMBER, cells)
    odd = bad | ~(np.isfinite(values) & (values > 0))
    if odd.any():
        row = int(np.flatnonzero(odd)[0])
        raise DataUnfit(
            f"columns.weight: {name!r} holds {as_list(cells)[row]!r} in row {row} (from 0) ({int(odd.sum()):,} such "
            "rows); weights must be positive numbers"
        )
    return values
