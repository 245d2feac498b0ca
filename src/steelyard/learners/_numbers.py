"""Numbers and times: shifted in double, then cast to float32; missing ones filled, flagged or kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import Columns, Feed, Floats
from steelyard.learners._block import Dense
from steelyard.learners._graph import Graph

FAR = 100.0
"""Most standard deviations that a linear model is told of, so that sums in float32 keep their digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Number and time columns as one float32 matrix.

    Every column is shifted by its median in double before the cast: float32 has 24 bits, so epoch seconds would
    lose their minutes. ``fill`` is what stands for a missing cell after that, 0 (the median) or NaN; ``flags``
    are the columns that get an indicator of missing cells beside them; ``tag`` names the input.
    """

    columns: tuple[str, ...]
    shift: Floats
    scale: Floats
    fill: Floats
    flags: tuple[int, ...] = ()
    far: float | None = None
    """Where values are cut off, in scaled units."""
    tag: str = "numbers"

    @classmethod
    def fit(cls, columns: Columns, names: tuple[str, ...], *, standard: bool) -> Numbers:
        """Learn medians, and with ``standard`` also standard deviations and which columns have missing cells.

        Without ``standard`` missing cells stay NaN, for models that split on them; in columns that had none
        while training nothing was learnt about them, and they become the median.
        """
        feed = Feed("numbers", ("numbers",), names)
        return cls.of(FRONT_ENDS["numbers"](feed, {})(columns)["numbers"], names, standard=standard)

    @classmethod
    def of(cls, cells: Floats, names: tuple[str, ...], *, standard: bool, tag: str = "numbers") -> Numbers:
        """Learn the same of float64 cells, shape (n, columns), that a front end of another name fills ``tag`` with."""
        holes = np.isnan(cells)
        shift = np.array([_median(column) for column in cells.T])
        gaps = holes.any(axis=0)
        if not standard:
            nothing = np.ones_like(shift)
            return cls(columns=names, shift=shift, scale=nothing, fill=np.where(gaps, np.nan, 0.0), tag=tag)
        spread = np.where(holes, 0.0, cells - shift).std(axis=0)
        scale = 1.0 / np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
        flags = tuple(np.flatnonzero(gaps & ~holes.all(axis=0)).tolist())
        fill = np.zeros_like(shift)
        return cls(columns=names, shift=shift, scale=scale, fill=fill, flags=flags, far=FAR, tag=tag)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """One tensor of numbers."""
        return (Feed("numbers", (self.tag,), self.columns),)

    @property
    def files(self) -> Mapping[str, bytes]:
        """No files."""
        return {}

    def build(self, graph: Graph) -> Dense:
        """Add the nodes: shift, scale, cast, fill, flag."""
        cells = graph.input(self.tag, TensorProto.DOUBLE, ["n", len(self.columns)])
        near = graph.add("Sub", cells, graph.constant(self.shift))
        if not np.all(self.scale == 1):
            near = graph.add("Mul", near, graph.constant(self.scale))
        near = graph.add("Cast", near, to=TensorProto.FLOAT)
        holes = graph.add("IsNaN", near)
        if not np.all(np.isnan(self.fill)):
            near = graph.add("Where", holes, graph.constant(self.fill.astype(np.float32)), near)
        if self.far is not None:
            ends = (graph.constant(np.array(end, np.float32)) for end in (-self.far, self.far))
            near = graph.add("Clip", near, *ends)
        if not self.flags:
            return Dense(near, len(self.columns))
        picked = graph.add("Gather", holes, graph.constant(np.array(self.flags, np.int64)), axis=1)
        marks = graph.add("Cast", picked, to=TensorProto.FLOAT)
        return Dense(graph.add("Concat", near, marks, axis=1), len(self.columns) + len(self.flags))


def _median(column: Floats) -> float:
    known = column[np.isfinite(column)]
    return float(np.median(known)) if len(known) else 0.0
