"""Small bundles of each kind, made by hand so that no learner is needed."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.bundle import About, Joined, load, write
from steelyard.bundle.front_ends.text import Analyser, write_vocabulary
from steelyard.contracts import Artefact, Column, Feed, Kind, Problem, Schema, Task
from steelyard.recipe import Combine, Train

BINARY = Task(problem=Problem.BINARY, target="late", aim="roc_auc", classes=("no", "yes"), positive="yes")
PRICE = Task(problem=Problem.REGRESSION, target="price", aim="rmse")
TABLE = Schema(
    (
        Column(name="age", kind=Kind.NUMBER, low=0.0, high=90.0),
        Column(name="when", kind=Kind.TIME, low=0.0, high=1e9),
        Column(name="city", kind=Kind.CATEGORY),
        Column(name="note", kind=Kind.TEXT),
        Column(name="photo", kind=Kind.IMAGE),
        Column(name="unused", kind=Kind.NUMBER),
        Column(name="number", kind=Kind.ID),
    )
)
WORDS = Analyser(high=2)


class Maker:
    """Makes graphs, artefacts and bundles by hand."""

    task, price, schema = BINARY, PRICE, TABLE

    @staticmethod
    def weights(*shape, seed=0):
        return np.random.default_rng(seed).normal(size=shape).astype(np.float32)

    @staticmethod
    def model(nodes, inputs, initial, width, *, opsets=(("", 21),), functions=()):
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", width])],
            [numpy_helper.from_array(values, name) for name, values in initial.items()],
        )
        imports = [helper.make_opsetid(*opset) for opset in opsets]
        return helper.make_model(graph, opset_imports=imports, ir_version=10, functions=list(functions))

    def numbers(self, columns=("age",), width=2, *, seed=0, end="Softmax", extra=()):
        """Numbers to scores by one matrix; NaN counts as 0."""
        initial = {
            "scale": np.float64(0.01),
            "zero": np.float32(0),
            "w": self.weights(len(columns), width, seed=seed),
            "b": self.weights(width, seed=seed + 1),
        }
        nodes = [
            helper.make_node("Mul", ["x", "scale"], ["scaled"]),
            helper.make_node("Cast", ["scaled"], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("IsNaN", ["cast"], ["missing"]),
            helper.make_node("Where", ["missing", "zero", "cast"], ["clean"]),
            helper.make_node("Gemm", ["clean", "w", "b"], ["linear"]),
            *(extra or [helper.make_node(end, ["linear"], ["scores"], **({"axis": 1} if end == "Softmax" else {}))]),
        ]
        return self.model(nodes, [("x", TensorProto.DOUBLE, ["n", len(columns)])], initial, width)

    def artefact(self, columns=("age",), width=2, **more):
        graph = self.numbers(columns, width, **more).SerializeToString()
        return Artefact(graph, (Feed("numbers", ("x",), tuple(columns)),))

    def mixed(self):
        """Numbers, a category and text in one graph."""
        grams = ["late", "never", "kind", "客", "the parcel"]
        table = np.vstack([self.weights(len(grams), 2), np.zeros((1, 2), np.float32)])
        nodes = [
            helper.make_node("Cast", ["x"], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("IsNaN", ["cast"], ["missing"]),
            helper.make_node("Where", ["missing", "zero", "cast"], ["clean"]),
            helper.make_node("Mul", ["clean", "tiny"], ["small"]),
            helper.make_node("MatMul", ["small", "w"], ["of_numbers"]),
            helper.make_node(
                "LabelEncoder",
                ["s"],
                ["code"],
                domain="ai.onnx.ml",
                keys_strings=["a", "b"],
                values_floats=[1.0, 2.0],
                default_float=0.0,
            ),
            helper.make_node("MatMul", ["code", "v"], ["of_city"]),
            helper.make_node("Gather", ["table", "ids"], ["rows"]),
            helper.make_node("Unsqueeze", ["counts", "last"], ["weights"]),
            helper.make_node("Mul", ["rows", "weights"], ["weighted"]),
            helper.make_node("ReduceSum", ["weighted", "middle"], ["of_text"], keepdims=0),
            helper.make_node("Sum", ["of_numbers", "of_city", "of_text"], ["linear"]),
            helper.make_node("Softmax", ["linear"], ["scores"], axis=1),
        ]
        initial = {
            "zero": np.float32(0),
            "tiny": np.float32(1e-9),
            "w": self.weights(2, 2),
            "v": self.weights(1, 2),
            "table": table,
            "last": np.array([2]),
            "middle": np.array([1]),
        }
        inputs = [
            ("x", TensorProto.DOUBLE, ["n", 2]),
            ("s", TensorProto.STRING, ["n", 1]),
            ("ids", TensorProto.INT64, ["n", "l"]),
            ("counts", TensorProto.FLOAT, ["n", "l"]),
        ]
        graph = self.model(nodes, inputs, initial, 2, opsets=[("", 21), ("ai.onnx.ml", 4)])
        feeds = (
            Feed("numbers", ("x",), ("age", "when")),
            Feed("strings", ("s",), ("city",)),
            Feed("counts", ("ids", "counts"), ("note",), {"vocabulary": "words.json", **WORDS.options()}),
        )
        return Artefact(graph.SerializeToString(), feeds, {"words.json": write_vocabulary(grams)})

    def image(self):
        """The mean of each colour to scores."""
        nodes = [
            helper.make_node("Cast", ["pixels"], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["cast", "sides"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "scale"], ["small"]),
            helper.make_node("MatMul", ["small", "w"], ["linear"]),
            helper.make_node("Softmax", ["linear"], ["scores"], axis=1),
        ]
        initial = {"sides": np.array([2, 3]), "scale": np.float32(1 / 255), "w": self.weights(3, 2)}
        graph = self.model(nodes, [("pixels", TensorProto.UINT8, ["n", 3, 8, 8])], initial, 2)
        feed = Feed("image", ("pixels",), ("photo",), {"height": 8, "width": 8, "channels": 3})
        return Artefact(graph.SerializeToString(), (feed,))

    def about(self, task=BINARY, **extra):
        return About(task, TABLE, Train(learner="linear"), "f1ngerpr1nt", extra)

    def write(self, folder: Path, model=None, task=BINARY) -> Path:
        write(folder, self.artefact() if model is None else model, self.about(task))
        return folder

    def joined(self, folder: Path, rule, *members: Path, task=BINARY) -> Path:
        about = About(task, TABLE, Combine(lever="ensemble", parents=(Train(learner="linear"),)), "f1ngerpr1nt")
        write(folder, Joined(rule, members), about)
        return folder


@pytest.fixture(scope="session")
def make():
    return Maker()


@pytest.fixture(scope="session")
def ready(make, tmp_path_factory):
    """One bundle of each kind, by name."""
    home = tmp_path_factory.mktemp("bundles")
    first = make.write(home / "numbers")
    second = make.write(home / "mixed", make.mixed())
    return {
        "numbers": first,
        "mixed": second,
        "image": make.write(home / "image", make.image()),
        "regression": make.write(home / "regression", make.artefact(width=1, end="Identity"), PRICE),
        "blend": make.joined(home / "blend", {"rule": "blend", "weights": [1, 3]}, first, second),
        "threshold": make.joined(
            home / "threshold",
            {"rule": "threshold", "positive": 1, "at": 0.3},
            make.joined(home / "inner", {"rule": "blend", "weights": [2, 1]}, first, second),
        ),
    }


@pytest.fixture(params=["numbers", "mixed", "image", "regression", "blend", "threshold"])
def folder(request, ready):
    """Each kind of bundle in turn; not to be changed."""
    return ready[request.param]


@pytest.fixture
def bundle(folder):
    return load(folder)


@pytest.fixture
def copy(ready, tmp_path):
    """Return a function that copies a bundle so that it can be damaged."""

    def copied(name="mixed"):
        return Path(shutil.copytree(ready[name], tmp_path / name))

    return copied


@pytest.fixture
def parsed():
    """Return a function that reads a graph with the onnx package, to change it."""
    return onnx.load_from_string
