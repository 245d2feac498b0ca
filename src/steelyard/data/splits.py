"""Which rows train, choose, calibrate and test: decided once, before anything looks at the data.

*Units* are what must stay together: rows with equal features, or rows of one group. The hash of a unit says where
it goes; a stratum (a class) with fewer than 1,000 units is dealt in the order of the hashes, so that it has its
exact share of each part, and a larger one by the hash alone, so that a row keeps its place when others are added.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints
from steelyard.data.dataset import Part, Partition
from steelyard.data.hashing import Hashes, distinct, mix
from steelyard.errors import DataUnfit, SpecInvalid
from steelyard.spec import SplitPart

FOLDS_BELOW = 5_000
"""With fewer rows than this to develop on, validation rows are out-of-fold rows."""
FOLDS = 5
REPEATS_BELOW, REPEATS = 300, 3
"""With fewer development rows than the first, folds are dealt so many times."""
VALIDATION, CALIBRATION = 0.15, 0.10
"""Shares of the development rows that a holdout keeps from training."""
DEALT_BELOW = 1_000
_SALT = {"test": 1, "folds": 2, "holdout": 3, "check": 4}

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a split rests on, one entry a row: units, strata, row numbers, and time or given sides if there are any."""

    units: Hashes
    strata: Ints
    index: Ints
    times: Floats | None = None
    sides: NDArray[np.str_] | None = None


def deal(units: Hashes, strata: Ints, shares: Sequence[float], salt: str, *, turn: int = 0) -> Ints:
    """Return the part of each row: units stay whole, strata are spread evenly, and content decides.

    Another ``turn`` deals anew.

    Examples
    --------
    >>> units = np.arange(10, dtype=np.uint64)
    >>> np.bincount(deal(units, np.zeros(10, dtype=np.int64), (0.2, 0.8), "test")).tolist()
    [2, 8]
    """
    distinct, first, inverse, counts = np.unique(units, return_index=True, return_inverse=True, return_counts=True)
    keys = mix(distinct ^ mix(np.array([_SALT[salt] + 16 * turn], dtype=np.uint64)))
    stratum = strata[first]
    position = keys / 2.0**64
    for one in np.unique(stratum):
        members = np.flatnonzero(stratum == one)
        if len(members) < DEALT_BELOW:
            position[members] = ranked(keys[members], counts[members])
    part = np.searchsorted(np.cumsum(shares), position, side="right")
    return np.minimum(part, len(shares) - 1)[inverse].astype(np.int64)


def ranked(keys: NDArray[np.generic], counts: Ints) -> Floats:
    """Return the place of each unit between 0 and 1 in the order of the keys: the middle of the rows it covers."""
    order = np.argsort(keys, kind="stable")
    position = np.empty(len(keys))
    position[order] = (np.cumsum(counts[order]) - counts[order] / 2) / counts.sum()
    return position


def in_time(times: Floats) -> Floats:
    """Return the place of each row between 0 and 1 in time; rows of the same time share theirs."""
    distinct, inverse, counts = np.unique(times, return_inverse=True, return_counts=True)
    return ranked(distinct, counts)[inverse]


def partition(how: SplitPart, ground: Ground) -> Partition:
    """Divide the rows as a spec asks.

    Raises
    ------
    DataUnfit
        If a part would be empty, or a column gives calibration rows without validation rows; the message says how to
        go on.
    SpecInvalid
        If folds are asked for although a column gives the validation rows.
    """
    test = _test(how, ground)
    development = np.flatnonzero(~test)
    _need_rows(how, {"test": np.flatnonzero(test), "development": development})
    if ground.sides is not None and _gives_validation(how, ground.sides[development]):
        made = _given(ground, development)
    else:
        folds = _usual_folds(how, ground, development) if how.folds is None else how.folds
        made = _folds(ground, development, folds) if folds else _holdout(ground, development)
    protocol, parts, validation, calibration = made
    for part in parts:
        _need_rows(how, {f"{part.name}, to train on": part.fit, f"{part.name}, to score": part.score})
    return Partition(
        protocol=protocol, test=np.flatnonzero(test), parts=parts, validation=validation, calibration=calibration
    )


def repeats(how: SplitPart, ground: Ground, parts: Partition) -> int:
    """Return how many times folds are dealt: as often as a spec says, else more than once where rows are few."""
    if len(parts.parts) == 1 or ground.times is not None:
        return 1
    if how.repeats is not None:
        return how.repeats
    if _few(ground.units[parts.development], len(parts.parts)):
        return 1
    return REPEATS if how.folds is None and len(parts.development) < REPEATS_BELOW else 1


