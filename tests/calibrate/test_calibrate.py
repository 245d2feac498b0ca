"""Batches and HTTP, measured before any load."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from steelyard.calibrate import around, calibrate, curve
from steelyard.calibrate.curve import Measured, measure_curve
from steelyard.calibrate.server import serving
from steelyard.errors import RequestInvalid, RowsRefused, ServingRefused
from steelyard.load import Plan
from steelyard.units import How

_spec = importlib.util.spec_from_file_location(
    "bundles_to_calibrate", Path(__file__).parents[1] / "bundle" / "conftest.py"
)
_bundles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_bundles)
ROWS = [{"age": 20.0 + k} for k in range(50)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return _bundles.Maker().write(tmp_path_factory.mktemp("calibrated") / "numbers")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(around, "_CLOSED", Plan(rate=1.0, seconds=0.5, warm_up=0.1))
    monkeypatch.setattr(around, "_SECONDS", 0.5)
    monkeypatch.setattr(curve, "_SECONDS", 0.3)


def test_batches_are_timed_up_to_what_a_server_takes_at_once(bundle, quick):
    found = measure_curve(bundle, ROWS)
    sizes = [rows for rows, _ in found.curve]
    assert sizes[0] == 1
    assert sizes == sorted(sizes)
    assert sizes[-1] <= max(2, found.batch)
    assert all(ms > 0 for _, ms in found.curve)
    assert dict(found.curve)[sizes[-1]] / sizes[-1] < dict(found.curve)[1]  # a row of a batch takes less than one alone
    assert found.spread >= 0


def test_a_curve_needs_rows_that_fit(bundle, quick):
    with pytest.raises(RequestInvalid, match="there is none; give at least one"):
        measure_curve(bundle, [])
    with pytest.raises(RowsRefused, match="age"):
        measure_curve(bundle, [{"size": 3.0}])


@pytest.mark.slow
def test_a_server_and_its_model_make_a_replica_whose_http_is_measured(bundle, quick):
    made = calibrate(bundle, bundle, ROWS)
    assert made.overhead.how is How.MEASURED
    assert made.overhead.turn_ms + made.overhead.request_ms > 0
    assert list(made.overhead.delay_ms) == sorted(made.overhead.delay_ms)
    assert made.replica.busy_ms >= dict(made.curve)[1]
    assert type(made).from_json(made.to_json()) == made


class Loads:
    """A server that answers 100 requests a load: one, four or eight in a turn."""

    target, pid = None, 1

    def __init__(self):
        self.rows = self.turns = 0
        self.batch = 1

    def batches(self):
        return self.rows, self.turns

    def load(self, batch):
        self.rows, self.turns = self.rows + 80, self.turns + 80 // batch
        return SimpleNamespace(server_cpu=SimpleNamespace(value=0.2 + 0.3 / batch), rate=1500.0)


def test_turns_and_requests_are_told_apart_and_the_model_is_taken_off(monkeypatch):
    server = Loads()
    monkeypatch.setattr(around, "with_connections", lambda way, plan, connections: server.load(min(8, connections)))
    monkeypatch.setattr(around, "at_rate", lambda way, plan: server.load(1 if plan.rate < 600 else 4))
    monkeypatch.setattr(around, "latencies_at", lambda way, plan: np.linspace(0.4, 2.5, 100))
    idle = Measured(((1, 0.15), (11, 0.65)), 0.0, 11)
    found = around.measure_around(server, [b""], idle)
    assert found.turn_ms == pytest.approx(0.3 - 0.1)
    assert found.request_ms == pytest.approx(0.2 - 0.05)
    assert found.delay_ms[0] == 0.0
    assert 0.5 < found.delay_ms[20] < 1.45 - 0.5  # half are answered within 1.45 ms, of which 0.5 are the server's
    assert found.delay_ms[-1] < 2.0


def test_a_machine_that_is_not_quiet_is_said_to_be_so(monkeypatch):
    server = Loads()
    monkeypatch.setattr(around, "with_connections", lambda way, plan, connections: server.load(8))
    monkeypatch.setattr(around, "at_rate", lambda way, plan: server.load(1))
    for slowest, noisy in ((3.0, False), (60.0, True)):
        monkeypatch.setattr(around, "latencies_at", lambda way, plan, slowest=slowest: np.linspace(0.5, slowest, 100))
        found = around.measure_around(server, [b""], Measured(((1, 0.01), (11, 0.02)), 0.0, 11))
        assert ("not quiet" in found.source) == noisy


def test_a_bundle_that_cannot_be_served_is_told_in_the_servers_words(tmp_path):
    with pytest.raises(ServingRefused, match="cannot be served"), serving(tmp_path / "none"):
        pass


def test_a_measured_replica_is_that_of_its_curve():
    from steelyard.money.calibration import USUAL, Calibration

    made = Calibration(curve=((1, 2.0), (4, 3.0)), spread=0.1, batch=4, overhead=USUAL)
    assert made.replica.busy_ms == pytest.approx(2.0 + USUAL.turn_ms + USUAL.request_ms)
    assert replace(made, batch=9).replica.most == 9
