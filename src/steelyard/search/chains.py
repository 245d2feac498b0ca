"""Which steps of shrinking are worth a trial, and what they are worth.

A dozen steps may follow on any model, and four on each other: tens of thousands of chains. Few are made:

- They begin at the best model, the best single training, the best combination, and at what the guard kept of these;
  at every single training while no model keeps the limits of serving, since a smaller one may keep them sooner.
  Nothing is built on a step that was rejected or not weighed yet (:meth:`steelyard.search.moves.Search.rank`).
- The same steps in another order are the same chain, unless the first order could not be made.
- A lever that failed on a model (crashed, ran late, out of memory, broke the graph) is not pulled on what descends from
  it, and after two such endings not at all. One that refused a model is not asked about it again with other settings,
  unless it would train another student.
- Steps on a model that is small and quick already are worth a twentieth, unless it breaks a limit or decisions have a
  value: nobody would notice.
- Each further step is expected to bring half of what one before it was, and a lever counts for less with each of its
  steps that was rejected on models of the same learner, by the rule of succession.
- While a model misses the quality that was asked for, making it cheaper is worth a twentieth: training comes first.

Where decisions have a value, a step is worth the money that it saves in serving; else the gain that its lever states.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from steelyard.contracts import Context, Ending, Move, Trial
from steelyard.decide import Shrunken
from steelyard.levers.ranking import ranked
from steelyard.levers.shrinking.chain import root_of, steps_of
from steelyard.recipe import Combine, Recipe, Settings, Shrink, Train, trainings
from steelyard.search.scale import is_constant
from steelyard.search.spending import Gain

TRIES = 24
"""Most steps that are tried on one model and what descends from it."""
FADES = 0.5
"""What a step is worth beside the step before it."""
FAR = 0.05
"""What a step is worth on a model that misses the quality that was asked for, or is light."""
LIGHT_BYTES, LIGHT_MS = 500_000, 0.5
"""A model below both is light: bytes on disk, and the median latency of a row."""
SAVES = (0.0, 0.4, 0.8)
"""Share of the serving cost that a shrunk model saves: low, middle, high; assumed."""
BAD = frozenset({Ending.FAILED, Ending.BUDGET_SPENT, Ending.OUT_OF_MEMORY})
"""Endings that are a lever's own failure; a refusal is an answer."""
TWICE = 2
SHARE, LEAST, ENDLESS = 0.25, 20.0, 600.0
"""A step may take this share of the time that is left, at least so many seconds, and without a limit so many."""
LATE = 10.0
"""How many times longer than foreseen a step may take in any case."""


class Guarding(Protocol):
    """What finds, among trials, which shrunk models are kept."""

    def __call__(self, trials: Sequence[Trial]) -> Mapping[int, Shrunken]:
        """Return what is found of each shrunk model that was weighed, by number."""
        ...


class Terms(Protocol):
    """What of a search's terms a step's worth depends on."""

    def meets(self, trial: Trial, /) -> bool:
        """Tell whether a trial keeps the limits of serving."""
        ...

    def reaches(self, trial: Trial, /) -> bool:
        """Tell whether a trial reaches the quality that was asked for."""
        ...

    def serving(self, trial: Trial, /) -> float | None:
        """Return what serving a trial costs, in money per 1,000 decisions."""
        ...


