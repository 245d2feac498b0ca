"""Steps of series as one tensor: histories that end together, gaps filled from the step before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends.base import Cells, RowRefused, Tensors, column, options_of, shape_of
from steelyard.contracts import Columns, Feed, Floats, Kind
from steelyard.errors import BundleRefused

_LARGEST = 100_000


@dataclass(frozen=True, slots=True)
class Series:
    """``inputs[0]`` float32 (n, steps, channels); ``inputs[1]``, where asked for, float32 (n, channels).

    Cells with more steps lose their first ones, those with fewer are padded before their first. A missing value takes
    that of the step before, what stands before the first known value takes that one, and a channel without any is 0.
    ``inputs[1]`` counts the steps from the first known value on. Options: ``steps`` and ``channels``.
    """

    inputs: tuple[str, ...]
    column: str
    steps: int
    channels: int

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SEQUENCE})

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Series:
        """Return the extractor of a length."""
        del files
        shape_of(feed, inputs=min(len(feed.inputs), 2), columns=1)
        given = options_of(feed, {"steps": ..., "channels": ...})
        for name, value in given.items():
            if not (isinstance(value, int) and 1 <= value <= _LARGEST):
                raise BundleRefused(f"front end 'series': {name} must be 1 to {_LARGEST}; got {value!r}")
        return cls(feed.inputs, feed.columns[0], **given)

    @property
    def batch(self) -> int:
        """Most rows at once: short histories many, long ones few."""
        return min(max(2**22 // (self.steps * self.channels), 8), 4096)

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensors of some rows.

        Raises
        ------
        RowRefused
            If a row has another number of channels.
        """
        return self._tensors(list(column(columns, self.column)))

    def row(self, cells: Cells) -> Tensors:
        """Return the tensors of one row."""
        return self._tensors([cells[self.column]])

    def _tensors(self, cells: list[Any]) -> Tensors:
        filled, counts = filled_of(self._stacked(cells))
        tensors = (filled, counts.astype(np.float32))
        return dict(zip(self.inputs, tensors, strict=False))

    def _stacked(self, cells: list[Any]) -> NDArray[np.float32]:
        made = np.full((len(cells), self.steps, self.channels), np.nan, np.float32)
        for row, cell in enumerate(cells):
            values = np.zeros((0, self.channels), np.float32) if cell is None else np.asarray(cell, np.float32)
            if values.ndim != 2 or values.shape[1] != self.channels:
                raise RowRefused(
                    row,
                    f" of column {self.column!r} has shape {values.shape}; give steps of {self.channels} numbers each, "
                    "the latest last",
                )
            kept = values[-self.steps :]
            made[row, self.steps - len(kept) :] = kept
        return made


def filled_of(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], Floats]:
    """Return steps without gaps, and how many steps there are from the first known value of each channel on.

    Parameters
    ----------
    values
        Shape (n, steps, channels), NaN where nothing is known.

    Examples
    --------
    >>> filled, counts = filled_of(np.array([[[np.nan], [2.0], [np.nan], [4.0]]], np.float32))
    >>> filled[0, :, 0].tolist(), counts.tolist()
    ([2.0, 2.0, 2.0, 4.0], [[3.0]])
    """
    known = ~np.isnan(values)
    steps = values.shape[1]
    first = np.where(known.any(axis=1), known.argmax(axis=1), steps)
    counts = (steps - first).astype(np.float64)
    if known.all():
        return values, counts
    place = np.maximum.accumulate(np.where(known, np.arange(steps)[None, :, None], -1), axis=1)
    place = np.where(place < 0, np.minimum(first, steps - 1)[:, None, :], place)
    filled = np.take_along_axis(values, place, axis=1)
    return np.nan_to_num(filled, nan=0.0), counts
