"""Which lever earned what: the change from the constant model to the chosen one, shared out among the levers between.

Where every subset of the levers of the path was measured, each lever gets its Shapley value: its effect averaged over
all orders of pulling them [1]_, the first training always first, since nothing can be pulled before it. Elsewhere each
lever gets the difference between the trial with it and the trial before it, in the one order that was taken. Either way
the shares add up to the whole change, to the last digit that is shown.

References
----------
.. [1] Shapley. A value for n-person games. Contributions to the Theory of Games II, 1953; with an order that some
   players must keep: Faigle, Kern. The Shapley value for cooperative games under precedence constraints, 1992.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from steelyard.contracts import Trial, known
from steelyard.recipe import BASELINES, Combine, Given, Plan, Recipe, Settings, Shrink, Train, trainings

START, TUNE = "start", "tune"
SUBSETS = 5
"""Levers of a path beyond which subsets are not looked for: they would be more than 32 trainings."""

Weights = Mapping[int, Fraction]
"""By number of a trial, how often its figure counts in a share."""
Better = Callable[[Trial], float]


def levers_of(recipe: Recipe) -> tuple[str, ...]:
    """Return the levers that made a recipe out of a learner's first training, innermost first.

    Examples
    --------
    >>> levers_of(Shrink(lever="quantise", parent=Train(learner="linear", plan=Plan(settings=Settings(c=1)))))
    ('tune', 'quantise')
    """
    match recipe:
        case Train(plan=plan, data=data):
            named = [step.lever for step in (*data, *plan.parts)]
            return (*dict.fromkeys(named), *((TUNE,) if plan.settings else ()))
        case Shrink(lever=lever, parent=parent):
            return (*levers_of(parent), lever)
        case Combine(lever=lever, parents=(only,)):
            return (*levers_of(only), lever)
        case Combine(lever=lever):
            return (lever,)
        case Given():
            return ()


def without(recipe: Recipe, lever: str) -> Recipe:
    """Return the recipe as if one of its levers had not been pulled; itself where it has none of that name.

    Examples
    --------
    >>> without(Shrink(lever="quantise", parent=Train(learner="linear")), "quantise")
    Train(learner='linear', plan=Plan(settings=Settings(), rounds=None, parts=()), data=(), seed=0)
    """
    match recipe:
        case Train(plan=plan, data=data):
            settings = Settings() if lever == TUNE else plan.settings
            parts = tuple(step for step in plan.parts if step.lever != lever)
            kept = tuple(step for step in data if step.lever != lever)
            return replace(recipe, plan=Plan(settings=settings, rounds=plan.rounds, parts=parts), data=kept)
        case Shrink(lever=own, parent=parent):
            return parent if own == lever else replace(recipe, parent=without(parent, lever))
        case Combine(lever=own, parents=(only,)):
            return only if own == lever else replace(recipe, parents=(without(only, lever),))
    return recipe


def before(trial: Trial, trials: Sequence[Trial], better: Better) -> tuple[str, Trial] | None:
    """Return the last lever of a trial and the measured trial without it; ``None`` for the constant model.

    Of a model with several members it is the best of them. Where no trial without one lever was measured, it is the
    learner's first training, or else the constant model, and the levers between are named together.
    """
    by_recipe = {t.recipe: t for t in known(trials)}
    recipe = trial.recipe
    if isinstance(recipe, Combine) and len(recipe.parents) > 1:
        members = [by_recipe[p] for p in recipe.parents if p in by_recipe]
        return (recipe.lever, max(members, key=better)) if members else _from_nothing(trial, trials)
    pulled = levers_of(recipe)
    outer = (recipe.lever,) if isinstance(recipe, Shrink | Combine) else (trial.lever, *reversed(pulled))
    for lever in outer:
        found = by_recipe.get(without(recipe, lever))
        if found is not None and found is not trial:
            return lever, found
    first = _first(recipe)
    if first != recipe and first in by_recipe:
        return " + ".join(pulled), by_recipe[first]
    return _from_nothing(trial, trials)


def _first(recipe: Recipe) -> Recipe:
    for lever in reversed(levers_of(recipe)):
        recipe = without(recipe, lever)
    return recipe


def _from_nothing(trial: Trial, trials: Sequence[Trial]) -> tuple[str, Trial] | None:
    constants = [t for t in known(trials) if isinstance(t.recipe, Train) and t.recipe.learner in BASELINES]
    if not constants or trial.number == constants[0].number:
        return None
    return " + ".join((START, *levers_of(trial.recipe))), constants[0]


def path(chosen: Trial, trials: Sequence[Trial], better: Better) -> list[tuple[str, Trial]]:
    """Return the trials from the constant model to the chosen one, each with the lever that led to it.

    The first has the lever ``""``: the path begins there.
    """
    steps: list[tuple[str, Trial]] = []
    here = chosen
    while (found := before(here, trials, better)) is not None:
        steps.append((found[0], here))
        here = found[1]
    return [("", here), *reversed(steps)]


def by_path(steps: Sequence[tuple[str, Trial]]) -> list[tuple[str, Weights]]:
    """Return each lever's share as a difference of two trials."""
    pairs = itertools.pairwise(steps)
    return [(new[0], {new[1].number: Fraction(1), old[1].number: Fraction(-1)}) for old, new in pairs]