@dataclass(frozen=True)
class Chains:
    """The chains of shrinking steps of a run so far."""

    trials: tuple[Trial, ...]
    running: tuple[Recipe, ...]
    kept: frozenset[int]
    roots: frozenset[Recipe]
    light: frozenset[Recipe]
    """Roots that are small and quick already, and keep every limit."""
    terms: Terms

    @classmethod
    def of(
        cls,
        trials: Sequence[Trial],
        running: Sequence[Trial],
        sound: Sequence[Trial],
        context: Context,
        terms: Terms,
    ) -> Chains:
        """Read them off every trial that ended or runs; ``sound`` are those that may be built on."""
        usable = [t for t in ranked(sound, context.task) if t.ending.usable]
        whole = [t for t in usable if not isinstance(t.recipe, Shrink)]
        single = [t for t in whole if isinstance(t.recipe, Train)]
        wanting = not any(terms.meets(t) for t in usable if not is_constant(t))
        joined = [t for t in whole if isinstance(t.recipe, Combine)]
        roots = frozenset(t.recipe for t in (*whole[:1], *joined[:1], *(single if wanting else single[:1])))
        under_way = tuple(t.recipe for t in running)
        light = frozenset(t.recipe for t in usable if _light(t) and terms.meets(t))
        return cls(tuple(trials), under_way, frozenset(t.number for t in usable), roots, light, terms)

    def begins(self, trial: Trial) -> bool:
        """Tell whether a further step may start at a trial."""
        root = root_of(trial.recipe)
        if trial.number not in self.kept or root not in self.roots:
            return False
        tried = (*(t.recipe for t in self.trials), *self.running)
        return sum(isinstance(recipe, Shrink) and root_of(recipe) == root for recipe in tried) < TRIES

    def admits(self, move: Move) -> bool:
        """Tell whether a step is worth a trial at all: none like it was made, and its lever does not fail here."""
        recipe, tried = move.recipe, [t for t in self.trials if isinstance(t.recipe, Shrink)]
        if not isinstance(recipe, Shrink):
            return True
        failed = [t for t in tried if t.ending in BAD and t.lever == recipe.lever]
        if len(failed) >= TWICE or any(_descends(recipe.parent, _parent(t)) for t in failed):
            return False
        if any(_asked(t.recipe) == _asked(recipe) for t in tried if t.ending is Ending.REFUSED):
            return False
        own, made = _effect(recipe), (*(t.recipe for t in tried if t.ending.usable), *self.running)
        return not any(_effect(other) == own for other in made)

    def worth(self, gain: Gain, move: Move, trial: Trial) -> Gain:
        """Return what a step should bring on a trial, of what its prior says that it brings anywhere."""
        cost = self.terms.serving(trial)
        priced = cost is not None and math.isfinite(cost)
        near = self.terms.reaches(trial) and (priced or root_of(trial.recipe) not in self.light)
        share = FADES ** len(steps_of(trial.recipe)) * self._luck(move) * (1.0 if near else FAR)
        if cost is not None and priced:
            low, value, high = (saved * cost / gain.way for saved in SAVES)
            rest = gain.relative / gain.share if gain.share > 0 else 1.0
            gain = Gain(value, low, high, value * rest, gain.way)
        return replace(gain, share=gain.share * share, relative=gain.relative * share)

    def _luck(self, move: Move) -> float:
        """Return how much likelier a lever's step is to be kept than before any was made, here on models like this."""
        learners = {leaf.learner for leaf in trainings(move.recipe)}
        like = [
            t
            for t in self.trials
            if isinstance(t.recipe, Shrink)
            and t.lever == move.lever
            and learners == {leaf.learner for leaf in trainings(t.recipe)}
        ]
        kept = sum(t.number in self.kept for t in like)
        return 2 * (1 + kept) / (2 + len(like))


def step_seconds(left: float, foreseen: float) -> float:
    """Return the time that a step of shrinking may take: one that does not end must not take all that is left.

    Parameters
    ----------
    left : float
        Time that any trial begun now may take, s; infinite where nothing binds the run.
    foreseen : float
        What the step should take, s.
    """
    most = max(LEAST, SHARE * left if math.isfinite(left) else ENDLESS, LATE * foreseen)
    return min(left, most)


def _light(trial: Trial) -> bool:
    weight = trial.weight
    return weight is not None and weight.size_bytes < LIGHT_BYTES and weight.p50.value < LIGHT_MS


def _asked(recipe: Recipe) -> tuple[Recipe, str, object]:
    """Return what a lever was asked about, and for which student."""
    assert isinstance(recipe, Shrink), "asked of shrunk models alone"
    return recipe.parent, recipe.lever, recipe.settings.get("learner")


def _parent(trial: Trial) -> Recipe:
    assert isinstance(trial.recipe, Shrink), "asked of shrunk models alone"
    return trial.recipe.parent


def _descends(recipe: Recipe, ancestor: Recipe) -> bool:
    while recipe != ancestor:
        if not isinstance(recipe, Shrink):
            return False
        recipe = recipe.parent
    return True


def _effect(recipe: Recipe) -> tuple[Recipe, Counter[tuple[str, Settings]]]:
    """Return what a chain comes to, whatever the order of its steps."""
    steps: Counter[tuple[str, Settings]] = Counter()
    while isinstance(recipe, Shrink):
        steps[recipe.lever, recipe.settings] += 1
        recipe = recipe.parent
    return recipe, steps
