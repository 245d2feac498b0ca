from dataclasses import replace

import pytest

from steelyard.contracts import Problem
from steelyard.levers.training._average import Average
from steelyard.levers.training._compile import Compile
from steelyard.levers.training._data_parallel import DataParallel
from steelyard.levers.training._early_stopping import EarlyStopping
from steelyard.levers.training._gradient_accumulation import GradientAccumulation
from steelyard.levers.training._learning_rate_finder import LearningRateFinder
from steelyard.levers.training._local_sgd import LocalSgd
from steelyard.levers.training._mixed_precision import MixedPrecision
from steelyard.levers.training._regularise import Regularise
from steelyard.levers.training._schedule import Schedule
from steelyard.recipe import Plan, Settings
from steelyard.testing import check_lever
from steelyard.testing.situations import of_nets, situations
from steelyard.units import Seconds

ALL = (
    Average,
    Compile,
    DataParallel,
    EarlyStopping,
    GradientAccumulation,
    LearningRateFinder,
    LocalSgd,
    MixedPrecision,
    Regularise,
    Schedule,
)


def nets(threads=4, seconds=2000.0):
    one = of_nets()
    trials = tuple(replace(t, seconds=Seconds(seconds)) for t in one.context.trials)
    return replace(one, context=replace(one.context, threads=threads, trials=trials))


def moves(lever, one):
    return [m for t in one.context.trials for m in lever.moves(t, one.context)]


@pytest.mark.parametrize("lever", ALL, ids=lambda kind: kind.name)
def test_every_lever_on_nets_keeps_the_contract(lever):
    check_lever(lever(), among=[nets()])


@pytest.mark.parametrize("lever", ALL, ids=lambda kind: kind.name)
def test_learners_that_do_not_honour_a_lever_are_left_alone(lever):
    for one in situations():
        if one.name != "nets":
            assert not moves(lever(), one)


@pytest.mark.parametrize("lever", ALL, ids=lambda kind: kind.name)
def test_every_option_is_one_that_the_course_of_a_net_is_changed_by(lever):
    from steelyard.learners.nets.course import HONOURS, course_of

    usual = course_of("net", Settings(), Plan(), 0)
    assert lever.name in HONOURS
    for move in moves(lever(), nets()):
        assert course_of("net", Settings(), move.recipe.plan, 0) != usual


def test_an_option_is_proposed_once_to_the_best_training_of_each_learner():
    one = nets()
    first = moves(Average(), one)
    assert [(m.recipe.learner, m.recipe.plan.parts[0].settings["kind"]) for m in first] == [
        ("first", "ema"),
        ("first", "swa"),
        ("second", "ema"),
        ("second", "swa"),
    ]
    tried = replace(one.context.trials[0], number=50, recipe=first[0].recipe, validation={})
    later = replace(one, context=replace(one.context, trials=(*one.context.trials, tried)))
    assert len(moves(Average(), later)) == 3


def test_processes_are_proposed_where_there_are_threads_for_them():
    for lever in (DataParallel(), LocalSgd()):
        assert not moves(lever, nets(threads=1))
        assert {m.recipe.plan.parts[0].settings["processes"] for m in moves(lever, nets(threads=8))} == {8}


def test_compiling_is_proposed_where_a_training_takes_long_and_there_is_a_compiler(monkeypatch):
    assert moves(Compile(), nets())
    assert not moves(Compile(), nets(seconds=60.0))
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert not moves(Compile(), nets())


def test_labels_are_smoothed_where_there_are_labels():
    one = nets()
    numbers = replace(one.context.task, problem=Problem.REGRESSION, classes=(), aim="rmse")
    regression = replace(
        one,
        context=replace(
            one.context,
            task=numbers,
            trials=tuple(replace(t, validation={"rmse": v}) for t in one.context.trials for v in t.validation.values()),
        ),
    )
    smoothed = [
        ["label_smoothing" in m.recipe.plan.parts[0].settings for m in moves(Regularise(), s)]
        for s in (one, regression)
    ]
    assert any(smoothed[0])
    assert smoothed[1]
    assert not any(smoothed[1])
