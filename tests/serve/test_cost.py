"""What a server has cost is price times time, idle time included, and says what it rests on."""

import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest

from steelyard.errors import ServingRefused
from steelyard.serve import MachinePrice, parse_price
from steelyard.serve.cost import Meter, summed
from steelyard.serve.metrics import Metrics
from steelyard.units import Money

PRICE = MachinePrice(Money(Decimal(3600), "EUR"), "the bill", 4)
"""A euro a second, a quarter of it for each processor."""


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr("steelyard.serve.cost.time.monotonic", lambda: self.now)


def test_the_total_is_price_times_time_and_computing_is_its_part_of_the_processors(monkeypatch):
    clock, metrics, busy = Clock(monkeypatch), Metrics(), {("m", "1"): 0.0}
    meter = Meter(PRICE, metrics, lambda: busy, threads=2)
    clock.now += 10
    busy["m", "1"] = 4.0
    meter.tick()
    clock.now += 10
    busy["m", "2"] = 6.0
    meter.tick()
    meter.tick()
    text = metrics.text()
    assert 'steelyard_cost_total{currency="EUR"} 20\n' in text
    assert 'steelyard_compute_cost_total{currency="EUR"} 5\n' in text
    told = meter.to_json(text)
    assert (told["total"], told["compute"], told["share_idle"], told["seconds"]) == (20.0, 5.0, 0.75, 20.0)
    assert (told["per_request"], told["per_million_predictions"]) == (None, None)


def test_the_workers_of_a_machine_share_its_price(monkeypatch):
    clock, several = Clock(monkeypatch), [Metrics() for _ in range(4)]
    meters = [Meter(PRICE, metrics, dict, threads=1, share=1 / 4) for metrics in several]
    clock.now += 8
    for meter in meters:
        meter.tick()
    assert sum(summed(metrics.text(), "steelyard_cost_total") for metrics in several) == 8.0


def test_a_model_that_is_unloaded_takes_nothing_back(monkeypatch):
    clock, metrics, busy = Clock(monkeypatch), Metrics(), {("m", "1"): 5.0}
    meter = Meter(PRICE, metrics, lambda: busy, threads=4)
    clock.now += 10
    meter.tick()
    busy.clear()
    meter.tick()
    assert summed(metrics.text(), "steelyard_compute_cost_total") == 5.0


def test_a_server_tells_its_cost_so_far_by_itself(start):
    server = start(price=PRICE, threads=1)
    server.post("/predict", json={"rows": [{"age": 1}] * 10})
    server.post("/v2/models/model/infer", json={})
    told = server.get("/cost").json()
    assert (told["currency"], told["price_per_hour"], told["price_source"]) == ("EUR", "3600 EUR", "the bill")
    assert (told["requests"], told["predictions"]) == (1, 10)
    assert 0 < told["compute"] < told["total"] < 60
    assert told["per_request"] == pytest.approx(told["total"])
    assert told["per_million_predictions"] == pytest.approx(told["total"] * 1e5)
    assert told["per_million_predictions_compute_alone"] == pytest.approx(told["compute"] * 1e5)
    assert told["share_idle"] == pytest.approx(1 - told["compute"] / told["total"])
    assert len(told["assumed"]) == 3
    assert "/cost" in server.get("/openapi.json").json()["paths"]
    text = server.get("/metrics").text
    assert summed(text, "steelyard_cost_per_million_predictions") >= told["per_million_predictions"]
    assert summed(text, "steelyard_cost_per_request") == pytest.approx(summed(text, "steelyard_cost_total"), rel=1e-3)
    later = server.get("/cost").json()
    assert later["total"] > told["total"]


def test_without_a_price_there_is_no_cost(serving):
    reply = serving["numbers"].get("/cost")
    assert (reply.status_code, "--price-per-hour" in reply.json()["error"]) == (404, True)
    assert "steelyard_cost" not in serving["numbers"].get("/metrics").text


def test_a_price_is_an_amount_or_that_of_the_catalogue():
    assert parse_price(None) is None
    assert parse_price("0.10 EUR").per_hour == Money(Decimal("0.10"), "EUR")
    known = parse_price("catalogue")
    assert known.per_hour.amount == Decimal("0.0504") * known.processors
    assert "AWS" in known.source
    for wrong in ("a lot", "0 USD", "-1 USD"):
        with pytest.raises(ServingRefused, match="price of the machine"):
            parse_price(wrong)


def test_what_serves_without_a_price_does_not_load_the_catalogue():
    names = ["steelyard.money", "opentelemetry", "psycopg"]
    code = f"import json, steelyard.serve, sys; print(json.dumps([name for name in {names} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert json.loads(done.stdout) == []
