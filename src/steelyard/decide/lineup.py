"""Everything that one decision looks at: the candidates, the targets, and how they are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.contracts import Task
from steelyard.decide.candidates import Candidate
from steelyard.decide.comparison import Comparison
from steelyard.decide.decision import TargetCheck
from steelyard.decide.targets import Target, share_missing
from steelyard.decide.words import titles


@dataclass(frozen=True, slots=True)
class Lineup:
    """The candidates of one decision; ``checks`` holds every target of every candidate, by its number."""

    task: Task
    candidates: tuple[Candidate, ...]
    comparison: Comparison
    targets: tuple[Target, ...]
    checks: Mapping[int, tuple[TargetCheck, ...]]
    baseline: Candidate | None

    def title(self, candidate: Candidate) -> str:
        """Return the short name of a candidate."""
        return titles((c.number, c.recipe) for c in self.candidates)[candidate.number]

    def feasible(self, candidate: Candidate) -> bool:
        """Tell whether a candidate meets every target."""
        return all(c.met for c in self.checks[candidate.number])

    def missed(self, candidate: Candidate) -> tuple[TargetCheck, ...]:
        """Return the targets that a candidate misses."""
        return tuple(c for c in self.checks[candidate.number] if not c.met)

    def missing(self, candidate: Candidate) -> tuple[float, ...]:
        """Return how far a candidate is from each target, from 0 (met) to 1."""
        return tuple(share_missing(c, candidate, self.baseline) for c in self.checks[candidate.number])

    def best(self, among: Sequence[Candidate]) -> Candidate:
        """Return the best by the aim; of several alike the one that was tried first.

        Among those that it does not beat by more than the best of so many would, the one that is expected to be best,
        luck taken off.
        """
        top = self.top(among)
        promise = self.comparison.promise
        for candidate in sorted(among, key=lambda c: (-promise(c), c is not top, c.number)):
            if promise(candidate) <= promise(top):
                break
            if not self.comparison.surely(top, candidate, len(among)):
                return candidate
        return top

    def top(self, among: Sequence[Candidate]) -> Candidate:
        """Return the one with the best figure; of several alike the one that was tried first."""
        return max(among, key=lambda c: (self.comparison.worth(c), -c.number))

    def tightest(self, among: Sequence[Candidate], chosen: Candidate) -> Target:
        """Return the target that even the candidate closest to it misses most; then the chosen one's worst."""
        by_candidate = [self.missing(c) for c in among]
        least = [min(shares) for shares in zip(*by_candidate, strict=True)]
        ranked = sorted(zip(least, self.missing(chosen), range(len(self.targets)), strict=True))
        return self.targets[ranked[-1][2]]

    def relaxations(self, among: Sequence[Candidate]) -> dict[str, Candidate]:
        """Return, for each target, the candidate that meets all the others and is nearest to this one."""
        found = {}
        for place, target in enumerate(self.targets):
            alone = [c for c in among if [m.name for m in self.missed(c)] == [target.name]]
            if alone:
                found[target.name] = min(alone, key=lambda c: (self.missing(c)[place], c.shape, c.number))
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a lineup ended, before it is put into words.

    ``pool`` holds the candidates that were not rejected, ``feasible`` those of them that meet every target,
    ``best`` the best of those (the nearest, where there are none), ``equal`` those equal to the best.
    """

    lineup: Lineup
    pool: tuple[Candidate, ...]
    feasible: tuple[Candidate, ...]
    best: Candidate
    equal: tuple[Candidate, ...]
    chosen: Candidate

    @property
    def runners(self) -> tuple[Candidate, ...]:
        """The pool without the baseline, which learned nothing; the baseline where there is nothing else."""
        return tuple(c for c in self.pool if c is not self.lineup.baseline) or self.pool
