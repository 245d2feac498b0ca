from dataclasses import replace

import numpy as np
import pytest

from steelyard.bundle.rules import answer_of, apply_rule
from steelyard.contracts import Answer, Ending, Evidence, Problem, Task, Weight, Work
from steelyard.errors import SteelyardError
from steelyard.levers.combining import _greedy
from steelyard.levers.combining._ensemble import MOST, Ensemble
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Settings, Train
from steelyard.tasks import metric
from steelyard.units import Estimate


@pytest.fixture
def noisy(binary, random):
    """Make evidence: members whose log-odds are the truth and noise of a given size each."""

    def make(*noises, rows=600, task=binary, common=0.0):
        truth = random.normal(size=rows)
        target = (random.random(rows) < 1 / (1 + np.exp(-2 * truth))).astype(np.int64)
        shared = random.normal(size=rows)
        answers = []
        for noise in noises:
            odds = 2 * truth + common * shared + noise * random.normal(size=rows)
            p = 1 / (1 + np.exp(-odds))
            answers.append(answer_of(task, np.column_stack([1 - p, p])))
        return Evidence(tuple(answers), target)

    return make


def aim(evidence, task, weights):
    answer = apply_rule({"rule": "blend", "weights": weights}, evidence.answers, task)
    return metric(task.aim).measure(task, evidence.target, answer)


def test_a_blend_is_at_least_as_good_as_its_best_member(noisy, work):
    evidence = noisy(1.0, 1.2, 1.4)
    weights = Ensemble().fit(evidence, Settings(), work)["weights"]
    singles = [aim(evidence, work.task, list(one)) for one in np.eye(3)]
    assert sum(weights) == pytest.approx(1)
    assert aim(evidence, work.task, weights) > max(singles)


def test_a_member_that_knows_nothing_gets_no_weight(noisy, work, random):
    good = noisy(0.3)
    p = random.random(600)
    evidence = Evidence((*good.answers, answer_of(work.task, np.column_stack([1 - p, p]))), good.target)
    assert Ensemble().fit(evidence, Settings(picks=3), work)["weights"][1] == 0


def test_equal_members_are_told_apart_by_the_proper_score(binary, schema):
    target = np.array([0, 1] * 50)
    sure, timid = np.where(target == 1, 0.9, 0.1), np.where(target == 1, 0.6, 0.4)
    answers = tuple(answer_of(binary, np.column_stack([1 - p, p])) for p in (timid, sure))
    rule = Ensemble().fit(Evidence(answers, target), Settings(), Work(task=binary, schema=schema))
    assert rule == {"rule": "blend", "weights": [0.0, 1.0]}


def test_weights_of_rows_count(binary, schema):
    target = np.array([0, 1] * 50)
    first = np.where(np.arange(100) < 50, target, 1 - target) * 0.8 + 0.1
    answers = tuple(answer_of(binary, np.column_stack([1 - p, p])) for p in (first, 1 - first))
    weights = np.where(np.arange(100) < 50, 0.01, 1.0)
    work = Work(task=binary, schema=schema)
    assert Ensemble().fit(Evidence(answers, target, weights), Settings(), work)["weights"] == [0.0, 1.0]
    assert Ensemble().fit(Evidence(answers, target, weights[::-1]), Settings(), work)["weights"] == [1.0, 0.0]


def test_numbers_are_blended_too(schema, random):
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    target = random.normal(size=400)
    answers = tuple(answer_of(task, (target + random.normal(size=400))[:, None]) for _ in range(2))
    weights = Ensemble().fit(Evidence(answers, target), Settings(), Work(task=task, schema=schema))["weights"]
    assert weights == pytest.approx([0.5, 0.5], abs=0.1)


def test_where_decisions_have_a_price_the_blend_is_chosen_by_it(noisy, binary, schema):
    task = Task(
        problem=Problem.BINARY,
        target="y",
        aim="value",
        classes=("no", "yes"),
        positive="yes",
        value=((0.0, -1.0), (-8.0, 0.0)),
    )
    evidence = noisy(1.0, 1.2, 1.4, task=task)
    weights = Ensemble().fit(evidence, Settings(), Work(task=task, schema=schema))["weights"]
    assert aim(evidence, task, weights) >= max(aim(evidence, task, list(one)) for one in np.eye(3))


def test_an_aim_that_is_undefined_leaves_the_proper_score(noisy, binary, schema):
    evidence = noisy(0.5, 3.0)
    single = Evidence(evidence.answers, np.ones(600, np.int64))
    weights = Ensemble().fit(single, Settings(), Work(task=binary, schema=schema))["weights"]
    assert sum(weights) == pytest.approx(1)


