"""Every check of the suite for levers, proved by one that must fail it."""

import inspect
from dataclasses import replace

import numpy as np
import onnx
import pytest

from steelyard.contracts import Problem, Stage
from steelyard.levers.combining._ensemble import Ensemble
from steelyard.levers.combining._threshold import Threshold
from steelyard.levers.data._subsample import Subsample
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking._quantise import Quantise
from steelyard.levers.training._bag import Bag
from steelyard.levers.training._tune import Tune
from steelyard.levers.training.parts import with_part
from steelyard.recipe import Settings, Step, Train
from steelyard.testing import check_lever
from steelyard.testing import levers as suite
from steelyard.testing.hands import Hand
from steelyard.testing.situations import situation


class CitesNobody(Tune):
    paper = "well known"


class Wanders(Tune):
    def moves(self, trial, context):
        return super().moves(trial, replace(context, seed=int(np.random.default_rng().integers(2**32))))


class BuildsOnRuins(Subsample):
    def moves(self, trial, context):
        return super().moves(replace(trial, ending=context.trials[0].ending), context)


class SpeaksForAnother(Tune):
    def moves(self, trial, context):
        return [replace(move, lever="somebody") for move in super().moves(trial, context)]


class TrainsAnotherLearner(Tune):
    def moves(self, trial, context):
        return [replace(move, recipe=replace(move.recipe, learner="third")) for move in super().moves(trial, context)]


class Promises(Tune):
    def moves(self, trial, context):
        for move in super().moves(trial, context):
            yield replace(move, prior=replace(move.prior, gain=replace(move.prior.gain, value=2.0)))


class HidesItsSource(Tune):
    def moves(self, trial, context):
        for move in super().moves(trial, context):
            yield replace(move, prior=replace(move.prior, gain=replace(move.prior.gain, source="")))


class RepeatsItself(Subsample):
    def moves(self, trial, context):
        return super().moves(trial, replace(context, trials=()))


class Endless(Tune):
    def moves(self, trial, context):
        if not isinstance(trial.recipe, Train) or not trial.ending.usable:
            return
        for move in super().moves(context.trials[1], context):
            while True:
                yield move


class Curt(Quantise):
    def apply(self, artefact, split, settings, work, meter):
        raise LeverRefused("no")


class SwallowsSettings(Subsample):
    def apply(self, split, settings, work, meter):
        return super().apply(split, Settings(), work, meter)


class TakesAnyPart(Bag):
    def apply(self, plan, settings):
        return with_part(plan, Step(lever="bag", settings=settings))


class RefusesWithoutAName(Subsample):
    def apply(self, split, settings, work, meter):
        if settings:
            raise LeverRefused("something about this pull is not right")
        return super().apply(split, settings, work, meter)


class EditsRows(Subsample):
    def apply(self, split, settings, work, meter):
        split.columns["x0"][:] = 0
        return super().apply(split, settings, work, meter)


class EditsAnswers(Threshold):
    def fit(self, evidence, settings, work):
        evidence.answers[0].scores[:] = 0.5
        return {"rule": "threshold", "positive": 1, "at": 0.5}


class Dices(Subsample):
    def apply(self, split, settings, work, meter):
        return super().apply(split, settings, replace(work, seed=int(np.random.default_rng().integers(2**32))), meter)


class Remembers(Tune):
    def __init__(self):
        self.calls = 0

    def moves(self, trial, context):
        self.calls += 1
        return super().moves(trial, context)


class AddsAColumn(Subsample):
    def apply(self, split, settings, work, meter):
        kept = super().apply(split, settings, work, meter)
        return replace(kept, columns={**kept.columns, "more": kept.target})


class LosesWeights(Subsample):
    def apply(self, split, settings, work, meter):
        return replace(super().apply(split, settings, work, meter), weights=None)


class ChangesNothing(Tune):
    def apply(self, plan, settings):
        return plan


