"""Derived features: what training rows see of the target, and what the graph makes of new rows."""

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from steelyard.contracts import OF_ROWS, Column, Kind, Problem, Schema, Split, Task, Work
from steelyard.errors import SteelyardError
from steelyard.learners import _targets
from steelyard.learners._crosses import Crosses
from steelyard.learners._dates import Dates
from steelyard.learners._features import MANY, feature_blocks
from steelyard.learners._linear import Linear
from steelyard.learners._lookup import counts
from steelyard.learners._pairs import strongest
from steelyard.learners._prelude import Prelude, beside
from steelyard.learners._quotients import Quotients
from steelyard.learners._targets import FOLDS, Targets, effects
from steelyard.recipe import Plan, Settings, Step
from steelyard.testing import check_learner
from steelyard.testing.scenes import scene

BINARY = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("0", "1"))
VALUES = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
KINDS = {"x": Kind.NUMBER, "z": Kind.NUMBER, "when": Kind.TIME, "town": Kind.CATEGORY, "sort": Kind.CATEGORY}


def asking(**settings):
    return Plan(parts=(Step(lever="features", settings=Settings(settings)),))


def split_of(columns, target):
    return Split(columns, np.asarray(target), np.arange(len(target)))


def work_of(columns, task=BINARY):
    return Work(task=task, schema=Schema(tuple(Column(name=n, kind=KINDS[n], distinct=99) for n in columns)), seed=3)


def towns(rng, rows, many):
    return np.array([f"town {n}" for n in rng.integers(0, many, rows)], object)


def run(block, columns):
    (matrix,) = Prelude((block,)).run(columns, threads=1)
    return matrix


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def noise(rng):
    """Return rows to train on and others, of a category of 600 values that says nothing."""
    columns = {"town": towns(rng, 3000, 600)}
    rows = split_of(columns, rng.integers(0, 2, 3000))
    return rows.take(np.arange(2000)), rows.take(np.arange(2000, 3000))


def skill_on(train, rest, meter):
    """Return the share of the squared error of the mean that linear explains with the means of the target."""
    plan = Plan(settings=Settings(category_min_count=1000), parts=asking(targets=True).parts)
    chance = Linear().fit(plan, train, None, work_of(train.columns), meter).scores(rest.columns)[:, 1]
    return 1 - ((chance - rest.target) ** 2).mean() / ((train.target.mean() - rest.target) ** 2).mean()


def raw(places, outcome, weights, count):
    """Return plain means, nothing pulled towards the mean of all."""
    rows = np.maximum(np.bincount(places, weights, count), 1)
    return np.bincount(places, weights * outcome, count) / rows


def test_noise_of_many_values_brings_nothing(rng, meter):
    assert abs(skill_on(*noise(rng), meter)) < 0.01


def test_training_rows_do_not_see_their_own_target_even_where_nothing_is_pulled(rng, meter, monkeypatch):
    monkeypatch.setattr(_targets, "effects", raw)
    train, rest = noise(rng)
    block = Targets.fit(train, ("town",), _values(train, "town"), classes=2, seed=0)
    blind, own = (roc_auc_score(train.target, m[:, 0]) for m in (block.train_matrix(train), run(block, train.columns)))
    assert abs(blind - 0.5) < 0.04
    assert own > 0.7
    assert skill_on(train, rest, meter) > -0.02
    monkeypatch.setattr(Targets, "train_matrix", lambda self, split: run(self, split.columns))
    assert skill_on(train, rest, meter) < -0.1  # the same check where training rows do see it


def _values(train, name):
    return (tuple(sorted({value or "" for value in train.columns[name]})),)


def test_values_that_differ_are_told_apart_the_more_rows_they_have(rng):
    sizes = np.array([2, 20, 200] * 20)
    truth = rng.normal(size=60)
    town = np.repeat(np.arange(60), sizes)
    target = truth[town] + rng.normal(size=len(town))
    columns = {"town": np.array([f"{t:02}" for t in town], object)}
    train = split_of(columns, target)
    block = Targets.fit(train, ("town",), _values(train, "town"), classes=0, seed=0)
    raw = np.array([target[town == t].mean() for t in range(60)])
    kept = np.abs(block.numbers[:, 0]) / np.abs(raw - target.mean()) * target.std()
    assert kept[sizes == 200].mean() > kept[sizes == 20].mean() > kept[sizes == 2].mean()
    assert np.corrcoef(block.train_matrix(train)[:, 0], target)[0, 1] > 0.5
    assert (run(block, {"town": np.array(["nowhere", None], object)}) == 0).all()


