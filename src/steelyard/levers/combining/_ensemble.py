"""Blend the probabilities of several models: greedy selection of members, with replacement."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.bundle.rules import answer_of
from steelyard.contracts import (
    Context,
    Evidence,
    Floats,
    Move,
    Prior,
    Problem,
    Rule,
    Setting,
    Space,
    Stage,
    Trial,
    Work,
)
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.ranking import aim_of, ranked, trained
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Plan, Recipe, Settings, Train
from steelyard.tasks import metric

MOST = 5
"""Members of the largest blend; each is another graph to run for every row."""
OF_ONE_LEARNER = 2
PATIENCE = 8
"""Additions without a better blend after which no more are tried."""
LEAST = 1e-12
"""A probability is not counted as less, so that one sure mistake is not infinitely bad."""


class Ensemble:
    """Adds, again and again, the member that makes the blend best; a member counts as often as it was added.

    The blend's aim decides, through the decisions that its mean scores lead to; where two members bring the
    same, the proper score (log loss, squared error) does, since an aim like accuracy moves in steps. A member
    that is never added has weight 0 in the rule: it may be left out of the bundle without changing any answer.
    """

    name = "ensemble"
    stage = Stage.COMBINING
    paper = (
        "Caruana, Niculescu-Mizil, Crew, Ksikes: Ensemble Selection from Libraries of Models. ICML 2004, "
        "doi:10.1145/1015330.1015432"
    )
    about = "Blends the best trainings, weighted by greedy selection on validation rows."
    fits_on = "validation"
    needs_rows = 50
    space = Space(
        {"picks": Setting(default=25, low=1, high=200, about="How often a member is added; the best prefix is kept.")}
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose blends of the best 2, 3, ... 5 trainings, from the best one alone."""
        order = _library(context)
        if not order or order[0].number != trial.number:
            return
        seen = {t.recipe for t in context.trials}
        done = sum(t.lever == self.name for t in context.trials)
        bring = gain(0.02 / (1 + done), 0.0, 0.06, "blends gain where their members err on different rows")
        for size in range(2, len(order) + 1):
            recipe = Combine(lever=self.name, parents=_parents(order[:size]))
            if recipe not in seen:
                why = f"the {size} best trainings together"
                yield Move(recipe=recipe, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def fit(self, evidence: Evidence, settings: Settings, work: Work) -> Rule:
        """Return ``{"rule": "blend", "weights": [...]}``: one weight a member, 0 or more, summing to 1.

        Raises
        ------
        LeverRefused
            If there are fewer rows than ``needs_rows``, or a setting is out of its range.
        """
        picks = int(settings_of(self.name, self.space, Plan(settings=settings)).number("picks", 1))
        rows = len(evidence.target)
        if rows < self.needs_rows:
            raise LeverRefused(
                f"ensemble needs {self.needs_rows} validation rows to weigh its members, there are {rows}; "
                "give more rows, or leave it out with `levers: {without: [ensemble]}`"
            )
        counts = _greedy(_Jury(evidence, work), len(evidence.answers), picks)
        return {"rule": "blend", "weights": [counts[i] / counts.total() for i in range(len(evidence.answers))]}


def _library(context: Context) -> tuple[Trial, ...]:
    """Return the trainings worth blending, best first: few of one learner, none clearly worse than the best.

    Clearly worse is one whose interval lies wholly below the interval of the best.
    """
    order = ranked(trained(context.trials), context.task)
    picked: list[Trial] = []
    recipes: set[Recipe] = set()
    per_learner: Counter[str] = Counter()
    for one in order:
        assert isinstance(one.recipe, Train)
        if len(picked) == MOST or _ends(one, context)[1] < _ends(order[0], context)[0]:
            break
        if one.recipe not in recipes and per_learner[one.recipe.learner] < OF_ONE_LEARNER:
            picked.append(one)
            recipes.add(one.recipe)
            per_learner[one.recipe.learner] += 1
    return tuple(picked)


def _ends(trial: Trial, context: Context) -> tuple[float, float]:
    """Return the interval of the aim, low and high, in the direction in which higher is better."""
    figure, better = trial.validation[context.task.aim], metric(context.task.aim).higher_is_better
    one, other = better(figure.low), better(figure.high)
    centre = aim_of(trial, context.task)
    ends = [end if math.isfinite(end) else centre for end in (one, other)]
    return min(ends), max(ends)


def _parents(trials: Sequence[Trial]) -> tuple[Recipe, ...]:
    """Return the recipes in the order in which they were tried: the same set is the same recipe."""
    return tuple(t.recipe for t in sorted(trials, key=lambda t: t.number))


@dataclass(frozen=True)
class _Jury:
    """Says how good blended scores are on the evidence."""

    evidence: Evidence
    work: Work

    def verdict(self, scores: Floats) -> tuple[float, float]:
        """Return the aim and the proper score, both higher better; an undefined aim is minus infinity."""
        task, target, weights = self.work.task, self.evidence.target, self.evidence.weights
        aim = metric(task.aim)
        value = aim.higher_is_better(aim.measure(task, target, answer_of(task, scores), weights))
        return (value if math.isfinite(value) else -math.inf), self._proper(scores)

    def _proper(self, scores: Floats) -> float:
        target, weights = self.evidence.target, self.evidence.weights
        if self.work.task.problem is Problem.REGRESSION:
            return -float(np.average((scores[:, 0] - target) ** 2, weights=weights))
        told = scores[np.arange(len(target)), target.astype(np.int64)]
        return float(np.average(np.log(np.clip(told, LEAST, None)), weights=weights))


def _greedy(jury: _Jury, members: int, picks: int) -> Counter[int]:
    """Return how often each member was added in the best prefix of ``picks`` additions."""
    answers = [answer.scores for answer in jury.evidence.answers]
    total = np.zeros_like(answers[0])
    added: list[int] = []
    best: tuple[tuple[float, float], int] | None = None
    for step in range(1, picks + 1):
        verdicts = [jury.verdict((total + scores) / step) for scores in answers]
        member = max(range(members), key=lambda i: (verdicts[i], -i))
        total = total + answers[member]
        added.append(member)
        if best is None or verdicts[member] > best[0]:
            best = (verdicts[member], step)
        if step - best[1] == PATIENCE:
            break
    assert best is not None
    return Counter(added[: best[1]])
