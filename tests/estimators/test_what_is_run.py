"""What the scikit-learn estimators ask of the engine."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from steelyard.errors import Exit, SteelyardError
from steelyard.estimators import SteelyardClassifier, SteelyardRegressor, base

ROWS = np.arange(40.0).reshape(20, 2)
LABELS = [0, 1] * 10


@pytest.fixture
def asked(monkeypatch):
    """Stand in for a run: keep what was asked for."""
    calls = []

    def conduct(spec, *, folder, in_process):
        calls.append(SimpleNamespace(spec=spec, folder=folder, in_process=in_process))
        return Exit.DONE

    monkeypatch.setattr(base, "conduct", conduct)
    monkeypatch.setattr(base, "bundle_folder", lambda folder: folder)
    monkeypatch.setattr(base, "Kept", lambda folder, home: (folder, home))
    return calls


def test_a_feature_that_is_called_target_stays_a_feature(asked):
    frame = pd.DataFrame({"target": [1.0, 2.0, 3.0], "target_": [4.0, 5.0, 6.0], "side": [0.0, 0.0, 1.0]})
    SteelyardRegressor().fit(frame, [7.0, 8.0, 9.0])
    (call,) = asked
    assert call.spec.data["target"].tolist() == [1.0, 2.0, 3.0]
    assert call.spec.data["target_"].tolist() == [4.0, 5.0, 6.0]
    assert call.spec.data[call.spec.target].tolist() == [7.0, 8.0, 9.0]
    assert call.spec.data["side"].tolist() == [0.0, 0.0, 1.0]
    SteelyardClassifier().fit(ROWS, LABELS)
    assert asked[1].spec.target == "target"


@pytest.mark.parametrize(
    ("limits", "in_process"), [({}, True), ({"minutes": 0.5}, False), ({"trials": None, "minutes": None}, False)]
)
def test_trials_that_have_to_end_in_time_run_in_processes_that_can_be_stopped(asked, limits, in_process):
    SteelyardClassifier(**limits).fit(ROWS, LABELS)
    assert asked[0].in_process is in_process


def test_every_row_but_one_of_the_commonest_class_trains(asked):
    SteelyardClassifier().fit(ROWS, ["a"] * 8 + ["b"] * 12)
    spec = asked[0].spec
    sides = spec.data[spec.split.column]
    assert sides.tolist().count("train") == 19
    assert spec.data["target"][sides == "test"].tolist() == ["b"]


@pytest.mark.parametrize(("asked_for", "made"), [(None, 3), (2, 2), (4, 3), (0, 0)])
def test_there_are_no_more_folds_than_different_rows_of_a_class(asked, asked_for, made):
    rows = np.array([[0.0], [1.0], [2.0]] * 10)
    SteelyardClassifier(folds=asked_for).fit(rows, np.repeat([0, 1], 15))
    assert asked[0].spec.split.folds == made


def test_many_rows_are_split_by_the_rule_of_the_engine(asked):
    SteelyardRegressor().fit(np.zeros((base.FEW, 1)), np.arange(base.FEW))
    assert asked[0].spec.split.folds is None


def test_a_random_state_of_any_kind_becomes_a_seed(asked):
    for state in (7, np.int64(7), np.random.RandomState(7), np.random.RandomState(7), None):
        SteelyardClassifier(random_state=state).fit(ROWS, LABELS)
    seeds = [call.spec.seed for call in asked]
    assert seeds[:2] == [7, 7]
    assert seeds[2] == seeds[3]


def test_the_second_label_is_the_positive_one(asked):
    SteelyardClassifier(metric="f1").fit(ROWS, ["good"] * 14 + ["worse"] * 6)
    SteelyardClassifier(metric="f1").fit(ROWS, ["bad"] * 6 + ["good"] * 14)
    assert [call.spec.positive for call in asked] == ["worse", "good"]


def test_a_number_stays_a_number_and_a_category_a_category(asked):
    frame = pd.DataFrame(
        {"code": [1, 2] * 10, "kind": pd.Categorical([1, 2] * 10), "town": ["Oslo", "Rome"] * 10, "seen": [True] * 20}
    )
    SteelyardClassifier().fit(frame, LABELS)
    columns = asked[0].spec.columns
    assert (columns.number, columns.category) == (("code", "seen"), ("kind",))


def test_ctrl_c_ends_the_loop_around_a_fit_as_well(asked, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(base, "conduct", lambda *_, **__: Exit.INTERRUPTED)
    with pytest.raises(KeyboardInterrupt):
        SteelyardClassifier().fit(ROWS, LABELS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"metric": "rmse"}, "rmse"),
        ({"folds": -1}, "folds"),
        ({"trials": 0}, "trials"),
        ({"learners": ("liner",)}, "did you mean 'linear'"),
    ],
)
def test_a_parameter_that_does_not_fit_is_a_value_error_with_the_way_out(tmp_path, monkeypatch, parameters, words):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ValueError, match=words) as refusal:
        SteelyardClassifier(**parameters).fit(ROWS, LABELS)
    assert isinstance(refusal.value, SteelyardError)
    assert not list(tmp_path.iterdir())
