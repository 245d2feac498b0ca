"""Weights in 8 or 16 bits: which numbers of a graph are weights, and the graph that computes with the rounded ones.

Only what is multiplied with features or added up is rounded: leaves of trees and weights of linear models. What is
compared (thresholds), looked up before a comparison (statistics of categories) or scales inputs keeps its 32 bits.
The rounded graph answers in ONNX Runtime as the C code does, so what rounding changes can be measured without a
compiler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import need

Whole = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rounded:
    """Weights as ``whole * step + middle``.

    ``whole`` has the shape of the weights; ``step`` is one a column (of the last axis), or of a forest one a target;
    ``middle`` has the shape of the weights: what a tree adds in any case.
    """

    whole: Whole
    step: Reals
    middle: Reals

    @classmethod
    def of(cls, weights: Reals, columns: NDArray[np.intp], middle: Reals, *, bits: int) -> Rounded:
        """Round weights, of which each belongs to a column, to so many bits.

        Examples
        --------
        >>> weights = np.array([0.5, -1.0])
        >>> found = Rounded.of(weights, np.zeros(2, int), np.zeros(2), bits=8)
        >>> found.whole.tolist(), bool(np.abs(found.values - weights).max() <= 1 / 254)
        ([64, -127], True)
        """
        most = 2 ** (bits - 1) - 1
        apart = weights - middle
        widest = np.zeros(int(columns.max(initial=0)) + 1)
        np.maximum.at(widest, columns, np.abs(apart))
        step = np.where(widest > 0, widest / most, 1.0).astype(np.float32).astype(np.float64)
        if np.all(apart == np.rint(apart)) and np.abs(apart).max(initial=0) <= most:
            step = np.ones_like(step)  # whole numbers stay as they are
        whole = np.clip(np.rint(apart / step[columns]), -most, most).astype(np.int64)
        return cls(whole, step, middle)

    @property
    def values(self) -> Reals:
        """The weights after rounding, for weights of one column."""
        return np.asarray(self.whole * self.step[-1] + self.middle)


Roundings = Mapping[str, Rounded]
"""By the name of the constant, of a forest by that of its node's output."""


def rounded(graph: bytes, bits: int) -> tuple[bytes, dict[str, Rounded]]:
    """Return the graph with its weights rounded, and how they were; with 32 bits it stays as it is.

    Raises
    ------
    MissingExtra
        If onnx is not installed.
    """
    if bits == 32:
        return graph, {}
    onnx = need("onnx", for_="--to c")
    model = onnx.load_from_string(graph)
    constants = {constant.name: constant for constant in model.graph.initializer}
    found: dict[str, Rounded] = {}
    for node in model.graph.node:
        if node.op_type == "TreeEnsembleRegressor":
            found[node.output[0]] = _of_forest(node, bits)
    for name in dict.fromkeys(weights_of(model.graph)):
        values = onnx.numpy_helper.to_array(constants[name]).astype(np.float64)
        columns = np.broadcast_to(np.arange(values.shape[-1]), values.shape)
        middle = _middles(values, leaves_of(model.graph, name))
        found[name] = made = Rounded.of(values.ravel(), columns.ravel(), middle.ravel(), bits=bits)
        near = (made.whole * made.step[columns.ravel()] + made.middle).reshape(values.shape).astype(np.float32)
        constants[name].CopyFrom(onnx.numpy_helper.from_array(near, name))
    return bytes(model.SerializeToString()), found


def weights_of(graph: Any) -> Iterator[str]:
    """Yield the names of constants that are weights: of linear models, and leaves of oblivious trees."""
    constants = {constant.name: constant for constant in graph.initializer}
    uses: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            uses.setdefault(name, []).append(node)
    for node in graph.node:
        first, *rest = node.input or [""]
        if node.op_type == "MatMul" and _is_table(constants.get(rest[0])):
            yield rest[0]
        if node.op_type == "Gather" and _is_table(constants.get(first)) and rest[0] not in constants:
            after = uses.get(node.output[0], [])
            if after and all(one.op_type == "ReduceSum" for one in after):
                yield first


def _is_table(constant: Any) -> bool:
    """Tell whether a constant is a matrix of float32."""
    return constant is not None and constant.data_type == 1 and len(constant.dims) == 2


def leaves_of(graph: Any, name: str) -> Whole:
    """Return at which rows of a table of leaves trees start; none where it is no such table."""
    onnx = need("onnx", for_="--to c")
    constants = {constant.name: constant for constant in graph.initializer}
    made = {output: node for node in graph.node for output in node.output}
    starts: list[Whole] = []
    for node in graph.node:
        if node.op_type != "Gather" or node.input[0] != name:
            continue
        place = made.get(node.input[1])
        if place is None or place.op_type != "Add" or place.input[1] not in constants:
            continue
        before = made.get(place.input[0])
        if before is not None and before.op_type == "Reshape":
            starts.append(onnx.numpy_helper.to_array(constants[place.input[1]]).ravel().astype(np.int64))
    return np.unique(np.concatenate(starts)) if starts else np.zeros(0, np.int64)


def _middles(values: Reals, starts: Whole) -> Reals:
    """Return the middle of each tree's leaves, so that what is rounded is only how they differ."""
    middles = np.zeros_like(values)
    for first, last in zip(starts, [*starts[1:], len(values)], strict=False):
        part = values[first:last]
        middles[first:last] = (part.max(axis=0) + part.min(axis=0)) / 2
    return middles


def _of_forest(node: Any, bits: int) -> Rounded:
    """Round the leaves of a forest in place."""
    given = {attribute.name: attribute for attribute in node.attribute}
    trees = np.array(given["target_treeids"].ints, np.int64)
    leaves = np.array(given["target_nodeids"].ints, np.int64)
    targets = np.array(given["target_ids"].ints, np.int64)
    weights = np.array(given["target_weights"].floats, np.float64)
    middle = np.zeros_like(weights)
    order = np.lexsort((leaves, trees))
    for part in np.split(order, np.flatnonzero(np.diff(trees[order])) + 1):
        alone = len(np.unique(targets[part])) == 1 and len(np.unique(leaves[part])) == len(part)
        if alone:
            middle[part] = (weights[part].max() + weights[part].min()) / 2
    made = Rounded.of(weights, targets, middle, bits=bits)
    near = made.whole * made.step[targets] + made.middle
    del given["target_weights"].floats[:]
    given["target_weights"].floats.extend(near.astype(np.float32).tolist())
    return made
