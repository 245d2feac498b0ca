"""Why: the sentences of a decision, with figures and units, for somebody who did not watch the run."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.contracts import Problem
from steelyard.decide.candidates import Candidate
from steelyard.decide.comparison import Verdict
from steelyard.decide.lineup import Lineup, Outcome
from steelyard.decide.targets import NAMES, Target, amount
from steelyard.decide.words import currency_of, decimals, figure, listed, money, span, unit_of
from steelyard.recipe import Given
from steelyard.units import Estimate

CHEAPER = "cheaper to serve"


def of_choice(outcome: Outcome) -> tuple[str, ...]:
    """Return the reasons for a candidate that meets every target."""
    lineup, best = outcome.lineup, outcome.best
    first = f"{lineup.title(best)} reaches {_quality(lineup, best)} on {_rows(best)}."
    choice = _runners_up(outcome) if outcome.chosen is best else [_cheaper(outcome)]
    checks = [c.sentence for c in lineup.checks[outcome.chosen.number]]
    return (first, *_luck(outcome), *choice, *checks, *_thrift(outcome), _worth_learning(outcome), *_today(outcome))


def of_nearest(outcome: Outcome, tightest: Target) -> tuple[str, ...]:
    """Return the reasons for the candidate that comes nearest to targets that none meets."""
    lineup, chosen = outcome.lineup, outcome.chosen
    nearest = f"{lineup.title(chosen)} comes nearest: it reaches {_quality(lineup, chosen)} on {_rows(chosen)}."
    checks = [c.sentence for c in lineup.checks[chosen.number]]
    relaxed = lineup.relaxations(outcome.runners)
    ways_out = [_relaxed(lineup, t, relaxed[t.name]) for t in lineup.targets if t.name in relaxed]
    last = (_tightest(lineup, tightest, outcome.runners), *ways_out, _worth_learning(outcome), *_today(outcome))
    return ("No candidate meets every target.", nearest, *checks, *last)


def passed_over(outcome: Outcome) -> dict[int, str]:
    """Return one sentence for each candidate of the pool that was not chosen: why not."""
    return {c.number: _why_not(outcome, c) for c in outcome.pool if c is not outcome.chosen}


def _quality(lineup: Lineup, candidate: Candidate) -> str:
    metric = lineup.comparison.metric
    return f"{metric.name} {span(candidate.quality, unit_of(lineup.comparison.metric, lineup.task))}"


def _rows(candidate: Candidate) -> str:
    return f"validation, {candidate.protocol}" if candidate.protocol else "validation"


def _difference(difference: Estimate) -> str:
    places = decimals(max(abs(difference.value), abs(difference.low), abs(difference.high), 0.01))
    low, high = figure(difference.low, places), figure(difference.high, places)
    return f"difference {figure(difference.value, places)}, {low} to {high}"


def _per_million(candidate: Candidate) -> str:
    return money(candidate.cost_per_million.value, currency_of(candidate.cost_per_million.unit))


def _luck(outcome: Outcome) -> list[str]:
    """Say why a better figure is not taken for the best candidate."""
    lineup, best = outcome.lineup, outcome.best
    top = lineup.top(outcome.feasible)
    if top is best:
        return []
    compared = _difference(lineup.comparison.difference(top, best))
    better = f"{lineup.title(top)} has a better figure ({compared}), but these rows do not tell the two apart, and the"
    luck = f"best of many figures is often luck: by published results of such learners {lineup.title(best)} should do"
    return [f"{better} {luck} better."]


def _cheaper(outcome: Outcome) -> str:
    lineup, chosen, best = outcome.lineup, outcome.chosen, outcome.best
    name, compared = lineup.title(chosen), _difference(lineup.comparison.difference(best, chosen))
    equal = f"{name} is equal to it on these rows ({compared}; tolerance {figure(lineup.comparison.tolerance)})"
    if _gain(outcome) == CHEAPER:
        return f"{equal} and costs {_per_million(chosen)} per million instead of {_per_million(best)}: take {name}."
    return (
        f"{equal}, costs as much within the intervals ({_per_million(chosen)} per million), and answers in "
        f"{figure(chosen.p95.value)} ms instead of {figure(best.p95.value)} (p95): take {name}."
    )


def _runners_up(outcome: Outcome) -> list[str]:
    lineup, best, equal = outcome.lineup, outcome.best, outcome.equal
    sentences = []
    if equal:
        names, verb = listed([lineup.title(c) for c in equal]), "is" if len(equal) == 1 else "are"
        sentences.append(f"{names} {verb} equal to it on these rows, but not cheaper to serve.")
    lucky = lineup.top(outcome.feasible)  # a sentence of its own says why it is not taken
    rest = [c for c in outcome.feasible if c not in (best, lucky, *equal)]
    if rest:
        sentences.append(_second(lineup, best, lineup.top(rest)))
    return sentences


def _second(lineup: Lineup, best: Candidate, second: Candidate) -> str:
    name, compared = lineup.title(second), _difference(lineup.comparison.difference(best, second))
    if lineup.comparison.verdict(best, second) is Verdict.APART:
        return f"The next best, {name}, is behind ({compared})."
    if lineup.comparison.close(best, second):
        return (
            f"The next best, {name}, is not distinguishable from it with these rows ({compared}), but they do not rule "
            f"out a loss beyond the tolerance of {figure(lineup.comparison.tolerance)}: the better estimate stands."
        )
    if lineup.comparison.within(lineup.comparison.worth(best) - lineup.comparison.worth(second)):
        return (
            f"The next best, {name}, is not distinguishable from it with these rows ({compared}), but its columns were "
            f"chosen by them: it counts as no better than the same training on all columns, which is behind by "
            f"{figure(lineup.comparison.behind(best, second))}."
        )
    return (
        f"The next best, {name}, is not distinguishable from it with these rows ({compared}), but behind by more "
        f"than the tolerance of {figure(lineup.comparison.tolerance)}: the better estimate stands."
    )


def _thrift(outcome: Outcome) -> list[str]:
    """Name the cheapest candidate that would do, where it was passed over for its quality."""
    lineup, chosen = outcome.lineup, outcome.chosen
    least = min(outcome.feasible, key=lambda c: (c.cost_per_million.value, -lineup.comparison.worth(c)))
    asked_quality = any(t.name not in NAMES for t in lineup.targets)
    dearer = chosen.cost_per_million.low > least.cost_per_million.high
    if not asked_quality or not dearer or least in (outcome.best, *outcome.equal):
        return []
    loss = _difference(lineup.comparison.difference(chosen, least))
    name = lineup.comparison.metric.name
    cheap = f"The cheapest that meets every target is {lineup.title(least)}, at {_per_million(least)} per million"
    return [f"{cheap} instead of {_per_million(chosen)}; it is behind in {name} ({loss})."]


_DULL = {Problem.REGRESSION: "the mean", Problem.FORECASTING: "what was a season ago"}
"""What the model that learns nothing answers."""


def _worth_learning(outcome: Outcome) -> str:
    lineup, chosen, base = outcome.lineup, outcome.chosen, outcome.lineup.baseline
    if base is None:
        return "No constant model was measured, so nothing here tells whether machine learning is worth it."
    name, reaches = lineup.title(base), span(base.quality, unit_of(lineup.comparison.metric, lineup.task))
    dull = f"{name}, which always answers {_DULL.get(lineup.task.problem, 'the most frequent class')},"
    if chosen is base:
        if len(lineup.candidates) == 1:
            tells = "nothing here tells whether machine learning is worth it"
            verdict = f"Nothing but {dull} was measured ({reaches}): {tells}."
        else:
            verdict = f"Machine learning is not worth it here: {dull} is taken ({reaches})."
        return verdict
    difference = lineup.comparison.difference(chosen, base)
    gain = _difference(difference)
    if isinstance(chosen.recipe, Given):
        return f"{dull} reaches {reaches} ({gain})."
    if difference.low > 0:
        return f"Machine learning is worth it here: {name} reaches {reaches} ({gain})."
    if difference.high < 0:
        return f"Machine learning is not worth it here: {name} does better, with {reaches} ({gain})."
    return f"These rows do not tell whether machine learning is worth it: {name} reaches {reaches} ({gain})."


def _today(outcome: Outcome) -> list[str]:
    """Hold what was chosen against what is used today, where that was weighed."""
    lineup, chosen = outcome.lineup, outcome.chosen
    today = next((c for c in lineup.candidates if isinstance(c.recipe, Given)), None)
    if today is None:
        return []
    name, unit = lineup.title(today), unit_of(lineup.comparison.metric, lineup.task)
    if chosen is today:
        return [f"Keep what you have: of all that was weighed here, {name}, which is used today, is taken."]
    difference = lineup.comparison.difference(chosen, today)
    reaches = f"{name}, which is used today, reaches {span(today.quality, unit)}"
    costs = f"{_per_million(today)} per million instead of {_per_million(chosen)}"
    if difference.low > 0:
        verdict = "is better than it"
    elif difference.high < 0:
        verdict = "is worse than it"
    else:
        verdict = "is not distinguishable from it with these rows"
    return [f"{reaches} and costs {costs}: {lineup.title(chosen)} {verdict} ({_difference(difference)})."]


def _tightest(lineup: Lineup, target: Target, among: Sequence[Candidate]) -> str:
    place = lineup.targets.index(target)
    closest = min(among, key=lambda c: (lineup.missing(c)[place], c.shape, c.number))
    checked = lineup.checks[closest.number][place]
    asked = f"{NAMES.get(target.name, target.name)} at {target.at} {amount(target, target.asked)}"
    if checked.met:
        return f"The tightest target is {asked}: some candidates meet it, but none of them meets the others too."
    reached = amount(target, checked.got.value)
    return f"The tightest target is {asked}: the nearest that was reached is {reached}, by {lineup.title(closest)}."


def _relaxed(lineup: Lineup, target: Target, candidate: Candidate) -> str:
    checked = lineup.checks[candidate.number][lineup.targets.index(target)]
    limit = checked.asked - checked.short if target.at == "least" else checked.asked + checked.short
    return (
        f"With {NAMES.get(target.name, target.name)} relaxed to {amount(target, limit)}, {lineup.title(candidate)} "
        f"would do, at {_per_million(candidate)} per million."
    )


def _gain(outcome: Outcome) -> str:
    cheaper = outcome.chosen.cost_per_million.high < outcome.best.cost_per_million.low
    return CHEAPER if cheaper else "answers faster at the same cost"


def _why_not(outcome: Outcome, candidate: Candidate) -> str:
    lineup, best = outcome.lineup, outcome.best
    if missed := lineup.missed(candidate):
        by_name = {t.name: t for t in lineup.targets}
        parts = [f"{NAMES.get(m.name, m.name)} by {amount(by_name[m.name], m.short)}" for m in missed]
        return f"Misses {listed(parts)}."
    if candidate is best:
        return f"The best estimate, but {lineup.title(outcome.chosen)} is equal to it and {_gain(outcome)}."
    if candidate in outcome.equal:
        return f"Equal to {lineup.title(best)} on these rows, but not the cheapest to serve."
    behind = lineup.comparison.worth(best) - lineup.comparison.worth(candidate)
    if lineup.comparison.close(best, candidate):
        return f"{_lag(outcome, behind)}: these rows do not show that it is equal, so the better estimate stands."
    if lineup.comparison.within(behind):
        counted = figure(lineup.comparison.behind(best, candidate))
        return f"Its columns were chosen by these rows; on all of them it is behind {lineup.title(best)} by {counted}."
    return f"{_lag(outcome, behind)}."


def _lag(outcome: Outcome, behind: float) -> str:
    lineup = outcome.lineup
    place = f"by {figure(behind)}" if behind >= 0 else "as is expected of it"
    return f"Behind {lineup.title(outcome.best)} {place} in {lineup.comparison.metric.name}"
