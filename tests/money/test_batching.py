"""A server that answers at once what has gathered: the chain against a simulation that knows no formula."""

import math
from dataclasses import replace

import numpy as np
import pytest

from steelyard.money.batching import USUAL_LOAD, Replica
from steelyard.money.overhead import Overhead
from steelyard.money.queueing import mdc
from steelyard.money.simulation import in_batches, over_replicas, poisson

AROUND = Overhead(turn_ms=0.1, request_ms=0.1, delay_ms=(0.0, 0.1, 1.0))
REPLICAS = {
    "one at a time": Replica(curve=((1, 1.0),), most=1),
    "line": Replica(curve=((1, 2.0), (32, 10.0)), most=32),
    "uneven rows": Replica(curve=((1, 2.0), (32, 10.0)), most=32, spread=1.0),
    "http": Replica(curve=((1, 0.1), (32, 0.5)), most=32, spread=0.5, overhead=AROUND),
    "small batches": Replica(curve=((1, 5.0), (4, 8.0)), most=4, spread=0.2),
    "asleep": Replica(
        curve=((1, 0.1), (32, 0.5)), most=32, overhead=replace(AROUND, wake=((0.3, 0.1), (3.0, 0.6)), spread=1.0)
    ),
    "asleep, one at a time": Replica(
        curve=((1, 0.2),), most=1, spread=0.3, overhead=replace(AROUND, wake=((0.3, 0.1), (3.0, 0.6)), spread=0.5)
    ),
    "bent": Replica(curve=((1, 1.0), (2, 1.1), (8, 4.0)), most=8),
}


@pytest.mark.parametrize("name", REPLICAS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_percentiles_are_those_of_a_simulation(name, share):
    replica = REPLICAS[name]
    rate, rng = share * replica.limit_rps, np.random.default_rng(1)
    requests = 400_000 if replica.most == 1 else 100_000  # a line that nothing shares has long memories
    seen = 1000 * in_batches(poisson(rate, requests, rng), replica, rng)[2000:]
    shares = (0.5, 0.95, 0.99)
    for found, real, off in zip(
        replica.latency(rate, shares), np.quantile(seen, shares), (0.05, 0.07, 0.12), strict=True
    ):
        assert found == pytest.approx(real, rel=off)


def test_the_share_of_time_that_is_busy_is_that_of_the_work():
    single = REPLICAS["one at a time"]
    assert single.busy(300.0) == pytest.approx(0.3, rel=1e-6)
    batching = REPLICAS["line"]
    assert batching.busy(1000.0) < 1000.0 * batching.busy_ms / 1000  # rows share the price of a batch
    assert (batching.busy(0.0), batching.busy(1e9)) == (0.0, 1.0)


def test_one_row_at_a_time_is_the_textbook_queue():
    replica = REPLICAS["one at a time"]
    draws = [replica.latency(700.0, (share,))[0] for share in np.linspace(0.005, 0.995, 100)]
    assert np.mean(draws) == pytest.approx(1 + 1000 * mdc(700.0, 0.001, 1).mean, rel=0.05)


def test_capacity_is_the_rate_at_which_the_target_is_just_kept():
    replica = REPLICAS["http"]
    most = replica.capacity(3.0)
    assert replica.latency(most)[1] <= 3.0 < replica.latency(1.02 * most)[1]
    assert replica.capacity(4.0) > most > replica.capacity(2.0)


@pytest.mark.parametrize("target", [None, 0.5])
def test_without_a_target_that_can_be_kept_a_replica_may_be_busy_most_of_the_time(target):
    replica = REPLICAS["line"]
    assert replica.busy(replica.capacity(target)) == pytest.approx(USUAL_LOAD, abs=0.01)
    assert not replica.keeps(0.5)


def test_a_target_that_is_just_that_of_an_idle_replica_leaves_a_rate_above_zero():
    replica = REPLICAS["http"]
    idle = replica.latency(0.0)[1]
    assert 0 < replica.capacity(idle) < 0.1 * replica.limit_rps


def test_a_line_that_only_grows_has_no_latency():
    replica = REPLICAS["small batches"]
    assert math.isinf(replica.latency(1.001 * replica.limit_rps)[1])
    assert math.isfinite(replica.latency(0.9 * replica.limit_rps)[1])


def test_latency_without_traffic_is_that_of_one_row():
    assert REPLICAS["line"].latency(0.0) == (2.0, 2.0)
    slow = REPLICAS["line"].scaled(2.0)
    assert slow.latency(0.0) == (4.0, 4.0)


def test_replicas_that_are_dealt_requests_by_chance_are_as_many_servers_of_their_own():
    replica, rng = REPLICAS["line"], np.random.default_rng(0)
    rate = 3 * 0.6 * replica.limit_rps
    seen = 1000 * over_replicas(poisson(rate, 150_000, rng), replica, 3, rng)
    assert np.quantile(seen, 0.95) == pytest.approx(replica.latency(rate / 3)[1], rel=0.05)


@pytest.mark.parametrize(
    "wrong",
    [
        {"curve": ()},
        {"curve": ((1, 0.0),)},
        {"curve": ((2, 1.0), (1, 1.0))},
        {"curve": ((0, 1.0),)},
        {"curve": ((1, math.inf),)},
        {"curve": ((1, 1.0),), "most": 0},
        {"curve": ((1, 1.0),), "spread": -1.0},
    ],
)
def test_a_server_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"a curve needs|a batch holds"):
        Replica(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"turn_ms": -1.0},
        {"delay_ms": ()},
        {"delay_ms": (2.0, 1.0)},
        {"request_ms": math.nan},
        {"spread": -1.0},
        {"wake": ((2.0, 0.1), (1.0, 0.2))},
    ],
)
def test_an_overhead_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="times around a model"):
        Overhead(**({"turn_ms": 0.0, "request_ms": 0.0} | wrong))


def test_a_rate_below_zero_is_refused():
    with pytest.raises(ValueError, match="a rate must be"):
        REPLICAS["line"].latency(-1.0)


def test_an_overhead_is_read_back():
    woken = replace(AROUND, wake=((1.0, 0.1), (2.0, 0.3)), spread=0.5)
    for each in (AROUND, woken):
        assert Overhead.from_json(each.to_json()) == each
    old = {name: value for name, value in AROUND.to_json().items() if name not in {"wake", "spread"}}
    assert Overhead.from_json(old) == AROUND


def test_a_replica_that_is_asked_less_often_sleeps_more():
    replica = REPLICAS["asleep"]
    rare, often = 0.05 * replica.limit_rps, 0.8 * replica.limit_rps
    assert replica.asleep(rare) > 0.7 > replica.asleep(often) > replica.asleep(2 * replica.limit_rps) == 0.0
    assert replica.latency(0.0)[0] > replica.latency(0.3 * replica.limit_rps)[0]  # a colder start than under some load
    assert replica.busy(replica.rate_at(0.5)) == pytest.approx(0.5, abs=0.01)
