"""LightGBM's trees as one ONNX node.

Read from LightGBM's own text format. ONNX compares in float32 while LightGBM's thresholds are doubles: each is
rounded down to the next float32, which sends every float32 value to the same side. (A rounding to the nearest, as
converters do, sends a value just above a threshold to the wrong side.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats
from steelyard.learners._graph import Graph

_DEFAULT_LEFT, _MISSING_NAN = 2, 8
"""Bits of LightGBM's ``decision_type``."""


def trees(graph: Graph, matrix: str, model: str, *, sums: int) -> str:
    """Add the sums of all trees, float32 (n, sums); tree t adds to sum t modulo ``sums``."""
    parts = [_tree(number, _fields(text), sums) for number, text in enumerate(model.split("\nTree=")[1:])]
    joined: dict[str, Any] = {key: [value for part in parts for value in part[key]] for key in parts[0]}
    return graph.add("TreeEnsembleRegressor", matrix, n_targets=sums, post_transform="NONE", **joined)


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


def _fields(text: str) -> dict[str, NDArray[np.float64]]:
    """Return the arrays of one tree's text: lines of ``name=numbers``."""
    lines = dict(line.split("=", maxsplit=1) for line in text.split("\n\n", maxsplit=1)[0].splitlines() if "=" in line)
    return {name: np.array(value.split(), np.float64) for name, value in lines.items()}


def _tree(number: int, fields: dict[str, NDArray[np.float64]], sums: int) -> dict[str, list[Any]]:
    """Return the attributes of one tree: its splits numbered as LightGBM does, then its leaves."""
    leaves = fields["leaf_value"]
    splits = len(leaves) - 1
    nothing = np.zeros(len(leaves))

    def of(name: str) -> NDArray[np.float64]:
        return fields[name] if splits else np.zeros(0)

    kinds, cuts = of("decision_type").astype(np.int64), of("threshold")
    # Where training saw nothing missing, LightGBM reads NaN as 0.
    left = np.where(kinds & _MISSING_NAN, (kinds & _DEFAULT_LEFT) > 0, cuts >= 0)
    nodes = np.arange(splits + len(leaves))
    return {
        "nodes_treeids": [number] * len(nodes),
        "nodes_nodeids": nodes.tolist(),
        "nodes_featureids": np.append(of("split_feature"), nothing).astype(int).tolist(),
        "nodes_modes": ["BRANCH_LEQ"] * splits + ["LEAF"] * len(leaves),
        "nodes_values": np.append(floor32(cuts), nothing).tolist(),
        "nodes_truenodeids": np.append(_child(of("left_child"), splits), nothing).astype(int).tolist(),
        "nodes_falsenodeids": np.append(_child(of("right_child"), splits), nothing).astype(int).tolist(),
        "nodes_missing_value_tracks_true": np.append(left, nothing).astype(int).tolist(),
        "target_treeids": [number] * len(leaves),
        "target_nodeids": nodes[splits:].tolist(),
        "target_ids": [number % sums] * len(leaves),
        "target_weights": leaves.tolist(),
    }


def _child(children: NDArray[np.float64], splits: int) -> NDArray[np.float64]:
    """Return node numbers of children; LightGBM writes leaf k as -k - 1."""
    return np.where(children >= 0, children, splits - children - 1)
