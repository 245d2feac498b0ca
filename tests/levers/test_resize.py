"""The lever that shrinks what a net reads: images by a part of the plan, texts by the learner's own setting."""

from dataclasses import replace

import pytest

from steelyard.contracts import Column, Kind, Problem, Schema, Setting, Space
from steelyard.errors import SteelyardError
from steelyard.levers.training._adversarial import Adversarial
from steelyard.levers.training._resize import Resize
from steelyard.levers.training._self_supervised import SelfSupervised
from steelyard.recipe import Plan, Settings, Step
from steelyard.testing import check_lever
from steelyard.testing.situations import Pretender, situation

PHOTOS = Schema((Column(name="photo", kind=Kind.IMAGE),))
NOTES = Schema((Column(name="note", kind=Kind.TEXT),))


def given(context, *, honours=("settings",), length=None, schema=PHOTOS):
    def learner(name):
        made = Pretender(name)
        made.honours = frozenset(honours)
        return made

    settings = {} if length is None else {"length": Setting(default=length, low=8, high=2048, about="Tokens.")}
    return replace(context, schema=schema, learner=learner, space=lambda _: Space(settings))


def plans(trial, context, lever=None):
    return [move.recipe.plan for move in (lever or Resize()).moves(trial, context)]


@pytest.mark.parametrize("problem", [Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION])
def test_it_keeps_the_contract_where_learners_honour_it(problem):
    made = situation(problem)
    honouring = given(made.context, honours=("settings", "resize"), length=100)
    check_lever(Resize(), among=[replace(made, context=honouring)])


def test_images_are_asked_for_at_a_share_of_their_size_and_cost_less(context, trial):
    first = trial(1)
    made = given(context(first), honours=("settings", "resize"))
    assert [plan.parts for plan in plans(first, made)] == [
        (Step(lever="resize", settings=Settings(share=share)),) for share in (0.5, 0.7)
    ]
    cost = made.learner("trees").prior(made.task, made.schema, made.rows).seconds.value
    assert all(move.prior.seconds.value < cost for move in Resize().moves(first, made))
    assert not plans(first, given(context(first)))


def test_texts_are_cut_to_a_half_and_a_quarter_of_the_length_that_is_read_now(context, trial):
    first = trial(1)
    made = given(context(first), length=100, schema=NOTES)
    assert [plan.settings["length"] for plan in plans(first, made)] == [50, 25]
    shorter = trial(2, aim=0.8, recipe=replace(first.recipe, plan=Plan(settings=Settings(length=50))))
    again = given(context(first, shorter), length=100, schema=NOTES)
    assert [plan.settings["length"] for plan in plans(shorter, again)] == [25]  # 12 tokens say too little
    assert not plans(first, again)
    assert all(not plan.parts for plan in plans(first, made))


def test_a_share_out_of_range_is_refused():
    for wrong in (Settings(share=3.0), Settings(side=32), Settings(length=1)):
        with pytest.raises(SteelyardError):
            Resize().apply(Plan(), wrong)


@pytest.mark.parametrize(("lever", "name"), [(Adversarial(), "adversarial"), (SelfSupervised(), "self-supervised")])
def test_levers_of_nets_propose_what_suits_the_kind_of_column(context, trial, lever, name):
    first = trial(1)
    asked = {
        schema: [
            plan.parts[-1].settings
            for plan in plans(first, given(context(first), honours=(name,), schema=schema), lever)
        ]
        for schema in (PHOTOS, NOTES)
    }
    assert asked[PHOTOS] != asked[NOTES]
    assert all(asked.values())
    if name == "adversarial":
        assert "epsilon" in asked[PHOTOS][0]
        assert "radius" in asked[NOTES][0]
