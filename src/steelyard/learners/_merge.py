"""Several artefacts as one: their graphs side by side, what they have in common once, and the mean of their scores.

Trees of several models in one node, each model with a target of its own, were tried: for five models of 200 trees a
row takes as long as with five nodes, so graphs are joined as they are, whatever they are made of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import onnx
from onnx import helper

from steelyard.contracts import Artefact, Feed
from steelyard.errors import SteelyardError

SCORES = "scores"


class GraphsUnlike(SteelyardError):
    """Graphs that cannot stand in one model."""


def mean_of(artefacts: Sequence[Artefact]) -> Artefact:
    """Return one artefact whose scores are the mean of those of several.

    Feeds of the same front end, columns, options and files fill one input; equal weights are kept once, and nodes
    that compute the same from the same are run once, so that a preprocessing that the members share is not repeated.

    Raises
    ------
    GraphsUnlike
        If there are none, their operator sets differ, or one has loops or branches.
    """
    if not artefacts:
        raise GraphsUnlike("there is nothing to average; give at least one model")
    models = [onnx.load_model_from_string(artefact.graph) for artefact in artefacts]
    opsets = {opset.domain: opset.version for model in models for opset in model.opset_import}
    if any(opsets[opset.domain] != opset.version for model in models for opset in model.opset_import):
        raise GraphsUnlike("the models use different versions of one operator set; export them by one learner")
    joint = _Joint()
    ends = [joint.take(model, artefact) for model, artefact in zip(models, artefacts, strict=True)]
    mean = helper.make_node("Mean", ends, [SCORES], name="mean")
    graph = helper.make_graph(
        [*joint.nodes, mean], "steelyard", joint.inputs, list(models[0].graph.output), joint.constants
    )
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in sorted(opsets.items())],
        ir_version=max(model.ir_version for model in models),
        producer_name="steelyard",
    )
    onnx.checker.check_model(made)
    return Artefact(bytes(made.SerializeToString(deterministic=True)), tuple(joint.feeds), joint.files)


@dataclass(slots=True)
class _Joint:
    """A graph that takes in others, piece by piece; ``_known`` holds the name of each piece by its content."""

    feeds: list[Feed] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    _known: dict[tuple[object, ...], tuple[str, ...]] = field(default_factory=dict)

    def take(self, model: onnx.ModelProto, artefact: Artefact) -> str:
        """Add what is new of a model; return the tensor that holds its scores."""
        names = {"": ""}  # an input that a node leaves out
        ends = {end.name: end for end in model.graph.input}
        for feed in artefact.feeds:
            names.update(self._feed(feed, artefact, ends))
        for constant in model.graph.initializer:
            names[constant.name] = self._constant(constant)
        for node in model.graph.node:
            names.update(self._node(node, names))
        return names[SCORES]

    def _feed(self, feed: Feed, artefact: Artefact, ends: dict[str, onnx.ValueInfoProto]) -> dict[str, str]:
        """Return the names under which a feed's inputs stand here."""
        own = {name: self._file(name, artefact.files[name]) for name in artefact.files if _names(feed, name)}
        options = {
            key: own.get(value, value) if isinstance(value, str) else value for key, value in feed.options.items()
        }
        shapes = tuple(ends[name].type.SerializeToString(deterministic=True) for name in feed.inputs)
        key = ("feed", feed.front_end, feed.columns, json.dumps(options, sort_keys=True), shapes)
        if key not in self._known:
            taken = {end.name for end in self.inputs}
            fresh = tuple(_fresh(name, taken) for name in feed.inputs)
            self.feeds.append(replace(feed, inputs=fresh, options=options))
            place = len(self.feeds)
            self.inputs += [_renamed(ends[old], new, place) for old, new in zip(feed.inputs, fresh, strict=True)]
            self._known[key] = fresh
        return dict(zip(feed.inputs, self._known[key], strict=True))

    def _file(self, name: str, content: bytes) -> str:
        same = next((known for known, held in self.files.items() if held == content), None)
        if same is None:
            same = _fresh(name, self.files)
            self.files[same] = content
        return same

    def _constant(self, constant: onnx.TensorProto) -> str:
        nameless = onnx.TensorProto()
        nameless.CopyFrom(constant)
        nameless.name = ""
        key = ("constant", nameless.SerializeToString(deterministic=True))
        if key not in self._known:
            nameless.name = f"weight_{len(self.constants)}"
            self.constants.append(nameless)
            self._known[key] = (nameless.name,)
        return self._known[key][0]

    def _node(self, node: onnx.NodeProto, names: dict[str, str]) -> dict[str, str]:
        """Return the names under which a node's outputs stand here."""
        if any(a.type in {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS} for a in node.attribute):
            raise GraphsUnlike(f"a graph with {node.op_type}, which holds graphs of its own, cannot be joined")
        attributes = tuple(sorted(a.SerializeToString(deterministic=True) for a in node.attribute))
        read = tuple(names[name] for name in node.input)
        gives = tuple(bool(name) for name in node.output)
        key = ("node", node.domain, node.op_type, read, attributes, gives)
        if key not in self._known:
            own = onnx.NodeProto()
            own.CopyFrom(node)
            place = len(self.nodes)
            made = tuple(f"value_{place}_{i}" if given else "" for i, given in enumerate(gives))
            del own.input[:], own.output[:]
            own.input.extend(read)
            own.output.extend(made)
            own.name = f"node_{place}"
            self.nodes.append(own)
            self._known[key] = made
        return dict(zip(node.output, self._known[key], strict=True))


def _names(feed: Feed, file: str) -> bool:
    return any(value == file for value in feed.options.values())


def _fresh(name: str, taken: Iterable[str]) -> str:
    """Return the name, or the first of name_2, name_3, ... that is free; the ending of a file stays."""
    stem, dot, ending = name.partition(".")
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{stem}_{number}{dot}{ending}"
    return found


def _renamed(end: onnx.ValueInfoProto, name: str, feed: int) -> onnx.ValueInfoProto:
    """Return an input of another name; sizes are named by its feed, since equal names mean equal sizes."""
    own = onnx.ValueInfoProto()
    own.CopyFrom(end)
    own.name = name
    for dimension in list(own.type.tensor_type.shape.dim)[1:]:
        if dimension.dim_param:
            dimension.dim_param = f"{dimension.dim_param}_{feed}"
    return own
