"""What a net is trained to make small: cross-entropy for classes, squared error for numbers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from steelyard.learners.nets._batches import ABSENT, mass_of

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From outputs, target and row weights to one number: the weighted mean over the targets that are known."""
TINY = 1e-12


def usual_loss(smoothing: float) -> Loss:
    """Return the loss of nets that bring none of their own.

    Outputs of shape (n, classes) go with class codes of shape (n,), (n, tokens, classes) with (n, tokens), and
    (n, width) with numbers of shape (n,) or (n, width). A code of -100 and a NaN count for nothing. ``smoothing`` is
    the share of probability that is spread over all classes: Szegedy et al., "Rethinking the Inception Architecture
    for Computer Vision" (2016).
    """

    def loss(outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        if target.is_floating_point():
            losses = _squared(outputs, target)
        else:
            flat = outputs.reshape(-1, outputs.shape[-1]), target.reshape(-1)
            losses = functional.cross_entropy(*flat, reduction="none", ignore_index=ABSENT, label_smoothing=smoothing)
        each = losses.reshape(len(weights), -1).sum(1) * weights
        return each.sum() / mass_of(target, weights).clamp_min(TINY)

    return loss


def _squared(outputs: Tensor, target: Tensor) -> Tensor:
    known = ~torch.isnan(target)
    apart = outputs.reshape(target.shape) - torch.where(known, target, torch.zeros_like(target))
    return apart**2 * known
