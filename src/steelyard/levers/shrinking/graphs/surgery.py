"""A graph under change: who makes a tensor, who reads it, what is constant; closed again without what nobody reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

MICROSOFT = "com.microsoft"
"""The domain of the operators that ONNX Runtime knows beside the standard ones."""


class Surgery:
    """One graph, opened to be changed; constants of every form are initializers here.

    Nodes may be changed in place; :meth:`look` sees the changes afterwards, and every method that adds, replaces or
    removes something looks by itself.

    Examples
    --------
    >>> from steelyard.learners._graph import Graph
    >>> graph = Graph()
    >>> x = graph.input("x", onnx.TensorProto.FLOAT, ["n", 2])
    >>> unread = graph.add("Exp", x)
    >>> sums = graph.add("MatMul", x, graph.constant(np.ones((2, 1), np.float32)), output="scores")
    >>> opened = Surgery(graph.seal((sums, onnx.TensorProto.FLOAT, ["n", 1])))
    >>> opened.maker["scores"].op_type, [node.op_type for node in opened.readers["x"]]
    ('MatMul', ['Exp', 'MatMul'])
    >>> [node.op_type for node in Surgery(opened.close()).nodes]
    ['MatMul']
    """

    maker: dict[str, onnx.NodeProto]
    """The node that makes a tensor."""
    readers: dict[str, list[onnx.NodeProto]]
    """The nodes that read a tensor, a graph inside one of them included, in order."""
    held: dict[str, onnx.TensorProto]
    """Constant tensors."""

    def __init__(self, graph: bytes) -> None:
        self.model = onnx.load_model_from_string(graph)
        self._constants_to_initializers()
        self.look()

    @property
    def nodes(self) -> tuple[onnx.NodeProto, ...]:
        """The nodes in their order."""
        return tuple(self.model.graph.node)

    @property
    def ends(self) -> frozenset[str]:
        """The names of inputs and outputs, which may not change."""
        return frozenset(end.name for end in (*self.model.graph.input, *self.model.graph.output))

    def look(self) -> None:
        """See the graph as it is now."""
        graph = self.model.graph
        self.held = {tensor.name: tensor for tensor in graph.initializer}
        self.maker = {name: node for node in graph.node for name in node.output if name}
        self.readers = {}
        for node in graph.node:
            for name in dict.fromkeys(reads(node)):
                self.readers.setdefault(name, []).append(node)
        self._names = {*self.held, *self.maker, *self.readers, *self.ends}

    def value(self, name: str) -> NDArray[Any] | None:
        """Return a constant; ``None`` where the tensor is computed."""
        return numpy_helper.to_array(self.held[name]) if name in self.held else None

    def alone(self, name: str) -> onnx.NodeProto | None:
        """Return the only reader of a tensor; ``None`` where there are several, or it is an end itself."""
        found = self.readers.get(name, [])
        return found[0] if len(found) == 1 and name not in self.ends else None

    def name(self, hint: str) -> str:
        """Return a name that no tensor has yet."""
        made = next(one for one in _tries(hint) if one not in self._names)
        self._names.add(made)
        return made

    def hold(self, array: NDArray[Any], hint: str) -> str:
        """Add a constant; returns its name."""
        name = self.name(hint)
        tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        self.model.graph.initializer.append(tensor)
        self.held[name] = self.model.graph.initializer[-1]
        return name

    def swap(self, name: str, array: NDArray[Any]) -> None:
        """Put another value in the place of a constant."""
        self.held[name].CopyFrom(numpy_helper.from_array(array, name))

    def put(self, node: onnx.NodeProto, instead: Iterable[onnx.NodeProto]) -> None:
        """Put nodes in the place of one."""
        nodes = self.model.graph.node
        place = next(i for i, one in enumerate(nodes) if one.output == node.output)
        after = [*instead, *nodes[place + 1 :]]
        del nodes[place:]
        nodes.extend(after)
        self.look()

    def rename(self, old: str, new: str) -> None:
        """Let every reader of a tensor read another one."""
        for node in self.readers.get(old, []):
            _rename(node, old, new)
        self.look()

    def drop_unread(self) -> None:
        """Remove what no output needs: nodes, constants, and shapes that were noted for them."""
        graph = self.model.graph
        needed = {end.name for end in graph.output}
        kept = []
        for node in reversed(graph.node):
            if needed.intersection(node.output):
                needed.update(reads(node))
                kept.append(node)
        del graph.node[:]
        graph.node.extend(reversed(kept))
        constants = [tensor for tensor in graph.initializer if tensor.name in needed]
        del graph.initializer[:]
        graph.initializer.extend(constants)
        del graph.value_info[:]
        self.look()

    def close(self) -> bytes:
        """Return the graph without what is not needed, importing the sets of operators that it uses alone."""
        self.drop_unread()
        used = {_domain(node.domain) for node in every(self.model.graph)} | {""}
        versions = {_domain(one.domain): one.version for one in self.model.opset_import} | {MICROSOFT: 1}
        del self.model.opset_import[:]
        known = [helper.make_opsetid(name, versions[name]) for name in sorted(used)]
        self.model.opset_import.extend(known)
        return bytes(self.model.SerializeToString(deterministic=True))

    def _constants_to_initializers(self) -> None:
        graph, kept = self.model.graph, []
        for node in graph.node:
            value = constant_of(node)
            if value is None or node.output[0] in {end.name for end in graph.output}:
                kept.append(node)
            else:
                graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        del graph.node[:]
        graph.node.extend(kept)


def constant_of(node: onnx.NodeProto) -> NDArray[Any] | None:
    """Return what a node ``Constant`` holds; ``None`` for any other."""
    if node.op_type != "Constant" or _domain(node.domain):
        return None
    (attribute,) = node.attribute
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return numpy_helper.to_array(value)
    kinds = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}
    return np.array(value, kinds[attribute.name]) if attribute.name in kinds else None


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Return an attribute of a node, or a default where it is absent."""
    found = next((one for one in node.attribute if one.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def every(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph and of the graphs inside them."""
    for node in graph.node:
        yield node
        for inner in _inside(node):
            yield from every(inner)


def reads(node: onnx.NodeProto) -> list[str]:
    """Return the tensors that a node reads, also those that graphs inside it take from outside."""
    names = [name for name in node.input if name]
    for inner in _inside(node):
        own = {one.name for one in (*inner.input, *inner.initializer)}
        own |= {name for one in inner.node for name in one.output}
        names += [end.name for end in inner.output if end.name not in own]
        names += [name for one in inner.node for name in reads(one) if name not in own]
    return names


def _inside(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [
        graph for one in node.attribute for graph in ([one.g] if one.type == onnx.AttributeProto.GRAPH else one.graphs)
    ]


def _rename(node: onnx.NodeProto, old: str, new: str) -> None:
    for place, name in enumerate(node.input):
        if name == old:
            node.input[place] = new
    for inner in _inside(node):
        for one in inner.node:
            _rename(one, old, new)
        for end in inner.output:
            end.name = new if end.name == old else end.name


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _tries(hint: str) -> Iterator[str]:
    yield hint
    number = 2
    while True:
        yield f"{hint}_{number}"
        number += 1
