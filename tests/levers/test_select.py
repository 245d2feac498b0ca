import json
from dataclasses import replace

import pytest

from steelyard.contracts import Column, Ending, Kind, Schema
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.training._select import Select
from steelyard.levers.training.parts import columns_of, read_by
from steelyard.recipe import Combine, Plan, Settings, Shrink, Step, Train
from steelyard.testing import check_lever
from steelyard.units import Money

NAMES = ("age", "income", "city", "shoe", "moon")
SHARES = {"age": 0.5, "income": 0.3, "city": 0.15, "shoe": 0.05, "moon": -0.02}


@pytest.fixture
def schema():
    return Schema(tuple(Column(name=name, kind=Kind.NUMBER) for name in NAMES))


def keeping(*names, **more):
    step = Step(lever="select", settings=Settings(columns=json.dumps(names)))
    return Train(learner="trees", plan=Plan(parts=(step,), **more))


def kept(moves):
    return [columns_of(move.recipe.plan) for move in moves]


def test_it_keeps_its_contract():
    check_lever(Select())


def test_columns_that_nothing_was_lost_with_go_first_then_the_lesser_half(context, trial):
    first = replace(trial(1), importance=SHARES)
    assert kept(Select().moves(first, context(first))) == [("age", "income", "city", "shoe"), ("age", "income")]


def test_no_importance_no_proposal(context, trial):
    first = trial(1)
    assert not list(Select().moves(first, context(first)))
    useless = replace(first, importance=dict.fromkeys(NAMES, -0.1))
    assert not list(Select().moves(useless, context(useless)))


def test_only_the_best_training_is_gone_on_from(context, trial):
    worse, best = (replace(t, importance=SHARES) for t in (trial(1, aim=0.6), trial(2, "lines", aim=0.7)))
    made = context(worse, best)
    assert not list(Select().moves(worse, made))
    assert list(Select().moves(best, made))


def test_a_tuned_training_goes_by_its_learners_first_one(context, trial):
    first, other = replace(trial(1), importance=SHARES), replace(trial(2, "lines", aim=0.6), importance={"moon": 1.0})
    tuned = trial(3, aim=0.9, rate=0.2)
    moves = list(Select().moves(tuned, context(first, other, tuned)))
    assert kept(moves) == [("age", "income", "city", "shoe"), ("age", "income")]
    assert all(move.recipe.plan.settings == Settings(rate=0.2) for move in moves)


def test_it_goes_on_from_fewer_columns_by_their_own_importance(context, trial):
    first = replace(trial(1), importance=SHARES)
    fewer = replace(trial(2, aim=0.8, recipe=keeping("age", "income", "city")), importance={"age": 0.6, "city": 0.4})
    assert kept(Select().moves(fewer, context(first, fewer))) == [("age", "city"), ("age",)]


def test_what_was_tried_is_not_proposed_again_whatever_its_ending(context, trial):
    first = replace(trial(1), importance=SHARES)
    tried = trial(2, recipe=keeping("age", "income", "city", "shoe"), ending=Ending.FAILED)
    assert kept(Select().moves(first, context(first, tried))) == [("age", "income")]


def test_columns_that_are_dear_for_what_they_tell_are_left_out_while_little_is_lost(context, trial, schema):
    def priced(**amounts):
        prices = {name: Money.parse(f"{amount} USD") for name, amount in amounts.items()}
        return Schema(tuple(replace(c, price=prices.get(c.name)) for c in schema.columns))

    first = replace(trial(1), importance={**SHARES, "moon": 0.02})
    made = context(first, schema=priced(age="9", shoe="0.10", moon="0.02"))
    assert kept(Select().moves(first, made))[-1] == ("age", "income", "city", "moon")
    cheap = context(first, schema=priced(age="9"))
    assert ("income", "city", "shoe", "moon") not in kept(Select().moves(first, cheap))


@pytest.mark.parametrize("given", [None, "age", "[]", '["age", "age"]', "[1]", '{"age": 1}', 5])
def test_columns_must_be_a_list_of_different_names(given):
    with pytest.raises(LeverRefused):
        Select().apply(Plan(), Settings(columns=given))


def test_a_second_selection_takes_the_place_of_the_first():
    plan = Select().apply(keeping("age", "city", rounds=3).plan, Settings(columns='["age"]'))
    assert (columns_of(plan), len(plan.parts), plan.rounds) == (("age",), 1, 3)


def test_a_recipe_reads_what_its_trainings_keep(schema):
    two = Combine(lever="ensemble", parents=(keeping("age"), keeping("city", "age")))
    assert read_by(two, schema) == {"age", "city"}
    assert read_by(Shrink(lever="quantise", parent=keeping("age")), schema) == {"age"}
    assert read_by(Combine(lever="ensemble", parents=(keeping("age"), Train(learner="trees"))), schema) == set(NAMES)
    assert read_by(Combine(lever="ensemble", parents=(keeping("age"), Train(learner="constant"))), schema) == {"age"}
