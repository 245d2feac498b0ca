"""Products by a large weight as two products by small ones: which weights, how much of each is kept, and the cut.

What is kept of a product is where its *outputs* lie on training rows, and not where its weights do. With the second
moment M of its inputs, the matrix of rank k that leaves the least squared error in the outputs x W is W V V', V being
the first k right singular vectors of sqrt(M) W: this is principal component analysis of the outputs (Zhang, Zou, He,
Sun: Accelerating Very Deep Convolutional Networks for Classification and Detection, TPAMI 2016, arXiv:1505.06798; for
transformers Chen, Yu, Dhillon, Hsieh: DRONE: Data-aware Low-rank Compression for Large NLP Models, NeurIPS 2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from steelyard.contracts import Floats
from steelyard.levers.shrinking.graphs.surgery import Surgery, attribute

WORTH = 4_096
"""Numbers in a weight that make cutting it worth while."""
SPARED = 0.9
"""A weight stays whole where two factors have more than this share of its numbers."""
OUTLIERS = 64
"""One direction in so many, the largest ones, is not counted when the energies of layers are compared."""
PLAIN = 0.01
"""Share of the energy that stands for rows that were not seen: that of the weights themselves."""
AT_ONCE = 256
"""Vectors that are multiplied at once."""
ROUNDS = 60
"""Halvings of the interval in which the bar for components is looked for."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The nodes that multiply by one large constant, as a rule a single one.

    ``matrix`` is that constant with the outputs last, float64 (inputs, outputs); of a convolution an input is a channel
    at a place under the filter, of a lookup it is a row of the table.
    """

    nodes: tuple[onnx.NodeProto, ...]
    matrix: Floats
    by_inputs: bool
    """Whether moments are taken of what goes in; otherwise of what comes out. Whichever is narrower, if both can be."""

    @property
    def probes(self) -> tuple[str, ...]:
        """The tensors whose moments are needed."""
        return tuple(str(node.input[0] if self.by_inputs else node.output[0]) for node in self.nodes)

    @property
    def whole(self) -> int:
        """Numbers of the weight."""
        return self.matrix.size

    @property
    def each(self) -> int:
        """Numbers that each rank costs."""
        return sum(self.matrix.shape)


def layers_of(graph: Surgery, *, products: bool, tables: bool) -> list[Layer]:
    """Return what can be cut: products and convolutions by large float constants, and tables that rows are taken of."""
    found: dict[tuple[str, ...], list[onnx.NodeProto]] = {}
    for node in graph.nodes:
        matrix = _matrix(graph, node) if (tables if node.op_type == "Gather" else products) else None
        if matrix is not None and matrix.size >= WORTH and min(matrix.shape) > 1:
            found.setdefault((node.op_type, node.input[0 if node.op_type == "Gather" else 1], *_form(node)), []).append(
                node
            )
    return [_layer(graph, tuple(nodes)) for nodes in found.values()]


def _form(node: onnx.NodeProto) -> tuple[str, ...]:
    """Return the attributes of a node as words: nodes that share a constant and differ in these are cut apart."""
    return tuple(sorted(str(one) for one in node.attribute))


def _layer(graph: Surgery, nodes: tuple[onnx.NodeProto, ...]) -> Layer:
    matrix = _matrix(graph, nodes[0])
    assert matrix is not None, "a layer is made of nodes that have a constant"
    by_inputs = nodes[0].op_type in {"MatMul", "Gemm"} and matrix.shape[0] <= matrix.shape[1]
    return Layer(nodes, matrix.astype(np.float64), by_inputs)


def _matrix(graph: Surgery, node: onnx.NodeProto) -> NDArray[Any] | None:
    """Return the constant of a node with the outputs last; ``None`` where it has none that can be cut."""
    place = 0 if node.op_type == "Gather" else 1
    value = graph.value(node.input[place]) if not node.domain and len(node.input) > place else None
    if value is None or value.dtype != np.float32:
        return None
    match node.op_type:
        case "MatMul":
            return value if value.ndim == 2 else None
        case "Gather":
            return value if value.ndim == 2 and attribute(node, "axis", 0) == 0 else None
        case "Gemm":
            turned = attribute(node, "transB", 0)
            return None if attribute(node, "transA", 0) else (value.T if turned else value)
        case "Conv":
            return value.reshape(len(value), -1).T if attribute(node, "group", 1) == 1 else None
    return None


@dataclass(slots=True)
class Moments:
    """The sum of outer products of some vectors, (width, width), and how many there were."""

    outer: Floats
    count: int = 0
    waiting: list[NDArray[Any]] = field(default_factory=list)

    def add(self, vectors: NDArray[Any]) -> None:
        """Count in some vectors, shape (n, width)."""
        self.waiting.append(vectors)
        if sum(map(len, self.waiting)) >= AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Count in what was put aside so that products are large ones."""
        if self.waiting:
            joined = np.concatenate(self.waiting)
            self.outer += joined.T @ joined
            self.count += len(joined)
            self.waiting.clear()


