"""The lever on derived features: what it proposes from which table, once."""

from dataclasses import replace

import pytest

from steelyard.contracts import OF_ROWS, Column, Ending, Kind, Schema
from steelyard.levers.training._features import PAIRS, Features
from steelyard.recipe import Plan, Settings, Step, Train, describe
from steelyard.testing import check_lever
from steelyard.testing.situations import Pretender, situation

WIDE = Schema(
    (
        Column(name="age", kind=Kind.NUMBER, distinct=50),
        Column(name="pay", kind=Kind.NUMBER, distinct=900),
        Column(name="town", kind=Kind.CATEGORY, distinct=400),
    )
)
NARROW = Schema((Column(name="age", kind=Kind.NUMBER), Column(name="sex", kind=Kind.CATEGORY, distinct=2)))


def honouring(context, schema=WIDE):
    """Return the context with learners that honour features, on another table."""

    def learner(name):
        made = Pretender(name)
        made.honours = frozenset({"settings", "features"})
        return made

    return replace(context, schema=schema, learner=learner)


def proposed(trial, context):
    return [move.recipe.plan.parts for move in Features().moves(trial, context)]


def asked(**settings):
    return (Step(lever="features", settings=Settings(settings)),)


CATEGORIES = asked(targets=True, counts=True)


@pytest.mark.parametrize("problem", OF_ROWS)
def test_it_keeps_the_contract_where_learners_honour_it(problem):
    given = situation(problem)
    check_lever(Features(), among=[replace(given, context=honouring(given.context))])


def test_it_proposes_each_kind_that_the_table_has_what_it_takes_for(context, trial):
    first = trial(1)
    made = honouring(context(first))
    assert proposed(first, made) == [asked(interactions=PAIRS), asked(targets=True, counts=True)]
    assert proposed(first, replace(made, schema=NARROW)) == [asked(interactions=PAIRS)]
    assert not proposed(first, replace(made, schema=Schema(WIDE.columns[:1])))


def test_learners_that_do_not_honour_it_are_left_alone(context, trial):
    first = trial(1)
    assert not proposed(first, replace(context(first), schema=WIDE))


def test_only_the_best_training_is_gone_on_from_and_a_kind_that_was_tried_is_not_tried_again(context, trial):
    first = trial(1, aim=0.7)
    tried = trial(2, aim=0.8, recipe=Train(learner="trees", plan=Plan(parts=CATEGORIES)), lever="features")
    made = honouring(context(first, tried))
    assert not proposed(first, made)
    assert proposed(tried, made) == [asked(targets=True, counts=True, interactions=PAIRS)]
    better = trial(3, aim=0.9, leaves=7)  # a kind that lost stays out of what is better without it
    assert proposed(better, honouring(context(first, tried, better))) == [asked(interactions=PAIRS)]
    failed = replace(tried, ending=Ending.FAILED, validation={})
    assert CATEGORIES not in proposed(first, honouring(context(first, failed)))


def test_what_else_a_plan_holds_is_kept(context, trial):
    plan = Plan(settings=Settings(leaves=9), rounds=7, parts=(Step(lever="other", settings=Settings(a=1)),))
    made = Features().apply(plan, Settings(counts=True))
    assert (made.settings, made.rounds, made.parts) == (plan.settings, 7, (*plan.parts, *asked(counts=True)))
    assert Features().apply(made, Settings(counts=False)) == plan
    assert describe(Train(learner="trees", plan=made)).endswith("> other(a=1) > features(counts=True)")
