"""A finished graph as a net that can be trained: any model of weights, whichever learner made it.

The package ``onnx2torch`` does the like, but knows opsets up to 18 and neither ``Gelu`` nor what our encoders are made
of, and makes modules that cannot be written back; here the graph stays what it is and only its weights change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from steelyard.learners.nets.graph_operators import OPERATORS, Operator
from steelyard.learners.nets.graph_recurrence import OperatorUnknown

HEAVY = frozenset({"Conv", "Gemm", "MatMul", "Gather"})
"""Operators whose inputs are offered to ``around``."""
WEIGHED = HEAVY | {"BatchNormalization", "GRU", "LSTM", "LayerNormalization"}
"""Operators whose arrays are learnt; what an input is scaled by before the first of them is not."""
LINK = ("Softmax",)
"""What a graph may end in that its loss is better taken before."""

Around = Callable[["Step", int, Tensor], Tensor]
"""From a heavy node, the place of an input and its value to what is computed with instead."""


@dataclass(frozen=True, slots=True)
class Step:
    """A node: its name and operator, the names of what it takes and gives, and its attributes."""

    name: str
    kind: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    given: Mapping[str, Any]
    compute: Operator | None = field(repr=False)
    branches: tuple[Branch, ...] = ()
    """Of an ``If``: what is computed where the condition holds, and where it does not."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A graph inside a graph: its nodes, and the names of what it gives."""

    steps: tuple[Step, ...]
    gives: tuple[str, ...]


def refusal(graph: bytes) -> str | None:
    """Say why a graph cannot be trained, or ``None``."""
    model = onnx.load_model_from_string(graph)
    _, after = _parted(model)
    strange = sorted({kind for node in after for kind in _unknown(node)})
    if strange:
        return f"its graph computes {', '.join(strange[:3])}, which is not trained again"
    return None if _weights(model) else "its graph holds no weights"


def prelude(graph: bytes) -> bytes | None:
    """Return the part of a graph that stands before all weights, where PyTorch cannot compute it (strings, look-ups).

    Its outputs are what :class:`GraphNet` then takes beside those of the graph's own inputs that it still reads;
    ``None`` where the net takes the inputs of the graph as they are.
    """
    model = onnx.load_model_from_string(graph)
    before, after = _parted(model)
    if not before:
        return None
    taken = {name for node in after for name in _taken(node)}
    used = {name for node in before for name in _taken(node)}
    part = onnx.helper.make_graph(
        before,
        "prelude",
        [value for value in model.graph.input if value.name in used],
        [onnx.ValueInfoProto(name=name) for node in before for name in node.output if name in taken],
        [array for array in model.graph.initializer if array.name in used],
    )
    whole = onnx.helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
    return bytes(whole.SerializeToString(deterministic=True))


def _unknown(node: onnx.NodeProto) -> list[str]:
    """Return the operators of a node, and of the graphs inside it, that are unknown here."""
    if node.domain in ("", "ai.onnx") and node.op_type == "If":
        return [kind for attribute in node.attribute for inner in attribute.g.node for kind in _unknown(inner)]
    known = node.domain in ("", "ai.onnx") and (node.op_type in OPERATORS or node.op_type == "Constant")
    return [] if known else [node.op_type]


def _taken(node: onnx.NodeProto) -> list[str]:
    """Return the names of what a node takes; of an ``If`` also what its branches take from around it."""
    found = list(node.input)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            own = {name for inner in attribute.g.node for name in inner.output}
            own |= {array.name for array in attribute.g.initializer}
            found += [name for inner in attribute.g.node for name in _taken(inner) if name not in own]
            found += [value.name for value in attribute.g.output if value.name not in own]
    return found


def _parted(model: onnx.ModelProto) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """Return the nodes that ONNX Runtime is left to compute, and the others.

    The former are those before all weights that are unknown here, and what leads to them.
    """
    nodes = list(model.graph.node)
    makers = {name: place for place, node in enumerate(nodes) for name in node.output}
    touched, todo = set(_weights(model)), list[int]()
    for place, node in enumerate(nodes):
        if touched.intersection(_taken(node)):
            touched.update(node.output)
        elif _unknown(node):
            todo.append(place)
    before = set[int]()
    while todo:
        place = todo.pop()
        before.add(place)
        todo += [makers[name] for name in _taken(nodes[place]) if name in makers and makers[name] not in before]
    return [n for i, n in enumerate(nodes) if i in before], [n for i, n in enumerate(nodes) if i not in before]


