"""Pairwise comparison on the same rows, and what it says: equal, not distinguishable, or apart.

Equal is what was shown, not what could not be refuted: the upper 80% bound of the loss must lie within the tolerance,
besides an interval that covers zero [1]_. A candidate that is worse by just the tolerance is so called equal in one
case of five, and those that are worse by more in about one of fifty (``benchmarks/money/equality.py``); with a bound of
95% it were none, at half as many true equals that are recognised.

References
----------
.. [1] Schuirmann. A comparison of the two one-sided tests procedure and the power approach for assessing the
   equivalence of average bioavailability. Journal of Pharmacokinetics and Biopharmaceutics, 1987.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from statistics import NormalDist

from steelyard.decide.candidates import Candidate
from steelyard.tasks import Metric
from steelyard.units import Estimate

ONE_SIDED = NormalDist().inv_cdf(0.80) / NormalDist().inv_cdf(0.975)
"""Share of the half of a 95% interval at which the one-sided 80% bound lies, as a normal's does."""

Paired = Callable[[int, int], Estimate]
"""Difference of two trials, first minus second, higher better, on the same validation rows."""


class Verdict(Enum):
    """What a paired difference says of the second of two candidates."""

    EQUAL = "equal"
    """The interval of the loss covers zero, and its upper 80% bound is within the tolerance."""
    UNCLEAR = "not distinguishable with these rows"
    """The interval covers zero, but a loss beyond the tolerance too."""
    APART = "apart"


@dataclass(slots=True)
class Comparison:
    """Compares candidates by the aim; each pair is resampled once, and only when somebody asks.

    With values, the cost of serving is taken off first: both are money per thousand decisions. ``expected`` holds,
    by number, the aim that a candidate is expected to have where that is not its validation figure, higher better:
    the best of many figures owes a part of its lead to luck. ``ceilings`` holds, by number, the worth that a candidate
    counts as at most where it is held against the best for being cheaper (:mod:`steelyard.decide.columns`).
    """

    metric: Metric
    paired: Paired
    tolerance: float
    expected: Mapping[int, float] = field(default_factory=dict)
    ceilings: Mapping[int, float] = field(default_factory=dict)
    _known: dict[tuple[int, int], Estimate] = field(default_factory=dict)
    _bare: dict[tuple[int, int], Estimate] = field(default_factory=dict)

    def with_tolerance(self, tolerance: float) -> Comparison:
        """Return the same with another tolerance; what was resampled stays known to both."""
        return Comparison(
            self.metric, self.paired, tolerance, self.expected, self.ceilings, _known=self._known, _bare=self._bare
        )

    def worth(self, candidate: Candidate) -> float:
        """Return the aim of a candidate, higher better; of money, what is left after serving."""
        return self.metric.higher_is_better(candidate.quality.value) - self._serving(candidate)

    def promise(self, candidate: Candidate) -> float:
        """Return the same with luck taken off, as far as something is known of it."""
        measured = self.metric.higher_is_better(candidate.quality.value)
        return self.expected.get(candidate.number, measured) - self._serving(candidate)

    def difference(self, first: Candidate, second: Candidate) -> Estimate:
        """Return by how much the first is better, with the paired 95% interval."""
        pair = first.number, second.number
        if pair not in self._known:
            self._known[pair] = self._shifted(first, second)
        return self._known[pair]

    def verdict(self, best: Candidate, other: Candidate) -> Verdict:
        """Say whether ``other`` is as good as ``best``."""
        loss = self.difference(best, other)
        if not self._bare[best.number, other.number].overlaps(0.0):
            return Verdict.APART  # by quality alone: a difference in serving cost, which has no spread, is no evidence
        bound = loss.value + ONE_SIDED * (loss.high - loss.value)
        return Verdict.EQUAL if self.close(best, other) and self.within(bound) else Verdict.UNCLEAR

    def surely(self, best: Candidate, other: Candidate, tried: int) -> bool:
        """Tell whether the best of ``tried`` figures is ahead by more than luck: its interval widened by Bonferroni.

        Of many figures that differ by chance alone, the best is ahead of most by a paired 95% interval.
        """
        self.difference(best, other)
        found, usual = self._bare[best.number, other.number], NormalDist()
        wider = usual.inv_cdf(1 - 0.025 / max(1, tried)) / usual.inv_cdf(0.975)
        return found.value - (found.value - found.low) * wider > 0

    def close(self, best: Candidate, other: Candidate) -> bool:
        """Tell, without resampling, whether ``other`` could be equal to ``best``."""
        return self.within(self.behind(best, other))

    def behind(self, best: Candidate, other: Candidate) -> float:
        """Return by how much ``other`` is worse, no more granted to it than its ceiling."""
        worth = self.worth(other)
        return self.worth(best) - min(worth, self.ceilings.get(other.number, worth))

    def within(self, loss: float) -> bool:
        """Tell whether a loss is tolerated; 0.795 - 0.785 is 0.01, whatever binary fractions make of it."""
        return loss <= self.tolerance + 1e-9 * max(1.0, abs(self.tolerance))

    def _shifted(self, first: Candidate, second: Candidate) -> Estimate:
        found = self._bare[first.number, second.number] = self.paired(first.number, second.number)
        shift = self._serving(second) - self._serving(first)
        return Estimate(found.value + shift, found.low + shift, found.high + shift, found.how, found.unit, found.source)

    def _serving(self, candidate: Candidate) -> float:
        return candidate.cost_per_million.value / 1000 if self.metric.name == "value" else 0.0


def tolerance_of(asked: float, metric: Metric, best: Candidate, baseline: Candidate | None) -> float:
    """Return the loss that counts as equal, in units of the aim.

    Of money it is a share of the way from the baseline to the best candidate (from zero, without a baseline).
    """
    if metric.name != "value":
        return asked
    return asked * abs(best.quality.value - (0.0 if baseline is None else baseline.quality.value))
