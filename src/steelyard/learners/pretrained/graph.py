"""An encoder as ONNX nodes, straight from its weights: what embeds rows in training is the very graph that ships."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from steelyard.learners._graph import Graph
from steelyard.learners.pretrained.architectures import Affine, Bottleneck, Layer, Norm, Weights

FAR = float(np.finfo(np.float32).min)
"""What is added to the attention that padding would get."""
TINY = 1e-12


def tokens(graph: Graph, ids: str, mask: str) -> tuple[str, str]:
    """Declare the inputs of an encoder, int64 of shape (n, tokens); returns ids, and the mask as floats."""
    graph.input(ids, TensorProto.INT64, ["n", f"{ids}_tokens"])
    graph.input(mask, TensorProto.INT64, ["n", f"{ids}_tokens"])
    return ids, graph.add("Cast", mask, to=TensorProto.FLOAT)


def hidden(graph: Graph, weights: Weights, ids: str, there: str, *, beside: str = "") -> str:
    """Add an encoder; returns its float32 vectors, shape (n, tokens, width).

    Parameters
    ----------
    ids
        int64, shape (n, tokens).
    there
        float32 of that shape: 1 where there is a token, 0 where there is padding.
    beside
        float32, shape (n, tokens, width): what is added to what goes into the first layer.
    """
    build = _Builder(graph, weights)
    away = graph.add("Sub", build.number(1.0), there)
    bias = graph.add("Unsqueeze", graph.add("Mul", away, build.number(FAR)), build.ints(1, 2))
    state = build.embedded(ids)
    state = graph.add("Add", state, beside) if beside else state
    for layer in weights.layers:
        state = build.layer(layer, state, bias)
    return state


def pooled(graph: Graph, state: str, there: str, how: str, *, unit: bool = True) -> str:
    """Add the way from a text's vectors to one, shape (n, width): ``"mean"`` of its tokens, or ``"cls"``, the first.

    ``unit`` gives it the length 1, as sentence encoders are trained to be compared.
    """
    if how == "cls":
        first = graph.constant(np.array(0, np.int64))
        any_ = graph.add("Gather", there, graph.constant(np.array([0], np.int64)), axis=1)
        vector = graph.add("Mul", graph.add("Gather", state, first, axis=1), any_)
    else:
        row = graph.add("Unsqueeze", there, graph.constant(np.array([1], np.int64)))
        total = graph.add("Squeeze", graph.add("MatMul", row, state), graph.constant(np.array([1], np.int64)))
        count = graph.add("ReduceSum", there, graph.constant(np.array([1], np.int64)), keepdims=1)
        vector = graph.add("Div", total, graph.add("Max", count, graph.constant(np.array(1.0, np.float32))))
    if not unit:
        return vector
    length = graph.add("ReduceL2", vector, graph.constant(np.array([1], np.int64)), keepdims=1)
    return graph.add("Div", vector, graph.add("Max", length, graph.constant(np.array(TINY, np.float32))))


def affine(graph: Graph, part: Affine, state: str) -> str:
    """Add ``state @ slopes + offsets``."""
    product = graph.add("MatMul", state, graph.constant(np.ascontiguousarray(part.slopes)))
    return graph.add("Add", product, graph.constant(part.offsets))


class _Builder:
    """Adds the parts of an encoder to a graph."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self._graph, self._weights = graph, weights
        self._head = weights.width // weights.heads

    def number(self, value: float) -> str:
        return self._graph.constant(np.array(value, np.float32))

    def ints(self, *values: int) -> str:
        return self._graph.constant(np.array(values, np.int64))

    def embedded(self, ids: str) -> str:
        """Add what looks token numbers up, with their places; return the name of the state before the first layer."""
        graph, weights = self._graph, self._weights
        words = graph.add("Gather", graph.constant(weights.words), ids, axis=0)
        length = graph.add("Gather", graph.add("Shape", ids), self.ints(1), axis=0)
        places = graph.add("Slice", graph.constant(weights.places), self.ints(0), length, self.ints(0))
        state = self.norm(weights.norm, graph.add("Add", words, places))
        return state if weights.project is None else self.affine(weights.project, state)

    def layer(self, layer: Layer, state: str, bias: str) -> str:
        """Add one layer, its adapters included; return the name of the state behind it."""
        graph = self._graph
        half = self.affine(layer.output, self.attention(layer, state, bias))
        half = self.norm(layer.middle, graph.add("Add", self.adapted(layer, 0, half), state))
        whole = self.affine(layer.down, graph.add("Gelu", self.affine(layer.up, half)))
        return self.norm(layer.end, graph.add("Add", self.adapted(layer, 1, whole), half))

    def attention(self, layer: Layer, state: str, bias: str) -> str:
        """Add all heads; queries, keys and values are one product."""
        graph, width, scale = self._graph, self._weights.width, self._head**-0.5
        slopes = np.hstack([layer.query.slopes * scale, layer.key.slopes, layer.value.slopes]).astype(np.float32)
        offsets = np.hstack([layer.query.offsets * scale, layer.key.offsets, layer.value.offsets]).astype(np.float32)
        joint = self.affine(Affine(slopes, offsets), state)
        query, key, value = (
            self.heads(graph.add("Slice", joint, self.ints(i * width), self.ints((i + 1) * width), self.ints(2)))
            for i in range(3)
        )
        if layer.prefix is not None:
            key, value, bias = self.prefixed(layer.prefix, key, value, bias)
        product = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
        shares = graph.add("Softmax", graph.add("Add", product, bias), axis=-1)
        mixed = graph.add("Transpose", graph.add("MatMul", shares, value), perm=[0, 2, 1, 3])
        return graph.add("Reshape", mixed, self.ints(0, 0, width))

    def heads(self, joint: str) -> str:
        """Return (n, tokens, width) as (n, heads, tokens, head)."""
        split = self._graph.add("Reshape", joint, self.ints(0, 0, self._weights.heads, self._head))
        return self._graph.add("Transpose", split, perm=[0, 2, 1, 3])

    def prefixed(self, prefix: np.ndarray, key: str, value: str, bias: str) -> tuple[str, str, str]:
        """Put learnt keys and values, (2, heads, k, head), before those of the tokens; nothing masks them."""
        graph = self._graph
        rows = graph.add("Slice", graph.add("Shape", key), self.ints(0), self.ints(1), self.ints(0))
        shape = graph.add("Concat", rows, self.ints(*prefix.shape[1:]), axis=0)
        both = []
        for part, tensor in zip(prefix, (key, value), strict=True):
            wide = graph.add("Expand", graph.constant(part[None].astype(np.float32)), shape)
            both.append(graph.add("Concat", wide, tensor, axis=2))
        pads = self.ints(0, 0, 0, prefix.shape[2], 0, 0, 0, 0)
        return both[0], both[1], graph.add("Pad", bias, pads, self.number(0.0))

    def adapted(self, layer: Layer, place: int, state: str) -> str:
        return self.bottleneck(layer.adapters[place], state) if layer.adapters else state

    def bottleneck(self, adapter: Bottleneck, state: str) -> str:
        inner = self._graph.add("Gelu", self.affine(adapter.down, state))
        return self._graph.add("Add", state, self.affine(adapter.up, inner))

    def affine(self, part: Affine, state: str) -> str:
        return affine(self._graph, part, state)

    def norm(self, norm: Norm, state: str) -> str:
        gain, offset = (self._graph.constant(part) for part in (norm.gain, norm.offset))
        return self._graph.add("LayerNormalization", state, gain, offset, axis=-1, epsilon=self._weights.epsilon)
