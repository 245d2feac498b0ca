"""Linear models: what they learn, and how they mix numbers, categories and text."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.errors import SteelyardError
from steelyard.learners import _solve
from steelyard.learners._linear import TEXT_GAIN, _pieces
from steelyard.recipe import Plan, Settings
from steelyard.registry import learners

NUMBER = Column(name="x", kind=Kind.NUMBER)
NUMBERS = tuple(f"x{i}" for i in range(30))


@pytest.fixture
def linear():
    return learners().get("linear")


def cancer(problem):
    data = load_breast_cancer()
    schema = Schema(tuple(Column(name=n, kind=Kind.NUMBER) for n in NUMBERS))
    target = data.target if problem is Problem.BINARY else data.data[:, 0] * 2
    classes = ("0", "1") if problem is Problem.BINARY else ()
    task = Task(problem=problem, target="y", aim="roc_auc", classes=classes)
    columns = dict(zip(NUMBERS, data.data.T.copy(), strict=True))
    return Split(columns, target, np.arange(len(target))), Work(task=task, schema=schema)


def test_it_is_scikit_learn_s_logistic_regression_on_standardised_numbers(linear, meter):
    split, work = cancer(Problem.BINARY)
    matrix = StandardScaler().fit_transform(np.column_stack(list(split.columns.values())))
    theirs = LogisticRegression(C=0.5, tol=1e-8, max_iter=5000).fit(matrix, split.target).predict_proba(matrix)
    ours = linear.fit(Plan(settings=Settings(C=0.5, spline_pieces=0)), split, None, work, meter).scores(split.columns)
    # Columns are divided by the spread around the median, which is a little larger than the standard deviation.
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    assert roc_auc_score(split.target, ours[:, 1]) > 0.99


def test_it_is_scikit_learn_s_ridge_on_standardised_numbers(linear, meter):
    split, work = cancer(Problem.REGRESSION)
    matrix = StandardScaler().fit_transform(np.column_stack(list(split.columns.values())))
    theirs = Ridge(alpha=1.0).fit(matrix, split.target).predict(matrix)
    straight = Plan(settings=Settings(C=1.0, spline_pieces=0))
    ours = linear.fit(straight, split, None, work, meter).scores(split.columns)[:, 0]
    np.testing.assert_allclose(ours, theirs, atol=0.05 * split.target.std())


def test_weights_count_like_copies_of_rows_where_the_scaling_is_the_same(linear, meter):
    rng = np.random.default_rng(0)
    half = rng.normal(size=100)
    columns = {"x": np.concatenate([half, -half])}  # symmetric, so that copies do not move the median
    target = (columns["x"] + rng.normal(size=200) > 0).astype(np.int64)
    work = Work(
        task=Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("0", "1")),
        schema=Schema((Column(name="x", kind=Kind.NUMBER),)),
    )
    weighted = Split(columns, target, np.arange(200), np.full(200, 2.0))
    copied = Split(columns, target, np.arange(200)).take(np.repeat(np.arange(200), 2))
    straight = Plan(settings=Settings(spline_pieces=0))  # knots are placed by rows, whatever those weigh
    first, second = (linear.fit(straight, split, None, work, meter).scores(columns) for split in (weighted, copied))
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_each_kind_of_column_adds_to_the_answer(linear, meter, table):
    def score(*kinds):
        made = table(kinds=kinds, rows=800)
        scores = linear.fit(Plan(), made.train, None, made.work, meter).scores(made.test.columns)
        return roc_auc_score(made.test.target, scores[:, 1])

    assert score(Kind.CATEGORY) > 0.7
    assert score(Kind.TEXT) > 0.95
    assert score(Kind.NUMBER, Kind.CATEGORY) > score(Kind.CATEGORY)


def test_text_is_fitted_on_magnified_weights_and_served_on_plain_ones(linear, meter, table):
    made = table(kinds=(Kind.TEXT,))
    fitted = linear.fit(Plan(), made.train, None, made.work, meter)
    (plain,) = fitted.prelude.run(made.train.columns, threads=1)
    theirs = LogisticRegression(C=0.2, tol=1e-8, max_iter=5000).fit(TEXT_GAIN * plain.toarray(), made.train.target)
    expected = theirs.predict_proba(TEXT_GAIN * plain.toarray())
    np.testing.assert_allclose(fitted.scores(made.train.columns), expected, atol=1e-3)


def test_a_stronger_penalty_pulls_probabilities_together(linear, meter, table):
    made = table()
    loose, tight = (
        linear.fit(Plan(settings=Settings(C=c)), made.train, None, made.work, meter).scores(made.test.columns)[:, 1]
        for c in (10.0, 0.001)
    )
    assert tight.std() < loose.std() / 2


def test_large_sparse_tables_are_solved_without_unpacking_them(linear, meter, table, monkeypatch):
    made = table(Problem.REGRESSION)
    packed = linear.fit(Plan(), made.train, None, made.work, meter).scores(made.test.columns)
    monkeypatch.setattr(_solve, "DENSE", 0)
    unpacked = linear.fit(Plan(), made.train, None, made.work, meter).scores(made.test.columns)
    np.testing.assert_allclose(packed, unpacked, rtol=1e-3)


def test_a_solver_that_runs_out_of_steps_says_so(linear, meter, table, monkeypatch):
    monkeypatch.setattr(_solve, "MOST_STEPS", 2)
    made = table()
    linear.fit(Plan(), made.train, None, made.work, meter)
    assert "stopped after 2 steps" in meter.notes[0]


def test_columns_in_which_nothing_repeats_are_refused_with_a_way_out(linear, meter):
    columns = {"code": np.array([f"v{i}" for i in range(20)], object)}
    work = Work(
        task=Task(problem=Problem.BINARY, target="y", aim="accuracy", classes=("0", "1")),
        schema=Schema((Column(name="code", kind=Kind.CATEGORY),)),
    )
    with pytest.raises(SteelyardError, match="lower `category_min_count`"):
        linear.fit(Plan(), Split(columns, np.arange(20) % 2, np.arange(20)), None, work, meter)


def test_numbers_bend_where_a_line_would_miss_and_stay_close_to_it_where_it_would_not(linear, meter):
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, 2000)
    work = Work(task=Task(problem=Problem.REGRESSION, target="y", aim="rmse"), schema=Schema((NUMBER,)))

    def error(truth, **settings):
        split = Split({"x": x}, truth(x) + 0.1 * rng.normal(size=2000), np.arange(2000))
        fitted = linear.fit(Plan(settings=Settings(settings)), split, None, work, meter)
        return np.abs(fitted.scores({"x": np.linspace(-3, 3, 500)})[:, 0] - truth(np.linspace(-3, 3, 500))).mean()

    assert error(np.sin, spline_pieces=0) > 0.2
    assert error(np.sin) < 0.05
    assert error(lambda at: 2 * at) < 0.05


def test_beyond_the_training_rows_it_goes_on_as_a_line(linear, meter):
    x = np.linspace(0, 1, 500)
    work = Work(task=Task(problem=Problem.REGRESSION, target="y", aim="rmse"), schema=Schema((NUMBER,)))
    fitted = linear.fit(Plan(), Split({"x": x}, 3 * x, np.arange(500)), None, work, meter)
    beyond = np.diff(fitted.scores({"x": np.array([1.0, 2.0, 3.0, 4.0])})[:, 0])
    np.testing.assert_allclose(beyond, beyond[0], rtol=1e-3)
    assert beyond[0] > 0


def test_a_long_and_wide_table_gets_fewer_pieces_so_that_it_fits_into_memory():
    numbers = Schema(tuple(Column(name=f"x{i}", kind=Kind.NUMBER) for i in range(30)))
    pieces = [_pieces(Settings(spline_pieces=32), rows, numbers) for rows in (100, 10_000, 1_000_000)]
    assert pieces == [4, 25, 3]
    assert _pieces(Settings(spline_pieces=0), 100, numbers) == 0


def test_a_training_that_the_deadline_ends_says_so_and_can_be_used(linear, table, recorder):
    made, late = table(), recorder(left=0.0)
    fitted = linear.fit(Plan(), made.train, None, made.work, late)
    assert fitted.stopped
    assert "deadline" in late.notes[0]
    assert np.isfinite(fitted.scores(made.test.columns)).all()
    assert not linear.fit(Plan(), made.train, None, made.work, recorder()).stopped


def test_balanced_classes_make_a_rare_one_as_likely_as_any(linear, meter, table):
    made = table(rows=1200)
    rare = made.train.take(np.flatnonzero((made.train.target == 0) | (np.arange(len(made.train)) % 10 == 0)))
    plain, balanced = (
        linear.fit(Plan(settings=Settings(class_weight=w)), rare, None, made.work, meter).scores(made.test.columns)
        for w in ("none", "balanced")
    )
    found = [(s.argmax(axis=1) == 1)[made.test.target == 1].mean() for s in (plain, balanced)]
    assert found[0] < found[1] - 0.1
