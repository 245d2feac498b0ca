"""What boosted trees see of a history, for each step ahead and series: lags, means, the season, the calendar.

Values are counted from the last one, in units of how far the history moves from step to step, so that what is learned
of one series holds for others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends._calendar import FIELDS, Calendar
from steelyard.bundle.front_ends._series import Series
from steelyard.bundle.front_ends.base import Cells, Tensors, options_of, shape_of
from steelyard.contracts import Columns, Feed, Kind
from steelyard.data.coerce import objects
from steelyard.errors import BundleRefused

Reals = NDArray[np.float32]
LEAST = np.float32(1e-6)
_DEFAULTS = {"steps": ..., "channels": ..., "series": ..., "horizon": ..., "season": ..., "lags": ..., "step": {}}


@dataclass(frozen=True, slots=True)
class Lags:
    """``inputs`` float32: features (n, horizon x series, k), and base and size of each value, (n, horizon x series).

    A forecast is ``base + size * output``. Columns: the history, then the steps known ahead and the time where they are
    read. Options: ``steps``, ``channels``, ``series`` (the channels that are forecast, the first ones), ``horizon``,
    ``season``, ``lags`` (how many), ``step`` (of the calendar; empty where times only count) and ``known`` (channels
    known ahead).
    """

    inputs: tuple[str, str, str]
    history: Series
    future: Series | None
    calendar: Calendar | None
    series: int
    horizon: int
    season: int
    lags: int

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SEQUENCE, Kind.TIME, Kind.NUMBER})

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Lags:
        """Return the extractor."""
        shape_of(feed, inputs=3, columns=None)
        given = options_of(feed, {**_DEFAULTS, "known": 0})
        numbers = {name: given[name] for name in ("steps", "channels", "series", "horizon", "season", "lags", "known")}
        for name, value in numbers.items():
            if not (isinstance(value, int) and value >= 0):
                raise BundleRefused(f"front end 'lags': {name} must be a whole number of 0 or more; got {value!r}")
        known, step = given["known"], given["step"]
        wanted = 1 + bool(known) + bool(step)
        if len(feed.columns) != wanted:
            raise BundleRefused(f"front end 'lags' reads {wanted} columns; the feed names {feed.columns}")
        names = list(feed.columns[1:])
        history = Series(("h",), feed.columns[0], given["steps"], given["channels"])
        future = Series(("f",), names.pop(0), given["horizon"], known) if known else None
        calendar = None
        if step:
            options = {"horizon": given["horizon"], **step}
            calendar = Calendar.make(Feed("calendar", ("c",), (names.pop(0),), options), files)
        first, second, third = feed.inputs
        sizes = (given["series"], given["horizon"], max(1, given["season"]), given["lags"])
        return cls((first, second, third), history, future, calendar, *sizes)

    @property
    def batch(self) -> int:
        """Most rows at once."""
        return min(max(2**22 // (self.horizon * self.series * (self.lags + 24)), 1), self.history.batch)

    def row(self, cells: Cells) -> Tensors:
        """Return the tensors of one row."""
        return self({name: objects([cell]) for name, cell in cells.items()})

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensors of some rows.

        Raises
        ------
        RowRefused
            If a row has another number of channels.
        """
        every = self.history(columns)["h"]
        own = every[:, :, : self.series]
        last = own[:, -1]
        moves = np.abs(np.diff(own, axis=1)).mean(axis=1) if own.shape[1] > 1 else np.abs(last)
        size = np.where(moves > LEAST, moves, np.float32(1.0)).astype(np.float32)
        parts = [self._of_history(own, last, size), self._of_steps(own, last, size)]
        if every.shape[2] > self.series:
            others = every[:, -1, self.series :]
            parts.append(np.broadcast_to(others[:, None, None], (*self._shape(len(own)), others.shape[1])))
        if self.future is not None:
            ahead = self.future(columns)["f"]
            parts.append(np.broadcast_to(ahead[:, :, None], (*self._shape(len(own)), ahead.shape[2])))
        if self.calendar is not None:
            dates = self.calendar({name: np.asarray(cells) for name, cells in columns.items()})["c"]
            parts.append(np.broadcast_to(dates[:, :, None], (*self._shape(len(own)), len(FIELDS))))
        features = np.concatenate(parts, axis=3).astype(np.float32)
        flat = features.reshape(len(own), self.horizon * self.series, -1)
        wide = (np.tile(part, (1, self.horizon)) for part in (last, size))
        return dict(zip(self.inputs, (flat, *wide), strict=True))

    def _shape(self, rows: int) -> tuple[int, int, int]:
        return rows, self.horizon, self.series

    def _of_history(self, own: Reals, last: Reals, size: Reals) -> Reals:
        """Return what is the same for every step ahead: lags, means and spreads, level and size, the series."""
        steps = own.shape[1]
        lags = [(own[:, -1 - back] - last) / size for back in range(1, min(self.lags, steps - 1) + 1)]
        for length in sorted({3, 7, self.season, 2 * self.season, steps}):
            part = own[:, -min(length, steps) :]
            lags += [(part.mean(axis=1) - last) / size, part.std(axis=1) / size]
        number = np.broadcast_to(np.arange(self.series, dtype=np.float32), last.shape)
        made = np.stack([*lags, last, size, number], axis=2)
        return np.broadcast_to(made[:, None], (len(own), self.horizon, *made.shape[1:]))

    def _of_steps(self, own: Reals, last: Reals, size: Reals) -> Reals:
        """Return what differs from step to step: how far ahead, and the same place in seasons before."""
        steps, ahead = own.shape[1], np.arange(1, self.horizon + 1)
        found = [np.broadcast_to(ahead[None, :, None].astype(np.float32), self._shape(len(own)))]
        for seasons in (0, 1):
            back = self.season * (-(-ahead // self.season) + seasons)
            place = np.maximum(steps - 1 + ahead - back, 0)
            found.append((own[:, place] - last[:, None]) / size[:, None])
        return np.stack(found, axis=3)
