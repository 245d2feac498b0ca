"""Handwritten digits of scikit-learn: a weak bundle, a strong one, and labelled rows that neither was trained on."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from steelyard.bundle import About, load, write
from steelyard.contracts import Artefact, Column, Feed, Kind, Problem, Schema, Task
from steelyard.recipe import Train

NAMES = tuple(f"p{i}" for i in range(64))
CLASSES = tuple("0123456789")
TASK = Task(problem=Problem.MULTICLASS, target="digit", aim="accuracy", classes=CLASSES)
TABLE = Schema(tuple(Column(name=name, kind=Kind.NUMBER, low=0.0, high=16.0) for name in NAMES))


def make(home):
    """Return folders, opened bundles, and 1,100 labelled rows as a CSV file, an array and a list of rows."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order], y[order]
    weak = _written(home / "weak", LogisticRegression(C=1.0, max_iter=500).fit(x[:90] / 16, y[:90]))
    strong = _written(home / "strong", LogisticRegression(C=5.0, max_iter=500).fit(x[:690] / 16, y[:690]))
    x, y = x[690:], y[690:]
    file = home / "labelled.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([*NAMES, "digit"])
        writer.writerows([*map(float, row), int(label)] for row, label in zip(x, y, strict=True))
    rows = [dict(zip(NAMES, map(float, row), strict=True)) for row in x]
    return SimpleNamespace(
        weak=weak, strong=strong, cheap=load(weak), dear=load(strong), x=x, y=y, file=file, rows=rows, task=TASK
    )


def _written(folder: Path, model) -> Path:
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "scale"], ["scaled"]),
            helper.make_node("Cast", ["scaled"], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("Gemm", ["cast", "w", "b"], ["linear"]),
            helper.make_node("Softmax", ["linear"], ["scores"], axis=1),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", len(NAMES)])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", len(CLASSES)])],
        [
            numpy_helper.from_array(np.float64(1 / 16), "scale"),
            numpy_helper.from_array(model.coef_.T.astype(np.float32), "w"),
            numpy_helper.from_array(model.intercept_.astype(np.float32), "b"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    artefact = Artefact(made.SerializeToString(), (Feed("numbers", ("x",), NAMES),))
    write(folder, artefact, About(TASK, TABLE, Train(learner="linear"), "f1ngerpr1nt", {}))
    return folder
