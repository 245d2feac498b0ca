"""The marginal probabilities of a linear chain as part of an ONNX graph: forward and backward, a step a token."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from steelyard.learners._crf import Chain
from steelyard.learners._graph import Graph

LEAST = 1e-30
"""Added to sums that are divided by."""


def scores_of(graph: Graph, said: str, mask: str, chain: Chain) -> str:
    """Append what turns the logarithms that each token says, (n, T, C), into ``scores``, probabilities of its tags.

    Forward and backward messages are scaled to a sum of one at each step, so that no row is too long for float32.
    ``mask``, float32 (n, T), is 1 where tokens are; what stands behind the end of a row is meaningless.
    """
    step = np.exp(chain.between)
    alike = chain.first - np.log(step.sum(axis=0))  # the first message is one of equal parts; this takes it back
    ones, last = graph.constant(np.array([1], np.int64)), graph.constant(np.array([2], np.int64))
    flags = graph.add("Unsqueeze", mask, last)
    begun = graph.add("CumSum", mask, graph.constant(np.array(1, np.int64)))
    at_first = graph.add("Cast", graph.add("Equal", begun, _number(graph, 1.0)), to=TensorProto.FLOAT)
    first = graph.add("Mul", graph.add("Unsqueeze", at_first, last), graph.constant(alike.astype(np.float32)))
    shifted = graph.add("Add", said, first)
    top = graph.add("ReduceMax", shifted, last, keepdims=1)
    chances = graph.add("Exp", graph.add("Sub", shifted, top))
    by_token, live = (graph.add("Transpose", each, perm=[1, 0, 2]) for each in (chances, flags))
    start = graph.add(
        "Squeeze", graph.add("Slice", _like_ones(graph, chances), _int(graph, 0), _int(graph, 1), ones), ones
    )
    between = graph.constant(step.astype(np.float32))
    back = graph.constant(np.ascontiguousarray(step.T).astype(np.float32))
    body = {"num_scan_inputs": 2}
    _, ahead = graph.add_several("Scan", start, by_token, live, outputs=2, body=_forward(between), **body)
    directions = {"scan_input_directions": [1, 1], "scan_output_directions": [1]}
    _, behind = graph.add_several("Scan", start, by_token, live, outputs=2, body=_backward(back), **body, **directions)
    joint = graph.add("Transpose", graph.add("Mul", ahead, behind), perm=[1, 0, 2])
    total = graph.add("Add", graph.add("ReduceSum", joint, last, keepdims=1), _number(graph, LEAST))
    return graph.add("Div", joint, total, output="scores")


def _number(graph: Graph, value: float) -> str:
    return graph.constant(np.array(value, np.float32))


def _int(graph: Graph, value: int) -> str:
    return graph.constant(np.array([value], np.int64))


def _like_ones(graph: Graph, tensor: str) -> str:
    """Return a tensor of the same shape that is 1 everywhere."""
    return graph.add("Expand", _number(graph, 1.0), graph.add("Shape", tensor))


def _forward(step: str) -> onnx.GraphProto:
    """Return the body that carries a message from each token to the next, and gives it out."""
    nodes = [
        helper.make_node("MatMul", ["message", step], ["reached"]),
        helper.make_node("Mul", ["reached", "chances"], ["known"]),
        *_scaled("known", "passed"),
        *_kept("passed", "message"),
        helper.make_node("Identity", ["next"], ["given"]),
    ]
    return _body(nodes)


def _backward(step: str) -> onnx.GraphProto:
    """Return the body that gives out the message which comes from behind, and carries it on to the token before."""
    nodes = [
        helper.make_node("Mul", ["message", "chances"], ["known"]),
        helper.make_node("MatMul", ["known", step], ["reached"]),
        *_scaled("reached", "passed"),
        *_kept("passed", "message"),
        helper.make_node("Identity", ["message"], ["given"]),
    ]
    return _body(nodes)


def _scaled(name: str, made: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Constant", [], ["axis"], value_ints=[1]),
        helper.make_node("Constant", [], ["least"], value_float=LEAST),
        helper.make_node("ReduceSum", [name, "axis"], ["sum"], keepdims=1),
        helper.make_node("Add", ["sum", "least"], ["positive"]),
        helper.make_node("Div", [name, "positive"], [made]),
    ]


def _kept(made: str, before: str) -> list[onnx.NodeProto]:
    """Keep a message as it was where a row has no token."""
    return [
        helper.make_node("Cast", ["live"], ["is_live"], to=TensorProto.BOOL),
        helper.make_node("Where", ["is_live", made, before], ["next"]),
    ]


def _body(nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    def end(name: str, last: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", last])

    return helper.make_graph(
        nodes,
        "step",
        [end("message", "tags"), end("chances", "tags"), end("live", 1)],
        [end("next", "tags"), end("given", "tags")],
    )
