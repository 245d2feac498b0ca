import numpy as np
import pytest

from steelyard.bundle.rules import answer_of, apply_rule
from steelyard.contracts import Ending, Evidence, Problem, Task, Work
from steelyard.errors import SteelyardError
from steelyard.levers.combining._ensemble import Ensemble
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Settings, Train
from steelyard.tasks import metric


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
    assert [[p.learner for p in m.recipe.parents] for m in moves] == [["trees", "trees"], ["lines", "trees", "trees"]]
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