def moments(layers: Sequence[Layer], runs: Iterator[Mapping[str, NDArray[Any]]]) -> list[Moments]:
    """Return the moments of each layer, from runs that yield all of their probes."""
    widths = [layer.matrix.shape[0 if layer.by_inputs else 1] for layer in layers]
    found = [Moments(np.zeros((width, width))) for width in widths]
    for run in runs:
        for layer, width, seen in zip(layers, widths, found, strict=True):
            axis = 1 if layer.nodes[0].op_type == "Conv" else -1
            for name in layer.probes:
                seen.add(np.moveaxis(run[name], axis, -1).reshape(-1, width))
    for seen in found:
        seen.settle()
    return found


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Where the outputs of a layer lie: orthonormal directions, (outputs, ranks), by falling energy."""

    directions: Floats
    energy: Floats
    """Of each direction, (ranks,): the mean square of the outputs along it; that of unseen rows is mixed in."""


def spectrum(layer: Layer, seen: Moments) -> Spectrum:
    """Return the directions of a layer's outputs by energy."""
    matrix, count = layer.matrix, max(seen.count, 1)
    plain = float(np.sum(matrix**2)) or 1.0
    if layer.by_inputs:
        energy = float(np.sum((seen.outer @ matrix) * matrix)) / count or 1.0
        moment = (1 - PLAIN) * seen.outer / count / energy + PLAIN * np.eye(len(matrix)) / plain
        values, axes = np.linalg.eigh(moment)
        root = np.sqrt(np.maximum(values, 0.0))[:, None] * (axes.T @ matrix)
        _, lengths, directions = np.linalg.svd(root, full_matrices=False)
        return Spectrum(directions.T, lengths**2)
    energy = float(np.trace(seen.outer)) / count or 1.0
    moment = (1 - PLAIN) * seen.outer / count / energy + PLAIN * (matrix.T @ matrix) / plain
    values, axes = np.linalg.eigh(moment)
    ranks = min(matrix.shape)
    return Spectrum(axes[:, ::-1][:, :ranks], np.maximum(values[::-1][:ranks], 0.0))


def ranks_for(layers: Sequence[Layer], spectra: Sequence[Spectrum], keep: float) -> list[int]:
    """Return the rank of each layer, 0 where it stays whole, so that at most a share of all their numbers stays.

    A direction stays if it holds more of its layer's energy for each number that it costs than a bar, the same for all
    layers, so that the sum of what they lose is least. The energy of the few largest directions is left out of that
    sum: a mean that never changes, and the outliers that encoders carry along, would make the rest look like nothing.
    """
    worth = [s.energy / _usual(s.energy) / layer.each for layer, s in zip(layers, spectra, strict=True)]
    total = sum(layer.whole for layer in layers)
    low, high = -300.0, 300.0  # of the logarithm of the bar
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if _numbers(layers, _above(layers, worth, middle)) > keep * total else (low, middle)
    return _above(layers, worth, high)


def _usual(energy: Floats) -> float:
    """Return the energy of all directions but the largest few, and a hundredth of the whole at least."""
    whole = float(np.sum(energy))
    return max(float(np.sum(energy[-(-len(energy) // OUTLIERS) :])), whole / 100) or 1.0


def _above(layers: Sequence[Layer], worth: Sequence[Floats], bar: float) -> list[int]:
    """Return how many directions of each layer are above a bar, at least one; 0 where whole is hardly larger."""
    found = []
    for layer, each in zip(layers, worth, strict=True):
        rank = max(1, int(np.count_nonzero(each > np.exp(bar))))
        found.append(rank if rank * layer.each < SPARED * layer.whole else 0)
    return found


def _numbers(layers: Sequence[Layer], ranks: Sequence[int]) -> int:
    return sum(rank * layer.each if rank else layer.whole for layer, rank in zip(layers, ranks, strict=True))


def split(graph: Surgery, layer: Layer, directions: Floats) -> None:
    """Put two nodes in the place of each of a layer's, through as many directions as there are given."""
    node, first = layer.nodes[0], (layer.matrix @ directions).astype(np.float32)
    second = directions.T.astype(np.float32)
    name = node.input[0 if node.op_type == "Gather" else 1]
    if node.op_type == "Conv":
        shape = graph.held[name].dims
        first = first.T.reshape(-1, *shape[1:])
        second = second.T.reshape(*directions.shape, *[1] * (len(shape) - 2))
    factors = graph.hold(first, f"{name}_narrow"), graph.hold(second, f"{name}_wide")
    for one in layer.nodes:
        graph.put(one, _two(one, graph.name(f"{one.output[0]}_inner"), *factors))


def _two(node: onnx.NodeProto, inner: str, narrow: str, wide: str) -> tuple[onnx.NodeProto, onnx.NodeProto]:
    """Return what stands in for a node: into the few directions, and out of them."""
    names = f"{node.name}_narrow", f"{node.name}_wide"
    if node.op_type == "Gather":
        first = helper.make_node("Gather", [narrow, node.input[1]], [inner], names[0], axis=0)
        return first, helper.make_node("MatMul", [inner, wide], node.output, names[1])
    kind = "Conv" if node.op_type == "Conv" else "MatMul"
    first = helper.make_node(kind, [node.input[0], narrow], [inner], names[0])
    second = helper.make_node(node.op_type, [inner, wide, *node.input[2:]], node.output, names[1])
    if kind == "Conv":
        first.attribute.extend(node.attribute)
    else:
        second.attribute.extend(each for each in node.attribute if each.name in {"alpha", "beta"})
    return first, second
