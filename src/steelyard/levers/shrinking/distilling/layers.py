"""The layers of a graph: stretches of nodes that are alike and stand one behind another; and a graph with fewer.

Nothing is known here of any architecture. Layers are found as what repeats: the same operators with weights of the
same shapes, joined in the same way, where a single tensor goes from each stretch to the next. What every layer reads
beside it (a mask, say) was made before the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import numpy_helper

SMALLEST = 4
"""Nodes of a stretch that is worth calling a layer."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One of several alike: its nodes, from ``start`` to before ``end``, and the tensors that enter and leave it."""

    start: int
    end: int
    enters: str
    leaves: str


def layers_of(model: onnx.ModelProto) -> list[Layer]:
    """Return the layers of a graph, first to last; none where nothing repeats.

    Of all that repeats, it is what covers most nodes; of equals the one with most layers, then the one that begins last
    (where a norm ends a layer, so that what leaves one is normalised).
    """
    net = _Net.of(model)
    best: list[Layer] = []
    for start in range(1, len(net.marks)):
        for size in net.periods(start):
            found = net.run(start, size)
            if len(found) > 1 and _merit(found) >= _merit(best):
                best = found
    return best


def evenly(layers: int, kept: int) -> tuple[int, ...]:
    """Return which of some layers stay, evenly spaced, the last always among them.

    Examples
    --------
    >>> evenly(6, 3), evenly(6, 2), evenly(12, 4)
    ((1, 3, 5), (2, 5), (2, 5, 8, 11))
    """
    return tuple(math.ceil((place + 1) * layers / kept) - 1 for place in range(kept))


def without(model: onnx.ModelProto, layers: Sequence[Layer], kept: Sequence[int]) -> onnx.ModelProto:
    """Return a graph in which some of its layers alone are left; what entered a dropped one goes on behind it."""
    dropped = [layer for place, layer in enumerate(layers) if place not in kept]
    gone = {node for layer in dropped for node in range(layer.start, layer.end)}
    instead = {layer.leaves: layer.enters for layer in dropped}
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    nodes = [node for place, node in enumerate(graph.node) if place not in gone]
    for node in nodes:
        for place, name in enumerate(node.input):
            while name in instead:
                name = instead[name]  # noqa: PLW2901 - followed to where it comes from
            node.input[place] = name
    read = {name for node in nodes for name in node.input}
    weights = [array for array in graph.initializer if array.name in read]
    _refill(graph, nodes, weights)
    return made


def _refill(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> None:
    copied = onnx.GraphProto(node=nodes, initializer=weights)
    for name in ("node", "initializer", "value_info"):
        graph.ClearField(name)
    graph.node.extend(copied.node)
    graph.initializer.extend(copied.initializer)


def _merit(layers: Sequence[Layer]) -> tuple[int, int, int]:
    return (layers[-1].end - layers[0].start, len(layers), layers[0].start) if layers else (0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Net:
    """A graph as far as layers are looked for in it."""

    nodes: Sequence[onnx.NodeProto]
    marks: Sequence[str]
    """What each node does and with weights of which shapes, as text."""
    made: Mapping[str, int]
    """By tensor the node that makes it."""
    last: Mapping[str, int]
    """By tensor the last node that reads it."""
    arrays: Mapping[str, str]
    """By constant what tells it from others: its shape, of one number or a whole one its values."""

    @classmethod
    def of(cls, model: onnx.ModelProto) -> _Net:
        """Return the net of a model, with what makes and what last reads each value."""
        nodes = list(model.graph.node)
        arrays = {array.name: _told(array) for array in model.graph.initializer}
        made = {name: place for place, node in enumerate(nodes) for name in node.output}
        last = {name: place for place, node in enumerate(nodes) for name in node.input}
        last |= dict.fromkeys((value.name for value in model.graph.output), len(nodes))
        return cls(nodes, [_mark(node, arrays) for node in nodes], made, last, arrays)

    def periods(self, start: int) -> Iterator[int]:
        """Yield the sizes with which something may repeat from a node on."""
        for place in range(start + SMALLEST, start + (len(self.marks) - start) // 2 + 1):
            if (
                self.marks[place] == self.marks[start]
                and self.marks[start:place] == self.marks[place : 2 * place - start]
            ):
                yield place - start

    def run(self, start: int, size: int) -> list[Layer]:
        """Return as many stretches of a size as follow one another from a node on, alike in how they are joined."""
        found, first, enters, joints = list[Layer](), start, self._handed(0, start), ""
        while enters is not None and start + size <= len(self.nodes):
            leaves, own = self._handed(start, start + size), self._joints(start, size, enters, first)
            if leaves is None or (found and own != joints):
                break
            found.append(Layer(start, start + size, enters, leaves))
            start, enters, joints = start + size, leaves, own
        return found

    def _handed(self, start: int, end: int) -> str | None:
        """Return the output of the node before ``end``; ``None`` unless it alone of the stretch is read from there on.

        Before the first layer others may be: they are what all layers share.
        """
        outputs = self.nodes[end - 1].output
        crossing = [n for node in self.nodes[start:end] for n in node.output if self.last.get(n, -1) >= end]
        if len(outputs) != 1 or outputs[0] not in crossing or (start and len(crossing) > 1):
            return None
        return str(outputs[0])

    def _joints(self, start: int, size: int, enters: str, first: int) -> str:
        """Return how the nodes of a stretch are joined, the same for stretches that are alike."""
        return ";".join(
            ",".join(self._joint(name, start, enters, first) for name in node.input)
            for node in self.nodes[start : start + size]
        )

    def _joint(self, name: str, start: int, enters: str, first: int) -> str:
        if name == enters:
            return "in"
        if name in self.arrays:
            return "weight"
        place = self.made.get(name, -1)
        return f"{place - start}" if place >= first else name


def _mark(node: onnx.NodeProto, arrays: Mapping[str, str]) -> str:
    attributes = sorted(attribute.SerializeToString(deterministic=True).hex() for attribute in node.attribute)
    return " ".join([node.domain, node.op_type, *attributes, *(arrays.get(name, "-") for name in node.input)])


def _told(array: onnx.TensorProto) -> str:
    values = numpy_helper.to_array(array)
    if values.dtype.kind == "f" and values.size > 1:
        return f"{values.dtype}{values.shape}"
    return f"{values.dtype}{values.tolist()}" if values.size <= 16 else f"{values.dtype}{values.shape}"
