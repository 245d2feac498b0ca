"""The model that ships: trained once more on everything but test, weighed, and scored on test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.bundle import load
from steelyard.contracts import Answer, Ints, Job, Kind, Split, Weight
from steelyard.data import Dataset
from steelyard.measure import quality, weigh
from steelyard.recipe import Combine, Recipe, Shrink, Train, parents, trainings
from steelyard.search.codec import figures_from_json, figures_to_json, weight_from_json, weight_to_json
from steelyard.search.joining import in_use, shrink_once
from steelyard.search.making import Bench, ship
from steelyard.search.training import train_once, willing
from steelyard.units import Estimate, Seconds

WEIGH_SECONDS = 3.0
"""Most time that weighing a trial's bundle may take."""
SHIPPED_SECONDS = 8.0
"""Most time that weighing the bundle that ships may take: its memory is read in a process of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The shipped bundle's figures; ``bundle`` is relative to the folder of bundles, so that a run can be moved.

    ``refit_seconds`` is what the training on everything but test took.
    """

    bundle: Path
    test: Mapping[str, Estimate]
    weight: Weight
    refit_seconds: float
    cpu_seconds: float = 0.0
    notes: tuple[str, ...] = ()


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON."""
    return {
        "bundle": str(verdict.bundle),
        "test": figures_to_json(verdict.test),
        "weight": weight_to_json(verdict.weight),
        "refit_seconds": verdict.refit_seconds,
        "cpu_seconds": verdict.cpu_seconds,
        "notes": list(verdict.notes),
    }


def verdict_from_json(data: Mapping[str, Any]) -> Verdict:
    """Read what :func:`verdict_to_json` wrote."""
    return Verdict(
        bundle=Path(data["bundle"]),
        test=figures_from_json(data["test"]),
        weight=weight_from_json(data["weight"]),
        refit_seconds=data["refit_seconds"],
        cpu_seconds=data["cpu_seconds"],
        notes=tuple(data["notes"]),
    )


def refit(bench: Bench) -> Path:
    """Train the job's recipe on everything but test, with its rounds fixed; return its bundle."""
    rounds = list(bench.job.rounds) or [0] * len(trainings(bench.job.recipe))
    return _refit(bench, bench.job.recipe, rounds)


def _refit(bench: Bench, recipe: Recipe, rounds: list[int]) -> Path:
    place = bench.store.refitted(recipe)
    sources = []
    for parent in parents(recipe):
        count = len(trainings(parent))
        sources.append(_refit(bench, parent, rounds[:count]))
        rounds = rounds[count:]
    if place.exists():
        return place
    with bench.store.aside(recipe) as folder:
        made = folder / "all"
        _make(bench, recipe, sources, rounds, made)
        made.rename(place)
    return place


def _make(bench: Bench, recipe: Recipe, sources: list[Path], rounds: list[int], folder: Path) -> None:
    everything = bench.dataset.partition.development
    few = everything[:50]
    match recipe:
        case Train():
            fixed = replace(recipe, plan=replace(recipe.plan, rounds=rounds[0])) if rounds[0] else recipe
            train_once(fixed, willing(fixed, bench), bench, folder, fit=everything, score=few)
        case Shrink():
            shrink_once(recipe, bench, sources[0], folder, fit=everything, held=bench.dataset.rows.take(few))
        case Combine():
            outcome = bench.store.outcome(recipe)
            assert outcome is not None, "a combination is refitted only after it was measured"
            assert outcome.rule is not None, "a combination keeps its rule"
            joined = in_use(outcome.rule, tuple(sources))
            ship(folder, joined, bench.about(recipe), bench.dataset.rows.take(few).columns)


def weigh_bundle(bench: Bench, folder: Path, most: float = WEIGH_SECONDS) -> Weight:
    """Weigh one bundle on validation rows, within ``most`` seconds."""
    seconds = Seconds(min(most, max(0.2, bench.meter.remaining())))
    rows = sample_rows(bench.dataset, bench.dataset.partition.scored[:512])
    return weigh(folder, rows, threads=bench.job.serving_threads, seconds=seconds)


def read_test(bench: Bench, folder: Path) -> dict[str, Estimate]:
    """Score the test rows with a bundle, in every metric, with intervals."""
    rows = bench.dataset.partition.test
    held: Split = bench.dataset.rows.take(rows)
    answer: Answer = load(folder, threads=bench.job.threads).answer(held.columns)
    groups = None if bench.dataset.groups is None else bench.dataset.groups[rows]
    return quality(bench.dataset.task, held.target, answer, weights=held.weights, groups=groups, seed=1)


def conclude(bench: Bench, *, again: bool) -> Verdict:
    """Refit if asked, weigh, and read the test rows."""
    start = time.monotonic()
    job: Job = bench.job
    first = bench.dataset.partition.parts[0].name
    folder = refit(bench) if again else bench.store.place(job.recipe) / first
    refit_seconds = time.monotonic() - start
    test = read_test(bench, folder)
    return Verdict(
        bundle=folder.relative_to(bench.store.bundles),
        test=test,
        weight=weigh_bundle(bench, folder, min(SHIPPED_SECONDS, bench.meter.remaining() / 2)),
        refit_seconds=refit_seconds,
        cpu_seconds=time.process_time(),
        notes=tuple(bench.meter.notes),
    )


def sample_rows(dataset: Dataset, rows: Ints) -> list[dict[str, object]]:
    """Return rows as a client would send them: dicts of named plain values."""
    split = dataset.rows.take(rows)
    numeric = {c.name for c in dataset.schema.of(Kind.NUMBER, Kind.TIME)}
    columns = {
        name: [None if np.isnan(v) else v for v in values.tolist()] if name in numeric else list(values)
        for name, values in split.columns.items()
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
