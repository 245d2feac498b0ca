"""A shrunk model is held against its parent once more when both were trained on everything: shrinking may break there.

No row is left by then that neither was trained on, but test, which chooses nothing. So what is compared is how much
worse the shrunk model answers rows that both were trained on, in the refit and in the trial that was chosen: of the
same rows, the same lever and the same learner, the two losses should be alike. Where the refit's is greater by more
than may be lost, and surely, the step is rejected, and the run decides again without it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.bundle import Bundle, load
from steelyard.contracts import Ints, Weight
from steelyard.data import Dataset
from steelyard.decide.words import figure, span
from steelyard.measure import paired
from steelyard.recipe import Recipe, Shrink, describe, digest, from_json, line_above, parents, to_json
from steelyard.search.making import Bench, staked
from steelyard.units import Estimate

ROWS, FEW = 1_000, 50
"""Most rows that are asked about, and the fewest."""
SECONDS = 8.0
"""Time that it may take, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rechecked:
    """By how much a shrunk model is worse than its parent on rows that both know: refitted, and in its trial."""

    recipe: Shrink
    rows: int
    refit: Estimate
    trial: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` reads it back."""
        losses = {"refit": self.refit.to_json(), "trial": self.trial.to_json()}
        return {"recipe": to_json(self.recipe), "rows": self.rows, **losses}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rechecked:
        """Read what :meth:`to_json` wrote."""
        recipe = from_json(data["recipe"])
        assert isinstance(recipe, Shrink), "only what is shrunk is held against its parent again"
        losses = {name: Estimate.from_json(data[name]) for name in ("refit", "trial")}
        return cls(recipe=recipe, rows=data["rows"], **losses)

    def broken(self, lose: float, aim: str) -> str:
        """Return why the step is rejected, where the refit lost more than the trial by more than ``lose``."""
        if not (self.refit.value - self.trial.value > lose and self.refit.low > self.trial.value):
            return ""
        return (
            f"Broke in the refit: on {self.rows:,} rows that both were trained on, {describe(self.recipe)} is "
            f"{span(self.refit)} worse in {aim} than its parent once both were trained on everything, and was "
            f"{span(self.trial)} worse in its trial; {figure(lose)} may be lost."
        )


def recheck(bench: Bench, recipe: Shrink, made: Path, parent: Path) -> Rechecked | None:
    """Compare a refitted shrunk bundle and its refitted parent, and those of the first part of the trial, on its rows.

    ``None``, and a note, where the bundles of the trial are not on this machine.
    """
    part, dataset = bench.dataset.partition.parts[0], bench.dataset
    places = (parent, made, *(bench.store.place(each) / part.name for each in (recipe.parent, recipe)))
    if not all(place.exists() for place in places):
        bench.meter.note(
            f"Whether {describe(recipe)} broke in the refit was not looked at: its trial's bundles are away."
        )
        return None
    opened = [load(place, threads=bench.job.threads) for place in places]
    rows = _affordable(opened, part.fit, dataset, min(SECONDS, bench.meter.remaining() / 4))
    held = dataset.rows.take(rows)
    groups = None if dataset.clusters is None else dataset.clusters[rows]

    def lost(one: Bundle, other: Bundle) -> Estimate:
        task, answers = dataset.task, [staked(each.answer(held.columns), held) for each in (one, other)]
        return paired(task.aim, task, held.target, *answers, weights=held.weights, groups=groups)

    return Rechecked(recipe=recipe, rows=len(rows), refit=lost(*opened[:2]), trial=lost(*opened[2:]))


def _affordable(opened: Sequence[Bundle], fit: Ints, dataset: Dataset, seconds: float) -> Ints:
    """Return rows, spread over all, that every bundle should answer in the time: from :data:`FEW` to :data:`ROWS`."""
    spread = np.linspace(0, len(fit) - 1, min(ROWS, len(fit))).astype(np.int64)
    few = dataset.rows.take(fit[spread[:: max(1, len(spread) // FEW)]])
    start = time.monotonic()
    for bundle in opened:
        bundle.answer(few.columns)
    a_row = (time.monotonic() - start) / len(few)
    most = max(FEW, min(len(spread), int(seconds / max(a_row, 1e-9))))
    return fit[spread[np.unique(np.linspace(0, len(spread) - 1, min(most, len(spread))).astype(np.int64))]]


def slower_now(recipe: Recipe, weight: Weight, bundles: Path) -> str:
    """Return why a refitted shrunk bundle is rejected that is neither smaller nor as fast as its refitted parent."""
    if not isinstance(recipe, Shrink) or (ratio := weight.beside.get(digest(recipe.parent))) is None:
        return ""
    parent = sum(file.stat().st_size for file in refitted(recipe.parent, bundles).rglob("*") if file.is_file())
    if weight.size_bytes < parent or not (ratio.p50.low > 1 or ratio.p95.low > 1):
        return ""
    return (
        f"Slower and not smaller than its parent once both were trained on everything: {weight.size_bytes:,} bytes "
        f"instead of {parent:,}; in turn with it {span(ratio.p50)} times its median, {span(ratio.p95)} its p95."
    )


def refitted(recipe: Recipe, bundles: Path) -> Path:
    """Return where a recipe's refit lies."""
    return bundles / f"{digest(recipe)}.all"


def refits_above(recipe: Recipe, bundles: Path) -> dict[str, str]:
    """Return, by digest, the refitted bundles that a refitted shrunk one was made from, relative to all bundles."""
    return {digest(r): place.name for r in line_above(recipe) if (place := refitted(r, bundles)).exists()}


def holds(recipe: Recipe, step: Recipe) -> bool:
    """Tell whether a recipe is a step, or is made of one."""
    return recipe == step or any(holds(each, step) for each in parents(recipe))
