"""Write the graphs of the fixed benchmark (``steelyard targets measure``); a test holds them to what this writes.

Their weights are one number each, expanded when a session is made, so that they take a few hundred bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PLACE = Path(__file__).parents[2] / "src/steelyard/devices/graphs"
ROWS, WIDTH = 64, 512
SIDE, CHANNELS = 32, 64
LAYERS = 4


def graphs() -> dict[str, bytes]:
    """Return each graph by name."""
    return {"convolutions": _convolutions(), "products": _products(), "int8": _int8(), "calls": _calls()}


def _convolutions() -> bytes:
    shape = [CHANNELS, CHANNELS, 3, 3]
    nodes = [helper.make_node("Expand", ["weight", "shape"], ["w"])]
    last = "x"
    for layer in range(2):
        nodes.append(helper.make_node("Conv", [last, "w"], [f"c{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        last = f"r{layer}"
    return _model(nodes, [1, CHANNELS, SIDE, SIDE], last, {"weight": np.float32(0.001), "shape": np.array(shape)})


def _products() -> bytes:
    nodes = [helper.make_node("Expand", ["weight", "shape"], ["w"])]
    last = "x"
    for layer in range(LAYERS):
        nodes.append(helper.make_node("MatMul", [last, "w"], [f"y{layer}"]))
        last = f"y{layer}"
    return _model(nodes, [ROWS, WIDTH], last, {"weight": np.float32(0.002), "shape": np.array([WIDTH, WIDTH])})


def _int8() -> bytes:
    nodes = [helper.make_node("Expand", ["weight", "shape"], ["w"])]
    last = "x"
    for layer in range(LAYERS):
        names = [f"q{layer}", f"scale{layer}", f"zero{layer}"]
        nodes += [
            helper.make_node("DynamicQuantizeLinear", [last], names),
            helper.make_node("MatMulInteger", [names[0], "w", names[2], "nothing"], [f"i{layer}"]),
            helper.make_node("Cast", [f"i{layer}"], [f"f{layer}"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [names[1], "step"], [f"s{layer}"]),
            helper.make_node("Mul", [f"f{layer}", f"s{layer}"], [f"y{layer}"]),
        ]
        last = f"y{layer}"
    fixed = {"weight": np.int8(3), "shape": np.array([WIDTH, WIDTH]), "nothing": np.int8(0), "step": np.float32(7e-4)}
    return _model(nodes, [ROWS, WIDTH], last, fixed)


def _calls() -> bytes:
    nodes = [
        helper.make_node("Expand", ["weight", "shape"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Softmax", ["y"], ["p"]),
    ]
    return _model(nodes, [1, 30], "p", {"weight": np.float32(0.1), "shape": np.array([30, 2])})


def _model(
    nodes: list[onnx.NodeProto], shape: list[int], last: str, fixed: dict[str, np.generic | np.ndarray]
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "fixed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, [None] * len(shape))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in fixed.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="")
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


if __name__ == "__main__":
    for name, content in graphs().items():
        (PLACE / f"{name}.onnx").write_bytes(content)
        print(f"{name}.onnx {len(content)} bytes")
