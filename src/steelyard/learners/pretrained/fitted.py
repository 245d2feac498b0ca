"""A trained encoder with its head, and the graph that ships, written from its weights."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from onnx import TensorProto

from steelyard.contracts import Artefact, Problem, Task
from steelyard.learners._graph import Graph
from steelyard.learners._head import seal
from steelyard.learners.nets.fitted import FittedNet
from steelyard.learners.nets.scale import Scale
from steelyard.learners.pretrained.architectures import Affine
from steelyard.learners.pretrained.graph import hidden, pooled, tokens
from steelyard.learners.pretrained.net import EncoderNet
from steelyard.learners.pretrained.pieces import Pieces
from steelyard.learners.pretrained.tuning import shipped_weights


@dataclass(slots=True, kw_only=True)
class FittedEncoder(FittedNet):
    """A trained encoder; what was put into its layers is merged into them, or stands beside them in the graph."""

    origin: str = ""

    @classmethod
    def of(cls, trained: FittedNet) -> FittedEncoder:
        """Return a trained net as one that writes its graph from its weights."""
        assert isinstance(trained.reading, Pieces)
        trained.reading.forget()
        given = {one.name: getattr(trained, one.name) for one in fields(FittedNet)}
        return cls(**given, origin=trained.reading.checkpoint.about())

    def export(self) -> Artefact:
        """Return the graph behind its feeds."""
        assert isinstance(self.net, EncoderNet)
        return Artefact(
            graph_of(self.net, self.reading.feeds[0].inputs, self.task, self.scale),
            self.reading.feeds,
            self.reading.files,
            self.origin,
        )


def graph_of(net: EncoderNet, inputs: tuple[str, ...], task: Task, scale: Scale) -> bytes:
    """Return an encoder with its head as a graph with the one output ``scores``.

    Parameters
    ----------
    inputs
        The names of ids and mask; of a tagging a third, the place of each word's first piece, int64 (n, words).
    """
    graph, weights = Graph(), shipped_weights(net)
    ids, there = tokens(graph, *inputs[:2])
    state = hidden(graph, weights, ids, there)
    head = _head(net, task, scale)
    if net.pooling is None:
        return _tags(graph, state, inputs[2], head, task)
    vector = pooled(graph, state, there, net.pooling)
    return seal(graph, _sums(graph, vector, head), task)


def _sums(graph: Graph, vector: str, head: Affine) -> str:
    return graph.add("Add", graph.add("MatMul", vector, graph.constant(head.slopes)), graph.constant(head.offsets))


def _tags(graph: Graph, state: str, first: str, head: Affine, task: Task) -> bytes:
    graph.input(first, TensorProto.INT64, ["n", "words"])
    places = graph.add("Unsqueeze", first, graph.constant(np.array([2], np.int64)))
    sums = _sums(graph, graph.add("GatherND", state, places, batch_dims=1), head)
    scores = graph.add("Softmax", sums, axis=-1, output="scores")
    return graph.seal((scores, TensorProto.FLOAT, ["n", "words", task.width]))


def _head(net: EncoderNet, task: Task, scale: Scale) -> Affine:
    """Return the head in the units of what is answered: log-odds of the second of two classes, or the target's own."""
    slopes = net.head.weight.detach().double().cpu().numpy().T
    offsets = net.head.bias.detach().double().cpu().numpy()
    if task.problem is Problem.BINARY:
        slopes, offsets = slopes[:, 1:] - slopes[:, :1], offsets[1:] - offsets[:1]
    elif not task.classes:
        slopes, offsets = slopes * scale.spread, offsets * scale.spread + scale.centre
    return Affine(np.ascontiguousarray(slopes, np.float32), np.asarray(offsets, np.float32))
