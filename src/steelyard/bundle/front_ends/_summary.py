"""Sequences of readings as a few figures a channel, for models that read tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import Cells, Tensors, column, options_of, shape_of
from steelyard.bundle.front_ends.readings import Readings, counted, filled, padded
from steelyard.contracts import Columns, Feed, Floats, Kind

STATISTICS = ("last", "mean", "deviation", "slope", "low", "q25", "median", "q75", "high", "change")
"""Figures of a channel: its last known reading; mean and standard deviation; slope of the least-squares line, a step;
minimum, quartiles and maximum; mean absolute difference of readings that follow each other."""

_VALUES_AT_ONCE = 2**20


@dataclass(frozen=True, slots=True)
class Summary:
    """float64, shape (n, 1 + channels x figures): the number of readings, then :data:`STATISTICS` channel by channel.

    NaN where a channel has no reading, and in the slope and the change where it has one alone. Missing readings are
    left out of every figure. Options: ``channels`` and ``longest`` (of a longer row the last readings count).
    """

    input: str
    column: str
    channels: int
    longest: int

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SEQUENCE})

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Summary:
        """Return the extractor."""
        del files
        shape_of(feed, inputs=1, columns=1)
        given = options_of(feed, {"channels": ..., "longest": ...})
        counts = {name: counted("summary", name, value) for name, value in given.items()}
        return cls(feed.inputs[0], feed.columns[0], **counts)

    @property
    def batch(self) -> int:
        """Most rows at once: short sequences many, long ones few."""
        return min(max(_VALUES_AT_ONCE // (self.longest * self.channels), 8), 4096)

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensor of some rows."""
        return {self.input: self._figures(column(columns, self.column))}

    def row(self, cells: Cells) -> Tensors:
        """Return the tensor of one row."""
        return {self.input: self._figures([cells[self.column]])}

    def _figures(self, cells: Sequence[Readings] | NDArray[Any]) -> Floats:
        values, mask = padded(cells, self.longest, self.channels)
        steps = mask.sum(axis=1, dtype=np.float64)[:, None]
        readings = np.where(mask[..., None] > 0, values.astype(np.float64), np.nan)
        figures = np.stack(_figures_of(readings), axis=2)
        return np.concatenate([steps, figures.reshape(len(figures), -1)], axis=1)


def _figures_of(readings: Floats) -> list[Floats]:
    """Return the figures of readings, shape (n, steps, channels) with NaN where there is none, each (n, channels)."""
    known = ~np.isnan(readings)
    count = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is NaN where nothing is known
        mean = np.where(known, readings, 0.0).sum(axis=1) / count
        off = np.where(known, readings - mean[:, None], 0.0)
        deviation = np.sqrt((off**2).sum(axis=1) / count)
        time = np.where(known, np.arange(readings.shape[1])[None, :, None], 0.0)
        late = np.where(known, time - (time.sum(axis=1) / count)[:, None], 0.0)
        slope = (late * off).sum(axis=1) / (late**2).sum(axis=1)
    low, q25, median, q75, high = _quantiles(np.sort(readings, axis=1), count)
    whole = filled(readings, ~known)
    return [whole[:, -1], mean, deviation, slope, low, q25, median, q75, high, _change(readings, known)]


def _quantiles(ordered: Floats, count: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> list[Floats]:
    """Return minimum, quartiles and maximum of readings in rising order, NaN behind; straight lines between readings.

    They are those of :func:`numpy.quantile`.
    """
    made = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        place = share * np.maximum(count - 1, 0)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(count - 1, 0))
        first, second = (np.take_along_axis(ordered, at[:, None], axis=1)[:, 0] for at in (below, above))
        made.append(first + (place - below) * (second - first))
    return made


def _change(readings: Floats, known: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
    both = known[:, 1:] & known[:, :-1]
    steps = np.where(both, np.abs(np.diff(readings, axis=1)), 0.0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is NaN where there are no two
        return np.asarray(steps / both.sum(axis=1))
