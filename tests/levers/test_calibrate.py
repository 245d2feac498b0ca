"""Calibration: probabilities come to mean what they say, on real models and on worlds whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB

from steelyard.bundle.rules import answer_of, apply_rule
from steelyard.contracts import Answer, Ending, Evidence, Problem, Task, Work
from steelyard.errors import SteelyardError
from steelyard.levers.combining._calibrate import RANGE, Calibrate, best_temperature, rising_curve
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Settings
from steelyard.tasks import metric
from steelyard.testing import check_lever
from steelyard.testing.situations import situation


def classes(*names, aim="log_loss"):
    problem = Problem.BINARY if len(names) == 2 else Problem.MULTICLASS
    return Task(problem=problem, target="y", aim=aim, classes=names, positive=names[-1] if len(names) == 2 else None)


BINARY = classes("no", "yes")
METHODS = ("temperature", "isotonic")


def naive(data, **options):
    """Return a task with what a model says that is known to be too sure of itself, out of fold."""
    features, target = data(return_X_y=True, **options)
    scores = cross_val_predict(GaussianNB(), features, target, method="predict_proba", cv=5)
    task = classes(*map(str, np.unique(target)))
    return task, Evidence((answer_of(task, scores),), target.astype(np.int64))


def bent(rows, power, seed=0):
    """Return two classes whose log-odds are told ``power`` times too large."""
    random = np.random.default_rng(seed)
    odds = 1.5 * random.normal(size=rows)
    target = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    told = 1 / (1 + np.exp(-power * odds))
    return Evidence((answer_of(BINARY, np.column_stack([1 - told, told])),), target)


def fit(task, evidence, schema, **settings):
    return Calibrate().fit(evidence, Settings(settings), Work(task=task, schema=schema))


def cut(evidence, index):
    answers = tuple(Answer(a.scores[index], a.decided[index]) for a in evidence.answers)
    return Evidence(answers, evidence.target[index], None if evidence.weights is None else evidence.weights[index])


def figures(task, evidence, answer):
    return {name: metric(name).measure(task, evidence.target, answer) for name in ("log_loss", "brier", "ece")}


# ------------------------------------------------------------------------------------------------ what it does


@pytest.mark.parametrize("data", [load_breast_cancer, load_digits])
def test_an_overconfident_model_is_calibrated_on_rows_it_was_not_fitted_on(data, schema):
    task, evidence = naive(data)
    order = np.random.default_rng(0).permutation(len(evidence.target))
    fitted, held = cut(evidence, order[::2]), cut(evidence, order[1::2])
    rule = fit(task, fitted, schema)
    assert rule["at"] > 1.5, "a naive Bayes model is too sure of itself"
    before, after = (figures(task, held, a) for a in (held.answers[0], apply_rule(rule, held.answers, task)))
    assert after["log_loss"] < 0.6 * before["log_loss"]
    assert after["ece"] < before["ece"]


@pytest.mark.parametrize("power", [0.4, 1.0, 3.0])
def test_a_temperature_undoes_what_was_told_too_large_or_too_small(power, schema):
    assert fit(BINARY, bent(20_000, power), schema)["at"] == pytest.approx(power, rel=0.06)


def test_no_other_temperature_has_less_log_loss(schema):
    evidence = bent(800, 2.0)
    weights = np.random.default_rng(1).random(800) + 0.1
    scores = evidence.answers[0].scores
    best = best_temperature(scores, evidence.target, weights)

    def loss(at):
        shown = apply_rule({"rule": "temperature", "at": at}, evidence.answers, BINARY).scores
        return -np.average(np.log(shown[np.arange(800), evidence.target]), weights=weights)

    assert loss(best) <= min(loss(at) for at in np.geomspace(0.1, 10, 200)) + 2e-6


def test_a_few_rows_without_an_error_do_not_make_a_model_certain(schema):
    p = np.repeat([0.1, 0.9], 60)
    perfect = Evidence((answer_of(BINARY, np.column_stack([1 - p, p])),), (p > 0.5).astype(np.int64))
    rule = fit(BINARY, perfect, schema)
    assert RANGE[0] < rule["at"] < 1
    highest = apply_rule(rule, perfect.answers, BINARY).scores.max()
    assert 1 - 1 / 60 < highest < 1 - 1 / 500


def test_a_curve_is_scikit_learns_between_its_ends(schema):
    evidence = bent(3000, 2.0)
    evidence = replace(evidence, weights=np.random.default_rng(2).random(3000) + 0.5)
    (curve,) = fit(BINARY, evidence, schema, method="isotonic")["curves"]
    told = evidence.answers[0].scores[:, 1]
    reference = IsotonicRegression().fit(told, evidence.target, sample_weight=evidence.weights).predict(told)
    ours = np.interp(told, curve["from"], curve["to"])
    inner = (reference > 0.05) & (reference < 0.95)
    assert ours[inner] == pytest.approx(reference[inner], abs=1e-9)
    assert 0 < ours.min() < ours.max() < 1
    assert len(curve["from"]) < 300, "only corners are kept"


@pytest.mark.parametrize("method", METHODS)
def test_curves_and_temperatures_lower_the_loss_of_two_classes(method, schema):
    fitted, held = bent(4000, 3.0), bent(4000, 3.0, seed=5)
    after = figures(BINARY, held, apply_rule(fit(BINARY, fitted, schema, method=method), held.answers, BINARY))
    before = figures(BINARY, held, held.answers[0])
    assert all(after[name] < before[name] for name in before)


def test_curves_of_several_classes_lower_the_loss(schema):
    task, evidence = naive(load_digits, n_class=5)
    repeated = cut(evidence, np.tile(np.arange(len(evidence.target)), 2))  # 901 rows, and 1,000 are asked for
    rule = fit(task, repeated, schema, method="isotonic")
    assert len(rule["curves"]) == 5
    after = figures(task, evidence, apply_rule(rule, evidence.answers, task))
    assert after["log_loss"] < figures(task, evidence, evidence.answers[0])["log_loss"]


def test_scores_that_are_all_alike_become_their_frequency(schema):
    curve = rising_curve(np.full(1000, 0.3), np.arange(1000) % 4 == 0, np.ones(1000))
    assert curve == {"from": [0.3], "to": [0.25]}


# ------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(("method", "needed"), [("temperature", 100), ("isotonic", 1000)])
def test_too_few_rows_are_refused_with_the_number_needed(method, needed, schema):
    fit(BINARY, bent(needed, 2.0), schema, method=method)
    with pytest.raises(LeverRefused, match=f"needs {needed} calibration rows, there are {needed - 1}"):
        fit(BINARY, bent(needed - 1, 2.0), schema, method=method)


def test_curves_are_refused_where_a_class_is_rare_or_there_are_many(schema):
    rare = replace(bent(2000, 1.0), target=(np.arange(2000) < 49).astype(np.int64))
    with pytest.raises(
        LeverRefused, match="50 calibration rows of each class, the rarest has 49; use method=temperature"
    ):
        fit(BINARY, rare, schema, method="isotonic")
    six = classes(*"abcdef")
    many = Evidence((answer_of(six, np.full((1200, 6), 1 / 6)),), np.arange(1200) % 6)
    with pytest.raises(LeverRefused, match="5 classes at most, there are 6"):
        fit(six, many, schema, method="isotonic")


def test_numbers_have_no_probabilities_to_calibrate(schema):
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    numbers = Evidence((answer_of(task, np.zeros((200, 1))),), np.zeros(200))
    with pytest.raises(LeverRefused, match="got 1 of a regression task"):
        fit(task, numbers, schema)


def test_unknown_methods_are_refused(schema):
    with pytest.raises(SteelyardError, match="one of temperature, isotonic"):
        fit(BINARY, bent(200, 1.0), schema, method="platt")


# ---------------------------------------------------------------------------------------------------- moves


def methods(moves):
    return [dict(m.recipe.settings).get("method", "temperature") for m in moves]


def test_it_is_proposed_only_where_probabilities_are_looked_at(context, trial):
    for aim in ("log_loss", "brier", "ece"):
        start = trial(1, aim=0.4, metric=aim)
        made = context(start, task=replace(BINARY, aim=aim), calibration_rows=1000)
        assert methods(Calibrate().moves(start, made)) == ["temperature", "isotonic"]
    start = trial(1)
    assert not list(Calibrate().moves(start, context(start, calibration_rows=1000)))


def test_methods_wait_for_rows_and_curves_for_few_classes(context, trial):
    start = trial(1, aim=0.4, metric="log_loss")
    few = context(start, task=BINARY, calibration_rows=999)
    assert methods(Calibrate().moves(start, few)) == ["temperature"]
    assert not list(Calibrate().moves(start, context(start, task=BINARY, calibration_rows=99)))
    many = context(start, task=classes(*"abcdef"), calibration_rows=9999)
    assert methods(Calibrate().moves(start, many)) == ["temperature"]


def test_only_the_best_are_calibrated_and_none_twice(context, trial):
    trials = [trial(n, "trees", aim=0.4 + n / 100, metric="log_loss", leaves=n) for n in range(1, 6)]
    constant = trial(9, "constant", aim=0.1, metric="log_loss")
    made = context(*trials, constant, trial(8, ending=Ending.FAILED), task=BINARY)
    moves = [m for t in made.trials for m in Calibrate().moves(t, made)]
    assert [m.recipe.parents[0] for m in moves] == [t.recipe for t in trials[:3]]
    done = trial(10, recipe=moves[0].recipe, aim=0.2, metric="log_loss")
    cut_ = trial(11, recipe=Combine(lever="threshold", parents=(trials[0].recipe,)), aim=0.2, metric="log_loss")
    again = context(*trials, done, cut_, task=BINARY)
    assert not [m for t in (trials[0], done, cut_) for m in Calibrate().moves(t, again)]


@pytest.mark.parametrize("problem", [Problem.BINARY, Problem.MULTICLASS])
def test_it_keeps_the_contract_of_levers(problem):
    made = situation(problem)
    context = made.context
    trials = tuple(
        replace(t, validation={"log_loss": t.validation[context.task.aim]}) if t.ending.usable else t
        for t in context.trials
    )
    priced = replace(context, task=replace(context.task, aim="log_loss"), trials=trials)
    check_lever(Calibrate(), among=[replace(made, context=priced)])