def by_orders(chosen: Trial, trials: Sequence[Trial]) -> list[tuple[str, Weights]] | None:
    """Return each lever's Shapley value, as weights of trials; ``None`` where a subset of them was not measured."""
    pulled = levers_of(chosen.recipe)
    origin = _from_nothing(chosen, trials)
    several = len(trainings(chosen.recipe)) > 1 or not 2 <= len(pulled) <= SUBSETS
    if origin is None or several or len(set(pulled)) < len(pulled):
        return None
    by_recipe = {t.recipe: t.number for t in known(trials)}
    number: dict[frozenset[str], int] = {}
    for count in range(len(pulled) + 1):
        for kept in itertools.combinations(pulled, count):
            recipe = chosen.recipe
            for lever in reversed(pulled):
                recipe = recipe if lever in kept else without(recipe, lever)
            if recipe not in by_recipe:
                return None
            number[frozenset(kept)] = by_recipe[recipe]
    first = {number[frozenset()]: Fraction(1), origin[1].number: Fraction(-1)}
    return [(START, first), *((lever, _shapley(lever, pulled, number)) for lever in pulled)]


def _shapley(lever: str, pulled: Sequence[str], number: Mapping[frozenset[str], int]) -> Weights:
    """Return how often each trial counts in the average, over all orders, of what a lever changes."""
    weights: dict[int, Fraction] = {}
    others, players = [p for p in pulled if p != lever], len(pulled)
    for count in range(players):
        orders = math.factorial(count) * math.factorial(players - count - 1)
        share = Fraction(orders, math.factorial(players))
        for kept in itertools.combinations(others, count):
            for subset, sign in ((frozenset(kept) | {lever}, 1), (frozenset(kept), -1)):
                weights[number[subset]] = weights.get(number[subset], Fraction(0)) + sign * share
    return weights


def interactions(chosen: Trial, trials: Sequence[Trial]) -> list[tuple[str, str, Weights]]:
    """Return, for pairs of levers that were measured apart and together, the joint effect less the single ones."""
    pulled = levers_of(chosen.recipe)
    by_recipe = {t.recipe: t.number for t in known(trials)}
    found: list[tuple[str, str, Weights]] = []
    for one, other in itertools.combinations(dict.fromkeys(pulled), 2):
        both = chosen.recipe
        less = (without(both, one), without(both, other), without(without(both, one), other))
        if both in by_recipe and len({both, *less}) == 4 and all(r in by_recipe for r in less):
            a, b, none = (by_recipe[r] for r in less)
            signs: Weights = {chosen.number: Fraction(1), a: Fraction(-1), b: Fraction(-1), none: Fraction(1)}
            found.append((one, other, signs))
    return found


def shared(figures: Mapping[int, float], weights: Sequence[Weights], digits: int) -> list[Fraction]:
    """Return each share of a figure rounded to decimals, so that they add up to the rounded whole exactly.

    The figures are rounded first; what rounding the shares leaves over goes to those that lost most by it.

    Examples
    --------
    >>> half = Fraction(1, 2)
    >>> weights = [{0: -half, 1: half}, {0: -half, 1: half}]
    >>> [float(x) for x in shared({0: 0.0, 1: 0.3}, weights, 1)]
    [0.2, 0.1]
    """
    unit = 10**digits
    grid = {number: round(Fraction(value) * unit) for number, value in figures.items()}
    exact = [sum((w * grid[n] for n, w in weight.items()), start=Fraction(0)) for weight in weights]
    floors = [math.floor(share) for share in exact]
    left = round(sum(exact)) - sum(floors)
    most = sorted(range(len(exact)), key=lambda i: (floors[i] - exact[i], i))
    return [Fraction(floors[i] + (i in most[:left]), unit) for i in range(len(exact))]
