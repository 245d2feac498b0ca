"""An ONNX model of somebody else's as a bundle's graph: its inputs filled from named columns, its output one table.

Inputs may be one matrix of all columns, or one tensor a column, as skl2onnx writes them. Of the outputs the
probabilities are kept (a ``ZipMap`` is taken off), or the predicted value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from steelyard.contracts import Artefact, Feed, Kind, Problem, Schema, Task
from steelyard.errors import BundleRefused, nearest

NUMBERS, STRINGS, SCORES = "steelyard_numbers", "steelyard_strings", "scores"
_TEXTUAL = frozenset({Kind.CATEGORY})
_NUMERIC = frozenset({Kind.NUMBER, Kind.TIME})
_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16}


@dataclass(frozen=True, slots=True)
class _Input:
    """One input of the model, and which of the columns it takes."""

    name: str
    kind: int
    rank: int
    columns: tuple[str, ...]


def artefact_of(
    content: bytes, columns: Sequence[str], task: Task, schema: Schema, classes: Sequence[str] = ()
) -> Artefact:
    """Return a bundle's graph that answers as an ONNX model does.

    Parameters
    ----------
    content : bytes
        The model, its weights inside.
    columns : sequence of str
        The columns it reads, in its order; those of a model with one input a column are matched by name first.
    task : Task
        What it predicts.
    schema : Schema
        The columns of the table and their kinds.
    classes : sequence of str, optional
        Names of its classes in the order of its probabilities; otherwise as the model says, or as the task sorts them.

    Raises
    ------
    BundleRefused
        If it is no ONNX model, its inputs do not fit the columns, or its outputs the task.
    """
    try:
        model = onnx.load_from_string(content)
    except DecodeError:
        raise BundleRefused("the file is no ONNX model; export it again") from None
    known = {column.name: column.kind for column in schema.features}
    for name in columns:
        if name not in known:
            raise BundleRefused(f"the data has no column {name!r} that a model may read{nearest(name, known)}")
    graph = model.graph
    inputs = _inputs(graph, tuple(columns))
    feeds, head = _heads(inputs, known)
    tail = _tail(graph, task, tuple(classes))
    made = _joined(model, feeds, head, tail, task)
    return Artefact(made, tuple(Feed(front, (name,), names) for front, name, names in feeds))


def _inputs(graph: onnx.GraphProto, columns: tuple[str, ...]) -> list[_Input]:
    """Return the inputs with the columns that each takes."""
    stored = {tensor.name for tensor in graph.initializer}
    found = [value for value in graph.input if value.name not in stored]
    if len(found) == 1:
        return [_read(found[0], columns)]
    if len(found) != len(columns):
        names = ", ".join(value.name for value in found)
        raise BundleRefused(
            f"the model has {len(found)} inputs ({names}) and {len(columns)} columns are named; name one column for "
            "each input"
        )
    by_name = {value.name for value in found} == set(columns)
    return [_read(v, (v.name if by_name else column,)) for v, column in zip(found, columns, strict=True)]


def _read(value: onnx.ValueInfoProto, columns: tuple[str, ...]) -> _Input:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise BundleRefused(f"input {value.name!r} of the model is no tensor; export it with tensors as inputs")
    rank = len(tensor.shape.dim) if tensor.HasField("shape") else 2
    if rank not in (1, 2) or (rank == 1 and len(columns) > 1):
        raise BundleRefused(f"input {value.name!r} of the model has {rank} sides; one or two are known here")
    if rank == 2 and tensor.HasField("shape"):
        width = tensor.shape.dim[1].dim_value
        if width not in (0, len(columns)):
            raise BundleRefused(f"input {value.name!r} takes {width} columns, and {len(columns)} are named; name them")
    return _Input(value.name, tensor.elem_type, rank, columns)


def _heads(
    inputs: Sequence[_Input], known: dict[str, Kind]
) -> tuple[list[tuple[str, str, tuple[str, ...]]], list[onnx.NodeProto]]:
    """Return the feeds (front end, input, columns), and the nodes that lead from them to the model's inputs."""
    groups: dict[str, list[str]] = {NUMBERS: [], STRINGS: []}
    for each in inputs:
        textual = each.kind == TensorProto.STRING
        for name in each.columns:
            if known[name] not in (_TEXTUAL if textual else _NUMERIC):
                takes = "words" if textual else "numbers"
                raise BundleRefused(
                    f"the model takes {takes} for column {name!r}, which is a {known[name]} here; say what it is in "
                    "`columns:`, or order the columns as the model does"
                )
            groups[STRINGS if textual else NUMBERS].append(name)
    nodes: list[onnx.NodeProto] = []
    for each in inputs:
        nodes += _head(each, groups[STRINGS if each.kind == TensorProto.STRING else NUMBERS])
    fronts = (("numbers", NUMBERS), ("strings", STRINGS))
    return [(front, name, tuple(groups[name])) for front, name in fronts if groups[name]], nodes


