"""Rejecting trainings on altered data that did not prove better than the same training on the data as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from steelyard.decide.candidates import Candidate
from steelyard.decide.comparison import Comparison
from steelyard.decide.words import span
from steelyard.recipe import Recipe, Train, trainings
from steelyard.registry import levers


def unproven(candidates: Sequence[Candidate], comparison: Comparison) -> dict[int, str]:
    """Return one sentence for each candidate that owes its data to a lever that ``alters``, by its number.

    It stays only where the paired 95% interval of its gain over the same training without the lever lies above
    zero; what joins or shrinks trainings stays where all of them do. Who corrects data has the burden of proof.
    """
    by_recipe: dict[Recipe, Candidate] = {c.recipe: c for c in candidates}
    found = {}
    for candidate in candidates:
        reasons = (_reason(leaf, by_recipe, comparison) for leaf in trainings(candidate.recipe))
        reason = next((r for r in reasons if r), "")
        if reason:
            found[candidate.number] = reason
    return found


def plain(leaf: Train) -> Train:
    """Return a training without the levers that alter its data."""
    return replace(leaf, data=tuple(s for s in leaf.data if not getattr(levers().get(s.lever), "alters", False)))


def _reason(leaf: Train, by_recipe: dict[Recipe, Candidate], comparison: Comparison) -> str:
    bare = plain(leaf)
    if bare == leaf:
        return ""
    names = " and ".join(dict.fromkeys(step.lever for step in leaf.data if step not in bare.data))
    altered, unaltered = by_recipe.get(leaf), by_recipe.get(bare)
    if altered is None or unaltered is None:
        return f"Whether {names} helps is not known: the same training without it was not measured."
    gain = comparison.difference(altered, unaltered)
    if gain.low > 0:
        return ""
    return (
        f"It did not prove that {names} helps: {comparison.metric.name} differs by {span(gain)} from the same training "
        f"without it, trial {unaltered.number}, and data are altered only where that is surely better."
    )
