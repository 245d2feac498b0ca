"""Whole layers out of a graph: what a residual way leads around can be left out, for the way itself stays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
import torch
from torch import Tensor

from steelyard.contracts import Artefact, Ints, Meter, Split, Work
from steelyard.learners.nets._machine import threads
from steelyard.learners.nets.graph_net import GraphNet, Step
from steelyard.levers.shrinking.pruning.cuts import without_constants
from steelyard.levers.shrinking.tuning.feeding import material_of, sample
from steelyard.levers.shrinking.tuning.lesson import LEAST

ROWS = 96
"""Rows whose answers say what a layer is worth."""
AFTER = frozenset({"LayerNormalization", "Relu"})
"""What may follow a sum of two ways, and does little to a value that it made already."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that can be left out: who took its ``output`` takes its ``source`` instead."""

    source: str
    output: str


def layers_of(graph: bytes, example: Mapping[str, Tensor]) -> tuple[Layer, ...]:
    """Return the layers that a residual way leads around, in the order of the graph.

    Such a layer ends in a sum of its source and of something made of it, of the same shape; a ``Relu`` or
    ``LayerNormalization`` behind the sum belongs to it where the source comes out of one too.
    """
    net = GraphNet(graph).eval()
    net.wanted = frozenset(name for step in net.steps for name in (*step.takes, *step.gives))
    with torch.no_grad():
        net(example)
    above, makers, takers = dict[str, frozenset[str]](), dict[str, Step](), defaultdict[str, list[Step]](list)
    for step in net.steps:
        whole = frozenset(step.takes).union(*(above.get(name, frozenset()) for name in step.takes))
        for name in step.gives:
            above[name], makers[name] = whole, step
        for name in step.takes:
            takers[name].append(step)
    found = []
    for step in net.steps:
        if step.kind == "Add" and len(step.takes) == 2:
            for source, other in (step.takes, step.takes[::-1]):
                if source in above.get(other, ()) and source in makers and _alike(net.kept, source, step.gives[0]):
                    found.append(Layer(source, _end(step, makers[source].kind, takers)))
                    break
    return tuple(one for one in found if one.output != net.result)


def _alike(values: Mapping[str, Tensor], first: str, second: str) -> bool:
    return values[first].shape == values[second].shape


def _end(step: Step, kind: str, takers: Mapping[str, Sequence[Step]]) -> str:
    """Return what a layer gives: a sum, or what a normalisation or rectification makes of it."""
    following = takers[step.gives[0]]
    if len(following) == 1 and following[0].kind == kind and kind in AFTER:
        return following[0].gives[0]
    return step.gives[0]


def cheapest(
    artefact: Artefact, layers: Sequence[Layer], count: int, *, split: Split, work: Work, meter: Meter
) -> tuple[Layer, ...]:
    """Return the layers whose absence moves the answers least, taken out one after the other.

    How far answers move is the Kullback-Leibler divergence from those of the whole graph, or the squared error for
    numbers, on a sample of rows, without their labels. As for the encoders of Sajjad, Dalvi, Durrani, Nakov (On the
    Effect of Dropping Layers of Pre-trained Transformer Models, Computer Speech & Language 2023, arXiv:2004.03844)
    some layers matter little; which ones is measured here.
    """
    rows = split.take(sample(len(split), ROWS, work.seed))
    material = material_of(artefact, rows.columns, threads=work.threads)
    parts: list[Ints] = np.array_split(np.arange(len(rows)), max(1, len(rows) // 32))
    batches = [material.batch(part) for part in parts]
    net = GraphNet(artefact.graph).eval()
    whole = tuple(net.steps)
    gone = list[Layer]()
    with threads(work.threads), torch.no_grad():
        wanted = [_logits(net, batch, work) for batch in batches]
        while len(gone) < count and meter.remaining() > 0:
            moved = []
            for layer in layers:
                if layer not in gone:
                    net.steps = around(whole, [*gone, layer], net.result)
                    pairs = zip(batches, wanted, strict=True)
                    apart = sum(_apart(_logits(net, b, work), w, work) for b, w in pairs)
                    moved.append((apart, layer))
            gone.append(min(moved, key=lambda one: one[0])[1])
    return tuple(layer for layer in layers if layer in gone)


def _logits(net: GraphNet, inputs: Mapping[str, Tensor], work: Work) -> Tensor:
    outputs: Tensor = net(inputs)
    probable = bool(work.task.classes) and not net.ends_in_softmax
    return outputs.clamp_min(LEAST).log() if probable else outputs


def _apart(own: Tensor, other: Tensor, work: Work) -> float:
    if not work.task.classes:
        return float((own - other).square().sum())
    return float((other.softmax(-1) * (other.log_softmax(-1) - own.log_softmax(-1))).sum())


def around(steps: Iterable[Step], gone: Sequence[Layer], result: str) -> list[Step]:
    """Return the nodes that are left where some layers are gone."""
    names = _renamed(gone)
    left = [replace(step, takes=tuple(names.get(name, name) for name in step.takes)) for step in steps]
    needed, kept = {result}, list[Step]()
    for step in reversed(left):
        if needed.intersection(step.gives):
            needed.update(step.takes)
            kept.append(step)
    return kept[::-1]


def _renamed(gone: Sequence[Layer]) -> Mapping[str, str]:
    """Return what stands for the output of each layer that is gone; its source may be such an output too."""
    direct = {layer.output: layer.source for layer in gone}
    names = dict[str, str]()
    for output, source in direct.items():
        found = source
        while found in direct:
            found = direct[found]
        names[output] = found
    return names


def without_layers(graph: bytes, gone: Sequence[Layer]) -> bytes:
    """Return the graph without some layers, and without the weights that only these had."""
    model, names = without_constants(onnx.load_model_from_string(graph)), _renamed(gone)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
    return swept(model)


def swept(model: onnx.ModelProto) -> bytes:
    """Return a graph without the nodes and arrays that no output needs."""
    needed = {value.name for value in model.graph.output}
    kept = []
    for node in reversed(list(model.graph.node)):
        if needed.intersection(node.output):
            needed.update(node.input)
            for attribute in node.attribute:
                needed.update(name for inner in attribute.g.node for name in inner.input)
                needed.update(value.name for value in attribute.g.output)
            kept.append(node)
    arrays = [array for array in model.graph.initializer if array.name in needed]
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(kept[::-1])
    model.graph.initializer.extend(arrays)
    return bytes(model.SerializeToString(deterministic=True))
