"""From what a spec says of value to the task: matrices, columns of amounts, and what is refused."""

import numpy as np
import pytest

from steelyard.contracts import Kind, Problem
from steelyard.data import inspect, load, store
from steelyard.errors import DataUnfit, SpecInvalid

LOST = {"matrix": {"yes": {"no": {"column": "money", "times": -0.5, "plus": "-1 USD"}}, "no": {"no": "2 USD"}}}


@pytest.fixture
def staked(table):
    money = np.round(np.random.default_rng(3).lognormal(3, 1, 120), 2)
    return table(money=money.tolist()), money


def test_a_matrix_is_laid_out_by_the_order_of_the_classes_and_costs_turn_its_sign(table, spec):
    cost = {"yes": {"no": "5 USD"}, "no": {"yes": "1 USD", "no": "-2 USD"}}
    found = load(spec(table(), value={"cost": cost})).task
    assert found.classes == ("no", "yes")
    assert found.value == ((2.0, -1.0), (-5.0, 0.0))
    assert found.aim == "value"


def test_amounts_stand_beside_the_rows_and_are_no_feature(staked, spec, tmp_path):
    data, money = staked
    found = load(spec(data, value=LOST))
    (amount,) = found.task.amounts
    assert found.task.value == ((2.0, 0.0), (-1.0, 0.0))
    assert amount.times == ((0.0, 0.0), (-0.5, 0.0))
    assert not amount.known
    assert "money" not in {column.name for column in found.schema.columns}
    assert found.rows.amounts[:, 0].tolist() == money[found.rows.rows].tolist()
    store.save(found, tmp_path)
    again = store.read(tmp_path)
    assert again.task == found.task
    assert again.rows.amounts.tolist() == found.rows.amounts.tolist()
    assert found.rows.take(np.array([3, 1])).amounts.tolist() == found.rows.amounts[[3, 1]].tolist()


def test_means_by_class_and_the_largest_amount_are_those_of_the_rows_that_are_not_test(staked, spec):
    found = load(spec(staked[0], value=LOST))
    rows = found.rows.take(found.partition.development)
    (amount,) = found.task.amounts
    expected = [rows.amounts[rows.target == code, 0].mean() for code in (0, 1)]
    assert amount.means == pytest.approx(expected)
    assert amount.high == rows.amounts.max()
    assert amount.means[0] != amount.means[1]


def test_an_amount_that_is_known_is_a_column_like_any_other(staked, spec):
    found = load(spec(staked[0], value={**LOST, "known": ["money"]}))
    assert found.task.amounts[0].known
    assert {c.name: c.kind for c in found.schema.columns}["money"] is Kind.NUMBER
    assert found.rows.columns["money"].tolist() == found.rows.amounts[:, 0].tolist()


def test_other_money_at_stake_is_other_data(staked, spec):
    data, money = staked
    plain = load(spec(data, value=LOST)).fingerprint
    assert load(spec({**data, "money": (money + 1).tolist()}, value=LOST)).fingerprint != plain


def test_amounts_may_be_written_as_people_write_them(table, spec):
    written = [f"{1000 + i:,}.50 EUR".replace(",", "_").replace(".", ",").replace("_", ".") for i in range(120)]
    found = load(spec(table(money=written), value=LOST))
    assert found.rows.amounts[:, 0].tolist() == [1000.5 + i for i in range(120)]


@pytest.mark.parametrize(
    ("cell", "said"),
    [(None, "holds nothing in row 7"), ("", "holds nothing"), ("much", "holds 'much'"), ("-3", "holds '-3'")],
)
def test_an_amount_that_is_none_stops_with_its_row(table, spec, cell, said):
    money = [str(20 + i) for i in range(120)]
    money[7] = cell
    with pytest.raises(DataUnfit) as caught:
        load(spec(table(money=money), value=LOST))
    assert said in str(caught.value)
    assert "the money at stake must be a number of 0 or more in every row" in str(caught.value)
    assert "1 such rows" in str(caught.value)


def test_a_column_of_words_is_no_amount(table, spec):
    with pytest.raises(DataUnfit, match=r"column 'city' holds '.*' in row 0"):
        load(spec(table(), value={"right": {"column": "city"}}))


def test_a_column_that_is_not_there_is_named_with_the_nearest(staked, spec):
    value = {"right": {"column": "monye", "times": 0.1}}
    with pytest.raises(DataUnfit, match=r"value.right.column: the data has no column 'monye'.*did you mean 'money'"):
        load(spec(staked[0], value=value))


def test_a_known_amount_that_no_decision_can_read_is_refused(table, spec):
    value = {"right": {"column": "fee", "times": 0.1}, "known": ["fee"]}
    with pytest.raises(DataUnfit, match="column 'fee' is the same in every row; write the amount itself"):
        load(spec(table(fee=[5.0] * 120), value=value))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            {"matrix": {"yse": {"no": 1}}},
            "value.matrix.yse: the target has no class 'yse' (did you mean 'yes'?); it has",
        ),
        ({"cost": {"yes": {"nope": 1}}}, "value.cost.yes.nope: the target has no class 'nope' (did you mean 'no'?)"),
        ({"over": -1, "under": -1}, "value.over: is per unit of a predicted number, and the target has classes"),
    ],
)
def test_a_value_of_what_is_not_there_is_refused(table, spec, value, sentence):
    with pytest.raises(SpecInvalid) as caught:
        load(spec(table(), value=value))
    assert sentence in str(caught.value)


def test_every_class_that_does_not_exist_is_named_at_once(table, spec):
    with pytest.raises(SpecInvalid) as caught:
        load(spec(table(), value={"matrix": {"a": {"no": 1}, "yes": {"b": 1}}}))
    assert str(caught.value).count("the target has no class") == 2


def test_numbers_are_worth_so_much_a_unit(table, spec):
    value = {"over": "-1 USD", "under": {"column": "age", "times": -0.1}}
    data = {**table(), "y": np.linspace(0.5, 99.5, 120).tolist()}
    found = inspect(spec(data, value=value)).dataset
    assert found.task.problem is Problem.REGRESSION
    assert found.task.value == ((-1.0, 0.0),)
    assert found.task.amounts[0].times == ((0.0, -0.1),)
    assert len(found.task.amounts[0].means) == 1
    with pytest.raises(SpecInvalid, match="the target is a number, and over is not given"):
        load(spec(data, value={"right": 1}))
