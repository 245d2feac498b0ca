"""Bundles of known weight for the benchmarks of serving, made by hand of random weights.

    python benchmarks/serve/bundles.py FOLDER

Each reads 64 numbers: ``tiny`` is one matrix, ``small`` a net of 64-256-256-2 (about 0.02 ms a row in ONNX Runtime),
``big`` one of 64-1600-1600-1600-2 (about 2 ms).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from steelyard.bundle import About, write
from steelyard.contracts import Artefact, Column, Feed, Kind, Problem, Schema, Task
from steelyard.recipe import Train

NUMBERS = 64
LAYERS = {"tiny": (), "small": (256, 256), "big": (1600, 1600, 1600)}
TASK = Task(problem=Problem.BINARY, target="late", aim="roc_auc", classes=("no", "yes"), positive="yes")
NAMES = tuple(f"c{place}" for place in range(NUMBERS))


def net(hidden: tuple[int, ...]) -> Artefact:
    """Return a net of dense layers."""
    random, nodes, weights = np.random.default_rng(0), [], {}
    nodes.append(helper.make_node("Cast", ["x"], ["h0"], to=TensorProto.FLOAT))
    for place, (before, after) in enumerate(zip((NUMBERS, *hidden), (*hidden, 2), strict=True)):
        weights[f"w{place}"] = (random.normal(size=(before, after)) / np.sqrt(before)).astype(np.float32)
        weights[f"b{place}"] = random.normal(size=after).astype(np.float32)
        nodes.append(helper.make_node("Gemm", [f"h{place}", f"w{place}", f"b{place}"], [f"g{place}"]))
        nodes.append(helper.make_node("Relu", [f"g{place}"], [f"h{place + 1}"]))
    nodes[-1] = helper.make_node("Softmax", [f"g{len(hidden)}"], ["scores"], axis=1)
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", NUMBERS])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return Artefact(model.SerializeToString(), (Feed("numbers", ("x",), NAMES),))


def main() -> None:
    schema = Schema(tuple(Column(name=name, kind=Kind.NUMBER, low=0.0, high=1.0) for name in NAMES))
    for name, hidden in LAYERS.items():
        folder = Path(sys.argv[1]) / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        write(folder, net(hidden), About(TASK, schema, Train(learner="mlp"), "random", {}))
        print(folder)


if __name__ == "__main__":
    main()
