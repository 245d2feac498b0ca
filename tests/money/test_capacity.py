"""Replicas hour by hour, what they cost, where they are best run."""

import math
from dataclasses import replace

import numpy as np
import pytest

from steelyard.money.batching import Replica
from steelyard.money.capacity import (
    SERVER_BYTES,
    Bundle,
    Scaling,
    around_the_clock,
    autoscaled,
    by_hour,
    fits,
    fleet_of,
    idle_share,
    nightly,
    paid_hours,
    rented,
)
from steelyard.money.catalogue import Function, Machine
from steelyard.money.placement import Edge, Kind, Offers, crossovers, places, rented_kind
from steelyard.money.prices import Price
from steelyard.money.simulation import over_replicas, poisson
from steelyard.money.traffic import HOURS_A_MONTH, Demand
from steelyard.spec import Traffic
from steelyard.units import Estimate, How, Money

DAY = (1.0,) * 8 + (10.0,) * 8 + (4.0,) * 8
REPLICA = Replica(curve=((1, 10.0), (16, 80.0)), most=16)
BUNDLE = Bundle(replica=REPLICA, slow=REPLICA.scaled(1.2), fast=REPLICA.scaled(0.9), memory_bytes=50e6)
AT_ONCE = Scaling(start_seconds=0.0)


def price(amount, per="machine-hour"):
    return Price(Money.parse(amount), per, "a list", "2026-11-01")


def machine(name="m", *, cores=2, memory=8.0, cost="0.1 USD", spot="0.04 USD", accelerators=0):
    return Machine(
        name=name,
        cloud="aws",
        region="r",
        cores=cores,
        memory_gb=memory,
        accelerator="L4" if accelerators else "",
        accelerators=accelerators,
        on_demand=price(cost),
        spot=None if spot is None else price(spot),
        family="accelerated" if accelerators else "general",
    )


FUNCTION = Function(
    name="f",
    cloud="aws",
    region="r",
    gb_second=price("0.0000166667 USD", "GB-second"),
    request=price("0.0000002 USD", "request"),
    cold_start=Estimate(500.0, 300.0, 900.0, How.ASSUMED, "ms"),
)


def demand(mean=100.0, peak=None, shape=DAY):
    return Demand.of(Traffic(mean_rps=mean, peak_rps=peak, shape=shape))


def test_the_hours_of_a_day_keep_the_mean_and_its_shape():
    found = demand()
    assert found.mean_rps == pytest.approx(100.0)
    assert found.mean[8] == pytest.approx(10 * found.mean[0])
    assert found.planned == found.mean
    assert found.month == pytest.approx(100 * 3600 * HOURS_A_MONTH)


def test_a_peak_above_the_busiest_hour_is_planned_for_in_every_hour():
    found = demand(peak=400.0)
    assert found.most_rps == pytest.approx(400.0)
    assert found.planned[0] / found.mean[0] == pytest.approx(found.planned[8] / found.mean[8])


def test_replicas_of_each_hour_keep_the_target_and_one_fewer_does_not():
    each, found = REPLICA.capacity(60.0), demand(1000.0)
    running = by_hour(found, each, AT_ONCE)
    for rps, count in zip(found.planned, running, strict=True):
        assert REPLICA.latency(rps / count)[1] <= 60.0
        assert count == 1 or REPLICA.latency(rps / (count - 1))[1] > 60.0
    assert around_the_clock(found, each, AT_ONCE) == (max(running),) * 24


def test_the_busiest_hour_keeps_its_target_when_it_is_simulated():
    rng, rate = np.random.default_rng(3), 1500.0
    count = by_hour(Demand(mean=(rate,), planned=(rate,), known=True), REPLICA.capacity(60.0), AT_ONCE)[0]
    seen = 1000 * over_replicas(poisson(rate, 150_000, rng), REPLICA, count, rng)
    assert count > 1
    assert np.quantile(seen, 0.95) <= 1.03 * 60.0


def test_replicas_start_ahead_of_the_hour_that_needs_them_and_starting_is_paid():
    slow = Scaling(start_seconds=1800.0)
    ahead, at_once = (by_hour(demand(1000.0), REPLICA.capacity(60.0), way) for way in (slow, AT_ONCE))
    assert ahead[7] > at_once[7]
    assert all(a >= b for a, b in zip(ahead, at_once, strict=True))
    assert paid_hours((1, 2), slow) > paid_hours((1, 2), AT_ONCE) == HOURS_A_MONTH * 1.5


def test_there_are_never_fewer_replicas_than_asked_for():
    assert set(by_hour(demand(0.1), 100.0, Scaling(least=3))) == {3}


def test_autoscaling_costs_less_and_idles_less_where_hours_differ():
    ways = (around_the_clock, by_hour)
    fixed, scaled = (fleet_of(BUNDLE, demand(2000.0), 60.0, price("0.05 USD"), AT_ONCE, way) for way in ways)
    assert scaled.cost.month.value < fixed.cost.month.value
    assert scaled.idle_share < fixed.idle_share
    assert fixed.cost.month.value == pytest.approx(fixed.most * 0.05 * HOURS_A_MONTH)
    assert fixed.cost.month.low <= fixed.cost.month.value <= fixed.cost.month.high
    assert fixed.cost.per_million.value * demand(2000.0).month / 1e6 == pytest.approx(fixed.cost.month.value)


