from dataclasses import replace

import numpy as np
import pytest

from steelyard.bundle.rules import answer_of, apply_rule
from steelyard.contracts import Amount, Ending, Evidence, Problem, Task, Work
from steelyard.errors import SteelyardError
from steelyard.levers.combining._threshold import AIMS, Threshold
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Settings, Shrink
from steelyard.tasks import metric

PRICES = ((0.0, -1.0), (-5.0, 3.0))


@pytest.fixture(params=["yes", "no"])
def task(request):
    return Task(problem=Problem.BINARY, target="y", aim="f1", classes=("no", "yes"), positive=request.param)


def evidence(random, task, *, rows=400, weights=None, digits=9, bend=1.0):
    p = random.random(rows)
    target = (random.random(rows) < p**bend).astype(np.int64)
    shown = np.round(p, digits)
    return Evidence((answer_of(task, np.column_stack([1 - shown, shown])),), target, weights)


def reached(found, task, rule):
    answer = apply_rule(rule, found.answers, task)
    return metric(task.aim).measure(task, found.target, answer, found.weights)


def by_hand(found, task):
    """Try a fine grid."""
    k = task.classes.index(task.positive)
    seen = np.unique(found.answers[0].scores[:, k])
    grid = [0.0, *seen, *(seen[1:] + seen[:-1]) / 2, 2.0]
    return max(reached(found, task, {"rule": "threshold", "positive": k, "at": t}) for t in grid)


@pytest.mark.parametrize("aim", sorted(AIMS))
@pytest.mark.parametrize("digits", [9, 1])
def test_no_cut_is_better_than_the_one_chosen(random, task, schema, aim, digits):
    task = replace(task, aim=aim)
    weights = random.random(120) + 0.1
    found = evidence(random, task, rows=120, weights=weights, digits=digits, bend=3.0)
    rule = Threshold().fit(found, Settings(), Work(task=task, schema=schema))
    assert rule["rule"] == "threshold"
    assert reached(found, task, rule) == pytest.approx(by_hand(found, task), abs=1e-9)


@pytest.mark.parametrize(
    "prices", [PRICES, ((1.0, -9.0), (0.0, 2.0)), ((0.0, 5.0), (0.0, 5.0)), ((5.0, 0.0), (5.0, 0.0))]
)
def test_no_cut_earns_more_than_the_one_chosen(random, task, schema, prices):
    task = replace(task, aim="value", value=prices)
    found = evidence(random, task)
    rule = Threshold().fit(found, Settings(), Work(task=task, schema=schema))
    assert reached(found, task, rule) == pytest.approx(by_hand(found, task), abs=1e-9)


def test_calibrated_probabilities_are_cut_near_elkans_optimum(random, schema, task):
    prices = ((0.0, -1.0), (-4.0, 0.0))
    task = replace(task, aim="value", value=prices, positive="yes")
    rule = Threshold().fit(evidence(random, task, rows=20_000), Settings(), Work(task=task, schema=schema))
    assert rule["at"] == pytest.approx(0.2, abs=0.06)


def test_a_plateau_is_cut_at_the_price_and_not_at_its_edge(schema, task):
    p = np.repeat([0.05, 0.95], 100)
    found = Evidence((answer_of(task, np.column_stack([1 - p, p])),), (p > 0.5).astype(np.int64))
    assert Threshold().fit(found, Settings(), Work(task=task, schema=schema))["at"] == pytest.approx(0.5)


@pytest.mark.parametrize(("rows", "ones"), [(99, 50), (200, 9), (200, 200), (0, 0)])
def test_too_few_rows_are_refused_with_the_number_needed(schema, task, rows, ones):
    p = np.linspace(0, 1, rows)
    target = (np.arange(rows) < ones).astype(np.int64)
    found = Evidence((answer_of(task, np.column_stack([1 - p, p])),), target)
    with pytest.raises(LeverRefused, match=rf"needs 100 calibration rows with 10 of each class, there are {rows} with"):
        Threshold().fit(found, Settings(), Work(task=task, schema=schema))


@pytest.mark.parametrize("aim", ["roc_auc", "precision", "recall", "log_loss"])
def test_an_aim_that_no_threshold_serves_is_refused(random, schema, task, aim):
    task = replace(task, aim=aim)
    with pytest.raises(LeverRefused, match="nothing to choose by"):
        Threshold().fit(evidence(random, task), Settings(), Work(task=task, schema=schema))


def test_it_has_no_settings(random, schema, task):
    with pytest.raises(SteelyardError, match="no setting 'at'"):
        Threshold().fit(evidence(random, task), Settings(at=0.3), Work(task=task, schema=schema))


def test_any_model_without_a_threshold_gets_one(context, trial, task):
    start = trial(1, aim=0.8, metric="f1")
    small = trial(2, aim=0.7, recipe=Shrink(lever="quantise", parent=start.recipe), metric="f1")
    made = context(start, small, task=task)
    moves = [m for t in (start, small) for m in Threshold().moves(t, made)]
    assert [m.recipe for m in moves] == [Combine(lever="threshold", parents=(t.recipe,)) for t in (start, small)]
    assert moves[0].prior.gain.value > moves[1].prior.gain.value


