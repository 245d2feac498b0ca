"""CatBoost: the same model as by its own interface, exported to the last category."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from steelyard.bundle.rules import answer_of
from steelyard.contracts import OF_ROWS, Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.learners import _catboost, _catboost_train
from steelyard.learners._boosting import EVERY, Scale
from steelyard.learners._catboost import CatBoostLearner
from steelyard.learners._ctrs import hashes, names
from steelyard.recipe import Plan, Settings
from steelyard.tasks import metric

catboost = pytest.importorskip("catboost")

QUIET = {"allow_writing_files": False, "verbose": False, "thread_count": 1}


class Stop:
    """A callback that ends a training whose learning rate was chosen for more rounds."""

    def __init__(self, rounds):
        self.rounds = rounds

    def after_iteration(self, info):
        return info.iteration < self.rounds


@pytest.fixture
def learner():
    return CatBoostLearner()


def sides(data, task):
    columns = {f"x{i}": column for i, column in enumerate(data.data.T.copy())}
    schema = Schema(tuple(Column(name=name, kind=Kind.NUMBER) for name in columns))
    split = Split(columns, data.target, np.arange(len(data.target)))
    part = np.random.default_rng(0).permutation(len(data.target)) % 4
    return split.take(part > 1), split.take(part == 1), split.take(part == 0), Work(task=task, schema=schema)


def cancer():
    return sides(load_breast_cancer(), Task(problem=Problem.BINARY, target="y", aim="log_loss", classes=("0", "1")))


def shop(problem, *, rows=600, cities=40, seed=0):
    """Return rows whose target hangs on pairs of categories, and on a category and whether a number is large."""
    rng = np.random.default_rng(seed)
    city, size, channel, spent = (rng.integers(0, n, rows) for n in (cities, 4, 2, 100))
    taste = np.random.default_rng(9).normal(size=(cities, 4))
    signal = taste[city, size] + np.where(spent > 50, taste[city, 0], 0) + 0.3 * rng.normal(size=rows)
    shown = np.array([f"city {number}" for number in city], object)
    shown[rng.random(rows) < 0.05] = None
    columns = {
        "city": shown,
        "size": np.array(["S", "M", "L", "XL"], object)[size],
        "channel": np.array(["web", "shop"], object)[channel],
        "spent": np.where(rng.random(rows) < 0.1, np.nan, spent),
    }
    schema = Schema(
        tuple(Column(name=n, kind=Kind.NUMBER if n == "spent" else Kind.CATEGORY, distinct=99) for n in columns)
    )
    target = {
        Problem.BINARY: (signal > 0).astype(np.int64),
        Problem.MULTICLASS: np.digitize(signal, [-0.7, 0.7]).astype(np.int64),
        Problem.REGRESSION: 1e4 + 100 * signal,
    }[problem]
    classes = {Problem.BINARY: ("no", "yes"), Problem.MULTICLASS: ("a", "b", "c"), Problem.REGRESSION: ()}[problem]
    aim = "rmse" if problem is Problem.REGRESSION else "accuracy"
    task = Task(problem=problem, target="y", aim=aim, classes=classes)
    return Split(columns, target, np.arange(rows)), Work(task=task, schema=schema, seed=3)


def strange(split):
    """Return the rows with unseen and missing values and combinations."""
    columns = {name: values.copy() for name, values in split.columns.items()}
    columns["city"][::3] = "nowhere"
    columns["size"][::4] = None
    columns["size"][1::4] = "web"  # known, but of another column
    columns["spent"][::5] = np.nan
    return replace(split, columns=columns)


def by_hand(split):
    """Return what someone would pass to CatBoost: strings and numbers, row by row."""
    cells = zip(*split.columns.values(), strict=True)
    return [[cell if isinstance(cell, float) else cell or "" for cell in row] for row in cells]


# --------------------------------------------------------------------------------------------- the same model


@pytest.mark.parametrize("problem", OF_ROWS)
def test_it_is_the_model_that_catboost_s_own_defaults_train(learner, meter, problem):
    train, work = shop(problem)
    target = Scale.of(train, work.task).target(train)
    loss = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}[problem.value]
    plain = catboost.CatBoost({"loss_function": loss, "random_seed": work.seed, **QUIET})
    plain.fit(catboost.Pool(by_hand(train), target, cat_features=[0, 1, 2]), callbacks=[Stop(40)])
    settings = Settings(pace=1.0, max_ctr_complexity=plain.get_all_params()["max_ctr_complexity"])
    fitted = learner.fit(Plan(rounds=40, settings=settings), train, None, work, meter)
    raw = np.asarray(plain.predict(by_hand(train), prediction_type="RawFormulaVal"))
    np.testing.assert_allclose(fitted.outcomes.scores(raw), fitted.scores(train.columns), rtol=1e-6)


# -------------------------------------------------------------------------------------------------- the graph


@pytest.mark.parametrize("problem", OF_ROWS)
@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(max_ctr_complexity=4), Settings(max_ctr_complexity=3, one_hot_max_size=6)],
    ids=["one", "combined", "combined with values and numbers"],
)
def test_the_graph_knows_every_statistic_of_categories(learner, serve, meter, problem, settings):
    train, work = shop(problem)
    fitted = learner.fit(Plan(rounds=60, settings=settings), train, None, work, meter)
    artefact = fitted.export()
    unit = train.target.std() if problem is Problem.REGRESSION else 1.0
    for split in (train, strange(train)):
        scores = serve(artefact, split.columns)
        assert len(np.unique(scores[:, 0])) > 50
        assert np.abs(scores - fitted.scores(split.columns)).max() / unit < 1e-5


def test_those_graphs_held_every_kind_of_combination(learner, meter, tmp_path):
    train, work = shop(Problem.BINARY)
    kinds = set()
    for settings in (Settings(max_ctr_complexity=4), Settings(max_ctr_complexity=3, one_hot_max_size=6)):
        fitted = learner.fit(Plan(rounds=60, settings=settings), train, None, work, meter)
        fitted.model.save_model(str(tmp_path / "model.json"), format="json")
        statistics = json.loads((tmp_path / "model.json").read_text())["features_info"]["ctrs"]
        kinds |= {element["combination_element"] for one in statistics for element in one["elements"]}
    assert kinds == {"cat_feature_value", "float_feature", "cat_feature_exact_value"}


def test_thousands_of_categories_stay_in_the_graph(learner, serve, meter):
    train, work = shop(Problem.BINARY, rows=6000, cities=4000)
    fitted = learner.fit(Plan(rounds=10), train, None, work, meter)
    artefact = fitted.export()
    assert len(artefact.graph) < 1_000_000
    assert np.abs(serve(artefact, strange(train).columns) - fitted.scores(strange(train).columns)).max() < 1e-5


def test_hashes_are_catboost_s(tmp_path):
    known = names(300)
    cells = catboost.FeaturesData(cat_feature_data=known[:200].reshape(-1, 1))
    model = catboost.CatBoost({"iterations": 100, "learning_rate": 0.5, "one_hot_max_size": 255, **QUIET})
    model.fit(catboost.Pool(cells, np.random.default_rng(0).normal(size=200)))
    model.save_model(str(tmp_path / "model.json"), format="json")
    (column,) = json.loads((tmp_path / "model.json").read_text())["features_info"]["categorical_features"]
    used = {value & 0xFFFFFFFF for value in column["values"]}
    assert len(used) > 100
    assert used <= set((hashes(known[:200]) & np.uint64(0xFFFFFFFF)).tolist())


def test_neighbouring_floats_fall_on_the_right_sides(learner, serve, meter):
    values = [np.float32(0.1)]
    for _ in range(63):
        values.append(np.nextafter(values[-1], np.float32(1)))
    column = np.array(values, np.float64)
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    work = Work(task=task, schema=Schema((Column(name="x", kind=Kind.NUMBER),)))
    train = Split({"x": column}, np.sin(np.arange(64.0)), np.arange(64))
    fitted = learner.fit(Plan(rounds=200, settings=Settings(pace=4.0)), train, None, work, meter)
    expected = fitted.scores(train.columns)
    assert len(np.unique(expected)) > 30
    np.testing.assert_allclose(serve(fitted.export(), train.columns), expected, atol=1e-5)


def test_trees_without_a_split_are_exported_too(learner, serve, meter):
    train, valid, _, work = sides(load_diabetes(), Task(problem=Problem.REGRESSION, target="y", aim="rmse"))
    one = Work(task=work.task, schema=Schema(work.schema.columns[:2]))
    fitted = learner.fit(Plan(rounds=30, settings=Settings(rsm=0.2)), train, None, one, meter)
    depths = np.diff(fitted.model.get_tree_leaf_counts(), prepend=0)
    assert 1 in fitted.model.get_tree_leaf_counts(), depths
    np.testing.assert_allclose(serve(fitted.export(), valid.columns), fitted.scores(valid.columns), rtol=1e-4)


@pytest.mark.parametrize("kinds", [(Kind.NUMBER,), (Kind.CATEGORY,)])
def test_columns_without_a_difference_leave_the_mean_of_the_target(learner, serve, meter, table, kinds):
    made = table(Problem.REGRESSION, kinds=kinds)
    alike = {name: np.full(len(made.train), values[0]) for name, values in made.train.columns.items()}
    train = replace(made.train, columns=alike)
    fitted = learner.fit(Plan(rounds=5), train, None, made.work, meter)
    assert serve(fitted.export(), made.test.columns) == pytest.approx(train.target.mean(), rel=1e-5)


# ---------------------------------------------------------------------------------------------------- rounds


def test_validation_rows_decide_the_rounds_and_a_refit_repeats_them(learner, meter, recorder, monkeypatch):
    monkeypatch.setattr(_catboost, "PATIENCE", 20)
    train, work = shop(Problem.BINARY)
    valid, _ = shop(Problem.BINARY, rows=200, seed=1)
    settings = Settings(pace=4.0)
    fitted = learner.fit(Plan(settings=settings), train, valid, work, meter)
    assert 1 <= fitted.rounds < _catboost_train.MOST_ROUNDS
    assert [step for step, _ in meter.curve] == list(range(EVERY, len(meter.curve) * EVERY + 1, EVERY))
    assert fitted.rounds + 20 == fitted.model.tree_count_
    again = learner.fit(Plan(rounds=fitted.rounds, settings=settings), train, None, work, recorder())
    np.testing.assert_array_equal(again.scores(valid.columns), fitted.scores(valid.columns))
    assert again.export() == fitted.export()


@pytest.mark.parametrize("problem", OF_ROWS)
def test_what_is_reported_is_the_aim_on_validation_rows(learner, recorder, problem):
    train, work = shop(problem)
    valid, _ = shop(problem, seed=1)  # as many rows as train, so that the two cannot be told apart by their number
    meter = recorder(stop_at=2 * EVERY)
    learner.fit(Plan(), train, valid, work, meter)
    whole = learner.fit(Plan(rounds=2 * EVERY), train, None, work, recorder())
    aim = metric(work.task.aim)
    found = aim.measure(work.task, valid.target, answer_of(work.task, whole.scores(valid.columns)))
    assert meter.curve[-1] == (2 * EVERY, pytest.approx(aim.higher_is_better(found)))


def test_the_meter_can_stop_it(learner, recorder):
    train, valid, _, work = cancer()
    meter = recorder(stop_at=2 * EVERY)
    fitted = learner.fit(Plan(), train, valid, work, meter)
    assert [step for step, _ in meter.curve] == [EVERY, 2 * EVERY]
    assert fitted.rounds <= 2 * EVERY


def test_a_deadline_stops_it_with_a_note_and_a_usable_model(learner, serve, recorder):
    train, valid, test, work = cancer()
    meter = recorder(left=0.0)
    fitted = learner.fit(Plan(), train, valid, work, meter)
    assert fitted.rounds == 1
    assert fitted.stopped
    assert "deadline" in meter.notes[0]
    assert np.isfinite(serve(fitted.export(), test.columns)).all()


# -------------------------------------------------------------------------------------------------- settings


def test_settings_reach_the_trees(learner, meter):
    train, _, _, work = cancer()
    plain = learner.fit(Plan(rounds=3), train, None, work, meter)
    other = learner.fit(Plan(rounds=3, settings=Settings(depth=3, pace=1.0)), train, None, work, meter)
    assert set(other.model.get_tree_leaf_counts()) == {8}
    rates = [one.model.get_all_params()["learning_rate"] for one in (plain, other)]
    assert rates[1] == pytest.approx(rates[0] / 2)


def test_categories_are_combined_where_there_are_many_rows(learner, meter, monkeypatch):
    train, work = shop(Problem.BINARY)
    few = learner.fit(Plan(rounds=2), train, None, work, meter)
    monkeypatch.setattr(_catboost, "MANY", len(train))
    many = learner.fit(Plan(rounds=2), train, None, work, meter)
    assert [one.model.get_all_params()["max_ctr_complexity"] for one in (few, many)] == [1, 2]


def test_classes_can_weigh_alike_where_the_aim_counts_them_so(learner, meter):
    train, _, test, work = cancer()
    rare = train.take((train.target == 1) | (np.arange(len(train)) % 10 == 0))
    task = replace(work.task, aim="balanced_accuracy")
    assert "class_weight" not in learner.space(work.task, work.schema).settings
    plain, balanced = (
        learner.fit(Plan(rounds=10, settings=Settings(given)), rare, None, replace(work, task=task), meter)
        for given in ({}, {"class_weight": "balanced"})
    )
    first = test.take(test.target == 0).columns
    assert balanced.scores(first)[:, 0].mean() > plain.scores(first)[:, 0].mean() + 0.02


def test_without_the_package_it_refuses_in_a_sentence(learner, table, monkeypatch):
    work = table().work
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "pip install 'steelyard[train]'" in learner.accepts(work.task, work.schema).sentence


def test_the_learner_is_known_without_loading_the_package():
    assert not hasattr(_catboost, "CatBoost")
    assert "steelyard.learners._catboost_train" in CatBoostLearner.modules
