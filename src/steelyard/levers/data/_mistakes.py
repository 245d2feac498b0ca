"""Rows that look like mistakes in entering them: repeats, near repeats, values apart from all others, wrong order.

Each rule yields changes for rows to drop. A rule that would take more than a share of the rows away has found a habit
of the world, not mistakes, and takes none: the caller sees to that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Column, Floats, Kind, Problem, Split, Task
from steelyard.data.hashing import Hashes, hash_column, hash_numbers, hash_rows
from steelyard.levers.data._changes import Act, Change, named, said

NEAR = 1e-3
"""Robust standard deviations by which two numbers may differ to be nearly the same."""
APART = 3.0
"""A value is apart when the gap to all others is this many times the range of those others."""
FEWEST, RARE = 50, 0.005
"""Known values that a column needs to be judged, and the largest share of them that can be mistakes."""
_BEFORE_AFTER = (("min", "max"), ("low", "high"), ("lo", "hi"), ("start", "end"), ("from", "to"), ("first", "last"))
_SENTINELS = (-1.0, -9.0, -99.0, -999.0, -9999.0)


def _hashed(split: Split, columns: tuple[Column, ...]) -> Hashes:
    """Return one hash a row, of some columns and the target."""
    parts = [hash_column(column.kind, split.columns[column.name]) for column in columns]
    return hash_rows([*parts, hash_numbers(split.target.astype(np.float64))], len(split))


def _dropped(split: Split, place: int, reason: str, old: str, why: str) -> Change:
    return Change(row=int(split.rows[place]), act=Act.DROPPED, reason=reason, old=old, why=why)


def repeats(split: Split, columns: tuple[Column, ...]) -> Iterator[Change]:
    """Yield rows that repeat an earlier one in every feature and in the target."""
    units = _hashed(split, columns)
    _, first, inverse = np.unique(units, return_index=True, return_inverse=True)
    for place in np.flatnonzero(first[inverse] != np.arange(len(split))):
        earlier = int(split.rows[first[inverse[place]]])
        yield _dropped(split, int(place), "duplicate", f"row {earlier}", f"the same as row {earlier} in every column")


def contradictions(split: Split, columns: tuple[Column, ...], task: Task) -> Iterator[Change]:
    """Yield rows whose target is not the one that most rows with the same features have, where most agree."""
    if task.problem is Problem.REGRESSION:
        return
    parts = [hash_column(column.kind, split.columns[column.name]) for column in columns]
    _, unit, counts = np.unique(hash_rows(parts, len(split)), return_inverse=True, return_counts=True)
    several = np.flatnonzero(counts[unit] > 2)
    votes = np.zeros((len(counts), task.width), dtype=np.int64)
    np.add.at(votes, (unit[several], split.target[several]), 1)
    names = named(split.target, task)
    for place in several:
        tally = votes[unit[place]]
        if 2 * tally.max() > counts[unit[place]] and tally[split.target[place]] < tally.max():
            usual = task.classes[int(tally.argmax())]
            why = f"{tally.max()} of {counts[unit[place]]} rows with the same features are {usual!r}"
            yield _dropped(split, int(place), "contradiction", names[place], why)


def near_repeats(split: Split, columns: tuple[Column, ...]) -> Iterator[Change]:
    """Yield rows that differ from another one in numbers alone, and there by next to nothing.

    Rows that are equal in everything but numbers are sorted along one direction; two that are near in every number
    are near in that, so that a row is compared with the few before it only.
    """
    numbers = [c for c in columns if c.kind in (Kind.NUMBER, Kind.TIME) and _is_fine(split.columns[c.name])]
    if len(numbers) < 2:
        return  # along one or two coarse scales different cases are often the same
    matrix = np.column_stack([_scaled(split.columns[c.name]) for c in numbers])
    others = tuple(c for c in columns if c not in numbers)
    gaps = hash_rows([hash_numbers(np.isnan(column).astype(np.float64)) for column in matrix.T], len(split))
    group = _hashed(split, others) ^ gaps
    filled = np.nan_to_num(matrix)
    along = filled @ (np.ones(filled.shape[1]) / np.sqrt(filled.shape[1]))
    order = np.lexsort((split.rows, along, group))
    gone = np.zeros(len(split), dtype=bool)
    for step in range(1, 4):
        before, here = order[:-step], order[step:]
        same = (group[before] == group[here]) & (np.abs(filled[before] - filled[here]).max(axis=1) <= NEAR)
        for one, other in zip(before[same].tolist(), here[same].tolist(), strict=True):
            earlier, later = sorted((one, other), key=lambda place: split.rows[place])
            if not gone[earlier] and not gone[later]:
                gone[later] = True
                row = int(split.rows[earlier])
                yield _dropped(
                    split, later, "near duplicate", f"row {row}", f"next to nothing sets it off from row {row}"
                )


def _is_fine(values: Floats) -> bool:
    """Tell whether a column has so many values that two of them are seldom the same by chance."""
    known = values[~np.isnan(values)]
    return len(known) >= FEWEST and len(np.unique(known)) > len(known) // 4


def _scaled(values: Floats) -> Floats:
    low, middle, high = (float(end) for end in np.nanquantile(values, (0.25, 0.5, 0.75)))
    return (values - middle) / ((high - low) / 1.349 or 1.0)


def impossible(split: Split, columns: tuple[Column, ...]) -> Iterator[Change]:
    """Yield rows with a value apart from all others of its column: 999 among ages, 1900 among dates, -1 for unknown."""
    for column in columns:
        if column.kind not in (Kind.NUMBER, Kind.TIME):
            continue
        values = split.columns[column.name]
        for place in np.flatnonzero(apart(values)):
            old = f"{column.name} = {said(values[place])}"
            yield _dropped(split, int(place), "impossible value", old, f"far from every other value of {column.name!r}")


def apart(values: Floats) -> NDArray[np.bool_]:
    """Tell which values are apart from the others: few, and beyond a gap wider than the range of the rest.

    Examples
    --------
    >>> apart(np.array([*range(20, 90), 999.0])).sum(), apart(np.array([*range(20, 90), -1.0])).sum()
    (np.int64(1), np.int64(1))
    >>> apart(np.array([2.0**i for i in range(60)])).sum()
    np.int64(0)
    """
    odd = np.zeros(len(values), dtype=bool)
    known = np.flatnonzero(~np.isnan(values))
    most = max(1, int(RARE * len(known)))
    if len(known) < FEWEST:
        return odd
    ordered = np.sort(values[known])
    span = ordered[-1 - most] - ordered[most]
    if not span or len(np.unique(ordered)) < 10:
        return odd
    top, bottom = ordered[-1 - most :], ordered[: most + 1]
    wide = np.flatnonzero(np.diff(top) > APART * span)
    if len(wide):
        odd |= values > top[wide[-1]]
    wide = np.flatnonzero(np.diff(bottom) > APART * span)
    if len(wide):
        odd |= values < bottom[wide[0] + 1]
    negative = values < 0
    if negative.any() and negative.sum() <= most and np.isin(values[negative], _SENTINELS).all():
        odd |= negative & (len(np.unique(values[negative])) == 1)
    return odd


def disordered(split: Split, columns: tuple[Column, ...]) -> Iterator[Change]:
    """Yield rows where what is never above something else is: an end before its start, a low above its high."""
    for low, high in _pairs(columns):
        one, other = split.columns[low], split.columns[high]
        both = ~np.isnan(one) & ~np.isnan(other)
        wrong = both & (one > other)
        if both.sum() >= FEWEST and 0 < wrong.sum() <= 2 * RARE * both.sum():
            for place in np.flatnonzero(wrong):
                old = f"{low} = {said(one[place])}, {high} = {said(other[place])}"
                yield _dropped(split, int(place), "inconsistent", old, f"{low!r} is above {high!r}, as in no other row")


def _pairs(columns: tuple[Column, ...]) -> list[tuple[str, str]]:
    """Return pairs of columns that have an order: two times, or numbers whose names say so."""
    times = [c.name for c in columns if c.kind is Kind.TIME]
    made = [(a, b) for a in times for b in times if a != b]
    names = {c.name for c in columns if c.kind is Kind.NUMBER}
    for name in sorted(names):
        for low, high in _BEFORE_AFTER:
            pattern = rf"(?<![a-zA-Z]){low}(?![a-zA-Z])"
            partner = re.sub(pattern, high, name)
            if partner != name and partner in names:
                made.append((name, partner))
    return made
