"""Pairs of features together: a weight for each cell of their table, or products and quotients to split on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.contracts import Columns, Feed
from steelyard.learners._block import Block, Dense, Sparse
from steelyard.learners._graph import Graph
from steelyard.learners._pairs import Pair
from steelyard.learners._prelude import Prelude, beside
from steelyard.learners._splines import knots

EACH = 24
"""Distinct values up to which each has a row of the table."""


def joined(graph: Graph, inner: tuple[Block, ...]) -> Dense:
    """Add the nodes of dense blocks, side by side."""
    made = [block.build(graph) for block in inner]
    dense = [item for item in made if isinstance(item, Dense)]
    assert len(dense) == len(made), "pairs are of dense features"
    tensor = graph.add("Concat", *(item.tensor for item in dense), axis=1)
    return Dense(tensor, sum(item.width for item in dense))


@dataclass(frozen=True, slots=True, kw_only=True)
class Crosses:
    """One id a pair and row: in which cell of the pair's table the row lies.

    ``edges`` holds the features' inner bounds, shape (features, most), filled up with infinity: the code of a value
    is how many of them it reaches. ``pairs`` are places among the features of the inner blocks.
    """

    inner: tuple[Block, ...]
    edges: NDArray[np.float32]
    pairs: tuple[Pair, ...]

    @classmethod
    def fit(cls, inner: tuple[Block, ...], columns: Columns, pairs: tuple[Pair, ...]) -> Crosses:
        """Cut each feature at quantiles of the training rows, or between its values where they are few."""
        matrix = beside(Prelude(inner).run(columns, threads=1))
        found = [bounds(feature, len(matrix)) for feature in matrix.T]
        edges = np.full((len(found), max(map(len, found))), np.inf, np.float32)
        for row, some in zip(edges, found, strict=True):
            row[: len(some)] = some
        return cls(inner=inner, edges=edges, pairs=pairs)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """Those of the inner blocks."""
        return tuple(feed for block in self.inner for feed in block.feeds)

    @property
    def files(self) -> Mapping[str, bytes]:
        """Those of the inner blocks."""
        return {name: content for block in self.inner for name, content in block.files.items()}

    def build(self, graph: Graph) -> Sparse:
        """Add the nodes: codes of the features, then one id a pair."""
        made = joined(graph, self.inner)
        first, second = np.array(self.pairs, np.int64).T
        sizes = np.isfinite(self.edges).sum(axis=1) + 1
        cells = sizes[first] * sizes[second]
        axis = graph.constant(np.array([2], np.int64))
        reached = graph.add("GreaterOrEqual", graph.add("Unsqueeze", made.tensor, axis), graph.constant(self.edges))
        codes = graph.add("ReduceSum", graph.add("Cast", reached, to=TensorProto.INT64), axis, keepdims=0)
        row, column = (graph.add("Gather", codes, graph.constant(places), axis=1) for places in (first, second))
        inside = graph.add("Add", graph.add("Mul", row, graph.constant(sizes[second])), column)
        starts = np.concatenate([[0], np.cumsum(cells)[:-1]]).astype(np.int64)
        return Sparse(graph.add("Add", inside, graph.constant(starts)), None, int(cells.sum()))


def bounds(feature: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    """Return the inner bounds of a feature's codes: between its values if they are few, else quantiles.

    There are some ``rows ** (1 / 3)`` quantiles, so that a cell of two features has the more rows the more there are.

    Examples
    --------
    >>> bounds(np.array([1, 2, 2, 4], np.float32), 4).tolist()
    [1.5, 3.0]
    """
    distinct = np.unique(feature)
    if len(distinct) <= EACH:
        return ((distinct[1:] + distinct[:-1]) / 2).astype(np.float32)
    return knots(feature, max(2, round(2 / 3 * rows ** (1 / 3))), few=0)[1:-1]
