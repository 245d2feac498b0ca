"""How many labels to buy: as many as leave most, at most a doubling, and none that do not pay."""

import numpy as np
import pytest

from steelyard.advise import Curve, Yard
from steelyard.advise.labels import amounts, label_action
from steelyard.money import Price
from steelyard.search.spending import Free, OverHorizon
from steelyard.units import Money

ROWS = np.array([125, 250, 500, 1000, 2000])
CURVE = Curve.of(ROWS, 0.95 - 3.0 * ROWS.astype(float) ** -0.5, top=1.0)
MONEY = Yard(worth=OverHorizon(0.0, "USD", 1e7), aim="accuracy", way=0.5, decisions=1e7)


def price(text):
    return Price(Money.parse(text), "label", "a test")


def test_the_amount_that_leaves_most_is_offered():
    offered = [label_action(CURVE, 2000, MONEY, price("0.05 USD"), offered=(count,)) for count in amounts(2000)]
    best = label_action(CURVE, 2000, MONEY, price("0.05 USD"))
    assert MONEY.net(best) == max(MONEY.net(one) for one in offered)
    assert MONEY.net(best) > 0


def test_dear_labels_do_not_pay_and_cheap_ones_are_bought_up_to_a_doubling():
    assert MONEY.net(label_action(CURVE, 2000, MONEY, price("5 USD"))) < 0
    assert label_action(CURVE, 2000, MONEY, price("0.0001 USD")).name == "buy 2,000 labels"


def test_the_break_even_price_is_that_at_which_nothing_is_left():
    unknown = label_action(CURVE, 2000, MONEY, None)
    assert unknown.cost is None
    assert unknown.name == "buy 1,000 labels"
    even = unknown.break_even.value
    at = label_action(CURVE, 2000, MONEY, price(f"{even:.9f} USD"), offered=(1000,))
    assert MONEY.net(at) == pytest.approx(0.0, abs=1e-3 * at.cost.value)


def test_without_values_the_gain_is_in_the_metric():
    plain = Yard(worth=Free(0.0, "USD"), aim="accuracy", way=0.5)
    offer = label_action(CURVE, 2000, plain, price("0.05 USD"))
    assert offer.gain.unit == "accuracy"
    assert offer.cost.value == pytest.approx(50.0)
    assert offer.break_even is None
    assert 0 < offer.gain.low < offer.gain.value < offer.gain.high


def test_few_rows_are_offered_a_few_labels():
    assert amounts(10) == (50, 100)
    assert max(amounts(30_000)) == 20_000
