"""The levers on encoders that were trained before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steelyard.contracts import Kind, Schema
from steelyard.learners.pretrained.asked import SPACES
from steelyard.levers.training._adapter import Adapter
from steelyard.levers.training._freeze import Freeze
from steelyard.levers.training._ia3 import Ia3
from steelyard.levers.training._lora import Lora
from steelyard.levers.training._prefix import Prefix
from steelyard.levers.training._pretrained import Pretrained
from steelyard.recipe import Settings, Step
from steelyard.testing import check_lever
from steelyard.testing.situations import of_nets

LEVERS = (Adapter, Freeze, Ia3, Lora, Prefix, Pretrained)


def moves_of(lever, situation):
    return [move for trial in situation.context.trials for move in lever.moves(trial, situation.context)]


def listing(situation, *marks):
    columns = tuple(replace(column, checkpoints=marks) for column in situation.context.schema.columns)
    return replace(situation, context=replace(situation.context, schema=Schema(columns)))


@pytest.mark.parametrize("lever", LEVERS, ids=lambda kind: kind.name)
def test_every_lever_keeps_the_contract(lever):
    check_lever(lever(), among=[listing(of_nets(Kind.TEXT), "first@0123", "second@4567")])


@pytest.mark.parametrize("lever", LEVERS, ids=lambda kind: kind.name)
def test_a_lever_has_the_settings_that_the_learner_checks(lever):
    assert lever.space == SPACES[lever.name].settings


def test_every_listed_checkpoint_but_the_usual_one_is_proposed():
    one = listing(of_nets(Kind.TEXT), "usual@01", "second@23", "third@45")
    asked = [move.recipe.plan.parts[-1].settings for move in moves_of(Pretrained(), one)]
    assert asked[:3] == [Settings(checkpoint="second@23"), Settings(checkpoint="third@45"), Settings(scratch=True)]


def test_random_weights_are_not_proposed_on_few_rows():
    one = listing(of_nets(Kind.TEXT), "usual@01")
    few = replace(one, context=replace(one.context, rows=500))
    assert moves_of(Pretrained(), few) == []


@pytest.mark.parametrize("lever", [Adapter, Ia3, Lora, Prefix])
def test_a_training_takes_one_way_to_train_few_numbers(lever):
    one = of_nets(Kind.TEXT)
    other = Step(lever="lora" if lever is not Lora else "adapter", settings=Settings(rank=4))
    best = max((t for t in one.context.trials if t.ending.usable), key=lambda t: t.validation["accuracy"].value)
    plan = replace(best.recipe.plan, parts=(other,)) if hasattr(best.recipe, "plan") else None
    taken = replace(best, recipe=replace(best.recipe, plan=plan))
    assert list(lever().options(best, one.context))
    assert list(lever().options(taken, one.context)) == []
