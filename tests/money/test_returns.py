"""Returns: textbook arithmetic, held against sums that are written out month by month."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from steelyard.money.assumptions import band, draw
from steelyard.money.returns import Band, Flows, annuity, break_even, monthly, recurring, tornado
from steelyard.spec import Spread

few = settings(max_examples=40)
money = some.floats(0, 1e5)
cases = some.builds(
    Flows,
    months=some.one_of(some.integers(1, 40).map(float), some.floats(0.1, 40)),
    rate=some.floats(0, 2),
    upfront=money,
    value=money,
    serving=money,
    upkeep=money,
    labels=money,
    retraining=money,
    every=some.one_of(some.just(math.inf), some.floats(0.5, 30)),
)


@few
@given(cases)
def test_npv_is_the_sum_of_the_discounted_months(flows):
    assert float(flows.npv) == pytest.approx(sum(row["discounted"] for row in monthly(flows)), rel=1e-8, abs=1e-3)


@few
@given(cases)
def test_without_interest_npv_is_what_is_left_in_the_end(flows):
    plain = Flows(**{name: getattr(flows, name) for name in flows.__slots__ if name != "rate"})
    assert float(plain.npv) == pytest.approx(monthly(plain)[-1]["cumulative"], rel=1e-9, abs=1e-4)


@few
@given(cases, cases)
def test_npv_is_additive(first, second):
    names = ("upfront", "value", "serving", "upkeep", "labels", "retraining")
    common = {"months": first.months, "rate": first.rate, "every": first.every}
    other = Flows(**common, **{name: getattr(second, name) for name in names})
    both = Flows(**common, **{name: getattr(first, name) + getattr(second, name) for name in names})
    assert float(both.npv) == pytest.approx(float(first.npv) + float(other.npv), rel=1e-9, abs=1e-3)


def test_npv_is_that_of_the_textbook():
    """100 today, 10 at the end of each of 24 months, 12% a year effective: by hand 10 * (1 - 1.12**-2) / 0.00948879."""
    flows = Flows(months=24, rate=0.12, upfront=100, value=10)
    assert flows.npv == pytest.approx(10 * (1 - 1.12**-2) / (1.12 ** (1 / 12) - 1) - 100)
    assert flows.npv == pytest.approx(113.7323, abs=1e-3)


def test_more_interest_is_worth_less_and_retraining_costs():
    assert annuity(0.1, 12) < annuity(0.05, 12) < annuity(0.0, 12) == 12
    assert recurring(0.0, 12, 4) == 2  # in months 4 and 8; at 12 the horizon is over
    assert recurring(0.0, 12.1, 4) == 3


@few
@given(some.floats(1, 1000), some.floats(-5, 50), some.floats(0, 100), some.floats(0.5, 12), some.floats(1, 48))
def test_payback_is_when_the_money_is_first_back(upfront, month, price, every, months):
    found = float(Flows(months=months, upfront=upfront, value=month, retraining=price, every=every).payback)

    def left(time):  # what is paid at this very moment comes after it
        return -upfront + month * time - price * max(0, math.ceil(time / every - 1e-9) - 1)

    slack = 1e-6 * (upfront + price) + abs(month) * months / 500
    early = [time for time in np.linspace(0, months, 1001) if time < min(found, months) * (1 - 1e-6)]
    assert all(left(time) <= slack for time in early)
    if math.isfinite(found):
        assert left(found) == pytest.approx(0, abs=1e-6 * (upfront + abs(price)))


def test_return_on_investment_is_a_share_of_all_costs_and_undefined_without_any():
    assert float(Flows(months=10, upfront=50, value=20, serving=5).roi) == pytest.approx(1.0)
    assert math.isnan(float(Flows(months=10, value=20).roi))


def test_break_even_is_a_root_even_where_costs_rise_in_steps():
    def gain(rps):
        return 30 * rps - 40 * math.ceil(rps / 2) - 100

    found = break_even(gain, 1000)
    assert gain(found) == pytest.approx(0, abs=1e-6)
    assert gain(found * (1 - 1e-6)) < 0
    assert break_even(lambda _: -1.0, 1000) is None
    assert break_even(lambda _: 0.0, 1000) == 0.0


@few
@given(
    some.tuples(money, money, money).map(sorted),
    some.floats(0, 1),
)
def test_the_points_of_a_triangle_are_those_of_its_draws(ends, share):
    spread = Spread.triangular(*ends)
    share = min(max(share, 0.01), 0.99)
    point = spread.at(share)
    assert ends[0] <= point <= ends[2]
    if ends[2] - ends[0] > 1e-3:
        drawn = draw(spread, np.random.default_rng(0), 4000)
        assert np.mean(drawn <= point) == pytest.approx(share, abs=0.05)


def test_a_normal_range_stops_at_its_bounds():
    spread = Spread("normal", -math.inf, 1.0, math.inf, 2.0, least=0.0)
    assert draw(spread, np.random.default_rng(0), 1000).min() == 0.0
    assert spread.at(0.05) == 0.0


@few
@given(some.tuples(money, money, money).map(sorted), some.floats(0, 1))
def test_bars_of_a_tornado_hold_the_answer_and_the_longest_comes_first(ends, rate):
    random = np.random.default_rng(0)
    bands = {
        "value": band("value", "USD", Spread.triangular(*ends), random, 10),
        "rate": band("rate", "a year", Spread.triangular(0, rate, 1), random, 10),
        "upfront": Band(name="upfront", unit="USD", centre=5, low=5, high=5, draws=np.full(10, 5.0)),
    }

    def answer(inputs):
        return float(Flows(months=12, **inputs).npv)

    bars = tornado(bands, answer)
    centre = answer({key: each.centre for key, each in bands.items()})
    assert [bar.span for bar in bars] == sorted((bar.span for bar in bars), reverse=True)
    assert "upfront" not in {bar.band.name for bar in bars}
    for bar in bars:
        slack = 1e-6 * (1 + abs(centre))
        assert min(bar.at_low, bar.at_high) - slack <= centre <= max(bar.at_low, bar.at_high) + slack
