import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.contracts import Artefact, Column, Ending, Feed, Kind, Schema, Split
from steelyard.errors import SteelyardError
from steelyard.levers.refusal import LeverRefused
from steelyard.levers.shrinking._quantise import Quantise
from steelyard.recipe import Settings, Shrink


def artefact(nodes, weights, inputs, feeds, width):
    """Make an artefact from nodes and named weights."""
    ends = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", width])]
    held = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "graph", inputs, ends, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return Artefact(model.SerializeToString(), feeds)


def run(made, **inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(made.graph, options).run(["scores"], inputs)[0]


def weights(random, *shape):
    return (random.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32)


def dense(random, op, columns=256):
    """A linear model: numbers to three probabilities."""
    names = tuple(f"x{i}" for i in range(columns))
    x = helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, ["n", columns])
    held = {"w": weights(random, columns, 32), "v": weights(random, 32, 3), "b": weights(random, 32)}
    first = ["f", "w", "b"] if op == "Gemm" else ["f", "w"]
    nodes = [
        helper.make_node("Cast", ["numbers"], ["f"], to=TensorProto.FLOAT),
        helper.make_node(op, first, ["h"]),
        helper.make_node("MatMul", ["h", "v"], ["o"]),
        helper.make_node("Softmax", ["o"], ["scores"]),
    ]
    return artefact(nodes, held, [x], (Feed("numbers", ("numbers",), names),), 3)


@pytest.fixture
def pictures(random):
    """Images of two channels of light, and a small net on them."""
    cells = np.empty(64, object)
    for i in range(64):
        cells[i] = random.integers(0, 255, (12, 12, 3)).astype(np.uint8)
    split = Split({"image": cells}, np.zeros(64, np.int64), np.arange(64))
    x = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 3, 12, 12])
    held = {
        "w": weights(random, 32, 3, 3, 3) / np.float32(100),
        "v": weights(random, 32, 32, 3, 3) / np.float32(5),
        "h": weights(random, 32, 4) / np.float32(4),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["f", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "v"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["b", "c"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["g"]),
        helper.make_node("MatMul", ["g", "h"], ["o"]),
        helper.make_node("Softmax", ["o"], ["scores"]),
    ]
    options = {"height": 12, "width": 12, "channels": 3}
    return artefact(nodes, held, [x], (Feed("image", ("image",), ("image",), options),), 4), split


@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_products_become_8_bits_and_answer_nearly_the_same(random, work, meter, op):
    made = dense(random, op)
    small = Quantise().apply(made, Split({}, np.zeros(0), np.zeros(0, np.int64)), Settings(), work, meter)
    x = random.normal(size=(50, 256))
    assert len(small.graph) < 0.4 * len(made.graph)
    assert small.feeds == made.feeds
    np.testing.assert_allclose(run(small, numbers=x), run(made, numbers=x), atol=0.04)
    assert "MatMulInteger" in {n.op_type for n in onnx.load_from_string(small.graph).graph.node}


def test_a_table_of_words_becomes_8_bits(random, work, meter):
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "length"])
    nodes = [
        helper.make_node("Gather", ["w", "ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axes"], ["o"], keepdims=0),
        helper.make_node("Softmax", ["o"], ["scores"]),
    ]
    held = {"w": weights(random, 5000, 3), "axes": np.array([1], np.int64)}
    made = artefact(nodes, held, [ids], (), 3)
    small = Quantise().apply(made, Split({}, np.zeros(0), np.zeros(0, np.int64)), Settings(), work, meter)
    x = random.integers(0, 5000, (20, 9))
    assert len(small.graph) < 0.4 * len(made.graph)
    np.testing.assert_allclose(run(small, ids=x), run(made, ids=x), atol=0.02)


def test_convolutions_are_calibrated_on_rows(pictures, work, meter, caplog):
    made, split = pictures
    small = Quantise().apply(made, split, Settings(rows=32), work, meter)
    x = np.stack([cell.transpose(2, 0, 1) for cell in split.columns["image"]])
    assert len(small.graph) < 0.6 * len(made.graph)
    np.testing.assert_allclose(run(small, image=x), run(made, image=x), atol=0.03)
    assert meter.notes == ["quantise set the scales of activations on 32 rows."]
    assert not caplog.records


def test_the_same_rows_and_seed_give_the_same_bytes(pictures, work, meter):
    made, split = pictures
    before = made.graph
    one, again = (Quantise().apply(made, split, Settings(rows=16), work, meter).graph for _ in range(2))
    assert one == again
    assert made.graph is before


def test_convolutions_without_rows_are_refused(pictures, work, meter):
    with pytest.raises(LeverRefused, match="needs rows to calibrate"):
        Quantise().apply(pictures[0], pictures[1].take(np.arange(0)), Settings(), work, meter)


def test_a_graph_without_large_weights_is_refused(random, work, meter):
    with pytest.raises(LeverRefused, match="finds no float weight"):
        Quantise().apply(
            dense(random, "MatMul", columns=8), Split({}, np.zeros(0), np.zeros(0)), Settings(), work, meter
        )


def test_unknown_settings_are_refused(random, work, meter):
    with pytest.raises(SteelyardError, match="no setting 'bits'"):
        Quantise().apply(dense(random, "Gemm"), Split({}, np.zeros(0), np.zeros(0)), Settings(bits=4), work, meter)


def test_stale_shapes_of_an_exporter_are_no_obstacle(random, work, meter):
    made = dense(random, "MatMul")
    model = onnx.load_from_string(made.graph)
    model.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, ["n", 999]))
    stale = Artefact(model.SerializeToString(), made.feeds)
    assert Quantise().apply(stale, Split({}, np.zeros(0), np.zeros(0)), Settings(), work, meter).graph


def test_models_of_weights_on_text_or_images_are_quantised(context, trial):
    heavy, trees = trial(1, "lines"), trial(2, "trees")
    made = context(heavy, trees)
    moves = [m for t in (heavy, trees) for m in Quantise().moves(t, made)]
    assert [m.recipe for m in moves] == [Shrink(lever="quantise", parent=heavy.recipe)]
    done = trial(3, recipe=moves[0].recipe)
    assert not list(Quantise().moves(heavy, context(heavy, done)))
    assert not list(Quantise().moves(done, context(heavy, done)))
    assert not list(Quantise().moves(trial(4, "lines", ending=Ending.FAILED), made))
    assert not list(Quantise().moves(heavy, context(heavy, schema=Schema((Column(name="age", kind=Kind.NUMBER),)))))
