"""The search for the highest rate, with servers that are formulas."""

import math

import numpy as np
import pytest

from steelyard.errors import RequestInvalid
from steelyard.load import find_maximum


@pytest.mark.parametrize("edge", [3.7, 19.0, 20.0, 733.0, 12_345.0])
def test_a_sharp_edge_is_found_within_the_ratio(edge):
    found = find_maximum(lambda rate: rate <= edge, start=20)
    assert found.rate.value <= edge < found.rate.value * 1.051
    assert found.rate.low <= edge < found.rate.high
    assert not found.capped
    assert len(found.tests) < 30


def test_rates_near_the_edge_are_tested_again():
    found = find_maximum(lambda rate: rate <= 100, start=10)
    tested = [rate for rate, _ in found.tests]
    assert tested.count(found.rate.value) >= 2
    assert tested.count(10) == 1


def test_a_noisy_edge_comes_with_its_range():
    rng = np.random.default_rng(1)
    found = [
        find_maximum(lambda rate: bool(rng.random() < 1 / (1 + math.exp((rate - 500) / 15))), start=10)
        for _ in range(50)
    ]
    values = [f.rate.value for f in found]
    assert 450 < np.median(values) < 520
    assert np.quantile(values, 0.1) > 420
    assert all(f.rate.low <= f.rate.value <= f.rate.high for f in found)
    assert np.mean([f.rate.low - 40 <= 500 <= f.rate.high + 40 for f in found]) > 0.8


def test_a_lucky_test_at_the_first_rate_is_not_believed():
    answers = iter([True, False, False, False])
    found = find_maximum(lambda rate: next(answers, rate < 5), start=10)
    assert found.rate.value < 10


def test_the_search_ends_at_the_highest_rate_allowed():
    found = find_maximum(lambda rate: True, start=10, most=100)
    assert found.capped
    assert found.rate.value == 100
    assert found.rate.high == math.inf


def test_a_server_that_keeps_no_rate_has_none():
    found = find_maximum(lambda rate: False, start=10)
    assert found.rate.value == 0
    assert not found.capped
    assert found.to_json()["rps"]["value"] == 0


def test_a_search_without_a_beginning_is_refused():
    with pytest.raises(RequestInvalid, match="a first rate"):
        find_maximum(lambda rate: True, start=0)
