"""Shrinking and combining: models made of finished ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle import Joined, apply_rule, load
from steelyard.clock import Phase, phase
from steelyard.contracts import Answer, CombiningLever, Evidence, Ints, Rule, ShrinkingLever, Split
from steelyard.levers import LeverRefused
from steelyard.recipe import Combine, Recipe, Shrink, describe
from steelyard.registry import levers
from steelyard.search.interface import check_answers, checked, runnable
from steelyard.search.making import Answers, Bench, Made, check_parity, part_answer, ship, staked
from steelyard.search.training import Refused

CROSS = 5
"""Groups that a rule is cross-fitted over where there are no folds."""
SAMPLE = 1_000
"""Training rows that a shrinking lever may calibrate on; one that trains is given them all."""


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
    """Shrink one bundle into ``folder`` and answer rows with the result.

    Raises
    ------
    ShrunkUnfit
        If the result could not take the place of what it was made from.
    """
    lever = cast("ShrinkingLever", levers().get(recipe.lever))
    some = fit if getattr(lever, "trains", False) else fit[:: max(1, len(fit) // SAMPLE)][:SAMPLE]
    rows = bench.dataset.rows.take(some)
    with phase(Phase.LOADING):
        parent = load(source).artefact()
    artefact = checked(recipe.lever, parent, lever.apply(parent, rows, recipe.settings, bench.work, bench.meter))
    with runnable(recipe.lever, folder):
        answer = ship(folder, artefact, bench.about(recipe), held.columns)
    check_answers(recipe.lever, bench.dataset.task, held, staked(answer, held))
    return answer


def combine_parts(recipe: Combine, bench: Bench, folder: Path) -> Made:
    """Fit a combining rule, score it on rows it was not fitted on, and join the bundles of every part."""
    rule, whole = fit_rule(recipe, bench)
    for part in bench.dataset.partition.parts:
        used, members = in_use(rule, [bench.store.place(parent) / part.name for parent in recipe.parents])
        few = part.score[:50]
        columns = bench.dataset.rows.take(few).columns
        shipped = ship(folder / part.name, Joined(used, members), bench.about(recipe), columns)
        with phase(Phase.LOADING):
            opened = [load(member) for member in members]
        expected = apply_rule(used, [member.answer(columns) for member in opened], bench.dataset.task)
        check_parity(bench.dataset.task, expected.scores, shipped.scores, bench.dataset.rows.target)
    return Made(recipe=recipe, answer=whole, rule=rule)


Member = TypeVar("Member")


def in_use(rule: Rule, members: Sequence[Member]) -> tuple[Rule, tuple[Member, ...]]:
    """Return what ships of a rule and its members: those that a blend gives no weight are left out."""
    weights = rule.get("weights")
    if rule.get("rule") != "blend" or weights is None or all(weights):
        return rule, tuple(members)
    kept = [i for i, weight in enumerate(weights) if weight]
    return {**rule, "weights": [weights[i] for i in kept]}, tuple(members[i] for i in kept)


def fit_rule(recipe: Combine, bench: Bench) -> tuple[Rule, Answer]:
    """Return the rule fitted on all rows it may use, and answers on the scored rows.

    Rows that the rule is both fitted on and judged by are answered by a rule fitted without them; so are the rules
    of its parents, where these are combinations themselves.
    """
    ruled = _ruled(recipe, bench)
    return ruled.rule, ruled.apart


@dataclass(frozen=True, slots=True)
class _Ruled:
    """A rule that ships, what it answers to every scored row, and answers by rules that were not fitted on the row."""

    rule: Rule
    given: Answer
    apart: Answer


def _ruled(recipe: Combine, bench: Bench) -> _Ruled:
    """Fit what ships: each rule on answers of its parents to rows that none of their own rules was fitted on."""
    _check_rows(recipe, bench)
    below = [_answers_of(parent, bench) for parent in recipe.parents]
    everything = np.ones(len(bench.dataset.partition.scored), dtype=bool)
    rule = _rule(recipe, bench, [apart for _, apart in below], everything)
    _check_members(recipe, rule)
    answer = apply_rule(rule, [given for given, _ in below], bench.dataset.task)
    return _Ruled(rule, answer, _cross_fitted(recipe, bench, answer))


def _answers_of(recipe: Recipe, bench: Bench) -> tuple[Answer, Answer]:
    """Return a parent's answers, and those of them that are fit to be fitted on."""
    if isinstance(recipe, Combine):
        ruled = _ruled(recipe, bench)
        return ruled.given, ruled.apart
    stored = bench.store.answers(recipe)
    return stored, stored


