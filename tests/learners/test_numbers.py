"""Numbers in the graph: shifted in double, filled or kept, flagged."""

import numpy as np
import pytest

from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.learners._numbers import FAR, Numbers
from steelyard.learners._prelude import Prelude
from steelyard.recipe import Plan
from steelyard.registry import learners


def run(block, columns):
    (matrix,) = Prelude((block,)).run(columns, threads=1)
    return matrix


def test_epoch_seconds_one_apart_stay_apart():
    columns = {"when": 1.7e9 + np.arange(100.0)}
    assert len(np.unique(columns["when"].astype(np.float32))) <= 2
    for standard in (False, True):
        block = Numbers.fit(columns, ("when",), standard=standard)
        assert len(np.unique(run(block, columns))) == 100


@pytest.mark.parametrize("name", ["linear", "lightgbm"])
def test_models_learn_from_minutes_in_epoch_seconds(name, serve, meter):
    rng = np.random.default_rng(0)
    minute = rng.integers(0, 60, 600)
    columns = {"when": 1.7e9 + minute.astype(float)}
    task = Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("0", "1"))
    work = Work(task=task, schema=Schema((Column(name="when", kind=Kind.TIME),)))
    split = Split(columns, (minute >= 30).astype(np.int64), np.arange(600))
    fitted = learners().get(name).fit(Plan(rounds=20 if name == "lightgbm" else None), split, None, work, meter)
    scores = serve(fitted.export(), columns)
    assert (scores.argmax(axis=1) == split.target).mean() > 0.95
    assert np.abs(scores - fitted.scores(columns)).max() < 1e-4


def test_a_missing_number_becomes_the_median_and_is_flagged_where_training_had_gaps():
    columns = {"a": np.array([1.0, 3.0, np.nan, 5.0]), "b": np.array([0.0, 1.0, 2.0, 3.0])}
    block = Numbers.fit(columns, ("a", "b"), standard=True)
    gaps = run(block, {"a": np.array([3.0, np.nan]), "b": np.array([1.5, np.nan])})
    np.testing.assert_allclose(gaps, [[0, 0, 0], [0, 0, 1]], atol=1e-7)


def test_trees_see_nan_where_training_had_gaps_and_the_median_elsewhere():
    columns = {"a": np.array([1.0, 3.0, np.nan, 5.0]), "b": np.array([0.0, 1.0, 2.0, 3.0])}
    block = Numbers.fit(columns, ("a", "b"), standard=False)
    gaps = run(block, {"a": np.array([np.nan]), "b": np.array([np.nan])})
    np.testing.assert_array_equal(gaps, [[np.nan, 0]])


def test_absurd_numbers_and_constant_or_empty_columns_stay_finite_for_linear_models():
    columns = {"a": np.array([1.0, 2.0]), "same": np.array([7.0, 7.0]), "none": np.array([np.nan, np.nan])}
    block = Numbers.fit(columns, tuple(columns), standard=True)
    wild = run(block, {"a": np.array([1e300]), "same": np.array([-1e300]), "none": np.array([1.0])})
    np.testing.assert_array_equal(wild, np.array([[FAR, -FAR, 1.0]], np.float32))
