"""What is expected of a bundle on a device: ranges, what they rest on, and int8 without a dot product."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.contracts import Weight
from steelyard.devices import Arithmetic, Device, Devices, Footing, Timed, slower
from steelyard.devices.arithmetic import kind_of
from steelyard.devices.bench import SHAPES, measure
from steelyard.units import Estimate, How

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "shrink"))

ROWS = Devices.load().rows
SERVER = ROWS["server-core"]
assert SERVER.reference is not None
SAME: Timed = SERVER.reference
"""A machine on which the fixed benchmark takes what it took on the server's core."""


def weight(ms: float = 4.0, arithmetic: str = "float") -> Weight:
    one = Estimate(ms, 0.9 * ms, 1.2 * ms, unit="ms")
    exact = Estimate.exact(1e6, unit="bytes")
    return Weight(
        p50=one,
        p95=one.scaled(1.5, unit="ms"),
        p99=one.scaled(2.0, unit="ms"),
        throughput=Estimate.exact(100.0),
        batch=8,
        size_bytes=1000,
        memory_bytes=exact,
        threads=1,
        calls=200,
        mean=one,
        arithmetic=arithmetic,
    )


def test_the_graphs_of_the_benchmark_are_those_that_the_script_writes() -> None:
    import fixed_graphs  # type: ignore[import-not-found]

    made = fixed_graphs.graphs()
    assert set(made) == set(SHAPES)
    for name, content in made.items():
        kept, fresh = onnx.load(fixed_graphs.PLACE / f"{name}.onnx"), onnx.load_from_string(content)
        assert kept.graph == fresh.graph


def test_the_benchmark_times_every_graph_and_knows_where() -> None:
    found = measure(seconds=0.01)
    assert all(getattr(found, name) > 0 for name in SHAPES)
    assert found.machine
    assert found.calls < found.products
    assert Timed.from_json(found.to_json()).machine == found.machine


def test_a_server_like_this_machine_takes_as_long_as_this_machine() -> None:
    factor = slower(SERVER, Arithmetic.FLOAT, SERVER, SAME).factor
    assert factor.value == pytest.approx(1.0)


def test_a_machine_twice_as_fast_as_the_server_leaves_twice_the_factor() -> None:
    fast = replace(SAME, convolutions=SAME.convolutions / 2, products=SAME.products / 2)
    pi = ROWS["raspberry-pi-4"]
    one, two = (slower(pi, Arithmetic.FLOAT, SERVER, here).factor.value for here in (SAME, fast))
    assert two == pytest.approx(2 * one)


def test_int8_is_not_credited_with_instructions_that_the_device_lacks() -> None:
    pi = ROWS["raspberry-pi-4"]
    floats, ints = (slower(pi, kind, SERVER, SAME).factor for kind in (Arithmetic.FLOAT, Arithmetic.INT8))
    theirs = pi.speed["int8_gain"].estimate
    assert ints.value == pytest.approx(floats.value * SAME.int8_gain / theirs.value)
    assert ints.value > 1.5 * floats.value
    assert "taken out" in ints.source
    assert ints.high / ints.low > floats.high / floats.low


def test_the_estimate_of_an_int8_bundle_lies_about_its_float_parent_there_not_about_its_speed_here() -> None:
    pi, here_float = ROWS["raspberry-pi-4"], 10.0
    there_float = slower(pi, Arithmetic.FLOAT, SERVER, SAME).on(Estimate.exact(here_float))
    there_int8 = slower(pi, Arithmetic.INT8, SERVER, SAME).on(Estimate.exact(here_float / SAME.int8_gain))
    gain = pi.speed["int8_gain"].estimate.value
    assert there_int8.value == pytest.approx(there_float.value / gain)


def test_what_rests_on_an_assumption_is_assumed_and_the_rest_is_estimated() -> None:
    pi4, pi5 = ROWS["raspberry-pi-4"], ROWS["raspberry-pi-5"]
    assert slower(pi4, Arithmetic.INT8, SERVER, SAME).factor.how is How.ESTIMATED
    assert slower(pi5, Arithmetic.INT8, SERVER, SAME).factor.how is How.ASSUMED
    assert slower(pi4, Arithmetic.FLOAT, SERVER, None).factor.how is How.ASSUMED
    assert "was not measured" in slower(pi4, Arithmetic.FLOAT, SERVER, None).factor.source


@given(
    st.sampled_from(sorted(ROWS)),
    st.sampled_from(list(Arithmetic)),
    st.lists(st.floats(0.2, 5.0), min_size=4, max_size=4),
    st.floats(0.01, 1000.0),
)
def test_every_estimate_is_a_range_in_order_around_its_value(
    name: str, kind: Arithmetic, shifts: list[float], ms: float
) -> None:
    times = dict(zip(SHAPES, shifts, strict=True))
    here = replace(SAME, **{part: getattr(SAME, part) * shift for part, shift in times.items()})
    found = slower(ROWS[name], kind, SERVER, here).on(Estimate(ms, 0.9 * ms, 1.1 * ms))
    assert 0 < found.low <= found.value <= found.high
    assert found.how is not How.MEASURED
    assert found.source


def test_a_footing_puts_times_of_the_device_beside_those_here_and_survives_json() -> None:
    footing = Footing(device=ROWS["raspberry-pi-4"], server=SERVER, here=SAME)
    there = Footing.from_json(footing.to_json()).weight(weight())
    assert set(there.there) == {"p50", "p95", "p99", "mean"}
    assert there.there["p95"].value > there.p95.value
    assert there.p95 == weight().p95


def test_this_machine_is_no_estimate() -> None:
    assert Footing.of("here", None).weight(weight()).there == {}


def test_kinds_of_arithmetic_are_read_off_operators() -> None:
    assert kind_of(["TreeEnsembleClassifier"], 3.0) is Arithmetic.GENERAL
    assert kind_of(["MatMul", "Softmax"], 3.0) is Arithmetic.FLOAT
    assert kind_of(["MatMul", "Softmax"], 0.05) is Arithmetic.GENERAL
    assert kind_of(["QuantizeLinear", "DequantizeLinear", "Conv"], 3.0) is Arithmetic.INT8


def test_a_device_of_ones_own_is_looked_up_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("devices: {kiosk: {extends: raspberry-pi-5}}", encoding="utf-8")
    found = Footing.of("kiosk", file, timed=False)
    assert isinstance(found.device, Device)
    assert found.device.name == "kiosk"
