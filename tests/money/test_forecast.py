"""What a run says of its bundle under load, read from its report."""

import json
import math

import pytest

from steelyard.errors import RunUnreadable
from steelyard.money import Forecast
from steelyard.money.calibration import FILE, USUAL, Calibration
from steelyard.money.overhead import Overhead


def figure(value):
    return {"value": value, "low": 0.9 * value, "high": 1.2 * value, "how": "measured", "unit": "ms"}


def report(**more):
    names = {"latency_p50_ms": 2.0, "latency_p95_ms": 4.0, "latency_p99_ms": 5.0, "throughput_rps": 900.0}
    figures = {name: figure(value) for name, value in (names | more.pop("figures", {})).items()}
    spec = "serving: {latency_p95_ms: 20, threads: 2, traffic: {mean_rps: 50, peak_rps: 200}}"
    machine = {"processor": "P", "cores": "2", "memory": "8 GB"}
    return {"name": "credit", "decision": {"figures": figures}, "spec": spec, "machine": machine, **more}


def read(tmp_path, data):
    (tmp_path / "report.json").write_text(data if isinstance(data, str) else json.dumps(data))
    return Forecast.of_run(tmp_path)


def test_a_report_says_latency_target_traffic_and_machine(tmp_path):
    found = read(tmp_path, report())
    assert (found.name, found.threads, found.target_ms, found.peak_rps) == ("credit", 2, 20.0, 200.0)
    assert found.machine == "P, 2 cores"
    assert found.busy.value == 2.0  # reports of older runs tell no mean; the median stands in, as in the run itself


def test_the_mean_is_what_keeps_a_replica_busy_where_it_is_known(tmp_path):
    assert read(tmp_path, report(figures={"latency_mean_ms": 3.0})).busy.value == 3.0


def test_capacity_is_the_rate_at_which_the_latency_formula_meets_the_target(tmp_path):
    found = read(tmp_path, report())
    most = found.capacity(20)
    assert most.low < most.value < most.high
    assert found.latency(most.value)["p95"] <= 20 < found.latency(1.02 * most.value)["p95"]
    assert found.capacity().value == most.value
    assert found.capacity(40).value > most.value


def test_a_queue_that_only_grows_has_no_latency(tmp_path):
    found = read(tmp_path, report())
    assert found.latency()["p95"] == pytest.approx(4.0 + USUAL.delay_ms[-2], rel=0.25)  # rows vary, and HTTP is assumed
    assert math.isinf(found.latency(2000)["p95"])


def test_batches_raise_what_a_replica_bears(tmp_path):
    alone = read(tmp_path, report())
    together = read(tmp_path, report(figures={"throughput_batch_rows": 32.0}))
    assert together.capacity(20).value > 1.3 * alone.capacity(20).value
    assert together.replicas(2000) < alone.replicas(2000)
    assert together.replicas(2000, pessimistic=True) >= together.replicas(2000)


def test_what_was_calibrated_counts_before_what_the_run_weighed(tmp_path):
    around = Overhead(turn_ms=0.5, request_ms=0.5, source="measured here")
    made = Calibration(curve=((1, 8.0), (16, 20.0)), spread=0.0, batch=16, overhead=around, threads=2)
    (tmp_path / FILE).write_text(json.dumps(made.to_json()))
    found = read(tmp_path, report())
    assert found.latency() == {"p50": 9.0, "p95": 9.0}
    assert "measured here" in found.capacity(40).source
    other = read(tmp_path, report(spec="serving: {threads: 1}"))
    assert other.latency()["p50"] < 5.0  # a calibration with other threads is of another server


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"curve": [[1, -2.0]]}'])
def test_a_damaged_calibration_is_told_with_the_way_out(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(RunUnreadable, match=r"capacity\.json cannot be read .* --measure"):
        read(tmp_path, report())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "says nothing"),
        ("{}", "says nothing"),
        (json.dumps(report(decision=None)), "says nothing"),
        (json.dumps(report(spec="serving: {threads: lots}")), "says nothing"),
        (json.dumps(report(spec="serving: [")), "says nothing"),
        (json.dumps(report(figures={"latency_p50_ms": 0.0})), "says nothing"),
    ],
)
def test_a_report_that_says_nothing_is_refused(tmp_path, data, said):
    with pytest.raises(RunUnreadable, match=said):
        read(tmp_path, data)


def test_a_folder_without_a_report_is_refused(tmp_path):
    with pytest.raises(RunUnreadable, match=r"holds no report\.json"):
        Forecast.of_run(tmp_path)
