"""What must stay on one side of a split: rows with equal features, or rows of one group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints
from steelyard.data.hashing import Hashes, distinct, hash_strings, mix


def units_of(content: Hashes, groups: NDArray[np.object_] | None) -> Hashes:
    """Return the unit of each row: its group, or its content.

    A row without a group is a unit of its own. Where more than half of the rows repeat others (tables of a few
    categories), repeats are what the world sends, not the same case twice: each row is then a unit of its own too.
    """
    if groups is not None:
        alone = np.array([group is None for group in groups], dtype=bool)
        return np.where(alone, apart(content), hash_strings(groups))
    if distinct(content) * 2 < len(content):
        return apart(content)
    return content


def apart(content: Hashes) -> Hashes:
    """Return hashes that tell equal rows apart by how often their content came before; order hardly matters.

    Examples
    --------
    >>> len(set(apart(np.zeros(3, dtype=np.uint64)).tolist()))
    3
    """
    order = np.argsort(content, kind="stable")
    ordered = content[order]
    start = np.r_[True, ordered[1:] != ordered[:-1]]
    first = np.maximum.accumulate(np.where(start, np.arange(len(content)), 0))
    before = np.empty(len(content), dtype=np.uint64)
    before[order] = (np.arange(len(content)) - first).astype(np.uint64)
    return mix(content ^ mix(before))


def group_codes(groups: NDArray[np.object_]) -> Ints:
    """Return one code a row, equal within a group; a row without a group has its own."""
    names = [f"row {i}" if group is None else f"group {group}" for i, group in enumerate(groups)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def latest(times: Floats, units: Hashes) -> Floats:
    """Return the latest time of each row's unit.

    Examples
    --------
    >>> latest(np.array([1.0, 5.0, 3.0]), np.array([7, 7, 8], dtype=np.uint64)).tolist()
    [5.0, 5.0, 3.0]
    """
    inverse = np.unique(units, return_inverse=True)[1]
    last = np.full(inverse.max() + 1, -np.inf)
    np.maximum.at(last, inverse, times)
    return last[inverse]
