"""The preprocessing as one graph, run by ONNX Runtime to make the matrix that a model trains on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.clock import Phase, phase
from steelyard.contracts import Columns, Feed, Split
from steelyard.errors import need
from steelyard.learners._block import Block, Dense, Learnt, Sparse
from steelyard.learners._graph import Graph, Shape, session

Matrix = Any
"""A float32 array, or a scipy CSR matrix (which has no types), of shape (n, width)."""


@dataclass(frozen=True, slots=True)
class Prelude:
    """Blocks side by side: their feeds, their files, their features in order."""

    blocks: tuple[Block, ...]

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What fills the graph inputs."""
        return tuple(feed for block in self.blocks for feed in block.feeds)

    @property
    def files(self) -> dict[str, bytes]:
        """What the feeds read."""
        return {name: content for block in self.blocks for name, content in block.files.items()}

    def build(self, graph: Graph) -> tuple[Dense | Sparse, ...]:
        """Add the nodes of every block."""
        return tuple(block.build(graph) for block in self.blocks)

    @phase(Phase.PREPARING)
    def run(self, columns: Columns, *, threads: int) -> tuple[Matrix, ...]:
        """Return the features of each block, shape (n, width): an array where dense, CSR where sparse."""
        graph = Graph()
        made = self.build(graph)
        ends = [end for item in made for end in _ends(item)]
        runtime = session(graph.seal(*ends), threads=threads)
        fronts = [FRONT_ENDS[feed.front_end](feed, self.files) for feed in self.feeds]
        rows = len(next(iter(columns.values())))
        step = min(front.batch for front in fronts)
        parts: list[list[Matrix]] = [[] for _ in made]
        for start in range(0, max(rows, 1), step):
            some = {name: values[start : start + step] for name, values in columns.items()}
            tensors = {name: tensor for front in fronts for name, tensor in front(some).items()}
            found = dict(zip([end[0] for end in ends], runtime.run(None, tensors), strict=True))
            for part, item in zip(parts, made, strict=True):
                part.append(_features(item, found))
        return tuple(_stack(part) for part in parts)

    @phase(Phase.PREPARING)
    def train(self, train: Split, *, threads: int) -> tuple[Matrix, ...]:
        """Return the features of the rows that the blocks were fitted on, as a model may train on them.

        They are those of :meth:`run`, but for blocks that have looked at the target (:class:`Learnt`).
        """
        parts = self.run(train.columns, threads=threads)
        return tuple(
            block.train_matrix(train) if isinstance(block, Learnt) else part
            for block, part in zip(self.blocks, parts, strict=True)
        )


def _ends(made: Dense | Sparse) -> list[tuple[str, int, Shape]]:
    """Return the outputs that hold what a block made."""
    if isinstance(made, Dense):
        return [(made.tensor, TensorProto.FLOAT, ["n", made.width])]
    ids = (made.ids, TensorProto.INT64, ["n", None])
    return [ids] if made.weights is None else [ids, (made.weights, TensorProto.FLOAT, ["n", None])]


def _sparse() -> Any:
    return need("scipy.sparse", for_="features that are mostly zero")


def _features(made: Dense | Sparse, found: Mapping[str, NDArray[Any]]) -> Matrix:
    if isinstance(made, Dense):
        return found[made.tensor]
    ids = found[made.ids]
    weights = np.ones(ids.shape, np.float32) if made.weights is None else found[made.weights]
    known = ids < made.width
    ends = np.concatenate([[0], known.sum(axis=1).cumsum()])
    return _sparse().csr_matrix((weights[known], ids[known], ends), shape=(len(ids), made.width))


def _stack(parts: list[Matrix]) -> Matrix:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else _sparse().vstack(parts, format="csr")


def beside(parts: tuple[Matrix, ...]) -> Matrix:
    """Return features side by side: an array if all are, else CSR."""
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts, axis=1)
    return _sparse().hstack(parts, format="csr")
