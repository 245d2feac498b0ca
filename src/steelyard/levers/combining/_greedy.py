"""Greedy selection of members from a library, with replacement, at a price for each member that has to be served."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from steelyard.bundle.rules import answer_of
from steelyard.contracts import NUMERIC, Answer, Evidence, Floats, Problem, Task
from steelyard.contracts.ragged import flattened
from steelyard.tasks import metric

PATIENCE = 8
"""Additions without a better blend after which no more are tried."""
LEAST = 1e-12
"""A probability is not counted as less, so that one sure mistake is not infinitely bad."""
ROWS = 20_000
"""Rows that members are weighed on at most: the weights of a few members need no more."""


def greedy(task: Task, evidence: Evidence, picks: int, dues: Sequence[float]) -> list[float]:
    """Return each member's weight: the share of additions that it got in the best prefix of ``picks`` of them.

    A blend is judged by the aim, less the dues of the members in it, in units of the aim; where two are the same, by
    the proper score (log loss, squared error), since an aim like accuracy moves in steps.
    """
    jury = _Jury.of(task, thinned(evidence))
    total, added = np.zeros_like(jury.scores[0]), list[int]()
    best, best_at = (-math.inf, -math.inf), 0
    for step in range(1, picks + 1):
        verdicts = [
            jury.verdict((total + scores) / step, {*added, member}, dues) for member, scores in enumerate(jury.scores)
        ]
        member = max(range(len(verdicts)), key=lambda i: (verdicts[i], -i))
        total += jury.scores[member]
        added.append(member)
        if verdicts[member] > best:
            best, best_at = verdicts[member], step
        if step - best_at == PATIENCE:
            break
    counts = Counter(added[: max(best_at, 1)])
    return [counts[i] / counts.total() for i in range(len(dues))]


@dataclass(frozen=True)
class _Jury:
    """Says how good blended scores are; ``truth`` are the rows' places of what happened, for classes."""

    task: Task
    evidence: Evidence
    scores: tuple[Floats, ...]
    weights: Floats

    @classmethod
    def of(cls, task: Task, evidence: Evidence) -> _Jury:
        rows = len(evidence.target)
        weights = np.ones(rows) if evidence.weights is None else evidence.weights
        return cls(task, evidence, tuple(np.asarray(a.scores) for a in evidence.answers), weights)

    def verdict(self, scores: Floats, members: set[int], dues: Sequence[float]) -> tuple[float, float]:
        """Return the aim less the dues, and the proper score, both higher better; an undefined aim counts for least.

        Resampling once is the same figure as :meth:`steelyard.tasks.Metric.measure`, without its checks.
        """
        aim = metric(self.task.aim)
        figure = aim.resample(self.task, self.evidence.target, self._decided(scores), self.weights[None, :])
        value = aim.higher_is_better(float(figure[0])) - sum(dues[member] for member in members)
        return (value if math.isfinite(value) else -math.inf), self._proper(scores)

    def _decided(self, scores: Floats) -> Answer:
        first = self.evidence.answers[0]
        return replace(answer_of(self.task, scores, first.amounts), scales=first.scales)

    def _proper(self, scores: Floats) -> float:
        target = self.evidence.target
        if self.task.problem is Problem.TAGGING:
            return self._proper_of_tokens(scores)
        if self.task.problem in NUMERIC:
            errors = (scores - target.reshape(len(target), -1)) ** 2
            known = ~np.isnan(errors)
            means = np.where(known, errors, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
            return -float(np.average(means, weights=self.weights))
        told = scores[np.arange(len(target)), target.astype(np.int64)]
        return float(np.average(np.log(np.maximum(told, LEAST)), weights=self.weights))

    def _proper_of_tokens(self, scores: Floats) -> float:
        """Return the mean logarithm of the probability given to the tag of each token, rows counted by their weight."""
        (told, lengths), (tags, _) = flattened(scores), flattened(self.evidence.target)
        own = told[np.arange(len(tags)), tags.astype(np.int64)]
        return float(np.average(np.log(np.maximum(own, LEAST)), weights=np.repeat(self.weights, lengths)))


def thinned(evidence: Evidence) -> Evidence:
    """Return at most :data:`ROWS` rows, evenly spaced in the order of target and scores: like strata of both."""
    rows = len(evidence.target)
    if rows <= ROWS:
        return evidence
    if evidence.target.dtype == object:
        kept = np.linspace(0, rows - 1, ROWS).round().astype(np.int64)
        weights = None if evidence.weights is None else evidence.weights[kept]
        return Evidence(tuple(answer.take(kept) for answer in evidence.answers), evidence.target[kept], weights)
    keys = [*(answer.scores[:, -1] for answer in reversed(evidence.answers)), evidence.target.reshape(rows, -1)[:, 0]]
    kept = np.lexsort(keys)[np.linspace(0, rows - 1, ROWS).round().astype(np.int64)]
    answers = tuple(answer.take(kept) for answer in evidence.answers)
    return Evidence(answers, evidence.target[kept], None if evidence.weights is None else evidence.weights[kept])
