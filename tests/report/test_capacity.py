"""The block `capacity` of the report: replicas, machines, places, and one sentence."""

import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import pytest

from steelyard.errors import SpecInvalid
from steelyard.money import catalogue as rows
from steelyard.money.calibration import FILE, USUAL, Calibration
from steelyard.money.capacity import Scaling
from steelyard.money.catalogue import Function, Machine
from steelyard.money.overhead import Overhead
from steelyard.money.placement import Edge
from steelyard.money.prices import Price
from steelyard.report.capacity import Wanted, capacity, nights
from steelyard.spec import Serving, Traffic
from steelyard.units import Estimate, How, Money

SHAPE = (1.0,) * 12 + (5.0,) * 12


def price(amount, per="machine-hour"):
    return Price(Money.parse(amount), per, "a list", "2026-11-01")


def machine(name, cost, cores=2, accelerators=0):
    return Machine(
        name=name,
        cloud="aws",
        region="us-east-1",
        cores=cores,
        memory_gb=8.0,
        accelerator="L4" if accelerators else "",
        accelerators=accelerators,
        on_demand=price(cost),
        spot=price("0.03 USD") if cost.endswith("USD") else price("0.03 EUR"),
        family="general",
    )


@pytest.fixture
def catalogue(monkeypatch):
    known = (machine("m.large", "0.1 USD"), machine("x.large", "0.2 USD", cores=4))
    called = Function(
        name="function",
        cloud="aws",
        region="us-east-1",
        gb_second=price("0.0000166667 USD"),
        request=price("0.0000002 USD"),
        cold_start=Estimate.exact(500.0, how=How.ASSUMED, unit="ms"),
    )
    monkeypatch.setattr(rows, "machines", lambda: (*known, machine("gpu", "0.9 USD", cores=4, accelerators=1)))
    monkeypatch.setattr(rows, "functions", lambda: (called,))


@pytest.fixture
def schema():
    found = json.loads(files("steelyard.report").joinpath("schema.json").read_text(encoding="utf-8"))
    part = {"$ref": "#/$defs/capacity", "$defs": found["$defs"], "$schema": found["$schema"]}
    return jsonschema.Draft202012Validator(part)


def of(traffic, record):
    serving = Serving(latency_p95_ms=20, traffic=traffic)
    return replace(record, spec=record.spec.model_copy(update={"serving": serving}))


@pytest.mark.parametrize("traffic", [Traffic(mean_rps=50, peak_rps=200), Traffic(mean_rps=3000, shape=SHAPE)])
def test_the_block_keeps_the_schema_with_a_catalogue(record, catalogue, schema, traffic):
    block = json.loads(json.dumps(capacity(of(traffic, record)), allow_nan=False))
    schema.validate(block)
    assert block["machines"][0]["name"] == "m.large"
    assert {p["kind"] for p in block["placement"]} == {"general", "spot", "function", "accelerator", "edge"}
    months = [p["month"]["value"] for p in block["placement"]]
    assert months == sorted(months)


def test_the_sentence_says_what_is_needed_what_it_costs_and_where(record, catalogue):
    sentence = capacity(of(Traffic(mean_rps=9000, shape=SHAPE), record))["sentence"]
    for words in (
        "9,000 requests/s on average",
        "at the peak",
        "95% within 20 ms",
        "with autoscaling",
        "the cheapest that can be rented is aws",
    ):
        assert words in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_hours_that_differ_are_staffed_as_they_differ(record):
    block = capacity(of(Traffic(mean_rps=20_000, shape=SHAPE), record))
    counts = [hour["replicas"] for hour in block["hours"]]
    assert len(counts) == 24
    assert counts[0] < counts[12] == block["autoscaled"]["replicas"] == block["fixed"]["replicas"]
    assert block["autoscaled"]["month"]["value"] < block["fixed"]["month"]["value"]
    assert block["autoscaled"]["idle_share"] < block["fixed"]["idle_share"]


def test_hours_that_are_not_known_are_said_to_be_planned_for_the_peak(record):
    block = capacity(record)
    assert any("planned for the peak" in note for note in block["notes"])
    assert {hour["planned_rps"] for hour in block["hours"]} == {200.0}


def test_without_traffic_there_is_nothing_to_tell(record):
    assert capacity(of(None, record)) is None
    assert capacity(of(Traffic(mean_rps=0), record)) is None
    assert capacity(replace(record, decision=None, final=None)) is None


def test_what_is_asked_counts_before_the_spec(record):
    wanted = Wanted(traffic=Traffic(mean_rps=9000), target_ms=50.0, scaling=Scaling(least=7))
    block = capacity(record, wanted)
    assert (block["target_ms"], block["fixed"]["replicas"]) == (50.0, 7)
    assert block["hours"][0]["rps"] == 9000.0


def test_a_target_that_cannot_be_kept_is_said_and_planned_around(record):
    block = capacity(record, Wanted(target_ms=0.01))
    assert not block["keeps_target"]
    assert any("Not even an idle replica" in note for note in block["notes"])


def test_http_is_assumed_until_it_is_measured(record, tmp_path):
    here = replace(record, folder=tmp_path)
    assert capacity(here)["replica"]["overhead"]["how"] == USUAL.how.value == "assumed"
    around = Overhead(turn_ms=1.0, request_ms=3.0, source="measured here")
    made = Calibration(curve=((1, 5.0), (8, 9.0)), spread=0.1, batch=8, overhead=around)
    (tmp_path / FILE).write_text(json.dumps(made.to_json()))
    block = capacity(here)
    assert block["replica"]["overhead"]["source"] == "measured here"
    assert block["replica"]["capacity"]["value"] < capacity(record)["replica"]["capacity"]["value"]


def test_a_device_priced_in_another_currency_is_refused(record):
    with pytest.raises(SpecInvalid, match="the price of a device is in EUR"):
        capacity(record, Wanted(edge=Edge(devices=3, price=Money.parse("1 EUR"))))


def test_a_nightly_run_names_the_cheapest_machine(record, catalogue):
    block = nights(record, 5_000_000)
    assert block["machines"][0]["name"] in {"m.large", "x.large"}
    assert "5,000,000 rows each night" in block["sentence"]
    months = [m["month"]["value"] for m in block["machines"]]
    assert months == sorted(months)
    assert all(m["spot_month"] < m["month"]["value"] for m in block["machines"])
    with pytest.raises(SpecInvalid, match="at least one row"):
        nights(record, 0)


def test_a_nightly_run_without_any_machine_is_refused(record, monkeypatch):
    monkeypatch.setattr(rows, "machines", tuple)
    with pytest.raises(SpecInvalid, match="no type of machine"):
        nights(record, 10)


def test_machines_are_left_out_where_no_rate_leads_to_their_currency(record, catalogue):
    prices = replace(record.prices, core_hour=replace(record.prices.core_hour, amount=Money.parse("0.05 EUR")))
    block = capacity(replace(of(Traffic(mean_rps=50), record), prices=prices))
    assert block["machines"] == []
    assert any(note.startswith("Rented machines cannot be compared: ") for note in block["notes"])
