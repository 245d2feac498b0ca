"""A few small nets in one that share their weights, and the same nets as ONNX nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn
from torch.nn import functional

from steelyard.contracts import Floats, Ints
from steelyard.learners._graph import Graph
from steelyard.learners._mlp_inputs import FAR
from steelyard.learners._splines import knots

Drop = np.random.Generator
"""Where dropout takes its chance from, a byte a cell: PyTorch draws a word each, which is a good part of a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Every number cut into pieces: what :func:`pieces_of` learns, one entry a piece.

    A piece is 0 below its ``low``, 1 from its end on, and rises in between: the piecewise linear encoding of
    Gorishniy et al., "On embeddings for numerical features in tabular deep learning" (2022).
    """

    columns: Ints
    """Which column of the matrix the piece is of."""
    low: NDArray[np.float32]
    slope: NDArray[np.float32]
    """One over the width of the piece."""


def pieces_of(matrix: NDArray[np.float32], most: int) -> Pieces:
    """Cut every column of training rows into about ``most`` pieces, but for those of two values.

    Examples
    --------
    >>> pieces_of(np.array([[0.0], [1.0], [5.0]], np.float32), 8).low.tolist()
    [0.0, 1.0]
    """
    ends = [knots(column[np.isfinite(column)], most) for column in matrix.T]
    bent = {place: one for place, one in enumerate(ends) if len(one) > 2}
    nothing = np.zeros(0, np.float32)
    return Pieces(
        columns=np.repeat(np.array(list(bent), np.int64), [len(one) - 1 for one in bent.values()]),
        low=np.concatenate([nothing, *(one[:-1] for one in bent.values())]),
        slope=np.concatenate([nothing, *(1 / np.diff(one) for one in bent.values())]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large a net is."""

    columns: int
    """Number of columns of the matrix of numbers."""
    members: int
    width: int
    depth: int
    category_width: int
    codes: tuple[int, ...]
    """Number of codes a column of categories, that of the unknown included."""
    outputs: int


class Net(nn.Module):
    """From numbers and codes of categories to one row of outputs a member.

    TabM-mini of Gorishniy, Kotelnikov, Babenko, "TabM: advancing tabular deep learning with parameter-efficient
    ensembling" (2024): the members share every layer but the last, and each weighs the inputs its own way.

    Parameters
    ----------
    shape
        Its size.
    pieces
        How numbers are cut.
    offset
        What is added to the outputs, shape (outputs,): logits of the classes' shares.
    seed
        Seed of the first weights; PyTorch's own generator is left alone.
    """

    columns: Tensor
    low: Tensor
    slope: Tensor
    starts: Tensor
    offset: Tensor

    def __init__(self, shape: Shape, pieces: Pieces, offset: Floats, seed: int) -> None:
        super().__init__()
        chance, k, d = torch.Generator().manual_seed(seed), shape.members, shape.width
        starts = np.concatenate([[0], np.cumsum(shape.codes)])
        for name, array in (("columns", pieces.columns), ("low", pieces.low), ("slope", pieces.slope)):
            self.register_buffer(name, torch.from_numpy(array))
        self.register_buffer("starts", torch.from_numpy(starts[:-1].astype(np.int64)))
        self.register_buffer("offset", torch.from_numpy(offset.astype(np.float32)))
        table = torch.randn(int(starts[-1]), shape.category_width, generator=chance)
        table[[end - 1 for end in starts[1:]]] = 0  # what training never meets stays nothing
        self.table = nn.Parameter(table)
        # One scale a column and kind of input at first, so that members differ in the columns they look at.
        cells = np.arange(shape.columns), pieces.columns, np.repeat(np.arange(len(shape.codes)), shape.category_width)
        source = np.concatenate([cell + shape.columns * kind for kind, cell in enumerate(cells)])
        scales = torch.randn(k, 2 * shape.columns + len(shape.codes), generator=chance)
        self.scales = nn.Parameter(scales[:, torch.from_numpy(source)])
        self.scales.data[:, : shape.columns] *= FAR  # numbers come as a FAR-th of their distance from the median
        widths = [len(source), *[d] * shape.depth]
        self.weights = nn.ParameterList(_uniform(chance, into, d, into=into) for into in widths[:-1])
        self.biases = nn.ParameterList(_uniform(chance, d, into=into) for into in widths[:-1])
        self.heads = nn.Parameter(_uniform(chance, k, d, shape.outputs, into=d))
        self.ends = nn.Parameter(torch.zeros(k, 1, shape.outputs))

    def forward(self, numbers: Tensor, codes: Tensor, dropout: float = 0.0, drop: Drop | None = None) -> Tensor:
        """Return shape (members, n, outputs) for numbers (n, columns) and codes (n, columns of categories).

        With ``drop`` a share ``dropout`` of what each layer makes is left out.
        """
        first, *others = self.weights
        k, d = self.heads.shape[:2]
        # Scaling the weights k times rather than n rows k times: the same sums for less.
        wide = (self.scales[:, :, None] * first).permute(1, 0, 2).reshape(-1, k * d)
        cut = ((numbers[:, self.columns] - self.low) * self.slope).clamp(0, 1)
        known = torch.cat([torch.tanh(numbers), cut], 1)
        x = known @ wide[: known.shape[1]]
        if len(self.starts):  # apart, so that no gradient is worked out for inputs that learn nothing
            x = x + self.table[codes + self.starts].flatten(1) @ wide[known.shape[1] :]
        x = _left_out(torch.relu(x.view(-1, k, d) + self.biases[0]), dropout, drop)
        for weight, bias in zip(others, list(self.biases)[1:], strict=True):
            x = _left_out(torch.relu(x @ weight + bias), dropout, drop)
        return torch.baddbmm(self.ends, x.transpose(0, 1), self.heads) + self.offset


