from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from steelyard.contracts import Answer, Column, Ending, Kind, Problem, Schema, Split, Task, Work
from steelyard.learners._settings import SettingsRefused
from steelyard.levers.shrinking._distil import HEAVY, Distil
from steelyard.levers.shrinking._munge import munge
from steelyard.recipe import Combine, Plan, Settings, Step, Train
from steelyard.testing import check_lever
from steelyard.testing.hands import Hand
from steelyard.testing.situations import led_by_an_ensemble
from steelyard.units import Estimate, Seconds


@pytest.fixture
def tumours():
    cells = load_breast_cancer()
    columns = {name: cells.data[:, i] for i, name in enumerate(cells.feature_names)}
    schema = Schema(tuple(Column(name=name, kind=Kind.NUMBER) for name in columns))
    task = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("bad", "good"), positive="good")
    rows = Split(columns, cells.target.astype(np.int64), np.arange(len(cells.target)))
    return rows, Work(task=task, schema=schema, seed=1)


def doubting(columns):
    """A teacher that is sure of small radii, and knows nothing of the others."""
    small = columns["mean radius"] < 13
    chance = np.where(small, 0.999, 0.5)
    scores = np.column_stack([1 - chance, chance])
    return Answer(scores, scores.argmax(axis=1))


# ------------------------------------------------------------------------------------------------ lessons


def test_it_keeps_its_contract():
    check_lever(Distil())


def test_a_row_counts_for_each_class_by_what_the_teacher_gives_it(tumours, meter):
    rows, work = tumours
    rows = replace(rows, weights=np.linspace(1, 2, len(rows)))
    lesson = Distil().teach(rows, doubting, Settings(synthetic=0.0), work, meter)
    sure = rows.columns["mean radius"] < 13
    assert len(lesson) == sure.sum() + 2 * (~sure).sum(), "a class of one in a thousand has a row of its own"
    for number in (np.flatnonzero(sure)[0], np.flatnonzero(~sure)[0]):
        mine = lesson.rows == rows.rows[number]
        assert lesson.weights[mine].sum() == pytest.approx(rows.weights[number])
    assert set(lesson.target[np.isin(lesson.rows, rows.rows[sure])]) == {1}


def test_the_truth_is_not_looked_at(tumours, meter):
    rows, work = tumours
    turned = replace(rows, target=1 - rows.target)
    one, other = (Distil().teach(r, doubting, Settings(), work, meter) for r in (rows, turned))
    np.testing.assert_array_equal(one.target, other.target)
    np.testing.assert_array_equal(one.weights, other.weights)


def test_values_are_the_teachers(meter):
    cells = load_diabetes()
    columns = {name: cells.data[:, i] for i, name in enumerate(cells.feature_names)}
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    work = Work(task=task, schema=Schema(tuple(Column(name=n, kind=Kind.NUMBER) for n in columns)))
    rows = Split(columns, cells.target, np.arange(len(cells.target)))

    def teacher(columns):
        value = 100 + columns["bmi"]
        return Answer(value.reshape(-1, 1), value)

    lesson = Distil().teach(rows, teacher, Settings(synthetic=1.5), work, meter)
    assert len(lesson) == len(rows) + round(1.5 * len(rows))
    np.testing.assert_array_equal(lesson.target, 100 + lesson.columns["bmi"])
    assert lesson.weights is None


def test_when_half_the_time_is_gone_the_teacher_is_asked_no_more(tumours, meter):
    rows, work = tumours
    clock = iter([100.0] + [40.0] * 99)
    meter.remaining = lambda: Seconds(next(clock))
    lesson = Distil().teach(rows.take(np.arange(9_000) % len(rows)), doubting, Settings(synthetic=1.0), work, meter)
    assert len(np.unique(lesson.rows)) > 500, "the rows asked about are the first ones, not a sample"
    assert "8,192 of 18,000 rows" in meter.notes[0]


def test_settings_are_checked(tumours, meter):
    rows, work = tumours
    with pytest.raises(SettingsRefused, match="learner"):
        Distil().student(Settings(learner="oracle"))
    with pytest.raises(SettingsRefused, match="synthetic"):
        Distil().teach(rows, doubting, Settings(synthetic=-1.0), work, meter)


# ------------------------------------------------------------------------------------------ synthetic rows


