"""Trees of any shape as one ONNX node.

ONNX compares in float32 while LightGBM and scikit-learn compare with doubles: each threshold is rounded down to the
next float32, which sends every float32 value to the same side. (A rounding to the nearest, as converters do, sends a
value just above a threshold to the wrong side.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints
from steelyard.learners._graph import Graph

_SPLIT, _LEAF = b"BRANCH_LEQ", b"LEAF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One tree; all arrays but the last two have shape (nodes,), and node 0 is the root.

    A row goes ``left`` where its ``feature`` is at most ``cut``, or is NaN and ``missing_left`` is true. Leaves are the
    nodes whose ``left`` is -1; ``weights``, shape (leaves, targets), holds what each adds to the sums ``targets``.
    """

    feature: Ints
    cut: Floats
    left: Ints
    right: Ints
    missing_left: NDArray[np.bool_]
    weights: Floats
    targets: Ints


def forest(graph: Graph, matrix: str, trees: Sequence[Tree], *, sums: int) -> str:
    """Add the sums of all trees, float32 (n, sums)."""
    sizes = [len(tree.left) for tree in trees]
    left = np.concatenate([tree.left for tree in trees])
    leaf = left < 0
    number, node = np.repeat(np.arange(len(trees)), sizes), np.concatenate([np.arange(size) for size in sizes])

    def of_splits(name: str) -> NDArray[Any]:
        values = np.concatenate([getattr(tree, name) for tree in trees])
        return np.where(leaf, values.dtype.type(0), values)

    nodes: dict[str, Any] = {
        "nodes_treeids": number,
        "nodes_nodeids": node,
        "nodes_modes": np.where(leaf, np.array(_LEAF, object), np.array(_SPLIT, object)),
        "nodes_featureids": of_splits("feature"),
        "nodes_values": floor32(of_splits("cut")),
        "nodes_truenodeids": of_splits("left"),
        "nodes_falsenodeids": of_splits("right"),
        "nodes_missing_value_tracks_true": of_splits("missing_left").astype(np.int64),
    }
    targets = _targets(trees, number[leaf], node[leaf])
    return graph.add("TreeEnsembleRegressor", matrix, n_targets=sums, post_transform="NONE", **nodes, **targets)


def _targets(trees: Sequence[Tree], number: Ints, node: Ints) -> dict[str, Any]:
    """Return what leaves add to which sums; zeros are left out, but for one a leaf."""
    first, found = 0, list[tuple[Ints, Ints, Floats]]()
    for tree in trees:
        kept = tree.weights != 0
        kept[:, 0] |= ~kept.any(axis=1)
        rows, columns = np.nonzero(kept)
        found.append((first + rows, tree.targets[columns], tree.weights[rows, columns]))
        first += len(tree.weights)
    leaves, ids, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return {
        "target_treeids": number[leaves],
        "target_nodeids": node[leaves],
        "target_ids": ids,
        "target_weights": weights.astype(np.float32),
    }


def floor32(values: Floats) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each value.

    Examples
    --------
    >>> float(floor32(np.array([0.1]))[0]) <= 0.1 < float(np.float32(0.1))
    True
    """
    near = values.astype(np.float32)
    below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near.astype(np.float64) > values, below, near)
