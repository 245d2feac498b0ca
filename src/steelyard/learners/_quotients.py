"""Differences and quotients of pairs of numbers, which a tree could only approach by many steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.contracts import Columns, Feed, Floats
from steelyard.learners._block import Dense
from steelyard.learners._graph import Graph
from steelyard.learners._pairs import Pair
from steelyard.learners._prelude import Prelude

LARGEST, FAR = 1e30, 10.0
"""Where features are cut off: so that they stay finite in float32, and so that models that add up stay calm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotients:
    """``a - b * rate`` and ``a / b`` of each pair of columns, worked out in double, then shifted and scaled.

    ``rates`` are the spread of the first over that of the second. What cannot be worked out, because a cell is
    missing or ``b`` is 0, is ``fill``; what lies beyond ``far`` is cut off.
    """

    columns: tuple[str, ...]
    pairs: tuple[Pair, ...]
    rates: Floats
    shift: Floats
    scale: Floats
    fill: Floats
    far: float = LARGEST

    @classmethod
    def fit(cls, columns: Columns, names: tuple[str, ...], pairs: tuple[Pair, ...], *, standard: bool) -> Quotients:
        """Learn spreads and gaps; ``pairs`` are places among ``names``.

        With ``standard`` features are distances from their median in widths of their middle half, and the median
        stands for what cannot be worked out. Without, they are as they are, and NaN does where training met that.
        """
        cells = FRONT_ENDS["numbers"](Feed("numbers", ("pairs",), names), {})(columns)["pairs"]
        known = np.where(np.isfinite(cells), cells, np.nan)
        spread = np.nanstd(known, axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        first, second = np.array(pairs).T
        rates = spread[first] / spread[second]
        nothing, one = np.zeros(2 * len(pairs)), np.ones(2 * len(pairs))
        shared = {"columns": names, "pairs": pairs, "rates": rates}
        plain = cls(**shared, shift=nothing, scale=one, fill=nothing + np.nan)
        (matrix,) = Prelude((plain,)).run(columns, threads=1)
        usual = np.array(
            [np.median(known) if len(known := feature[~np.isnan(feature)]) else 0 for feature in matrix.T], np.float64
        )
        if not standard:
            return cls(**shared, shift=nothing, scale=one, fill=np.where(np.isnan(matrix).any(axis=0), np.nan, usual))
        low, high = np.quantile(np.where(np.isnan(matrix), usual, matrix).astype(np.float64), [0.25, 0.75], axis=0)
        width = np.where(high > low, high - low, 1.0)
        return cls(**shared, shift=usual, scale=1 / width, fill=nothing, far=FAR)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """One tensor of numbers."""
        return (Feed("numbers", ("pairs",), self.columns),)

    @property
    def files(self) -> Mapping[str, bytes]:
        """No files."""
        return {}

    def build(self, graph: Graph) -> Dense:
        """Add the nodes: pick, subtract, divide, cut off, cast, fill."""
        cells = graph.input("pairs", TensorProto.DOUBLE, ["n", len(self.columns)])
        first, second = (
            graph.add("Gather", cells, graph.constant(places), axis=1) for places in np.array(self.pairs, np.int64).T
        )
        apart = graph.add("Sub", first, graph.add("Mul", second, graph.constant(self.rates)))
        nothing, nan = graph.constant(np.array(0.0)), graph.constant(np.array(np.nan))
        below = graph.add("Where", graph.add("Equal", second, nothing), nan, second)
        made = graph.add("Concat", apart, graph.add("Div", first, below), axis=1)
        if not (np.all(self.shift == 0) and np.all(self.scale == 1)):
            made = graph.add("Mul", graph.add("Sub", made, graph.constant(self.shift)), graph.constant(self.scale))
        ends = (graph.constant(np.array(end)) for end in (-self.far, self.far))
        near = graph.add("Cast", graph.add("Clip", made, *ends), to=TensorProto.FLOAT)
        fill = graph.constant(self.fill.astype(np.float32))
        return Dense(graph.add("Where", graph.add("IsNaN", near), fill, near), 2 * len(self.pairs))
