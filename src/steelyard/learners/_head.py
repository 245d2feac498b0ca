"""From sums to scores: the last nodes of every graph, and the same arithmetic in numpy."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from steelyard.contracts import Floats, Problem, Task
from steelyard.learners._graph import Graph


def seal(graph: Graph, sums: str, task: Task) -> bytes:
    """Add the link from sums to ``scores`` and return the model.

    Sums are (n, 1) log-odds of the second class for a binary task, (n, classes) for more, (n, 1) values for a
    regression.
    """
    match task.problem:
        case Problem.BINARY:
            second = graph.add("Sigmoid", sums)
            first = graph.add("Sub", graph.constant(np.ones((1, 1), np.float32)), second)
            scores = graph.add("Concat", first, second, axis=1, output="scores")
        case Problem.MULTICLASS:
            scores = graph.add("Softmax", sums, axis=1, output="scores")
        case _:
            scores = graph.add("Identity", sums, output="scores")
    return graph.seal((scores, TensorProto.FLOAT, ["n", task.width]))


def probabilities(sums: Floats) -> Floats:
    """Return class probabilities of sums: (n,) or (n, 1) log-odds of the second class, or (n, classes).

    Examples
    --------
    >>> probabilities(np.zeros((1, 1))).tolist()
    [[0.5, 0.5]]
    """
    sums = sums.reshape(len(sums), -1)
    if sums.shape[1] == 1:
        sums = np.hstack([np.zeros_like(sums), sums])
    powers = np.exp(sums - sums.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
