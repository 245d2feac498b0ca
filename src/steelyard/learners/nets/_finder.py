"""A highest learning rate, found by raising it step by step until the loss climbs."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from itertools import cycle, islice

import torch
from torch import nn

from steelyard.contracts import Meter
from steelyard.learners.nets._batches import Targets, steps_of
from steelyard.learners.nets._shelf import Shelf
from steelyard.learners.nets._team import Team
from steelyard.learners.nets._training import Training, Vary
from steelyard.learners.nets.course import Course
from steelyard.learners.nets.reading import Material

STEPS = 80
SPAN = 1000.0
"""The rate goes from the setting's thousandth to its thousandfold."""
SMOOTHING = 0.9
CLIMBED = 4.0
"""Times the least loss at which the test is over."""
BELOW = 10.0
"""The rate that is taken is this many times smaller than the one at which the loss was least."""


def factor_of(
    net: nn.Module, course: Course, material: Material, targets: Targets, *, meter: Meter, vary: Vary | None
) -> float:
    """Return by what the learning rate of a course is to be multiplied; the net is left as it was.

    Smith: Cyclical Learning Rates for Training Neural Networks, WACV 2017: a net is trained for some steps at a rate
    that grows from step to step. A tenth of the rate at which the smoothed loss was least is far enough from where it
    climbs.

    Parameters
    ----------
    net, course, material, targets, vary
        What is to be trained, how, and on what.
    meter
        Is told what was found.
    """
    steady = replace(course, schedule="constant", warm_up=0.0, average="none", compiled=False)
    none, shelf = Team(), Shelf(None, "", meter)
    trial = Training(copy.deepcopy(net), material, targets, steady, team=none, meter=meter, vary=vary, shelf=shelf)
    losses, rates = list[float](), [SPAN ** (2 * step / (STEPS - 1) - 1) for step in range(STEPS)]
    trial.net.train()
    order = torch.randperm(len(trial.material), generator=trial.order).numpy()
    batches = steps_of(order, trial.material.lengths, trial.a_step, trial.order)
    for rate, rows in zip(rates, islice(cycle(batches), STEPS), strict=True):
        trial.walk.factor = rate
        losses.append(float(trial.step(rows, 1)))
        if not math.isfinite(losses[-1]) or losses[-1] > CLIMBED * min(losses):
            break
    factor: float = rates[_least(losses)] / BELOW
    meter.note(
        f"{course.learner} takes {factor * course.learning_rate:.2g} for its highest learning rate, found by a range "
        f"test of {len(losses)} steps; its setting is {course.learning_rate:.2g}."
    )
    return factor


def _least(losses: list[float]) -> int:
    """Return where a loss is least once its noise is smoothed away.

    Examples
    --------
    >>> _least([3.0, 2.0, 1.0, 1.0, 1.0, 9.0])
    4
    """
    mean, smooth = 0.0, list[float]()
    for step, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smooth.append(mean / (1 - SMOOTHING**step) if math.isfinite(loss) else math.inf)
    return min(range(len(smooth)), key=smooth.__getitem__)