def _uniform(chance: torch.Generator, *shape: int, into: int) -> Tensor:
    """Return first weights of a layer that reads ``into`` numbers."""
    return (torch.rand(shape, generator=chance) * 2 - 1) / math.sqrt(max(1, into))


def _left_out(x: Tensor, dropout: float, drop: Drop | None) -> Tensor:
    """Return ``x`` with a share of its cells set to 0, the others scaled up; shares are counted in 256ths."""
    kept = round(256 * (1 - dropout))
    if drop is None or kept == 256:
        return x
    draws = np.frombuffer(drop.bytes(x.numel()), np.uint8).reshape(x.shape)
    return x * torch.from_numpy(np.multiply(draws < kept, np.float32(256 / kept)))


def probabilities(outputs: Tensor) -> Tensor:
    """Return probabilities, the members' mean, shape (n, classes); one output is the log-odds of the second."""
    if outputs.shape[2] > 1:
        return functional.softmax(outputs, 2).mean(0)
    second = torch.sigmoid(outputs).mean(0)
    return torch.cat([1 - second, second], 1)


def nodes_of(net: Net, graph: Graph, numbers: str | None, codes: str | None) -> str:
    """Add the nodes of a net to a graph, from float32 tensors to the outputs of its members, (members, n, outputs).

    Members come first, so that no tensor is turned round; the scales stay beside the shared weights, which are then
    read once for all members.
    """
    made = _inputs(net, graph, numbers, codes)
    x = graph.add("Concat", *made, axis=1) if len(made) > 1 else made[0]
    x = graph.add("Mul", x, graph.constant(_array(net.scales)[:, None, :]))
    for weight, bias in zip(net.weights, net.biases, strict=True):
        x = graph.add("MatMul", x, graph.constant(_array(weight)))
        x = graph.add("Relu", graph.add("Add", x, graph.constant(_array(bias))))
    x = graph.add("MatMul", x, graph.constant(_array(net.heads)))
    return graph.add("Add", x, graph.constant(_array(net.ends + net.offset)))


def _inputs(net: Net, graph: Graph, numbers: str | None, codes: str | None) -> list[str]:
    made = []
    if numbers is not None:
        made.append(graph.add("Tanh", numbers))
    if numbers is not None and len(net.columns):
        x = graph.add("Gather", numbers, graph.constant(_array(net.columns)), axis=1)
        x = graph.add("Mul", graph.add("Sub", x, graph.constant(_array(net.low))), graph.constant(_array(net.slope)))
        ends = (graph.constant(np.array(end, np.float32)) for end in (0, 1))
        made.append(graph.add("Clip", x, *ends))
    if codes is not None:
        rows = graph.add("Add", graph.add("Cast", codes, to=TensorProto.INT64), graph.constant(_array(net.starts)))
        x = graph.add("Gather", graph.constant(_array(net.table)), rows, axis=0)
        flat = np.array([0, len(net.starts) * net.table.shape[1]], np.int64)
        made.append(graph.add("Reshape", x, graph.constant(flat)))
    return made


def mean_of(graph: Graph, outputs: str, *, classes: int) -> str:
    """Add the mean over members: of their probabilities, (n, classes), or without ``classes`` of values, (n, 1)."""
    members = graph.constant(np.array([0], np.int64))
    if classes == 0:
        return graph.add("ReduceMean", outputs, members, keepdims=0)
    if classes > 2:
        return graph.add("ReduceMean", graph.add("Softmax", outputs, axis=2), members, keepdims=0)
    second = graph.add("ReduceMean", graph.add("Sigmoid", outputs), members, keepdims=0)
    first = graph.add("Sub", graph.constant(np.ones((1, 1), np.float32)), second)
    return graph.add("Concat", first, second, axis=1)


def _array(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().numpy()
