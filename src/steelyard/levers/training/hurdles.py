"""How good a training must be at each step to be worth finishing: the median rule.

Golovin, Solnik, Moitra, Kochanski, Karro, Sculley: Google Vizier: A Service for Black-Box Optimization. KDD 2017,
doi:10.1145/3097983.3098043, section 3.5.2; with the semantics of Optuna's ``MedianPruner``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np

from steelyard.contracts import Trial
from steelyard.levers.ranking import trained
from steelyard.recipe import Settings, Train

START_UP = 5
"""No hurdle before this many trainings of the learner were finished."""
WARM_UP = 0.25
"""No hurdle in this share of the longest earlier training: slow learners need their start."""


def hurdles(
    trials: Iterable[Trial],
    recipe: Train,
    *,
    start_up: int = START_UP,
    warm_up: float = WARM_UP,
    burden: Callable[[Settings], float] | None = None,
) -> dict[int, float]:
    """Return, per step, the median of what earlier trainings of the same learner had reached there.

    A trial is worth finishing while the *best* value that it has reported so far, higher better, is at least the
    hurdle of the step it is at. Trials count that were measured, on the same training rows; where a curve
    has several values at one step (one a fold), their mean counts.

    What ships is a point on a frontier of quality and cost, so a training is held against those alone that are at
    most as much of a burden to serve, round for round: one that trails them in quality has no other merit, while
    one that is lighter than all of them may be worth its place although it is worse.

    Parameters
    ----------
    trials
        Every trial so far.
    recipe
        The training that is about to start.
    start_up
        How many finished trainings a hurdle needs.
    warm_up
        Share of the longest curve, from 0 to 1, in which nothing is stopped.
    burden
        How much a round of a training with some settings costs to serve, in any unit; without it all are alike.

    Returns
    -------
    dict
        From step to aim (higher better); empty while there are too few trainings to compare with.
    """
    curves = [
        _by_step(t)
        for t in trained(trials, recipe.learner)
        if t.ending.usable and t.curve and _alike(t, recipe) and _lighter(t, recipe, burden)
    ]
    if len(curves) < max(start_up, 1):
        return {}
    reached: defaultdict[int, list[float]] = defaultdict(list)
    for curve in curves:
        for step, value in curve.items():
            reached[step].append(value)
    first = warm_up * max(reached)
    return {
        step: float(np.median(values))
        for step, values in sorted(reached.items())
        if step >= first and len(values) >= start_up
    }


def _alike(trial: Trial, recipe: Train) -> bool:
    return isinstance(trial.recipe, Train) and trial.recipe.data == recipe.data


def _lighter(trial: Trial, recipe: Train, burden: Callable[[Settings], float] | None) -> bool:
    """Tell whether a trial is at most as much of a burden to serve as a training that is about to start."""
    if burden is None or not isinstance(trial.recipe, Train):
        return True
    return burden(trial.recipe.plan.settings) <= burden(recipe.plan.settings)


def _by_step(trial: Trial) -> dict[int, float]:
    found: defaultdict[int, list[float]] = defaultdict(list)
    for step, value in trial.curve:
        found[step].append(value)
    return {step: float(np.mean(values)) for step, values in found.items()}
