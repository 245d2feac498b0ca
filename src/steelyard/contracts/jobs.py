"""One recipe to execute, as plain data that can travel to another process or machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from steelyard.contracts.levers import Trial
from steelyard.recipe import Recipe
from steelyard.units import Seconds


class Errand(StrEnum):
    """What a job is to do with its recipe."""

    TRIAL = "trial"
    """Train, score, keep."""
    WEIGH = "weigh"
    """Time the bundle that the job names; runs while nothing else does."""
    REFIT = "refit"
    """Train once more on everything but the test rows, with the rounds fixed."""
    TEST = "test"
    """Score the test rows with the bundle that ships."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recipe to execute: plain data, so that it can travel to another process or machine."""

    number: int
    recipe: Recipe
    errand: Errand = Errand.TRIAL
    fingerprint: str
    store: Path
    """Folder with the data (``data.arrow``, ``data.json``) and the bundles by digest."""
    seconds: Seconds
    """Time the job may take from its start; infinite where there is no deadline."""
    threads: int = 1
    serving_threads: int = 1
    bundle: str = ""
    """Which bundle to weigh or to test, relative to the store's bundles."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """By the digest of a recipe, the bundle to call in turn with the one that is weighed."""
    rounds: tuple[int, ...] = ()
    """For a refit: the rounds of each training under the recipe, left to right; 0 where there are none."""
    hurdles: Mapping[int, float] = field(default_factory=dict)
    """Per step, the aim (higher better) below which the trial is not worth finishing."""


def known(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Return the trials that were measured."""
    return tuple(t for t in trials if t.ending.usable)
