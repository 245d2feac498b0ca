"""Money: what decisions bring, by a plain loop over the rows."""

import numpy as np
import pytest

from steelyard.contracts import Amount, Answer, Problem, Task
from steelyard.measure import AnswerUnfit, paired, quality
from steelyard.tasks import metric
from steelyard.tasks.money import brought, per_unit, widest

MATRIX = ((1.0, -2.0, 0.0), (0.5, 4.0, -1.0), (-3.0, 0.0, 2.0))
SHARES = ((0.1, 0.0, -0.2), (0.0, 0.3, 0.0), (-0.6, 0.0, 0.05))
STAKED = Task(
    problem=Problem.MULTICLASS,
    target="y",
    aim="value",
    classes=("a", "b", "c"),
    value=MATRIX,
    currency="EUR",
    amounts=(Amount("loan", SHARES, means=(5.0, 6.0, 7.0), high=90.0),),
)
UNITS = Task(problem=Problem.REGRESSION, target="sold", aim="value", value=((-1.0, -4.0),), currency="EUR")


def made(random, rows=50):
    scores = random.dirichlet(np.ones(3), rows)
    target, decided = random.integers(0, 3, rows), random.integers(0, 3, rows)
    return target, Answer(scores, decided, amounts=random.lognormal(2, 1, (rows, 1)))


def test_a_decision_brings_its_amount_and_its_share_of_the_row():
    target, answer = made(np.random.default_rng(0))
    by_hand = [
        MATRIX[t][d] + SHARES[t][d] * a for t, d, a in zip(target, answer.decided, answer.amounts[:, 0], strict=True)
    ]
    assert brought(STAKED, target, answer).tolist() == pytest.approx(by_hand)
    assert metric("value").measure(STAKED, target, answer) == pytest.approx(1000 * np.mean(by_hand))
    assert metric("value").unit_for(STAKED) == "EUR per 1,000 decisions"


def test_errors_of_numbers_cost_by_the_unit_and_by_the_side():
    target, predicted = np.array([10.0, 10.0, 10.0]), np.array([12.0, 9.5, 10.0])
    answer = Answer(predicted[:, None], predicted)
    assert brought(UNITS, target, answer).tolist() == [-2.0, -2.0, 0.0]
    assert metric("value", UNITS).measure(UNITS, target, answer) == pytest.approx(-4000 / 3)
    staked = Task(
        problem=Problem.REGRESSION,
        target="sold",
        aim="value",
        value=((-1.0, 0.0),),
        amounts=(Amount("price", ((0.0, -0.5),), means=(1.0,)),),
    )
    prices = np.array([[2.0], [4.0], [6.0]])
    assert brought(staked, target, Answer(predicted[:, None], predicted, amounts=prices)).tolist() == [-2.0, -1.0, 0.0]
    assert [part.tolist() for part in per_unit(staked, 3, prices)] == [[-1.0] * 3, [-1.0, -2.0, -3.0]]


def test_all_resamples_at_once_are_what_each_is_alone():
    random = np.random.default_rng(1)
    target, answer = made(random)
    counts = random.integers(0, 4, (20, 50)).astype(float)
    found = metric("value").resample(STAKED, target, answer, counts)
    for row, figure in zip(counts, found, strict=True):
        seen = np.repeat(np.arange(50), row.astype(int))
        assert figure == pytest.approx(metric("value").measure(STAKED, target[seen], answer.take(seen)))


def test_money_that_is_not_given_is_not_taken_for_nothing():
    target, answer = made(np.random.default_rng(2))
    bare = Answer(answer.scores, answer.decided)
    with pytest.raises(AnswerUnfit, match="the money at stake in 'loan' is not given; add the column"):
        quality(STAKED, target, bare)
    lost = answer.amounts.copy()
    lost[3] = np.nan
    with pytest.raises(AnswerUnfit, match="no number of 0 or more in 1 of 50 rows"):
        quality(STAKED, target, Answer(answer.scores, answer.decided, amounts=lost))
    with pytest.raises(AnswerUnfit, match=r"amounts must have shape \(50, 1\)"):
        paired("value", STAKED, target, answer, Answer(answer.scores, answer.decided, amounts=np.ones((50, 2))))


def test_the_widest_distance_is_that_of_the_largest_amount():
    by_hand = max(
        max(m + s * a for m, s in zip(row, shares, strict=True))
        - min(m + s * a for m, s in zip(row, shares, strict=True))
        for row, shares in zip(MATRIX, SHARES, strict=True)
        for a in (0.0, 90.0)
    )
    assert widest(STAKED) == pytest.approx(by_hand)
