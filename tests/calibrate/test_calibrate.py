"""Batches and HTTP, measured before any load."""

import importlib.util
import math
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
    """A server that never sleeps under 4 connections or more: a turn is 0.3 ms of the processor, a request 0.2."""

    target, pid = None, 1
    turn, request, asleep = 0.3, 0.2, 0.0

    def __init__(self):
        self.rows = self.turns = 0

    def batches(self):
        return self.rows, self.turns

    def load(self, batch, rate, cost=None):
        self.rows, self.turns = self.rows + 80, self.turns + 80 // batch
        cost = self.request + self.turn / batch if cost is None else cost
        return SimpleNamespace(server_cpu=SimpleNamespace(value=cost), rate=rate)


IDLE = Measured(((1, 0.15), (11, 0.65)), 0.0, 11)
REAL = Measured(((1, 1.0), (11, 3.0)), 0.0, 11)


@pytest.fixture
def loaded(monkeypatch):
    """Return what measures a made-up server whose turns cost more after a sleep, and whose p95 under load is known."""

    def measure(server, light, heavy=2.0, idle=IDLE, real=REAL):
        monkeypatch.setattr(
            around, "with_connections", lambda way, plan, connections: server.load(connections // 4, 4000.0)
        )

        def woken(way, plan):  # a turn of half a ms finds nobody waiting where nobody came in the last one
            none_came = math.exp(-plan.rate * 0.0005)
            return server.load(1, plan.rate, server.request + server.turn + none_came * server.asleep)

        monkeypatch.setattr(around, "at_rate", woken)
        rates = []

        def latencies(way, plan):
            rates.append(plan.rate)
            return np.linspace(*light, 100) if plan.rate == min(rates) else np.full(100, heavy)

        monkeypatch.setattr(around, "latencies_at", latencies)
        return around.measure_around(server, [b""], idle, real)

    return measure


def test_turns_and_requests_are_told_apart_and_the_model_is_taken_off(loaded):
    found = loaded(Loads(), (0.4, 2.5))
    assert found.turn_ms == pytest.approx(0.3 - 0.1)
    assert found.request_ms == pytest.approx(0.2 - 0.05)
    assert found.delay_ms[0] == 0.0
    assert 0.5 < found.delay_ms[20] < 1.45 - 0.5  # half are answered within 1.45 ms, of which 0.5 are the server's
    assert found.delay_ms[-1] < 2.0
    assert all(ms == pytest.approx(0.0, abs=1e-9) for _, ms in found.wake)


def test_what_a_turn_costs_after_a_sleep_is_told_from_what_it_costs_without(loaded):
    server = Loads()
    server.asleep = 0.4
    found = loaded(server, (0.9, 2.5))
    gaps, times = zip(*found.wake, strict=True)
    assert list(gaps) == sorted(gaps)
    assert list(times) == sorted(times)
    assert times[-1] == pytest.approx(0.4, rel=0.1)  # at the lowest rate hardly a turn finds anybody waiting
    slower = replace(REAL, wake=((0.5, 0.0), (100.0, 0.3)))
    assert loaded(server, (0.9, 2.5), real=slower).wake_ms(1.0) > found.wake_ms(1.0) + 0.1


def test_latencies_under_a_heavy_load_say_how_uneven_turns_are(loaded):
    even, uneven = (loaded(Loads(), (0.4, 1.0), heavy).spread for heavy in (0.1, 20.0))
    assert even == 0.0
    assert uneven > 1.0


def test_a_machine_that_is_not_quiet_is_said_to_be_so(loaded):
    for slowest, noisy in ((3.0, False), (60.0, True)):
        found = loaded(Loads(), (0.5, slowest))
        assert ("not quiet" in found.source) == noisy


def test_a_row_is_timed_after_rests_too(bundle, quick):
    gaps, times = zip(*measure_curve(bundle, ROWS).wake, strict=True)
    assert list(gaps) == sorted(gaps)
    assert times[0] == 0.0
    assert list(times) == sorted(times)


def test_a_bundle_that_cannot_be_served_is_told_in_the_servers_words(tmp_path):
    with pytest.raises(ServingRefused, match="cannot be served"), serving(tmp_path / "none"):
        pass


def test_a_measured_replica_is_that_of_its_curve():
    from steelyard.money.calibration import USUAL, Calibration

    made = Calibration(curve=((1, 2.0), (4, 3.0)), spread=0.1, batch=4, overhead=USUAL)
    assert made.replica.busy_ms == pytest.approx(2.0 + USUAL.turn_ms + USUAL.request_ms)
    assert replace(made, batch=9).replica.most == 9
