"""Changing a graph: weights that are held otherwise, nodes that others stand in for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper

DOMAIN = "com.microsoft"
"""Where ONNX Runtime keeps operators of its own."""
LARGE_CONSTANT = 4_096


@dataclass(slots=True)
class Edit:
    """Changes of a graph that are made all at once: a large graph is copied once, not once a change."""

    model: onnx.ModelProto
    front: list[onnx.NodeProto] = field(default_factory=list)
    """Nodes that stand before all others."""
    instead: dict[str, Sequence[onnx.NodeProto]] = field(default_factory=dict)
    """By the name of a node, those that stand in for it."""
    held: list[TensorProto] = field(default_factory=list)
    """Arrays that are added."""

    def done(self) -> None:
        """Make the changes; arrays that nothing reads any more go."""
        graph = self.model.graph
        nodes = [*self.front, *(new for old in graph.node for new in self.instead.get(old.name, [old]))]
        replace_nodes(self.model, nodes)
        made = {name for node in self.front for name in node.output}
        read = {*readers(graph), *(end.name for end in graph.output)}
        kept = [array for array in graph.initializer if array.name in read and array.name not in made]
        if len(kept) < len(graph.initializer):
            copies = [TensorProto.FromString(array.SerializeToString()) for array in kept]
            del graph.initializer[:]
            graph.initializer.extend(copies)
        graph.initializer.extend(self.held)
        if any(node.domain == DOMAIN for node in nodes) and DOMAIN not in {o.domain for o in self.model.opset_import}:
            self.model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def ready(graph: bytes) -> onnx.ModelProto:
    """Return a graph whose nodes bear names of their own, whose large constants are initializers, without old shapes.

    Shapes that an exporter left inside a graph contradict those of a graph that was changed.
    """
    model = onnx.load_model_from_string(graph)
    del model.graph.value_info[:]
    kept = []
    for node in model.graph.node:
        value = node.attribute[0] if node.op_type == "Constant" and node.attribute else None
        if value is not None and value.name == "value" and np.prod(value.t.dims) >= LARGE_CONSTANT:
            array = model.graph.initializer.add()
            array.CopyFrom(value.t)
            array.name = node.output[0]
        else:
            kept.append(node)
    if len(kept) < len(model.graph.node):
        replace_nodes(model, kept)
    seen = set[str]()
    for place, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{place}"
        seen.add(node.name)
    return model


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph that can be changed without the other."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


def readers(graph: onnx.GraphProto) -> Counter[str]:
    """Return how often nodes read each name, those in the branches and loops of a graph too."""
    found = Counter(name for node in graph.node for name in node.input)
    for held in (a for node in graph.node for a in node.attribute):
        for inner in (*((held.g,) if held.HasField("g") else ()), *held.graphs):
            found += readers(inner)
    return found


def replace_nodes(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Give a graph other nodes, its own among them."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    """Return a number among the attributes of a node."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)
