from dataclasses import replace

import pytest

from steelyard.contracts import Ending
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.training._bag import Bag
from steelyard.levers.training.parts import folds_of, for_learner
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.testing import check_lever

FIVE = Step(lever="bag", settings=Settings(folds=5))


@pytest.fixture
def context(context):
    """Contexts in which `trees` are trained in rounds and `lines` are not."""

    def make(*trials, **more):
        made = context(*trials, **more)

        def learner(name):
            family = made.learner(name)
            family.honours = frozenset({"settings", "rounds"} if name == "trees" else {"settings"})
            return family

        return replace(made, learner=learner)

    return make


def test_it_keeps_its_contract():
    check_lever(Bag())


def test_the_best_training_in_rounds_is_bagged(context, trial):
    first, tuned, better = trial(1), trial(2, aim=0.8, rate=0.2), trial(3, "lines", aim=0.9)
    made = context(first, tuned, better)
    (move,) = [m for t in made.trials for m in Bag().moves(t, made)]
    assert move.recipe == replace(tuned.recipe, plan=replace(tuned.recipe.plan, parts=(FIVE,)))


def test_a_bag_is_not_bagged_again_nor_proposed_twice(context, trial):
    first = trial(1)
    (move,) = Bag().moves(first, context(first))
    done = trial(2, aim=0.9, recipe=move.recipe, lever="bag")
    failed = replace(done, ending=Ending.FAILED, validation={})
    for second in (done, failed):
        made = context(first, second)
        assert not [m for t in made.trials for m in Bag().moves(t, made)]


def test_it_costs_as_many_trainings_as_there_are_folds(context, trial):
    first = trial(1)
    (move,) = Bag().moves(first, context(first, rows=1000, parts=1))
    assert move.prior.seconds.value == pytest.approx(5 * 0.8)  # a millisecond a row, on four fifths of 1,000


def test_a_few_rows_are_not_cut_into_folds(context, trial):
    first = trial(1)
    assert not list(Bag().moves(first, context(first, rows=60)))


def test_rounds_found_by_one_training_are_found_anew():
    plan = Bag().apply(Plan(settings=Settings(rate=0.2), rounds=70), Settings(folds=3))
    assert (plan.rounds, folds_of(plan), plan.settings) == (None, 3, Settings(rate=0.2))


@pytest.mark.parametrize("folds", [1, 21, 2.5, True, "5", None])
def test_folds_are_a_whole_number_from_2_to_20(folds):
    with pytest.raises(LeverRefused, match="2 to 20"):
        Bag().apply(Plan(), Settings(folds=folds))


def test_a_learner_is_not_told_of_parts_that_the_engine_carries_out():
    other = Step(lever="augment")
    plan = Plan(parts=(FIVE, other, Step(lever="select", settings=Settings(columns='["a"]'))))
    assert for_learner(plan).parts == (other,)


def test_a_plan_without_a_bag_has_one_fold():
    assert folds_of(Train(learner="trees").plan) == 1
