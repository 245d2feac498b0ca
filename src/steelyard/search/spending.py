"""What a move costs on this machine, and what an improvement is worth in money."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from steelyard.contracts import Context, Move, Trial, known
from steelyard.recipe import Train, parents, trainings
from steelyard.units import Estimate, How, Money

OVERHEAD = 0.5
"""Seconds that any trial costs beside its training."""
FAR = 4.0
"""Most that what this machine showed may stretch or shrink a prior."""
SURE = 1.0
"""How many trials the prior's own seconds count for."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What a move should bring over the best trial, with its 95% range.

    Shares of the way from the constant model to a perfect one, never below 0: a worse model is not shipped.
    ``relative`` is the same as a share of the best trial's error, ``way`` the length of the whole way in the aim's
    own unit.
    """

    share: float
    low: float
    high: float
    relative: float
    way: float = 1.0

    @property
    def units(self) -> tuple[float, float, float]:
        """The gain in the aim's own unit: value, low, high."""
        return self.share * self.way, self.low * self.way, self.high * self.way


class Worth(Protocol):
    """What improvements and seconds are worth."""

    @property
    def currency(self) -> str:
        """The currency of both (ISO 4217 code)."""
        ...

    def money(self, gain: Gain) -> Estimate | None:
        """Return what a gain brings, in money over the horizon; ``None`` where nobody said what quality is worth."""
        ...

    def price(self, seconds: float) -> Estimate:
        """Return what so many seconds of the search cost."""
        ...


@dataclass(frozen=True, slots=True)
class Free:
    """No values were stated: gains have no money, and seconds cost what they cost.

    ``per_second`` is money for a second of all the cores that the run holds.
    """

    per_second: float = 0.0
    currency: str = "USD"

    def money(self, gain: Gain) -> Estimate | None:
        """Return nothing."""
        del gain
        return None

    def price(self, seconds: float) -> Estimate:
        """Return the price of the cores for so long."""
        return Estimate.exact(seconds * self.per_second, how=How.ESTIMATED, unit=self.currency)


@dataclass(frozen=True, slots=True)
class OverHorizon(Free):
    """Values were stated, and the aim is money per 1,000 decisions: ``decisions`` are those of the whole horizon."""

    decisions: float = 0.0

    def money(self, gain: Gain) -> Estimate | None:
        """Return a gain in money."""
        value, low, high = (x * self.decisions / 1000 for x in gain.units)
        return Estimate(value, low, high, How.ESTIMATED, f"{self.currency} over the horizon")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long trainings took on this machine for each second that their priors foresaw, by learner.

    A learner's own trials count against its prior as so many observations against one; learners that were not
    trained yet follow the others, by half.
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    others: float = 1.0

    @classmethod
    def of(cls, trials: Sequence[Trial], context: Context) -> Pace:
        """Read the pace off finished first trainings and tunings."""
        ratios: defaultdict[str, list[float]] = defaultdict(list)
        for trial in known(trials):
            recipe = trial.recipe
            if isinstance(recipe, Train) and not recipe.data and not recipe.plan.parts and trial.seconds > 0:
                prior = context.learner(recipe.learner).prior(context.task, context.schema, context.rows)
                foreseen = prior.seconds.value * context.parts + OVERHEAD
                ratios[recipe.learner].append(math.log((float(trial.seconds) + OVERHEAD) / (foreseen + OVERHEAD)))
        shifts = {name: sum(found) / (len(found) + SURE) for name, found in ratios.items()}
        factors = {name: min(FAR, max(1 / FAR, math.exp(shift))) for name, shift in shifts.items()}
        return cls(factors, math.sqrt(statistics.geometric_mean(factors.values())) if factors else 1.0)

    def corrected(self, move: Move) -> float:
        """Return the seconds that a move should take here."""
        seconds = move.prior.seconds.value
        if parents(move.recipe):
            return seconds
        names = {leaf.learner for leaf in trainings(move.recipe)}
        return seconds * max(self.factors.get(name, self.others) for name in names)


def per_second(hour: Money) -> float:
    """Return what a second of the run costs, from an hour of its cores: it holds them whether they work or not."""
    return float(hour.amount) / 3600
