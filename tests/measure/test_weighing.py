"""What a bundle weighs: with one whose speed is known, and with a real one."""

from __future__ import annotations

import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.bundle import About, load, write
from steelyard.contracts import Answer, Artefact, Column, Feed, Kind, Schema
from steelyard.errors import BundleRefused, SteelyardError
from steelyard.measure import weigh, weighing
from steelyard.recipe import Train
from steelyard.units import How

ROWS = [{"age": str(age)} for age in range(5)]


class Known:
    """Answers one row in ``row`` seconds, and many in that and ``each`` more for each."""

    size_bytes = 1234

    def __init__(self, row=0.0, each=0.0):
        self.row, self.each, self.rows, self.batches = row, each, [], []

    def answer_row(self, row):
        self.rows.append(row)
        return self._after(self.row, 1)

    def answer_rows(self, rows):
        self.batches.append(len(rows))
        return self._after(self.row + self.each * len(rows), len(rows))

    def _after(self, seconds, n):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        return Answer(np.full((n, 2), 0.5), np.zeros(n, dtype=np.int64))


@pytest.fixture
def known(monkeypatch):
    def put(**speed):
        bundle = Known(**speed)
        monkeypatch.setattr(weighing.bundles, "load", lambda folder, *, threads: bundle)
        return bundle

    return put


@pytest.fixture
def folder(tmp_path, binary):
    """A real bundle: one number to two probabilities."""
    nodes = [
        helper.make_node("Cast", ["x"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["cast", "w"], ["linear"]),
        helper.make_node("Softmax", ["linear"], ["scores"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", 1])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.array([[0.1, -0.1]], dtype=np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    artefact = Artefact(model.SerializeToString(), (Feed("numbers", ("x",), ("age",)),))
    schema = Schema((Column(name="age", kind=Kind.NUMBER),))
    write(tmp_path / "b", artefact, About(binary, schema, Train(learner="linear"), "0" * 16))
    return tmp_path / "b"


def test_latency_is_the_time_of_one_row(known):
    bundle = known(row=0.002)
    weight = weigh("b", ROWS, threads=3, fresh=False)
    assert 2.0 <= weight.p50.value < 8.0
    assert weight.p50.low <= weight.p50.value <= weight.p95.value <= weight.p99.value
    assert weight.p50.unit == "ms"
    assert weight.p50.how is How.MEASURED
    assert weight.calls == 200
    assert weight.threads == 3
    assert weight.size_bytes == 1234
    assert len(bundle.rows) == weight.calls + weighing.WARM_CALLS


def test_rows_are_called_in_turn(known):
    bundle = known(row=0.0001)
    weigh("b", ROWS, fresh=False)
    assert bundle.rows[: 2 * len(ROWS)] == ROWS + ROWS


def test_a_fast_bundle_is_called_until_its_last_percentile_is_bounded(known):
    known()
    weight = weigh("b", ROWS, fresh=False)
    assert weight.calls == weighing.MOST_CALLS
    assert "bound it" not in weight.p99.source


def test_throughput_is_that_of_the_best_batch(known):
    bundle = known(row=0.004, each=0.0)
    weight = weigh("b", ROWS, calls=5, fresh=False)
    assert weight.batch == 512
    assert 0.2 * 512 / 0.004 < weight.throughput.value <= 512 / 0.004
    assert weight.throughput.low <= weight.throughput.value <= weight.throughput.high
    assert weight.throughput.unit == "rows/s"
    assert set(bundle.batches) == set(weighing.BATCHES)


def test_time_that_runs_out_ends_it_and_shows(known):
    bundle = known(row=0.02, each=0.02)
    begun = time.monotonic()
    weight = weigh("b", ROWS, seconds=1.0)
    assert time.monotonic() - begun < 2.5
    assert weight.calls < 200
    assert f"{weight.calls} calls" in weight.p95.source
    assert 512 not in bundle.batches
    assert "for want of time" in weight.memory_bytes.source
    assert weight.memory_bytes.how is How.ESTIMATED


def test_no_rows_are_refused():
    with pytest.raises(SteelyardError, match="no rows to call it with"):
        weigh("b", [])


def test_what_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleRefused):
        weigh(tmp_path, ROWS, fresh=False)


def test_a_real_bundle_is_weighed_in_a_process_of_its_own(folder):
    weight = weigh(folder, ROWS, seconds=20)
    assert 0 < weight.p50.value < 20
    assert weight.calls >= 200
    assert weight.size_bytes == load(folder).size_bytes
    assert weight.memory_bytes.source == "peak growth of a fresh process over 5 rows, one by one and together"
    assert 10_000 < weight.memory_bytes.value < 100_000_000


def test_a_process_that_fails_is_named_beside_the_figure_in_its_place(folder, monkeypatch):
    monkeypatch.setattr(weighing, "growth_of_a_process", lambda *_, **__: None)
    assert "a fresh one did not end well" in weigh(folder, ROWS, calls=5).memory_bytes.source


@pytest.mark.parametrize(("rows", "timeout"), [([{"wrong": 1}], 30.0), (ROWS, 0.001)])
def test_a_process_that_fails_or_hangs_gives_no_figure(folder, rows, timeout):
    assert weighing.growth_of_a_process(folder, rows, 1, timeout=timeout) is None
