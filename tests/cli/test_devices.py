"""The commands `targets` and `edge`, and a run that names a device, from the command line."""

import json

import pytest
from typer.testing import CliRunner

from steelyard.cli import app
from steelyard.errors import SpecInvalid

SPEC = """
data: sklearn:breast_cancer
target: target
quality: {metric: accuracy, tolerance: 0.06}
serving: {traffic: {mean_rps: 20}}
edge: {device: %s, latency_p95_ms: 50, round_trip_ms: {mean: 40, p95: 90}}
learners: {only: [constant, linear]}
levers: {only: []}
budget: {trials: 2}
"""


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_devices_are_listed_with_their_age():
    found = json.loads(run("targets", "--json").stdout)
    assert {"server-core", "vm-2core", "raspberry-pi-4", "raspberry-pi-5", "browser"} <= {
        d["name"] for d in found["devices"]
    }
    assert "OVER A YEAR OLD" in run("targets").stdout


def test_a_measurement_prints_a_row_that_the_file_takes(tmp_path):
    found = json.loads(run("targets", "--measure", "--json").stdout)
    file = tmp_path / "own.yaml"
    file.write_text(found["row"], encoding="utf-8")
    listed = json.loads(run("targets", "--devices", file, "--json").stdout)
    mine = next(device for device in listed["devices"] if device["own"])
    assert mine["figures"]["float"]["value"] == pytest.approx(found["speeds"]["float"]["value"], rel=1e-2)


@pytest.mark.slow
def test_a_run_for_a_device_decides_shows_and_compares_it_with_a_server(tmp_path):
    spec, out = tmp_path / "spec.yaml", tmp_path / "run"
    spec.write_text(SPEC % "raspberry-pi-4", encoding="utf-8")
    report = json.loads(run("run", spec, "--out", out, "--json").stdout)
    names = [target["name"] for target in report["decision"]["targets"]]
    assert names == ["edge_latency_p95_ms"]
    assert report["decision"]["targets"][0]["got"]["how"] == "estimated"
    assert {row["way"] for row in report["edge"]["ways"]} >= {"edge", "server"}
    assert "should answer" in run("edge", out).stdout
    asked = json.loads(run("edge", out, "--round-trip-ms", "3", "--rps", "1", "--json").stdout)
    assert (asked["round_trip_ms"]["p50"], asked["mean_rps"]) == (3.0, 1.0)
    assert "Device or server" in run("show", out).stdout


def test_an_unknown_device_stops_a_run_before_it_begins(tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC % "rasberry-pi-4", encoding="utf-8")
    with pytest.raises(SpecInvalid, match=r"did you mean 'raspberry-pi-4'"):
        run("check", spec)
    with pytest.raises(SpecInvalid, match=r"did you mean 'raspberry-pi-4'"):
        run("run", spec, "--out", tmp_path / "out")
