"""Chains of shrinking steps are found in any order, without trying them all."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from steelyard.contracts import Context, Ending, Move, Prior, Problem, Schema, Stage, Task, Trial
from steelyard.decide import Shrunken
from steelyard.levers.shrinking.chain import one_more, steps_of
from steelyard.recipe import Combine, Settings, Shrink, Train, describe
from steelyard.search.chains import FADES, FAR, LEAST, TRIES, Chains, step_seconds
from steelyard.search.moves import Search
from steelyard.search.spending import Gain, OverHorizon
from steelyard.units import Estimate, How

TASK = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes")
NET, WEAK = Train(learner="net"), Train(learner="weak")
NAMES = ("prune", "quantise", "fuse", "vocabulary", "factorise")
FREE = SimpleNamespace(meets=lambda _: True, reaches=lambda _: True, serving=lambda _: None)
GAIN = Gain(0.005, 0.0, 0.02, 0.05)


class Step:
    """A shrinking lever with several settings."""

    stage, paper, about = Stage.SHRINKING, "none", "for tests"

    def __init__(self, name, settings=1):
        self.name, self._count = name, settings

    def moves(self, trial, context):
        for k in range(self._count):
            if trial.recipe != Train(learner="constant"):
                found = one_more(self.name, trial, context, Settings(k=k) if self._count > 1 else None)
                if found is not None:
                    prior = Prior(Estimate.exact(1.0, how=How.ASSUMED), Estimate(0.005, 0.0, 0.02, How.ASSUMED))
                    yield Move(recipe=found, lever=self.name, prior=prior)


@pytest.fixture
def context():
    learner = SimpleNamespace(prior=lambda *_: Prior(Estimate.exact(1.0), Estimate(0.1, 0.0, 0.2)))
    return Context(
        task=TASK,
        schema=Schema(()),
        rows=100,
        calibration_rows=0,
        parts=1,
        trials=(),
        space=lambda _: None,
        learner=lambda _: learner,
        tolerance=0.01,
    )


def trial(number, recipe, value=0.9, ending=Ending.MEASURED, lever="start"):
    figures = {"roc_auc": Estimate(value, value - 0.02, value + 0.02)} if ending.usable else {}
    lever = recipe.lever if isinstance(recipe, Shrink) else lever
    return Trial(number=number, recipe=recipe, lever=lever, ending=ending, validation=figures)


def shrunk(*names, root=NET):
    for name in names:
        root = Shrink(lever=name, parent=root)
    return root


def chains(trials, context, terms=FREE, running=()):
    return Chains.of(trials, running, trials, context, terms)


def move(recipe):
    return Move(recipe=recipe, lever=recipe.lever, prior=None)


# ------------------------------------------------------------------------------------------------- where they begin


def test_they_begin_at_the_best_the_best_training_and_what_was_kept_of_them(context):
    best = Combine(lever="ensemble", parents=(NET, WEAK))
    trials = [trial(0, NET, 0.9), trial(1, WEAK, 0.8), trial(2, best, 0.92), trial(3, shrunk("prune"), 0.9)]
    found = chains(trials, context)
    assert [found.begins(t) for t in trials] == [True, False, True, True]


def test_a_lever_that_refused_a_model_is_asked_again_for_another_student_alone(context):
    refused = Shrink(lever="distil", parent=NET, settings=Settings(learner="linear", k=1))
    found = chains([trial(0, NET), trial(1, refused, ending=Ending.REFUSED)], context)
    again = {"same": Settings(learner="linear", k=2), "other": Settings(learner="lightgbm")}
    admitted = {name: found.admits(move(Shrink(lever="distil", parent=NET, settings=s))) for name, s in again.items()}
    assert admitted == {"same": False, "other": True}
    assert found.admits(move(Shrink(lever="prune", parent=NET)))
    assert found.admits(move(Shrink(lever="distil", parent=shrunk("prune"), settings=again["same"])))


@pytest.mark.parametrize(
    ("size_bytes", "p50", "keeps", "share"),
    [
        (400_000, 0.1, True, 0.05),
        (600_000, 0.1, True, 1.0),
        (400_000, 2.0, True, 1.0),
        (400_000, 0.1, False, 1.0),
    ],
)
def test_what_is_small_and_quick_already_is_hardly_worth_a_step(context, size_bytes, p50, keeps, share):
    weight = SimpleNamespace(size_bytes=size_bytes, p50=Estimate.exact(p50))
    light = replace(trial(0, NET), weight=weight)
    terms = SimpleNamespace(**{**vars(FREE), "meets": lambda _: keeps})
    gain = chains([light], context, terms).worth(GAIN, move(shrunk("prune")), light)
    assert gain.share == pytest.approx(GAIN.share * share)


def test_while_no_model_keeps_the_limits_they_begin_at_every_training(context):
    wanting = SimpleNamespace(**{**vars(FREE), "meets": lambda _: False})
    trials = [trial(0, NET, 0.9), trial(1, WEAK, 0.8)]
    assert [chains(trials, context, terms).begins(trials[1]) for terms in (FREE, wanting)] == [False, True]


def test_nothing_begins_where_a_model_was_tried_often_enough(context):
    many = [trial(k + 1, Shrink(lever="prune", parent=NET, settings=Settings(k=k))) for k in range(TRIES)]
    assert chains([trial(0, NET), *many[:-1]], context).begins(trial(0, NET))
    assert not chains([trial(0, NET), *many], context).begins(trial(0, NET))


# --------------------------------------------------------------------------------------------------- which are made


def test_the_same_steps_in_another_order_are_not_tried_again(context):
    done = [trial(0, NET), trial(1, shrunk("prune")), trial(2, shrunk("prune", "quantise"))]
    assert not chains(done, context).admits(move(shrunk("quantise", "prune")))
    assert chains(done[:2], context).admits(move(shrunk("prune", "quantise")))
    assert not chains(done[:2], context, running=done[2:]).admits(move(shrunk("quantise", "prune")))


def test_another_order_is_tried_where_the_first_could_not_be_made(context):
    done = [trial(0, NET), trial(1, shrunk("prune")), trial(2, shrunk("prune", "quantise"), ending=Ending.REFUSED)]
    assert chains(done, context).admits(move(shrunk("quantise", "prune")))


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.BUDGET_SPENT, Ending.OUT_OF_MEMORY])
def test_a_lever_that_failed_on_a_model_is_not_pulled_on_what_descends_from_it(context, ending):
    done = [trial(0, NET), trial(1, shrunk("prune"), ending=ending), trial(2, shrunk("quantise"))]
    assert not chains(done, context).admits(move(shrunk("quantise", "prune")))
    assert chains(done, context).admits(move(shrunk("prune", root=WEAK)))
    twice = [*done, trial(3, shrunk("prune", root=WEAK), ending=ending)]
    assert not chains(twice, context).admits(move(shrunk("prune", root=Train(learner="third"))))


# ---------------------------------------------------------------------------------------------- what they are worth


def test_each_further_step_is_worth_half(context):
    found = chains([trial(0, NET), trial(1, shrunk("prune"))], context)
    first = found.worth(GAIN, move(shrunk("quantise")), trial(0, NET))
    second = found.worth(GAIN, move(shrunk("prune", "quantise")), trial(1, shrunk("prune")))
    assert second.share == pytest.approx(FADES * first.share)


def test_a_lever_whose_steps_were_rejected_counts_for_less(context):
    rejected = replace(trial(1, shrunk("prune")), ending=Ending.PRUNED)
    fresh = chains([trial(0, NET)], context).worth(GAIN, move(shrunk("prune")), trial(0, NET)).share
    kept = Chains.of(
        [trial(0, NET), trial(1, shrunk("prune"))], (), [trial(0, NET), trial(1, shrunk("prune"))], context, FREE
    )
    lost = Chains.of([trial(0, NET), trial(1, shrunk("prune"))], (), [trial(0, NET), rejected], context, FREE)
    again = move(Shrink(lever="prune", parent=NET, settings=Settings(share=0.5)))
    worths = [each.worth(GAIN, again, trial(0, NET)).share for each in (kept, lost)]
    assert worths[0] > fresh > worths[1] > 0


def test_training_comes_first_while_the_quality_is_missed(context):
    missed = SimpleNamespace(meets=lambda _: True, reaches=lambda _: False, serving=lambda _: None)
    worths = [
        chains([trial(0, NET)], context, t).worth(GAIN, move(shrunk("prune")), trial(0, NET)) for t in (FREE, missed)
    ]
    assert worths[1].share == pytest.approx(FAR * worths[0].share)


def test_where_decisions_have_a_value_a_step_is_worth_what_serving_it_saves(context):
    priced = SimpleNamespace(meets=lambda _: True, reaches=lambda _: True, serving=lambda _: 0.5)
    gain = chains([trial(0, NET)], context, priced).worth(
        replace(GAIN, way=100.0), move(shrunk("prune")), trial(0, NET)
    )
    horizon = OverHorizon(0.0, "USD", decisions=1_000_000.0)
    assert horizon.money(gain).value == pytest.approx(0.4 * 0.5 * 1_000)
    assert horizon.money(gain).high == pytest.approx(0.8 * 0.5 * 1_000)


def test_a_step_that_does_not_end_cannot_take_all_the_time():
    assert step_seconds(400.0, 1.0) == 100.0
    assert step_seconds(40.0, 1.0) == LEAST
    assert step_seconds(5.0, 1.0) == 5.0
    assert step_seconds(400.0, 30.0) == 300.0
    assert math.isfinite(step_seconds(math.inf, 1.0))


# -------------------------------------------------------------------------------------------------- the whole search


def play(context, verdicts, settings=1, limit=400):
    """Search to its end over one net and five levers; ``verdicts`` says of a chain's steps whether it is kept."""
    judged = {}
    learner = SimpleNamespace(
        name="net",
        honours=frozenset(),
        about="",
        space=lambda *_: None,
        accepts=lambda *_: None,
        prior=lambda *_: Prior(Estimate.exact(1.0), Estimate(0.1, 0.0, 0.2)),
    )
    search = Search(context, [learner], [Step(name, settings) for name in NAMES])
    search.terms = replace(search.terms, guard=lambda _: judged)
    search.tell(trial(0, Train(learner="constant"), 0.5))
    search.tell(trial(1, NET, 0.9))
    asked = []
    while (found := search.ask()) is not None and len(asked) < limit:
        asked.append(found.recipe)
        number = len(asked) + 1
        search.tell(trial(number, found.recipe, 0.9))
        judged[number] = Shrunken(number=number, reason="" if verdicts(steps_of(found.recipe)) else "Too bad.")
    return asked


