"""The guard: what was made cheaper is kept only if it is smaller or faster here, and shown to be as good.

A shrunk model is held against two others on the same rows and the same machine: the last model of its line that was
kept, and the one that its line began with. Against each it must gain what ``shrink.faster`` or ``shrink.smaller`` asks
for, and the upper 80% bound of its paired loss must lie within ``shrink.lose``: that it lost little is shown, not
assumed, by the bound that equality goes by (:mod:`steelyard.decide.comparison`). So a chain of steps that each lose a
little cannot lose more than was allowed for the whole of it, and what is built on a rejected step is held against the
step before. A model that is worse by twice the tolerance passes in one case of twenty where the standard error of the
paired difference is 1.25 tolerances, and more rarely where the rows say more (``tests/decide/test_guard.py``).

It is faster where the median or the 95th percentile of its latency fell by the share that is asked, measurably, and
the other did not measurably rise. Both are read in turn with those of the other model where that was done, since one
machine is not equally fast from one minute to the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from steelyard.contracts import Beside
from steelyard.decide.candidates import Candidate
from steelyard.decide.comparison import ONE_SIDED, Comparison
from steelyard.decide.shrunken import Shrunken
from steelyard.decide.words import figure, span
from steelyard.recipe import Recipe, Shrink, digest, line_above
from steelyard.units import Estimate

CALLS = 40
"""Calls below which two readings of a latency, made at different times, say nothing of which is the faster."""
UNKNOWN = Estimate(1.0, 0.0, math.inf)
"""A ratio of latencies of which nothing is known."""
ORPHAN = "None of the models that it was made from was measured, so nothing tells what shrinking did to it."


@dataclass(frozen=True, slots=True)
class Guard:
    """What a shrunk model may lose and must gain; ``comparison`` carries the loss, in its own unit, as tolerance."""

    comparison: Comparison
    faster: float | None
    smaller: float | None

    def judge(
        self,
        candidates: Sequence[Candidate],
        feasible: Callable[[Candidate], bool] = lambda _: True,
        barred: Mapping[int, str] | None = None,
    ) -> dict[int, Shrunken]:
        """Return what is found of each shrunk candidate, by its number.

        A loss is forgiven where a candidate meets every target and what it is held against does not: then shrinking is
        what makes it possible at all. Those that are ``barred`` are rejected for the reason given.
        """
        by_recipe: dict[Recipe, Candidate] = {c.recipe: c for c in candidates}
        found: dict[int, Shrunken] = {}
        for child in sorted((c for c in candidates if isinstance(c.recipe, Shrink)), key=_depth):
            line = line_of(child, by_recipe)
            if not line:
                found[child.number] = Shrunken(number=child.number, reason=ORPHAN)
                continue
            against = next((c for c in line if c.number not in found or found[c.number].kept), line[-1])
            held = self._held(child, against, line[-1], feasible)
            found[child.number] = replace(held, reason=(barred or {}).get(child.number, held.reason))
        return found

    def _held(
        self, child: Candidate, against: Candidate, root: Candidate, feasible: Callable[[Candidate], bool]
    ) -> Shrunken:
        reason = ""
        for other in (against, *((root,) if root is not against else ())):
            reason = reason or self._no_gain(child, other, root)
            if not (feasible(child) and not feasible(other)):
                reason = reason or self._too_bad(child, other, root)
        ratio = beside(child, against)
        return Shrunken(
            number=child.number,
            against=against.number,
            root=root.number,
            lost=self.comparison.difference(against, child),
            p50=None if ratio.p50 is UNKNOWN else ratio.p50,
            p95=None if ratio.p95 is UNKNOWN else ratio.p95,
            reason=reason,
        )

    def _no_gain(self, child: Candidate, other: Candidate, root: Candidate) -> str:
        if gains(child, other, self.faster, self.smaller):
            return ""
        ratio, name = beside(child, other), _name(child, other, root)
        latency = f"p95 {span(child.p95, 'ms')} instead of {span(other.p95, 'ms')}"
        bytes_ = f"{child.size_bytes:,} bytes instead of {other.size_bytes:,}"
        threads = f"{child.threads} thread{'' if child.threads == 1 else 's'}"
        figures = f"on this machine, {threads}: {bytes_}, {latency}"
        if child.size_bytes >= other.size_bytes and min(ratio.p50.high, ratio.p95.high) >= 1:
            slower = ratio.p50.low > 1 or ratio.p95.low > 1
            head = "Slower and not smaller" if slower else "Neither smaller nor faster"
            return f"{head} than {name}, {figures}{_turns(child, other)}."
        if child.size_bytes < other.size_bytes and min(ratio.p50.low, ratio.p95.low) > 1:
            return f"Slower by more than it is smaller than {name}, {figures}{_turns(child, other)}."
        grown = child.size_bytes * max(ratio.p50.low, ratio.p95.low) > other.size_bytes
        if child.size_bytes > other.size_bytes and grown and None not in (self.faster, self.smaller):
            way_out = f"if size does not count, write `shrink: {{faster: {self.faster:g}}}`"
            return f"Larger by more than it is faster than {name}, {figures}{_turns(child, other)}; {way_out}."
        return f"Gains too little over {name}, {figures}{_turns(child, other)}; {self._asked()} is asked for."

    def _asked(self) -> str:
        parts = ((self.smaller, "smaller"), (self.faster, "faster"))
        return " or ".join(f"{100 * s:g}% {word}" if s else f"{word} at all" for s, word in parts if s is not None)

    def _too_bad(self, child: Candidate, other: Candidate, root: Candidate) -> str:
        comparison = self.comparison
        lost = comparison.difference(other, child)
        if comparison.within(bound := lost.value + ONE_SIDED * (lost.high - lost.value)):
            return ""
        worse = f"{span(lost)} worse in {comparison.metric.name} than {_name(child, other, root)}"
        if comparison.within(lost.value):
            return (
                f"Not shown to be good enough: {worse}, and these rows do not rule out a loss beyond the "
                f"{figure(comparison.tolerance)} that may be lost (80% bound: {figure(bound)}); more rows may."
            )
        return f"Not good enough: {worse}; {figure(comparison.tolerance)} may be lost."


def gains(child: Candidate, other: Candidate, faster: float | None, smaller: float | None) -> bool:
    """Tell whether a candidate is smaller, or faster, than another by at least a share; ``None``: that is no gain.

    Where either counts, it must not lose more in the one than it gains in the other: half the bytes do not make up for
    three times the time.
    """
    ratio, bytes_ = beside(child, other), child.size_bytes / max(other.size_bytes, 1)
    if None not in (faster, smaller) and (bytes_ * ratio.p50.low > 1 or bytes_ * ratio.p95.low > 1):
        return False

    def falls(one: Estimate) -> bool:
        return faster is not None and one.value <= 1 - faster + 1e-9 and one.high < 1

    least = math.inf if smaller is None else smaller
    small = bytes_ < 1 and bytes_ <= 1 - least + 1e-9
    fast = (falls(ratio.p50) and not ratio.p95.low > 1) or (falls(ratio.p95) and not ratio.p50.low > 1)
    return small or fast


def line_of(child: Candidate, by_recipe: Mapping[Recipe, Candidate]) -> tuple[Candidate, ...]:
    """Return the measured models that a shrunk one was made from, nearest first."""
    return tuple(by_recipe[recipe] for recipe in line_above(child.recipe) if recipe in by_recipe)


def beside(child: Candidate, other: Candidate) -> Beside:
    """Return latency over another's: as read in turn, or else of two readings, as wide as both of them allow."""
    if (measured := child.beside.get(digest(other.recipe))) is not None:
        return measured
    pairs = ((child.p50 or child.p95, other.p50 or other.p95), (child.p95, other.p95))
    few = min(child.calls, other.calls) < CALLS
    return Beside(*(UNKNOWN if few else _ratio(one, two) for one, two in pairs))


def _ratio(one: Estimate, other: Estimate) -> Estimate:
    if not (one.low > 0 and other.low > 0):
        return UNKNOWN
    return Estimate(one.value / other.value, one.low / other.high, one.high / other.low, source="two readings")


def _turns(child: Candidate, other: Candidate) -> str:
    """Say what the two came to when they were called in turn, where they were."""
    ratio = child.beside.get(digest(other.recipe))
    return "" if ratio is None else f"; in turn with it {span(ratio.p50)} times its median, {span(ratio.p95)} its p95"


def _depth(candidate: Candidate) -> tuple[int, int]:
    return len(line_above(candidate.recipe)), candidate.number


def _name(child: Candidate, other: Candidate, root: Candidate) -> str:
    if isinstance(child.recipe, Shrink) and child.recipe.parent == other.recipe:
        return f"its parent, trial {other.number}"
    which = "which its line began with" if other is root else "the last of its line that was kept"
    return f"trial {other.number}, {which}"
