"""Where in the day, week, month and year the steps ahead of a moment lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import Cells, Tensors, column, options_of, shape_of
from steelyard.contracts import Columns, Feed, Floats, Kind
from steelyard.data.steps import DAY, MONTHS, Step, places
from steelyard.errors import BundleRefused

FIELDS = ("hour", "weekday", "day", "month", "week")
"""What :func:`calendar_of` tells of a moment: hours of the day, 0 for Monday, day, month and week of the year."""
_FURTHEST = 10_000


@dataclass(frozen=True, slots=True)
class Calendar:
    """float32 (n, horizon, 5): :data:`FIELDS` of each step ahead of a row's time; of a missing time, of 1970.

    Options: ``horizon``, and the step's ``size``, ``unit``, ``start`` and ``day`` (:class:`steelyard.data.steps.Step`).
    """

    input: str
    column: str
    horizon: int
    step: Step

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.TIME, Kind.NUMBER})
    batch: ClassVar[int] = 4096

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Calendar:
        """Return the extractor of a step."""
        del files
        shape_of(feed, inputs=1, columns=1)
        given = options_of(feed, {"horizon": ..., "size": ..., "unit": ..., "start": ..., "day": ...})
        horizon = given.pop("horizon")
        if not (isinstance(horizon, int) and 1 <= horizon <= _FURTHEST):
            raise BundleRefused(f"front end 'calendar': horizon must be 1 to {_FURTHEST}; got {horizon!r}")
        return cls(feed.inputs[0], feed.columns[0], horizon, Step(**given))

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensor of some rows."""
        return {self.input: self._ahead(np.asarray(column(columns, self.column), np.float64))}

    def row(self, cells: Cells) -> Tensors:
        """Return the tensor of one row."""
        return {self.input: self._ahead(np.array([cells[self.column]], np.float64))}

    def _ahead(self, times: Floats) -> NDArray[np.float32]:
        at, _ = places(self.step, np.where(np.isfinite(times), times, self.step.start))
        steps = at[:, None] + np.arange(1, self.horizon + 1)
        moments = self.step.times(steps.ravel())
        return calendar_of(moments, monthly=self.step.unit == MONTHS).reshape(*steps.shape, len(FIELDS))


def calendar_of(times: Floats, *, monthly: bool = False) -> NDArray[np.float32]:
    """Return :data:`FIELDS` of some moments, float32 (n, 5); of months only the month says anything.

    Examples
    --------
    >>> calendar_of(np.array([45_000.0])).tolist()
    [[12.5, 3.0, 1.0, 1.0, 1.0]]
    """
    days = np.floor(times / DAY).astype(np.int64)
    dates = days.astype("datetime64[D]")
    months, years = dates.astype("datetime64[M]"), dates.astype("datetime64[Y]")
    month = months.astype(np.int64) % 12 + 1
    if monthly:
        nothing = np.zeros(len(times))
        return np.column_stack([nothing, nothing, nothing, month, nothing]).astype(np.float32)
    day = (dates - months.astype("datetime64[D]")).astype(np.int64) + 1
    week = (dates - years.astype("datetime64[D]")).astype(np.int64) // 7 + 1
    return np.column_stack([times % DAY / 3600.0, (days + 3) % 7, day, month, week]).astype(np.float32)