def test_made_rows_lie_where_real_ones_do_and_are_none_of_them(tumours, random):
    rows, work = tumours
    made = munge(rows, 2 * len(rows), work.schema, random)
    real, drawn = (np.column_stack(list(split.columns.values())) for split in (rows, made))
    assert drawn.shape == (2 * len(real), 30)
    assert (drawn.min(axis=0) >= real.min(axis=0)).all()
    assert (drawn.max(axis=0) <= real.max(axis=0)).all()
    apart = np.abs(np.corrcoef(real.T) - np.corrcoef(drawn.T))
    shuffled = np.column_stack([random.permutation(column) for column in real.T])
    assert apart.mean() < 0.2 * np.abs(np.corrcoef(real.T) - np.corrcoef(shuffled.T)).mean()
    assert not (drawn[:, None, :5] == real[None, :, :5]).all(axis=2).all(axis=1).any()


def test_made_cells_keep_their_kind(random):
    n = 300
    columns = {
        "count": random.integers(0, 9, n).astype(float),
        "gap": np.where(random.random(n) < 0.3, np.nan, random.normal(size=n)),
        "void": np.full(n, np.nan),
        "colour": random.choice(np.array(["red", "green", None], object), n),
        "note": random.choice(np.array(["good stuff", ""], object), n),
    }
    kinds = (Kind.NUMBER, Kind.NUMBER, Kind.NUMBER, Kind.CATEGORY, Kind.TEXT)
    schema = Schema(tuple(Column(name=name, kind=kind) for name, kind in zip(columns, kinds, strict=True)))
    rows = Split(columns, np.zeros(n), np.arange(n), np.linspace(1, 2, n))
    made = munge(rows, 2 * n, schema, random)
    assert set(made.columns["count"]) <= set(range(9))
    assert 0.2 < np.isnan(made.columns["gap"]).mean() < 0.4
    assert np.isnan(made.columns["void"]).all()
    for name in ("colour", "note"):
        assert made.columns[name].dtype == object
        assert set(made.columns[name]) == set(columns[name])
    np.testing.assert_array_equal(made.weights, rows.weights[made.rows])
    assert np.bincount(made.rows).tolist() == [2] * n, "some row was started from more often than another"


def test_one_row_makes_no_others(tumours, random):
    rows, work = tumours
    assert len(munge(rows.take(np.arange(1)), 5, work.schema, random)) == 0


# ------------------------------------------------------------------------------------------------- moves


def heavy(trial, size=HEAVY):
    exact = Estimate.exact(1.0)
    from steelyard.contracts import Weight

    figures = dict.fromkeys(("p50", "p95", "p99", "throughput", "memory_bytes"), exact)
    return replace(trial, weight=Weight(batch=1, size_bytes=size, threads=1, calls=9, **figures))


@pytest.fixture
def moves(trial, context):
    """What distil proposes among trials of which the last is the candidate; `lightgbm` and `linear` were trained."""

    def make(recipe, aim=0.75, size=1000, others=(("lightgbm", 0.7), ("linear", 0.71)), **more):
        before = [trial(number, name, value) for number, (name, value) in enumerate(others)]
        last = heavy(trial(9, aim=aim, recipe=recipe, **more), size)
        made = replace(context(*before, last), learner=lambda name: context().learner("trees"))
        return list(Distil().moves(last, made))

    return make


PAIR = (Train(learner="lightgbm"), Train(learner="linear"))
BLEND = Combine(lever="ensemble", parents=PAIR)
BAG = Train(learner="trees", plan=Plan(parts=(Step(lever="bag", settings=Settings(folds=5)),)))


@pytest.mark.parametrize("recipe", [BLEND, BAG])
def test_what_is_several_in_one_is_distilled_into_each_student(moves, recipe):
    found = moves(recipe)
    assert [m.recipe.settings["learner"] for m in found] == ["lightgbm", "linear"]
    assert all(m.recipe.parent == recipe for m in found)


def test_one_model_is_distilled_if_it_is_large(moves):
    single = Train(learner="trees")
    assert not moves(single)
    assert moves(single, size=HEAVY)


def test_a_rule_on_one_model_is_not_distilled(moves):
    assert not moves(Combine(lever="threshold", parents=(BLEND,)))


def test_learners_that_were_not_tried_or_fell_far_behind_are_no_students(moves):
    assert [m.recipe.settings["learner"] for m in moves(BLEND, others=[("linear", 0.7)])] == ["linear"]
    assert [m.recipe.settings["learner"] for m in moves(BLEND, others=[("linear", 0.5), ("lightgbm", 0.7)])] == [
        "lightgbm"
    ]


def test_what_was_not_measured_is_not_distilled(moves):
    assert not moves(BLEND, ending=Ending.FAILED)


def test_more_teachers_and_rows_cost_more():
    one = led_by_an_ensemble(Problem.BINARY)
    (_, few), *_ = Hand(lever=Distil(), situation=one).moves()
    (_, many), *_ = Hand(lever=Distil(), situation=one).moves(replace(one.context, rows=2 * one.context.rows))
    assert many.prior.seconds.value > 1.3 * few.prior.seconds.value
