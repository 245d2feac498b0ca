"""Stacking models of different columns: they know more together, weights mean something, refusals are sentences."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax

from steelyard.bundle.rules import answer_of, apply_rule
from steelyard.contracts import Ending, Evidence, Problem, Task, Work
from steelyard.errors import BundleRefused, SteelyardError
from steelyard.levers.combining._stack import Stack
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.training.parts import MODALITY
from steelyard.recipe import Combine, Plan, Settings, Step, Train
from steelyard.tasks import metric
from steelyard.testing import check_lever
from steelyard.testing.situations import situation

BINARY = Task(problem=Problem.BINARY, target="y", aim="log_loss", classes=("no", "yes"), positive="yes")
THREE = Task(problem=Problem.MULTICLASS, target="y", aim="log_loss", classes=("a", "b", "c"))
NUMBERS = Task(problem=Problem.REGRESSION, target="y", aim="rmse")


def independent(rows=4000, seed=0):
    """Two members who each know their own half of the evidence, told as it is."""
    random = np.random.default_rng(seed)
    target = random.integers(0, 2, rows)
    odds = [random.normal(2 * target - 1, 2**0.5) for _ in range(2)]  # log-odds of a normal of mean +-1, variance 2
    answers = [answer_of(BINARY, np.column_stack([1 - expit(o), expit(o)])) for o in odds]
    return Evidence(tuple(answers), target.astype(np.int64))


def fit(task, evidence, schema, **settings):
    return Stack().fit(evidence, Settings(settings), Work(task=task, schema=schema))


@pytest.fixture
def schema():
    return situation(Problem.BINARY).context.schema


def loss(task, evidence, answer):
    return metric("log_loss").measure(task, evidence.target, answer)


def test_members_who_know_different_things_are_added_up_as_bayes_would(schema):
    evidence = independent()
    rule = fit(BINARY, evidence, schema)
    assert rule["rule"] == "pool"
    assert rule["weights"] == pytest.approx([1.0, 1.0], abs=0.12)
    together = apply_rule(rule, evidence.answers, BINARY)
    mean = apply_rule({"rule": "blend", "weights": [1, 1]}, evidence.answers, BINARY)
    assert loss(BINARY, evidence, together) < 0.93 * loss(BINARY, evidence, mean)


def test_one_who_says_the_same_twice_is_not_counted_twice(schema):
    one = independent()
    rule = fit(BINARY, Evidence((one.answers[0], one.answers[0]), one.target), schema)
    assert sum(rule["weights"]) == pytest.approx(1.0, abs=0.1)
    assert rule["weights"][0] == pytest.approx(rule["weights"][1], abs=1e-6)


def test_one_who_knows_nothing_gets_next_to_nothing(schema):
    evidence = independent()
    noise = np.random.default_rng(5).permutation(evidence.answers[1].scores)
    rule = fit(BINARY, Evidence((evidence.answers[0], answer_of(BINARY, noise)), evidence.target), schema)
    assert rule["weights"][1] < 0.05


def test_no_weight_is_negative(schema):
    evidence = independent()
    liar = answer_of(BINARY, evidence.answers[1].scores[:, ::-1].copy())
    assert min(fit(BINARY, Evidence((evidence.answers[0], liar), evidence.target), schema)["weights"]) >= 0
    with pytest.raises(LeverRefused, match="no member worth any weight"):
        fit(BINARY, Evidence((liar, liar), evidence.target), schema)


def test_several_classes_get_offsets_that_mend_wrong_shares(schema):
    random = np.random.default_rng(1)
    target = random.choice(3, 3000, p=[0.7, 0.2, 0.1])
    sums = random.normal(size=(3000, 3)) + 2 * np.eye(3)[target]
    answer = answer_of(THREE, softmax(sums, axis=1))  # as if the classes were equally frequent
    evidence = Evidence((answer, answer), target)
    rule = fit(THREE, evidence, schema)
    assert rule["offsets"][0] > rule["offsets"][1] > rule["offsets"][2]
    assert loss(THREE, evidence, apply_rule(rule, evidence.answers, THREE)) < loss(THREE, evidence, answer)


@pytest.mark.parametrize(("times", "plus"), [(1.0, 0.0), (1e6, -3e7), (1e-6, 5.0)])
def test_values_are_joined_by_the_line_of_least_squares_in_any_unit(schema, times, plus):
    random = np.random.default_rng(2)
    parts = random.normal(size=(2, 800))
    target = (0.7 * parts[0] + 0.2 * parts[1] + 1.0) * times + plus
    answers = tuple(answer_of(NUMBERS, (part * times + plus)[:, None]) for part in parts)
    rule = fit(NUMBERS, Evidence(answers, target), schema)
    assert rule["weights"] == pytest.approx([0.7, 0.2], abs=0.01)
    joined = apply_rule(rule, answers, NUMBERS).decided
    assert np.abs(joined - target).max() < 0.05 * abs(times)


def test_rows_count_by_their_weight(schema):
    evidence = independent()
    twice = Evidence(
        tuple(answer_of(BINARY, np.concatenate([a.scores, a.scores[:500]])) for a in evidence.answers),
        np.concatenate([evidence.target, evidence.target[:500]]),
    )
    weighed = replace(evidence, weights=np.where(np.arange(len(evidence.target)) < 500, 2.0, 1.0))
    for name in ("weights", "offsets"):
        assert fit(BINARY, twice, schema)[name] == pytest.approx(fit(BINARY, weighed, schema)[name], abs=1e-4)


def test_too_few_rows_and_strange_settings_are_refused(schema):
    few = independent(rows=60)
    with pytest.raises(LeverRefused, match="stack needs 100 validation rows"):
        fit(BINARY, few, schema)
    with pytest.raises(SteelyardError, match="depth"):
        fit(BINARY, independent(), schema, depth=2)


@pytest.mark.parametrize(
    "rule",
    [
        {"weights": [1.0], "offsets": [0.0, 0.0]},
        {"weights": [1.0, -0.1], "offsets": [0.0, 0.0]},
        {"weights": [0.0, 0.0], "offsets": [0.0, 0.0]},
        {"weights": [1.0, 1.0], "offsets": [0.0]},
        {"weights": [1.0, float("nan")], "offsets": [0.0, 0.0]},
        {"weights": [1.0, 1.0]},
    ],
)
def test_a_pool_that_is_none_is_refused(rule):
    evidence = independent(rows=10)
    with pytest.raises(BundleRefused, match="rule 'pool'"):
        apply_rule({"rule": "pool", **rule}, evidence.answers, BINARY)


def test_a_member_of_no_weight_is_not_asked():
    evidence, asked = independent(rows=10), []

    def ask(member):
        asked.append(member)
        return evidence.answers[member]

    from steelyard.bundle.rules import check_rule

    rule = {"rule": "pool", "weights": [0.0, 2.0], "offsets": [0.0, 0.0]}
    check_rule(rule, 2, BINARY).ready(rule, BINARY)(ask)
    assert asked == [1]


def reading(trial, columns):
    step = Step(lever=MODALITY, settings=Settings(columns=columns))
    return replace(trial, recipe=Train(learner="lightgbm", plan=Plan(parts=(step,))))


def test_it_is_proposed_once_models_of_two_modalities_were_measured():
    place = situation(Problem.BINARY)
    context = place.context
    best = max((t for t in context.trials if t.ending.usable), key=lambda t: t.validation[context.task.aim].value)
    plain = replace(best, number=90, recipe=Train(learner="lightgbm"))
    part = replace(reading(best, '["a"]'), number=91)
    alone = replace(context, trials=(plain,))
    both = replace(context, trials=(plain, part))
    assert list(Stack().moves(plain, alone)) == []
    (move,) = [move for trial in (plain, part) for move in Stack().moves(trial, both)]
    assert set(move.recipe.parents) == {plain.recipe, part.recipe}
    done = replace(plain, number=92, recipe=move.recipe, ending=Ending.REFUSED)
    again = replace(context, trials=(plain, part, done))
    assert [m for t in (plain, part) for m in Stack().moves(t, again)] == []
    assert isinstance(move.recipe, Combine)


def test_it_keeps_the_contract_of_a_lever():
    check_lever(Stack())
