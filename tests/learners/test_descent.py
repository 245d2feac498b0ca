"""The solver of linear models against scikit-learn's, and what it does when time is up."""

import time

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from steelyard.contracts import Problem, Schema, Split, Task, Work
from steelyard.learners import _descent
from steelyard.learners._solve import ABSENT, solve


def ground(loader, problem):
    data = loader()
    matrix = StandardScaler().fit_transform(data.data).astype(np.float32)
    classes = () if problem is Problem.REGRESSION else tuple(map(str, np.unique(data.target)))
    task = Task(problem=problem, target="y", aim="rmse", classes=classes)
    target = data.target if problem is Problem.REGRESSION else data.target.astype(np.int64)
    return matrix, Split({}, target, np.arange(len(target))), Work(task=task, schema=Schema(()))


def objective(matrix, train, found, c):
    """Return scikit-learn's own: C times the summed log loss, and half the squared weights."""
    slopes, offsets = found
    sums, target = matrix @ slopes + offsets, train.target
    sums = np.hstack([np.zeros_like(sums), sums]) if sums.shape[1] == 1 else sums
    logs = sums - np.log(np.exp(sums - sums.max(1, keepdims=True)).sum(1, keepdims=True)) - sums.max(1, keepdims=True)
    return -c * (train.weights * logs[np.arange(len(target)), target]).sum() + (slopes**2).sum() / 2


LOADERS = {Problem.BINARY: load_breast_cancer, Problem.MULTICLASS: load_wine}


@pytest.mark.parametrize("wide", [0, _descent.WIDE])
@pytest.mark.parametrize("c", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("problem", list(LOADERS))
def test_it_finds_weights_as_good_as_scikit_learn_s(problem, c, wide, meter, monkeypatch):
    matrix, train, work = ground(LOADERS[problem], problem)
    train = Split({}, train.target, train.rows, np.random.default_rng(0).random(len(train)) + 0.5)
    theirs = LogisticRegression(C=c, tol=1e-8, max_iter=10_000).fit(matrix, train.target, sample_weight=train.weights)
    monkeypatch.setattr(_descent, "WIDE", wide)
    found = solve(matrix, train, inverse_penalty=c, work=work, meter=meter)
    ours = objective(matrix, train, (found.slopes, found.offsets), c)
    best = objective(matrix, train, (theirs.coef_.T, theirs.intercept_), c)
    gap = (ours - best) / (c * train.weights.sum())  # in units of the mean loss
    assert gap < (2e-6 if c <= 1 else 1e-4)  # at 100 the wines are told apart without error: a long flat way
    assert not meter.notes


@pytest.mark.parametrize("c", [0.001, 1.0, 1000.0])
def test_values_are_scikit_learn_s_ridge(c, meter):
    matrix, train, work = ground(load_diabetes, Problem.REGRESSION)
    theirs = Ridge(alpha=1 / c).fit(matrix, train.target).predict(matrix)
    found = solve(matrix, train, inverse_penalty=c, work=work, meter=meter)
    np.testing.assert_allclose((matrix @ found.slopes + found.offsets)[:, 0], theirs, atol=2e-3 * train.target.std())


def test_features_that_go_together_take_few_steps(meter):
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(4000, 60)).cumsum(axis=1).astype(np.float32)
    target = (walk[:, 30] + 5 * rng.normal(size=4000) > 0).astype(float)
    loss = _descent.Odds(target, np.full(4000, 1 / 4000))

    def steps():
        return _descent.descend(walk, loss, penalty=1e-5, most_steps=1000, meter=meter).steps

    in_round_coordinates = steps()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_descent, "WIDE", 0)
        in_others = steps()
    assert in_round_coordinates < 40 < in_others


def test_sparse_and_dense_features_give_the_same_weights(meter, monkeypatch):
    matrix, train, work = ground(load_breast_cancer, Problem.BINARY)
    dense = solve(matrix, train, inverse_penalty=0.1, work=work, meter=meter)
    monkeypatch.setattr("steelyard.learners._solve.DENSE", 0)
    packed = solve(sparse.csr_matrix(matrix), train, inverse_penalty=0.1, work=work, meter=meter)
    np.testing.assert_allclose(packed.slopes, dense.slopes, atol=0.02)


def test_a_constant_feature_and_a_doubled_one_do_no_harm(meter):
    matrix, train, work = ground(load_breast_cancer, Problem.BINARY)
    wide = np.hstack([matrix, matrix, np.ones((len(matrix), 1), np.float32)])
    found = solve(wide, train, inverse_penalty=1e4, work=work, meter=meter)
    assert np.isfinite(found.slopes).all()


def test_the_deadline_ends_it_with_usable_weights_and_a_note(recorder):
    matrix, train, work = ground(load_wine, Problem.MULTICLASS)
    late = recorder(left=0.0)
    began = time.monotonic()
    found = solve(matrix, train, inverse_penalty=1e6, work=work, meter=late)
    assert time.monotonic() - began < 1
    assert found.late
    assert np.isfinite(found.slopes).all()
    assert late.notes == ["the deadline stopped the solver after 1 steps"]


def test_balanced_classes_weigh_the_same(meter):
    rng = np.random.default_rng(0)
    target = (rng.random(4000) < 0.05).astype(np.int64)
    matrix = (rng.normal(size=(4000, 1)) + target[:, None]).astype(np.float32)
    task = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("0", "1"))
    work, train = Work(task=task, schema=Schema(())), Split({}, target, np.arange(4000))
    plain, balanced = (
        solve(matrix, train, inverse_penalty=1.0, work=work, meter=meter, balanced=b) for b in (False, True)
    )
    theirs = LogisticRegression(class_weight="balanced").fit(matrix, target)
    assert plain.offsets[0] < -2
    np.testing.assert_allclose(balanced.offsets, theirs.intercept_, atol=0.02)


def test_a_class_without_rows_is_next_to_impossible(meter):
    matrix, train, work = ground(load_wine, Problem.MULTICLASS)
    some = train.target != 1
    found = solve(matrix[some], train.take(some), inverse_penalty=1.0, work=work, meter=meter)
    assert found.offsets[1] == ABSENT
    assert (found.slopes[:, 1] == 0).all()
