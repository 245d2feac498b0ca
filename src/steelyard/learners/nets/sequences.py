"""What a net reads of sequences: padded readings with their mask, and the scale of each channel for the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends import FRONT_ENDS, Extractor
from steelyard.clock import Phase, phase
from steelyard.contracts import Columns, Feed, Floats, Ints, Kind, Split, Work
from steelyard.learners.nets.scale import Scale

if TYPE_CHECKING:
    from torch import Tensor

VALUES, MASK = "values", "mask"
"""The inputs of a net's graph."""
MOST_STEPS = 1000
"""Readings of a row that a net reads where nothing else is asked for, the last ones."""


@dataclass(frozen=True, slots=True)
class Read:
    """Rows of one column of sequences, padded batch by batch."""

    extract: Extractor
    column: str
    cells: NDArray[np.object_]
    lengths: Ints | None
    """Steps of each row; ``None`` where all have as many."""

    def __len__(self) -> int:
        return len(self.cells)

    def batch(self, rows: Ints) -> dict[str, Tensor]:
        """Return values, float32 (n, steps, channels + marks), and mask, float32 (n, steps)."""
        import torch  # noqa: PLC0415 - describing a learner loads no PyTorch

        made = self.extract({self.column: self.cells[rows]})
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in made.items()}


@dataclass(frozen=True, slots=True)
class Sequences:
    """The reading of one column of sequences.

    Attributes
    ----------
    feeds
        One feed of the front end ``sequence``.
    centre, spread
        Mean and standard deviation of each channel in training, shape (channels,), for the first node of the graph.
    marks
        Channels that have a mark of missing readings behind the values.
    longest
        Steps of the longest row that is read.
    within
        Of values that are predicted the least and the greatest in training, in the scale of training.
    """

    feeds: tuple[Feed, ...]
    centre: Floats
    spread: Floats
    marks: int
    longest: int
    within: tuple[float, float] | None
    files: Mapping[str, bytes] = field(default_factory=dict)

    def material(self, columns: Columns) -> Read:
        """Return some rows."""
        (feed,) = self.feeds
        name = feed.columns[0]
        cells = columns[name]
        lengths = np.fromiter((min(len(cell), self.longest) for cell in cells), np.int64, count=len(cells))
        alike = len(lengths) > 0 and (lengths == lengths[0]).all()
        return Read(FRONT_ENDS[feed.front_end](feed, self.files), name, cells, None if alike else lengths)


@phase(Phase.PREPARING)
def learned(train: Split, work: Work, *, longest: int) -> Sequences:
    """Return the reading of the one column of sequences, with scales learned from training rows.

    Parameters
    ----------
    longest
        Most readings of a row; 0: those of the longest row, :data:`MOST_STEPS` at most.
    """
    (column,) = work.schema.of(Kind.SEQUENCE)
    cells = train.columns[column.name]
    most = max(map(len, cells), default=1) or 1
    longest = min(most, longest or MOST_STEPS)
    centre, spread, gaps = scales([cell[-longest:] for cell in cells], len(column.channels))
    marked = np.flatnonzero(gaps).tolist()
    options = {"longest": longest, "fill": centre.tolist(), "marked": marked}
    feed = Feed("sequence", (VALUES, MASK), (column.name,), options)
    return Sequences((feed,), centre, spread, len(marked), longest, _within(train, work))


def scales(cells: list[NDArray[np.float32]], channels: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return mean and standard deviation of each channel over all known readings, and which ones have gaps.

    A channel without readings, or without spread, is left as it is.

    Examples
    --------
    >>> centre, spread, gaps = scales([np.array([[1.0, 2.0], [3.0, np.nan]], np.float32)], 2)
    >>> centre.tolist(), spread.tolist(), gaps.tolist()
    ([2.0, 2.0], [1.0, 1.0], [False, True])
    """
    total, square, count = (np.zeros(channels) for _ in range(3))
    steps = 0
    first = np.nan_to_num(next((np.nanmax(cell, axis=0, initial=0) for cell in cells if len(cell)), np.zeros(channels)))
    for cell in cells:
        known = ~np.isnan(cell)
        near = np.where(known, cell - first, 0.0)  # near zero, so that squares keep their digits
        total += near.sum(axis=0)
        square += (near**2).sum(axis=0)
        count += known.sum(axis=0)
        steps += len(cell)
    mean = total / np.maximum(count, 1)
    spread = np.sqrt(np.maximum(square / np.maximum(count, 1) - mean**2, 0.0))
    floor = 1e-6 * np.abs(first + mean)
    return np.where(count > 0, first + mean, 0.0), np.where(spread > floor, spread, 1.0), count < steps


def _within(train: Split, work: Work) -> tuple[float, float] | None:
    if work.task.classes or train.target.ndim > 1:
        return None
    target = Scale.of(train, work.task).target(train.target)
    return float(np.nanmin(target)), float(np.nanmax(target))
