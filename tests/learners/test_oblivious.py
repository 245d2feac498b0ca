"""Oblivious trees as dense nodes: the leaf that a walk down would find."""

import numpy as np
import pytest
from onnx import TensorProto

from steelyard.learners import _oblivious
from steelyard.learners._graph import Graph, session
from steelyard.learners._oblivious import Oblivious, Questions


def run(trees, matrix):
    graph = Graph()
    x = graph.input("x", TensorProto.FLOAT, ["n", matrix.shape[1]])
    sums = trees.leaves.shape[1]
    runtime = session(graph.seal((trees.build(graph, x), TensorProto.FLOAT, ["n", sums])), threads=1)
    return runtime.run(None, {"x": matrix})[0]


def walk(trees, splits, matrix):
    """Return the sums as a reader of the definition would find them, row by row and tree by tree."""
    sums = np.zeros((len(matrix), trees.leaves.shape[1]))
    for row, cells in enumerate(matrix):
        for start, places in zip(trees.starts, splits, strict=True):
            asked = [(trees.questions.columns[p], trees.questions.borders[p]) for p in places]
            leaf = sum(2**level for level, (column, border) in enumerate(asked) if cells[column] > border)
            sums[row] += trees.leaves[start + leaf]
    return sums


@pytest.mark.parametrize("sums", [1, 3])
def test_trees_of_any_depth_find_their_leaves(sums):
    rng = np.random.default_rng(0)
    questions = Questions(columns=rng.integers(0, 4, 30), borders=rng.normal(size=30).astype(np.float32))
    splits = [rng.integers(0, 30, depth).tolist() for depth in (0, 1, 8, 3, 6, 0)]
    trees = Oblivious.of(questions, splits, [rng.normal(size=(2 ** len(places), sums)) for places in splits])
    matrix = rng.normal(size=(50, 4)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    np.testing.assert_allclose(run(trees, matrix), walk(trees, splits, matrix), atol=1e-5)


def test_many_trees_and_sums_are_added_in_groups(monkeypatch):
    rng = np.random.default_rng(0)
    questions = Questions(columns=rng.integers(0, 4, 30), borders=rng.normal(size=30).astype(np.float32))
    trees = Oblivious.of(questions, rng.integers(0, 30, (50, 3)).tolist(), list(rng.normal(size=(50, 8, 2))))
    matrix = rng.normal(size=(20, 4)).astype(np.float32)
    whole = run(trees, matrix)
    monkeypatch.setattr(_oblivious, "AT_ONCE", 7)
    np.testing.assert_allclose(run(trees, matrix), whole, atol=1e-5)


def test_no_rows_have_no_sums():
    trees = Oblivious.of(Questions.of([(0, 0.5)]), [[0]], [np.array([[1.0], [2.0]])])
    assert run(trees, np.zeros((0, 1), np.float32)).shape == (0, 1)


def test_a_value_on_the_border_is_not_above_it_and_the_next_float_is():
    border = np.float32(0.1)
    trees = Oblivious.of(Questions.of([(0, float(border))]), [[0]], [np.array([[0.0], [1.0]])])
    cells = np.array([[np.nextafter(border, np.float32(0))], [border], [np.nextafter(border, np.float32(1))]])
    assert run(trees, cells).tolist() == [[0], [0], [1]]
