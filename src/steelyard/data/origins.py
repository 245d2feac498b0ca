"""Which origins train, choose, calibrate and test: rolling origins, with the horizon between what trains and the rest.

Time runs on a clock whose step 0 is the last one before the test. Where times are moments it is one clock for all
series, so that no series tells of another's future; where they are numbers that count, each series has its own, which
ends with it. An origin belongs to a side if all the values that it forecasts lie there; those whose horizon lies across
a border belong to none, so that no value is both learned from and scored (an embargo as long as the horizon).

References
----------
.. [1] Tashman. Out-of-sample tests of forecasting accuracy. Int. Journal of Forecasting, 2000.
.. [2] Bergmeir, Benitez. On the use of cross-validation for time series predictor evaluation. Information Sciences,
   2012.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Ints
from steelyard.data.dataset import Part, Partition
from steelyard.data.histories import Origins, Series
from steelyard.data.splits import CALIBRATION, FOLDS_BELOW, VALIDATION
from steelyard.data.steps import COUNT, Step
from steelyard.errors import DataUnfit
from steelyard.spec import SplitPart

BLOCKS = 3
"""Blocks of time that are scored one after the other, each by a model of what came before, where origins are few."""
LEAST_UNITS = 10
"""Fewest units that resampling draws from, before it draws from the other kind."""

_SIDES = ("calibration", "test", "train", "validation")

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What each origin forecasts: the first and the last step, on the clock; and the sides that a column gives them.

    ``sides`` holds one of train, validation, calibration, test and "" (several, or none) an origin; ``length`` is the
    number of steps before the test.
    """

    first: Ints
    last: Ints
    horizon: int
    length: int
    sides: NDArray[np.str_] | None = None


def ahead_of(
    every: Sequence[Series],
    origins: Origins,
    horizon: int,
    *,
    step: Step,
    how: SplitPart,
    sides: NDArray[np.str_] | None,
) -> Ahead:
    """Return what each origin forecasts, on the clock; see the module.

    ``sides`` holds the side of each row of the table, where a column gives it.
    """
    ends = np.array([one.last for one in every], dtype=np.int64)
    starts = np.array([one.first for one in every], dtype=np.int64)
    given = None if sides is None else _sides(every, origins, horizon, sides)
    own = step.unit == COUNT
    length = int(np.median(ends - starts + 1)) if own else int(ends.max() - starts.min() + 1)
    if sides is None:
        kept = max(horizon, round(how.test * length))
        borders = ends - kept if own else np.full(len(every), ends.max() - kept)
    else:
        before = [np.flatnonzero((one.rows >= 0) & (sides[one.rows] != "test")) for one in every]
        borders = np.array([one.first + (int(b[-1]) if len(b) else -1) for one, b in zip(every, before, strict=True)])
        borders = borders if own else np.full(len(every), borders.max())
        kept = int(np.median(ends - borders)) if own else int(ends.max() - borders.max())
    first = origins.steps + 1 - borders[origins.series]
    return Ahead(first=first, last=first + horizon - 1, horizon=horizon, length=length - kept, sides=given)


