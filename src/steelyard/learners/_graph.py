"""ONNX graphs, built node by node, checked when they are sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSETS = {"": 20, "ai.onnx.ml": 3}
"""What the graphs ask for: StringConcat came with 20; 3 is the last with the tree ensembles of every runtime."""
IR_VERSION = 9
"""The file format of opset 20, so that runtimes of that age load the graphs."""
ML = frozenset({"LabelEncoder", "TreeEnsembleRegressor"})

Shape = Sequence[int | str | None]


class Graph:
    """A graph under construction: every method returns the name of a tensor.

    Examples
    --------
    >>> from onnx import TensorProto
    >>> graph = Graph()
    >>> x = graph.input("x", TensorProto.FLOAT, ["n", 2])
    >>> total = graph.add("ReduceSum", x, graph.constant(np.array([1])), output="scores", keepdims=1)
    >>> model = graph.seal((total, TensorProto.FLOAT, ["n", 1]))
    >>> session(model, threads=1).run(None, {"x": np.ones((3, 2), np.float32)})[0].shape
    (3, 1)
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._constants: list[onnx.TensorProto] = []

    def input(self, name: str, kind: int, shape: Shape) -> str:
        """Declare an input; ``kind`` is an element type of :class:`onnx.TensorProto`."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, array: NDArray[Any]) -> str:
        """Store an array in the graph; its dtype is kept, objects become strings."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append a node of one output; attributes that are arrays are stored without a look at each element."""
        output = output or f"{op.lower()}_{len(self._nodes)}"
        self._append(op, inputs, [output], attributes)
        return output

    def add_several(self, op: str, *inputs: str, outputs: int, **attributes: Any) -> tuple[str, ...]:
        """Append a node of several outputs."""
        made = [f"{op.lower()}_{len(self._nodes)}_{place}" for place in range(outputs)]
        self._append(op, inputs, made, attributes)
        return tuple(made)

    def _append(self, op: str, inputs: Sequence[str], outputs: list[str], attributes: dict[str, Any]) -> None:
        domain = "ai.onnx.ml" if op in ML else ""
        long = {name: value for name, value in attributes.items() if isinstance(value, np.ndarray)}
        short = {name: value for name, value in attributes.items() if name not in long}
        node = helper.make_node(op, inputs, outputs, name=f"node_{outputs[0]}", domain=domain, **short)
        for name, values in sorted(long.items()):
            _fill(node.attribute.add(), name, values)
        self._nodes.append(node)

    def seal(self, *outputs: tuple[str, int, Shape]) -> bytes:
        """Return the checked model with the given outputs: name, element type, shape."""
        ends = [helper.make_tensor_value_info(*output) for output in outputs]
        graph = helper.make_graph(self._nodes, "steelyard", self._inputs, ends, self._constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="steelyard")
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


def _fill(attribute: onnx.AttributeProto, name: str, values: NDArray[Any]) -> None:
    """Store an array of whole numbers, floats or bytes in place: ``helper`` takes seconds for the nodes of a forest."""
    attribute.name = name
    match values.dtype.kind:
        case "i":
            attribute.type = onnx.AttributeProto.INTS
            attribute.ints.extend(values.tolist())
        case "f":
            attribute.type = onnx.AttributeProto.FLOATS
            attribute.floats.extend(values.tolist())
        case _:
            attribute.type = onnx.AttributeProto.STRINGS
            attribute.strings.extend(values.tolist())


def session(model: bytes, *, threads: int) -> onnxruntime.InferenceSession:
    """Return a runtime for a model that uses so many threads and prints errors only."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def table(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Return a table of weights with one more row, of zeros, for the id that pads and stands for the unseen.

    Examples
    --------
    >>> table(np.ones((1, 2))).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    return np.vstack([rows, np.zeros((1, rows.shape[1]))]).astype(np.float32)
