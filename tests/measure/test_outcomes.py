"""How often each outcome comes about: by a plain loop, and enough to find the money again."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.bundle.rules import answer_of
from steelyard.contracts import Amount, Answer, Problem, Task
from steelyard.measure import outcomes, quality
from steelyard.tasks.money import brought

BINARY = Task(
    problem=Problem.BINARY,
    target="y",
    aim="value",
    classes=("no", "yes"),
    positive="yes",
    value=((1.0, -2.0), (-7.0, 3.0)),
    amounts=(Amount("loan", ((0.1, 0.0), (-0.6, 0.0)), known=True, means=(9.0, 9.0), high=99.0),),
)
UNITS = Task(problem=Problem.REGRESSION, target="y", aim="value", value=((-1.0, -4.0),))


@pytest.fixture
def random():
    return np.random.default_rng(8)


def binary(random, task=BINARY, rows=400):
    p = random.random(rows)
    target = (random.random(rows) < p).astype(np.int64)
    return target, answer_of(task, np.column_stack([1 - p, p]), random.lognormal(2, 1, (rows, 1)))


def worth(task, rates):
    """Return the money of four rates: tp, fp, tn, fn of the second class."""
    return rates @ [task[1][1], task[0][1], task[0][0], task[1][0]]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("positive", ["yes", "no"])
def test_money_at_every_threshold_is_found_again_from_the_rates(random, weighted, positive):
    task = replace(BINARY, positive=positive)
    target, answer = binary(random, task)
    weights = random.random(400) + 0.1 if weighted else None
    found = outcomes(task, target, answer, weights)
    code = task.classes.index(positive)
    assert len(found["thresholds"]) <= 101
    assert found["thresholds"] == sorted(set(found["thresholds"]))
    flip = [0, 1, 2, 3] if code else [2, 3, 0, 1]  # tp, fp, tn, fn of "no" are tn, fn, tp, fp of "yes"
    for place, at in enumerate(found["thresholds"]):
        decided = np.where(answer.scores[:, code] >= at, code, 1 - code)
        money = np.average(
            brought(task, target, Answer(answer.scores, decided, amounts=answer.amounts)), weights=weights
        )
        rates, staked = (np.array(part["rates"][place])[flip] for part in (found, found["amounts"]["loan"]))
        assert worth(task.value, rates) + worth(task.amounts[0].times, staked) == pytest.approx(
            money, rel=1e-6, abs=1e-6
        )


def test_the_decision_taken_is_counted_as_it_was_taken(random):
    target, answer = binary(random)
    found = outcomes(BINARY, target, answer)
    money = worth(BINARY.value, np.array(found["decided"])) + worth(
        BINARY.amounts[0].times, np.array(found["amounts"]["loan"]["decided"])
    )
    assert 1000 * money == pytest.approx(quality(BINARY, target, answer, names=["value"])["value"].value)
    assert sum(found["decided"]) == pytest.approx(1.0)
    assert found["rows"] == 400


def test_a_person_who_knows_brings_more_with_every_row_up_to_what_is_perfect(random):
    target, answer = binary(random)
    found = outcomes(BINARY, target, answer)
    now = brought(BINARY, target, answer).mean()
    assert found["reviewed"]["money"][0] == pytest.approx(now)
    assert np.all(np.diff(found["reviewed"]["money"]) >= -1e-9)
    assert found["reviewed"]["money"][-1] <= found["perfect"] + 1e-9
    assert found["reviewed"]["shares"][-1] == pytest.approx(0.5, abs=0.01)
    best = np.maximum(*(brought(BINARY, target, replace(answer, decided=np.full(400, c))) for c in (0, 1)))
    assert found["perfect"] == pytest.approx(best.mean())


def test_the_least_clear_rows_are_reviewed_first(random):
    target, answer = binary(random, rows=4000)
    found = outcomes(BINARY, target, answer)["reviewed"]
    gained = found["money"][4] - found["money"][0]
    mixed = random.permutation(4000)[: round(4000 * found["shares"][4])]
    best = np.maximum(*(brought(BINARY, target, replace(answer, decided=np.full(4000, c))) for c in (0, 1)))
    by_chance = (best - brought(BINARY, target, answer))[mixed].sum() / 4000
    assert gained > 2 * by_chance


@pytest.mark.parametrize("classes", [3, 40])
def test_several_classes_are_told_as_a_table_or_as_its_cells(random, classes):
    task = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=tuple(map(str, range(classes))))
    target = random.integers(0, classes, 500)
    scores = random.dirichlet(np.ones(classes), 500)
    answer = answer_of(task, scores)
    found = outcomes(task, target, answer)
    table = np.zeros((classes, classes))
    if classes == 3:
        table = np.array(found["confusion"])
    else:
        for true, decided, share in found["cells"]:
            table[true, decided] = share
    by_hand = np.zeros((classes, classes))
    np.add.at(by_hand, (target, answer.decided), 1 / 500)
    assert table == pytest.approx(by_hand)
    assert "perfect" not in found


def test_money_at_every_shift_is_found_again_from_the_means(random):
    target, predicted = random.normal(50, 9, 300), random.normal(50, 5, 300)
    weights = random.random(300) + 0.1
    found = outcomes(UNITS, target, Answer(predicted[:, None], predicted), weights)
    assert len(found["shifts"]) <= 101
    assert 0.0 in found["shifts"]
    for shift, (over, under) in zip(found["shifts"], found["rates"], strict=True):
        moved = Answer(predicted[:, None], predicted + shift)
        money = np.average(brought(UNITS, target, moved), weights=weights)
        assert -over - 4 * under == pytest.approx(money, rel=1e-6, abs=1e-6)
    assert [found["mean_over"], found["mean_under"]] == found["rates"][found["shifts"].index(0.0)]


def test_scores_that_are_all_alike_and_one_row_are_told_too():
    task = replace(BINARY, amounts=(), value=None, aim="accuracy")
    found = outcomes(task, np.array([1]), answer_of(task, np.array([[0.5, 0.5]])))
    assert found["thresholds"] == [0.0, 0.5, 1.000001]
    assert found["rates"] == [[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    assert "reviewed" not in found