def folds_again(ground: Ground, parts: Partition, turn: int) -> tuple[tuple[Ints, Ints], ...]:
    """Deal the development rows into as many folds once more; return the rows to fit on and to score, fold by fold."""
    development, folds = parts.development, len(parts.parts)
    fold = deal(ground.units[development], ground.strata[development], [1 / folds] * folds, "folds", turn=turn)
    return tuple((development[fold != k], development[fold == k]) for k in range(folds))


def _usual_folds(how: SplitPart, ground: Ground, development: Ints) -> int:
    """Return how many folds there are where a spec does not say: one a group where there are few groups."""
    if len(development) >= FOLDS_BELOW:
        return 0
    groups = distinct(ground.units[development])
    return groups if how.group is not None and ground.times is None and 2 <= groups < FOLDS else FOLDS


def _few(units: Hashes, folds: int) -> bool:
    """Tell whether there are no more units than folds, so that they can be dealt in one way alone."""
    return distinct(units) <= folds


_Made = tuple[str, tuple[Part, ...], Ints, Ints]


def _test(how: SplitPart, ground: Ground) -> Mask:
    if ground.sides is not None:
        return np.asarray(ground.sides == "test")
    if ground.times is not None:
        return np.asarray(in_time(ground.times) >= 1 - how.test)
    if how.by == "index":
        return np.array([zlib.crc32(str(i).encode()) % 5 == 0 for i in ground.index.tolist()], dtype=bool)
    return np.asarray(deal(ground.units, ground.strata, (how.test, 1 - how.test), "test") == 0)


def _folds(ground: Ground, development: Ints, folds: int) -> _Made:
    if ground.times is not None:
        block = np.minimum((in_time(ground.times[development]) * (folds + 1)).astype(np.int64), folds)
        pairs = [(block < k, block == k) for k in range(1, folds + 1)]
    else:
        units = ground.units[development]
        if _few(units, folds):
            fold = np.unique(units, return_inverse=True)[1]
        else:
            fold = deal(units, ground.strata[development], [1 / folds] * folds, "folds")
        pairs = [(fold != k, fold == k) for k in range(folds)]
    parts = tuple(Part(f"fold-{k}", development[fit], development[score]) for k, (fit, score) in enumerate(pairs))
    scored = np.sort(np.concatenate([part.score for part in parts]))
    return f"{folds}-fold", parts, scored, scored


def _gives_validation(how: SplitPart, sides: NDArray[np.str_]) -> bool:
    """Tell whether a column gives validation rows; refuse what cannot be had together with what it gives."""
    validation = bool((sides == "validation").any())
    if validation and how.folds:
        raise SpecInvalid(
            f"split.folds: {how.folds} folds are asked for, but {_giver(how)} already says which rows are for "
            "validation; drop split.folds, or write train in those rows"
        )
    if not validation and (sides == "calibration").any():
        raise DataUnfit(
            f"split.column: {_giver(how)} has rows that say calibration but none that says validation; write "
            "validation in some rows, or train in those for calibration"
        )
    return validation


def _giver(how: SplitPart) -> str:
    return "the name of a file" if how.column is None else f"column {how.column!r}"


def _holdout(ground: Ground, development: Ints) -> _Made:
    if ground.times is not None:
        place = in_time(ground.times[development])
        validation, kept = place >= 1 - VALIDATION, place >= 1 - VALIDATION - CALIBRATION
        return _one_part(development[~kept], development[validation], development[kept & ~validation])
    shares = (VALIDATION, CALIBRATION, 1 - VALIDATION - CALIBRATION)
    part = deal(ground.units[development], ground.strata[development], shares, "holdout")
    return _one_part(*(development[part == k] for k in (2, 0, 1)))


def _given(ground: Ground, development: Ints) -> _Made:
    """Use the sides that a column gives; calibration is cut from training where the column has none."""
    assert ground.sides is not None
    train, validation, calibration = (
        development[ground.sides[development] == side] for side in ("train", "validation", "calibration")
    )
    if not len(calibration):
        cut = deal(ground.units[train], ground.strata[train], (CALIBRATION, 1 - CALIBRATION), "holdout") == 0
        train, calibration = train[~cut], train[cut]
    return _one_part(train, validation, calibration)


def _one_part(fit: Ints, validation: Ints, calibration: Ints) -> _Made:
    scored = np.sort(np.concatenate([validation, calibration]))
    return "holdout", (Part("holdout", fit, scored),), validation, calibration


def _need_rows(how: SplitPart, parts: dict[str, Ints]) -> None:
    empty = [name for name, rows in parts.items() if not len(rows)]
    if not empty:
        return
    if how.column is not None:
        way_out = f"give column {how.column!r} rows of every side"
    elif how.group is not None:
        way_out = f"column {how.group!r} has too few groups for this split; lower split.folds or drop split.group"
    else:
        way_out = "there are too few different rows; add rows, lower split.folds, or change split.test"
    raise DataUnfit(f"the split leaves no rows for {' and '.join(empty)}: {way_out}")