def test_a_row_s_own_target_does_not_reach_its_features(rng):
    columns = {"town": towns(rng, 400, 30)}
    target = rng.normal(size=400)
    first = split_of(columns, target)
    changed = target.copy()
    changed[7] += 100
    values = _values(first, "town")
    before, after = (
        Targets.fit(split, ("town",), values, classes=0, seed=0).train_matrix(split)
        for split in (first, split_of(columns, changed))
    )
    assert before[7] == after[7]
    assert (before != after).any()


def test_copies_of_a_row_are_encoded_by_the_same_other_rows(rng):
    once = split_of({"town": towns(rng, 300, 20)}, rng.normal(size=300))
    twice = once.take(np.repeat(np.arange(300), 2))
    matrix = Targets.fit(twice, ("town",), _values(twice, "town"), classes=0, seed=0).train_matrix(twice)
    np.testing.assert_array_equal(matrix[::2], matrix[1::2])
    assert len(np.unique(matrix)) > 20 * (FOLDS - 1)


def test_several_classes_get_a_number_each_and_they_sum_to_about_nothing(rng):
    columns = {"town": towns(rng, 900, 12)}
    place = np.array([int(t.split()[1]) for t in columns["town"]])
    train = split_of(columns, np.where(rng.random(900) < 0.8, place % 3, rng.integers(0, 3, 900)))
    block = Targets.fit(train, ("town",), _values(train, "town"), classes=3, seed=0)
    matrix = run(block, columns)
    assert matrix.shape == (900, 3)
    assert (matrix.argmax(axis=1) == place % 3).mean() > 0.95


def test_effects_are_those_of_a_balanced_layout_by_hand():
    outcome = np.array([1.0, 3, 5, 7, 0, 2])  # means 2, 6, 1; within 2, between 42 / 2 = 14 with 2 rows each
    found = effects(np.repeat([0, 1, 2], 2), outcome - 3, np.ones(6), 3)
    variance = (14 - 2) / 2
    np.testing.assert_allclose(found, np.array([-1, 3, -2]) * 2 * variance / (2 * variance + 2))


def test_counts_are_shares_in_logarithms_and_unseen_values_have_none(rng):
    columns = {"town": np.array(["a"] * 7 + ["b"] * 2 + [None], object)}
    block = counts(columns, ("town",), (("", "a", "b"),))
    found = run(block, {"town": np.array(["a", "b", None, "z"], object)})[:, 0]
    np.testing.assert_allclose(found, np.log1p([7, 2, 1, 0]) / np.log1p(10), rtol=1e-6)


def acting_together(rng, rows=3000):
    x, z, extra = rng.normal(size=(3, rows))
    sort = np.array(["left", "right"], object)[rng.integers(0, 2, rows)]
    target = np.where(sort == "left", x, -x) + 0.2 * z + 0.1 * extra
    return {"x": x, "z": z, "sort": sort}, target


def test_the_pair_that_acts_together_is_found_and_additive_ones_are_not(rng):
    columns, target = acting_together(rng)
    matrix = np.column_stack([columns["x"], columns["z"], columns["sort"] == "left"]).astype(np.float32)
    assert strongest(matrix, split_of(columns, target), work_of(columns, VALUES), most=1) == ((0, 2),)


def test_crosses_let_a_sum_follow_columns_that_act_together(rng, meter, serve):
    columns, target = acting_together(rng)
    rows = split_of(columns, target)
    train, rest = rows.take(np.arange(2000)), rows.take(np.arange(2000, 3000))
    work = work_of(columns, VALUES)
    skill = {}
    for pairs in (0, 2):
        fitted = Linear().fit(asking(interactions=pairs), train, None, work, meter)
        scores = serve(fitted.export(), rest.columns)
        assert np.abs(scores - fitted.scores(rest.columns)).max() < 1e-4 * target.std()
        skill[pairs] = r2_score(rest.target, scores[:, 0])
    assert skill[0] < 0.2
    assert skill[2] > 0.85