class RenamesTheInput(Quantise):
    def apply(self, artefact, split, settings, work, meter):
        made = super().apply(artefact, split, settings, work, meter)
        model = onnx.load_model_from_string(made.graph)
        model.graph.input[0].name = "figures"
        return replace(made, graph=model.SerializeToString(deterministic=True))


class InventsARule(Ensemble):
    def fit(self, evidence, settings, work):
        return {"rule": "oracle"}


class TrustsTheFirstRow(Ensemble):
    def fit(self, evidence, settings, work):
        first = float(abs(evidence.answers[0].scores[0, 0])) + 1.0
        return {"rule": "blend", "weights": [first] + [1.0] * (len(evidence.answers) - 1)}


class TakesAnyRows(Ensemble):
    def fit(self, evidence, settings, work):
        return {"rule": "blend", "weights": [1.0] * len(evidence.answers)}


SABOTEURS = {
    suite.check_it_introduces_itself: [CitesNobody],
    suite.check_the_same_trials_give_the_same_moves: [Wanders],
    suite.check_moves_start_from_measured_trials: [BuildsOnRuins],
    suite.check_moves_are_one_pull_away: [SpeaksForAnother, TrainsAnotherLearner],
    suite.check_priors_are_assumed_and_in_range: [Promises, HidesItsSource],
    suite.check_what_was_tried_is_not_proposed_again: [RepeatsItself, Endless],
    suite.check_a_refusal_is_a_sentence: [Curt],
    suite.check_unknown_settings_are_refused: [SwallowsSettings, TakesAnyPart, RefusesWithoutAName],
    suite.check_it_edits_nothing: [EditsRows, EditsAnswers],
    suite.check_the_same_seed_gives_the_same_result: [Dices],
    suite.check_it_keeps_no_state: [Remembers],
    suite.check_columns_are_left_alone: [AddsAColumn, LosesWeights],
    suite.check_settings_reach_the_plan: [ChangesNothing],
    suite.check_inputs_and_output_stay: [RenamesTheInput],
    suite.check_its_rule_can_be_run: [InventsARule],
    suite.check_the_order_of_rows_does_not_matter: [TrustsTheFirstRow],
    suite.check_too_few_rows_are_refused_with_the_number_needed: [TakesAnyRows],
}
PAIRS = [(check, saboteur) for check, several in SABOTEURS.items() for saboteur in several]


@pytest.fixture
def hand():
    def make(lever):
        return Hand(lever=lever, situation=situation(Problem.BINARY))

    return make


@pytest.mark.parametrize(("check", "saboteur"), PAIRS, ids=lambda part: part.__name__)
def test_a_check_finds_the_fault_that_it_is_for(hand, check, saboteur):
    assert check in set(suite.yield_checks(hand(saboteur()))), "the suite would not run this check"
    with pytest.raises(AssertionError):
        check(hand(saboteur()))


@pytest.mark.parametrize(("check", "saboteur"), PAIRS, ids=lambda part: part.__name__)
def test_a_check_finds_nothing_where_nothing_is_wrong(hand, check, saboteur):
    check(hand(saboteur.__mro__[1]()))


def test_every_check_has_a_saboteur_and_says_what_it_sees():
    checks = {made for name, made in inspect.getmembers(suite, inspect.isfunction) if name.startswith("check_")}
    own = {check for check in checks if check.__module__ == suite.__name__}
    assert own - {suite.check_lever} == set(SABOTEURS)
    for check in SABOTEURS:
        assert check.__doc__.startswith("See that ")


def test_every_stage_is_tried():
    assert {saboteur.stage for _, saboteur in PAIRS} == set(Stage)


def test_a_lever_that_never_applies_was_not_checked():
    with pytest.raises(AssertionError, match="proposes nothing"):
        check_lever("threshold", among=[situation(Problem.REGRESSION)])


def test_a_lever_that_never_acts_was_not_checked():
    class Idle(Quantise):
        def apply(self, artefact, split, settings, work, meter):
            raise LeverRefused("this lever does not feel like working today")

    with pytest.raises(AssertionError, match="never acts"):
        check_lever(Idle())
