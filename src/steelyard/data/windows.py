"""Windows over readings: which steps of which unit make a row, and the arrays of those steps without a copy.

Readings of several units lie in one array of shape (steps, channels), one unit after the other, each in the order of
time; unit ``u`` owns the steps ``offsets[u]`` up to ``offsets[u + 1]``. Needs numpy alone: training and predicting cut
windows alike.

Examples
--------
>>> readings = np.arange(10, dtype=np.float32).reshape(5, 2)
>>> rows = spans(np.array([0, 3, 5]), window=2)
>>> [cell[:, 0].tolist() for cell in rows.cells(readings)]
[[0.0, 2.0], [2.0, 4.0], [6.0, 8.0]]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints


@dataclass(frozen=True, slots=True)
class Spans:
    """The steps of each row: ``first`` up to, not including, ``end``, of the unit with number ``unit``; shape (n,)."""

    unit: Ints
    first: Ints
    end: Ints

    def __len__(self) -> int:
        return len(self.end)

    @property
    def last(self) -> Ints:
        """The last step of each row."""
        return self.end - 1

    def take(self, index: NDArray[Any]) -> Spans:
        """Return the rows that an index array or a mask selects."""
        return Spans(self.unit[index], self.first[index], self.end[index])

    def cells(self, readings: NDArray[np.float32]) -> NDArray[Any]:
        """Return one array of shape (steps, channels) a row, as an object array; each is a view, nothing is copied."""
        made = np.empty(len(self), dtype=object)
        for row, (first, end) in enumerate(zip(self.first.tolist(), self.end.tolist(), strict=True)):
            made[row] = readings[first:end]
        return made


def spans(offsets: Ints, *, window: int | None, step: int = 1, least: int | None = None, ahead: int = 0) -> Spans:
    """Return the rows of units, in the order of units and of time.

    The last window of a unit always ends at its last reading (at the ``ahead``-th before it), the others every
    ``step`` readings before. A unit with fewer readings than ``least`` gives one shorter row of all that it has; a
    unit with none left gives none.

    Parameters
    ----------
    offsets
        Where units begin, and where the last one ends; shape (units + 1,).
    window
        Most readings of a row; ``None``: one row a unit, of all its readings.
    step
        Readings from the end of one window to the end of the next.
    least
        Fewest readings of a row where a unit has them; unset: ``window``. With 1 the first windows of a unit are
        shorter.
    ahead
        Readings that must follow a window: the horizon of a forecast.

    Examples
    --------
    >>> rows = spans(np.array([0, 5, 6]), window=3, step=2)
    >>> rows.unit.tolist(), rows.first.tolist(), rows.end.tolist()
    ([0, 0, 1], [0, 2, 5], [3, 5, 6])
    >>> spans(np.array([0, 5, 6]), window=3, ahead=1).end.tolist()
    [3, 4]
    """
    starts = offsets[:-1]
    latest = np.diff(offsets) - ahead
    if window is None:
        window, step = int(latest.max(initial=1)), max(1, int(latest.max(initial=1)))
    fewest = np.minimum(window if least is None else least, latest)
    count = np.where(latest >= 1, (latest - fewest) // step + 1, 0)
    unit = np.repeat(np.arange(len(starts), dtype=np.int64), count)
    back = np.repeat(np.cumsum(count), count) - 1 - np.arange(len(unit))
    end = latest[unit] - step * back
    return Spans(unit, starts[unit] + np.maximum(end - window, 0), starts[unit] + end)


@dataclass(frozen=True, slots=True)
class Arranged:
    """The order in which readings lie one unit after the other.

    ``index`` takes readings of the source into that order; ``offsets`` says where units begin in it.
    """

    index: Ints
    offsets: Ints

    @property
    def unit(self) -> Ints:
        """Number of the unit of each reading, in the order of ``index``."""
        return np.repeat(np.arange(len(self.offsets) - 1, dtype=np.int64), np.diff(self.offsets))


def arrange(unit: Ints, times: Floats | None = None) -> Arranged:
    """Put readings in the order of units, then of time; readings of one time stay as they stood.

    Parameters
    ----------
    unit
        Number of the unit of each reading, from 0, every number in use.
    times
        When each reading was; unset: readings are in order already.

    Examples
    --------
    >>> made = arrange(np.array([1, 0, 1]), np.array([5.0, 1.0, 4.0]))
    >>> made.index.tolist(), made.offsets.tolist()
    ([1, 2, 0], [0, 1, 3])
    """
    index = np.argsort(unit, kind="stable") if times is None else np.lexsort((times, unit))
    counts = np.bincount(unit) if len(unit) else np.zeros(0, np.int64)
    return Arranged(index.astype(np.int64), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def repeated(arranged: Arranged, times: Floats) -> NDArray[np.bool_]:
    """Mark the readings of ``times[arranged.index]`` after which another of the same unit and time follows.

    Examples
    --------
    >>> times = np.array([1.0, 2.0, 2.0, 2.0])
    >>> repeated(arrange(np.array([0, 0, 0, 1]), times), times).tolist()
    [False, True, False, False]
    """
    ordered, unit = times[arranged.index], arranged.unit
    marked = np.zeros(len(ordered), dtype=bool)
    marked[:-1] = (ordered[1:] == ordered[:-1]) & (unit[1:] == unit[:-1])
    return marked