def test_a_chain_of_four_is_found_in_whatever_order_its_steps_are_kept(context):
    good = {("fuse",), ("fuse", "prune"), ("fuse", "prune", "quantise"), ("fuse", "prune", "quantise", "vocabulary")}
    asked = play(context, lambda steps: steps in good)
    assert shrunk(*max(good, key=len)) in asked
    assert len(asked) <= TRIES


def test_nothing_is_built_on_a_rejected_step(context):
    asked = play(context, lambda steps: "prune" not in steps)
    assert all("prune" not in steps_of(recipe)[:-1] for recipe in asked)
    assert any(len(steps_of(recipe)) == 3 for recipe in asked)


def test_all_rejected_ends_after_one_step_each(context):
    asked = play(context, lambda _: False)
    assert sorted(map(describe, asked)) == sorted(f"net > {name}" for name in NAMES)


def test_a_dozen_proposals_a_model_stay_few_trials(context):
    asked = play(context, lambda _: True, settings=3)
    assert len(asked) <= TRIES
    assert len(set(asked)) == len(asked)


def test_a_step_that_was_not_weighed_yet_is_not_built_on(context):
    search = Search(context, [], [Step(name) for name in NAMES])
    search.terms = replace(search.terms, guard=lambda _: {})
    search.tell(trial(0, Train(learner="constant"), 0.5))
    search.tell(trial(1, NET, 0.9))
    search.tell(trial(2, shrunk("prune"), 0.9))
    assert {steps_of(each.move.recipe)[:-1] for each in search.rank()} == {()}
