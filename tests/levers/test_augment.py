"""The lever on augmentation: each option once, on the best training, added to what won so far."""

from dataclasses import replace

import pytest

from steelyard.contracts import Column, Kind, Problem, Schema
from steelyard.learners.nets.augment import OFFERS
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.training._augment import Augment
from steelyard.recipe import Plan, Settings, Step, Train
from steelyard.testing import check_lever
from steelyard.testing.situations import Pretender, situation

PHOTOS = Schema((Column(name="photo", kind=Kind.IMAGE),))


def honouring(context, schema=PHOTOS, honours=("settings", "augment")):
    def learner(name):
        made = Pretender(name)
        made.honours = frozenset(honours)
        return made

    return replace(context, schema=schema, learner=learner)


def proposed(trial, context):
    return [dict(move.recipe.plan.parts[-1].settings) for move in Augment().moves(trial, context)]


@pytest.mark.parametrize("problem", [Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION])
def test_it_keeps_the_contract_where_learners_honour_it(problem):
    given = situation(problem)
    check_lever(Augment(), among=[replace(given, context=honouring(given.context))])


def test_each_offer_for_the_kinds_at_hand_is_proposed_once(context, trial):
    first = trial(1)
    offers = [dict(offer.settings) for offer in OFFERS[Kind.IMAGE]]
    assert proposed(first, honouring(context(first))) == offers
    assert not proposed(first, honouring(context(first), Schema((Column(name="age", kind=Kind.NUMBER),))))
    assert not proposed(first, honouring(context(first), honours=("settings",)))


def test_only_the_best_training_is_built_upon_and_what_was_tried_is_not_proposed_again(context, trial):
    first = trial(1)
    mirrored = replace(first.recipe, plan=Augment().apply(first.recipe.plan, Settings(flip="sideways")))
    worse, better = trial(2, aim=0.6, recipe=mirrored), trial(2, aim=0.8, recipe=mirrored)
    assert {"flip": "sideways"} not in proposed(first, honouring(context(first, worse)))
    assert not proposed(first, honouring(context(first, better)))
    assert {"flip": "sideways", "mixup": 0.2} in proposed(better, honouring(context(first, better)))


def test_options_are_added_to_those_that_won(context, trial):
    first = trial(1)
    won = replace(first, recipe=replace(first.recipe, plan=Augment().apply(Plan(), Settings(turn=12.0, zoom=0.15))))
    assert {"flip": "sideways", "turn": 12.0, "zoom": 0.15} in proposed(won, honouring(context(won)))


def test_its_part_replaces_an_earlier_one_and_nonsense_is_refused():
    plan = Augment().apply(Augment().apply(Plan(), Settings(flip="all")), Settings(mixup=0.2))
    assert plan.parts == (Step(lever="augment", settings=Settings(mixup=0.2)),)
    for wrong in (Settings(mirror=True), Settings(zoom=2.0)):
        with pytest.raises(LeverRefused):
            Augment().apply(Plan(), wrong)
    assert Train(learner="cnn", plan=plan).plan.parts
