"""What is tried next depends on recipes and scores alone, and on nothing twice."""

from dataclasses import replace

import pytest

from steelyard.contracts import Context, Ending, Move, Prior, Problem, Schema, Space, Stage, Task, Trial
from steelyard.recipe import Plan, Settings, Shrink, Train, describe
from steelyard.search.moves import Search
from steelyard.units import Estimate, How

TASK = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes")


def prior(seconds, gain, spread=0.05):
    return Prior(Estimate.exact(seconds, how=How.ASSUMED), Estimate(gain, gain - spread, gain + spread, How.ASSUMED))


class Learner:
    honours, about = frozenset({"settings"}), "for tests"

    def __init__(self, name, seconds, gain):
        self.name, self._prior = name, prior(seconds, gain)

    def accepts(self, task, schema):
        return None

    def space(self, task, schema):
        return Space({})

    def prior(self, task, schema, rows):
        return self._prior


class Tuner:
    name, stage, paper, about = "tuner", Stage.TRAINING, "none", "for tests"

    def moves(self, trial, context):
        if isinstance(trial.recipe, Train) and trial.recipe.learner != "constant":
            done = sum(t.lever == self.name for t in context.trials)
            recipe = replace(trial.recipe, plan=Plan(settings=Settings(step=done)))
            yield Move(recipe=recipe, lever=self.name, prior=prior(1.0, 0.05 / (1 + done), 0.05 / (1 + done)))


class Shrinker:
    name, stage, paper, about = "shrinker", Stage.SHRINKING, "none", "for tests"

    def moves(self, trial, context):
        if isinstance(trial.recipe, Train):
            recipe = Shrink(lever=self.name, parent=trial.recipe)
            yield Move(recipe=recipe, lever=self.name, prior=prior(0.1, 0.01))


@pytest.fixture
def search():
    learners = [Learner("trees", 5.0, 0.6), Learner("constant", 0.01, 0.0), Learner("line", 1.0, 0.5)]
    context = Context(
        task=TASK,
        schema=Schema(()),
        rows=100,
        calibration_rows=100,
        parts=1,
        trials=(),
        space=lambda _: Space({}),
        learner=lambda name: next(x for x in learners if x.name == name),
    )
    return Search(context, learners, [Tuner(), Shrinker()])


def told(search, move, value, number=None, ending=Ending.MEASURED):
    validation = {"roc_auc": Estimate.exact(value)} if ending.usable else {}
    number = len(search.trials) if number is None else number
    search.tell(Trial(number=number, recipe=move.recipe, lever=move.lever, ending=ending, validation=validation))


def play(search, count=12):
    names = []
    scores = {"constant": 0.5, "line": 0.8, "trees": 0.85}
    while len(names) < count and (move := search.ask()) is not None:
        names.append(describe(move.recipe))
        told(search, move, scores.get(names[-1], 0.85))
    return names


def test_learners_start_cheapest_first(search):
    assert play(search, 3) == ["constant", "line", "trees"]


def test_nothing_is_tried_twice(search):
    names = play(search, 20)
    assert len(names) == len(set(names))


def test_the_same_answers_lead_to_the_same_questions(search):
    again = Search(search._context, search._learners, search._levers)
    assert play(search) == play(again)


def test_a_failed_start_does_not_stop_the_others(search):
    told(search, search.ask(), 0.0, ending=Ending.FAILED)
    assert describe(search.ask().recipe) == "line"


def test_levers_wait_until_every_start_has_ended(search):
    for _ in range(2):
        told(search, search.ask(), 0.8)
    last = search.ask()
    running = [Trial(number=2, recipe=last.recipe, lever="start", ending=Ending.FAILED)]
    assert search.ask(running) is None


def test_the_search_ends_when_no_move_is_expected_to_improve(search):
    names = play(search, 500)
    assert 5 < len(names) < 500


def test_a_move_that_is_not_affordable_is_passed_over(search):
    move = search.ask(affordable=lambda ranked: ranked.seconds > 2)
    assert describe(move.recipe) == "trees"
    assert search.ask(affordable=lambda _: False) is None


def test_shrinking_the_best_comes_before_shrinking_the_rest(search):
    play(search, 3)
    shrunk = [r for r in search.rank() if r.move.lever == "shrinker"]
    assert describe(shrunk[0].move.recipe) == "trees > shrinker"
    assert shrunk[0].improvement > shrunk[-1].improvement
