"""The decision: the best candidate that meets every target, or the cheapest that is equal to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from steelyard.contracts import Task
from steelyard.decide import reasons
from steelyard.decide.altered import unproven
from steelyard.decide.candidates import Candidate, cheapest, frontier
from steelyard.decide.columns import ceilings
from steelyard.decide.comparison import Comparison, Paired, Verdict, tolerance_of
from steelyard.decide.decision import Decision
from steelyard.decide.lineup import Lineup, Outcome
from steelyard.decide.right import Joint, weigh
from steelyard.decide.shrunk import Guard
from steelyard.decide.shrunken import Shrunken
from steelyard.decide.targets import check, targets
from steelyard.errors import NothingMeasured
from steelyard.spec import Spec
from steelyard.tasks import Metric


def decide(
    candidates: Sequence[Candidate],
    *,
    metric: Metric,
    paired: Paired,
    spec: Spec,
    task: Task,
    baseline: int | None = None,
    expected: Mapping[int, float] | None = None,
    joint: Joint | None = None,
    barred: Mapping[int, str] | None = None,
) -> Decision:
    """Choose among measured candidates, and say why in sentences.

    Those that meet every target are compared with the best of them, pairwise on the same rows. Two are equal
    when the paired 95% interval of the loss covers zero and ends within ``quality.tolerance``; then the cheaper to
    serve is taken. Fewer columns, chosen by the same rows, count there as no better than all of them. Where values are
    given, money decides: the value of the decisions less what serving them costs. If no candidate meets every target,
    the one nearest to them is returned, ``feasible`` is false, and the tightest target is named.

    Parameters
    ----------
    candidates : sequence of Candidate
        At least one; see :func:`steelyard.decide.candidate`.
    metric : Metric
        The task's aim.
    paired : callable
        ``paired(first, second)``: the difference of two trials by number, first minus second, higher better.
        Asked only for pairs that a sentence needs.
    spec : Spec
        Where targets and tolerance come from.
    task : Task
        What is predicted.
    baseline : int, optional
        The trial of the constant model.
    expected : mapping, optional
        By number, the aim that a candidate is expected to have, higher better, where its validation figure owes
        something to luck.
    joint : callable, optional
        ``joint(numbers)``: the aim of several trials on the same resamples; how sure the decision is goes untold
        without it.

    barred : mapping, optional
        By number, why a shrunk candidate is out of the question whatever its trial says: it broke in the refit.

    Raises
    ------
    NothingMeasured
        If there is no candidate.
    """
    barred = barred or {}
    if not candidates:
        raise NothingMeasured("no candidate was measured, so there is nothing to decide on; raise `budget`")
    base = next((c for c in candidates if c.number == baseline), None)
    comparison = _comparison(candidates, Comparison(metric, paired, 0.0, expected or {}), spec, base)
    lineup = _lineup(candidates, comparison, spec, task, base)
    judged = _guard(candidates, comparison, spec, base).judge(candidates, lineup.feasible, barred)
    shrunk = {**{number: found.reason for number, found in judged.items() if not found.kept}, **barred}
    rejected = shrunk | unproven(lineup.candidates, lineup.comparison)
    if len(rejected) == len(lineup.candidates):  # nothing that stands on its own was weighed
        rejected = shrunk if len(shrunk) < len(lineup.candidates) else {}
    pool = tuple(c for c in lineup.candidates if c.number not in rejected)
    feasible = tuple(c for c in pool if lineup.feasible(c))
    outcome = _choose(lineup, pool, feasible) if feasible else _nearest(lineup, pool)
    tightest = None if feasible else lineup.tightest(outcome.runners, outcome.chosen)
    return Decision(
        number=outcome.chosen.number,
        feasible=bool(feasible),
        reasons=reasons.of_choice(outcome) if tightest is None else reasons.of_nearest(outcome, tightest),
        equal=tuple(c.number for c in outcome.equal),
        rejected=rejected,
        shrunk=tuple(found for _, found in sorted(judged.items())),
        barred=barred,
        passed_over=reasons.passed_over(outcome),
        targets=lineup.checks[outcome.chosen.number],
        tightest=None if tightest is None else tightest.name,
        frontier=tuple(c.number for c in frontier(pool, metric)),
        right=None if joint is None else weigh(outcome, joint, spec),
    )


def guarded(
    candidates: Sequence[Candidate], *, metric: Metric, paired: Paired, spec: Spec, task: Task, baseline: int | None
) -> tuple[dict[int, Shrunken], float]:
    """Return what the guard finds of each shrunk candidate, and the loss that it allows, in units of the aim.

    As :func:`decide` does for itself: with it a search knows on what not to build.
    """
    base = next((c for c in candidates if c.number == baseline), None)
    comparison = _comparison(candidates, Comparison(metric, paired, 0.0), spec, base)
    guard, lineup = _guard(candidates, comparison, spec, base), _lineup(candidates, comparison, spec, task, base)
    return guard.judge(candidates, lineup.feasible), guard.comparison.tolerance


def _guard(candidates: Sequence[Candidate], comparison: Comparison, spec: Spec, baseline: Candidate | None) -> Guard:
    """Return what shrunk candidates are judged by: what the spec lets them lose and asks them to gain."""
    asked = spec.quality.tolerance if spec.shrink.lose is None else spec.shrink.lose
    best = max(candidates, key=comparison.worth)
    lose = tolerance_of(asked, comparison.metric, best, baseline)
    return Guard(comparison.with_tolerance(lose), *spec.shrink.least)


def _comparison(
    candidates: Sequence[Candidate], comparison: Comparison, spec: Spec, baseline: Candidate | None
) -> Comparison:
    best = max(candidates, key=comparison.worth)
    tolerance = tolerance_of(spec.quality.tolerance, comparison.metric, best, baseline)
    return replace(comparison, tolerance=tolerance, ceilings=ceilings(candidates, comparison.worth))


def _lineup(
    candidates: Sequence[Candidate], comparison: Comparison, spec: Spec, task: Task, baseline: Candidate | None
) -> Lineup:
    asked = targets(spec, task)
    checks = {c.number: tuple(check(t, c) for t in asked) for c in candidates}
    return Lineup(task, tuple(candidates), comparison, asked, checks, baseline)


def _choose(lineup: Lineup, pool: tuple[Candidate, ...], feasible: tuple[Candidate, ...]) -> Outcome:
    best = lineup.best(feasible)
    close = [c for c in feasible if c is not best and lineup.comparison.close(best, c)]
    equal = tuple(c for c in close if lineup.comparison.verdict(best, c) is Verdict.EQUAL)
    chosen = cheapest([best, *equal], lineup.comparison.metric)
    return Outcome(lineup, pool, feasible, best, equal, chosen)


def _nearest(lineup: Lineup, pool: tuple[Candidate, ...]) -> Outcome:
    """Take the least sum of shares missing; a model that learned nothing only where there is no other."""
    learned = tuple(c for c in pool if c is not lineup.baseline)
    runners = learned or pool
    nearest = min(runners, key=lambda c: (sum(lineup.missing(c)), -lineup.comparison.worth(c), c.shape, c.number))
    return Outcome(lineup, pool, (), nearest, (), nearest)