def _head(each: _Input, group: list[str]) -> list[onnx.NodeProto]:
    """Return the nodes that pick an input's columns from its group and give them its type and shape."""
    source = STRINGS if each.kind == TensorProto.STRING else NUMBERS
    nodes, last = [], source
    if list(each.columns) != group:
        places = numpy_helper.from_array(np.array([group.index(n) for n in each.columns], np.int64))
        nodes.append(helper.make_node("Constant", [], [f"{each.name}__places"], value=places))
        nodes.append(helper.make_node("Gather", [last, f"{each.name}__places"], [f"{each.name}__picked"], axis=1))
        last = f"{each.name}__picked"
    if each.rank == 1:
        flat = numpy_helper.from_array(np.array([-1], np.int64))
        nodes.append(helper.make_node("Constant", [], [f"{each.name}__flat"], value=flat))
        nodes.append(helper.make_node("Reshape", [last, f"{each.name}__flat"], [f"{each.name}__line"]))
        last = f"{each.name}__line"
    if each.kind == TensorProto.STRING:
        nodes.append(helper.make_node("Identity", [last], [each.name]))
    else:
        nodes.append(helper.make_node("Cast", [last], [each.name], to=each.kind))
    return nodes


def _tail(graph: onnx.GraphProto, task: Task, classes: tuple[str, ...]) -> list[onnx.NodeProto]:
    """Return the nodes that lead from the model's answer to scores in the order of the task."""
    answer, named = _answer(graph, task)
    nodes = [helper.make_node("Cast", [answer], ["steelyard_cast"], to=TensorProto.FLOAT)]
    order = classes or named or task.classes
    if task.problem is not Problem.REGRESSION and (set(order) != set(task.classes) or len(order) != task.width):
        raise BundleRefused(
            f"the model's classes are {', '.join(order)}, and the data's {', '.join(task.classes)}; name the data's in "
            "the order of its probabilities"
        )
    last = "steelyard_cast"
    if task.problem is Problem.BINARY and _width(graph, answer) == 1:
        nodes += _both(last)
        last = "steelyard_both"
    shape = numpy_helper.from_array(np.array([-1, task.width], np.int64))
    nodes.append(helper.make_node("Constant", [], ["steelyard_shape"], value=shape))
    nodes.append(helper.make_node("Reshape", [last, "steelyard_shape"], ["steelyard_table"]))
    places = numpy_helper.from_array(np.array([order.index(c) for c in task.classes] or [0], np.int64))
    nodes.append(helper.make_node("Constant", [], ["steelyard_places"], value=places))
    if task.problem is Problem.REGRESSION:
        return [*nodes, helper.make_node("Gather", ["steelyard_table", "steelyard_places"], [SCORES], axis=1)]
    nodes.append(helper.make_node("Gather", ["steelyard_table", "steelyard_places"], ["steelyard_order"], axis=1))
    return [*nodes, helper.make_node("Relu", ["steelyard_order"], [SCORES])]  # sums of trees end a hair below zero


def _both(positive: str) -> list[onnx.NodeProto]:
    """Return the nodes that put one minus a probability before it."""
    one = numpy_helper.from_array(np.array(1.0, np.float32))
    column = numpy_helper.from_array(np.array([-1, 1], np.int64))
    return [
        helper.make_node("Constant", [], ["steelyard_one"], value=one),
        helper.make_node("Constant", [], ["steelyard_column"], value=column),
        helper.make_node("Reshape", [positive, "steelyard_column"], ["steelyard_yes"]),
        helper.make_node("Sub", ["steelyard_one", "steelyard_yes"], ["steelyard_no"]),
        helper.make_node("Concat", ["steelyard_no", "steelyard_yes"], ["steelyard_both"], axis=1),
    ]


