"""A learner under test on a scene, with trainings that are shared between checks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from steelyard.contracts import NUMERIC, Columns, Fitted, Floats, Learner, Problem, Split
from steelyard.contracts.ragged import flattened, lengths_of
from steelyard.recipe import Plan, Scalar
from steelyard.testing.scenes import Scene, spread_of
from steelyard.units import Seconds

FEW = 12
"""Rows that are enough to compare answers on."""


class Flat:
    """A trained tagger whose scores are those of all tokens, row behind row, so that they can be checked as a table."""

    def __init__(self, fitted: Fitted) -> None:
        self._fitted = fitted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fitted, name)

    def scores(self, columns: Columns) -> Floats:
        """Return the scores of every token, shape (tokens, classes)."""
        return flattened(self._fitted.scores(columns))[0]


class Watch:
    """A meter that remembers, and can be told to stop a training or to have no time left."""

    def __init__(self, *, stop_at: int | None = None, seconds: float = math.inf) -> None:
        self.reports: list[tuple[int, float]] = []
        self.notes: list[str] = []
        self._stop_at, self._seconds = stop_at, seconds

    def report(self, step: int, value: float) -> bool:
        """Keep what is reported; answer no at the given report."""
        self.reports.append((step, value))
        return self._stop_at is None or len(self.reports) < self._stop_at

    def remaining(self) -> Seconds:
        """Return the same time again and again."""
        return Seconds(self._seconds)

    def note(self, sentence: str) -> None:
        """Keep a sentence."""
        self.notes.append(sentence)


@dataclass(kw_only=True)
class Pupil:
    """A learner under test, on a scene that it accepts; what was trained once is kept."""

    learner: Learner
    scene: Scene
    plan: Plan = field(default_factory=Plan)
    _fitted: Fitted | None = None
    _watch: Watch = field(default_factory=Watch)

    @property
    def fitted(self) -> Fitted:
        """The plan, trained on the scene."""
        if self._fitted is None:
            self._fitted = self.fit(watch=self._watch)
        return self._fitted

    @property
    def watch(self) -> Watch:
        """The meter of that training."""
        _ = self.fitted
        return self._watch

    @property
    def rounds(self) -> bool:
        """Whether the learner says that it honours a number of rounds."""
        return "rounds" in self.learner.honours

    @property
    def few(self) -> Columns:
        """A few validation rows."""
        return self.scene.valid.take(np.arange(FEW)).columns

    def fit(
        self,
        plan: Plan | None = None,
        train: Split | None = None,
        valid: Split | None = None,
        *,
        watch: Watch | None = None,
        alone: bool = False,
    ) -> Fitted:
        """Train on other rows or another plan; ``alone`` leaves out the validation rows."""
        valid = None if alone else self.scene.valid if valid is None else valid
        train = self.scene.train if train is None else train
        plan = self.plan if plan is None else plan
        fitted = self.learner.fit(plan, train, valid, self.scene.work, Watch() if watch is None else watch)
        return Flat(fitted) if self.tags else fitted

    @property
    def tags(self) -> bool:
        """Whether tokens are tagged."""
        return self.scene.task.problem is Problem.TAGGING

    def lines(self, row: int = FEW) -> int:
        """Return how many lines of scores stand before a row of :attr:`few`: as many, or as it has tokens."""
        before = self.scene.valid.target[:row]
        return int(lengths_of(before).sum()) if self.tags else row

    def told(self, **settings: Scalar) -> Plan:
        """Return the plan with some settings changed."""
        return replace(self.plan, settings=self.plan.settings.with_(**settings))

    def apart(self, first: Floats, second: Floats) -> float:
        """Return how far scores are apart, in probability or in standard deviations of the target."""
        first, second = (flattened(each)[0] if each.dtype == object else each for each in (first, second))
        unit = spread_of(self.scene.train.target) if self.scene.task.problem in NUMERIC else 1.0
        return float(np.abs(np.asarray(first) - np.asarray(second)).max(initial=0.0)) / unit