def _check_rows(recipe: Combine, bench: Bench) -> None:
    """Refuse rows that are too few for a rule, or that depend on each other where it cannot do with that."""
    lever = _lever(recipe)
    rows = len(_rows_for(lever, bench))
    if rows < lever.needs_rows:
        raise Refused(f"{recipe.lever} needs at least {lever.needs_rows} {lever.fits_on} rows; there are {rows}.")
    if bench.dataset.groups is not None and getattr(lever, "needs_independent_rows", False):
        raise Refused(
            f"{recipe.lever} makes a promise that needs independent rows, and rows of one group are not; leave it out "
            f"with `levers: {{without: [{recipe.lever}]}}`."
        )


def _check_members(recipe: Combine, rule: Rule) -> None:
    """Refuse a blend of one: its member is a candidate already."""
    _, kept = in_use(rule, recipe.parents)
    if len(kept) == 1 < len(recipe.parents):
        raise Refused(f"No blend of these is better than one of them alone, {describe(kept[0])}.")


def _cross_fitted(recipe: Combine, bench: Bench, given: Answer) -> Answer:
    """Return answers in which judged rows are answered by rules fitted without them, this one's and those below."""
    partition, source = bench.dataset.partition, bench.dataset.rows.rows
    whole = replace(given, scores=given.scores.copy(), decided=given.decided.copy())
    used = np.concatenate([_rows_for(x, bench) for x in _levers(recipe)])
    judged = partition.validation[np.isin(source[partition.validation], source[used])]
    where, group = np.searchsorted(partition.scored, judged), _groups(bench, judged)
    for number in np.unique(group):
        held = where[group == number]
        known = np.ones(len(partition.scored), dtype=bool)
        known[held] = False
        try:
            answer = _fitted(recipe, bench, known)
        except LeverRefused as problem:
            raise Refused(
                f"{problem}. (It is judged on rows that it is not fitted on, so each fit has fewer.)"
            ) from None
        whole.scores[held], whole.decided[held] = answer.scores[held], answer.decided[held]
    return whole


def _fitted(recipe: Combine, bench: Bench, known: NDArray[np.bool_]) -> Answer:
    """Fit a combination, and the combinations under it, on the scored rows in ``known``; answer every scored row."""
    answers = [
        _fitted(parent, bench, known) if isinstance(parent, Combine) else bench.store.answers(parent)
        for parent in recipe.parents
    ]
    return apply_rule(_rule(recipe, bench, answers, known), answers, bench.dataset.task)


def _rule(recipe: Combine, bench: Bench, answers: Sequence[Answer], known: NDArray[np.bool_]) -> Rule:
    """Fit one rule on its parents' answers to those of its rows that are in ``known``."""
    lever, scored = _lever(recipe), bench.dataset.partition.scored
    rows = np.intersect1d(_rows_for(lever, bench), scored[known])
    index = np.searchsorted(scored, rows)
    split = bench.dataset.rows.take(rows)
    evidence = Evidence(tuple(part_answer(a, index) for a in answers), split.target, split.weights)
    return lever.fit(evidence, recipe.settings, bench.work)


def _lever(recipe: Combine) -> CombiningLever:
    return cast("CombiningLever", levers().get(recipe.lever))


def _levers(recipe: Recipe) -> list[CombiningLever]:
    """Return the combining levers of a recipe and of the combinations under it."""
    if not isinstance(recipe, Combine):
        return []
    return [_lever(recipe), *(lever for parent in recipe.parents for lever in _levers(parent))]


def _rows_for(lever: CombiningLever, bench: Bench) -> Ints:
    """Return the rows that a rule may be fitted on: each once, where folds were dealt more than once."""
    partition, development = bench.dataset.partition, bench.dataset.partition.development
    rows = partition.calibration if lever.fits_on == "calibration" else partition.validation
    return np.intersect1d(rows, development, assume_unique=True)


def _groups(bench: Bench, rows: Ints) -> NDArray[Any]:
    """Return which cross-fitting group each row belongs to: its fold, its group, or a seeded draw.

    Where folds are dealt more than once, a row and its copies belong to its first fold.
    """
    parts, source = bench.dataset.partition.parts, bench.dataset.rows.rows
    if len(parts) > 1:
        owner = np.zeros(len(rows), dtype=np.int64)
        for number, part in enumerate(part for part in parts if part.turn == 1):
            owner[np.isin(source[rows], source[part.score])] = number
        return owner
    if bench.dataset.times is not None:  # neighbours in time are alike: they go together
        place = np.argsort(np.argsort(bench.dataset.times[rows], kind="stable"), kind="stable")
        return place * CROSS // max(1, len(rows))
    generator = np.random.default_rng(11)
    if bench.dataset.groups is not None:
        names, inverse = np.unique(bench.dataset.groups[rows], return_inverse=True)
        return generator.integers(0, CROSS, len(names))[inverse]
    return generator.permutation(len(rows)) % CROSS
