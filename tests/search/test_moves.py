"""What is tried next depends on recipes and scores alone, and on nothing twice."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from steelyard.contracts import (
    Column,
    Context,
    Ending,
    Kind,
    Move,
    Prior,
    Problem,
    Schema,
    Space,
    Stage,
    Task,
    Trial,
)
from steelyard.recipe import Combine, Plan, Settings, Shrink, Step, Train, describe, parents, trainings
from steelyard.search.allowance import Allowance, trained_for
from steelyard.search.loop import Loop
from steelyard.search.moves import Search
from steelyard.search.prospects import LOSSLESS
from steelyard.search.spending import OverHorizon
from steelyard.units import Estimate, How, Money, Seconds

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


class Selector:
    name, stage, paper, about = "select", Stage.TRAINING, "none", "for tests"

    def moves(self, trial, context):
        if any(t.recipe == trial.recipe for t in context.trials if t.ending.usable):
            step = Step(lever=self.name, settings=Settings(columns=f'["{trial.number}"]'))
            yield Move(recipe=replace(trial.recipe, plan=Plan(parts=(step,))), lever=self.name, prior=prior(1.0, 0.01))


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


def test_the_cheapest_start_comes_first_and_the_constant_model_before_it(search):
    assert play(search, 2) == ["constant", "line"]


def test_nothing_is_tried_twice(search):
    names = play(search, 20)
    assert len(names) == len(set(names))


def test_the_same_answers_lead_to_the_same_questions(search):
    again = Search(search._context, search._learners, search._levers)
    assert play(search) == play(again)


def test_a_failed_start_does_not_stop_the_others(search):
    told(search, search.ask(), 0.0, ending=Ending.FAILED)
    assert describe(search.ask().recipe) == "line"


def test_levers_wait_for_the_first_model(search):
    told(search, search.ask(), 0.5)
    first = search.ask()
    running = [Trial(number=1, recipe=first.recipe, lever="start", ending=Ending.FAILED)]
    assert search.ask(running) is None


def test_the_search_ends_when_no_move_is_expected_to_improve(search):
    names = play(search, 500)
    assert 3 <= len(names) < 500


def test_a_move_that_is_not_affordable_is_passed_over(search):
    move = search.ask(affordable=lambda ranked: ranked.seconds > 2)
    assert describe(move.recipe) == "trees"
    assert search.ask(affordable=lambda _: False) is None


def test_shrinking_begins_at_the_best_alone(search):
    for _ in range(3):
        move = search.ask(affordable=lambda r: r.move.lever == "start")
        told(search, move, {"constant": 0.5, "line": 0.6, "trees": 0.9}[describe(move.recipe)])
        if describe(move.recipe) == "line":
            break
    told(search, Move(recipe=Train(learner="trees"), lever="start", prior=prior(5.0, 0.6)), 0.9)
    shrunk = [r for r in search.rank() if r.move.lever == "shrinker"]
    assert [describe(each.move.recipe) for each in shrunk] == ["trees > shrinker"]


# ------------------------------------------------------------------------------------- money and machine


def priced(search, decisions):
    worth = OverHorizon(0.001, "USD", decisions)
    return Search(search._context, search._learners, search._levers, replace(search.terms, worth=worth))


def test_a_move_is_made_while_it_is_expected_to_return_its_price(search):
    dear, cheap = priced(search, 1.0), priced(search, 1e12)
    assert len(play(cheap, 60)) > len(play(dear, 60)) == 2


def test_a_model_made_cheaper_is_worth_less_where_no_loss_is_tolerated(search):
    def worth(tolerance):
        asked = Search(replace(search._context, tolerance=tolerance), search._learners, search._levers)
        asked.tell(first(asked, "line", figure(0.8)))
        return next(r.improvement for r in asked.rank() if r.move.lever == "shrinker")

    assert worth(0.0) == pytest.approx(LOSSLESS * worth(0.01))


def test_the_outlook_names_return_range_and_price(search):
    rich = priced(search, 1e6)
    play(rich, 2)
    sentence = rich.outlook(rich.rank()[0])
    assert re.search(r"would be expected to return [\d,.e+]+ USD \([\d.]+ to [\d,.e+]+\) for [\d.e-]+ USD", sentence)


def test_without_values_the_outlook_speaks_of_the_aim(search):
    play(search, 2)
    assert "expected to better roc_auc by" in search.outlook(search.rank()[0])


def slow(search, name, seconds):
    recipe = Train(learner=name)
    return Trial(
        number=0,
        recipe=recipe,
        lever="start",
        ending=Ending.MEASURED,
        validation={"roc_auc": Estimate.exact(0.8)},
        seconds=Seconds(seconds),
    )


@pytest.mark.parametrize(("measured", "slower"), [(True, True), (False, False)])
def test_costs_follow_the_clock_only_where_a_budget_of_time_binds(search, measured, slower):
    search.terms = replace(search.terms, measured_pace=measured)
    before = {r.move.recipe.learner: r.seconds for r in search.rank() if r.move.lever == "start"}
    search.tell(slow(search, "line", 10.0))
    after = {r.move.recipe.learner: r.seconds for r in search.rank() if r.move.lever == "start"}
    assert (after["trees"] > 1.5 * before["trees"]) is slower


def test_what_takes_long_begins_with_a_share_of_the_rows_and_goes_on_with_all(search):
    class Subsample(Shrinker):
        name = "subsample"

    context = replace(search._context, rows=100_000)
    long = Search(context, search._learners, [Subsample()], replace(search.terms, long=2.0))
    names = [describe(r.move.recipe) for r in long.rank() if r.move.lever == "start"]
    assert sorted(names) == ["constant", "line", "trees > subsample(share=0.1)"]
    tasted = next(r.move for r in long.rank() if r.move.recipe.data)
    told(long, tasted, 0.8)
    assert "trees" in [describe(r.move.recipe) for r in long.rank()]


# ------------------------------------------------------------------------------------- published results


def published(*names):
    learners = [Learner(name, 1.0, 0.5) for name in ("constant", *names)]
    columns = tuple(Column(name=f"x{i}", kind=Kind.NUMBER) for i in range(5))
    context = Context(
        task=TASK,
        schema=Schema(columns),
        rows=1000,
        calibration_rows=1000,
        parts=1,
        trials=(),
        space=lambda _: Space({}),
        learner=lambda name: next(x for x in learners if x.name == name),
    )
    return Search(context, learners, [])


def figure(value, half=0.01):
    return Estimate(value, value - half, value + half)


def first(search, name, validation):
    return Trial(
        number=len(search.trials),
        recipe=Train(learner=name),
        lever="start",
        ending=Ending.MEASURED,
        validation={"roc_auc": validation},
    )


def test_published_results_order_the_starts_after_the_first(search):
    told_of = published("linear", "lightgbm", "catboost", "extra-trees")
    for name, value in (("constant", 0.5), ("linear", 0.8)):
        told_of.tell(first(told_of, name, figure(value)))
    gains = {r.move.recipe.learner: r.improvement for r in told_of.rank()}
    assert gains["catboost"] > gains["lightgbm"] > gains["extra-trees"] > 0


def test_a_strong_showing_lowers_what_its_relatives_may_bring(search):
    def left(value):
        told_of = published("linear", "lightgbm", "catboost")
        for name, figures in (("constant", 0.5), ("linear", 0.8), ("lightgbm", value)):
            told_of.tell(first(told_of, name, figure(figures)))
        return next(r.gain.relative for r in told_of.rank() if r.move.recipe.learner == "catboost")

    assert left(0.75) > 0
    assert left(0.80) > left(0.95)


def test_a_lucky_figure_is_expected_lower_and_a_sure_one_stays(search):
    def expected(half):
        told_of = published("linear", "lightgbm", "extra-trees")
        for name, value in (("constant", 0.5), ("lightgbm", 0.80), ("extra-trees", 0.83)):
            told_of.tell(first(told_of, name, figure(value, half)))
        return told_of.expected(told_of.trials[-1])

    assert expected(0.05) < 0.825
    assert expected(0.0005) == pytest.approx(0.83, abs=0.002)


def test_columns_chosen_on_the_same_rows_are_expected_to_be_no_better_than_all(search):
    fewer = Train(learner="line", plan=Plan(parts=(Step(lever="select", settings=Settings(columns='["a"]')),)))
    both = Combine(lever="ensemble", parents=(Train(learner="line"), fewer))
    told = [
        Trial(number=n, recipe=recipe, lever="x", ending=Ending.MEASURED, validation={"roc_auc": figure(value)})
        for n, (recipe, value) in enumerate([(Train(learner="line"), 0.80), (fewer, 0.84), (both, 0.85)])
    ]
    for trial in told:
        search.tell(trial)
    expected = [search.expected(trial) for trial in told]
    assert expected[0] == pytest.approx(expected[1])
    assert expected[1] < expected[2] < 0.85


def test_what_is_lighter_to_serve_is_not_stopped_by_what_heavier_trainings_reached():
    heavy = [
        Trial(
            number=n,
            recipe=Train(learner="lightgbm", plan=Plan(settings=Settings(num_leaves=100 + n))),
            lever="tune",
            ending=Ending.MEASURED,
            validation={"roc_auc": figure(0.9)},
            curve=((10, 0.8), (20, 0.9)),
        )
        for n in range(6)
    ]

    def of(leaves):
        recipe = Train(learner="lightgbm", plan=Plan(settings=Settings(num_leaves=leaves)))
        return Loop._hurdles(SimpleNamespace(_trials=lambda: tuple(heavy)), recipe)

    assert of(8) == {}
    assert of(200)


@pytest.mark.parametrize(("figure_of_cleaned", "built_on"), [(0.81, False), (0.86, True)])
def test_nothing_is_built_on_altered_data_that_are_not_better_for_sure(search, figure_of_cleaned, built_on):
    cleaned = Train(learner="line", data=(Step(lever="clean"),))
    for number, (recipe, value) in enumerate([(Train(learner="line"), 0.8), (cleaned, figure_of_cleaned)]):
        search.tell(
            Trial(
                number=number,
                recipe=recipe,
                lever="start",
                ending=Ending.MEASURED,
                validation={"roc_auc": figure(value, 0.03)},
            )
        )
    made = {
        getattr(leaf, "data", ()) for r in search.rank() if r.move.lever != "start" for leaf in trainings(r.move.recipe)
    }
    assert (cleaned.data in made) is built_on
    assert () in made


@pytest.mark.parametrize(
    ("figure_of_fewer", "price", "built_on"), [(0.81, None, False), (0.86, None, True), (0.81, "0.01 USD", True)]
)
def test_nothing_but_fewer_columns_is_built_on_columns_that_luck_may_have_chosen(
    search, figure_of_fewer, price, built_on
):
    fewer = Train(learner="line", plan=Plan(parts=(Step(lever="select", settings=Settings(columns='["a"]')),)))
    column = Column(name="a", kind=Kind.NUMBER, price=None if price is None else Money.parse(price))
    search = Search(replace(search._context, schema=Schema((column,))), search._learners, [Selector(), Shrinker()])
    for number, (recipe, value) in enumerate([(Train(learner="line"), 0.8), (fewer, figure_of_fewer)]):
        validation = {"roc_auc": figure(value, 0.03)}
        search.tell(Trial(number=number, recipe=recipe, lever="x", ending=Ending.MEASURED, validation=validation))
    made = {(r.move.lever, parents(r.move.recipe)[:1]) for r in search.rank() if r.move.lever != "start"}
    assert (("shrinker", (fewer,)) in made) is built_on
    assert (("shrinker", (Train(learner="line"),)) in made) is not built_on  # it begins at the best
    assert {trial.number for trial in search.trials} == {
        int(json.loads(part.settings["columns"])[0])
        for r in search.rank()
        if r.move.lever == "select"
        for part in r.move.recipe.plan.parts
    }


def test_nothing_is_built_on_fewer_columns_where_all_of_them_were_not_measured(search):
    fewer = Train(learner="line", plan=Plan(parts=(Step(lever="select", settings=Settings(columns='["a"]')),)))
    search.tell(Trial(number=0, recipe=fewer, lever="x", ending=Ending.MEASURED, validation={"roc_auc": figure(0.9)}))
    assert {r.move.lever for r in search.rank()} == {"start"}


def test_luckily_chosen_columns_do_not_raise_the_bar_for_other_moves(search):
    fewer = Train(learner="line", plan=Plan(parts=(Step(lever="select", settings=Settings(columns='["a"]')),)))
    found = []
    for recipes in ([Train(learner="line")], [Train(learner="line"), fewer]):
        search.trials.clear()
        for number, recipe in enumerate(recipes):
            validation = {"roc_auc": figure(0.8 + 0.02 * number, 0.05)}
            search.tell(Trial(number=number, recipe=recipe, lever="x", ending=Ending.MEASURED, validation=validation))
        found.append({describe(r.move.recipe): r.improvement for r in search.rank() if r.move.lever == "start"})
    assert found[0]["trees"] == pytest.approx(found[1]["trees"])


def test_until_a_trial_keeps_the_limits_what_may_keep_them_is_tried_although_it_should_not_pay(search, monkeypatch):
    monkeypatch.setattr(Search, "pays", lambda *_: False)
    for number, name in enumerate(["constant", "line"]):
        value = Estimate.exact(0.5 + 0.3 * number)
        search.tell(
            Trial(
                number=number,
                recipe=Train(learner=name),
                lever="start",
                ending=Ending.MEASURED,
                validation={"roc_auc": value},
            )
        )
    assert search.ask() is None
    search.terms = replace(search.terms, meets=lambda _: False)
    assert search.ask().lever in {"start", "shrinker"}


def test_a_refit_repeats_the_trainings_and_the_steps_below_a_model_and_its_own():
    teacher = Train(learner="lightgbm")
    student = Shrink(lever="distil", parent=teacher, settings=Settings(learner="linear"))
    made = [teacher, student, Shrink(lever="quantise", parent=teacher)]
    trials = [
        Trial(number=n, recipe=recipe, lever="start", ending=Ending.MEASURED, validation={})
        for n, recipe in enumerate(made)
    ]
    assert [[t.number for t in trained_for(trial, trials)] for trial in trials] == [[0], [0, 1], [0, 2]]


def test_the_pace_is_that_of_trainings_alone():
    net = Train(learner="lightgbm")
    times = [
        (net, 4.0, 2.0),
        (Shrink(lever="quantise", parent=net), 0.1, 2.0),
        (Shrink(lever="fuse", parent=net), 0.1, 2),
    ]
    trials = [
        Trial(number=n, recipe=r, lever="x", ending=Ending.MEASURED, seconds=Seconds(took), foreseen=Seconds(foreseen))
        for n, (r, took, foreseen) in enumerate(times)
    ]
    assert Allowance.pace(SimpleNamespace(), trials) == pytest.approx(2.0)