def _sides(every: Sequence[Series], origins: Origins, horizon: int, sides: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the side of each origin: that of all rows that it forecasts."""
    names = np.array(["", *_SIDES])
    codes = np.searchsorted(_SIDES, sides) + 1
    found = np.zeros(len(origins), dtype=np.int64)
    for number, one in enumerate(every):
        mine = np.flatnonzero(origins.series == number)
        of_step = np.where(one.rows >= 0, codes[one.rows], 0)
        place = origins.steps[mine][:, None] + np.arange(1, horizon + 1) - one.first
        inside = (place >= 0) & (place < len(of_step))
        there = np.where(inside, of_step[np.clip(place, 0, len(of_step) - 1)], 0)
        last = there.max(axis=1, initial=0)
        found[mine] = np.where(((there == last[:, None]) | (there == 0)).all(axis=1), last, 0)
    return np.asarray(names[found])


def partition(how: SplitPart, ahead: Ahead) -> tuple[Partition, Mask]:
    """Divide origins; return which of them are used, and the partition of those.

    Raises
    ------
    DataUnfit
        If the series are too short for the horizon and the split; the message says how many steps it takes.
    """
    test = ahead.first > 0 if ahead.sides is None else ahead.sides == "test"
    before = ahead.last <= 0 if ahead.sides is None else np.isin(ahead.sides, ("train", "validation", "calibration"))
    if not test.any() or not before.any():
        _refuse(ahead, "test" if not test.any() else "training")
    if ahead.sides is not None and (ahead.sides == "validation").any():
        protocol, pairs, validation, calibration = _given(ahead)
    else:
        blocks = (BLOCKS if before.sum() < FOLDS_BELOW else 0) if how.folds is None else how.folds
        made = _blocks(ahead, before, blocks) if blocks else None
        protocol, pairs, validation, calibration = made or _holdout(ahead, before)
    used = test | np.any([fit | score for fit, score in pairs], axis=0)
    place = np.cumsum(used) - 1
    parts = tuple(
        Part("holdout" if protocol == "holdout" else f"fold-{k}", place[fit], place[score])
        for k, (fit, score) in enumerate(pairs)
    )
    if any(not len(part.fit) or not len(part.score) for part in parts):
        _refuse(ahead, "training and validation")
    found = Partition(
        protocol=protocol,
        test=place[test],
        parts=parts,
        validation=place[validation],
        calibration=place[calibration],
    )
    return found, used


_Made = tuple[str, list[tuple[Mask, Mask]], Mask, Mask]


def _given(ahead: Ahead) -> _Made:
    """Use the sides that a column gives; calibration is cut from the end of training where there is none."""
    assert ahead.sides is not None
    train, validation, calibration = (ahead.sides == side for side in ("train", "validation", "calibration"))
    if train.any() and not calibration.any():
        end = int(ahead.last[train].max())
        span = max(ahead.horizon, round(CALIBRATION * ahead.length))
        calibration = train & (ahead.first > end - span)
        train &= ahead.last <= end - span
    return "holdout", [(train, validation | calibration)], validation, calibration


def _holdout(ahead: Ahead, before: Mask) -> _Made:
    late, kept = (max(ahead.horizon, round(share * ahead.length)) for share in (VALIDATION, CALIBRATION))
    validation = before & (ahead.first > -late)
    calibration = before & (ahead.first > -late - kept) & (ahead.last <= -late)
    train = before & (ahead.last <= -late - kept)
    return "holdout", [(train, validation | calibration)], validation, calibration


def _blocks(ahead: Ahead, before: Mask, wanted: int) -> _Made | None:
    """Score blocks of time in turn, each by a model of what came before it; fewer where they would be too short."""
    blocks = min(wanted, ahead.length // ahead.horizon - 1)
    if blocks < 1:
        return None
    span, pairs = ahead.length // (blocks + 1), []
    for k in range(blocks):
        start, end = -(blocks - k) * span, -(blocks - k - 1) * span
        score = before & (ahead.first > start) & (ahead.last <= end)
        fit = before & (ahead.last <= start)
        if fit.any() and score.any():
            pairs.append((fit, score))
    if not pairs:
        return None
    scored = np.any([score for _, score in pairs], axis=0)
    return f"{len(pairs)}-fold", pairs, scored, scored


def _refuse(ahead: Ahead, what: str) -> None:
    raise DataUnfit(
        f"forecast.horizon: {ahead.horizon:,} steps ahead leave no origin for {what}: a series needs at least three "
        f"horizons before its test rows and one in them, and there are {max(ahead.length, 0):,} steps before the test; "
        "lower the horizon, or give longer series"
    )


def units(ahead: Ahead, origins: Origins, judged: Sequence[Ints]) -> Ints:
    """Return what resampling must take or leave as one: blocks of time as long as the horizon, or whole series.

    Origins nearer to each other than the horizon forecast the same values, and series share what happened at a time.
    The coarser of the two is taken, but one that leaves some side at least ten units, if either does (block bootstrap:
    Künsch 1989, doi:10.1214/aos/1176347265).

    Parameters
    ----------
    ahead, origins
        The origins that are used.
    judged
        Positions of validation and of test rows.
    """
    blocks = np.unique(np.floor_divide(ahead.first, ahead.horizon), return_inverse=True)[1].astype(np.int64)
    kinds = [blocks, origins.series]
    counted = [min(len(np.unique(codes[rows])) for rows in judged) for codes in kinds]
    fit = [place for place, many in enumerate(counted) if many >= LEAST_UNITS]
    if fit:
        return kinds[min(fit, key=lambda place: counted[place])]
    return kinds[int(np.argmax(counted))]
