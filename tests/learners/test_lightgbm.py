"""Boosting: when it stops, what it reports, and how good it is."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import r2_score, roc_auc_score

from steelyard.contracts import Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.learners._boosting import EVERY
from steelyard.learners._lightgbm import MOST_ROUNDS
from steelyard.recipe import Plan, Settings
from steelyard.registry import learners


@pytest.fixture
def lightgbm():
    return learners().get("lightgbm")


def sides(data, task):
    names = [f"x{i}" for i in range(data.data.shape[1])]
    schema = Schema(tuple(Column(name=n, kind=Kind.NUMBER) for n in names))
    rows = np.arange(len(data.target))
    split = Split(dict(zip(names, data.data.T.copy(), strict=True)), data.target, rows)
    part = np.random.default_rng(0).permutation(len(rows)) % 4
    return split.take(part > 1), split.take(part == 1), split.take(part == 0), Work(task=task, schema=schema)


def cancer():
    return sides(load_breast_cancer(), Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("0", "1")))


def test_breast_cancer_is_learnt(lightgbm, serve, meter):
    train, valid, test, work = cancer()
    fitted = lightgbm.fit(Plan(), train, valid, work, meter)
    assert roc_auc_score(test.target, serve(fitted.export(), test.columns)[:, 1]) > 0.97


def test_a_regression_is_learnt(lightgbm, serve, meter):
    train, valid, test, work = sides(load_diabetes(), Task(problem=Problem.REGRESSION, target="y", aim="rmse"))
    fitted = lightgbm.fit(Plan(), train, valid, work, meter)
    assert r2_score(test.target, serve(fitted.export(), test.columns)[:, 0]) > 0.3
    assert all(value < 0 for _, value in meter.curve)  # an error is reported with its sign turned


def test_validation_rows_decide_the_rounds_and_a_refit_repeats_them(lightgbm, meter, recorder):
    train, valid, _, work = cancer()
    fitted = lightgbm.fit(Plan(), train, valid, work, meter)
    assert 1 <= fitted.rounds < MOST_ROUNDS
    assert [step for step, _ in meter.curve] == list(range(EVERY, len(meter.curve) * EVERY + 1, EVERY))
    assert meter.curve[-1][1] > 0.95
    assert fitted.booster.current_iteration() > fitted.rounds
    again = lightgbm.fit(Plan(rounds=fitted.rounds), train, None, work, recorder())
    np.testing.assert_array_equal(again.scores(valid.columns), fitted.scores(valid.columns))
    assert again.export() == fitted.export()


def test_the_meter_can_stop_it(lightgbm, recorder):
    train, valid, _, work = cancer()
    meter = recorder(stop_at=2 * EVERY)
    fitted = lightgbm.fit(Plan(), train, valid, work, meter)
    assert [step for step, _ in meter.curve] == [EVERY, 2 * EVERY]
    assert fitted.rounds <= 2 * EVERY


def test_a_deadline_stops_it_with_a_note_and_a_usable_model(lightgbm, serve, recorder):
    train, valid, test, work = cancer()
    meter = recorder(left=0.0)
    fitted = lightgbm.fit(Plan(), train, valid, work, meter)
    assert fitted.rounds == 1
    assert "deadline" in meter.notes[0]
    assert np.isfinite(serve(fitted.export(), test.columns)).all()


def test_few_rows_still_split(lightgbm, meter, table):
    made = table(rows=40)
    fitted = lightgbm.fit(Plan(rounds=20), made.train, None, made.work, meter)
    assert fitted.scores(made.train.columns)[:, 1].std() > 0.1


def test_settings_reach_the_trees(lightgbm, meter):
    train, _, _, work = cancer()
    small = lightgbm.fit(Plan(rounds=5, settings=Settings(num_leaves=3)), train, None, work, meter)
    assert max(tree["num_leaves"] for tree in small.booster.dump_model()["tree_info"]) == 3
    with pytest.raises(Exception, match="num_leaves must be from 2 to 255; got 1"):
        lightgbm.fit(Plan(rounds=5, settings=Settings(num_leaves=1)), train, None, work, meter)


def test_text_in_a_table_is_seen(lightgbm, meter, table):
    made = table(kinds=(Kind.TEXT,))
    fitted = lightgbm.fit(Plan(rounds=30), made.train, None, made.work, meter)
    assert roc_auc_score(made.test.target, fitted.scores(made.test.columns)[:, 1]) > 0.95


def test_a_text_column_without_a_repeated_word_is_left_out_with_a_note(lightgbm, meter, table):
    made = table(kinds=(Kind.NUMBER, Kind.TEXT))
    silent = {**made.train.columns, "remark": np.full(len(made.train), "", object)}
    fitted = lightgbm.fit(Plan(rounds=5), Split(silent, made.train.target, made.train.rows), None, made.work, meter)
    assert "'remark' is left out" in meter.notes[0]
    assert {feed.front_end for feed in fitted.export().feeds} == {"numbers"}
