"""Latency across a network: the arithmetic of mixtures against simulations that share no code with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.money.batching import Replica
from steelyard.money.network import POINTS, Outcome, Times, Way, latency, lognormal, mixed, plus, points, turns, winner
from steelyard.spec import RoundTrip, Spread
from steelyard.units import Estimate

MANY = 200_000


def drawn(rng: np.random.Generator, p50: float, p95: float, count: int) -> np.ndarray:
    sigma = math.log(p95 / p50) / 1.6448536269514722
    return np.asarray(np.exp(rng.normal(math.log(p50), sigma, count)))


spans = st.tuples(st.floats(0.05, 200.0), st.floats(1.0, 4.0)).map(lambda pair: (pair[0], pair[0] * pair[1]))


@settings(max_examples=25, deadline=None)
@given(spans, spans, st.floats(0.0, 1.0), st.integers(0, 2**31))
def test_percentiles_of_the_mixture_are_those_of_a_simulation(
    device: tuple[float, float], network: tuple[float, float], share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    own, away = drawn(rng, *device, MANY), drawn(rng, *network, MANY)
    simulated = own + np.where(rng.uniform(size=MANY) < share, away, 0.0)
    front, trip = lognormal(*device), lognormal(*network)
    found = mixed(share, front, plus(front, trip))
    for at, value in zip((0.5, 0.95), found, strict=True):
        # what a share of the requests stays below, give or take what two samples differ by
        assert np.quantile(simulated, max(0.0, at - 0.02)) <= value * 1.02
        assert np.quantile(simulated, min(1.0, at + 0.02)) >= value * 0.98


@given(spans)
def test_a_lognormal_time_has_the_percentiles_that_it_was_given(span: tuple[float, float]) -> None:
    found = lognormal(*span)
    assert np.quantile(found, 0.5) == pytest.approx(span[0], rel=1e-3)
    assert np.quantile(found, 0.95) == pytest.approx(span[1], rel=2e-3)


@given(spans, spans)
def test_the_mean_of_a_sum_is_the_sum_of_the_means(one: tuple[float, float], two: tuple[float, float]) -> None:
    first, second = lognormal(*one), lognormal(*two)
    assert plus(first, second).mean() == pytest.approx(first.mean() + second.mean())


@given(spans, spans, st.floats(0, 1), st.floats(0, 1))
def test_passing_on_more_is_never_faster(
    device: tuple[float, float], network: tuple[float, float], one: float, two: float
) -> None:
    front = lognormal(*device)
    slow = plus(front, lognormal(*network))
    less, more = (mixed(share, front, slow) for share in sorted((one, two)))
    assert all(a <= b for a, b in zip(less, more, strict=True))


def test_a_share_below_a_twentieth_does_not_show_at_the_95th_percentile() -> None:
    fast, slow = np.full(POINTS, 1.0), np.full(POINTS, 100.0)
    assert mixed(0.049, fast, slow) == (1.0, 1.0)
    assert mixed(0.051, fast, slow) == (1.0, 100.0)
    assert mixed(1.0, fast, slow) == (100.0, 100.0)


def test_a_round_trip_has_the_mean_and_the_95th_percentile_that_it_was_given() -> None:
    found = points(RoundTrip.lognormal(50.0, 120.0).at)
    assert found.mean() == pytest.approx(50.0, rel=0.01)
    assert np.quantile(found, 0.95) == pytest.approx(120.0, rel=0.01)
    assert points(RoundTrip(Spread.exact(30.0)).at).tolist() == [30.0] * POINTS


def test_who_answers_decides_what_the_user_waits_for() -> None:
    one = Times(
        edge=np.full(POINTS, 20.0),
        front=np.full(POINTS, 5.0),
        server=np.full(POINTS, 2.0),
        behind=np.full(POINTS, 1.0),
    )
    trip = np.full(POINTS, 40.0)
    assert latency(Way.EDGE, one, trip, 0.1, 0.0) == (20.0, 20.0)
    assert latency(Way.SERVER, one, trip, 0.1, 0.0) == (42.0, 42.0)
    assert latency(Way.CASCADE, one, trip, 0.1, 0.0) == (5.0, 46.0)
    assert latency(Way.CASCADE, one, trip, 0.1, 0.6) == (5.0, 5.0)  # offline, the device's answer stands
    alone = Times(edge=one.edge, front=None, server=one.server, behind=one.behind)
    assert latency(Way.SERVER, alone, trip, 0.0, 0.0) == (42.0, 42.0)


def test_the_draws_of_a_replica_are_what_its_percentiles_are_of() -> None:
    replica = Replica(curve=((1, 2.0), (8, 6.0)), spread=0.3)
    for rps in (0.0, 100.0):
        assert np.quantile(replica.draws(rps), (0.5, 0.95)) == pytest.approx(replica.latency(rps))
    assert np.isinf(replica.draws(1e9)).all()


def outcome(way: Way, p95: float, quality: float, month: float, returned: float | None = None) -> Outcome:
    return Outcome(way=way, p50=p95 / 2, p95=p95, quality=Estimate.exact(quality), month=month, returned=returned)


EDGE, SERVER = outcome(Way.EDGE, 20, 0.95, 0.0), outcome(Way.SERVER, 45, 0.97, 40.0)
BOTH = outcome(Way.CASCADE, 40, 0.968, 38.0)


@pytest.mark.parametrize(
    ("outcomes", "target", "tolerance", "taken", "why"),
    [
        ([EDGE, SERVER, BOTH], None, 0.01, Way.CASCADE, "of equal quality it is the cheapest"),
        ([EDGE, SERVER, BOTH], None, 0.05, Way.EDGE, "of equal quality it is the cheapest"),
        ([EDGE, SERVER, BOTH], 42.0, 0.0, Way.CASCADE, "the others are worse"),
        ([EDGE, SERVER, BOTH], 30.0, 0.01, Way.EDGE, "it alone keeps 30 ms"),
        ([EDGE, SERVER, BOTH], 10.0, 0.01, Way.EDGE, "none keeps 10 ms, and it is the fastest"),
        ([EDGE, outcome(Way.SERVER, 45, 0.95, 0.0)], None, 0.0, Way.EDGE, "at the same cost it is the fastest"),
        (
            [outcome(Way.EDGE, 20, 0.95, 0.0, 100.0), outcome(Way.SERVER, 45, 0.97, 40.0, 300.0)],
            None,
            0.05,
            Way.SERVER,
            "it returns most",
        ),
    ],
)
def test_the_winner_keeps_the_target_then_quality_then_money(
    outcomes: list[Outcome], target: float | None, tolerance: float, taken: Way, why: str
) -> None:
    found, told = winner(outcomes, target, True, tolerance)
    assert found.way is taken
    assert why in told


def test_an_error_is_better_when_lower() -> None:
    outcomes = [outcome(Way.EDGE, 20, 4.0, 0.0), outcome(Way.SERVER, 45, 2.0, 40.0)]
    assert winner(outcomes, None, False, 0.5)[0].way is Way.SERVER


@given(st.floats(0.5, 500.0))
def test_a_turning_point_is_found_where_it_is(at: float) -> None:
    (found,) = turns(lambda ms: Way.SERVER if ms < at else Way.EDGE, 0.1, 3000.0)
    assert found.at == pytest.approx(at, rel=0.01)
    assert (found.below, found.above) == (Way.SERVER, Way.EDGE)


def test_where_nothing_changes_there_is_no_turning_point() -> None:
    assert turns(lambda _: Way.EDGE, 0.1, 100.0) == []
