"""What a block of preprocessing keeps, and the two shapes of what it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Feed, Split
from steelyard.learners._graph import Graph, table


@dataclass(frozen=True, slots=True)
class Dense:
    """A float32 tensor of shape (n, width)."""

    tensor: str
    width: int


@dataclass(frozen=True, slots=True)
class Sparse:
    """A few of ``width`` features a row: int64 ids and float32 weights, both (n, L).

    The id ``width`` stands for none. Without ``weights`` every id counts as one.
    """

    ids: str
    weights: str | None
    width: int


class Block(Protocol):
    """Fitted preprocessing of some columns: knows its feeds, and adds its nodes to a graph."""

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What fills its graph inputs."""
        ...

    @property
    def files(self) -> Mapping[str, bytes]:
        """What its feeds read."""
        ...

    def build(self, graph: Graph) -> Dense | Sparse:
        """Add inputs and nodes."""
        ...


@runtime_checkable
class Learnt(Protocol):
    """A block whose features hold the target of the rows it was fitted on, so those rows must see other ones."""

    def train_matrix(self, train: Split) -> NDArray[np.float32]:
        """Return the features of the training rows, shape (n, width), each learnt without the row itself."""
        ...


def side_by_side(graph: Graph, parts: Sequence[Dense]) -> str:
    """Add what several blocks made as one float32 tensor, (n, all their widths)."""
    tensors = [part.tensor for part in parts]
    return graph.add("Concat", *tensors, axis=1) if len(tensors) > 1 else tensors[0]


def project(graph: Graph, made: Dense | Sparse, weights: NDArray[Any]) -> str:
    """Add the product of what a block made with ``weights``, shape (width, k); returns a float32 (n, k) tensor.

    A sparse product gathers the rows of the ids and sums them, so its cost does not grow with ``width``.
    """
    if isinstance(made, Dense):
        return graph.add("MatMul", made.tensor, graph.constant(weights.astype(np.float32)))
    rows = graph.add("Gather", graph.constant(table(weights)), made.ids, axis=0)
    axis = graph.constant(np.array([1], np.int64))
    if made.weights is None:
        return graph.add("ReduceSum", rows, axis, keepdims=0)
    across = graph.add("Unsqueeze", made.weights, axis)
    return graph.add("Squeeze", graph.add("MatMul", across, rows), axis)
