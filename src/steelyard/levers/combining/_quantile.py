"""Move predicted numbers to where errors cost least, when too much and too little do not cost the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steelyard.contracts import (
    Context,
    Evidence,
    Floats,
    Move,
    Prior,
    Problem,
    Rule,
    Setting,
    Space,
    Stage,
    Trial,
    Work,
)
from steelyard.learners._settings import settings_of
from steelyard.levers.combining._shared import ends_with, is_constant
from steelyard.levers.combining.cuts import chosen, ends_of
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.ranking import ranked
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Plan, Settings
from steelyard.tasks.money import cheapest, per_unit

NEEDS = {"shift": 100, "line": 300}
"""Calibration rows that each method takes: a quantile far out, or a quantile and a slope."""
FIRST = 3
"""How many of the best models are moved."""
SLOPES = (0.25, 4.0)
STEPS = 48
"""Of the golden section: the slope is found to nine digits."""
_GOLDEN = (math.sqrt(5) - 1) / 2


class Quantile:
    """Moves predictions by the quantile of the errors that costs least: the newsvendor's.

    Where each unit too much costs ``o`` and each unit too little ``u``, the best order is the ``u / (o + u)`` quantile
    of what will be asked for, and not its mean. ``shift`` adds that quantile of the errors on calibration rows to every
    prediction; ``line`` also multiplies, for errors that grow with the prediction (Koenker, Bassett: the line of least
    cost). Where costs differ from row to row the sum of them is made least.
    """

    name = "quantile"
    stage = Stage.COMBINING
    paper = (
        "Arrow, Harris, Marschak: Optimal Inventory Policy. Econometrica 1951, doi:10.2307/1906813; Koenker, Bassett: "
        "Regression Quantiles. Econometrica 1978, doi:10.2307/1913643"
    )
    about = "Moves predicted numbers to where too much and too little cost least."
    fits_on = "calibration"
    needs_rows = NEEDS["shift"]
    space = Space({"method": Setting(default="shift", options=tuple(NEEDS), about="What is done to predictions.")})

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose each method for which there are rows, on the best models, where errors cost money."""
        task, seen = context.task, {t.recipe for t in context.trials}
        if task.problem is not Problem.REGRESSION or task.value is None or not trial.ending.usable:
            return
        open_ = [t.number for t in ranked(context.trials, task) if _open(t)][:FIRST]
        if trial.number not in open_:
            return
        bring = gain(0.1 / (1 + open_.index(trial.number)), 0.0, 0.5, "large where too much and too little differ much")
        for method, rows in NEEDS.items():
            settings = Settings() if method == "shift" else Settings(method=method)
            recipe = Combine(lever=self.name, parents=(trial.recipe,), settings=settings)
            if context.calibration_rows >= rows and recipe not in seen:
                why = "orders the quantile that costs least instead of the mean"
                yield Move(recipe=recipe, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def fit(self, evidence: Evidence, settings: Settings, work: Work) -> Rule:
        """Return ``{"rule": "line", "plus": a, "times": b, "chosen": {...}}``; ``chosen`` is the interval of ``plus``.

        Raises
        ------
        LeverRefused
            If the task is no regression whose errors cost money, or rows are too few.
        SettingsRefused
            If a setting is unknown or no option.
        """
        method = str(settings_of(self.name, self.space, Plan(settings=settings))["method"])
        task, rows = work.task, len(evidence.target)
        if task.problem is not Problem.REGRESSION or task.value is None or len(evidence.answers) != 1:
            raise LeverRefused(
                "quantile needs one model of a regression whose errors cost money (`value: {over: ..., under: ...}`); "
                f"got {len(evidence.answers)} of {task.problem.value}"
            )
        if rows < NEEDS[method]:
            raise LeverRefused(
                f"quantile by {method} needs {NEEDS[method]} calibration rows, there are {rows}; give more rows, or "
                "leave it out with `levers: {without: [quantile]}`"
            )
        given = evidence.answers[0]
        weights = np.ones(rows) if evidence.weights is None else evidence.weights
        over, under = (-part * weights for part in per_unit(task, rows, given.amounts))
        order = np.lexsort([under, over, given.decided, evidence.target])
        errors = _Errors(*(part[order] for part in (evidence.target, given.decided, over, under)))
        times = errors.slope() if method == "line" else 1.0
        plus, low, high = errors.shift(times)
        return {"rule": "line", "plus": plus, "times": times, "chosen": chosen(low, high, rows)}


def _open(trial: Trial) -> bool:
    return not is_constant(trial.recipe) and not ends_with(trial.recipe, Quantile.name)


@dataclass(frozen=True, slots=True)
class _Errors:
    """True and predicted values, and what a unit too much and too little costs in each row, 0 or more."""

    target: Floats
    predicted: Floats
    over: Floats
    under: Floats

    def shift(self, times: float) -> tuple[float, float, float]:
        """Return the shift that costs least beside a slope, and the ends of its 95% interval over resamples of rows."""
        rest = self.target - times * self.predicted
        order = np.argsort(rest, kind="stable")
        rest, over, under = rest[order], self.over[order], self.under[order]
        return ends_of(lambda counts: cheapest(rest, counts * over, counts * under), len(rest))

    def slope(self) -> float:
        """Return the slope of the line that costs least; the cost is convex in it, so a golden section finds it."""
        low, high = SLOPES
        inner = [high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)]
        costs = [self._cost(times) for times in inner]
        for _ in range(STEPS):
            left = costs[0] <= costs[1]
            low, high = (low, inner[1]) if left else (inner[0], high)
            fresh = high - _GOLDEN * (high - low) if left else low + _GOLDEN * (high - low)
            inner = [fresh, inner[0]] if left else [inner[1], fresh]
            costs = [self._cost(fresh), costs[0]] if left else [costs[1], self._cost(fresh)]
        return (low + high) / 2

    def _cost(self, times: float) -> float:
        rest = self.target - times * self.predicted
        excess = cheapest(rest, self.over, self.under) - rest
        return float(self.over @ np.maximum(excess, 0.0) + self.under @ np.maximum(-excess, 0.0))
