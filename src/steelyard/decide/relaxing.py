"""What each target costs: the least that it must give way for another candidate to be taken, and what that brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from steelyard.decide.candidates import Candidate, cheapest
from steelyard.decide.comparison import Verdict
from steelyard.decide.lineup import Outcome
from steelyard.decide.sureness import Relaxation
from steelyard.decide.targets import NAMES, Target, amount
from steelyard.decide.words import currency_of, figure, money

STEPS = {
    "latency_p95_ms": 10.0,
    "size_mb": 1.0,
    "cost_per_million": 1.0,
    "edge_latency_p95_ms": 10.0,
    "edge_memory_mb": 10.0,
    "edge_size_mb": 1.0,
}
"""What relaxing by one step means: 10 ms, 1 MB, one unit of money; of quality a hundredth."""
POINT = 0.01
LOOKS = 8
"""Candidates that a target keeps out which are looked at, the nearest first."""


def relaxations(outcome: Outcome) -> tuple[Relaxation, ...]:
    """Return, target by target, what its price is.

    The answers are those of the rule; only candidates that a target kept out, and that are within the tolerance, are
    compared with the best on the rows.
    """
    lineup = outcome.lineup
    if not lineup.targets:
        return ()
    tightest = None if outcome.feasible else lineup.tightest(outcome.runners, outcome.chosen)
    return tuple(_relaxed(outcome, target, tightest=target is tightest) for target in lineup.targets)


def _relaxed(outcome: Outcome, target: Target, *, tightest: bool) -> Relaxation:
    lineup = outcome.lineup
    place = lineup.targets.index(target)
    kept_out = [c for c in outcome.runners if [m.name for m in lineup.missed(c)] == [target.name]]
    kept_out = [c for c in kept_out if lineup.checks[c.number][place].short < float("inf")]
    nearest = sorted(kept_out, key=lambda c: (lineup.checks[c.number][place].short, c.number))[:LOOKS]
    step = STEPS.get(target.name, POINT)
    found = Relaxation(
        target=target.name,
        tightest=tightest,
        short_by=_finite(lineup.checks[outcome.chosen.number][place].short),
        step=step,
        unit=target.unit,
        at_step=outcome.chosen.number,
    )
    let_in: list[Candidate] = []
    changed: tuple[float, Candidate] | None = None
    for candidate in nearest:
        short = lineup.checks[candidate.number][place].short
        let_in.append(candidate)
        answer = _answer(outcome, let_in) if outcome.feasible else max(let_in, key=lineup.comparison.promise)
        if not outcome.feasible or answer is not outcome.chosen:
            changed = changed or (short, answer)
            if short <= step:
                found = replace(found, at_step=answer.number)
    if changed is None:
        return replace(found, sentence=_nothing(outcome, target))
    return _priced(outcome, target, found, changed)


def _answer(outcome: Outcome, let_in: Sequence[Candidate]) -> Candidate:
    """Return what is taken once some more candidates meet every target."""
    comparison, everyone = outcome.lineup.comparison, (*outcome.feasible, *let_in)
    best = max(everyone, key=lambda c: (comparison.promise(c), c is outcome.best, -c.number))
    if best is not outcome.best:
        return best
    close = [c for c in let_in if comparison.close(best, c) and comparison.verdict(best, c) is Verdict.EQUAL]
    return cheapest([best, *outcome.equal, *close], comparison.metric)


def _priced(outcome: Outcome, target: Target, found: Relaxation, changed: tuple[float, Candidate]) -> Relaxation:
    lineup, old = outcome.lineup, outcome.chosen
    by, new = changed
    better = lineup.comparison.metric.higher_is_better
    quality = better(new.quality.value) - better(old.quality.value)
    slower, dearer = new.p95.value - old.p95.value, new.cost_per_million.value - old.cost_per_million.value
    sign = -1 if target.at == "least" else 1
    limit = amount(target, target.asked + sign * by)
    name, aim = NAMES.get(target.name, target.name), lineup.comparison.metric.name
    currency = currency_of(new.cost_per_million.unit)
    told = f"{figure(abs(quality))} {'more' if quality >= 0 else 'less'} {aim} (higher better)"
    if lineup.comparison.metric.better == "lower":
        told = f"{figure(abs(quality))} {'less' if quality >= 0 else 'more'} {aim} (lower better)"
    cost = f"{money(abs(dearer), currency)} {'more' if dearer >= 0 else 'less'} per million"
    time = f"{figure(abs(slower))} ms {'slower' if slower >= 0 else 'faster'}"
    reach = "" if by <= found.step else f" A step of {amount(target, found.step)} alone changes nothing."
    verb = "would be taken" if outcome.feasible else "would do"
    sentence = f"With {name} relaxed by {amount(target, by)} (to {limit}), {lineup.title(new)} {verb}: {told}, {cost}, "
    return replace(
        found,
        by=by,
        number=new.number,
        quality=quality,
        latency_ms=slower,
        cost_per_million=dearer,
        sentence=f"{sentence}{time}.{reach}",
    )


def _nothing(outcome: Outcome, target: Target) -> str:
    name = NAMES.get(target.name, target.name)
    if outcome.feasible:
        return f"The target of {name} costs nothing: without it the same candidate would be taken."
    return f"Relaxing {name} alone does not help: every candidate misses another target too."


def _finite(short: float) -> float:
    return min(short, 1e308)
