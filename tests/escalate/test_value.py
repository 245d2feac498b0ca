"""Persons who decide where that returns their price: more than never, more than always, and more than by chance."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.bundle.rules import answer_of
from steelyard.bundle.scores import sureness
from steelyard.contracts import Problem, Task
from steelyard.errors import RequestInvalid
from steelyard.escalate import Asked, calibrate
from steelyard.escalate.value import Persons, for_value
from steelyard.serve.escalation.plan import Plan

TASK = Task(
    problem=Problem.BINARY,
    target="y",
    aim="value",
    classes=("no", "yes"),
    positive="yes",
    value=((0.0, -1.0), (-5.0, 0.0)),
)


@pytest.fixture(scope="module")
def seen():
    random = np.random.default_rng(2)
    chance = random.beta(0.6, 0.9, 4000)
    target = (random.random(4000) < chance).astype(np.int64)
    return answer_of(TASK, np.column_stack([1 - chance, chance])), target


def chosen(seen, price, accuracy=1.0, task=TASK):
    return for_value(task, *seen, Persons(price, accuracy), confidence=0.95)


@pytest.mark.parametrize("accuracy", [1.0, 0.95])
def test_leaving_rows_to_persons_by_what_they_return_beats_never_and_always(seen, accuracy):
    _, told = chosen(seen, 0.2, accuracy)
    assert told["rule"]["value"] > max(told["never"]["value"], told["always"]["value"]) + 5
    assert told["rule"]["low"] < told["rule"]["value"] < told["rule"]["high"]
    assert f"chance of {accuracy:g} (assumed)" in told["rule"]["source"]
    assert told["rule"]["how"] == "estimated"


def test_the_money_is_that_of_a_plain_loop_over_the_rows(seen):
    answer, target = seen
    _, told = chosen(seen, 0.2, 0.9)
    now = np.where(answer.decided == target, 0.0, np.where(target == 1, -5.0, -1.0))
    person = np.where(target == 1, 0.1 * -5.0, 0.1 * -1.0) - 0.2
    assert told["never"]["value"] == pytest.approx(1000 * now.mean())
    assert told["always"]["value"] == pytest.approx(1000 * person.mean())


def test_with_probabilities_that_are_right_a_row_goes_where_its_regret_is_above_the_price(seen):
    found, _ = chosen(seen, 0.2)
    assert 1 - found.rule.at == pytest.approx(0.2 / 5, abs=0.02)
    sure = sureness("regret", seen[0].scores, TASK)
    assert found.passed_on.tolist() == (sure < found.rule.at).tolist()
    assert found.escalated.share == pytest.approx(found.passed_on.mean())


def test_a_person_dearer_than_any_mistake_is_never_asked_and_a_free_one_always_where_it_matters(seen):
    dear, told = chosen(seen, 6.0)
    assert not dear.passed_on.any()
    assert told["rule"] == told["never"]
    free, told = chosen(seen, 0.0)
    assert told["rule"]["value"] == pytest.approx(0.0, abs=20)
    assert free.escalated.share > 0.9


def test_what_it_brings_is_read_off_rows_that_did_not_choose():
    random = np.random.default_rng(5)
    chance = random.random(60)
    target = random.integers(0, 2, 60)  # the scores say nothing: choosing can only find luck
    answer = answer_of(TASK, np.column_stack([1 - chance, chance]))
    gained = []
    for seed in range(30):
        mixed = np.random.default_rng(seed).permutation(target)
        found, told = for_value(TASK, answer, mixed, Persons(1.5, 1.0), confidence=0.95)
        lost = np.where(answer.decided == mixed, 0.0, np.where(mixed == 1, -5.0, -1.0))
        lucky = 1000 * np.where(found.passed_on, -1.5, lost).mean()
        gained.append(lucky - told["rule"]["value"])
    assert np.mean(gained) > 20


def test_a_plan_by_money_says_that_it_promises_nothing(seen):
    found, _ = chosen(seen, 0.2)
    plan = Plan.model_validate(
        {
            "created": "now",
            "bundle": "0" * 16,
            "rule": found.rule,
            "promise": found.promise,
            "escalated": found.escalated,
            "person": {"price": "0.2 USD"},
        }
    )
    assert Plan.model_validate(plan.model_dump(mode="json")).rule.measure == "regret"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"to": "person", "price": "1 USD", "max_error": 0.1}, "--measure regret chooses by money; leave one out"),
        ({"to": "http://other"}, "weighs the price of a person"),
    ],
)
def test_options_that_contradict_the_measure_are_told(more, said):
    with pytest.raises(RequestInvalid, match=said):
        Asked(measure="regret", **more)


@pytest.mark.parametrize("value", [None, ((1.0, 1.0), (0.0, 0.0))])
def test_a_bundle_that_does_not_know_what_decisions_are_worth_is_refused(value):
    with pytest.raises(RequestInvalid, match="does not know what decisions are worth"):
        calibrate.check_measure("regret", replace(TASK, value=value))
