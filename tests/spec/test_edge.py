"""The part `edge` of a spec: what it takes, and what it refuses in one sentence with the way out."""

from __future__ import annotations

import pytest

from steelyard.errors import SpecInvalid
from steelyard.spec import EdgePart, RoundTrip, Spec, parse
from steelyard.units import Money

HEAD = "data: a.csv\ntarget: class\n"


@pytest.mark.parametrize(
    ("edge", "sentence"),
    [
        ("{latency_p95_ms: 5}", "edge.latency_p95_ms (line 3): is a limit on a device, and none is named; add device:"),
        ("{device: here, latency_p95_ms: 0}", "edge.latency_p95_ms (line 3): must be a number above 0; got 0"),
        ("{size_mb: -1}", "edge.size_mb (line 3): must be a number above 0; got -1"),
        ("{memory_mb: 0}", "edge.memory_mb (line 3): must be a number above 0; got 0"),
        ("{device: here, round_trip_ms: {low: 9, likely: 5, high: 12}}", "is upside down: low 9, likely 5, high 12"),
        ("{device: here, round_trip_ms: {mean: 90, p95: 40}}", "has a p95 of 40 ms below its mean of 90 ms"),
        ("{device: here, round_trip_ms: {mean: 10, p95: 90}}", "give {low, likely, high} instead"),
        ("{device: here, round_trip_ms: -4}", "edge.round_trip_ms (line 3): must be a time of 0 ms or more"),
        ("{device: here, round_trip_ms: {mean: 5}}", "must be a time of 0 ms or more, or a range of it"),
        ("{round_trip_ms: 40}", "leads from a device to a server, and no device is named; add edge.device"),
        ("{device: here, offline: 1.5}", "edge.offline (line 3): must be a number from 0 to 1; got 1.5"),
        ("{device: here, fleet: 5}", "and price_per_device go together"),
        ("{device: here, fleet: 0, price_per_device: 1}", "must be a whole number of 1 or more; got 0"),
        ("{device: here, latency: 5}", "edge.latency (line 3): no such field"),
        (
            "{device: here, fleet: 5, price_per_device: 1 EUR}\nbudget: {money: 1 USD}",
            "is in EUR, and budget.money in USD",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_the_way_out(edge: str, sentence: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse(f"{HEAD}edge: {edge}")
    assert sentence in str(caught.value).replace("edge.price_per_device (line 3): ", "")


@pytest.mark.parametrize("trip", ["40", "{mean: 40.0, p95: 90.0}", "{low: 10.0, likely: 40.0, high: 200.0}"])
def test_a_round_trip_is_written_as_it_was_read(trip: str) -> None:
    spec = parse(f"{HEAD}edge: {{device: here, round_trip_ms: {trip}}}")
    again = parse(spec.to_yaml())
    assert spec.edge is not None
    assert again.edge == spec.edge


def test_limits_of_size_need_no_device() -> None:
    spec = Spec(data="a.csv", target="class", edge={"size_mb": 5, "memory_mb": 50})
    assert spec.edge == EdgePart(size_mb=5, memory_mb=50)


def test_money_of_devices_is_read_with_its_currency() -> None:
    edge = EdgePart(device="here", fleet=3, price_per_device="0.50 EUR")  # type: ignore[arg-type]
    assert edge.price_per_device == Money.parse("0.50 EUR")


def test_a_lognormal_round_trip_of_one_value_is_that_value() -> None:
    assert RoundTrip.lognormal(40.0, 40.0).at(0.99) == pytest.approx(40.0)
