"""Rejecting what compression made worse: a shrunk model must be smaller or faster, and still good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from steelyard.decide.candidates import Candidate
from steelyard.decide.comparison import Comparison, Verdict
from steelyard.decide.words import figure, span
from steelyard.recipe import Recipe, Shrink


def rejections(
    candidates: Sequence[Candidate], comparison: Comparison, feasible: Callable[[Candidate], bool]
) -> dict[int, str]:
    """Return one sentence for each shrunk candidate that is out of the question, by its number.

    It is out if it is neither smaller nor measurably faster than its parent (their intervals of p95 latency do
    not overlap), or if it lost more quality than the tolerance. The latter is forgiven where it meets every
    target and its parent does not: then compression is what makes it possible at all.
    """
    by_recipe: dict[Recipe, Candidate] = {c.recipe: c for c in candidates}
    found = {}
    for child in candidates:
        parent = by_recipe.get(child.recipe.parent) if isinstance(child.recipe, Shrink) else None
        if parent is None:
            continue
        reason = _no_gain(child, parent)
        if reason is None and not (feasible(child) and not feasible(parent)):
            reason = _too_bad(child, parent, comparison)
        if reason is not None:
            found[child.number] = reason
    return found


def _no_gain(child: Candidate, parent: Candidate) -> str | None:
    if child.size_bytes < parent.size_bytes or child.p95.high < parent.p95.low:
        return None
    return (
        f"Neither smaller nor faster than its parent, trial {parent.number}, on this machine: "
        f"{child.size_bytes:,} bytes instead of {parent.size_bytes:,}, "
        f"p95 {span(child.p95, 'ms')} instead of {span(parent.p95, 'ms')}."
    )


def _too_bad(child: Candidate, parent: Candidate, comparison: Comparison) -> str | None:
    loss = comparison.worth(parent) - comparison.worth(child)
    if comparison.within(loss):
        return None
    lost = comparison.difference(parent, child)
    doubt = "" if comparison.verdict(parent, child) is Verdict.APART else "; more rows might tell otherwise"
    return (
        f"Not good enough: {span(lost)} worse in {comparison.metric.name} than its parent, trial {parent.number}; "
        f"{figure(comparison.tolerance)} is tolerated{doubt}."
    )
