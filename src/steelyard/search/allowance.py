"""The budget as a promise: how much time and money is left, and what may still be started."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from steelyard.contracts import Trial, known
from steelyard.money import Prices
from steelyard.money.energy import hourly
from steelyard.recipe import Recipe, Shrink, Train, parents
from steelyard.search.moves import Ranked
from steelyard.spec import Budget
from steelyard.units import Seconds

CLOSING = 6.5
"""Seconds kept for the decision and all that follows."""
SHIPPING = 4.5
"""Seconds of those that weighing what ships, the test rows and the report take, once it is decided and refitted."""
WEIGHING = 0.6
"""Seconds kept for each trial that is still to be weighed."""
PART_OVERHEAD = 0.15
"""Seconds that each part of a trial takes beside its training: export, write, read back, score."""
RECENT = 5
"""Trials that say how far what was foreseen is off: the search corrects itself by the earlier ones."""
MOST_PACE = 3.0
"""Priors are stretched by this much at most: a slow small trial says little about a large one."""
SHORTENED = 0.5
"""Share of its usual time with which a training that can end early is still worth starting."""
BARELY = 0.1
"""The same while there is no model yet: one that was trained too briefly says more than none."""
SLACK = 0.9
"""A refit takes this share of what its trial took, by rows, at most: it knows its rounds, and scores nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a run may spend. ``start`` is on the monotonic clock; ``before`` was spent by earlier sessions of it.

    ``cores`` are held for the whole run and paid for as long; ``growth`` is the rows that a refit trains on over
    those that a part trained on; ``parts`` the trainings of a trial.
    """

    budget: Budget
    prices: Prices
    start: float
    before: float
    cores: int
    parts: int
    growth: float

    def elapsed(self) -> Seconds:
        """Return the wall-clock time spent, earlier sessions included."""
        return Seconds(self.before + time.monotonic() - self.start)

    def limit(self) -> Seconds:
        """Return the wall-clock time that may be spent: the tighter of the time and the money budget."""
        return seconds_of(self.budget, self.prices, self.cores)

    def remaining(self) -> Seconds:
        """Return the time left before the promise is broken."""
        return Seconds(self.limit() - self.elapsed())

    def refit_seconds(self, trial: Trial) -> float:
        """Return what training a trial's recipe on everything but test should take, from what its trial took."""
        return float(trial.seconds) / self.parts * self.growth * SLACK

    def reserve(self, trials: Sequence[Trial], best: Trial | None) -> float:
        """Return the time to keep for the end: the refit of the best trial so far and the closing."""
        closing = CLOSING + WEIGHING * sum(t.weight is None for t in known(trials))
        if best is None:
            return closing
        return closing + sum(self.refit_seconds(t) for t in trained_for(best, trials))

    def job_seconds(self, trials: Sequence[Trial], best: Trial | None) -> Seconds:
        """Return what a trial started now may take, its own refit still fitting behind it."""
        left = self.remaining()
        if math.isinf(left):
            return left
        own = (left - CLOSING) / (1 + self.growth * SLACK / self.parts)
        return Seconds(min(own, left - self.reserve(trials, best)))

    def affords(
        self,
        ranked: Ranked,
        trials: Sequence[Trial],
        best: Trial | None,
        *,
        shortens: bool = False,
        first: bool = False,
    ) -> bool:
        """Tell whether a move should end in time, going by what this machine has shown so far.

        One that ``shortens`` its training to the time it has needs a share of it only, the ``first`` model a small one.
        """
        left = self.job_seconds(trials, best)
        if math.isinf(left):
            return True
        least = (BARELY if first else SHORTENED) if shortens else 1.0
        return self.foreseen(ranked.seconds) * self.pace(trials) * least <= left

    def foreseen(self, seconds: float) -> Seconds:
        """Return what a trial should take whose trainings should take ``seconds``."""
        return Seconds(seconds + PART_OVERHEAD * self.parts)

    def pace(self, trials: Sequence[Trial]) -> float:
        """Return how long trainings took for each second that their priors foresaw (the median); 1 before the first.

        Steps that shrink a model or join several take what they take, and say nothing of how long a training is.
        """
        trained = [t for t in known(trials) if isinstance(t.recipe, Train) and t.foreseen > 0.5]
        ratios = [t.seconds / t.foreseen for t in trained][-RECENT:]
        return min(MOST_PACE, statistics.median(ratios)) if ratios else 1.0


def trained_for(trial: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that a refit of ``trial`` repeats: trainings of its members, and the steps that shrink them."""
    own = {t.recipe: t for t in known(trials)}
    return [own[recipe] for recipe in _trained(trial.recipe) if recipe in own] or [trial]


def _trained(recipe: Recipe) -> list[Recipe]:
    """Return what is trained, or made of what was trained, on the way to a recipe."""
    if isinstance(recipe, Train):
        return [recipe]
    under = [found for parent in parents(recipe) for found in _trained(parent)]
    return [*under, recipe] if isinstance(recipe, Shrink) else under


def seconds_of(budget: Budget, prices: Prices, cores: int) -> Seconds:
    """Return the wall-clock time that a budget allows: the tighter of its time and its money."""
    limits = [math.inf]
    if budget.minutes is not None:
        limits.append(budget.minutes * 60)
    if budget.money is not None and (hour := hourly(prices, cores).amount) > 0:
        limits.append(float(budget.money.amount / hour * Decimal(3600)))
    return Seconds(min(limits))
