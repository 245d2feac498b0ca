"""Trials in the order of the aim, in the direction in which the aim is better."""

from __future__ import annotations

import math
from collections.abc import Iterable

from steelyard.contracts import Task, Trial
from steelyard.recipe import Train
from steelyard.tasks import metric


def aim_of(trial: Trial, task: Task) -> float:
    """Return a trial's validation figure of the aim, higher better; NaN where it was not measured."""
    figure = trial.validation.get(task.aim)
    return math.nan if figure is None else metric(task.aim).higher_is_better(figure.value)


def ranked(trials: Iterable[Trial], task: Task) -> tuple[Trial, ...]:
    """Return the measured trials with a finite aim, best first; equals in the order in which they were tried."""
    fit = [(aim_of(t, task), t) for t in trials if t.ending.usable]
    finite = [(aim, t) for aim, t in fit if math.isfinite(aim)]
    return tuple(t for _, t in sorted(finite, key=lambda pair: (-pair[0], pair[1].number)))


def trained(trials: Iterable[Trial], learner: str | None = None) -> tuple[Trial, ...]:
    """Return the trials whose recipe is one training, of a learner if one is named, whatever their ending."""
    return tuple(t for t in trials if isinstance(t.recipe, Train) and learner in {None, t.recipe.learner})