def test_nothing_is_proposed_where_a_threshold_cannot_be_fitted(context, trial, task):
    start = trial(1, aim=0.8, metric="f1")
    (move,) = Threshold().moves(start, context(start, task=task))
    done = trial(2, aim=0.8, recipe=move.recipe, metric="f1")
    several = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("a", "b", "c"))
    assert not list(Threshold().moves(start, context(start)))
    assert not list(Threshold().moves(start, context(start, task=several)))
    assert not list(Threshold().moves(start, context(start, task=task, calibration_rows=99)))
    assert not list(Threshold().moves(start, context(start, done, task=task)))
    assert not list(Threshold().moves(done, context(start, done, task=task)))
    assert not list(Threshold().moves(trial(3, ending=Ending.REFUSED), context(start, task=task)))


def test_the_constant_model_and_what_was_calibrated_last_get_no_threshold(context, trial, task):
    constant = trial(1, "constant", aim=0.5, metric="f1")
    start = trial(2, aim=0.8, metric="f1")
    warm = trial(3, aim=0.8, recipe=Combine(lever="calibrate", parents=(start.recipe,)), metric="f1")
    mixed = trial(4, aim=0.8, recipe=Combine(lever="ensemble", parents=(constant.recipe, start.recipe)), metric="f1")
    made = context(constant, start, warm, mixed, task=task)
    moves = [m for t in made.trials for m in Threshold().moves(t, made)]
    assert [m.recipe.parents[0] for m in moves] == [start.recipe, mixed.recipe]


# --------------------------------------------------------------------------------------------- money by the row

LOAN = ((0.0, 0.0), (-1.0, 0.0))


def staked(*, known):
    amount = Amount("loan", LOAN, known=known, means=(20.0, 30.0), high=1e6)
    return Task(
        problem=Problem.BINARY,
        target="y",
        aim="value",
        classes=("no", "yes"),
        positive="yes",
        value=((4.0, 0.0), (0.0, 0.0)),
        amounts=(amount,),
    )


def loans(random, task, *, rows=300, bend=1.0):
    p = random.random(rows)
    target = (random.random(rows) < p**bend).astype(np.int64)
    return Evidence((answer_of(task, np.column_stack([1 - p, p]), random.lognormal(2, 1, (rows, 1))),), target)


@pytest.mark.parametrize("bend", [0.3, 1.0, 3.0])
def test_no_odds_earn_more_than_those_chosen(random, schema, bend):
    task = staked(known=True)
    found = loans(random, task, bend=bend)
    rule = Threshold().fit(found, Settings(), Work(task=task, schema=schema))
    assert rule["rule"] == "odds"
    grid = np.exp(np.linspace(-9, 9, 801))
    best = max(reached(found, task, {"rule": "odds", "positive": 1, "times": t}) for t in grid)
    assert reached(found, task, rule) >= best - 1e-9


def test_odds_that_are_right_are_left_about_as_they_are_and_wrong_ones_are_mended(random, schema):
    task, work = staked(known=True), Work(task=staked(known=True), schema=schema)
    right = Threshold().fit(loans(random, task, rows=20_000), Settings(), work)
    assert right["chosen"]["low"] <= 1.0 <= right["chosen"]["high"]
    wrong = Threshold().fit(loans(random, task, rows=20_000, bend=3.0), Settings(), work)
    assert wrong["chosen"]["high"] < 0.8


def test_money_that_is_known_only_later_still_counts_what_a_cut_brought(random, schema):
    task = staked(known=False)
    found = loans(random, task)
    rule = Threshold().fit(found, Settings(), Work(task=task, schema=schema))
    assert rule["rule"] == "threshold"
    assert reached(found, task, rule) == pytest.approx(by_hand(found, task), abs=1e-9)


def test_the_order_of_rows_changes_neither_the_cut_nor_its_interval(random, schema):
    task = staked(known=True)
    found, order = loans(random, task), random.permutation(300)
    mixed = Evidence((found.answers[0].take(order),), found.target[order])
    work = Work(task=task, schema=schema)
    assert Threshold().fit(found, Settings(), work) == Threshold().fit(mixed, Settings(), work)


def test_the_interval_of_a_cut_holds_it_and_shrinks_with_rows(random, schema):
    task = Task(
        problem=Problem.BINARY, target="y", aim="value", classes=("no", "yes"), positive="yes", value=((0, -1), (-4, 0))
    )
    work = Work(task=task, schema=schema)
    few, many = (Threshold().fit(evidence(random, task, rows=n), Settings(), work) for n in (200, 20_000))
    widths = [rule["chosen"]["high"] - rule["chosen"]["low"] for rule in (few, many)]
    assert few["chosen"]["low"] <= few["at"] <= few["chosen"]["high"]
    assert 0 < widths[1] < widths[0]
    assert many["chosen"]["low"] <= 0.2 <= many["chosen"]["high"]
