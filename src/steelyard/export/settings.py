"""What a recipe was made with, as plain names and values for tools that know nothing of recipes."""

from __future__ import annotations

from steelyard.recipe import Recipe, Scalar, Train, describe, trainings


def settings_of(recipe: Recipe) -> dict[str, Scalar]:
    """Return the recipe in words, its learners, and the settings of each training that is in it.

    Examples
    --------
    >>> from steelyard.recipe import Plan, Settings
    >>> settings_of(Train(learner="lightgbm", plan=Plan(settings=Settings(leaves=15))))["lightgbm.leaves"]
    15
    """
    leaves = list(dict.fromkeys(trainings(recipe)))
    found: dict[str, Scalar] = {"recipe": describe(recipe), "learners": ", ".join(leaf.learner for leaf in leaves)}
    for number, leaf in enumerate(leaves):
        prefix = leaf.learner if _once(leaf, leaves) else f"{leaf.learner}-{number}"
        found |= {f"{prefix}.{name}": value for name, value in leaf.plan.settings.items()}
        for step in (*leaf.plan.parts, *leaf.data):
            found[f"{prefix}.{step.lever}"] = ", ".join(f"{n}={v}" for n, v in step.settings.items()) or True
        if leaf.plan.rounds is not None:
            found[f"{prefix}.rounds"] = leaf.plan.rounds
    return found


def _once(leaf: Train, leaves: list[Train]) -> bool:
    return sum(other.learner == leaf.learner for other in leaves) == 1
