"""What to do next: cheap steps that matter first, and nothing that is not expected to return its price."""

import json
import math
from dataclasses import replace

import pytest

from steelyard.advise import Action, Kind, Yard, choose, describe, in_order
from steelyard.advise.actions import stop_sentence
from steelyard.advise.advice import Advice
from steelyard.search.spending import Free, OverHorizon
from steelyard.units import Estimate, How

MONEY = Yard(worth=OverHorizon(0.001, "USD", 1_000_000.0), aim="USD per 1,000 decisions", way=10.0, decisions=1e6)
PLAIN = Yard(worth=Free(0.001, "USD"), aim="roc_auc", way=0.5)


def action(name, gain, cost, unit="USD over the horizon", **more):
    half = abs(gain) / 2
    price = None if cost is None else Estimate(cost, cost / 2, cost * 2, How.ESTIMATED, "USD", "given")
    fixed = {"kind": Kind.LEVER, "evidence": "a test", **more}
    return Action(name=name, gain=Estimate(gain, gain - half, gain + half, unit=unit), cost=price, **fixed)


def chosen(yard, *actions):
    place = choose(actions, yard)
    return None if place is None else actions[place].name


def test_the_highest_return_per_dollar_goes_first():
    assert chosen(MONEY, action("dear", 100, 50), action("cheap", 60, 1)) == "cheap"


def test_a_trifle_does_not_go_before_what_matters():
    assert chosen(MONEY, action("dear", 1000, 50), action("trifle", 5, 0.001)) == "dear"


def test_what_does_not_return_its_price_is_not_done():
    offers = action("labels", 10, 20), action("more", -1, 0.1)
    assert chosen(MONEY, *offers) is None
    sentence = stop_sentence(offers, MONEY)
    assert sentence.startswith("Stop: nothing left is expected to return its price.")
    assert "more: expected" in sentence


def test_an_unknown_cost_is_never_next_but_its_break_even_price_is_told():
    even = Estimate(0.12, 0.05, 0.3, How.ESTIMATED, "USD per label")
    labels = action("buy 1,000 labels", 120, None, break_even=even, per="label")
    assert chosen(MONEY, labels) is None
    assert labels.per_dollar is None
    assert "worth it below 0.12 USD a label" in labels.sentence
    assert "Buy 1,000 labels would pay below 0.12 USD a label." in stop_sentence((labels,), MONEY)


def test_without_values_gains_are_of_the_metric_and_a_hair_is_nothing():
    hair, much = (action(str(gain), gain, 1.0, unit="roc_auc") for gain in (0.00005, 0.01))
    assert chosen(PLAIN, hair) is None
    assert chosen(PLAIN, hair, much) == "0.01"
    assert "better roc_auc by 0.010" in much.sentence
    assert PLAIN.break_even(much.gain, 10, "label") is None


def test_what_costs_nothing_comes_first_and_is_plain_json():
    free = action("relax", 50, 0.0)
    assert math.isinf(free.per_dollar.value)
    assert chosen(MONEY, action("dear", 60, 10), free) == "relax"
    assert json.loads(json.dumps(free.to_json(), allow_nan=False))["per_dollar"]["value"] is None


def test_the_interval_of_a_ratio_holds_the_ratio():
    for gain in (100.0, -100.0):
        rate = action("a", gain, 10).per_dollar
        assert rate.low <= rate.value <= rate.high
        assert rate.value == pytest.approx(gain / 10)


def test_a_gain_that_is_no_number_is_never_chosen():
    assert chosen(MONEY, action("odd", math.nan, 1.0)) is None


def test_gains_become_money_over_the_horizon():
    gain = MONEY.gain(2.0, 1.0, 4.0, "a test")
    assert (gain.value, gain.low, gain.high) == (2000.0, 1000.0, 4000.0)
    assert gain.unit == "USD over the horizon"
    assert MONEY.break_even(gain, 1000, "label").value == pytest.approx(2.0)
    assert MONEY.priced
    assert not PLAIN.priced


def test_what_pays_is_listed_first_by_its_rate():
    listed = in_order([action("bad", 1, 5), action("unknown", 9, None), action("b", 9, 3), action("a", 9, 1)], MONEY)
    assert [one.name for one in listed] == ["a", "b", "bad", "unknown"]


def test_what_next_to_nothing_is_expected_of_is_only_named():
    actions = tuple(action(name, gain, 1.0) for name, gain in (("tune", 40.0), ("train mlp", 1e-9), ("prune", 0.0)))
    advice = Advice(
        currency="USD", priced=True, actions=actions, next=0, stop=None, curve=None, seconds=0.0, money=0.0, notes=()
    )
    text = describe(advice)
    assert "Next to nothing is expected of these: train mlp, prune." in text
    assert text.count("expected to bring") == 2  # the line of tune, and the last one
    only = describe(replace(advice, actions=actions[1:2]))
    assert "-> train mlp: expected to bring" in only
