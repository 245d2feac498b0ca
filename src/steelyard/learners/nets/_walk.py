"""Steps of an optimiser, at a rate that rises and falls over a course whose length may change."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from steelyard.learners.nets.course import Course

START = 0.04
"""The rate at the start, as a share of the highest."""
SGD = 10.0
"""How many times the rate of Adam SGD takes: its steps are not divided by the size of gradients."""
MOMENTUM = 0.9
SWA_FROM = 0.75
"""Share of the course after which weights are averaged at a steady rate, where SWA is asked for."""


class Walk:
    """The optimiser of a net. Decay pulls at matrices and filters, not at biases and norms.

    Kingma, Ba: Adam, ICLR 2015; Loshchilov, Hutter: Decoupled Weight Decay Regularization, ICLR 2019; Smith, Topin:
    Super-Convergence, 2018; Loshchilov, Hutter: SGDR, ICLR 2017.
    """

    def __init__(self, net: nn.Module, course: Course) -> None:
        self._net, self._course, self.progress = net, course, 0.0
        self.factor = 1.0
        self.optimiser = _optimiser(_groups(net, course), course)
        self._highest = [group["lr"] for group in self.optimiser.param_groups]

    def step(self, steps_left: int) -> None:
        """Move the weights by their gradients, ``steps_left`` steps before the end, this one included."""
        share = share_at(self.progress, self._course)
        for group, highest in zip(self.optimiser.param_groups, self._highest, strict=True):
            group["lr"] = highest * share * self.factor
        if self._course.clip > 0:
            nn.utils.clip_grad_norm_(self._net.parameters(), self._course.clip)
        self.optimiser.step()
        self.progress += (1 - self.progress) / max(1, steps_left)

    def forget(self) -> None:
        """Drop the gradients."""
        self.optimiser.zero_grad(set_to_none=True)


def _groups(net: nn.Module, course: Course) -> list[dict[str, Any]]:
    own = getattr(net, "groups", None)
    if callable(own):
        return [dict(group) for group in own(course)]
    trained = [p for p in net.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": course.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _optimiser(groups: list[dict[str, Any]], course: Course) -> Optimizer:
    groups = [group for group in groups if group["params"]]
    if course.optimiser == "sgd":
        for group in groups:
            group["lr"] = SGD * group.get("lr", course.learning_rate)
        return torch.optim.SGD(groups, lr=SGD * course.learning_rate, momentum=MOMENTUM, nesterov=True)
    kind = torch.optim.Adam if course.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, lr=course.learning_rate, fused=True)


def share_at(progress: float, course: Course) -> float:
    """Return the rate as a share of the highest, at a place of the course from 0 to 1.

    ``"one-cycle"`` rises and falls by half cosines, ``"cosine"`` rises in a line, ``"constant"`` does not fall.

    Examples
    --------
    >>> [round(share_at(p, Course()), 2) for p in (0, 0.3, 0.65, 1)]
    [0.04, 1.0, 0.5, 0.0]
    >>> [round(share_at(p, Course(schedule="cosine", warm_up=0.1)), 2) for p in (0, 0.05, 0.1, 0.55, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if course.average == "swa":
        progress = min(progress, SWA_FROM)
    if progress < course.warm_up:
        risen = progress / course.warm_up
        if course.schedule == "one-cycle":
            risen = (1 - math.cos(math.pi * risen)) / 2
        return START + (1 - START) * risen
    if course.schedule == "constant":
        return 1.0
    return (1 + math.cos(math.pi * (progress - course.warm_up) / (1 - course.warm_up))) / 2
