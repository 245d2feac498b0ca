"""LightGBM's trees as one node: every value on the side that LightGBM sends it to."""

import lightgbm
import numpy as np
import pytest
from onnx import TensorProto

from steelyard.learners._forest import floor32
from steelyard.learners._graph import Graph, session
from steelyard.learners._trees import trees


def both(booster, matrix, sums=1):
    graph = Graph()
    x = graph.input("x", TensorProto.FLOAT, ["n", matrix.shape[1]])
    total = trees(graph, x, booster.model_to_string(), sums=sums)
    runtime = session(graph.seal((total, TensorProto.FLOAT, ["n", sums])), threads=1)
    return runtime.run(None, {"x": matrix})[0], booster.predict(matrix, raw_score=True).reshape(len(matrix), -1)


def train(matrix, target, rounds=5, **parameters):
    given = {"verbosity": -1, "min_child_samples": 1, "min_data_in_bin": 1, "num_threads": 1, **parameters}
    return lightgbm.train(given, lightgbm.Dataset(matrix, target, params=given), rounds)


def test_neighbouring_float32_values_fall_on_the_right_sides():
    start = np.float32(0.1)
    values = [start]
    for _ in range(63):
        values.append(np.nextafter(values[-1], np.float32(1)))
    matrix = np.array(values, np.float32).reshape(-1, 1)
    booster = train(matrix, np.arange(64.0), rounds=20, num_leaves=64)
    graph, framework = both(booster, matrix)
    assert len(np.unique(framework)) > 30
    np.testing.assert_allclose(graph, framework, atol=1e-3)


def test_floor32_never_rises_and_keeps_what_is_exact():
    values = np.random.default_rng(0).normal(size=1000)
    assert (floor32(values) <= values).all()
    np.testing.assert_array_equal(floor32(np.array([0.5, -3.0])), [0.5, -3.0])


@pytest.mark.parametrize("holes", [True, False])
def test_missing_values_go_where_lightgbm_sends_them(holes):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 3)).astype(np.float32)
    target = matrix[:, 0] + np.abs(matrix[:, 1])
    if holes:
        matrix[rng.random(matrix.shape) < 0.2] = np.nan
    booster = train(matrix, target, rounds=30)
    matrix[rng.random(matrix.shape) < 0.3] = np.nan
    graph, framework = both(booster, matrix)
    np.testing.assert_allclose(graph, framework, atol=1e-4)


def test_several_sums_take_their_trees_in_turn():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 4)).astype(np.float32)
    booster = train(matrix, matrix[:, :3].argmax(axis=1), objective="multiclass", num_class=3)
    graph, framework = both(booster, matrix, sums=3)
    np.testing.assert_allclose(graph, framework, atol=1e-5)


def test_a_tree_without_a_split_is_one_leaf():
    matrix = np.zeros((50, 1), np.float32)
    graph, framework = both(train(matrix, np.full(50, 3.0), rounds=2), matrix)
    np.testing.assert_allclose(graph, framework, atol=1e-6)
