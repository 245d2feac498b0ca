"""LightGBM's trees, read from its own text format."""

from __future__ import annotations

import numpy as np

from steelyard.contracts import Floats, Ints
from steelyard.learners._forest import Tree, forest
from steelyard.learners._graph import Graph

_DEFAULT_LEFT, _MISSING_NAN = 2, 8
"""Bits of LightGBM's ``decision_type``."""


def trees(graph: Graph, matrix: str, model: str, *, sums: int) -> str:
    """Add the sums of all trees, float32 (n, sums); tree t adds to sum t modulo ``sums``."""
    parts = [_tree(number % sums, _fields(text)) for number, text in enumerate(model.split("\nTree=")[1:])]
    return forest(graph, matrix, parts, sums=sums)


def _fields(text: str) -> dict[str, Floats]:
    """Return the arrays of one tree's text: lines of ``name=numbers``."""
    lines = dict(line.split("=", maxsplit=1) for line in text.split("\n\n", maxsplit=1)[0].splitlines() if "=" in line)
    return {name: np.array(value.split(), np.float64) for name, value in lines.items()}


def _tree(target: int, fields: dict[str, Floats]) -> Tree:
    """Return one tree: its splits numbered as LightGBM does, then its leaves."""
    leaves = fields["leaf_value"]
    splits, nothing = len(leaves) - 1, np.zeros(len(leaves))

    def of(name: str) -> Floats:
        return fields[name] if splits else np.zeros(0)

    kinds, cuts = of("decision_type").astype(np.int64), of("threshold")
    # Where training saw nothing missing, LightGBM reads NaN as 0.
    left = np.where(kinds & _MISSING_NAN, (kinds & _DEFAULT_LEFT) > 0, cuts >= 0)
    return Tree(
        feature=np.append(of("split_feature"), nothing).astype(np.int64),
        cut=np.append(cuts, nothing),
        left=_children(of("left_child"), splits),
        right=_children(of("right_child"), splits),
        missing_left=np.append(left, nothing > 0),
        weights=leaves.reshape(-1, 1),
        targets=np.array([target]),
    )


def _children(children: Floats, splits: int) -> Ints:
    """Return node numbers of children, then -1 for each leaf; LightGBM writes leaf k as -k - 1."""
    below = np.where(children >= 0, children, splits - children - 1)
    return np.append(below, np.full(splits + 1, -1)).astype(np.int64)
