"""A trained encoder with its head, and the graph that ships, written from its weights."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from steelyard.contracts import Artefact, Problem, Task
from steelyard.learners._graph import Graph
from steelyard.learners._head import seal
from steelyard.learners.nets.fitted import FittedNet
from steelyard.learners.nets.scale import Scale
from steelyard.learners.pretrained.architectures import Affine
from steelyard.learners.pretrained.graph import affine, hidden, pooled, tokens
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
        The names of ids and mask.
    """
    graph, weights = Graph(), shipped_weights(net)
    ids, there = tokens(graph, *inputs)
    state = hidden(graph, weights, ids, there)
    head = _head(net, task, scale)
    vector = pooled(graph, state, there, net.pooling)
    return seal(graph, affine(graph, head, vector), task)


def _head(net: EncoderNet, task: Task, scale: Scale) -> Affine:
    """Return the head in the units of what is answered: log-odds of the second of two classes, or the target's own."""
    slopes = net.head.weight.detach().double().cpu().numpy().T
    offsets = net.head.bias.detach().double().cpu().numpy()
    if task.problem is Problem.BINARY:
        slopes, offsets = slopes[:, 1:] - slopes[:, :1], offsets[1:] - offsets[:1]
    elif not task.classes:
        slopes, offsets = slopes * scale.spread, offsets * scale.spread + scale.centre
    return Affine(np.ascontiguousarray(slopes, np.float32), np.asarray(offsets, np.float32))
