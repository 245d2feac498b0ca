"""What a graph that is trained on is told of each row, and the loss that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from steelyard.contracts import Floats
from steelyard.learners.nets.graph_net import GraphNet

LEAST = 1e-7
"""Least probability whose logarithm is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """How labels and a teacher's answers become one loss.

    ``classes`` is 0 for numbers, which are learned in standard deviations (``spread``) from their mean (``centre``).
    A target has ``width`` columns of the labels (one-hot, or numbers), and as many of the teacher's where these are
    known before training.
    """

    classes: int
    width: int
    centre: Floats
    spread: Floats
    temperature: float
    share: float

    def target(self, labels: NDArray[Any], told: Floats) -> NDArray[Any]:
        """Return what the loss is told of each row; a number that is unknown is as the teacher has it, or the mean."""
        if self.classes:
            known = np.eye(self.classes)[labels]
            return np.hstack([known, told])
        known = self._scaled(labels.reshape(len(labels), -1).astype(np.float64))
        told = self._scaled(told) if told.shape[1] else told
        absent = told if told.shape[1] else np.zeros_like(known)
        return np.hstack([np.where(np.isnan(known), absent, known), told])

    def _scaled(self, values: Floats) -> Floats:
        return np.asarray((values - self.centre) / self.spread)

    def losses(self, outputs: Tensor, labels: Tensor, told: Tensor | None) -> Tensor:
        """Return the loss of each row; ``told`` are the teacher's probabilities or scaled values."""
        share = self.share if told is not None else 0.0
        if not self.classes:
            own = self.scaled(outputs)
            losses = (1 - share) * (own - labels).square().mean(1)
            return losses if told is None else losses + share * (own - told).square().mean(1)
        losses = -(1 - share) * (labels * outputs.log_softmax(1)).sum(1)
        if told is None or share == 0.0:
            return losses
        heat = self.temperature
        soft = (told.clamp_min(LEAST).log() / heat).softmax(1)
        return losses - share * heat**2 * (soft * (outputs / heat).log_softmax(1)).sum(1)

    def scaled(self, outputs: Tensor) -> Tensor:
        """Return values in standard deviations from the mean."""
        centre, spread = (torch.as_tensor(np.array(x), dtype=torch.float32) for x in (self.centre, self.spread))
        return (outputs - centre.to(outputs.device)) / spread.to(outputs.device)


class Pupil(nn.Module):
    """A graph under training with its lesson, and with its teacher beside it where that has to see the very batch.

    Attributes
    ----------
    net
        What is trained.
    """

    def __init__(
        self, net: GraphNet, teacher: GraphNet | None, lesson: Lesson, hidden: tuple[tuple[str, str], ...]
    ) -> None:
        super().__init__()
        self.net, self._lesson, self._hidden = net, lesson, hidden
        self._teacher = (teacher,)  # in a tuple its weights are none of this module's
        self._told: Tensor | None = None
        self._apart: Tensor | float = 0.0
        net.wanted = frozenset(own for own, _ in hidden)
        if teacher is not None:
            teacher.wanted = frozenset(other for _, other in hidden)
            teacher.requires_grad_(requires_grad=False)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return logits or values, shape (n, width)."""
        outputs = self._logits(self.net, inputs)
        (teacher,) = self._teacher
        if teacher is not None and self.training:
            teacher.to(outputs.device)
            with torch.no_grad():
                told = self._logits(teacher, inputs)
            self._told = told.float().softmax(1) if self._lesson.classes else self._lesson.scaled(told.float())
            self._apart = sum(
                (_apart(self.net.kept[own], teacher.kept[other]) for own, other in self._hidden), start=0.0
            )
        return outputs

    def _logits(self, net: GraphNet, inputs: Mapping[str, Tensor]) -> Tensor:
        outputs: Tensor = net(inputs)
        if self._lesson.classes and not net.ends_in_softmax:
            return outputs.clamp_min(LEAST).log()
        return outputs

    def loss(self, outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted mean loss of some rows."""
        labels, told = target[:, : self._lesson.width], target[:, self._lesson.width :]
        known = self._told if self._told is not None else told if told.shape[1] else None
        losses = self._lesson.losses(outputs, labels, known)
        return (losses * weights).sum() / weights.sum() + self._apart


def _apart(own: Tensor, other: Tensor) -> Tensor:
    """Return the mean squared error between values, each of length 1 along the last axis, times their number there.

    The factor makes it of the size of a squared error between standardised numbers, whatever the width.
    """
    if own.shape != other.shape:
        raise ValueError(f"values to be alike have shapes {tuple(own.shape)} and {tuple(other.shape)}")
    return functional.mse_loss(functional.normalize(own, dim=-1), functional.normalize(other, dim=-1)) * own.shape[-1]
