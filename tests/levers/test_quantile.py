"""The lever that moves predicted numbers: no shift costs less, no line costs less, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.bundle.rules import answer_of, apply_rule
from steelyard.contracts import Amount, Ending, Evidence, Problem, Task, Work
from steelyard.levers.combining._quantile import Quantile
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Settings
from steelyard.tasks import metric

TASK = Task(problem=Problem.REGRESSION, target="y", aim="value", value=((-1.0, -4.0),))
LINE = Settings(method="line")


def evidence(random, task=TASK, *, rows=400, weights=None, spread=None):
    predicted = random.gamma(3, 4, rows)
    noise = random.normal(0, 1, rows) * (2.0 if spread is None else spread * predicted)
    amounts = random.lognormal(0, 1, (rows, len(task.amounts))) if task.amounts else None
    return Evidence((answer_of(task, predicted[:, None], amounts),), predicted + noise, weights)


def brings(found, task, plus, times=1.0):
    rule = {"rule": "line", "plus": plus, "times": times}
    return metric("value").measure(task, found.target, apply_rule(rule, found.answers, task), found.weights)


@pytest.mark.parametrize("value", [((-1.0, -4.0),), ((-3.0, -1.0),), ((-2.0, -2.0),)])
def test_no_shift_costs_less_than_the_one_chosen(random, schema, value):
    task = replace(TASK, value=value)
    found = evidence(random, task, rows=150, weights=random.random(150) + 0.1)
    rule = Quantile().fit(found, Settings(), Work(task=task, schema=schema))
    assert rule["times"] == 1.0
    best = max(
        brings(found, task, plus)
        for plus in np.append(np.linspace(-9, 9, 721), found.target - found.answers[0].decided)
    )
    assert brings(found, task, rule["plus"]) == pytest.approx(best, rel=1e-9)


def test_the_shift_is_the_newsvendors_quantile_of_the_errors(random, schema):
    found = evidence(random, rows=4000)
    rule = Quantile().fit(found, Settings(), Work(task=TASK, schema=schema))
    errors = found.target - found.answers[0].decided
    assert rule["plus"] == pytest.approx(np.quantile(errors, 0.8), abs=0.02)
    assert rule["chosen"]["low"] < rule["plus"] < rule["chosen"]["high"]
    assert rule["chosen"]["rows"] == 4000


def test_costs_that_differ_from_row_to_row_are_summed(random, schema):
    task = replace(TASK, value=((-1.0, 0.0),), amounts=(Amount("price", ((0.0, -2.0),), means=(1.0,)),))
    found = evidence(random, task, rows=200)
    rule = Quantile().fit(found, Settings(), Work(task=task, schema=schema))
    best = max(brings(found, task, plus) for plus in found.target - found.answers[0].decided)
    assert brings(found, task, rule["plus"]) == pytest.approx(best, rel=1e-12)


def test_a_line_costs_less_where_errors_grow_with_the_prediction_and_no_line_near_it_less(random, schema):
    found = evidence(random, rows=600, spread=0.4)
    work = Work(task=TASK, schema=schema)
    rule, shift = (Quantile().fit(found, settings, work) for settings in (LINE, Settings()))
    assert rule["times"] > 1.1
    mine = brings(found, TASK, rule["plus"], rule["times"])
    assert mine > brings(found, TASK, shift["plus"]) + 10
    for plus in rule["plus"] + np.linspace(-1, 1, 21):
        for times in rule["times"] + np.linspace(-0.2, 0.2, 21):
            assert brings(found, TASK, plus, times) <= mine + 1e-6 * abs(mine)


def test_the_interval_of_the_shift_holds_the_truth_about_as_often_as_it_says(schema):
    truth, held = 2 * 0.8416212, 0
    for seed in range(40):
        found = evidence(np.random.default_rng(seed), rows=100)
        rule = Quantile().fit(found, Settings(), Work(task=TASK, schema=schema))
        held += rule["chosen"]["low"] <= truth <= rule["chosen"]["high"]
    assert 33 <= held <= 40


@pytest.mark.parametrize(("settings", "rows", "needed"), [(Settings(), 99, 100), (LINE, 299, 300)])
def test_too_few_rows_are_refused_with_the_number_needed(random, schema, settings, rows, needed):
    with pytest.raises(LeverRefused, match=f"needs {needed} calibration rows, there are {rows}"):
        Quantile().fit(evidence(random, rows=rows), settings, Work(task=TASK, schema=schema))


def test_a_task_whose_errors_have_no_price_is_refused(random, schema, binary):
    with pytest.raises(LeverRefused, match="a regression whose errors cost money"):
        Quantile().fit(evidence(random), Settings(), Work(task=replace(TASK, value=None, aim="rmse"), schema=schema))
    with pytest.raises(LeverRefused, match="got 1 of binary"):
        Quantile().fit(evidence(random), Settings(), Work(task=binary, schema=schema))


def test_the_best_models_are_moved_both_ways_and_once(context, trial):
    first, second = trial(1, aim=-5.0, metric="value"), trial(2, "lines", aim=-6.0, metric="value")
    made = context(first, second, task=TASK)
    moves = list(Quantile().moves(first, made))
    assert [m.recipe for m in moves] == [
        Combine(lever="quantile", parents=(first.recipe,), settings=settings) for settings in (Settings(), LINE)
    ]
    done = trial(3, aim=-4.0, recipe=moves[0].recipe, metric="value")
    assert [m.recipe.settings for m in Quantile().moves(first, context(first, done, task=TASK))] == [LINE]
    assert not list(Quantile().moves(done, context(first, done, task=TASK)))
    assert [m.recipe.settings for m in Quantile().moves(first, context(first, task=TASK, calibration_rows=200))] == [
        Settings()
    ]


def test_nothing_is_moved_where_errors_have_no_price(context, trial):
    plain = replace(TASK, value=None, aim="rmse")
    first = trial(1, aim=5.0, metric="rmse")
    assert not list(Quantile().moves(first, context(first, task=plain)))
    assert not list(Quantile().moves(trial(2, ending=Ending.REFUSED), context(first, task=TASK)))
    assert not list(Quantile().moves(trial(3, "constant", metric="value"), context(first, task=TASK)))
