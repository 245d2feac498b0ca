"""A trained net, what it reads, and its answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from steelyard.contracts import Artefact, Columns, Floats, Ints, Problem, Split, Task
from steelyard.learners.nets._machine import moved, threads
from steelyard.learners.nets.export import Axes, axes_of, exported
from steelyard.learners.nets.reading import Material, Reading
from steelyard.learners.nets.scale import Scale

AT_ONCE = 256
"""Rows answered at once."""

__all__ = ["FittedNet", "Scale", "answered", "outputs"]


def outputs(net: nn.Module, material: Material) -> list[NDArray[np.float64]]:
    """Return what a net says of each row: logits or values, float64 of shape (width,) or (tokens, classes).

    Rows of like length are answered together; the net is put into evaluation mode and stays there.
    """
    net.eval()
    where = next((p.device for p in net.parameters()), torch.device("cpu"))
    order = np.arange(len(material)) if material.lengths is None else np.argsort(material.lengths, kind="stable")
    found: list[NDArray[np.float64]] = [np.empty(0)] * len(material)
    with torch.inference_mode():
        for start in range(0, len(order), AT_ONCE):
            rows = order[start : start + AT_ONCE]
            made = net(moved(material.batch(rows), where)).double().cpu().numpy()
            for row, one in zip(rows.tolist(), made, strict=True):
                found[row] = one
    return found


def answered(net: nn.Module, material: Material, task: Task, scale: Scale) -> Floats:
    """Return a net's scores: (n, width) of probabilities or values; of a tagging objects, each (tokens, classes)."""
    raw = outputs(net, material)
    if task.problem is Problem.TAGGING:
        assert material.lengths is not None, "tokens have lengths"
        tags = np.empty(len(raw), object)
        for row, (one, length) in enumerate(zip(raw, _whole(material.lengths), strict=True)):
            tags[row] = _probabilities(one[:length])
        return tags
    table = np.array(raw).reshape(len(raw), -1)
    return _probabilities(table) if task.classes else scale.undone(table)


def _whole(lengths: Ints) -> list[int]:
    return [int(length) for length in lengths]


def _probabilities(logits: NDArray[np.float64]) -> Floats:
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True), dtype=np.float64)


@dataclass(slots=True, kw_only=True)
class FittedNet:
    """A trained net; an instance of :class:`steelyard.contracts.Fitted`.

    Attributes
    ----------
    net
        On the CPU, in evaluation mode.
    reading
        Makes batches of columns, in training as in a bundle.
    axes
        Which axes of which inputs may have any length, by the name of the input; ``None``: see
        :func:`~steelyard.learners.nets.export.axes_of`.
    example
        A few training rows, which the export is traced with.
    stopped
        Whether the deadline, or the meter, ended the training.
    """

    net: nn.Module = field(repr=False)
    reading: Reading = field(repr=False)
    task: Task
    scale: Scale
    threads: int
    rounds: int | None
    stopped: bool = False
    example: Columns = field(repr=False)
    axes: Axes | None = None
    losses: tuple[float, ...] = ()
    """Mean training loss of each epoch."""

    def scores(self, columns: Columns) -> Floats:
        """Return PyTorch's own scores."""
        with threads(self.threads):
            return answered(self.net, self.reading.material(columns), self.task, self.scale)

    def export(self) -> Artefact:
        """Return the graph behind its feeds."""
        material = self.reading.material(self.example)
        inputs = material.batch(np.arange(len(material)))
        axes = self.axes if self.axes is not None else axes_of(inputs, material.lengths is not None)
        with threads(self.threads):
            graph = exported(self.net, inputs, axes, self.task, self.scale)
        return Artefact(graph, self.reading.feeds, self.reading.files)


def example_of(train: Split) -> Columns:
    """Return the two training rows, the same one twice where there is one, that an export is traced with."""
    return train.take(np.array([0, len(train) - 1])).columns
