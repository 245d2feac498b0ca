"""An encoder that tags tokens: how each is written as a feature beside what the encoder reads, and its graph."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor, nn

from steelyard.bundle.front_ends._token_chars import LOOKS
from steelyard.contracts import Artefact, Task
from steelyard.learners._graph import Graph
from steelyard.learners.nets.course import Course
from steelyard.learners.nets.fitted import FittedNet
from steelyard.learners.pretrained.architectures import Affine, Floats32
from steelyard.learners.pretrained.checkpoints import Checkpoint, weights_of
from steelyard.learners.pretrained.graph import affine, hidden, tokens
from steelyard.learners.pretrained.net import EncoderNet, encoder_of
from steelyard.learners.pretrained.tuning import shipped_weights
from steelyard.tasks.spans import OUTSIDE

HEAD = 10.0
"""How many times faster than the encoder what is new learns."""
UNREAD = 20.0
"""The logit of ``O`` for tokens that were not read."""


class TagNet(EncoderNet):
    """Logits of tags, shape (n, T, classes), read off the first piece of each token.

    Many encoders read lower case; how a token is written is added to what goes into the first layer, from nothing at
    first, and stands beside its vector in the head.
    """

    unread: Tensor

    def __init__(self, checkpoint: Checkpoint, classes: tuple[str, ...], *, dropout: float) -> None:
        width = weights_of(checkpoint).width
        super().__init__(encoder_of(checkpoint), checkpoint.architecture, width=(width, len(classes)))
        self.looks, self.written = nn.Embedding(LOOKS, width), nn.Embedding(LOOKS, len(classes))
        for table in (self.looks, self.written):
            nn.init.zeros_(table.weight)
        self.drop = nn.Dropout(dropout)
        outside = torch.zeros(len(classes))
        outside[classes.index(OUTSIDE) if OUTSIDE in classes else 0] = UNREAD
        self.register_buffer("unread", outside)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the logits of a batch."""
        looks, first = inputs["looks"], inputs["first"]
        state = self.embedded(inputs["ids"]) + self.looks(looks)
        state = self.through(state, inputs["mask"], 0, len(self.layers))
        own = state.gather(1, first.unsqueeze(2).expand(-1, -1, state.shape[2]))
        logits = self.head(self.drop(own)) + self.written(looks.gather(1, first))
        return torch.where((first > 0).unsqueeze(2), logits, self.unread)

    def groups(self, course: Course) -> list[dict[str, Any]]:
        """Return the parameters: the encoder at the rate of the course, what is new at a higher one."""
        encoder = list(self.model.parameters())
        new = [p for name, p in self.named_parameters() if not name.startswith("model.")]
        return [
            {"params": encoder, "lr": course.learning_rate, "weight_decay": course.weight_decay},
            {"params": new, "lr": HEAD * course.learning_rate, "weight_decay": 0.0},
        ]


@dataclass(slots=True, kw_only=True)
class FittedTags(FittedNet):
    """A trained tagger, whose graph is written from its weights."""

    origin: str

    @classmethod
    def of(cls, trained: FittedNet, origin: str) -> FittedTags:
        """Return a trained net as one that says where its weights come from."""
        return cls(**{one.name: getattr(trained, one.name) for one in fields(FittedNet)}, origin=origin)

    def export(self) -> Artefact:
        """Return the graph behind its feed."""
        assert isinstance(self.net, TagNet)
        graph = graph_of(self.net, self.reading.feeds[0].inputs, self.task)
        return Artefact(graph, self.reading.feeds, self.reading.files, self.origin)


def graph_of(net: TagNet, inputs: tuple[str, ...], task: Task) -> bytes:
    """Return a tagger as a graph with the one output ``scores``, float32 of shape (n, T, classes).

    Parameters
    ----------
    inputs
        The names of ids, mask, ways to be written and places of first pieces: see the front end ``subwords``.
    """
    graph, (ids, mask, looks, first) = Graph(), inputs
    ids, there = tokens(graph, ids, mask)
    graph.input(looks, TensorProto.INT64, ["n", f"{ids}_tokens"])
    graph.input(first, TensorProto.INT64, ["n", "words"])
    beside = graph.add("Gather", graph.constant(_array(net.looks.weight)), looks, axis=0)
    state = hidden(graph, shipped_weights(net), ids, there, beside=beside)
    own = graph.add("GatherND", state, _last(graph, first), batch_dims=1)
    head = Affine(np.ascontiguousarray(_array(net.head.weight).T), _array(net.head.bias))
    written = graph.add("GatherElements", looks, first, axis=1)
    extra = graph.add("Gather", graph.constant(_array(net.written.weight)), written, axis=0)
    logits = graph.add("Add", affine(graph, head, own), extra)
    is_read = _last(graph, graph.add("Greater", first, graph.constant(np.array(0, np.int64))))
    known = graph.add("Where", is_read, logits, graph.constant(_array(net.unread)))
    scores = graph.add("Softmax", known, axis=-1, output="scores")
    return graph.seal((scores, TensorProto.FLOAT, ["n", "words", task.width]))


def _last(graph: Graph, value: str) -> str:
    """Add an axis behind those of a value of shape (n, T)."""
    return graph.add("Unsqueeze", value, graph.constant(np.array([2], np.int64)))


def _array(tensor: Tensor) -> Floats32:
    return tensor.detach().float().cpu().numpy()
