"""The estimators as scikit-learn's users meet them, beyond what its own checks look at."""

import copy
import gc
import os
import pickle
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from steelyard import SteelyardClassifier, SteelyardRegressor
from steelyard.estimators import kept

QUICK = {"trials": 2, "folds": 2, "learners": ("constant", "linear")}
IRIS = load_iris()


@pytest.fixture(scope="module")
def fitted():
    return SteelyardClassifier(**QUICK).fit(IRIS.data, IRIS.target_names[IRIS.target])


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Make a folder for temporary ones, and work in another, so that both can be looked at."""
    home, work = tmp_path / "temporary", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(home))
    monkeypatch.chdir(work)
    return home


def test_it_learns_what_there_is_to_learn(fitted):
    assert fitted.score(IRIS.data, IRIS.target_names[IRIS.target]) > 0.93
    values = load_diabetes()
    assert SteelyardRegressor(**QUICK).fit(values.data, values.target).score(values.data, values.target) > 0.45


def test_it_trains_on_every_row_but_one(fitted):
    assert fitted.bundle_.manifest.extra["training_rows"] == len(IRIS.data) - 1


def test_a_pickle_predicts_where_nothing_else_of_it_is(fitted, tmp_path):
    rows = IRIS.data[::10]
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(fitted))
    there = dedent(
        """
        import pickle, sys, tempfile
        from pathlib import Path
        model = pickle.loads(Path("model.pickle").read_bytes())
        print(model.predict_proba(eval(sys.argv[1])).tolist())
        assert Path(tempfile.gettempdir()) in model.bundle_.folder.parents
        """
    )
    (tmp_path / "elsewhere").mkdir()
    told = subprocess.run(
        [sys.executable, "-c", there, repr(rows.tolist())],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path / "elsewhere")},
        capture_output=True,
        text=True,
        check=True,
    )
    np.testing.assert_array_equal(eval(told.stdout), fitted.predict_proba(rows))
    assert not list((tmp_path / "elsewhere").glob("steelyard*"))


def test_a_copy_outlives_what_it_was_copied_from_and_does_not_carry_the_rows(temporary):
    first = SteelyardClassifier(**QUICK).fit(IRIS.data, IRIS.target)
    expected = first.predict_proba(IRIS.data)
    second = copy.deepcopy(pickle.loads(pickle.dumps(first)))
    del first
    gc.collect()
    assert not list(temporary.iterdir())
    np.testing.assert_array_equal(second.predict_proba(IRIS.data), expected)
    assert not hasattr(second, "run_")
    assert len(list(temporary.iterdir())) == 1
    del second
    gc.collect()
    assert not list(temporary.iterdir())


def test_a_fit_leaves_nothing_behind(temporary):
    SteelyardRegressor(**QUICK).fit(IRIS.data[:, :3], IRIS.data[:, 3])  # loads what stays open in any process
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    SteelyardRegressor(**QUICK).fit(IRIS.data[:, :3], IRIS.data[:, 3])
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not list(temporary.iterdir())
    assert not list(Path.cwd().iterdir())


def test_a_fit_that_fails_leaves_nothing_behind(temporary):
    with pytest.raises(ValueError, match="too few"):
        SteelyardClassifier(**QUICK).fit(IRIS.data[48:53], IRIS.target[48:53])
    assert not list(temporary.iterdir())
    assert not list(Path.cwd().iterdir())


def test_a_forked_process_does_not_remove_a_folder_of_its_parent(tmp_path):
    kept._remove(tmp_path, maker=os.getpid() + 1)
    assert tmp_path.exists()
    kept._remove(tmp_path, maker=os.getpid())
    assert not tmp_path.exists()


def test_a_folder_of_ones_own_keeps_the_run(tmp_path):
    model = SteelyardClassifier(**QUICK, folder=tmp_path / "mine").fit(IRIS.data, IRIS.target)
    assert [trial.recipe.learner for trial in model.run_.record.trials] == ["constant", "linear"]
    del model
    gc.collect()
    assert (tmp_path / "mine" / "report.html").exists()


def test_what_is_not_fitted_says_so_before_anything_else():
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(SteelyardClassifier(), method)("nonsense")
    assert not hasattr(SteelyardClassifier(), "bundle_")


@pytest.mark.parametrize(
    "labels",
    [
        ["NA", "here"],
        ["3", "3.0"],
        [False, True],
        [10, 9],
        [-1.0, 2.0],
        np.array(["b", "a "], dtype=object),
        pd.Categorical(["low", "high"], categories=["low", "high"], ordered=True),
    ],
    ids=str,
)
def test_labels_come_back_as_they_were_given(labels):
    values = np.asarray(labels)
    y = values[(IRIS.target[:100] == 1).astype(int)]
    model = SteelyardClassifier(**QUICK).fit(IRIS.data[:100], y)
    np.testing.assert_array_equal(model.classes_, np.unique(values))
    np.testing.assert_array_equal(model.predict(IRIS.data[:100]), y)
    np.testing.assert_array_equal(model.classes_[model.predict_proba(IRIS.data[:100]).argmax(axis=1)], y)


def test_a_bundle_calls_classes_by_their_labels(fitted):
    assert fitted.bundle_.task.classes == ("setosa", "versicolor", "virginica")


def test_a_row_of_weight_0_is_as_if_it_were_not_there():
    weights = np.ones(len(IRIS.data))
    weights[::3] = 0
    weighted = SteelyardClassifier(**QUICK).fit(IRIS.data, IRIS.target, sample_weight=weights)
    without = SteelyardClassifier(**QUICK).fit(
        IRIS.data[weights > 0], IRIS.target[weights > 0], sample_weight=weights[weights > 0]
    )
    np.testing.assert_array_equal(weighted.predict_proba(IRIS.data), without.predict_proba(IRIS.data))


def test_a_weight_counts_as_so_many_rows():
    rows, labels = IRIS.data[50:], IRIS.target[50:]
    weights = np.where(labels == 2, 9, 1)
    plain, weighted, repeated = (
        SteelyardClassifier(**QUICK).fit(x, y, w).predict_proba(rows)[:, 1].mean()
        for x, y, w in (
            (rows, labels, None),
            (rows, labels, weights),
            (rows.repeat(weights, axis=0), labels.repeat(weights), None),
        )
    )
    assert weighted > plain + 0.05
    assert abs(weighted - repeated) < 0.02


def _people(count=120):
    rng = np.random.default_rng(0)
    age = rng.uniform(18, 80, count).round(1)
    town = rng.choice(["Oslo", "Rome", "Lima"], count)
    since = [date(2020, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 900, count)]
    y = np.where((town == "Rome") | (age > 60), "yes", "no")
    age[::7] = np.nan
    return {"age": age, "town": town.tolist(), "since": since, "member": (rng.random(count) > 0.5)}, y


def test_a_frame_of_mixed_columns_is_ordinary_input():
    columns, y = _people()
    told = {}
    for name, frame in (("pandas", pd.DataFrame(columns)), ("polars", pl.DataFrame(columns, nan_to_null=True))):
        model = SteelyardClassifier(**QUICK).fit(frame, y)
        assert model.feature_names_in_.tolist() == ["age", "town", "since", "member"]
        assert model.score(frame, y) > 0.8
        told[name] = model.predict_proba(frame)
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(frame[["town", "age", "since", "member"]])
    np.testing.assert_allclose(told["pandas"], told["polars"], atol=1e-6)


def test_what_no_mixed_frame_may_hold_is_refused():
    columns, y = _people()
    frame = pd.DataFrame(columns)
    twice = pd.concat([frame, frame[["town"]]], axis=1)
    with pytest.raises(ValueError, match="'town'"):
        SteelyardClassifier(**QUICK).fit(twice, y)
    with pytest.raises(ValueError, match="1 sample"):
        SteelyardClassifier(**QUICK).fit(frame[:1], y[:1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SteelyardClassifier(**QUICK).fit(frame, y[1:])
    frame.loc[3, "age"] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        SteelyardClassifier(**QUICK).fit(frame, y)


def test_infinities_are_refused_where_nan_is_taken(fitted):
    rows = IRIS.data[:5].copy()
    rows[0, 0] = np.nan
    assert fitted.predict(rows)[0] == "setosa"
    rows[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        fitted.predict(rows)
    with pytest.raises(ValueError, match="infinity"):
        SteelyardClassifier().fit(rows, [0, 1, 0, 1, 0])


def test_it_stands_in_pipelines_and_cross_validation():
    model = make_pipeline(MaxAbsScaler(), SteelyardClassifier(**QUICK))
    assert cross_val_score(model, IRIS.data, IRIS.target, cv=3).mean() > 0.9
