"""How sure a decision is: the chance that each candidate is the right choice, and what taking another would cost.

All candidates are scored on the same resamples of the validation rows. Each resample is taken for the truth, with what
is expected of a candidate in the place of its measured figure; right is what one would take then: the cheapest of those
within the tolerance of the best that these rows do not show to be worse, as the decision itself goes. The same
resamples say how much the choice flatters what it chose [1]_.

References
----------
.. [1] Efron, Tibshirani. An introduction to the bootstrap. Chapman & Hall, 1993, chapter 10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from steelyard.contracts import Floats
from steelyard.decide.candidates import Candidate, cheapest
from steelyard.decide.comparison import Verdict
from steelyard.decide.lineup import Lineup, Outcome
from steelyard.decide.relaxing import relaxations
from steelyard.decide.sureness import Regret, Right
from steelyard.decide.words import unit_of
from steelyard.spec import Spec
from steelyard.units import Estimate, How

Joint = Callable[[Sequence[int]], Floats]
"""The aim of trials by number, higher better, on the same resamples: float64 of shape (B, trials)."""

MOST = 12
"""Candidates that are weighed against each other; the others are too far behind to be right."""
SECONDS_A_MONTH = 365.25 / 12 * 86_400


def weigh(outcome: Outcome, joint: Joint, spec: Spec) -> Right:
    """Say how sure an outcome is; one joint resampling of at most :data:`MOST` candidates, and nothing else."""
    lineup, chosen = outcome.lineup, outcome.chosen
    relaxed = relaxations(outcome)
    field = _field(outcome)
    if not field:
        return Right(probability={}, regret=None, expected=None, relaxing=relaxed)
    draws = joint([c.number for c in field])
    draws = draws[np.isfinite(draws).all(axis=1)]
    if not len(draws):
        return Right(probability={}, regret=None, expected=None, relaxing=relaxed)
    promised = draws + np.array([lineup.comparison.promise(c) - _measured(lineup, c) for c in field])
    taken = _taken(lineup, field, promised)
    shares = np.bincount(taken, minlength=len(field)) / len(draws)
    probability = {c.number: float(s) for c, s in zip(field, shares, strict=True) if s > 0}
    others = [i for i, c in enumerate(field) if c is not chosen]
    regret = None
    if others:
        second = max(others, key=lambda i: (shares[i], lineup.comparison.promise(field[i]), -field[i].number))
        regret = _regret(lineup, spec, (chosen, field[second]), promised[:, field.index(chosen)] - promised[:, second])
    return Right(
        probability=probability, regret=regret, expected=_expected(lineup, field, draws, chosen), relaxing=relaxed
    )


def _field(outcome: Outcome) -> list[Candidate]:
    """Return the candidates that may be right: those that meet every target, the most promising of many."""
    promising = sorted(outcome.feasible, key=lambda c: (-outcome.lineup.comparison.promise(c), c.number))
    kept = promising[:MOST]
    if outcome.feasible and outcome.chosen not in kept:
        kept[-1] = outcome.chosen
    return kept


def _measured(lineup: Lineup, candidate: Candidate) -> float:
    return lineup.comparison.metric.higher_is_better(candidate.quality.value)


def _taken(lineup: Lineup, field: Sequence[Candidate], worth: Floats) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return which candidate one would take in each resample, were it the truth: shape (B,)."""
    comparison = lineup.comparison
    tolerance = comparison.tolerance + 1e-9 * max(1.0, abs(comparison.tolerance))
    best = max(field, key=lambda c: (comparison.promise(c), -c.number))
    apart = np.array([c is not best and comparison.verdict(best, c) is Verdict.APART for c in field])
    highest = worth.max(axis=1, keepdims=True)
    within = (worth == highest) | ((worth >= highest - tolerance) & ~apart)
    kinds, which = np.unique(within, axis=0, return_inverse=True)
    taken = [
        field.index(cheapest([c for c, near in zip(field, kind, strict=True) if near], lineup.comparison.metric))
        for kind in kinds
    ]
    return np.asarray(taken, dtype=np.int64)[which.reshape(-1)]


def _expected(lineup: Lineup, field: Sequence[Candidate], draws: Floats, chosen: Candidate) -> Estimate:
    """Return the chosen figure less what choosing flatters it by: how far what a resample chooses lies above itself."""
    measured = np.array([_measured(lineup, c) for c in field])
    serving = np.array([lineup.comparison.worth(c) for c in field]) - measured
    taken = _taken(lineup, field, draws + serving)
    luck = float((draws[np.arange(len(draws)), taken] - measured[taken]).mean()) if len(field) > 1 else 0.0
    shift = -lineup.comparison.metric.higher_is_better(max(0.0, luck))
    figure = chosen.quality
    source = f"less {abs(shift):.3g} for being chosen among {len(field)} by the same rows; {figure.source}"
    return replace(
        figure,
        value=figure.value + shift,
        low=figure.low + shift,
        high=figure.high + shift,
        how=How.ESTIMATED,
        source=source.removesuffix("; "),
    )


def _regret(lineup: Lineup, spec: Spec, pair: tuple[Candidate, Candidate], lead: Floats) -> Regret:
    chosen, other = pair
    comparison, traffic = lineup.comparison, spec.serving.traffic
    value = comparison.promise(chosen) - comparison.promise(other)
    low, high = (float(end) for end in np.quantile(lead, (0.025, 0.975)))
    source = f"{len(lead):,} joint resamples"
    unit = unit_of(comparison.metric, lineup.task)
    quality = Estimate(value, min(low, value), max(high, value), How.ESTIMATED, unit, source)
    month = None
    if comparison.metric.name == "value" and traffic is not None and traffic.mean_rps > 0:
        currency = lineup.task.currency
        month = quality.scaled(traffic.mean_rps * SECONDS_A_MONTH / 1000, unit=f"{currency} per month", source=source)
    dearer = chosen.cost_per_million.value - other.cost_per_million.value
    return Regret(runner_up=other.number, quality=quality, month=month, cost_per_million=dearer)
