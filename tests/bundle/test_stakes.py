"""Decisions by expected money where the amount at stake is a column of the row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.bundle.rules import answer_of, apply_rule, check_rule
from steelyard.bundle.scores import regret, sureness, worth_of
from steelyard.bundle.stakes import Stakes
from steelyard.contracts import Amount, Answer, Column, Kind, Problem, Schema, Task
from steelyard.errors import BundleRefused, RowsRefused

LOSS = ((0.0, 0.0), (-1.0, 0.0))
LATER = Task(
    problem=Problem.BINARY,
    target="bad",
    aim="value",
    classes=("no", "yes"),
    positive="yes",
    value=((3.0, 0.0), (0.0, 0.0)),
    amounts=(Amount("loan", LOSS, means=(20.0, 30.0), high=100.0),),
)
KNOWN = Task(
    **{**{f: getattr(LATER, f) for f in LATER.__slots__}, "amounts": (Amount("loan", LOSS, True, (20.0, 30.0), 100.0),)}
)
SCHEMA = Schema((Column(name="x", kind=Kind.NUMBER), Column(name="loan", kind=Kind.NUMBER)))


def scores(chances):
    chances = np.asarray(chances, dtype=float)
    return np.column_stack([1 - chances, chances])


def test_an_amount_that_is_known_decides_row_by_row_and_another_by_the_mean_of_its_class():
    staked = np.array([[1.0], [100.0]])
    assert answer_of(KNOWN, scores([0.1, 0.1]), staked).decided.tolist() == [0, 1]
    assert answer_of(LATER, scores([0.05, 0.2]), staked).decided.tolist() == [0, 1]
    by_mean = 0.9 * 3 - 0.1 * 30
    assert worth_of(LATER, scores([0.1]), np.array([[1.0]]))[0] == pytest.approx([by_mean, 0.0])
    assert worth_of(KNOWN, scores([0.1]))[0] == pytest.approx([by_mean, 0.0])


@given(st.floats(0, 1), st.floats(0, 1e4))
def test_a_decision_is_the_one_of_most_expected_money(chance, loan):
    worth = [(1 - chance) * 3 - chance * loan, 0.0]
    decided = answer_of(KNOWN, scores([chance]), np.array([[loan]])).decided[0]
    assert worth[decided] >= max(worth) - 1e-9


@pytest.mark.parametrize(
    "rule",
    [
        {"rule": "blend", "weights": [1]},
        {"rule": "temperature", "at": 1.0},
        {"rule": "isotonic", "curves": [{"from": [0.0, 1.0], "to": [0.01, 0.99]}]},
        {"rule": "odds", "positive": 1, "times": 1.0},
    ],
)
def test_every_rule_carries_the_money_on(rule):
    given_ = answer_of(KNOWN, scores([0.1, 0.1]), np.array([[1.0], [100.0]]))
    answer = apply_rule(rule, [given_], KNOWN)
    assert answer.decided.tolist() == [0, 1]
    assert answer.amounts.tolist() == [[1.0], [100.0]]


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0, 500)), min_size=1, max_size=20), st.floats(0.01, 100))
def test_odds_that_count_more_never_turn_a_row_away_from_the_positive_class(rows, times):
    given_ = answer_of(KNOWN, scores([p for p, _ in rows]), np.array([[a] for _, a in rows]))
    less, more = (
        apply_rule({"rule": "odds", "positive": 1, "times": t}, [given_], KNOWN).decided for t in (times, 2 * times)
    )
    assert (more >= less).all()


def test_a_line_moves_numbers_and_keeps_what_the_model_said():
    task = Task(problem=Problem.REGRESSION, target="y", aim="value", value=((-1.0, -2.0),))
    answer = apply_rule({"rule": "line", "plus": 2.0, "times": 1.5}, [answer_of(task, np.array([[2.0]]))], task)
    assert answer.decided.tolist() == [5.0]
    assert answer.scores.tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("rule", "task", "said"),
    [
        ({"rule": "odds", "positive": 1, "times": -1}, KNOWN, "needs a factor of 0 or more"),
        ({"rule": "odds", "positive": 2, "times": 1}, KNOWN, "needs the code of the positive class"),
        ({"rule": "odds", "positive": 1}, KNOWN, "must have 'rule' and 'positive' and 'times'|must have"),
        ({"rule": "line", "plus": 0, "times": 1}, KNOWN, "is for one member that predicts a number"),
        (
            {"rule": "threshold", "positive": 1, "at": 0.5, "chosen": {"low": 0}},
            KNOWN,
            "needs low, high, rows as chosen",
        ),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(rule, task, said):
    with pytest.raises(BundleRefused, match=said):
        check_rule(rule, 1, task)


@pytest.mark.parametrize(("loan", "said"), [(float("nan"), "has nothing in 'loan'"), (-5.0, "has -5 in 'loan'")])
def test_a_row_whose_money_is_not_known_is_refused_by_its_place(loan, said):
    read = Stakes(KNOWN, SCHEMA)
    assert read.columns == {"loan"}
    with pytest.raises(RowsRefused, match=rf"row 1 \(from 0\) {said}, the money at stake"):
        read({"loan": np.array([3.0, loan])})
    with pytest.raises(RowsRefused, match=said):
        read.row({"loan": loan, "x": 1.0})


def test_a_bundle_whose_money_is_no_number_is_refused_and_one_without_reads_nothing():
    with pytest.raises(BundleRefused, match="amount in 'loan', which is no column of numbers"):
        Stakes(KNOWN, Schema((Column(name="loan", kind=Kind.CATEGORY),)))
    assert Stakes(LATER, Schema(()))({}) is None


def test_sureness_in_money_is_a_share_of_the_widest_and_never_more_than_one():
    staked = np.array([[100.0], [1e6]])
    found = sureness("worth", scores([0.5, 0.9]), KNOWN, staked)
    assert found[0] == pytest.approx((0.5 * 100 - 0.5 * 3) / 100)
    assert found[1] == 1.0


@given(st.floats(0, 1), st.floats(0, 1e3))
def test_regret_is_what_knowing_the_class_is_worth(chance, loan):
    answer = answer_of(KNOWN, scores([chance]), np.array([[loan]]))
    known = (1 - chance) * 3 + chance * 0.0
    taken = [(1 - chance) * 3 - chance * loan, 0.0][answer.decided[0]]
    assert regret(KNOWN, answer)[0] == pytest.approx(known - taken, abs=1e-6)
    assert (
        regret(KNOWN, Answer(answer.scores, 1 - answer.decided, amounts=answer.amounts))[0]
        >= regret(KNOWN, answer)[0] - 1e-9
    )
