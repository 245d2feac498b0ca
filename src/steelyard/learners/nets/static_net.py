"""A table of embeddings, the mean of a text's tokens, and a linear head, trained together."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from steelyard.bundle.front_ends.tokenizing import Ragged
from steelyard.contracts import Feed, Meter, Problem, Split, Task, Work
from steelyard.learners._solve import Weights
from steelyard.learners.nets import loop
from steelyard.learners.nets._losses import Loss, usual_loss
from steelyard.learners.nets._machine import seeded, threads
from steelyard.learners.nets.course import Course
from steelyard.learners.nets.lessons import lesson_loss, targets_of
from steelyard.learners.nets.scale import Scale
from steelyard.learners.nets.words import Written
from steelyard.learners.pretrained.architectures import Floats32

RATE = 0.003
BATCH = 64
DROPPED = 0.1
"""Share of the numbers of a text's vector that a step leaves out."""


class StaticNet(nn.Module):
    """Tokens to logits or values: the sum of their vectors, brought to length 1, through a linear head.

    Parameters
    ----------
    table
        The vectors that are trained, shape (tokens, width).
    places
        By the id of a token, its row in ``table``.
    head
        Slopes and offsets it starts from, shapes (width, outputs) and (outputs,).
    inputs
        The names of ids and mask.
    loss
        What it makes small.
    """

    def __init__(
        self, table: Floats32, places: Tensor, head: tuple[Tensor, Tensor], inputs: tuple[str, ...], loss: Loss
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(*table.shape)
        self.register_buffer("places", places)
        slopes, offsets = head
        self.head = nn.Linear(*slopes.shape)
        self.drop = nn.Dropout(DROPPED)
        with torch.no_grad():
            self.table.weight.copy_(torch.from_numpy(table))
            self.head.weight.copy_(slopes.T)
            self.head.bias.copy_(offsets)
        self._inputs, self.loss = inputs, loss

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return logits or values, shape (n, outputs)."""
        ids, mask = (inputs[name] for name in self._inputs)
        places = self.get_buffer("places")[ids]
        total = (self.table(places) * mask.unsqueeze(2)).sum(1)
        made: Tensor = self.head(self.drop(functional.normalize(total, dim=1)))
        return made


def trained(
    start: tuple[Floats32, Weights], read: tuple[Feed, Ragged], rows: Split, work: Work, meter: Meter, *, epochs: int
) -> tuple[Floats32, Weights]:
    """Return a table and a head that were trained on together; tokens that stand in no row keep their vectors.

    Parameters
    ----------
    start
        The vectors of all tokens, weighted, shape (tokens, width); and a head, as
        :func:`~steelyard.learners._solve.solve` fits it.
    read
        The feed of the text, and the rows as tokens.
    rows
        The rows with their lesson, or with the values that a teacher answers.
    epochs
        Times over the rows, fewer where there is no time for them.
    """
    (table, head), (feed, cut) = start, read
    material = Written((feed,), (cut,))
    seen, scale = np.unique(cut.ids), Scale.of(rows, work.task)
    places = np.zeros(len(table), np.int64)
    places[seen] = np.arange(len(seen))
    if rows.lesson is None:
        target, loss = scale.target(rows.target), usual_loss(0.0)
    else:
        target, loss = targets_of(rows, rows.lesson), lesson_loss(rows.lesson.temperature, 0.0)
    course = Course(
        learner="static-embeddings", epochs=epochs, batch=BATCH, learning_rate=RATE, weight_decay=0.0, seed=work.seed
    )
    with threads(work.threads), seeded(work.seed):
        net = StaticNet(table[seen], torch.from_numpy(places), _inward(head, work.task, scale), feed.inputs, loss)
        loop.train(net, material, target, rows.weights, course, judge=None, meter=meter)
    made = table.copy()
    made[seen] = net.table.weight.detach().numpy()
    return made, _outward(net.head, work.task, scale)


def _inward(head: Weights, task: Task, scale: Scale) -> tuple[Tensor, Tensor]:
    """Return the head in the units of training: a logit a class, or standard deviations from the mean."""
    slopes, offsets = head.slopes, head.offsets
    if task.problem is Problem.BINARY:
        slopes, offsets = slopes * np.array([[-0.5, 0.5]]), offsets * np.array([-0.5, 0.5])
    elif not task.classes:
        slopes, offsets = slopes / scale.spread, (offsets - scale.centre) / scale.spread
    return torch.from_numpy(slopes).float(), torch.from_numpy(offsets).float()


def _outward(head: nn.Linear, task: Task, scale: Scale) -> Weights:
    """Return the head in the units of its answers."""
    slopes, offsets = head.weight.detach().double().numpy().T, head.bias.detach().double().numpy()
    if task.problem is Problem.BINARY:
        slopes, offsets = slopes[:, 1:] - slopes[:, :1], offsets[1:] - offsets[:1]
    elif not task.classes:
        slopes, offsets = slopes * scale.spread, offsets * scale.spread + scale.centre
    return Weights(np.ascontiguousarray(slopes), offsets)
