"""Rules that calibrate and that run members in turn: what they answer, what they refuse, and what they never call."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.bundle import apply_rule, load
from steelyard.bundle.front_ends.base import RowRefused
from steelyard.bundle.rules import answer_of
from steelyard.bundle.running import JoinedModel
from steelyard.bundle.scores import sureness, tempered
from steelyard.contracts import Answer, Problem, Task
from steelyard.errors import BundleRefused
from steelyard.testing.bundles import check_bundle, rows_for

BINARY = Task(problem=Problem.BINARY, target="y", aim="f1", classes=("a", "b"))
THREE = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=("a", "b", "c"))
PRICED = Task(
    problem=Problem.BINARY, target="y", aim="value", classes=("a", "b"), positive="b", value=((0.0, -1.0), (-5.0, 0.0))
)
NUMBERS = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
CASCADE = {"rule": "cascade", "measure": "margin", "at": 0.5}
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=9)


def binary(chances, task=BINARY):
    chances = np.asarray(chances, dtype=float)
    return answer_of(task, np.column_stack([1 - chances, chances]))


# ------------------------------------------------------------------------------------------------- calibration


@given(SCORES, st.floats(0.05, 20))
def test_a_temperature_keeps_decisions_and_the_order_of_rows(chances, at):
    before, after = binary(chances), apply_rule({"rule": "temperature", "at": at}, [binary(chances)], BINARY)
    assert np.allclose(after.scores.sum(axis=1), 1)
    clear = np.abs(before.scores[:, 1] - 0.5) > 1e-9
    assert (after.decided == before.decided)[clear].all()
    assert (np.diff(after.scores[np.argsort(before.scores[:, 1], kind="stable"), 1]) >= -1e-12).all()


def test_a_temperature_divides_log_odds():
    scores = np.array([[0.2, 0.5, 0.3]])
    cooled = tempered(scores, 0.5)
    assert cooled == pytest.approx(scores**2 / (scores**2).sum())
    assert tempered(scores, 1.0) == pytest.approx(scores)
    assert tempered(np.array([[0.0, 1.0]]), 1.0)[0, 0] == pytest.approx(1e-7)


def test_money_is_decided_by_the_calibrated_probability():
    rule = {"rule": "temperature", "at": 2.0}  # 0.05 becomes 0.19, beyond the sixth at which the price tips
    assert binary([0.05], PRICED).decided.tolist() == [0]
    assert apply_rule(rule, [binary([0.05], PRICED)], PRICED).decided.tolist() == [1]


def test_a_curve_is_read_off_between_and_beyond_its_corners():
    rule = {"rule": "isotonic", "curves": [{"from": [0.2, 0.4, 0.8], "to": [0.1, 0.1, 0.7]}]}
    answer = apply_rule(rule, [binary([0.0, 0.3, 0.6, 1.0])], BINARY)
    assert answer.scores[:, 1] == pytest.approx([0.1, 0.1, 0.4, 0.7])
    assert answer.decided.tolist() == [0, 0, 0, 1]


def test_curves_of_several_classes_are_scaled_to_a_sum_of_one():
    curve = {"from": [0.0, 1.0], "to": [0.2, 0.6]}
    answer = apply_rule({"rule": "isotonic", "curves": [curve] * 3}, [answer_of(THREE, np.eye(3))], THREE)
    assert answer.scores[0] == pytest.approx([0.6, 0.2, 0.2])
    assert np.allclose(answer.scores.sum(axis=1), 1)


# ----------------------------------------------------------------------------------------------------- cascade


@given(SCORES, st.floats(0, 1))
def test_a_cascade_takes_each_row_from_the_member_that_is_asked(chances, at):
    cheap, dear = binary(chances), binary(np.linspace(0.3, 0.7, len(chances)))
    answer = apply_rule({**CASCADE, "at": at}, [cheap, dear], BINARY)
    for row in range(len(chances)):
        whose = cheap if abs(cheap.scores[row, 1] - cheap.scores[row, 0]) >= at else dear
        assert answer.scores[row].tolist() == whose.scores[row].tolist()
        assert answer.decided[row] == whose.decided[row]


def test_sureness_goes_by_what_a_decision_is_worth_where_that_is_asked():
    scores = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]])
    assert sureness("margin", scores, THREE) == pytest.approx([0.5, 0.05])
    assert sureness("confidence", scores, THREE) == pytest.approx([0.7, 0.4])
    tipping = np.array([[5 / 6, 1 / 6], [1.0, 0.0], [0.0, 1.0]])
    assert sureness("worth", tipping, PRICED) == pytest.approx([0.0, 0.2, 1.0])


class Member:
    """A model that remembers what it was asked."""

    def __init__(self, chances):
        self.chances, self.asked, self.columns = np.asarray(chances, dtype=float), [], frozenset({"x"})

    def answer(self, columns):
        self.asked.append(columns["x"].tolist())
        return binary(self.chances[columns["x"]])

    def row(self, cells):
        self.asked.append(cells["x"])
        return binary(self.chances[[cells["x"]]])


def test_the_dear_member_runs_only_for_rows_on_which_the_cheap_one_is_unsure():
    cheap, dear = Member([0.99, 0.6, 0.01, 0.4]), Member([0.2, 0.3, 0.4, 0.1])
    joined = JoinedModel([cheap, dear], CASCADE, BINARY)
    answer = joined.answer({"x": np.arange(4), "unread": np.arange(4)})
    assert dear.asked == [[1, 3]]
    assert answer.scores[:, 1] == pytest.approx([0.99, 0.3, 0.01, 0.1])
    joined.answer({"x": np.array([0, 2])})
    assert dear.asked == [[1, 3]], "the dear member was called for rows that the cheap one is sure of"
    joined.answer({"x": np.array([3, 1])})
    assert dear.asked[1:] == [[3, 1]]


def test_one_row_wakes_the_dear_member_only_if_it_must():
    cheap, dear = Member([0.99, 0.6]), Member([0.2, 0.3])
    joined = JoinedModel([cheap, dear], CASCADE, BINARY)
    assert joined.row({"x": 0}).scores[0, 1] == 0.99
    assert dear.asked == []
    assert joined.row({"x": 1}).scores[0, 1] == 0.3
    assert dear.asked == [1]


def test_a_row_that_the_dear_member_refuses_is_named_by_its_place_among_all():
    class Picky(Member):
        def answer(self, columns):
            raise RowRefused(1, " has no finite score")

    joined = JoinedModel([Member([0.99, 0.6, 0.01, 0.4]), Picky([0.5] * 4)], CASCADE, BINARY)
    with pytest.raises(RowRefused, match=r"row 3 \(from 0\) has no finite score"):
        joined.answer({"x": np.arange(4)})


# ---------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("rule", "members", "task", "sentence"),
    [
        ({"rule": "temperature"}, 1, BINARY, "must have 'at' and nothing else"),
        ({"rule": "temperature", "at": 0}, 1, BINARY, r"temperature from 0.001 to 1000; got 0"),
        ({"rule": "temperature", "at": True}, 1, BINARY, "got True"),
        ({"rule": "temperature", "at": float("nan")}, 1, BINARY, "got nan"),
        ({"rule": "temperature", "at": 1.5}, 2, BINARY, "one member with probabilities; got 2"),
        ({"rule": "temperature", "at": 1.5}, 1, NUMBERS, "got 1 and regression"),
        ({"rule": "isotonic", "curves": []}, 1, BINARY, "one curve for each class, .* 1 here"),
        ({"rule": "isotonic", "curves": [{"from": [0, 1], "to": [0.1, 0.9]}]}, 1, THREE, "3 here"),
        ({"rule": "isotonic", "curves": [{"from": [0, 0], "to": [0.1, 0.9]}]}, 1, BINARY, "rising"),
        ({"rule": "isotonic", "curves": [{"from": [0, 1], "to": [0.9, 0.1]}]}, 1, BINARY, "never fall"),
        ({"rule": "isotonic", "curves": [{"from": [0, 1], "to": [0.0, 0.1]}]}, 1, BINARY, "above 0 and below 1"),
        ({"rule": "isotonic", "curves": [{"from": [0, 2], "to": [0.1, 0.2]}]}, 1, BINARY, "from 0 to 1 at most"),
        ({"rule": "isotonic", "curves": [{"from": [0, 1], "to": [0.1]}]}, 1, BINARY, "as many"),
        ({"rule": "isotonic", "curves": [{"from": [], "to": []}]}, 1, BINARY, "curves of"),
        ({"rule": "isotonic", "curves": [{"from": ["0"], "to": [0.1]}]}, 1, BINARY, "curves of"),
        ({"rule": "isotonic", "curves": [3]}, 1, BINARY, "curves of"),
        ({"rule": "isotonic", "curves": 3}, 1, BINARY, "one curve"),
        (CASCADE, 1, BINARY, "2 members with probabilities; got 1 and binary"),
        (CASCADE, 3, BINARY, "got 3 and binary"),
        (CASCADE, 2, NUMBERS, "got 2 and regression"),
        ({**CASCADE, "measure": "mood"}, 2, BINARY, "margin, confidence, worth, regret; got 'mood'"),
        ({**CASCADE, "measure": "worth"}, 2, BINARY, "what decisions are worth"),
        ({**CASCADE, "at": 1.5}, 2, BINARY, "from 0 to 1 to compare with; got 1.5"),
        ({**CASCADE, "at": None}, 2, BINARY, "got None"),
        ({**CASCADE, "why": ""}, 2, BINARY, "'measure' and 'at' and nothing else"),
        ({**CASCADE, "escalated": 0.3}, 2, BINARY, "needs share, low, high, rows as 'escalated'; got 0.3"),
        ({**CASCADE, "promise": {"metric": "f1"}}, 2, BINARY, "needs metric, lost_at_most, confidence as 'promise'"),
        ({**CASCADE, "promise": {"metric": 1, "lost_at_most": 1, "confidence": 1}}, 2, BINARY, "as 'promise'"),
    ],
)
def test_a_rule_out_of_shape_is_refused_in_a_sentence(rule, members, task, sentence):
    scores = np.full((1, task.width), 1 / task.width)
    with pytest.raises(BundleRefused, match=sentence):
        apply_rule(rule, [Answer(scores, np.zeros(1, np.int64))] * members, task)


# ----------------------------------------------------------------------------------------------------- bundles

SAID = {
    **CASCADE,
    "at": 0.2,
    "escalated": {"share": 0.25, "low": 0.2, "high": 0.3, "rows": 400},
    "promise": {"metric": "roc_auc", "lost_at_most": 0.01, "confidence": 0.95},
}


@pytest.fixture(scope="module")
def nested(make, ready, tmp_path_factory):
    """A threshold on a calibrated cascade of one model and of a blend."""
    home = tmp_path_factory.mktemp("nested")
    cascade = make.joined(home / "cascade", SAID, ready["numbers"], ready["blend"])
    curve = {"from": [0.1, 0.5, 0.9], "to": [0.2, 0.5, 0.7]}
    isotonic = make.joined(home / "isotonic", {"rule": "isotonic", "curves": [curve]}, cascade)
    warm = make.joined(home / "warm", {"rule": "temperature", "at": 1.7}, isotonic)
    return {
        "cascade": cascade,
        "isotonic": isotonic,
        "whole": make.joined(home / "whole", {"rule": "threshold", "positive": 1, "at": 0.4}, warm),
    }


@pytest.mark.parametrize("name", ["cascade", "isotonic", "whole"])
def test_nested_bundles_keep_what_every_bundle_keeps(nested, name):
    check_bundle(nested[name])


def test_a_cascade_bundle_answers_as_its_members_do_at_hand(nested, ready):
    bundle, rows = load(nested["cascade"]), rows_for(load(ready["mixed"]).schema, 200)
    members = [load(ready[name]).answer_rows(rows) for name in ("numbers", "blend")]
    expected = apply_rule(SAID, members, bundle.task)
    answer = bundle.answer_rows(rows)
    assert answer.scores == pytest.approx(expected.scores, abs=1e-6)
    used = np.isclose(answer.scores, members[0].scores).all(axis=1)
    assert 0 < used.sum() < len(rows), "these rows do not tell the members apart"


def test_the_card_says_who_answers_when_and_what_is_promised(nested):
    card = (nested["cascade"] / "card.md").read_text()
    assert "the first answers where its margin is 0.2 or more, the second elsewhere" in card
    assert "for 25.0% of the rows seen, 20.0% to 30.0%" in card
    assert "loses at most 0.01 in roc_auc, with 95% confidence" in card
    assert "`yes` from a probability of 0.4" in (nested["whole"] / "card.md").read_text()
