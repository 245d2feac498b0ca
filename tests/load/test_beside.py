"""Prediction and measurement side by side."""

import json
import math

import pytest

from steelyard.errors import RunUnreadable
from steelyard.load import Ceiling, Maximum, Plan
from steelyard.load import command as commands
from steelyard.load.beside import Pair, describe_beside, pairs
from steelyard.load.command import Asked, load
from steelyard.load.summary import summarise
from steelyard.load.wire import Log
from steelyard.money import Forecast
from steelyard.units import Estimate

STRONG = Ceiling(rate=1e6, per_core=1e6)


def one(value, unit="ms"):
    return Estimate(value, value, value, unit=unit)


FORECAST = Forecast(name="credit", p50=one(2), p95=one(2), p99=one(2), busy=one(2), batched=one(900), machine="P")


@pytest.fixture
def run(tmp_path):
    figure = {"value": 2.0, "low": 2.0, "high": 2.0}
    names = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "throughput_rps")
    report = {"name": "credit", "decision": {"figures": dict.fromkeys(names, figure)}, "spec": ""}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.json").write_text(json.dumps(report))
    return tmp_path / "run"


def result(mode, connections=1, latency=0.003):
    log = Log()
    for number in range(400):
        planned = number / 100
        log.planned.append(planned)
        log.taken.append(planned)
        log.done.append(planned + latency)
        log.status.append(200)
    return summarise(log, Plan(rate=100, seconds=4, warm_up=0), begin=0.0, mode=mode, connections=connections)


def test_an_open_loop_is_held_against_the_prediction_at_its_rate():
    found = pairs(FORECAST, result("open"))
    assert [pair.what for pair in found] == ["p50 at 100.0 requests/s", "p95 at 100.0 requests/s"]
    assert found[1].predicted == pytest.approx(FORECAST.latency(100)["p95"])
    assert found[0].measured.value == pytest.approx(3.0)
    assert found[0].ratio == pytest.approx(3.0 / FORECAST.latency(100)["p50"])


def test_one_busy_connection_is_an_idle_replica_and_several_are_not_compared():
    idle = FORECAST.latency()
    assert [pair.predicted for pair in pairs(FORECAST, result("closed"))] == [idle["p50"], idle["p95"]]
    assert pairs(FORECAST, result("closed", connections=8)) == []
    assert "predicts nothing for several" in describe_beside(FORECAST, [])


def test_a_search_is_held_against_the_capacity_for_its_target():
    found = Maximum(rate=one(300, "requests/s"), capped=False, tests=((300, True),))
    first = pairs(FORECAST, result("open"), found, 20)[0]
    assert first.what == "highest rate within 20 ms at p95"
    assert first.predicted == pytest.approx(FORECAST.capacity(20).value)
    assert first.ratio == pytest.approx(300 / first.predicted)


def test_what_is_no_number_has_no_ratio_and_is_null():
    pair = Pair("p95", "ms", math.inf, one(3.0))
    assert math.isnan(pair.ratio)
    assert pair.to_json()["predicted"] is None
    assert json.loads(json.dumps(pair.to_json()))["ratio"] is None
    said = describe_beside(FORECAST, [pair])
    assert "never" in said
    assert "no ratio" in said


def test_the_command_prints_the_prediction_of_a_run_beside_the_measurement(server, run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands, "measure_ceiling", lambda messages: STRONG)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"a": 1}\n')
    asked = Asked(url=server.url, rps=60.0, seconds=0.6, warm_up=0.1, rows=rows, run=run)
    data, _ = load(asked, as_json=False)
    out = capsys.readouterr().out
    assert "predicted by the run 'credit' for one replica of 1 core" in out
    assert " times)" in out
    figures = json.loads(json.dumps(data))["predicted"]["figures"]
    assert [each["what"] for each in figures] == ["p50 at 60.0 requests/s", "p95 at 60.0 requests/s"]


def test_a_search_prints_it_too(server, run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("steelyard.load.run._ENOUGH", 1)
    monkeypatch.setattr("steelyard.load.run._REST", 0.0)
    monkeypatch.setattr(commands, "measure_ceiling", lambda messages: Ceiling(rate=80.0, per_core=80.0))
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"a": 1}\n')
    asked = Asked(url=server.url, find_max=True, p95_ms=9000.0, seconds=0.2, warm_up=0.0, rows=rows, run=run)
    data, _ = load(asked, as_json=False)
    assert data["predicted"]["figures"][0]["what"] == "highest rate within 9000 ms at p95"
    assert "highest rate within 9000 ms" in capsys.readouterr().out


def test_a_run_without_a_report_is_told_before_any_load(server, tmp_path):
    asked = Asked(url=server.url, rps=60.0, run=tmp_path)
    with pytest.raises(RunUnreadable, match=r"holds no report\.json"):
        load(asked, as_json=True)
    assert not server.heads
