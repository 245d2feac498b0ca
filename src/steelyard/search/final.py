"""The model that ships: trained once more on everything but test, weighed, and scored on test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.bundle import Joined, load
from steelyard.contracts import Answer, Split, Weight
from steelyard.errors import SteelyardError
from steelyard.measure import in_turn, quality, weigh
from steelyard.recipe import Combine, Given, Recipe, Shrink, Train, parents, trainings
from steelyard.search.codec import weight_from_json, weight_to_json
from steelyard.search.distilling import distil_all, distils
from steelyard.search.fitting import cut_short, trainer_of
from steelyard.search.given import answer_given, weigh_given
from steelyard.search.intervals import amend_bundle
from steelyard.search.joining import in_use, shrink_once
from steelyard.search.making import Bench, OutOfTime, ship, staked
from steelyard.search.plain_rows import sample_rows
from steelyard.search.rechecking import Rechecked, recheck
from steelyard.search.training import train_once
from steelyard.units import Estimate, Seconds

WEIGHED_ROWS = 512
"""Rows that a bundle is called with in turn while it is weighed."""
WEIGH_SECONDS = 10.0
"""Most time that weighing one bundle may take."""
TURN_SECONDS = 5.0
"""Most time that calling a shrunk bundle in turn with those that it was made from may take."""


class RefitLate(SteelyardError):
    """A refit had no time for its rounds; it would be another model than the one that was chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """The bundle that ships, relative to the folder of bundles so that a run can be moved, and what it weighs."""

    bundle: Path
    refitted: bool
    weight: Weight


def shipped_to_json(shipped: Shipped) -> dict[str, Any]:
    """Return what ships as JSON."""
    return {
        "bundle": str(shipped.bundle),
        "refitted": shipped.refitted,
        "weight": weight_to_json(shipped.weight),
    }


def shipped_from_json(data: Mapping[str, Any]) -> Shipped:
    """Read what :func:`shipped_to_json` wrote."""
    weight = weight_from_json(data["weight"])
    return Shipped(bundle=Path(data["bundle"]), refitted=data["refitted"], weight=weight)


def refit(bench: Bench) -> tuple[Path, tuple[Rechecked, ...]]:
    """Train the job's recipe on everything but test, with its rounds fixed.

    Returns
    -------
    Path
        Its bundle.
    tuple of Rechecked
        What each step of shrinking lost, the first one first: a refit may break what the trial did not.
    """
    rounds = list(bench.job.rounds) or [0] * len(trainings(bench.job.recipe))
    checked: list[Rechecked] = []
    return _refit(bench, bench.job.recipe, rounds, checked), tuple(checked)


def _refit(bench: Bench, recipe: Recipe, rounds: list[int], checked: list[Rechecked]) -> Path:
    place, sources = bench.store.refitted(recipe), []
    for parent in parents(recipe):
        count = len(trainings(parent))
        if parent in members(bench, recipe):
            sources.append(_refit(bench, parent, rounds[:count], checked))
        rounds = rounds[count:]
    if not place.exists():
        _refit_one(bench, recipe, sources, rounds)
    if isinstance(recipe, Shrink) and (found := recheck(bench, recipe, place, sources[0])) is not None:
        checked.append(found)
    return place


def _refit_one(bench: Bench, recipe: Recipe, sources: list[Path], rounds: list[int]) -> None:
    place = bench.store.refitted(recipe)
    with bench.store.aside(recipe) as folder:
        made = folder / "all"
        try:
            _make(bench, recipe, sources, rounds, made)
            amend_bundle(bench, bench.store.answers(recipe), made)
        except OutOfTime:
            raise RefitLate("it was cut short before all of its models were trained") from None
        try:
            made.rename(place)
        except OSError:
            if not place.exists():  # otherwise another executor was faster: theirs is the same
                raise


def members(bench: Bench, recipe: Recipe) -> tuple[Recipe, ...]:
    """Return the parents that ship with a recipe: those that a blend gives no weight do not."""
    outcome = bench.store.outcome(recipe) if isinstance(recipe, Combine) else None
    if outcome is None or outcome.rule is None:
        return parents(recipe)
    return in_use(outcome.rule, parents(recipe))[1]


def _make(bench: Bench, recipe: Recipe, sources: list[Path], rounds: list[int], folder: Path) -> None:
    everything = bench.dataset.partition.development
    few = everything[:50]
    match recipe:
        case Train():
            trainer = trainer_of(recipe, bench)  # a bag has no rounds: each of its models stops by its own fold
            trainer = trainer.fixed(rounds[0]) if rounds[0] else trainer
            fitted = train_once(trainer, folder, fit=everything, score=few).fitted
            if cut_short(fitted):
                raise RefitLate(f"it was cut short after {fitted.rounds} of {rounds[0]} rounds")
        case Shrink() if distils(recipe):
            distil_all(recipe, bench, sources[0], folder, fit=everything, score=few)
        case Shrink():
            shrink_once(recipe, bench, sources[0], folder, fit=everything, held=bench.dataset.rows.take(few))
        case Given():
            raise AssertionError("what is used today is kept as it is")
        case Combine():
            outcome = bench.store.outcome(recipe)
            assert outcome is not None, "a combination is refitted only after it was measured"
            assert outcome.rule is not None, "a combination keeps its rule"
            rule, _ = in_use(outcome.rule, parents(recipe))
            ship(folder, Joined(rule, tuple(sources)), bench.about(recipe), bench.dataset.rows.take(few).columns)


def weigh_bundle(bench: Bench) -> Weight:
    """Weigh the bundle that the job names on validation rows; of a refit also the memory of a fresh process."""
    if isinstance(bench.job.recipe, Given) and not bench.job.recipe.ships:
        return weigh_given(bench.job.recipe, bench)
    scored = bench.dataset.partition.scored
    spread = np.linspace(0, len(scored) - 1, min(WEIGHED_ROWS, len(scored))).astype(np.int64)  # files are often sorted
    rows = sample_rows(bench.dataset, scored[spread])
    seconds = Seconds(min(WEIGH_SECONDS, max(0.02, bench.meter.remaining() / 2)))
    fresh = bench.job.bundle.endswith(".all")
    folder = bench.store.bundles / bench.job.bundle
    weight = weigh(folder, rows, threads=bench.job.serving_threads, seconds=seconds, fresh=fresh)
    others = {name: place for name, of in bench.job.beside.items() if (place := bench.store.bundles / of).exists()}
    if not others:
        return weight
    left = max(0.02, min(TURN_SECONDS, bench.meter.remaining() / 2))
    return replace(weight, beside=in_turn(folder, others, rows, threads=bench.job.serving_threads, seconds=left))


def read_test(bench: Bench) -> dict[str, Estimate]:
    """Score the test rows with the bundle that the job names, in every metric, with intervals."""
    rows = bench.dataset.partition.test
    held: Split = bench.dataset.rows.take(rows)
    names = None
    if isinstance(bench.job.recipe, Given):
        answer, names = answer_given(bench.job.recipe, bench, rows)
    else:
        answer = _asked(bench, held)
    groups = None if bench.dataset.groups is None else bench.dataset.groups[rows]
    judged = staked(answer, held)
    return quality(bench.dataset.task, held.target, judged, weights=held.weights, groups=groups, seed=1, names=names)


def _asked(bench: Bench, rows: Split) -> Answer:
    folder = bench.store.bundles / bench.job.bundle
    return load(folder, threads=bench.job.threads).answer(rows.columns)
