"""Numbers as pieces of a spline, so that a sum of weights can bend.

A piece is 0 below its interval, 1 above it, and a straight line inside, so weights on the pieces of one column make
any line with corners at the knots, and a weight is the rise over its interval: a penalty on squared weights is one on
differences, as in Eilers and Marx, "Flexible smoothing with B-splines and penalties" (1996). Straight pieces rather
than cubic ones because they cost four nodes and lose no digits in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Columns, Feed
from steelyard.learners._block import Block, Dense
from steelyard.learners._graph import Graph
from steelyard.learners._prelude import Prelude

FEW = 32
"""Distinct values up to which a column gets a knot on each, which is to say a weight for each."""

CLOSE = 1e-6
"""Shortest interval."""

Knots = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Splines:
    """Pieces of some features of a dense block, behind the features themselves unless ``alone``.

    Piece ``i`` is ``clip((x - low[i]) / (high[i] - low[i]), 0, 1)`` of the feature ``places[i]``.
    """

    inner: Block
    places: tuple[int, ...]
    low: Knots
    high: Knots
    alone: bool = False

    @classmethod
    def fit(
        cls, inner: Block, columns: Columns, *, among: tuple[int, ...] | None = None, most: int, alone: bool = False
    ) -> Splines | None:
        """Place knots on the training rows; return ``None`` where no feature has more than two values.

        Parameters
        ----------
        inner
            A dense block without NaN.
        among
            Which of its features may bend; unset: all.
        most
            Most pieces of a feature with many values.
        """
        (matrix,) = Prelude((inner,)).run(columns, threads=1)
        found = {place: knots(matrix[:, place], most) for place in among or range(matrix.shape[1])}
        bent = {place: ends for place, ends in found.items() if len(ends) > 2}
        if not bent:
            return None
        return cls(
            inner=inner,
            places=tuple(place for place, ends in bent.items() for _ in ends[1:]),
            low=np.concatenate([ends[:-1] for ends in bent.values()]),
            high=np.concatenate([ends[1:] for ends in bent.values()]),
            alone=alone,
        )

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """Those of the block."""
        return self.inner.feeds

    @property
    def files(self) -> Mapping[str, bytes]:
        """Those of the block."""
        return self.inner.files

    def build(self, graph: Graph) -> Dense:
        """Add the nodes: pick, shift, scale, cut off."""
        made = self.inner.build(graph)
        assert isinstance(made, Dense), "splines are of dense features"
        picked = graph.add("Gather", made.tensor, graph.constant(np.array(self.places, np.int64)), axis=1)
        above = graph.add("Sub", picked, graph.constant(self.low))
        share = graph.add("Mul", above, graph.constant(1 / (self.high - self.low)))
        ends = (graph.constant(np.array(end, np.float32)) for end in (0, 1))
        pieces = graph.add("Clip", share, *ends)
        if self.alone:
            return Dense(pieces, len(self.places))
        return Dense(graph.add("Concat", made.tensor, pieces, axis=1), made.width + len(self.places))


def knots(values: Knots, most: int, *, few: int = FEW) -> Knots:
    """Return where a feature may bend, ends included: at every value of up to ``few``, else at quantiles.

    A value that alone fills an interval's share of rows (no capital gain, no rain) gets a knot of its own, and the
    quantiles are those of the other rows.

    Examples
    --------
    >>> knots(np.array([1, 1, 3, 2], np.float32), 8).tolist()
    [1.0, 2.0, 3.0]
    >>> knots(np.r_[np.zeros(900), np.arange(1, 101)].astype(np.float32), 4).tolist()
    [0.0, 1.0, 34.0, 67.0, 100.0]
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= min(few, 2 * most):
        return _apart(distinct)
    heavy = distinct[counts * most > len(values)]
    rest = values[~np.isin(values, heavy)]
    shares = np.linspace(0, 1, max(2, most - len(heavy)) + 1)
    return _apart(np.unique(np.concatenate([heavy, np.quantile(rest, shares, method="lower")])))


def _apart(ends: Knots) -> Knots:
    """Drop knots that float32 can hardly tell from the one before."""
    return ends[np.diff(ends, prepend=-np.inf) > CLOSE]
