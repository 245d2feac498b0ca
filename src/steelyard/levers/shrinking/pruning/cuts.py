"""Cutting groups of tied units out of a graph, so that what is left is smaller and nothing is masked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from steelyard.contracts import Floats, Ints
from steelyard.learners.nets.graph_net import GraphNet, Step
from steelyard.levers.shrinking.pruning.ties import tied
from steelyard.levers.shrinking.pruning.units import FROZEN, Axes, Node, Ties, Units

Spot = tuple[str, int]
"""A weight by its name, and one of its axes."""
COARSE, FROM = 8, 16
"""Units that are kept are a multiple of this where there are so many: processors compute on blocks of channels."""


@dataclass(frozen=True, slots=True)
class Family:
    """Groups that stand in the same places of the same weights: the channels of a layer, the heads of an attention.

    ``units`` has one unit for each group.
    """

    kind: str
    units: Units
    spots: tuple[Spot, ...]

    def __len__(self) -> int:
        return len(self.units)


class Anatomy:
    """A graph, and which of its units are tied.

    Parameters
    ----------
    graph
        A model that :class:`~steelyard.learners.nets.graph_net.GraphNet` can compute.
    example
        Its inputs for two rows or more: shapes are those that come up.
    """

    def __init__(self, graph: bytes, example: Mapping[str, Tensor]) -> None:
        self._model = without_constants(onnx.load_model_from_string(graph))
        self._arrays = {array.name: numpy_helper.to_array(array) for array in self._model.graph.initializer}
        self._ties = Ties()
        self._weights: dict[str, Axes] = {
            name: tuple(self._ties.fresh(size) for size in array.shape)
            for name, array in self._arrays.items()
            if array.dtype == np.float32
        }
        self._taken: dict[str, tuple[Axes, ...]] = {}
        self._given: dict[str, tuple[Axes, ...]] = {}
        self._trace(example)
        self.families = self._families()

    @property
    def graph(self) -> bytes:
        """The whole graph, its constants among its weights."""
        return bytes(self._model.SerializeToString(deterministic=True))

    def _trace(self, example: Mapping[str, Tensor]) -> None:
        """Go through the graph once and tie what each node ties."""
        net = GraphNet(self.graph).eval()
        net.wanted = frozenset(name for step in inner_first(net.steps) for name in (*step.takes, *step.gives) if name)
        with torch.no_grad():
            net(example)
        axes: dict[str, Axes] = dict(self._weights)
        self._follow(net.steps, axes, net.kept)
        self._ties.freeze(*axes.get(net.result, ()))

    def _follow(self, steps: Sequence[Step], axes: dict[str, Axes], values: Mapping[str, Tensor]) -> None:
        for step in steps:
            if step.compute is None:
                branch = step.branches[0 if bool(values[step.takes[0]]) else 1]
                self._follow(branch.steps, axes, values)
                axes.update(
                    (own, axes[name]) for own, name in zip(step.gives, branch.gives, strict=True) if name in axes
                )
                continue
            shapes = {name: tuple(values[name].shape) for name in (*step.takes, *step.gives) if name}
            taken = [name for name in step.takes if name]
            found = tied(self._ties, self._node(step, taken, axes, shapes))
            self._taken[step.gives[0]] = tuple(axes.get(name, (None,) * len(shapes[name])) for name in taken)
            self._given[step.gives[0]] = tuple(found)
            axes.update(zip((name for name in step.gives if name), found, strict=False))

    def _node(
        self, step: Step, taken: Sequence[str], axes: Mapping[str, Axes], shapes: Mapping[str, tuple[int, ...]]
    ) -> Node:
        return Node(
            kind=step.kind,
            given=step.given,
            axes=[axes.get(name, (None,) * len(shapes[name])) for name in taken],
            known=[self._arrays.get(name) for name in taken],
            shapes=[shapes[name] for name in taken],
            made=[shapes[name] for name in step.gives if name],
        )

    def _families(self) -> tuple[Family, ...]:
        """Return the groups that can be removed, those of the same places together, in the order of the graph."""
        spots = defaultdict[int, list[Spot]](list)
        for name, axes in self._weights.items():
            for axis, units in enumerate(axes):
                if units is not None:
                    for root in np.unique(self._ties.roots(units)).tolist():
                        spots[root].append((name, axis))
        alike = defaultdict[tuple[Spot, ...], list[int]](list)
        for root in sorted(set(spots) - {FROZEN}):
            alike[tuple(spots[root])].append(root)
        heads = {self._ties.root(unit) for unit in self._ties.heads}
        return tuple(
            Family("heads" if heads.issuperset(roots) else "channels", np.array(roots), places)
            for places, roots in alike.items()
            if len(roots) > 1 and len(places) > 1
        )

    def summed(self, family: Family, weight: Callable[[str], Floats]) -> Floats:
        """Return for each group of a family the sum of what its numbers are worth, shape (groups, places).

        ``weight`` gives an array of the shape of the weight of a name.
        """
        found = np.zeros((len(family), len(family.spots)))
        for column, (name, axis) in enumerate(family.spots):
            array, units = weight(name), self._weights[name][axis]
            assert units is not None
            each = array.sum(axis=tuple(a for a in range(array.ndim) if a != axis))
            roots = self._ties.roots(units)
            known = np.isin(roots, family.units)
            np.add.at(found[:, column], np.searchsorted(family.units, roots[known]), each[known])
        return found

    def array(self, name: str) -> Floats:
        """Return a weight."""
        return np.asarray(self._arrays[name], np.float64)

    def without(self, removed: Ints) -> bytes:
        """Return the graph without some groups, each named by its unit."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        gone = np.unique(removed)
        for array in model.graph.initializer:
            if array.name in self._weights:
                array.CopyFrom(numpy_helper.from_array(self._kept(array.name, gone), array.name))
        for node in model.graph.node:
            if node.output[0] in self._given:
                self._fit(model, node, gone)
        del model.graph.value_info[:]
        return bytes(model.SerializeToString(deterministic=True))

    def _kept(self, name: str, gone: Ints) -> NDArray[Any]:
        array = self._arrays[name]
        for axis, units in enumerate(self._weights[name]):
            if units is not None:
                array = np.compress(self._stays(units, gone), array, axis=axis)
        return np.ascontiguousarray(array)

    def _stays(self, units: Units, gone: Ints) -> NDArray[np.bool_]:
        return ~np.isin(self._ties.roots(units), gone)

    def _fit(self, model: onnx.ModelProto, node: onnx.NodeProto, gone: Ints) -> None:
        """Have the sizes that a node names follow what was removed."""
        taken, given = self._taken[node.output[0]], self._given[node.output[0]]
        match node.op_type:
            case "Conv":
                self._regroup(node, taken, gone)
            case "Reshape" if node.input[1] in self._arrays:
                sizes = self._arrays[node.input[1]].copy()
                for place, units in enumerate(given[0]):
                    if units is not None and sizes[place] > 0:
                        sizes[place] = self._stays(units, gone).sum()
                _replace(model, node, 1, sizes)
            case "Slice" if node.input[1] in self._arrays and node.input[2] in self._arrays:
                self._bound(model, node, taken[0], gone)
            case "Split":
                axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
                parts = [units[axis] for units in given]
                if all(units is not None for units in parts):
                    sizes = np.array([self._stays(u, gone).sum() for u in parts if u is not None], np.int64)
                    _resplit(model, node, sizes)

    def _regroup(self, node: onnx.NodeProto, taken: Sequence[Axes], gone: Ints) -> None:
        for attribute in node.attribute:
            out = taken[1][0]
            if attribute.name == "group" and attribute.i > 1 and out is not None:
                attribute.i = attribute.i if attribute.i != len(out) else int(self._stays(out, gone).sum())

    def _bound(self, model: onnx.ModelProto, node: onnx.NodeProto, x: Axes, gone: Ints) -> None:
        starts, ends = (self._arrays[name].copy() for name in node.input[1:3])
        along = self._arrays[node.input[3]] if len(node.input) > 3 and node.input[3] else np.arange(len(starts))
        for place, axis in enumerate(along.tolist()):
            units = x[axis]
            if units is not None:
                size, before = len(units), np.concatenate([[0], np.cumsum(self._stays(units, gone))])
                for bounds in (starts, ends):
                    bound = bounds[place] + size if bounds[place] < 0 else bounds[place]
                    bounds[place] = before[min(max(bound, 0), size)]
        _replace(model, node, 1, starts)
        _replace(model, node, 2, ends)