def test_too_few_rows_are_refused_with_the_number_needed(noisy, work):
    with pytest.raises(LeverRefused, match=r"needs 50 validation rows .* there are 49"):
        Ensemble().fit(noisy(1.0, 1.0, rows=49), Settings(), work)


def test_unknown_settings_are_refused(noisy, work):
    with pytest.raises(SteelyardError, match="did you mean 'picks'"):
        Ensemble().fit(noisy(1.0), Settings(pick=3), work)


def test_blends_of_the_best_are_proposed_from_the_best_alone(context, trial):
    trials = [
        trial(1, "constant", aim=0.5),
        trial(2, "lines", aim=0.78),
        trial(3, "trees", aim=0.8),
        trial(4, "trees", aim=0.79, rate=0.2),
        trial(5, "trees", aim=0.785, rate=0.3),
        trial(6, "trees", ending=Ending.FAILED, rate=0.4),
    ]
    made = context(*trials)
    moves = [m for t in trials for m in Ensemble().moves(t, made)]
    assert [[p.learner for p in m.recipe.parents] for m in moves] == [["lines", "trees", "trees"]]
    assert not list(Ensemble().moves(trials[1], made))


def test_a_blend_that_was_tried_is_not_proposed_again(context, trial):
    trials = [trial(1, "lines", aim=0.8), trial(2, "trees", aim=0.79)]
    (move,) = Ensemble().moves(trials[0], context(*trials))
    assert move.recipe == Combine(lever="ensemble", parents=(Train(learner="lines"), Train(learner="trees")))
    done = trial(3, recipe=move.recipe, aim=0.9, lever="ensemble")
    assert not list(Ensemble().moves(trials[0], context(*trials, done)))
    assert not list(Ensemble().moves(done, context(*trials, done)))


def test_one_training_is_no_ensemble(context, trial):
    only = trial(1, "lines", aim=0.8)
    assert not list(Ensemble().moves(only, context(only)))


def test_clearly_worse_is_judged_in_the_direction_of_the_aim(context, trial):
    task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    best, near, far = (
        trial(n, learner, aim=aim, half=0.5, metric="rmse")
        for n, learner, aim in ((1, "lines", 3.0), (2, "trees", 3.5), (3, "constant", 9.0))
    )
    (move,) = Ensemble().moves(best, context(best, near, far, task=task))
    assert [p.learner for p in move.recipe.parents] == ["lines", "trees"]


# --------------------------------------------------------------------------- the group that is blended


def test_each_learner_brings_its_best_before_any_brings_its_second(context, trial):
    trials = [trial(n, "trees", aim=0.8 - n / 1000, leaves=9 + n) for n in range(1, 5)]
    trials += [trial(9, "lines", aim=0.77), trial(10, "switch", aim=0.76)]
    (move,) = Ensemble().moves(trials[0], context(*trials))
    assert sorted(p.learner for p in move.recipe.parents) == ["lines", "switch", "trees", "trees"]
    many = [trial(n, f"learner {n}", aim=0.8 - n / 1000) for n in range(1, 12)]
    (move,) = Ensemble().moves(many[0], context(*many))
    assert len(move.recipe.parents) == MOST


def test_a_new_blend_is_proposed_only_once_a_new_training_is_among_the_best(context, trial):
    trials = [trial(1, "lines", aim=0.8), trial(2, "trees", aim=0.79), trial(3, "switch", aim=0.78)]
    (move,) = Ensemble().moves(trials[0], context(*trials))
    trials.append(trial(4, recipe=move.recipe, aim=0.81, lever="ensemble"))
    trials.append(trial(5, "constant", aim=0.3))  # clearly worse: it joins no group
    assert not list(Ensemble().moves(trials[0], context(*trials)))
    worse = [
        replace(trials[2], validation={"roc_auc": Estimate(0.1, 0.1, 0.1)}) if t.number == 3 else t for t in trials
    ]
    assert not list(Ensemble().moves(worse[0], context(*worse))), "a smaller group is no news"
    trials.append(trial(6, "trees", aim=0.795, leaves=9))
    (move,) = Ensemble().moves(trials[0], context(*trials))
    assert len(move.recipe.parents) == 4


# ------------------------------------------------------------------------------- what members cost


def weight(ms, size):
    ms = Estimate(ms, ms, ms)
    return Weight(
        p50=ms, p95=ms, p99=ms, throughput=ms, batch=1, size_bytes=size, memory_bytes=ms, threads=1, calls=200
    )


