"""One graph at one row, as statements of C: every node is worked out from its inputs, asked for from the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from steelyard.errors import ExportRefused, need
from steelyard.export.c.code import Array, Code
from steelyard.export.c.forests import Levels, oblivious
from steelyard.export.c.operators import HANDLERS, Node
from steelyard.export.c.rounding import Roundings
from steelyard.export.c.tensors import Numbers, Strings, Tensor, store

WAY_OUT = "--to ort and --to onnx take every bundle"


class Translation:
    """The nodes of a graph, and what they have become so far."""

    def __init__(self, code: Code, graph: bytes, inputs: Mapping[str, Tensor], roundings: Roundings) -> None:
        onnx = need("onnx", for_="--to c")
        self._onnx, self._model = onnx, onnx.load_from_string(graph)
        self._code, self._roundings = code, roundings
        self._found: dict[str, Tensor] = dict(inputs)
        for constant in self._model.graph.initializer:
            self._found[constant.name] = onnx.numpy_helper.to_array(constant)
        self._makers = {output: node for node in self._model.graph.node for output in node.output if output}
        self._uses = Counter(name for node in self._model.graph.node for name in set(node.input))

    def scores(self) -> Numbers:
        """Add the statements that lead to the scores.

        Raises
        ------
        ExportRefused
            If a node has no C form.
        """
        found = self.value(self._model.graph.output[0].name)
        if not isinstance(found, Numbers):
            values = np.asarray(found, np.float32) if not isinstance(found, Strings) else np.zeros(0, np.float32)
            return Numbers(values.shape, values.dtype, lambda i: self._code.constant(values, i))
        return store(self._code, found, "scores")

    def value(self, name: str) -> Tensor:
        """Return what a tensor is; what several nodes read is worked out once."""
        if name not in self._found:
            made = self._made(self._makers[name], name)
            if isinstance(made, Numbers) and self._uses[name] > 1:
                made = store(self._code, made)
            self._found[name] = made
        return self._found[name]

    def _made(self, node: Any, name: str) -> Tensor:
        if node.op_type == "ReduceSum" and (found := self._oblivious(node)) is not None:
            return found
        handler = HANDLERS.get(node.op_type)
        if handler is None:
            raise ExportRefused(f"the graph's operator {node.op_type} has no C form here; {WAY_OUT}")
        inputs = [self.value(each) if each else None for each in node.input]
        if not any(isinstance(each, Numbers | Strings) for each in inputs):
            return self._folded(node, inputs)
        attributes = {each.name: _attribute(self._onnx, each) for each in node.attribute}
        weights = next((self._roundings[each] for each in (name, *node.input) if each in self._roundings), None)
        return handler(self._code, Node(node.op_type, inputs, attributes, weights))

    def _folded(self, node: Any, inputs: list[Any]) -> Array:
        """Return what a node makes of constants."""
        evaluator = need("onnx.reference", for_="--to c").ReferenceEvaluator(node)
        return np.asarray(evaluator.run(None, dict(zip(node.input, inputs, strict=True)))[0])

    def _oblivious(self, total: Any) -> Numbers | None:
        """Return the sums of oblivious trees where a node is the last of theirs (see ``learners/_oblivious.py``)."""
        chain = [total]
        for op, side in (("Gather", 0), ("Add", 1), ("Reshape", 0), ("MatMulInteger", 0), ("Reshape", 1)):
            before = self._makers.get(chain[-1].input[side])
            if before is None or before.op_type != op:
                return None
            chain.append(before)
        _, found, place, *_ = chain
        for op in ("Gather", "Cast", "Greater", "Gather", "Transpose"):
            before = self._makers.get(chain[-1].input[0])
            if before is None or before.op_type != op:
                return None
            chain.append(before)
        spelt, _, above, cells, turned = chain[-5:]
        known = {each: self._found.get(each) for each in (found.input[0], place.input[1], spelt.input[1])}
        known |= {each: self._found.get(each) for each in (above.input[1], cells.input[1])}
        if not all(isinstance(each, np.ndarray) for each in known.values()):
            return None
        places = np.asarray(known[spelt.input[1]], np.int64)
        matrix = self.value(turned.input[0])
        assert isinstance(matrix, Numbers), "trees ask about the row"
        trees = Levels(
            columns=np.asarray(known[cells.input[1]], np.int64).ravel()[places],
            borders=np.asarray(known[above.input[1]], np.float32).ravel()[places],
            starts=np.asarray(known[place.input[1]], np.int64).ravel(),
            leaves=np.asarray(known[found.input[0]], np.float64),
        )
        return oblivious(self._code, matrix, trees, self._roundings.get(found.input[0]))


def _attribute(onnx: Any, attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if not isinstance(value, list):
        return value
    return np.array(value, object) if value and isinstance(value[0], bytes) else np.array(value)
