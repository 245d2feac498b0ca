"""Percentiles and their intervals, on series whose true percentiles are known."""

import math

import numpy as np
import pytest
from scipy import stats

from steelyard.load.percentiles import (
    LEVELS,
    _binomial,
    block_length,
    design_effect,
    percentile,
    percentiles,
    ranks,
    student,
)


def deterministic_queue(rng, n, load):
    """Return times in an M/D/1 queue with a service of one second, by Lindley's recursion."""
    steps = 1.0 - rng.exponential(1 / load, n)
    walk = np.concatenate(([0.0], np.cumsum(steps[1:])))
    return walk - np.minimum.accumulate(walk) + 1.0


def covered(make, truth, rounds):
    hits = dict.fromkeys(truth, 0)
    for seed in range(rounds):
        found = percentiles(make(np.random.default_rng(seed)))
        for name, value in truth.items():
            hits[name] += found[name].low <= value <= found[name].high
    return {name: count / rounds for name, count in hits.items()}


def test_the_mean_wait_of_the_simulated_queue_is_that_of_pollaczek_and_khinchine():
    times = deterministic_queue(np.random.default_rng(0), 1_000_000, 0.7)
    assert times.mean() == pytest.approx(1 + 0.7 / (2 * (1 - 0.7)), rel=0.02)


def test_intervals_cover_the_true_percentiles_of_a_queue_where_naive_ones_do_not():
    order = np.sort(deterministic_queue(np.random.default_rng(99), 3_000_000, 0.7))
    truth = {name: percentile(order, level) for name, level in LEVELS.items()}
    share = covered(lambda rng: deterministic_queue(rng, 3000, 0.7), truth, 200)
    assert min(share.values()) >= 0.84, share
    naive = 0
    for seed in range(200):
        times = np.sort(deterministic_queue(np.random.default_rng(seed), 3000, 0.7))
        low, high = ranks(len(times), 0.95)
        naive += percentile(times, low) <= truth["p95"] <= percentile(times, high)
    assert naive / 200 < 0.6


def test_intervals_of_independent_requests_cover_and_are_not_much_wider_than_they_must_be():
    truth = {name: -math.log(1 - level) for name, level in LEVELS.items()}
    share = covered(lambda rng: rng.exponential(size=2000), truth, 200)
    assert min(share.values()) >= 0.91, share
    widths = []
    for seed in range(50):
        values = np.random.default_rng(seed).exponential(size=2000)
        mine, order = percentiles(values)["p95"], np.sort(values)
        low, high = ranks(2000, 0.95)
        widths.append((mine.high - mine.low) / (percentile(order, high) - percentile(order, low)))
    assert np.median(widths) < 1.3


@pytest.mark.parametrize(("n", "p"), [(10, 0.5), (1000, 0.95), (50, 0.999), (200_000, 0.999)])
def test_the_binomial_is_that_of_scipy(n, p):
    first, mass = _binomial(n, p)
    assert mass == pytest.approx(stats.binom.pmf(np.arange(first, first + len(mass)), n, p), abs=1e-9)


@pytest.mark.parametrize("n", [20, 300, 4000])
@pytest.mark.parametrize("level", LEVELS.values())
def test_ranks_leave_out_at_most_a_fortieth_on_each_side(n, level):
    low, high = (round(end * n) for end in ranks(n, level))
    assert stats.binom.cdf(low - 1, n, level) <= 0.025 or low == 0
    if high < n:
        assert stats.binom.cdf(high - 1, n, level) >= 0.975


def test_students_t_is_that_of_scipy():
    for freedom in (3, 9, 30, 1000):
        assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=0.01)


def test_the_end_for_which_too_few_requests_were_seen_is_infinite():
    found = percentiles(np.random.default_rng(0).exponential(size=500))
    assert found["p99.9"].high == math.inf
    assert math.isfinite(found["p95"].high)
    assert found["p99.9"].to_json()["high"] is None


def test_a_cluster_of_late_requests_counts_as_one_event_and_not_as_many():
    rng = np.random.default_rng(0)
    together = rng.uniform(1, 2, 3000)
    together[1000:1100] += 1000
    apart = rng.permutation(together)
    assert design_effect((together > 500).astype(float))[0] > 20 * design_effect((apart > 500).astype(float))[0]
    assert percentiles(together)["p95"].high == math.inf  # seen once: it may come more often
    assert percentiles(apart)["p95"].high < 3


def test_requests_that_were_never_answered_are_infinitely_late():
    values = np.concatenate((np.full(900, 5.0), np.full(100, math.inf)))
    found = percentiles(np.random.default_rng(0).permutation(values))
    assert found["p50"].value == 5.0
    assert found["p95"].value == math.inf


def test_odd_series_have_percentiles_too():
    assert math.isnan(percentiles(np.array([]))["p50"].value)
    assert percentiles(np.array([3.0]))["p50"].value == 3.0
    same = percentiles(np.full(1000, 2.0))["p95"]
    assert same.value == same.low == 2.0
    assert block_length(np.zeros(100)) == 1
    assert 1 <= block_length(np.tile([0.0, 1.0], 200)) <= 40
