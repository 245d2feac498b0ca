"""Limits on a device are targets like any other: what misses one is out, and its price is told."""

import math
from dataclasses import replace

import pytest

from steelyard.contracts import Weight
from steelyard.decide import confirm
from steelyard.decide.candidates import there
from steelyard.money import Prices
from steelyard.spec import EdgePart
from steelyard.units import Estimate, How

PI = "raspberry-pi-4 float x0.19 of a server's core (a list)"


def on_device(candidate, ms, memory_mb=20.0):
    p95 = Estimate(ms, ms / 2, ms * 2, How.ESTIMATED, "ms", PI)
    memory = Estimate.exact(memory_mb * 1e6, unit="bytes", source="growth of a process")
    return replace(candidate, there_p95=p95, memory_bytes=memory)


def weight(**more):
    one = Estimate(2.0, 1.9, 2.1, unit="ms")
    exact = Estimate.exact(30e6, unit="bytes")
    return Weight(
        p50=one,
        p95=one,
        p99=one,
        throughput=exact,
        batch=1,
        size_bytes=900,
        memory_bytes=exact,
        threads=1,
        calls=9,
        **more,
    )


def test_the_better_model_is_out_where_it_is_too_slow_on_the_device(bench):
    fast = on_device(bench.candidate(1, 0.78, ms=1.0), 6.0)
    good = on_device(bench.candidate(2, 0.85, ms=9.0), 60.0)
    edge = EdgePart(device="raspberry-pi-4", latency_p95_ms=20)
    assert bench.decide([fast, good]).number == 2
    decision = bench.decide([fast, good], edge=edge)
    assert (decision.number, decision.feasible) == (1, True)
    assert "Misses p95 latency on the device by 40 ms." in decision.passed_over[2]
    (check,) = decision.targets
    assert (check.name, check.met) == ("edge_latency_p95_ms", True)
    assert "estimated: raspberry-pi-4 float" in check.sentence


def test_where_none_keeps_the_limit_the_tightest_and_its_price_are_told(bench):
    slow = on_device(bench.candidate(1, 0.78), 30.0)
    slower = on_device(bench.candidate(2, 0.85), 60.0)
    decision = bench.decide([slow, slower], edge=EdgePart(device="raspberry-pi-4", latency_p95_ms=20))
    assert not decision.feasible
    assert decision.tightest == "edge_latency_p95_ms"
    text = " ".join(decision.reasons)
    assert "The tightest target is p95 latency on the device at most 20 ms" in text
    assert "With p95 latency on the device relaxed to 30 ms" in text


@pytest.mark.parametrize(
    ("limit", "memory", "size", "name"),
    [
        ({"memory_mb": 50}, 80.0, 1000, "edge_memory_mb"),
        ({"size_mb": 1}, 10.0, 3_000_000, "edge_size_mb"),
    ],
)
def test_memory_and_size_are_limits_without_a_device(bench, limit, memory, size, name):
    big = on_device(bench.candidate(2, 0.85, size=size), 5.0, memory)
    small = on_device(bench.candidate(1, 0.78), 5.0)
    decision = bench.decide([big, small], edge=EdgePart(**limit))
    assert decision.number == 1
    assert [check.name for check in decision.targets] == [name]


def test_a_limit_on_a_device_that_the_run_does_not_know_is_not_met(bench):
    decision = bench.decide([bench.candidate(1, 0.8)], edge=EdgePart(device="raspberry-pi-4", latency_p95_ms=20))
    assert not decision.feasible
    assert "could not be measured" in decision.targets[0].sentence


def test_this_machine_as_the_device_is_held_to_what_was_measured(bench):
    spec = bench.spec(edge=EdgePart(device="here", latency_p95_ms=20))
    found = there(weight(), spec)
    assert (found.value, found.how) == (2.0, How.MEASURED)


def test_another_device_is_held_to_its_estimate_and_never_to_this_machine(bench):
    spec = bench.spec(edge=EdgePart(device="raspberry-pi-4", latency_p95_ms=20))
    estimate = Estimate(12.0, 6.0, 24.0, How.ESTIMATED, "ms", PI)
    assert there(weight(there={"p95": estimate}), spec) == estimate
    assert math.isnan(there(weight(), spec).value)


def test_what_ships_is_held_to_the_limits_of_the_device_once_more(bench):
    edge = EdgePart(device="raspberry-pi-4", latency_p95_ms=20)
    decision = bench.decide([on_device(bench.candidate(1, 0.8), 10.0)], edge=edge)
    assert decision.feasible
    slow = Estimate(25.0, 12.0, 50.0, How.ESTIMATED, "ms", PI)
    held = confirm(decision, weight(there={"p95": slow}), Prices.load(), bench.spec(edge=edge))
    assert not held.feasible
    assert "misses p95 latency on the device at most 20 ms by 5 ms, which its trial met" in held.reasons[-1]
