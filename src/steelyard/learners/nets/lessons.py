"""What a net learns of a teacher: the probabilities of a row at a temperature, beside its own class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from steelyard.contracts import Lesson, Split
from steelyard.learners.nets._losses import TINY, Loss

LEAST = 1e-7
"""Least probability that a logarithm is taken of: scores are float32."""


def softened(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return probabilities whose logits are divided by a temperature.

    Examples
    --------
    >>> softened(np.array([[0.9, 0.1]]), 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    logits = np.log(np.maximum(scores, LEAST)) / temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def targets_of(split: Split, lesson: Lesson) -> NDArray[np.float32]:
    """Return what is to be learnt of each row, shape (n, 2, classes): what the teacher says, and what is true.

    Each is scaled by its share of the row's loss.
    """
    trust = lesson.trust[:, None]
    told = trust * softened(lesson.scores, lesson.temperature)
    true = (1 - trust) * np.eye(lesson.scores.shape[1])[split.target]
    return np.stack([told, true], axis=1).astype(np.float32)


def lesson_loss(temperature: float, smoothing: float) -> Loss:
    """Return the loss of a student: cross-entropy with what a teacher says and with what is true, by their shares.

    Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (2015): the logits of both are divided by the
    temperature, and that part is multiplied by its square, so that its gradients stay as large.

    Parameters
    ----------
    temperature
        The one that :func:`targets_of` was made at.
    smoothing
        Share of the truth that is spread over all classes.
    """

    def loss(outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted mean of both cross-entropies; ``target`` holds a teacher's and the true probabilities."""
        told, true = target[:, 0], target[:, 1]
        true = (1 - smoothing) * true + smoothing * true.sum(1, keepdim=True) / true.shape[1]
        soft = -(told * functional.log_softmax(outputs / temperature, 1)).sum(1) * temperature**2
        hard = -(true * functional.log_softmax(outputs, 1)).sum(1)
        return ((soft + hard) * weights).sum() / weights.sum().clamp_min(TINY)

    return loss