def _answer(graph: onnx.GraphProto, task: Task) -> tuple[str, tuple[str, ...]]:
    """Return the tensor that holds the answer, and the model's own names of its classes, if it has them."""
    makers = {name: node for node in graph.node for name in node.output}
    named = _classes(graph)
    if task.problem is not Problem.REGRESSION:
        for value in graph.output:
            node = makers.get(value.name)
            if node is not None and node.op_type == "ZipMap":
                return node.input[0], _labels(node) or named
    floats = [v for v in graph.output if v.type.tensor_type.elem_type in _FLOATS]
    if not floats:
        raise BundleRefused(
            "the model has no output of floating-point numbers, so no probabilities and no predicted value; export it "
            "with its probabilities"
        )
    likely = [v for v in floats if "prob" in v.name.lower()] or floats[-1 if task.classes else 0 :]
    return likely[0].name, named


def _classes(graph: onnx.GraphProto) -> tuple[str, ...]:
    found = (labels for node in graph.node if node.domain == "ai.onnx.ml" if (labels := _labels(node)))
    return next(found, ())


def _labels(node: onnx.NodeProto) -> tuple[str, ...]:
    names = {"classlabels_strings", "classlabels_int64s", "classlabels_ints"}
    for attribute in node.attribute:
        if attribute.name in names and (attribute.strings or attribute.ints):
            return tuple(s.decode() for s in attribute.strings) or tuple(str(i) for i in attribute.ints)
    return ()


def _width(graph: onnx.GraphProto, name: str) -> int:
    """Return how many columns an output says it has; 0 where it does not say."""
    for value in graph.output:
        dims = value.type.tensor_type.shape.dim
        if value.name == name:
            return 1 if len(dims) == 1 else dims[1].dim_value if len(dims) > 1 else 0
    return 0


def _joined(model: Any, feeds: Any, head: Sequence[Any], tail: Sequence[Any], task: Task) -> bytes:
    """Return the model between its new ends, without what no longer leads to the answer."""
    graph = model.graph
    kinds = {NUMBERS: TensorProto.DOUBLE, STRINGS: TensorProto.STRING}
    inputs = [helper.make_tensor_value_info(name, kinds[name], ["n", len(names)]) for _, name, names in feeds]
    output = helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["n", task.width])
    taken = {o for node in graph.node for o in node.output} | {t.name for t in graph.initializer}
    if clash := taken & {SCORES, NUMBERS, STRINGS}:
        renamed = {name: f"{name}__inner" for name in clash}
        _rename(graph, renamed)
        tail = [_renamed(node, renamed) for node in tail]
    nodes = _needed([*head, *graph.node, *tail])
    fresh = helper.make_graph(nodes, "steelyard", inputs, [output], list(graph.initializer))
    fresh.sparse_initializer.extend(graph.sparse_initializer)
    made = helper.make_model(fresh, opset_imports=list(model.opset_import), producer_name="steelyard")
    made.ir_version = model.ir_version
    made.functions.extend(model.functions)
    try:
        onnx.checker.check_model(made)
    except onnx.checker.ValidationError as problem:
        raise BundleRefused(f"the model is no sound ONNX graph: {str(problem).splitlines()[0]}") from None
    return bytes(made.SerializeToString(deterministic=True))


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        for ends in (node.input, node.output):
            for place, name in enumerate(ends):
                ends[place] = names.get(name, name)
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)


def _renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    """Return a node of the tail that reads a renamed tensor; what the tail itself makes keeps its name."""
    if node.op_type == "Cast" and node.output[0] == "steelyard_cast":
        node.input[0] = names.get(node.input[0], node.input[0])
    return node


def _needed(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Return the nodes that lead to the scores, in order."""
    wanted, kept = {SCORES}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input) | _outer(node)
    return kept[::-1]


def _outer(node: onnx.NodeProto) -> set[str]:
    """Return what the graphs inside a node read; more than need be does no harm."""
    found: set[str] = set()
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                found |= set(inner.input) | _outer(inner)
    return found
