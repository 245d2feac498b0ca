"""Sequences of readings as one padded tensor with its mask; the graph scales them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import Cells, Tensors, column, options_of, shape_of
from steelyard.bundle.front_ends.readings import Readings, counted, filled, padded, seen_before
from steelyard.contracts import Columns, Feed, Kind
from steelyard.errors import BundleRefused

_VALUES_AT_ONCE = 2**22


@dataclass(frozen=True, slots=True)
class Sequences:
    """``inputs[0]`` float32 (n, steps, channels + marks), ``inputs[1]`` float32 (n, steps).

    The second is 1 for a step of the row and 0 for padding, which stands behind; steps are those of the longest row of
    the batch, at least 1. A missing reading takes the value of the one before it, the first ones that of ``fill``; a
    mark is 1 where the reading was missing. Values stand in the units of the data.

    Options: ``longest`` (steps; of a longer row the last ones count), ``fill`` (one number a channel), ``marked`` (the
    channels, by number, that get a mark: those with missing readings in training).
    """

    values: str
    mask: str
    column: str
    longest: int
    fill: Readings
    marked: tuple[int, ...]

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SEQUENCE})

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Sequences:
        """Return the extractor."""
        del files
        shape_of(feed, inputs=2, columns=1)
        given = options_of(feed, {"longest": ..., "fill": ..., "marked": []})
        longest = counted("sequence", "longest", given["longest"])
        fill, marked = given["fill"], given["marked"]
        if not isinstance(fill, list) or not fill or not all(_is_number(value) for value in fill):
            raise BundleRefused(f"front end 'sequence': fill must be one finite number a channel; got {fill!r}")
        if not all(type(place) is int and 0 <= place < len(fill) for place in marked):
            raise BundleRefused(f"front end 'sequence': marked must be numbers of its channels; got {marked!r}")
        values, mask = feed.inputs
        return cls(values, mask, feed.columns[0], longest, np.array(fill, np.float32), tuple(marked))

    @property
    def batch(self) -> int:
        """Most rows at once: short sequences many, long ones few."""
        return min(max(_VALUES_AT_ONCE // (self.longest * len(self.fill)), 8), 4096)

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensors of some rows."""
        return self._tensors(column(columns, self.column))

    def row(self, cells: Cells) -> Tensors:
        """Return the tensors of one row."""
        return self._tensors([cells[self.column]])

    def _tensors(self, cells: Sequence[Readings] | NDArray[Any]) -> Tensors:
        readings, mask = padded(cells, self.longest, len(self.fill))
        missing = np.isnan(readings)
        if not missing.any():
            marks = np.zeros((*mask.shape, len(self.marked)), np.float32)
            return {self.values: _beside(readings, marks), self.mask: mask}
        whole = filled(readings, missing)
        if any(len(cell) > self.longest for cell in cells):
            whole = _from_before(whole, cells, self.longest)
        whole = np.where(np.isnan(whole), self.fill, whole)
        marks = (missing & (mask > 0)[..., None])[..., list(self.marked)].astype(np.float32)
        return {self.values: _beside(whole * mask[..., None], marks), self.mask: mask}


def _beside(values: Readings, marks: Readings) -> Readings:
    return np.concatenate([values, marks], axis=2) if marks.shape[2] else values


def _from_before(whole: Readings, cells: Sequence[Readings] | NDArray[Any], longest: int) -> Readings:
    """Fill what is missing at the start of rows that were cut with the last reading before the cut."""
    for place, cell in enumerate(cells):
        if len(cell) > longest and np.isnan(whole[place]).any():
            whole[place] = np.where(np.isnan(whole[place]), seen_before(cell[:-longest]), whole[place])
    return whole


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
