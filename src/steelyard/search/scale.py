"""The aim as a share of the way from the constant model to a perfect one, and as a log error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.contracts import Context, Trial, known
from steelyard.recipe import BASELINES, Train
from steelyard.tasks import metric
from steelyard.tasks.money import DECISIONS
from steelyard.units import Estimate

LEAST_ERROR = 1e-6
"""Share of the way to perfect below which two errors are not told apart."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The aim from the constant model (0) to a perfect one (1).

    One minus that share is the *error*; its logarithm is what published results are compared in, because it takes
    tables of any difficulty alike.
    """

    aim: str
    zero: float
    one: float
    best: float

    @classmethod
    def of(cls, context: Context, trials: Sequence[Trial]) -> Scale:
        """Read the scale off the trials so far; without a constant model the worst trial takes its place."""
        aim = metric(context.task.aim)
        values = {t.number: aim.higher_is_better(t.validation[aim.name].value) for t in known(trials)}
        finite = [v for v in values.values() if math.isfinite(v)] or [0.0]
        constants = [values[t.number] for t in known(trials) if is_constant(t)]
        zero = next((v for v in constants if math.isfinite(v)), min(finite))
        top = aim.higher_is_better(aim.high if aim.better == "higher" else aim.low)
        if not math.isfinite(top):
            top = _perfect(trials) if aim.priced else math.nan
            top = top if top > max(finite) else zero + max(abs(zero), max(finite) - zero, 1e-9)
        return cls(aim.name, zero, max(top, zero + 1e-9), max(finite))

    def skill(self, value: float) -> float:
        """Return where a value of the aim, higher better, stands on the scale."""
        return (value - self.zero) / (self.one - self.zero) if math.isfinite(value) else 0.0

    def error(self, value: float) -> float:
        """Return the log error of a value of the aim, higher better."""
        return math.log(max(LEAST_ERROR, 1.0 - self.skill(value)))

    def value(self, error: float) -> float:
        """Return the value of the aim, higher better, that has a log error."""
        return self.one - math.exp(error) * (self.one - self.zero)

    def noise(self, figure: Estimate) -> float:
        """Return the standard deviation of the log error of a figure, from its 95% interval."""
        share = max(LEAST_ERROR, 1.0 - self.skill(metric(self.aim).higher_is_better(figure.value)))
        return min(1.0, (figure.high - figure.low) / 3.92 / (self.one - self.zero) / share)

    def seen(self, trial: Trial) -> float:
        """Return the log error of a measured trial."""
        return self.error(metric(self.aim).higher_is_better(trial.validation[self.aim].value))


def _perfect(trials: Sequence[Trial]) -> float:
    """Return the money that a thousand right decisions bring, NaN where it is not known."""
    return next((DECISIONS * float(t.outcomes["perfect"]) for t in trials if "perfect" in t.outcomes), math.nan)


def is_constant(trial: Trial) -> bool:
    """Tell whether a trial is the model that learns nothing."""
    return isinstance(trial.recipe, Train) and trial.recipe.learner in BASELINES