def test_idle_time_is_what_is_not_worked():
    flat = Demand(mean=(50.0,), planned=(50.0,), known=True)
    single = Replica(curve=((1, 10.0),), most=1)
    assert idle_share(single, flat, (1,)) == pytest.approx(0.5, abs=0.01)
    assert idle_share(single, flat, (2,)) == pytest.approx(0.75, abs=0.01)


def test_many_hours_are_as_idle_as_their_days():
    day = demand(1000.0)
    noisy = replace(day, mean=tuple(rps * (1 + 1e-4 * k) for k in range(40) for rps in day.mean))
    running = by_hour(day, REPLICA.capacity(60.0), AT_ONCE)
    assert idle_share(REPLICA, noisy, running * 40) == pytest.approx(idle_share(REPLICA, day, running), abs=0.02)


def test_a_machine_holds_as_many_replicas_as_cores_and_memory_allow():
    assert fits(machine(cores=8, memory=32), BUNDLE) == 8
    assert fits(machine(cores=8, memory=0.5), BUNDLE) == int(0.45e9 // (50e6 + SERVER_BYTES))
    assert fits(machine(cores=2), replace(BUNDLE, threads=4)) == 0
    assert rented(BUNDLE, demand(), 60.0, machine(memory=0.1), AT_ONCE) is None


def test_whole_machines_are_paid_and_spot_keeps_one_to_spare():
    found = rented(BUNDLE, demand(2000.0), 60.0, machine(cores=4), AT_ONCE)
    assert found.machines == math.ceil(found.replicas / 4)
    assert found.fixed.month.value == pytest.approx(found.machines * 0.1 * HOURS_A_MONTH)
    assert found.spot.month.value == pytest.approx((found.machines + 1) * 0.04 * HOURS_A_MONTH)
    assert found.spot.month.how is How.ASSUMED
    scaled = autoscaled(BUNDLE, demand(2000.0), 60.0, machine(cores=4), AT_ONCE)
    assert scaled.month.value < found.fixed.month.value
    assert rented(BUNDLE, demand(), 60.0, machine(spot=None), AT_ONCE).spot is None


OFFERS = Offers(
    bundle=BUNDLE,
    machines=(
        machine(),
        machine("dear", cost="1 USD", spot=None),
        machine("gpu", cores=8, cost="0.8 USD", accelerators=1),
    ),
    functions=(FUNCTION,),
    edge=Edge(devices=1000, price=Money.parse("0.01 USD")),
    target_ms=60.0,
)


def test_places_come_cheapest_first_and_say_what_is_assumed():
    found = places(OFFERS, demand(5.0), "USD")
    assert {place.kind for place in found} == set(Kind)
    months = [place.cost.month.value for place in found]
    assert months == sorted(months)
    by_kind = {place.kind: place for place in found}
    assert by_kind[Kind.GENERAL].name == "aws m, r"
    assert by_kind[Kind.EDGE].cost.month.value == pytest.approx(10.0)
    assert "never measured" in by_kind[Kind.ACCELERATOR].note
    assert {by_kind[k].how for k in (Kind.SPOT, Kind.ACCELERATOR, Kind.EDGE)} == {How.ASSUMED}


def test_a_function_costs_by_the_request_and_misses_the_target_where_it_always_starts_anew():
    seldom, often = (
        next(p for p in places(OFFERS, Demand.of(Traffic(mean_rps=rps)), "USD") if p.kind is Kind.FUNCTION)
        for rps in (0.0001, 10.0)
    )
    assert "target is missed" in seldom.note
    assert "missed" not in often.note
    assert often.cost.per_million.value == pytest.approx(1.769 * 0.010 * 16.6667 + 0.2, rel=1e-3)
    assert seldom.cost.per_million.value == pytest.approx(often.cost.per_million.value)


def test_functions_win_where_few_come_and_machines_where_many_do():
    found = crossovers(rented_kind(OFFERS, Demand.of(Traffic(mean_rps=1.0)), "USD"))
    assert found[0].below is Kind.FUNCTION
    cheapest = rented_kind(OFFERS, Demand.of(Traffic(mean_rps=1.0)), "USD")
    for each in found:
        assert cheapest(0.97 * each.rps) is each.below
        assert cheapest(1.03 * each.rps) is each.above


def test_a_nightly_run_is_paid_for_the_time_it_takes():
    found = nightly(
        BUNDLE, 1_000_000, [machine(), machine("dear", cost="1 USD"), machine("gpu", accelerators=1)], AT_ONCE
    )
    assert [each.machine.name for each in found] == ["m", "dear"]
    assert found[0].hours == pytest.approx(1e6 * 0.005 / 2 / 3600)
    assert found[0].month.value == pytest.approx(365 / 12 * found[0].hours * 0.1)
    assert found[0].month.low < found[0].month.value < found[0].month.high
    with pytest.raises(ValueError, match="at least one row"):
        nightly(BUNDLE, 0, [machine()], AT_ONCE)


def test_nobody_asking_costs_the_same_month_and_nothing_a_million():
    found = fleet_of(BUNDLE, Demand.of(Traffic(mean_rps=0.0)), 60.0, price("0.05 USD"), AT_ONCE, around_the_clock)
    assert found.cost.month.value == pytest.approx(36.5)
    assert math.isnan(found.cost.per_million.value)
    assert found.idle_share == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", [{"start_seconds": -1.0}, {"start_seconds": 1e6}, {"least": 0}])
def test_scaling_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="a replica starts within"):
        Scaling(**wrong)
