"""What holds for every learner of tables and text."""

from importlib.util import find_spec

import numpy as np
import pytest

from steelyard.contracts import OF_ROWS, Column, Kind, Learner, Problem, Schema, Split
from steelyard.recipe import Plan, Settings
from steelyard.registry import learners

TABULAR = (Kind.NUMBER, Kind.TIME, Kind.CATEGORY)
MIXED = (*TABULAR, Kind.TEXT)
CASES = [
    ("constant", MIXED),
    ("linear", TABULAR),
    ("linear", MIXED),
    ("linear", (Kind.TEXT,)),
    ("lightgbm", TABULAR),
    ("lightgbm", MIXED),
    ("lightgbm", (Kind.CATEGORY,)),
    ("tfidf-linear", (Kind.TEXT,)),
    *((name, kinds) for name in ("catboost", "extra-trees") for kinds in (TABULAR, MIXED, (Kind.CATEGORY,))),
]
needs_torch = (pytest.mark.deep, pytest.mark.skipif(find_spec("torch") is None, reason="`deep` is not installed"))
CASES += [pytest.param(("mlp", kinds), marks=needs_torch) for kinds in (TABULAR, MIXED, (Kind.CATEGORY,))]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join((case[0], *case[1])))
every_problem = pytest.mark.parametrize("problem", OF_ROWS)
SHORT = {"mlp": 6, "lightgbm": 30, "catboost": 100}


def fit(name, table, meter, *, settings=None, train=None):
    plan = Plan(rounds=SHORT.get(name), settings=Settings(settings or {}))
    return learners().get(name).fit(plan, train or table.train, None, table.work, meter)


def spoilt(columns):
    """Return the columns with missing and unseen cells everywhere."""
    found = {}
    for name, values in columns.items():
        changed = values.copy()
        changed[::3] = np.nan if values.dtype == np.float64 else "" if name == "remark" else None
        changed[1::3] = values[1::3] * 5 if values.dtype == np.float64 else "never seen before"
        found[name] = changed
    return found


@every_problem
@every_case
def test_the_graph_gives_the_framework_s_scores_also_for_missing_and_unseen_cells(case, problem, table, serve, meter):
    name, kinds = case
    made = table(problem, kinds=kinds)
    fitted = fit(name, made, meter)
    artefact = fitted.export()
    unit = made.train.target.std() if problem is Problem.REGRESSION else 1.0
    for columns in (made.test.columns, spoilt(made.test.columns)):
        expected = fitted.scores(columns)
        scores = serve(artefact, columns)
        assert expected.shape == scores.shape == (len(made.test), made.work.task.width)
        assert np.abs(scores - expected).max() / unit < 1e-4
        assert np.isfinite(scores).all()
        if problem is not Problem.REGRESSION:
            np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


@every_problem
@every_case
def test_the_same_seed_gives_the_same_graph_to_the_byte(case, problem, table, meter):
    name, kinds = case
    made = table(problem, kinds=kinds, rows=120)
    assert fit(name, made, meter).export() == fit(name, made, meter).export()


@every_case
def test_weights_change_the_answer(case, table, meter):
    name, kinds = case
    made = table(kinds=kinds)
    noisy = np.random.default_rng(0).random(len(made.train)) < 0.25
    target = np.where(noisy, 1 - made.train.target, made.train.target)
    plain, heavy = (
        fit(name, made, meter, train=Split(made.train.columns, target, made.train.rows, weights))
        .scores(made.test.columns)[:, 1]
        .mean()
        for weights in (None, np.where(target == 1, 5.0, 1.0))
    )
    assert heavy > plain + 0.1


@every_case
@pytest.mark.parametrize("present", [[1], [0, 2]])
def test_a_class_that_training_lacks_gets_next_to_no_probability(case, present, table, serve, meter):
    name, kinds = case
    made = table(Problem.MULTICLASS, kinds=kinds)
    fitted = fit(name, made, meter, train=made.train.take(np.isin(made.train.target, present)))
    scores = serve(fitted.export(), made.test.columns)
    assert scores.shape == (len(made.test), 3)
    assert np.delete(scores, present, axis=1).max() < 1e-3
    assert np.abs(scores - fitted.scores(made.test.columns)).max() < 1e-4


@every_case
def test_one_class_of_two_is_answered_with_near_certainty(case, table, serve, meter):
    name, kinds = case
    made = table(kinds=kinds)
    fitted = fit(name, made, meter, train=made.train.take(made.train.target == 0))
    assert serve(fitted.export(), made.test.columns)[:, 0].min() > 0.999


@every_case
def test_a_misspelt_setting_is_refused_with_the_nearest_name(case, table, meter):
    name, kinds = case
    made = table(kinds=kinds)
    known = list(learners().get(name).space(made.work.task, made.work.schema).settings) or ["x"]
    with pytest.raises(Exception, match=f"{name} has no setting '{known[0]}_'") as caught:
        fit(name, made, meter, settings={f"{known[0]}_": 1})
    assert (known == ["x"]) or f"did you mean {known[0]!r}" in str(caught.value)


@every_problem
@every_case
def test_defaults_lie_in_their_ranges_and_priors_grow_with_rows(case, problem, table):
    name, kinds = case
    learner = learners().get(name)
    work = table(problem, kinds=kinds).work
    assert isinstance(learner, Learner)
    assert learner.accepts(work.task, work.schema) is None
    for setting in learner.space(work.task, work.schema).settings.values():
        if setting.options:
            assert setting.default in setting.options
        elif setting.low is not None:
            assert setting.low <= setting.default <= setting.high
        assert not setting.log or setting.low > 0
        assert setting.about.endswith(".")
    few, many = (learner.prior(work.task, work.schema, rows) for rows in (1000, 100_000))
    assert 0 < few.seconds.value < many.seconds.value
    assert few.seconds.low < few.seconds.value < few.seconds.high
    assert 0 <= few.gain.low <= few.gain.value <= few.gain.high <= 1


@pytest.mark.parametrize("name", ["catboost", "extra-trees", "linear", "lightgbm", "mlp", "tfidf-linear"])
def test_images_and_empty_tables_are_refused_with_a_way_out(name, table):
    task = table().work.task
    image = Schema((Column(name="photo", kind=Kind.IMAGE), Column(name="note", kind=Kind.TEXT)))
    refusal = learners().get(name).accepts(task, image)
    assert "'photo'" in refusal.sentence
    assert "columns.ignore" in refusal.sentence
    assert learners().get(name).accepts(task, Schema((Column(name="key", kind=Kind.ID),))) is not None
    assert learners().get("constant").accepts(task, image) is None


def test_text_alone_is_for_tfidf_linear_and_its_refusal_names_who_takes_mixtures(table):
    work = table(kinds=MIXED).work
    sentence = learners().get("tfidf-linear").accepts(work.task, work.schema).sentence
    assert "'size'" in sentence
    assert "'linear' or 'lightgbm'" in sentence
    work = table().work
    assert "columns.text" in learners().get("tfidf-linear").accepts(work.task, work.schema).sentence