class GraphNet(nn.Module):
    """An ONNX graph with the one output ``scores``, executed by PyTorch; its float arrays are parameters.

    Numbers that stand alone (a temperature, an epsilon, what masks padding) stay as they are. Where the graph ends in a
    softmax, the net gives the logits before it.

    Parameters
    ----------
    graph
        The model, serialised.
    around
        Stands between heavy nodes and their inputs, for instance to round them as 8 bits would.

    Attributes
    ----------
    wanted
        Names of values inside the graph that a call keeps in ``kept``.
    steps, result
        The nodes that are computed, in order, and the name of what is returned.
    ends_in_softmax
        Whether the graph goes on with a softmax.

    Raises
    ------
    OperatorUnknown
        If a node is none of :data:`~steelyard.learners.nets.graph_operators.OPERATORS`; see :func:`refusal`.
    """

    def __init__(self, graph: bytes, around: Around | None = None) -> None:
        super().__init__()
        self._model = onnx.load_model_from_string(graph)
        self.around, self.wanted, self.kept = around, frozenset[str](), dict[str, Tensor]()
        learnt = _weights(self._model)
        self._places = {name: f"w{place}" for place, name in enumerate(learnt)}
        self._fixed: dict[str, str] = {}
        numbers = [a for a in self._model.graph.initializer if a.data_type != onnx.TensorProto.STRING]
        for array in numbers:
            value = torch.from_numpy(numpy_helper.to_array(array).copy())
            if array.name in self._places:
                self.register_parameter(self._places[array.name], nn.Parameter(value))
            else:
                self._fix(array.name, value)
        nodes = [node for node in _parted(self._model)[1] if node.op_type != "Constant"]
        self._fix_all(self._model.graph.node)
        self.ends_in_softmax = bool(nodes) and nodes[-1].op_type in LINK
        self.steps = [_step(node) for node in (nodes[:-1] if self.ends_in_softmax else nodes)]
        self.result = nodes[-1].input[0] if self.ends_in_softmax else self._model.graph.output[0].name

    def _fix(self, name: str, value: Tensor) -> None:
        """Hold an array that stays as it is; it goes along to another device."""
        self._fixed[name] = f"c{len(self._fixed)}"
        self.register_buffer(self._fixed[name], value, persistent=False)

    def _fix_all(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Hold the constants among some nodes, and in the branches of these."""
        for node in nodes:
            if node.op_type == "Constant":
                self._fix(node.output[0], _constant(node))
            for attribute in node.attribute:
                for array in attribute.g.initializer:
                    self._fix(array.name, torch.from_numpy(numpy_helper.to_array(array).copy()))
                self._fix_all(attribute.g.node)

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The parameters by the names that the graph gives them."""
        return {name: self.get_parameter(place) for name, place in self._places.items()}

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return logits or values, shape (n, width)."""
        values: dict[str, Tensor] = {name: self.get_buffer(place) for name, place in self._fixed.items()}
        values |= {name: self.get_parameter(place) for name, place in self._places.items()} | dict(inputs)
        self._compute(self.steps, values)
        self.kept = {name: values[name] for name in self.wanted if name in values}
        return values[self.result]

    def _compute(self, steps: Iterable[Step], values: dict[str, Tensor]) -> None:
        """Add to the values those that some nodes give."""
        for step in steps:
            if step.compute is None:
                branch = step.branches[0 if bool(values[step.takes[0]]) else 1]
                self._compute(branch.steps, values)
                values.update(zip(step.gives, (values[name] for name in branch.gives), strict=True))
                continue
            taken = [values[name] if name else None for name in step.takes]
            if self.around is not None and step.kind in HEAVY:
                taken = [x if x is None else self.around(step, place, x) for place, x in enumerate(taken)]
            found = step.compute(step.given, *taken)
            values.update(zip(step.gives, found if isinstance(found, tuple) else (found,), strict=False))

    def write(self) -> bytes:
        """Return the graph with the weights as they are now; nothing else of it has changed."""
        weights = self.weights
        for array in self._model.graph.initializer:
            if array.name in weights:
                value = np.ascontiguousarray(weights[array.name].detach().cpu().float().numpy())
                array.CopyFrom(numpy_helper.from_array(value, array.name))
        return bytes(self._model.SerializeToString(deterministic=True))


def _weights(model: onnx.ModelProto) -> list[str]:
    """Return the names of what is learnt, in order: float arrays of more than one number.

    What scales the inputs is not: an array counts if a node with weights takes it, or one that comes after such a node.
    """
    arrays = {a.name for a in model.graph.initializer if a.data_type == onnx.TensorProto.FLOAT and np.prod(a.dims) > 1}
    learnt: dict[str, None] = {}
    after = set[str]()
    for node in model.graph.node:
        taken = _taken(node)
        if node.op_type in WEIGHED or after.intersection(taken):
            learnt |= dict.fromkeys(name for name in taken if name in arrays)
        if any(name in learnt or name in after for name in taken):
            after.update(node.output)
    return list(learnt)


def _step(node: onnx.NodeProto) -> Step:
    if _unknown(node):
        raise OperatorUnknown(f"a graph that computes {node.op_type} is not trained again")
    if node.op_type == "If":
        graphs = {attribute.name: attribute.g for attribute in node.attribute}
        branches = tuple(_branch(graphs[name]) for name in ("then_branch", "else_branch"))
        return Step(node.name, "If", tuple(_taken(node)), tuple(node.output), {}, None, branches)
    given = {a.name: _attribute(a) for a in node.attribute}
    return Step(node.name, node.op_type, tuple(node.input), tuple(node.output), given, OPERATORS[node.op_type])


def _branch(graph: onnx.GraphProto) -> Branch:
    steps = tuple(_step(node) for node in graph.node if node.op_type != "Constant")
    return Branch(steps, tuple(value.name for value in graph.output))


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return torch.from_numpy(numpy_helper.to_array(value).copy())
    return list(value) if isinstance(value, Sequence) and not isinstance(value, bytes | str) else value


def _constant(node: onnx.NodeProto) -> Tensor:
    value = _attribute(node.attribute[0])
    return value if isinstance(value, Tensor) else torch.tensor(value)
