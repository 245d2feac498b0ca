"""What outcomes are worth, as a spec says it: every way of speaking, and what each wrong word is told."""

import pytest

from steelyard.errors import SpecInvalid
from steelyard.spec import Share, Spec, Value, parse
from steelyard.units import Money

LEAST = "data: credit.csv\ntarget: class\n"


def told(lines):
    with pytest.raises(SpecInvalid) as caught:
        parse(LEAST + lines)
    return str(caught.value)


@pytest.mark.parametrize(
    "lines",
    [
        "value: {matrix: {good: {good: 100 EUR, bad: -500 EUR}, bad: {good: 0, bad: 0}}}",
        "value: {cost: {good: {bad: 1 EUR}, bad: {good: {column: amount, times: 0.6}}}}",
        "value: {false_negative: {column: amount, times: -0.6, plus: -5 EUR}, known: [amount]}",
        "value: {over: -1 EUR, under: {column: price, times: -0.3}}",
        "value: {right: {column: amount}, wrong: -3, currency: USD, review: -2 USD}",
    ],
)
def test_every_way_of_speaking_is_read_and_written_back_the_same(lines):
    spec = parse(LEAST + lines)
    assert parse(spec.to_yaml()).value == spec.value
    assert list(spec.value.worths())


def test_a_share_keeps_its_column_its_factor_and_the_amount_beside_it():
    value = parse(LEAST + "value: {true_positive: {column: 2020, times: 1.8, plus: -20 EUR}}").value
    assert value.true_positive == Share("2020", 1.8, Money.parse("-20 EUR"))
    assert value.columns() == {"2020": ("true_positive", "column")}
    assert value.money_in() == "EUR"


def test_nothing_is_nothing_in_any_currency():
    assert parse(LEAST + "value: {right: 0, wrong: -5 EUR}").value.money_in() == "EUR"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            "value: {right: {column: a, tiems: 2}}",
            "has no 'tiems' (did you mean 'times'?); write it as {column: amount",
        ),
        (
            "value: {right: {column: a, times: lots}}",
            "the times of column 'a' must be a number, such as -0.6; got 'lots'",
        ),
        ("value: {right: {column: a, times: .inf}}", "the times of column 'a' must be a number"),
        ("value: {right: {times: 2}}", "must name it, such as {column: amount, times: -0.6}"),
        ("value: {right: {column: a, plus: much}}", "plus must be an amount of money, such as 5 USD; got 'much'"),
        (
            "value: {right: much}",
            "value.right (line 3): must be an amount of money, such as 5 USD (negative: a loss), or a",
        ),
        ("value: {right: -0.6 * amount}", "or a share of a column, such as {column: amount, times: -0.6}"),
        ("value: {right: 1e400}", "must be an amount of money"),
        ("value: {matrix: {a: {b: lots}}}", "value.matrix.a.b (line 3): must be an amount of money"),
        ("value: {matrix: {a: 5 USD}}", "value.matrix.a (line 3): must be"),
        ("value: {matrix: {}}", "names no outcome"),
        ("value: {matrix: {a: {b: 1}}, right: 1}", "mixes matrix with right and wrong"),
        ("value: {cost: {a: {b: 1}}, over: -1, under: -1}", "mixes over, under with a matrix of costs"),
        ("value: {over: -1}", "has over without under: one way to err would be free; give both"),
        ("value: {over: 2, under: -1}", "value.over (line 3): must be a loss"),
        ("value: {over: {column: a, times: 2}, under: -1}", "value.over (line 3): must be a loss"),
        ("value: {over: 0, under: -1}", "has over or under at 0: no prediction would be best"),
        ("value: {right: 1, review: 2 USD}", "value.review (line 3): must be a loss"),
        (
            "value: {right: 1 EUR, wrong: -1 USD}",
            "is in USD, and value.right in EUR; write all amounts in one currency",
        ),
        ("value: {right: {column: a, plus: 1 EUR}, wrong: -1 USD}", "write all amounts in one currency"),
        ("value: {right: 1 EUR, currency: USD}", "value.right (line 3): is in EUR, and value.currency is USD"),
        ("value: {right: 1, currency: dollars}", "value.currency (line 3): must be"),
        ("value: {right: {column: amount}, known: [amonut]}", "no outcome is a share of column 'amonut' (did you mean"),
        ("value: {right: {column: class}}", "names 'class', which is the target"),
        (
            "columns: {ignore: [amount]}\nvalue: {right: {column: amount}, known: [amount]}",
            "is listed under columns.ignore too",
        ),
        ("task: classification\nvalue: {over: -1, under: -1}", "speaks of units of error, and this is classification"),
        ("task: regression\nvalue: {true_positive: 1}", "give over and under: what a unit too much, too little costs"),
        ("task: regression\nvalue: {over: -1, under: -1, review: -1}", "value.review (line 4): speaks of classes"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence_with_the_way_out(lines, sentence):
    assert sentence in told(lines)


def test_a_value_made_in_python_goes_through_the_same_checks():
    value = Value(false_negative=Share("amount", -0.6), true_positive="5 USD")
    assert Spec(data="a.csv", target="y", value=value).value.columns() == {"amount": ("false_negative", "column")}
    with pytest.raises(SpecInvalid, match="share of a column"):
        Value(right={"colunm": "a"})
