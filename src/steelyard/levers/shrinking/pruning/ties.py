"""Which numbers of which weights have to go together, for a graph to stay one when they are cut out.

Every index along every axis of a weight is a *unit* at first; each node of the graph ties some of them: what a
convolution gives on a channel is what the next one takes on it, two branches that are added have the same channels, the
columns of a product that a reshape makes a head of go together. What is left are groups that can be removed one by one.
The idea is that of Fang, Ma, Song, Bi Mi, Wang: DepGraph, Towards Any Structural Pruning, CVPR 2023, arXiv:2301.12900;
their library Torch-Pruning traces modules of PyTorch, of which a finished bundle has none, so this reads the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from steelyard.levers.shrinking.pruning.units import FROZEN, Axes, Node, Ties, Units, at_one

Rule = Callable[[Ties, Node], Sequence[Axes]]


def tied(ties: Ties, node: Node) -> Sequence[Axes]:
    """Tie what a node ties, and return the units of its outputs; an operator without a rule freezes what it takes."""
    rule = RULES.get(node.kind)
    if rule is None or all(units is None for axes in node.axes for units in axes):
        for axes in node.axes:
            ties.freeze(*axes)
        return [node.plain(place) for place in range(len(node.made))]
    return rule(ties, node)


def alone(ties: Ties, node: Node) -> Sequence[Axes]:
    """Each number by itself."""
    del ties
    return [node.axes[0]]


def broadcast(ties: Ties, node: Node) -> Sequence[Axes]:
    """Numbers by numbers, a single one by all: axes that lie over each other are tied."""
    return [_overlaid(ties, node.axes, node.shapes, len(node.made[0]))]


def _overlaid(ties: Ties, axes: Sequence[Axes], shapes: Sequence[tuple[int, ...]], rank: int) -> Axes:
    found: list[Units | None] = []
    for place in range(-rank, 0):
        there = [
            one[place] for one, shape in zip(axes, shapes, strict=True) if len(shape) >= -place and shape[place] != 1
        ]
        found.append(at_one(ties, there))
    return tuple(found)


def convolution(ties: Ties, node: Node) -> Sequence[Axes]:
    """Channels in and out; where each channel has filters of its own, they are the same."""
    x, weight, *bias = node.axes
    ties.freeze(*x[2:], *weight[2:])
    groups = node.given.get("group", 1)
    out = weight[0]
    if groups == 1:
        at_one(ties, [x[1], weight[1]] if node.shapes[0][1] > 1 else [weight[1], None])
    elif groups == node.shapes[0][1] == node.shapes[1][0]:
        at_one(ties, [x[1], out])
    else:
        ties.freeze(x[1], out, weight[1])
    if bias and bias[0] and out is not None:
        at_one(ties, [bias[0][0], out])
    return [(None, out, *(None,) * (len(node.made[0]) - 2))]


def product(ties: Ties, node: Node) -> Sequence[Axes]:
    """Tie the axis that a product of matrices sums over, and those that lie over each other."""
    a, b = node.axes
    if len(a) < 2 or len(b) < 2:
        ties.freeze(*a, *b)
        return [node.plain()]
    at_one(ties, [a[-1], b[-2]])
    outer = _overlaid(ties, [a[:-2], b[:-2]], [node.shapes[0][:-2], node.shapes[1][:-2]], len(node.made[0]) - 2)
    return [(*outer, a[-2], b[-1])]


def general_product(ties: Ties, node: Node) -> Sequence[Axes]:
    """``Gemm``: a product, with either side turned, and an offset."""
    a, b = (
        axes[::-1] if node.given.get(f"trans{name}", 0) else axes for name, axes in zip("AB", node.axes, strict=False)
    )
    at_one(ties, [a[1], b[0]])
    out: Axes = (a[0], b[1])
    if len(node.axes) > 2:
        out = _overlaid(ties, [out, node.axes[2]], [node.made[0], node.shapes[2]], 2)
    return [out]


def windowed(ties: Ties, node: Node) -> Sequence[Axes]:
    """Pooling: channels stay what they are."""
    x = node.axes[0]
    ties.freeze(x[0], *x[2:])
    return [(None, x[1], *(None,) * (len(node.made[0]) - 2))]


def batch_norm(ties: Ties, node: Node) -> Sequence[Axes]:
    """Each channel by itself."""
    x = node.axes[0]
    units = at_one(ties, [x[1], *(one[0] for one in node.axes[1:])])
    return [(x[0], units, *x[2:])]


def joined(ties: Ties, node: Node) -> Sequence[Axes]:
    """``Concat``: parts side by side keep their units; the other axes lie over each other."""
    rank = len(node.made[0])
    along = node.given["axis"] % rank
    found: list[Units | None] = []
    for axis in range(rank):
        there = [axes[axis] for axes in node.axes]
        if axis != along:
            found.append(at_one(ties, there))
        elif all(units is None for units in there):
            found.append(None)
        else:
            sizes = [shape[axis] for shape in node.shapes]
            parts = [np.full(n, FROZEN) if u is None else u for u, n in zip(there, sizes, strict=True)]
            found.append(np.concatenate(parts))
    return [tuple(found)]


def gathered(ties: Ties, node: Node) -> Sequence[Axes]:
    """``Gather``: what is picked from stays; the other axes are passed on."""
    x, index = node.axes[0], node.axes[1]
    axis = node.given.get("axis", 0) % len(x)
    ties.freeze(x[axis], *index)
    return [(*x[:axis], *(None,) * len(node.shapes[1]), *x[axis + 1 :])]


def sliced(ties: Ties, node: Node) -> Sequence[Axes]:
    """``Slice``: some of the units."""
    x, found = node.axes[0], list(node.axes[0])
    known = [*node.known, None, None]
    starts, ends, axes, steps = known[1], known[2], known[3], known[4]
    if starts is None or ends is None:
        ties.freeze(*x)
        return [node.plain()]
    along = range(len(starts)) if axes is None else axes.tolist()
    by = [1] * len(starts) if steps is None else steps.tolist()
    for start, end, axis, step in zip(starts.tolist(), ends.tolist(), along, by, strict=True):
        units = x[axis]
        if units is not None:
            if step != 1:
                ties.freeze(units)
            found[axis % len(x)] = units[slice(start, end, step)] if step > 0 else None
    return [tuple(found)]


def split(ties: Ties, node: Node) -> Sequence[Axes]:
    """``Split``: parts of the units."""
    del ties
    x = node.axes[0]
    axis = node.given.get("axis", 0) % len(x)
    places = np.cumsum([shape[axis] for shape in node.made])[:-1]
    units = x[axis]
    parts = [None] * len(node.made) if units is None else np.split(units, places)
    return [(*x[:axis], part, *x[axis + 1 :]) for part in parts]


def turned(ties: Ties, node: Node) -> Sequence[Axes]:
    """``Transpose``."""
    del ties
    x = node.axes[0]
    return [tuple(x[axis] for axis in node.given.get("perm", range(len(x))[::-1]))]


def softmax(ties: Ties, node: Node) -> Sequence[Axes]:
    """Freeze what is shared out among."""
    axis = node.given.get("axis", -1)
    ties.freeze(node.axes[0][axis])
    return [tuple(None if place == axis % len(node.axes[0]) else u for place, u in enumerate(node.axes[0]))]


def layer_norm(ties: Ties, node: Node) -> Sequence[Axes]:
    """Freeze what mean and spread are taken over: they would be others."""
    x = node.axes[0]
    first = node.given.get("axis", -1) % len(x)
    for axes in (x[first:], *node.axes[1:]):
        ties.freeze(*axes)
    return [(*x[:first], *(None,) * (len(x) - first))]


def reduced(ties: Ties, node: Node) -> Sequence[Axes]:
    """Freeze what a sum, mean or norm goes over."""
    x = node.axes[0]
    axes = node.known[1] if len(node.known) > 1 else None
    along = {a % len(x) for a in (axes.tolist() if axes is not None else node.given.get("axes", range(len(x))))}
    ties.freeze(*(x[axis] for axis in along))
    if node.given.get("keepdims", 1):
        return [tuple(None if axis in along else units for axis, units in enumerate(x))]
    return [tuple(units for axis, units in enumerate(x) if axis not in along)]


def unsqueezed(ties: Ties, node: Node) -> Sequence[Axes]:
    """``Unsqueeze`` and ``Squeeze``: axes of one come and go."""
    return reshaped(ties, node)


def padded(ties: Ties, node: Node) -> Sequence[Axes]:
    """``Pad``: an axis that grows has to stay."""
    x = node.axes[0]
    for units, before, after in zip(x, node.shapes[0], node.made[0], strict=True):
        if before != after:
            ties.freeze(units)
    same = zip(x, node.shapes[0], node.made[0], strict=True)
    return [tuple(units if before == after else None for units, before, after in same)]


def shaped(ties: Ties, node: Node) -> Sequence[Axes]:
    """``Shape``: whatever is made of sizes follows them, as long as they are of rows and tokens."""
    ties.freeze(*node.axes[0])
    return [node.plain()]


def reshaped(ties: Ties, node: Node) -> Sequence[Axes]:
    """``Reshape`` and ``Flatten``: a unit of an axis that is merged stands for a row of what it becomes.

    An axis that is split makes heads: all that lies under one index of the first of the new axes goes together.
    """
    found: list[Units | None] = [None] * len(node.made[0])
    fixed = node.kind != "Reshape" or (len(node.known) > 1 and node.known[1] is not None)
    for into, out in _matched(node.shapes[0], node.made[0]):
        units = [(place, node.axes[0][place]) for place in into if node.axes[0][place] is not None]
        if not units:
            continue
        place, known = units[0]
        assert known is not None
        if len(units) > 1 or not fixed or (len(into) > 1 and len(out) > 1) or (into[0] == 0 and place != 0):
            ties.freeze(*(one for _, one in units))
        elif len(out) == 1:
            found[out[0]] = _merged(known, [node.shapes[0][axis] for axis in into], into.index(place))
        else:
            found[out[0]] = _headed(ties, known, node.made[0][out[0]])
    return [tuple(found)]


def _merged(units: Units, sizes: list[int], place: int) -> Units:
    shape = [1] * len(sizes)
    shape[place] = len(units)
    return np.broadcast_to(units.reshape(shape), sizes).reshape(-1)


def _headed(ties: Ties, units: Units, heads: int) -> Units:
    table = units.reshape(heads, -1)
    for column in range(1, table.shape[1]):
        ties.tie(table[:, 0], table[:, column])
    ties.heads.update(table[:, 0].tolist())
    return table[:, 0]


def _matched(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return which axes of one shape make which of another; axes of one are left out."""
    pairs: list[tuple[list[int], list[int]]] = []
    left = [place for place, size in enumerate(before) if size != 1]
    right = [place for place, size in enumerate(after) if size != 1]
    while left and right:
        into, out = [left.pop(0)], [right.pop(0)]
        while (a := np.prod([before[i] for i in into])) != (b := np.prod([after[i] for i in out])):
            if a < b:
                into.append(left.pop(0))
            else:
                out.append(right.pop(0))
        pairs.append((into, out))
    return pairs


ALONE = (
    "Abs",
    "Cast",
    "Clip",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Sigmoid",
    "Softplus",
    "Sqrt",
    "Tanh",
    "IsNaN",
)
TOGETHER = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Max",
    "Min",
    "Sum",
    "Where",
    "Pow",
    "Mod",
    "And",
    "Or",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
)
REDUCING = ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum")
POOLING = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(ALONE, alone),
    **dict.fromkeys(TOGETHER, broadcast),
    **dict.fromkeys(REDUCING, reduced),
    **dict.fromkeys(POOLING, windowed),
    "BatchNormalization": batch_norm,
    "Concat": joined,
    "Conv": convolution,
    "Flatten": reshaped,
    "Gather": gathered,
    "Gemm": general_product,
    "LayerNormalization": layer_norm,
    "MatMul": product,
    "Pad": padded,
    "Reshape": reshaped,
    "Shape": shaped,
    "Slice": sliced,
    "Softmax": softmax,
    "Split": split,
    "Squeeze": unsqueezed,
    "Transpose": turned,
    "Unsqueeze": unsqueezed,
}
"""What each operator ties."""
