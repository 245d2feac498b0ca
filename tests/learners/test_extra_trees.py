"""Extremely randomised trees: what they learn, what bounds them, and the same forest as scikit-learn's."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import r2_score, roc_auc_score

from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.learners._extra_trees import AT_ONCE, ExtraTrees
from steelyard.recipe import Plan, Settings

TASKS = {
    load_breast_cancer: Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("0", "1")),
    load_wine: Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("0", "1", "2")),
    load_diabetes: Task(problem=Problem.REGRESSION, target="y", aim="rmse"),
}


@pytest.fixture
def learner():
    return ExtraTrees()


def sides(load):
    data = load()
    columns = {f"x{i}": column for i, column in enumerate(data.data.T.copy())}
    schema = Schema(tuple(Column(name=name, kind=Kind.NUMBER) for name in columns))
    split = Split(columns, data.target, np.arange(len(data.target)))
    held = np.random.default_rng(0).permutation(len(data.target)) % 4 == 0
    return split.take(~held), split.take(held), Work(task=TASKS[load], schema=schema)


def test_breast_cancer_is_learnt(learner, serve, meter):
    train, test, work = sides(load_breast_cancer)
    fitted = learner.fit(Plan(), train, None, work, meter)
    assert roc_auc_score(test.target, serve(fitted.export(), test.columns)[:, 1]) > 0.98


def test_a_regression_is_learnt(learner, serve, meter):
    train, test, work = sides(load_diabetes)
    fitted = learner.fit(Plan(), train, None, work, meter)
    assert r2_score(test.target, serve(fitted.export(), test.columns)[:, 0]) > 0.35


def test_it_is_scikit_learn_s_own_forest(learner, meter):
    train, test, work = sides(load_wine)
    given = {"max_features": 0.5, "min_samples_leaf": 3, "max_leaf_nodes": 100}
    fitted = learner.fit(Plan(settings=Settings(trees=50, **given)), train, None, replace(work, seed=4), meter)
    rows, others = (np.column_stack([*split.columns.values()]) for split in (train, test))
    shift = np.median(rows, axis=0)
    plain = ExtraTreesClassifier(50, **given, random_state=4).fit((rows - shift).astype(np.float32), train.target)
    np.testing.assert_allclose(fitted.scores(test.columns), plain.predict_proba((others - shift).astype(np.float32)))


@pytest.mark.parametrize("load", list(TASKS))
def test_the_graph_sends_neighbouring_floats_and_gaps_where_scikit_learn_does(learner, serve, meter, load):
    train, _, work = sides(load)
    rng = np.random.default_rng(0)
    values = itertools.accumulate(
        range(200), lambda value, _: np.nextafter(value, np.float32(1)), initial=np.float32(0.1)
    )
    near = np.array(list(values), np.float64)
    columns = {name: near[rng.integers(0, 200, len(train))] for name in ("x0", "x1")}
    columns["x0"][::3] = np.nan
    order = np.argsort(np.nan_to_num(columns["x0"], nan=1) + columns["x1"])
    target = train.target.copy()
    target[order] = np.sort(train.target)
    work = replace(work, schema=Schema(work.schema.columns[:2]))
    fitted = learner.fit(Plan(settings=Settings(trees=50)), Split(columns, target, train.rows), None, work, meter)
    expected = fitted.scores(columns)
    assert len(np.unique(expected[:, 0])) > 30
    np.testing.assert_allclose(serve(fitted.export(), columns), expected, rtol=1e-5, atol=1e-6)


def test_infinities_beyond_float32_are_answered(learner, serve, meter):
    train, test, work = sides(load_diabetes)
    far = {name: values * 1e200 for name, values in train.columns.items()}
    fitted = learner.fit(Plan(settings=Settings(trees=50)), replace(train, columns=far), None, work, meter)
    expected = fitted.scores({name: values * 1e200 for name, values in test.columns.items()})
    scores = serve(fitted.export(), {name: values * 1e200 for name, values in test.columns.items()})
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_leaves_and_so_bytes_are_bounded(learner, meter):
    rng = np.random.default_rng(0)
    columns = {"x0": rng.normal(size=5000), "x1": rng.normal(size=5000)}
    target = (columns["x0"] * columns["x1"] + rng.normal(size=5000) > 0).astype(np.int64)
    train = Split(columns, target, np.arange(5000))
    work = Work(task=TASKS[load_breast_cancer], schema=Schema(tuple(Column(name=n, kind=Kind.NUMBER) for n in columns)))
    settings = Settings(trees=50, max_leaf_nodes=200, max_features=1.0)
    fitted = learner.fit(Plan(settings=settings), train, None, work, meter)
    assert {tree.get_n_leaves() for tree in fitted.model.estimators_} == {200}
    assert len(fitted.export().graph) < 50 * 200 * 100


def test_a_deadline_stops_it_with_a_note_and_fewer_trees(learner, serve, recorder):
    train, test, work = sides(load_breast_cancer)
    meter = recorder(left=0.0)
    fitted = learner.fit(Plan(), train, None, work, meter)
    assert fitted.stopped
    assert len(fitted.model.estimators_) == AT_ONCE
    assert "deadline" in meter.notes[0]
    assert np.isfinite(serve(fitted.export(), test.columns)).all()


def test_classes_can_weigh_alike_where_the_aim_counts_them_so(learner, meter):
    rng = np.random.default_rng(0)
    target = (np.arange(600) % 10 == 0).astype(np.int64)
    train = Split({"x0": rng.normal(target), "x1": rng.normal(target)}, target, np.arange(600))
    task = replace(TASKS[load_breast_cancer], aim="f1")
    work = Work(task=task, schema=Schema(tuple(Column(name=name, kind=Kind.NUMBER) for name in train.columns)))
    settings = Settings(min_samples_leaf=20)
    plain, balanced = (
        learner.fit(Plan(settings=settings.with_(**given)), train, None, work, meter).scores(train.columns)[:, 1]
        for given in ({}, {"class_weight": "balanced"})
    )
    assert "class_weight" not in learner.space(replace(task, aim="log_loss"), work.schema).settings
    assert (plain > 0.5).mean() < 0.1 < (balanced > 0.5).mean()
