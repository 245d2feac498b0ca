"""What the levers here ask about recipes and trials before they build on them."""

from __future__ import annotations

import math

from steelyard.contracts import Context, Trial
from steelyard.levers.ranking import aim_of
from steelyard.recipe import BASELINES, Combine, Recipe, trainings


def is_constant(recipe: Recipe) -> bool:
    """Tell whether nothing under a recipe looks at the rows."""
    return all(leaf.learner in BASELINES for leaf in trainings(recipe))


def ends_with(recipe: Recipe, *levers: str) -> bool:
    """Tell whether the last thing done to a model was one of some combining levers.

    Examples
    --------
    >>> from steelyard.recipe import Train
    >>> ends_with(Combine(lever="threshold", parents=(Train(learner="linear"),)), "threshold", "calibrate")
    True
    """
    return isinstance(recipe, Combine) and recipe.lever in levers


def tolerance_of(context: Context, best: Trial) -> float:
    """Return the tolerance in units of the aim; of money it is a share of the way from the constant model to the best.

    Without a constant model the way begins at zero, as it does where the run decides.
    """
    if context.task.aim != "value":
        return context.tolerance
    constant = (aim_of(t, context.task) for t in context.trials if t.ending.usable and is_constant(t.recipe))
    return context.tolerance * abs(aim_of(best, context.task) - next(filter(math.isfinite, constant), 0.0))
