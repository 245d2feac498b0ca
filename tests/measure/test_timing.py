"""Percentiles of times, and how many calls are made."""

from __future__ import annotations

import gc
import time

import numpy as np
import pytest

from steelyard.measure.timing import percentile, time_calls
from steelyard.units import Seconds


def test_a_percentile_is_an_observed_time():
    times = np.random.default_rng(0).exponential(1.0, 300)
    assert percentile(times, 0.95).value in times
    assert np.mean(times <= percentile(times, 0.95).value) == pytest.approx(0.95)


def test_order_statistics_hold_the_true_percentile_as_often_as_they_say():
    rng = np.random.default_rng(1)
    truth = -np.log(0.05)
    held = sum(percentile(rng.exponential(1.0, 250), 0.95).overlaps(truth) for _ in range(400))
    assert 370 <= held <= 396


def test_too_few_calls_to_bound_a_percentile_are_named():
    few, enough = (percentile(np.arange(float(n)), 0.99) for n in (200, 400))
    assert few.high == 199.0
    assert "368 bound it" in few.source
    assert "bound it" not in enough.source
    assert enough.high < 400


def test_one_call_has_an_interval_without_width_that_says_so():
    once = percentile(np.array([3.0]), 0.5)
    assert (once.value, once.low, once.high) == (3.0, 3.0, 3.0)
    assert "bound it" in once.source


def test_fast_calls_go_on_until_the_aim_or_the_most():
    times = time_calls(lambda _: None, least=5, most=50, aim=Seconds(10), limit=Seconds(10))
    assert len(times) == 50
    assert (times >= 0).all()


def test_the_limit_ends_the_calls_even_before_the_least():
    times = time_calls(lambda _: time.sleep(0.02), least=100, most=100, aim=Seconds(0), limit=Seconds(0.05))
    assert 1 <= len(times) < 10
    assert times.min() >= 20.0


def test_calls_are_numbered_and_the_collector_is_put_back():
    seen, collecting = [], []

    def call(number):
        seen.append(number)
        collecting.append(gc.isenabled())

    time_calls(call, least=3, most=3, aim=Seconds(0), limit=Seconds(9))
    assert seen == [0, 1, 2]
    assert not any(collecting)
    assert gc.isenabled()
