"""What a million predictions cost, with and without traffic."""

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from steelyard.contracts import Weight
from steelyard.errors import SpecInvalid
from steelyard.money import Ledger, Prices, compute_entry, cost_per_million, fleet
from steelyard.spec import Traffic
from steelyard.units import Estimate, How, Money, Seconds

CORE_HOUR = 0.0504


@pytest.fixture
def weighing():
    def make(p50=2.0, p95=3.0, threads=1, noise=0.1):
        def spread(ms):
            return Estimate(ms, ms * (1 - noise), ms * (1 + noise), unit="ms")

        return Weight(
            p50=spread(p50),
            p95=spread(p95),
            p99=spread(p95 * 1.5),
            throughput=Estimate.exact(5000.0, unit="rows/s"),
            batch=128,
            size_bytes=1,
            memory_bytes=Estimate.exact(1.0),
            threads=threads,
            calls=200,
        )

    return make


def test_without_traffic_only_busy_time_is_paid(weighing):
    cost = cost_per_million(weighing(p50=3.6, threads=2), Prices.load())
    assert cost.value == pytest.approx(2 * CORE_HOUR)  # 3.6 ms a row is one hour a million, on each of two cores
    assert cost.low == pytest.approx(0.9 * cost.value)
    assert cost.high == pytest.approx(1.1 * cost.value)
    assert cost.how is How.ESTIMATED
    assert cost.unit == "USD per 1,000,000 predictions"
    assert "busy time alone" in cost.source
    assert "m7i.large" in cost.source


def test_with_traffic_idle_hours_are_paid_too(weighing):
    cost = cost_per_million(weighing(noise=0.0), Prices.load(), Traffic(mean_rps=1, peak_rps=10))
    assert cost.value == pytest.approx(CORE_HOUR / 3600 * 1e6)  # one replica that answers one row a second
    assert "1 replica of 1 core for a peak of 10 requests/s" in cost.source


def test_replicas_hold_the_peak(weighing):
    machines = fleet(weighing(p50=10.0), Traffic(mean_rps=100, peak_rps=1000))
    assert machines.replicas == math.ceil(1000 * 0.010 / 0.7)


def test_a_tighter_latency_target_needs_more_replicas_at_the_peak(weighing):
    traffic = Traffic(mean_rps=100, peak_rps=2000)
    counts = [fleet(weighing(), traffic, target).replicas for target in (5, 10, 20, 100)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_a_latency_target_that_an_idle_replica_misses_is_said_so(weighing):
    cost = cost_per_million(weighing(), Prices.load(), Traffic(mean_rps=100), 1.0)
    assert "not even an idle one keeps 1 ms" in cost.source


def test_the_interval_holds_the_value_even_where_its_ends_fall_on_both_sides_of_the_target(weighing):
    cost = cost_per_million(weighing(), Prices.load(), Traffic(mean_rps=100, peak_rps=5000), 3.2)
    assert cost.low <= cost.value <= cost.high


def test_no_traffic_and_a_mean_of_zero_are_the_same(weighing):
    none, zero = (cost_per_million(weighing(), Prices.load(), t) for t in (None, Traffic(mean_rps=0)))
    assert none == zero


def test_a_peak_that_is_left_out_is_the_mean(weighing):
    explicit, left_out = Traffic(mean_rps=500, peak_rps=500), Traffic(mean_rps=500)
    assert fleet(weighing(), explicit) == fleet(weighing(), left_out)


def test_a_fleet_under_its_load_waits_no_longer_than_the_target(weighing):
    """A queue with one server, simulated: 95% of the answers come within the target."""
    import numpy as np

    from steelyard.money.serving import busy_share

    rng, p50, target = np.random.default_rng(0), 1.0, 12.0
    load = busy_share(p50, p50, target)
    gaps, now, free, waits = rng.exponential(p50 / load, 20_000), 0.0, 0.0, []
    for gap in gaps:
        now += gap
        free = max(now, free) + p50
        waits.append(free - now)
    assert np.quantile(waits, 0.95) <= target


@pytest.mark.parametrize("traffic", [None, Traffic(mean_rps=50, peak_rps=200)])
def test_collecting_comes_on_top_row_by_row(weighing, traffic):
    free = cost_per_million(weighing(), Prices.load(), traffic)
    paid = cost_per_million(weighing(), Prices.load(), traffic, collecting=Money.parse("0.02 USD"))
    for end in ("value", "low", "high"):
        assert getattr(paid, end) - getattr(free, end) == pytest.approx(20_000)
    assert paid.source == f"{free.source}; collecting the priced columns of a row: 0.02 USD"


def test_collecting_in_another_currency_is_refused(weighing):
    with pytest.raises(SpecInvalid, match=r"columns.price is in EUR, but the prices in force are in USD; write it in"):
        cost_per_million(weighing(), Prices.load(), collecting=Money.parse("0.02 EUR"))


@pytest.mark.parametrize("row", ["core_hour: 0", "core_hour: {discount: 1}", "core_hour: {discount: 1.0}"])
@pytest.mark.parametrize("traffic", [None, Traffic(mean_rps=0), Traffic(mean_rps=50, peak_rps=200)])
def test_free_compute_serves_and_is_booked_for_nothing(weighing, tmp_path, row, traffic):
    (tmp_path / "prices.yaml").write_text(row + "\n")
    prices = Prices.load(tmp_path / "prices.yaml")
    cost = cost_per_million(weighing(), prices, traffic, 20)
    assert (cost.value, cost.low, cost.high) == (0.0, 0.0, 0.0)
    ledger = Ledger.of([compute_entry("all of it", Seconds(7200), prices)], prices.currency)
    assert ledger.total == Money(Decimal(0))


def test_a_bundle_whose_rows_take_unlike_times_is_paid_by_their_mean(weighing):
    cascade = replace(weighing(p50=0.1), mean=Estimate(3.6, 3.4, 3.8, unit="ms"))
    assert cost_per_million(cascade, Prices.load()).value == pytest.approx(CORE_HOUR)


def test_a_price_that_was_old_when_it_was_taken_is_told_with_the_cost(weighing, tmp_path):
    (tmp_path / "prices.yaml").write_text("core_hour: {amount: 0.05, date: 2019-03-01}\n")
    assert "years old" in cost_per_million(weighing(), Prices.load(tmp_path / "prices.yaml")).source
    assert "years old" not in cost_per_million(weighing(), Prices.load()).source
