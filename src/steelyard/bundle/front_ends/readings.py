"""Readings of unequal length side by side, and what stands for those that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import BundleRefused

Readings = NDArray[np.float32]
Real = TypeVar("Real", np.float32, np.float64)

_LONGEST = 1_000_000


def counted(front: str, option: str, value: object) -> int:
    """Return an option that is a count.

    Raises
    ------
    BundleRefused
        If it is no whole number from 1 to a million.
    """
    if type(value) is not int or not 1 <= value <= _LONGEST:
        raise BundleRefused(f"front end {front!r}: {option} must be a whole number from 1 to {_LONGEST}; got {value!r}")
    return value


def padded(cells: Sequence[Readings] | NDArray[Any], longest: int, channels: int) -> tuple[Readings, Readings]:
    """Return the last ``longest`` readings of each row, shape (n, steps, channels), and the mask, (n, steps).

    Padding is 0 and stands behind; ``steps`` are those of the longest row, at least 1.

    Examples
    --------
    >>> values, mask = padded([np.ones((1, 1), np.float32), np.ones((3, 1), np.float32)], 2, 1)
    >>> values[..., 0].tolist(), mask.tolist()
    ([[1.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]])
    """
    lengths = [min(len(cell), longest) for cell in cells]
    steps = max(lengths, default=0) or 1
    values = np.zeros((len(lengths), steps, channels), np.float32)
    mask = np.zeros((len(lengths), steps), np.float32)
    for place, (cell, length) in enumerate(zip(cells, lengths, strict=True)):
        if length:
            values[place, :length] = cell[-length:]
            mask[place, :length] = 1.0
    return values, mask


def filled(values: NDArray[Real], missing: NDArray[np.bool_]) -> NDArray[Real]:
    """Return readings with each missing one as the last known one before it; NaN where there is none.

    Examples
    --------
    >>> values = np.array([[[np.nan], [2.0], [np.nan]]], np.float32)
    >>> filled(values, np.isnan(values))[0, :, 0].tolist()
    [nan, 2.0, 2.0]
    """
    steps = np.arange(values.shape[1])[None, :, None]
    latest = np.maximum.accumulate(np.where(missing, 0, steps), axis=1)
    return np.take_along_axis(values, latest, axis=1)


def seen_before(cell: Readings) -> Readings:
    """Return the last known reading of each channel, shape (channels,); NaN where there is none."""
    known = ~np.isnan(cell)
    last = len(cell) - 1 - known[::-1].argmax(axis=0)
    return np.where(known.any(axis=0), cell[last, np.arange(cell.shape[1])], np.float32(np.nan))
