"""What fewer columns may claim: those to keep were chosen by the rows that judge the choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from steelyard.decide.candidates import Candidate
from steelyard.levers.training.parts import SELECT
from steelyard.recipe import Recipe, Train


def whole(leaf: Train) -> Train:
    """Return a training on all columns."""
    parts = tuple(part for part in leaf.plan.parts if part.lever != SELECT)
    return replace(leaf, plan=replace(leaf.plan, parts=parts))


def ceilings(candidates: Sequence[Candidate], worth: Callable[[Candidate], float]) -> dict[int, float]:
    """Return, by number, what a training on fewer columns counts as at most: the same training on all of them.

    Its own figure counts where it is lower, or where the training on all columns was not measured.
    """
    by_recipe: dict[Recipe, Candidate] = {c.recipe: c for c in candidates}
    found = {}
    for candidate in candidates:
        recipe = candidate.recipe
        if isinstance(recipe, Train) and (bare := whole(recipe)) != recipe and bare in by_recipe:
            found[candidate.number] = worth(by_recipe[bare])
    return found
