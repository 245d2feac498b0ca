"""Parts of a plan that the engine carries out for every learner: the columns it sees, the folds it is bagged over.

Columns are left out for two reasons. ``select`` keeps those that matter, of all that a learner could read;
``modality`` keeps those that it can read at all, where a table mixes images, sound, text and numbers.
"""

from __future__ import annotations

import json
from dataclasses import replace

from steelyard.contracts import Schema
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import BASELINES, Given, Plan, Recipe, Step, trainings

SELECT, BAG, MODALITY = "select", "bag", "modality"
ENGINE = frozenset({SELECT, BAG, MODALITY})
"""Levers whose part of a plan no learner has to honour."""
FOLDS = (2, 20)
"""Least and most folds of a bag."""


def with_part(plan: Plan, step: Step) -> Plan:
    """Return the plan with one part more; one of the same lever is replaced."""
    return replace(plan, parts=(*(part for part in plan.parts if part.lever != step.lever), step))


def for_learner(plan: Plan) -> Plan:
    """Return the plan as a learner sees it: without the parts that the engine carries out."""
    return replace(plan, parts=tuple(part for part in plan.parts if part.lever not in ENGINE))


def columns_of(plan: Plan) -> tuple[str, ...] | None:
    """Return the columns that a plan keeps; ``None`` where it keeps all.

    Raises
    ------
    LeverRefused
        If the setting is no JSON list of different names.

    Examples
    --------
    >>> from steelyard.recipe import Settings
    >>> columns_of(Plan(parts=(Step(lever="select", settings=Settings(columns='["age", "job"]')),)))
    ('age', 'job')
    """
    named = [names for lever in (SELECT, MODALITY) if (names := _named(plan, lever)) is not None]
    if not named:
        return None
    return tuple(name for name in named[0] if all(name in others for others in named[1:]))


def modality_of(plan: Plan) -> tuple[str, ...] | None:
    """Return the columns that a learner was started on because it reads no others; ``None``: it reads them all."""
    return _named(plan, MODALITY)


def _named(plan: Plan, lever: str) -> tuple[str, ...] | None:
    """Return the columns that one part of a plan keeps; ``None`` where there is no such part."""
    step = _part(plan, lever)
    if step is None:
        return None
    _only(step, "columns")
    given = step.settings.get("columns")
    try:
        names = json.loads(given) if isinstance(given, str) else None
    except ValueError:
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise LeverRefused(
            f'{lever} needs `columns`, the names to keep as a JSON list in a string ("[\\"age\\"]"); got {given!r}'
        )
    if len(set(names)) < len(names):
        raise LeverRefused(f"{lever} names a column twice in {given}; name each once")
    return tuple(names)


def folds_of(plan: Plan) -> int:
    """Return how many folds a plan is bagged over, 1 where it is not.

    Raises
    ------
    LeverRefused
        If the number is not a whole one from 2 to 20.
    """
    step = _part(plan, BAG)
    if step is None:
        return 1
    _only(step, "folds")
    folds, (least, most) = step.settings.get("folds"), FOLDS
    if not isinstance(folds, int) or isinstance(folds, bool) or not least <= folds <= most:
        raise LeverRefused(f"bag needs `folds`, a whole number from {least} to {most}; got {folds!r}")
    return folds


def read_by(recipe: Recipe, schema: Schema) -> frozenset[str]:
    """Return the columns that the trainings under a recipe may read, so that somebody has to collect them.

    Where its trainings select columns these are what is left of the features; the constant model reads none.
    """
    features = frozenset(column.name for column in schema.features)
    if isinstance(recipe, Given):
        return features & frozenset(recipe.reads)
    found: frozenset[str] = frozenset()
    for leaf in trainings(recipe):
        kept = columns_of(leaf.plan)
        if leaf.learner not in BASELINES:
            found |= features if kept is None else features & frozenset(kept)
    return found


def _part(plan: Plan, lever: str) -> Step | None:
    return next((part for part in plan.parts if part.lever == lever), None)


def _only(step: Step, known: str) -> None:
    """Refuse settings that a lever does not have."""
    if strange := sorted(set(step.settings) - {known}):
        raise LeverRefused(f"{step.lever} has no setting {', '.join(strange)}; it has {known}")
