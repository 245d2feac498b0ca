"""The highest rate that keeps a target: doubling until it is missed, then bisection.

A test near the edge may go either way. So as soon as the bracket is narrow each rate is tested up to three times and
the majority says, and the answer comes with the range between the highest rate that was kept every time and the
lowest that was missed every time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from steelyard.errors import RequestInvalid
from steelyard.units import Estimate

NEAR = 1.5
"""Ratio of the ends of the bracket below which a rate is tested more than once."""
VOTES = 3
LEAST = 0.5
"""Requests per second below which nothing is looked for."""

Test = Callable[[float], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maximum:
    """What was found: the rate with its range, in requests per second, and every test in order.

    ``capped`` says that the search ended at the highest rate it was allowed, with the target still kept.
    """

    rate: Estimate
    capped: bool
    tests: tuple[tuple[float, bool], ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        tests = [{"rps": rate, "kept": kept} for rate, kept in self.tests]
        return {"rps": self.rate.to_json(), "capped": self.capped, "tests": tests}


@dataclass(slots=True)
class _Search:
    test: Test
    tests: list[tuple[float, bool]] = field(default_factory=list)

    def kept(self, rate: float, votes: int = 1) -> bool:
        """Test a rate until a majority of ``votes`` agrees."""
        needed, count = votes // 2 + 1, {True: 0, False: 0}
        while max(count.values()) < needed:
            answer = self.test(rate)
            self.tests.append((rate, answer))
            count[answer] += 1
        return count[True] >= needed

    def ends(self) -> tuple[float, float]:
        """Return the highest rate below every miss, and the lowest rate above everything that was kept."""
        missed = [r for r, kept in self.tests if not kept]
        kept = [r for r, kept in self.tests if kept]
        surely = [r for r in kept if r < min(missed, default=math.inf)]
        never = [r for r in missed if r > max(kept, default=0.0)]
        return max(surely, default=0.0), min(never, default=math.inf)


def find_maximum(test: Test, *, start: float, most: float = math.inf, within: float = 1.05) -> Maximum:
    """Find the highest rate for which ``test`` answers yes.

    Parameters
    ----------
    test
        Tells whether a rate, in requests per second, keeps the target; asked again near the edge.
    start
        The rate to begin with.
    most
        The highest rate to try.
    within
        Ratio between the lowest rate missed and the highest kept at which to stop.

    Examples
    --------
    >>> found = find_maximum(lambda rate: rate <= 730, start=10)
    >>> 695 <= found.rate.value <= 730 < found.rate.high, len(found.tests) < 20
    (True, True)
    """
    if not (start > 0 and most > 0 and within > 1):
        raise RequestInvalid("the search needs a first rate and a highest rate above 0, and a ratio above 1")
    search = _Search(test)
    low, high = _bracket(search, min(start, most), most)
    while low > 0 and high / low > within:
        middle = math.sqrt(low * high)
        if search.kept(middle, VOTES if high / low < NEAR else 1):
            low = middle
        else:
            high = middle
    low = _confirmed(search, low, within)
    surely, never = search.ends()
    rate = Estimate(low, min(surely, low), max(never, low), unit="requests/s", source=f"{len(search.tests)} tests")
    return Maximum(rate=rate, capped=low >= most, tests=tuple(search.tests))


def _bracket(search: _Search, rate: float, most: float) -> tuple[float, float]:
    """Return a rate that was kept (0 if none is) and one that was missed (infinite if ``most`` is kept)."""
    if search.kept(rate):
        while rate < most:
            above = min(2 * rate, most)
            if not search.kept(above):
                return rate, above
            rate = above
        return rate, rate
    while rate / 2 >= LEAST:
        rate /= 2
        if search.kept(rate):
            return rate, 2 * rate
    return 0.0, rate


def _confirmed(search: _Search, rate: float, within: float) -> float:
    """Step down until a majority of the tests of a rate keeps the target, by steps that grow from one to the next."""
    step = within
    while rate >= LEAST:
        votes = [kept for tested, kept in search.tests if tested == rate]
        if len(votes) > VOTES // 2 and sum(votes) > len(votes) / 2:
            return rate
        if search.kept(rate, VOTES):
            return rate
        rate /= step
        step *= step
    return 0.0
