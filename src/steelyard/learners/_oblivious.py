"""Oblivious trees as a few dense ONNX nodes.

All nodes of one level of such a tree ask the same question, so a leaf is the number that the answers spell in binary,
one bit a level (Kohavi, "Bottom-up induction of oblivious read-once decision graphs", 1994). Looked up instead of
walked down, such trees take a fraction of the bytes of a ``TreeEnsembleRegressor``, which has a record a node; they
load at once, and a batch is answered faster for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.contracts import Floats, Ints
from steelyard.learners._graph import Graph

DEEPEST = 8
"""Levels that fit into the eight bits of a place."""
AT_ONCE = 2000
"""Trees times sums that are added up at once: 64 MB a batch of 8,192 rows."""


Question = tuple[int, float]
"""A column of a float32 matrix, and the border that its value is above or not; NaN never is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Several questions, as arrays."""

    columns: Ints
    borders: NDArray[np.float32]

    @classmethod
    def of(cls, questions: Iterable[Question]) -> Questions:
        """Return questions in their order."""
        pairs = list(questions)
        columns = np.array([column for column, _ in pairs], np.int64)
        return cls(columns=columns, borders=np.array([border for _, border in pairs], np.float32))

    def __len__(self) -> int:
        return len(self.columns)

    def answers(self, graph: Graph, matrix: str, *, to: int) -> str:
        """Add the answers as 0 and 1 of an element type, shape (questions, n): rows of the batch lie in a row."""
        cells = graph.add("Gather", graph.add("Transpose", matrix, perm=[1, 0]), _index(graph, self.columns), axis=0)
        above = graph.add("Greater", cells, graph.constant(self.borders.reshape(-1, 1)))
        return graph.add("Cast", above, to=to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oblivious:
    """Some trees, each a level of questions after the other, and their leaves in one table.

    ``levels`` has shape (depth, trees) and holds places of questions, -1 where a tree has fewer levels: such a bit is
    0. The answers at level d weigh 2^d, and their sum plus ``starts`` is the row of ``leaves``, shape (all leaves,
    sums).
    """

    questions: Questions
    levels: Ints
    starts: Ints
    leaves: Floats

    @classmethod
    def of(cls, questions: Questions, splits: Sequence[Sequence[int]], leaves: Sequence[Floats]) -> Oblivious:
        """Return trees, each given by the places of its questions from the lowest bit up and its leaves."""
        levels = np.full((max(1, *map(len, splits)), len(splits)), -1, np.int64)
        for tree, places in enumerate(splits):
            levels[: len(places), tree] = places
        starts = np.cumsum([0, *map(len, leaves[:-1])])
        return cls(questions=questions, levels=levels, starts=starts, leaves=np.concatenate(leaves))

    def build(self, graph: Graph, matrix: str) -> str:
        """Add the sums over all trees, float32 (n, sums)."""
        trees, sums = self.levels.shape[1], self.leaves.shape[1]
        known, places = np.unique(self.levels, return_inverse=True)
        places = places.reshape(self.levels.shape)
        bits = self._asked(known).answers(graph, matrix, to=TensorProto.UINT8)
        leaves = graph.constant(self.leaves.astype(np.float32))
        groups = np.array_split(np.arange(trees), -(-trees * sums // AT_ONCE))
        found = [_sums(graph, bits, leaves, places[:, group], self.starts[group]) for group in groups]
        return graph.add("Sum", *found) if len(found) > 1 else found[0]

    def _asked(self, places: Ints) -> Questions:
        """Return the questions at some places, -1 as one that is always answered with no."""
        columns = np.append(self.questions.columns, 0)[places]
        borders = np.append(self.questions.borders, np.float32(np.inf))[places]
        return Questions(columns=columns, borders=borders)


def _sums(graph: Graph, bits: str, leaves: str, places: Ints, starts: Ints) -> str:
    """Add the sums over some trees, of the answers that stand at ``places``, shape (depth, trees)."""
    depth, trees = places.shape
    spelt = graph.add("Gather", bits, _index(graph, places), axis=0)
    spelt = graph.add("Reshape", spelt, graph.constant(np.array([depth, -1], np.int64)))
    weights = (1 << np.arange(depth)).astype(np.uint8).reshape(1, depth)
    leaf = graph.add("MatMulInteger", graph.constant(weights), spelt)
    leaf = graph.add("Reshape", leaf, graph.constant(np.array([trees, -1], np.int64)))
    leaf = graph.add("Add", leaf, _index(graph, starts.reshape(-1, 1)))
    values = graph.add("Gather", leaves, leaf, axis=0)
    return graph.add("ReduceSum", values, graph.constant(np.array([0], np.int64)), keepdims=0)


def _index(graph: Graph, places: Ints) -> str:
    return graph.constant(places.astype(np.int32))
