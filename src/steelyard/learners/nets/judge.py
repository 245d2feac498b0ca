"""How good a net is on validation rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from steelyard.bundle.rules import answer_of
from steelyard.contracts import Problem, Split, Task
from steelyard.learners.nets.fitted import Scale, answered
from steelyard.learners.nets.reading import Material
from steelyard.tasks import metric

LEAST = 1e-12
"""Least probability that a logarithm is taken of."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation rows say of a net."""

    loss: float
    """Log loss, or squared error in the scale of training: what early stopping goes by."""
    aim: float
    """The task's aim, higher better: what is reported."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges a net on validation rows that are made ready once.

    Parameters
    ----------
    task
        Says what counts.
    valid
        The rows, with what is true of them.
    material
        The same rows as the net reads them.
    scale
        That of the target in training.
    """

    task: Task
    valid: Split
    material: Material
    scale: Scale

    def __call__(self, net: nn.Module) -> Verdict:
        """Return loss and aim of a net."""
        scores = answered(net, self.material, self.task, self.scale)
        answer = replace(answer_of(self.task, scores, self.valid.amounts), scales=self.valid.scales)
        aim = metric(self.task.aim)
        value = aim.measure(self.task, self.valid.target, answer, self.valid.weights)
        return Verdict(self._loss(scores), aim.higher_is_better(value))

    def _loss(self, scores: np.ndarray[Any, Any]) -> float:
        target, weights = self.valid.target, self.valid.weights
        if self.task.problem is Problem.TAGGING:
            picked = [-np.log(np.maximum(s[np.arange(len(t)), t], LEAST)) for s, t in zip(scores, target, strict=True)]
            return float(np.mean(np.concatenate(picked)))
        if not self.task.classes:
            apart = self.scale.target(scores) - self.scale.target(target).reshape(scores.shape)
            known = ~np.isnan(apart) * (1.0 if weights is None else weights[:, None])
            return float((np.nan_to_num(apart) ** 2 * known).sum() / max(known.sum(), LEAST))
        losses = -np.log(np.maximum(scores[np.arange(len(target)), target], LEAST))
        return float(np.average(losses, weights=weights))
