"""Weighted sums over many resamples at once: the arithmetic under every metric."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints

BLOCK = 64
"""Classes summed in one matrix product; bounds the memory of the indicator matrix to n x 64 numbers."""


def ratio(top: Floats, bottom: Floats) -> Floats:
    """Divide, with NaN where the denominator is zero.

    Examples
    --------
    >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    array([0.5, nan])
    """
    quotient: Floats = np.full(np.shape(bottom), np.nan)
    np.divide(top, bottom, out=quotient, where=bottom != 0)
    return quotient


def mean(per_row: NDArray[Any], counts: Floats) -> Floats:
    """Return the weighted mean of a figure of each row, shape (n,), in each resample, shape (B,).

    Examples
    --------
    >>> mean(np.array([0.0, 1.0]), np.array([[1.0, 1.0], [0.0, 2.0]]))
    array([0.5, 1. ])
    """
    return ratio(counts @ per_row.astype(np.float64), counts.sum(axis=1))


def by_class(codes: Ints, counts: Floats, classes: int, per_row: NDArray[Any] | None = None) -> Floats:
    """Add up each resample's weights, times a figure of each row where given, by class: shape (B, classes).

    Examples
    --------
    >>> by_class(np.array([0, 1, 1]), np.array([[1.0, 2.0, 3.0]]), 3)
    array([[1., 5., 0.]])
    """
    sums = np.empty((len(counts), classes))
    for first in range(0, classes, BLOCK):
        block = np.arange(first, min(first + BLOCK, classes))
        belongs = (codes[:, None] == block).astype(np.float64)
        if per_row is not None:
            belongs *= per_row[:, None]
        sums[:, first : first + BLOCK] = counts @ belongs
    return sums


def mean_over(kept: NDArray[np.bool_], per_class: Floats) -> Floats:
    """Return the plain mean over the classes that are kept in each resample: (B, classes) to (B,)."""
    return ratio(np.where(kept, per_class, 0.0).sum(axis=1), kept.sum(axis=1).astype(np.float64))
