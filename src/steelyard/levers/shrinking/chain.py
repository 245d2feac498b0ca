"""Where shrinking starts and how its steps chain: any finished graph, one more step, no step twice."""

from __future__ import annotations

from steelyard.contracts import Context, Trial
from steelyard.recipe import Recipe, Settings, Shrink, Train

MOST_STEPS = 4
"""Longest chain of shrinking steps that is proposed: prune, distil, quantise, fuse."""


def steps_of(recipe: Recipe) -> tuple[str, ...]:
    """Return the shrinking levers of a recipe, the first pulled first.

    Examples
    --------
    >>> steps_of(Shrink(lever="quantise", parent=Shrink(lever="prune", parent=Train(learner="cnn"))))
    ('prune', 'quantise')
    """
    return (*steps_of(recipe.parent), recipe.lever) if isinstance(recipe, Shrink) else ()


def root_of(recipe: Recipe) -> Recipe:
    """Return what the first shrinking step started from.

    Examples
    --------
    >>> root_of(Shrink(lever="quantise", parent=Train(learner="cnn"))).learner
    'cnn'
    """
    return root_of(recipe.parent) if isinstance(recipe, Shrink) else recipe


def learner_of(recipe: Recipe) -> str:
    """Return the learner of a model that is one training, shrunk or not; empty for anything else."""
    root = root_of(recipe)
    return root.learner if isinstance(root, Train) else ""


def weighty(trial: Trial, context: Context) -> bool:
    """Tell whether a measured model is one graph, of a learner that keeps what it knows in weights."""
    learner = learner_of(trial.recipe)
    return bool(trial.ending.usable and learner and getattr(context.learner(learner), "weighty", False))


def one_more(lever: str, trial: Trial, context: Context, settings: Settings | None = None) -> Shrink | None:
    """Return the recipe of one more step on a measured model.

    ``None`` where that was tried, the step was taken before, or the chain is long enough.
    """
    steps = steps_of(trial.recipe)
    if not trial.ending.usable or lever in steps or len(steps) >= MOST_STEPS:
        return None
    recipe = Shrink(lever=lever, parent=trial.recipe, settings=settings or Settings())
    return None if recipe in {t.recipe for t in context.trials} else recipe