def _replace(model: onnx.ModelProto, node: onnx.NodeProto, place: int, array: NDArray[Any]) -> None:
    """Give a node an array of its own for an input, where that changed."""
    was = next(a for a in model.graph.initializer if a.name == node.input[place])
    if not np.array_equal(numpy_helper.to_array(was), array):
        name = f"{node.output[0]}_sizes_{place}"
        model.graph.initializer.append(numpy_helper.from_array(array, name))
        node.input[place] = name


def _resplit(model: onnx.ModelProto, node: onnx.NodeProto, sizes: Ints) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != "num_outputs"]
    del node.attribute[:]
    node.attribute.extend(kept)
    name = f"{node.output[0]}_sizes_1"
    model.graph.initializer.append(numpy_helper.from_array(sizes, name))
    del node.input[1:]
    node.input.append(name)


def inner_first(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield nodes with those of their branches."""
    for step in steps:
        for branch in step.branches:
            yield from inner_first(branch.steps)
        yield step


def without_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph whose constants stand among its arrays, not among its nodes."""
    held = onnx.ModelProto()
    held.CopyFrom(model)
    nodes = list(held.graph.node)
    del held.graph.node[:]
    for node in nodes:
        value = node.attribute[0] if node.op_type == "Constant" else None
        if value is not None and value.name == "value":
            array = onnx.TensorProto()
            array.CopyFrom(value.t)
            array.name = node.output[0]
            held.graph.initializer.append(array)
        else:
            held.graph.node.append(node)
    return held


def kept_of(units: int, share: float) -> int:
    """Return how many of some groups are kept where a share of them is removed: at least one.

    Examples
    --------
    >>> [kept_of(units, 0.5) for units in (2, 12, 32, 50)], kept_of(1536, 0.75), kept_of(6, 0.9)
    ([1, 6, 16, 24], 384, 1)
    """
    kept = (1 - share) * units
    if units >= FROM:
        return min(units, max(COARSE, COARSE * round(kept / COARSE)))
    return max(1, round(kept))
