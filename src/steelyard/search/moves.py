"""Which recipe to try next: every move one lever away, ordered by what it should bring for what it should cost.

First version, with fixed priors: learners start cheapest first; after that, the move with the highest
expected improvement over the best trial per second of one core goes first (expected improvement under a normal
belief: Jones et al. 1998, doi:10.1023/A:1008306431147). The order depends on recipes and scores alone, never on a
clock, so a resumed run asks the same questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from steelyard.contracts import Context, Ending, Learner, Lever, Move, Stage, Trial, known
from steelyard.recipe import Recipe, Train, digest, parents
from steelyard.tasks import metric

OVERHEAD = 0.5
"""Seconds that any trial costs beside its training."""
LEAST = 2e-4
"""Expected improvement, as a share of the way from the constant model to a perfect one, below which none is tried."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A move with its expected improvement (share of the way to perfect) and its cost in seconds of one core."""

    move: Move
    improvement: float
    seconds: float

    @property
    def rate(self) -> float:
        """Improvement a second."""
        return self.improvement / (self.seconds + OVERHEAD)


class Search:
    """Ask for the next move, tell how a trial ended.

    ``context`` is everything but the trials; ``learners`` and ``levers`` are those that may be used.
    """

    def __init__(self, context: Context, learners: Sequence[Learner], levers: Sequence[Lever]) -> None:
        self._context = context
        self._learners = learners
        self._levers = levers
        self.trials: list[Trial] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The learners that may be used."""
        return tuple(learner.name for learner in self._learners)

    def tell(self, trial: Trial) -> None:
        """Take a trial that ended, whatever its ending; one told before is replaced."""
        self.trials = [t for t in self.trials if t.number != trial.number] + [trial]
        self.trials.sort(key=lambda t: t.number)

    def ask(self, running: Sequence[Trial] = (), affordable: Callable[[Ranked], bool] | None = None) -> Move | None:
        """Return the best move not tried and not running, or ``None`` when none is worth trying.

        ``affordable`` may turn moves down, for instance those that cannot end before the deadline.
        """
        fits = affordable or (lambda _: True)
        starts = [r for r in self._starts(running) if fits(r)]
        if starts:
            return min(starts, key=lambda r: (r.seconds, digest(r.move.recipe))).move
        if any(isinstance(t.recipe, Train) and t.lever == "start" for t in running):
            return None  # what a first training shows decides what is worth trying next
        rest = [r for r in self.rank(running) if r.improvement >= LEAST and fits(r)]
        return rest[0].move if rest else None

    def rank(self, running: Sequence[Trial] = ()) -> list[Ranked]:
        """Return every move of every lever, best rate first."""
        return sorted(self._pulls(running), key=_order, reverse=True)

    def _starts(self, running: Sequence[Trial]) -> list[Ranked]:
        context = self._context
        moves = [
            Move(
                recipe=Train(learner=learner.name, seed=context.seed),
                lever="start",
                prior=learner.prior(context.task, context.schema, context.rows),
                why=learner.about,
            )
            for learner in self._learners
        ]
        tried = self._tried(running)
        fresh = [m for m in moves if digest(m.recipe) not in tried]
        return [Ranked(m, m.prior.gain.value, cost_of(m, context.parts)) for m in fresh]

    def _pulls(self, running: Sequence[Trial]) -> Iterator[Ranked]:
        waiting = tuple(replace(t, ending=Ending.FAILED, note="still running") for t in running)
        context = replace(self._context, trials=(*self.trials, *waiting))
        scale, seen = Scale.of(self._context, self.trials), self._tried(running)
        for trial in known(self.trials):
            for lever in self._levers:
                for move in lever.moves(trial, context):
                    if (name := digest(move.recipe)) not in seen:
                        seen.add(name)
                        yield Ranked(move, scale.improvement(move, trial, lever.stage), cost_of(move, context.parts))

    def _tried(self, running: Sequence[Trial]) -> set[str]:
        recipes = [t.recipe for t in (*self.trials, *running)]
        return {digest(r) for recipe in recipes for r in (recipe, as_asked(recipe))}


@dataclass(frozen=True, slots=True)
class Scale:
    """The aim as a share of the way from the constant model (0) to a perfect one (1)."""

    aim: str
    zero: float
    one: float
    best: float

    @classmethod
    def of(cls, context: Context, trials: Sequence[Trial]) -> Scale:
        """Read the scale off the trials so far; without a constant model the worst trial takes its place."""
        aim = metric(context.task.aim)
        values = {t.number: aim.higher_is_better(t.validation[aim.name].value) for t in known(trials)}
        finite = [v for v in values.values() if math.isfinite(v)] or [0.0]
        constants = [values[t.number] for t in known(trials) if _is_constant(t.recipe)]
        zero = next((v for v in constants if math.isfinite(v)), min(finite))
        top = aim.higher_is_better(aim.high if aim.better == "higher" else aim.low)
        if not math.isfinite(top):
            top = zero + max(abs(zero), max(finite) - zero, 1e-9)
        return cls(aim.name, zero, max(top, zero + 1e-9), max(finite))

    def skill(self, value: float) -> float:
        """Return where a value of the aim, higher better, stands on the scale."""
        return (value - self.zero) / (self.one - self.zero) if math.isfinite(value) else 0.0

    def improvement(self, move: Move, parent: Trial, stage: Stage) -> float:
        """Return the expected improvement over the best trial.

        What shrinks a model brings no quality: its gain counts in full next to the best trial and fades with
        the distance from it.
        """
        aim = metric(self.aim)
        start = self.skill(aim.higher_is_better(parent.validation[self.aim].value))
        best, gain = self.skill(self.best), move.prior.gain
        if stage is Stage.SHRINKING:
            return gain.value * math.exp(-max(0.0, best - start) / 0.02)
        room = 1.0 - start
        mean = start + gain.value * room - best
        spread = max(1e-9, (gain.high - gain.low) / 3.92 * room)
        z = mean / spread
        return spread * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) + mean * (1 + math.erf(z / math.sqrt(2))) / 2


def as_asked(recipe: Recipe) -> Recipe:
    """Return a training as it was asked for, before a deadline wrote its rounds into it."""
    return replace(recipe, plan=replace(recipe.plan, rounds=None)) if isinstance(recipe, Train) else recipe


def _is_constant(recipe: Recipe) -> bool:
    return isinstance(recipe, Train) and recipe.learner == "constant"


def cost_of(move: Move, parts: int) -> float:
    """Return the seconds of one core that a move should take: a training is repeated in every part."""
    return move.prior.seconds.value * (1 if parents(move.recipe) else parts)


def _order(ranked: Ranked) -> tuple[float, str]:
    return ranked.rate, digest(ranked.move.recipe)