@pytest.fixture
def blended(context, trial):
    """Two weighed trainings, and their blend, which is better and slower than either."""
    trials = [trial(1, "lines", aim=0.79), trial(2, "trees", aim=0.8)]
    (move,) = Ensemble().moves(trials[1], context(*trials))
    trials.append(trial(3, recipe=move.recipe, aim=0.81, lever="ensemble"))
    return [replace(t, weight=weight(*w)) for t, w in zip(trials, ((0.1, 100), (0.3, 900), (0.5, 1000)), strict=True)]


def test_thriftier_blends_are_proposed_of_one_that_is_better_and_slower(context, blended):
    moves = list(Ensemble().moves(blended[2], context(*blended, tolerance=0.01)))
    assert [dict(m.recipe.settings) for m in moves] == [
        {"thrift": 0.01, "costs": "0.175 0.825"},
        {"thrift": 0.04, "costs": "0.175 0.825"},
    ]
    assert all(m.recipe.parents == blended[2].recipe.parents for m in moves)
    done = [replace(blended[2], number=4 + n, recipe=m.recipe, weight=None) for n, m in enumerate(moves)]
    assert not [m for t in (*blended, *done) for m in Ensemble().moves(t, context(*blended, *done, tolerance=0.01))]


def test_thrift_waits_until_a_blend_is_weighed_and_worth_its_price(context, blended):
    def none(*trials, tolerance=0.01):
        return not list(Ensemble().moves(trials[2], context(*trials, tolerance=tolerance)))

    lines, trees, blend = blended
    assert none(lines, trees, replace(blend, weight=None))
    assert none(replace(lines, weight=None), trees, blend)
    assert none(lines, trees, replace(blend, weight=weight(0.4, 1000))), "it is hardly slower than its best member"
    assert none(lines, trees, replace(blend, validation={"roc_auc": Estimate(0.8, 0.7, 0.9)})), "it is no better"
    assert none(*blended, tolerance=0.0)


def test_a_member_that_adds_less_than_its_cost_is_left_out(noisy, work):
    evidence = noisy(1.0, 1.0, 1.1)
    free = Ensemble().fit(evidence, Settings(), work)["weights"]
    assert min(free) > 0
    gain = aim(evidence, work.task, free) - aim(evidence, work.task, [1, 1, 0])

    def thrifty(thrift, costs="0.1 0.1 0.8"):
        return Ensemble().fit(evidence, Settings(thrift=thrift, costs=costs), work)["weights"]

    assert thrifty(0.0) == free
    assert thrifty(3 * abs(gain) + 0.01)[2] == 0, "the dearest stays although it adds less than its part"
    assert sorted(thrifty(10.0)) == [0, 0, 1], "nothing is worth ten times the range of the aim"


def test_thrift_is_counted_once_a_member_and_by_its_part(noisy, work):
    evidence = noisy(1.0, 1.0)
    both = aim(evidence, work.task, [1, 1]) - max(aim(evidence, work.task, w) for w in ([1, 0], [0, 1]))
    better = int(np.argmax([aim(evidence, work.task, list(w)) for w in np.eye(2)]))
    costs = "0.1 0.9" if better == 0 else "0.9 0.1"  # the second one to come is dear
    worth = Ensemble().fit(evidence, Settings(thrift=0.5 * both, costs=costs), work)["weights"]
    not_worth = Ensemble().fit(evidence, Settings(thrift=3 * both, costs=costs), work)["weights"]
    assert min(worth) > 0, "it has to bring 0.9 of half of what it brings"
    assert not_worth[better] == 1, "it has to bring nearly three times what it brings"


@pytest.mark.parametrize("costs", ["0.5", "a b", "-1 2", "0 0", "nan 1", "1 2 3"])
def test_costs_that_are_not_one_a_member_are_refused(noisy, work, costs):
    with pytest.raises(LeverRefused, match="costs must be 2 numbers of 0 or more"):
        Ensemble().fit(noisy(1.0, 1.0), Settings(costs=costs), work)


# ------------------------------------------------------------------------------------ many rows


def test_many_rows_are_thinned_evenly_and_whatever_their_order(noisy, work, monkeypatch, random):
    evidence = noisy(1.0, 1.2, rows=3000)
    monkeypatch.setattr(_greedy, "ROWS", 500)
    thin = _greedy.thinned(evidence)
    assert len(thin.target) == 500
    assert thin.target.mean() == pytest.approx(evidence.target.mean(), abs=0.005)
    order = random.permutation(3000)
    answers = tuple(Answer(a.scores[order], a.decided[order]) for a in evidence.answers)
    mixed = _greedy.thinned(Evidence(answers, evidence.target[order]))
    assert mixed.answers[0].scores.tolist() == thin.answers[0].scores.tolist()
    assert sum(Ensemble().fit(evidence, Settings(), work)["weights"]) == pytest.approx(1)
