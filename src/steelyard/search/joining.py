"""Shrinking and combining: models made of finished ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle import Joined, apply_rule, load
from steelyard.contracts import Answer, CombiningLever, Evidence, Ints, Rule, ShrinkingLever, Split
from steelyard.recipe import Combine, Shrink
from steelyard.registry import levers
from steelyard.search.making import Answers, Bench, Made, check_parity, part_answer, ship
from steelyard.search.training import Refused

CROSS = 5
"""Groups that a rule is cross-fitted over where there are no folds."""
SAMPLE = 1_000
"""Training rows that a shrinking lever may calibrate on."""


def shrink_parts(recipe: Shrink, bench: Bench, folder: Path) -> Made:
    """Apply a shrinking lever to every part of its parent."""
    answers = Answers(bench.dataset)
    for part in bench.dataset.partition.parts:
        held = bench.dataset.rows.take(part.score)
        answers.put(
            part.score,
            shrink_once(
                recipe, bench, bench.store.place(recipe.parent) / part.name, folder / part.name, fit=part.fit, held=held
            ),
        )
    return Made(recipe=recipe, answer=answers.whole())


def shrink_once(recipe: Shrink, bench: Bench, source: Path, folder: Path, *, fit: Ints, held: Split) -> Answer:
    """Shrink one bundle into ``folder`` and answer rows with the result."""
    lever = cast("ShrinkingLever", levers().get(recipe.lever))
    sample = bench.dataset.rows.take(fit[:: max(1, len(fit) // SAMPLE)][:SAMPLE])
    artefact = lever.apply(load(source).artefact(), sample, recipe.settings, bench.work, bench.meter)
    return ship(folder, artefact, bench.about(recipe), held.columns)


def combine_parts(recipe: Combine, bench: Bench, folder: Path) -> Made:
    """Fit a combining rule, score it on rows it was not fitted on, and join the bundles of every part."""
    lever = cast("CombiningLever", levers().get(recipe.lever))
    answers = tuple(bench.store.answers(parent) for parent in recipe.parents)
    rule, whole = fit_rule(lever, recipe, bench, answers)
    for part in bench.dataset.partition.parts:
        members = tuple(bench.store.place(parent) / part.name for parent in recipe.parents)
        few = part.score[:50]
        columns = bench.dataset.rows.take(few).columns
        shipped = ship(folder / part.name, in_use(rule, members), bench.about(recipe), columns)
        expected = apply_rule(rule, [load(member).answer(columns) for member in members], bench.dataset.task)
        check_parity(bench.dataset.task, expected.scores, shipped.scores, bench.dataset.rows.target)
    return Made(recipe=recipe, answer=whole, rule=rule)


def in_use(rule: Rule, members: tuple[Path, ...]) -> Joined:
    """Return what ships of a rule and its members: those that a blend gives no weight are left out."""
    weights = rule.get("weights")
    if rule.get("rule") != "blend" or weights is None or all(weights):
        return Joined(rule, members)
    kept = [i for i, weight in enumerate(weights) if weight]
    return Joined({**rule, "weights": [weights[i] for i in kept]}, tuple(members[i] for i in kept))


def fit_rule(lever: CombiningLever, recipe: Combine, bench: Bench, answers: tuple[Answer, ...]) -> tuple[Rule, Answer]:
    """Return the rule fitted on all rows it may use, and answers on the scored rows.

    Rows that the rule is both fitted on and judged by are answered by a rule fitted without them.
    """
    partition, task = bench.dataset.partition, bench.dataset.task
    rows = partition.calibration if lever.fits_on == "calibration" else partition.validation
    if len(rows) < lever.needs_rows:
        raise Refused(f"{recipe.lever} needs at least {lever.needs_rows} {lever.fits_on} rows; there are {len(rows)}.")
    where = np.searchsorted(partition.scored, rows)
    rule = lever.fit(_evidence(bench, answers, rows), recipe.settings, bench.work)
    given = apply_rule(rule, list(answers), task)
    whole = Answer(given.scores.copy(), given.decided.copy())
    if len(np.intersect1d(rows, partition.validation)):
        group = _groups(bench, rows)
        for number in np.unique(group):
            held = group == number
            without = lever.fit(_evidence(bench, answers, rows[~held]), recipe.settings, bench.work)
            judged = apply_rule(without, [part_answer(a, where[held]) for a in answers], task)
            whole.scores[where[held]], whole.decided[where[held]] = judged.scores, judged.decided
    return rule, whole


def _evidence(bench: Bench, answers: tuple[Answer, ...], rows: Ints) -> Evidence:
    index = np.searchsorted(bench.dataset.partition.scored, rows)
    split = bench.dataset.rows.take(rows)
    return Evidence(tuple(part_answer(a, index) for a in answers), split.target, split.weights)


def _groups(bench: Bench, rows: Ints) -> NDArray[Any]:
    """Return which cross-fitting group each row belongs to: its fold, its group, or a seeded draw."""
    parts = bench.dataset.partition.parts
    if len(parts) > 1:
        owner = np.zeros(len(rows), dtype=np.int64)
        for number, part in enumerate(parts):
            owner[np.isin(rows, part.score)] = number
        return owner
    generator = np.random.default_rng(11)
    if bench.dataset.groups is not None:
        names, inverse = np.unique(bench.dataset.groups[rows], return_inverse=True)
        return generator.integers(0, CROSS, len(names))[inverse]
    return generator.permutation(len(rows)) % CROSS
