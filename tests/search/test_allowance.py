"""What a run may spend, and what it still starts."""

import time
from types import SimpleNamespace

import pytest

from steelyard.money import Prices
from steelyard.search.allowance import BARELY, CLOSING, SHORTENED, Allowance
from steelyard.spec._parts import Budget


def allowance(minutes):
    return Allowance(
        budget=Budget(minutes=minutes),
        prices=Prices.load(),
        start=time.monotonic(),
        before=0.0,
        cores=1,
        parts=1,
        growth=1.0,
    )


@pytest.mark.parametrize(
    ("how", "share"), [({}, 1.0), ({"shortens": True}, SHORTENED), ({"shortens": True, "first": True}, BARELY)]
)
def test_the_first_model_is_trained_in_a_tenth_of_its_time_if_need_be(how, share):
    one = allowance(10)
    left = one.job_seconds([], None)
    assert 0.4 * 600 < left < 600 - CLOSING
    assert one.affords(SimpleNamespace(seconds=0.95 * left / share - 1), [], None, **how)
    assert not one.affords(SimpleNamespace(seconds=1.05 * left / share), [], None, **how)
