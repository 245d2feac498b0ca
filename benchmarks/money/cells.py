"""Every cell that advice may come to on a data set: labels x learner x tuned or not x shrunk or not, measured once.

A cell is trained, exported, scored and weighed by the package's own jobs: validation figures are what a policy may see
of the cells it paid for, test figures what it is judged by. Labels come in doublings; the rows that validate and test
never change. Beside the cells stand scores of the first learner on parts of the first labels, for the curve.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from sets import HELD, Set

from steelyard.advise.subsets import Site, measured, score_of, subset
from steelyard.bundle import load
from steelyard.contracts import Errand, Job, Trial
from steelyard.data import Dataset, store
from steelyard.data.dataset import Part
from steelyard.levers.ranking import aim_of
from steelyard.recipe import Recipe, Settings, Shrink, Train, digest
from steelyard.registry import levers
from steelyard.search.codec import weight_from_json
from steelyard.search.execute import execute
from steelyard.search.history import trial_of
from steelyard.search.loop import context_of
from steelyard.search.store import outcome_from_json
from steelyard.units import Seconds

LEVELS = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Shares of the labels that there are."""
PARTS = (1 / 4, 1 / 2, 1 / 8, 1 / 16)
"""Shares of the labels at hand that a curve is drawn through."""
MOST = 4_000
"""Labels that there are at most, so that every cell can be measured."""
TRIES = 3
"""Settings that tuning tries beside the defaults."""
TABLE, TEXT = ("linear", "lightgbm", "extra-trees"), ("tfidf-linear", "linear")
SEED = 5


def learners_of(one: Set) -> tuple[str, ...]:
    """Return the learners of a set, the one that everybody begins with first."""
    return TEXT if one.learner == "tfidf-linear" else TABLE


@dataclass
class Level:
    """A data set with a share of its labels, in a folder where jobs are done."""

    one: Set
    dataset: Dataset
    folder: Path
    number: int = 0

    @classmethod
    def of(cls, one: Set, whole: Dataset, share: float, folder: Path) -> Level:
        """Return the level; rows of smaller levels lie inside those of larger ones."""
        (part,) = whole.partition.parts
        there = subset(whole, part.fit, min(1.0, MOST / len(part.fit)), SEED)
        fit = subset(whole, there, share, SEED)
        few = replace(whole, partition=replace(whole.partition, parts=(Part(part.name, fit, part.score),)))
        folder.mkdir(parents=True)
        (folder / "bundles").mkdir()
        store.save(few, folder)
        return cls(one, store.read(folder), folder)

    def job(self, recipe: Recipe, errand: Errand, seconds: float = 60.0) -> dict[str, Any]:
        """Do one job and return what it left."""
        return execute(
            Job(
                number=self.number,
                recipe=recipe,
                errand=errand,
                fingerprint=self.dataset.fingerprint,
                store=self.folder,
                seconds=Seconds(seconds),
                bundle="" if errand is Errand.TRIAL else self.bundle(recipe),
            )
        )

    def bundle(self, recipe: Recipe) -> str:
        """Return where the bundle of a recipe lies below the bundles."""
        return f"{digest(recipe)}/{self.dataset.partition.parts[0].name}"

    def trial(self, recipe: Recipe, lever: str) -> Trial:
        """Try a recipe."""
        self.number += 1
        return trial_of(self.number, lever, outcome_from_json(self.job(recipe, Errand.TRIAL)), "holdout")

    def cell(self, trial: Trial) -> dict[str, Any]:
        """Return what there is to know of a measured trial."""
        aim = self.dataset.task.aim
        seen = trial.validation[aim]
        rows = self.dataset.partition.test
        bundle = load(self.folder / "bundles" / self.bundle(trial.recipe))
        test = score_of(self.dataset, rows, bundle.answer(self.dataset.rows.take(rows).columns))
        weight = weight_from_json(self.job(trial.recipe, Errand.WEIGH, 0.2))
        return {
            "validation": [seen.value, seen.low, seen.high],
            "test": test,
            "busy_ms": weight.busy.value,
            "size": weight.size_bytes,
            "seconds": float(trial.seconds),
        }


def measure(one: Set, share: float, learner: str) -> Mapping[str, Any]:
    """Measure the four cells of one learner at one level, and the constant model's figures beside them."""
    with tempfile.TemporaryDirectory() as folder:
        level = Level.of(one, loaded(one), share, Path(folder) / "store")
        first = level.trial(Train(learner=learner), "start")
        if not first.ending.usable:
            raise ValueError(f"{learner} on {one.name}: {first.ending.value} {first.note}")
        tried = [first]
        context = context_of(one.spec(), level.dataset, 1)
        for _ in range(TRIES):
            best = max(tried, key=lambda t: aim_of(t, level.dataset.task))
            moves = list(levers().get("tune").moves(best, replace(context, trials=tuple(tried))))
            tried += [t for m in moves[:1] if (t := level.trial(m.recipe, "tune")).ending.usable]
        tuned = max(tried, key=lambda t: aim_of(t, level.dataset.task))
        made = {"plain": level.cell(first), "tuned": level.cell(tuned)}
        for name, parent in (("plain", first), ("tuned", tuned)):
            shrunk = level.trial(_shrunk(one, parent.recipe), "shrink")
            made[f"{name}, shrunk"] = level.cell(shrunk) if shrunk.ending.usable else made[name]
        constant = level.cell(level.trial(Train(learner="constant"), "start")) if share == LEVELS[0] else None
        rows = len(level.dataset.partition.parts[0].fit)
        points = _points(level, learner) if share == LEVELS[0] else []
        return {"rows": rows, "cells": made, "constant": constant, "points": points}


@lru_cache(maxsize=1)
def loaded(one: Set) -> Dataset:
    """Return a data set, read once as long as it is the same."""
    return one.load()


def _shrunk(one: Set, parent: Recipe) -> Recipe:
    """Return what shrinking makes of a recipe: 8 bits where there is text, a small student elsewhere."""
    if one.learner == "tfidf-linear":
        return Shrink(lever="quantise", parent=parent)
    return Shrink(lever="distil", parent=parent, settings=Settings(learner="lightgbm", synthetic=1.0))


def _points(level: Level, learner: str) -> list[list[float]]:
    """Return scores of a learner on parts of the labels at hand."""
    site = Site(level.dataset, level.folder)
    found = [measured(site, Train(learner=learner), share, 0) for share in PARTS]
    return [[p.rows, p.score] for p in found if math.isfinite(p.score) and p.rows >= 20]


def cases() -> list[tuple[Set, float, str]]:
    """Return every case, set by set."""
    return [(one, share, learner) for one in HELD for share in LEVELS for learner in learners_of(one)]


def mean(values: list[float]) -> float:
    """Return the mean, NaN of nothing."""
    return float(np.mean(values)) if values else math.nan
