"""Rows of unequal length: what is said of each token, as one array of all tokens and the number of tokens a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts.data import Ints


def flattened(rows: NDArray[Any]) -> tuple[NDArray[Any], Ints]:
    """Return the arrays of some rows one behind the other, and how long each is.

    Parameters
    ----------
    rows
        Objects of shape (n,), each an array whose first axis is over the tokens of its row.

    Examples
    --------
    >>> values, lengths = flattened(parted(np.array([3, 1, 2]), np.array([2, 0, 1])))
    >>> values.tolist(), lengths.tolist()
    ([3, 1, 2], [2, 0, 1])
    """
    lengths = lengths_of(rows)
    return (np.concatenate(list(rows)) if len(rows) else np.empty(0)), lengths


def parted(values: NDArray[Any], lengths: Ints) -> NDArray[Any]:
    """Return what :func:`flattened` laid together as objects of shape (n,) again; they are views.

    Examples
    --------
    >>> [row.tolist() for row in parted(np.array([3, 1, 2]), np.array([2, 0, 1]))]
    [[3, 1], [], [2]]
    """
    ends = np.cumsum(lengths)
    made = np.empty(len(lengths), dtype=object)
    for row, (end, length) in enumerate(zip(ends.tolist(), np.asarray(lengths).tolist(), strict=True)):
        made[row] = values[end - length : end]
    return made


def lengths_of(rows: Iterable[Any]) -> Ints:
    """Return the number of tokens of each row."""
    return np.fromiter(map(len, rows), dtype=np.int64)


CELLS = 16_384
"""Tokens of a batch, padding included: what a batch takes of memory does not grow with the longest row."""


def batches(lengths: Ints, cells: int = CELLS) -> Iterator[Ints]:
    """Yield rows that are answered together, short ones first: so many that, padded, they hold few tokens in all.

    Examples
    --------
    >>> [rows.tolist() for rows in batches(np.array([9, 1, 2, 1]), cells=4)]
    [[1, 3], [2], [0]]
    """
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * max(1, int(lengths[order[end]])) <= cells:
            end += 1
        yield order[start:end]
        start = end
