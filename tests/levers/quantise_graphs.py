"""Small graphs to quantise, made from a seed, with rows and a task that fit them."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from steelyard.contracts import Artefact, Column, Feed, Kind, Problem, Schema, Split, Task, Work

OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("com.microsoft", 1)]
FLOAT = TensorProto.FLOAT


def artefact(nodes, weights, inputs, feeds, width):
    """Make an artefact from nodes and named weights."""
    ends = [helper.make_tensor_value_info("scores", FLOAT, ["n", width])]
    held = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "graph", inputs, ends, held)
    model = helper.make_model(graph, opset_imports=OPSETS, ir_version=9)
    return Artefact(model.SerializeToString(), feeds)


def run(made, **inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(made.graph, options).run(["scores"], inputs)[0]


def operators(made):
    return [node.op_type for node in onnx.load_model_from_string(made.graph).graph.node]


def weight(made, name):
    return next(
        numpy_helper.to_array(w) for w in onnx.load_model_from_string(made.graph).graph.initializer if w.name == name
    )


def drawn(random, *shape):
    return (random.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)


def task(width):
    classes = tuple(f"c{i}" for i in range(width))
    problem = Problem.BINARY if width == 2 else Problem.MULTICLASS
    return Task(
        problem=problem, target="y", aim="accuracy", classes=classes, positive=classes[1] if width == 2 else None
    )


def numbers(random, rows, columns=256):
    """Rows of numbers, with the work that fits them."""
    names = tuple(f"x{i}" for i in range(columns))
    split = Split({name: random.normal(size=rows) for name in names}, np.zeros(rows, np.int64), np.arange(rows))
    schema = Schema(tuple(Column(name=name, kind=Kind.NUMBER) for name in names))
    return split, Work(task=task(3), schema=schema, seed=3)


def dense(random, op="MatMul", columns=256, *, loud=1.0):
    """A net of two layers: numbers to three probabilities; ``loud`` makes one column so many times as large inside."""
    names = tuple(f"x{i}" for i in range(columns))
    x = helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, ["n", columns])
    gain = np.ones(64, np.float32)
    gain[0] = loud
    held = {"w": drawn(random, columns, 64), "v": 4 * drawn(random, 64, 128), "b": drawn(random, 64)}
    held |= {"gain": gain, "u": drawn(random, 128, 3)}
    held["v"][0] /= np.float32(loud)  # what is loud says no more than the rest
    first = ["f", "w", "b"] if op == "Gemm" else ["f", "w"]
    nodes = [
        helper.make_node("Cast", ["numbers"], ["f"], to=FLOAT),
        helper.make_node(op, first, ["h"], "first"),
        helper.make_node("Mul", ["h", "gain"], ["g"]),
        helper.make_node("MatMul", ["g", "v"], ["m"], "second"),
        helper.make_node("Relu", ["m"], ["r"]),
        helper.make_node("MatMul", ["r", "u"], ["o"], "last"),
        helper.make_node("Softmax", ["o"], ["scores"]),
    ]
    return artefact(nodes, held, [x], (Feed("numbers", ("numbers",), names),), 3)


def words(random, *, columns=64, uneven=True):
    """The mean of rows of a table, some of them a hundred times as long as others; inputs ``ids``."""
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "length"])
    table = drawn(random, 500, columns) * np.float32(20)
    if uneven:
        table[::2] *= np.float32(100)
    nodes = [
        helper.make_node("Gather", ["w", "ids"], ["rows"], "words"),
        helper.make_node("ReduceMean", ["rows", "axes"], ["o"], keepdims=0),
        helper.make_node("Identity", ["o"], ["scores"]),
    ]
    return artefact(nodes, {"w": table, "axes": np.array([1], np.int64)}, [ids], (), columns), table


def attending(random):
    """A product over many positions of a row: numbers are laid out as 16 positions of 16."""
    names = tuple(f"x{i}" for i in range(256))
    x = helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, ["n", 256])
    held = {
        "w": drawn(random, 16, 256),
        "shape": np.array([-1, 16, 16]),
        "axes": np.array([1]),
        "u": drawn(random, 256, 3),
    }
    nodes = [
        helper.make_node("Cast", ["numbers"], ["f"], to=FLOAT),
        helper.make_node("Reshape", ["f", "shape"], ["t"]),
        helper.make_node("MatMul", ["t", "w"], ["h"], "positions"),
        helper.make_node("Tanh", ["h"], ["a"]),
        helper.make_node("ReduceMean", ["a", "axes"], ["m"], keepdims=0),
        helper.make_node("MatMul", ["m", "u"], ["o"], "last"),
        helper.make_node("Softmax", ["o"], ["scores"]),
    ]
    return artefact(nodes, held, [x], (Feed("numbers", ("numbers",), names),), 3)


def pictures(random, rows=64, *, dark=False):
    """Images, a small net of convolutions on them, and the work that fits; dark ones have one light point each."""
    cells = np.empty(rows, object)
    for i in range(rows):
        cells[i] = random.integers(0, 6 if dark else 255, (12, 12, 3)).astype(np.uint8)
        if dark:
            cells[i][tuple(random.integers(0, 12, 2))] = 255
    split = Split({"image": cells}, np.zeros(rows, np.int64), np.arange(rows))
    x = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 3, 12, 12])
    held = {
        "w": 2 * drawn(random, 32, 3, 3, 3),
        "shade": np.array(1 / 255, np.float32),
        "v": drawn(random, 32, 32, 3, 3) / np.float32(2),
        "h": drawn(random, 32, 3),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["whole"], to=FLOAT),
        helper.make_node("Mul", ["whole", "shade"], ["f"]),
        helper.make_node("Conv", ["f", "w"], ["a"], "stem", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "v"], ["c"], "body", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["b", "c"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["g"]),
        helper.make_node("MatMul", ["g", "h"], ["o"]),
        helper.make_node("Softmax", ["o"], ["scores"]),
    ]
    options = {"height": 12, "width": 12, "channels": 3}
    made = artefact(nodes, held, [x], (Feed("image", ("image",), ("image",), options),), 3)
    schema = Schema((Column(name="image", kind=Kind.IMAGE),))
    return made, split, Work(task=task(3), schema=schema, seed=3)


def pixels(split):
    return np.stack([cell.transpose(2, 0, 1) for cell in split.columns["image"]])