def test_every_row_is_in_one_cell_of_each_cross_and_cells_are_as_a_table_says(rng, meter):
    columns, target = acting_together(rng, 600)
    columns["when"] = 1.7e9 + 3600.0 * rng.integers(0, 24 * 300, 600)
    (_, block) = feature_blocks(
        asking(interactions=4),
        split_of(columns, target),
        work_of(columns, VALUES),
        meter,
        standard=True,
        sparse=True,
    )
    assert isinstance(block, Crosses)
    cells = run(block, columns)
    assert (cells.sum(axis=1) == len(block.pairs)).all()
    codes = (beside(Prelude(block.inner).run(columns, threads=1))[:, :, None] >= block.edges).sum(axis=2)
    sizes, first = np.isfinite(block.edges).sum(axis=1) + 1, 0
    for one, other in block.pairs:
        expected = first + codes[:, one] * sizes[other] + codes[:, other]
        assert (np.asarray(cells[np.arange(600), expected]) == 1).all()
        first += sizes[one] * sizes[other]
    assert cells.shape[1] == first


def test_quotients_and_differences_are_exact_and_gaps_are_nan_only_where_training_had_some():
    columns = {"a": np.array([1.0, 2.0, 3.0, 4.0]), "b": np.array([2.0, 0.0, 4.0, 1.0])}
    block = Quotients.fit(columns, ("a", "b"), ((0, 1),), standard=False)
    rate = columns["a"].std() / columns["b"].std()
    found = run(block, columns)
    np.testing.assert_allclose(found[:, 0], columns["a"] - rate * columns["b"], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], [0.5, np.nan, 0.75, 4.0])
    gone = run(block, {"a": np.array([np.nan]), "b": np.array([1.0])})
    np.testing.assert_array_equal(np.isnan(gone), [[False, True]])
    calm = run(Quotients.fit(columns, ("a", "b"), ((0, 1),), standard=True), {k: v * 1e9 for k, v in columns.items()})
    assert np.isfinite(calm).all()
    assert np.abs(calm).max() <= 10


def test_times_are_split_unless_the_plan_says_no(rng, meter):
    columns = {"when": 1.7e9 + 3600.0 * np.arange(500), "x": rng.normal(size=500)}
    rows, work = split_of(columns, np.arange(500) % 24 >= 12), work_of(columns)
    (block,) = feature_blocks(Plan(), rows, work, meter, standard=False)
    assert isinstance(block, Dates)
    assert feature_blocks(asking(dates=False), rows, work, meter, standard=False) == ()


def test_the_hour_decides_and_linear_sees_it_without_being_asked(rng, meter, serve):
    columns = {"when": 1.7e9 + 3600.0 * rng.integers(0, 9000, 1500)}
    hour = (columns["when"] // 3600 % 24).astype(int)
    rows = split_of(columns, ((hour >= 7) & (hour < 19)).astype(np.int64))
    work = work_of(columns)
    fitted, blind = (Linear().fit(plan, rows, None, work, meter) for plan in (Plan(), asking(dates=False)))
    seen, unseen = (roc_auc_score(rows.target, serve(f.export(), columns)[:, 1]) for f in (fitted, blind))
    assert seen > 0.99
    assert unseen < 0.65


def test_what_a_table_lacks_is_left_out_with_a_note(rng, meter):
    columns = {"sort": np.array(["a", "b"], object)[rng.integers(0, 2, 200)]}
    rows, work = split_of(columns, rng.integers(0, 2, 200)), work_of(columns)
    assert feature_blocks(asking(targets=True, interactions=3), rows, work, meter, standard=False) == ()
    assert [f"more than {MANY} values" in meter.notes[0], "no two columns" in meter.notes[1]] == [True, True]


def test_a_misspelt_feature_is_refused_by_name(rng, meter):
    columns = {"x": rng.normal(size=50)}
    with pytest.raises(SteelyardError, match=r"features has no setting 'target'.*did you mean 'targets'"):
        Linear().fit(asking(target=True), split_of(columns, np.arange(50) % 2), None, work_of(columns), meter)


@pytest.mark.parametrize("problem", OF_ROWS)
def test_linear_keeps_its_contract_with_every_kind_of_feature(problem):
    check_learner(Linear(), plan=asking(interactions=3, targets=True, counts=True), among=[scene("numbers", problem)])
