"""What moves should bring: published results for first trainings, tuning and ensembles, levers' priors for the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, TypeVar

from steelyard.contracts import Context, Kind, Move, Stage, Trial, known
from steelyard.levers.ranking import aim_of, ranked
from steelyard.levers.training.parts import SELECT, modality_of, read_by
from steelyard.recipe import Combine, Recipe, Train, digest, trainings
from steelyard.search.beliefs import Beliefs, Seen
from steelyard.search.experience import DEFAULT, JOINED, PULLS, TUNED, Experience
from steelyard.search.scale import Scale, is_constant
from steelyard.search.spending import Gain, Worth

TABULAR = frozenset({Kind.NUMBER, Kind.CATEGORY, Kind.TIME, Kind.ID, Kind.CONSTANT})
"""Kinds of columns that the published tables have; with text or images their results say nothing."""
WORST = 5.0
"""A log error that nothing has, to compare first looks with."""
FEWER, UNSURE = 0.05, 0.03
"""By how much the log error falls for each factor e of more rows, and the spread of that between learners; assumed."""
CHEAPER = frozenset({"cascade", "select"})
"""Levers that make a model cheaper beside those that shrink it; what they bring is no quality."""
LOSSLESS = 0.2
"""Share of the models made cheaper that lose nothing, and so count where no loss is tolerated; assumed."""
FADES = 0.02
"""Distance from the best trial, as a share of the way, over which making a model cheaper loses its interest."""


class Priced(Protocol):
    """A move with its seconds."""

    @property
    def move(self) -> Move:
        """The move."""
        ...

    @property
    def seconds(self) -> float:
        """What it should take, in s of one core."""
        ...


Start = TypeVar("Start", bound=Priced)


@dataclass(frozen=True)
class Prospects:
    """What a run's trials and experience say of its next moves."""

    context: Context
    trials: tuple[Trial, ...]
    experience: Experience

    @cached_property
    def scale(self) -> Scale:
        """The aim's scale."""
        return Scale.of(self.context, self.trials)

    @cached_property
    def beliefs(self) -> Beliefs:
        """What the looks so far say."""
        seen: dict[str, Seen] = {}
        for trial in known(self.trials):
            if not math.isfinite(aim_of(trial, self.context.task)):
                continue
            if (look := self._look(trial)) is not None:
                seen[look] = Seen(self.scale.seen(trial), self._noise_of(trial))
            elif (look := self._tasted(trial)) is not None and look not in seen:
                less = math.log(1 / _share(trial.recipe))
                noise = math.hypot(self._noise_of(trial), UNSURE * less)
                seen[look] = Seen(self.scale.seen(trial) - FEWER * less, noise)
        return Beliefs(self.experience, seen)

    def _tasted(self, trial: Trial) -> str | None:
        """Return the look that a training on a share of the rows was a taste of."""
        recipe = trial.recipe
        if isinstance(recipe, Train) and [step.lever for step in recipe.data] == ["subsample"]:
            return self._known(replace(recipe, data=()))
        return None

    @cached_property
    def noise(self) -> float:
        """Standard deviation of a trial's log error on its own rows: the best trial's."""
        best = ranked(self.trials, self.context.task)
        return self._noise_of(best[0]) if best else 1.0

    @cached_property
    def _best(self) -> float:
        """The best trial's log error."""
        return self.scale.error(self.scale.best)

    @property
    def _way(self) -> float:
        return self.scale.one - self.scale.zero

    def start(self, move: Move) -> Gain:
        """Return what a learner's first training should bring."""
        recipe = move.recipe
        look = self._known(replace(recipe, data=()) if isinstance(recipe, Train) else recipe)
        if look is None or not self.beliefs.seen:
            return self._of_prior(move, math.exp(self._best) if self._adds(recipe) else 1.0)
        lower = self.beliefs.worth(look, self.noise)
        mean, spread = self.beliefs.difference(self._pick, look)
        return self._gain(lower, mean + 1.96 * spread)

    def opening(self, starts: Sequence[Start], worth: Worth) -> Start:
        """Return the start to begin with, nothing being measured: the cheapest, or the one that is worth most alone.

        The latter where all are known from experience and improvements have a price.
        """
        looks = [self._known(s.move.recipe) for s in starts]
        alone = []
        for start, look in zip(starts, looks, strict=True):
            error = 0.0 if look is None else self.beliefs.error(look)
            money = worth.money(Gain(0.0, 0.0, 0.0, -math.expm1(error - WORST)))
            alone.append(math.nan if look is None or money is None else money.value - worth.price(start.seconds).value)
        if any(math.isnan(x) for x in alone):
            return min(starts, key=lambda s: (s.seconds, digest(s.move.recipe)))
        return starts[alone.index(max(alone))]

    def pull(self, move: Move, trial: Trial, stage: Stage) -> Gain:
        """Return what a pull at a measured trial should bring."""
        if (look := self._known(move.recipe)) is not None and self.beliefs.seen:
            mean, spread = self.beliefs.difference(self._pick, look)
            return self._gain(self.beliefs.worth(look, self.noise), mean + 1.96 * spread)
        if stage is Stage.SHRINKING or move.lever in CHEAPER or _thrifty(move.recipe):
            return self._cheaper(move, trial)
        if move.lever == "tune" and isinstance(move.recipe, Train):
            return self._tuned(move, trial, move.recipe.learner)
        if move.lever == "ensemble" and isinstance(move.recipe, Combine):
            return self._joined(move, trial)
        return self._of_prior(move, math.exp(self.scale.seen(trial)))

    def expected(self, trial: Trial) -> float:
        """Return the aim that a trial is expected to have, higher better, once luck is taken off.

        A learner's trials move by as much as experience moves its defaults; a combination by the mean of its members.
        Fewer columns are expected to be no better than all: they were chosen by what the same rows had to say.
        """
        error = self.scale.seen(trial)
        look = self._look(trial)
        if look is not None and look in self.beliefs.seen:
            return self.scale.value(self.beliefs.error(look))
        shifts = [self._shift(leaf) for leaf in trainings(trial.recipe)]
        return self.scale.value(error + sum(shifts) / len(shifts))

    @cached_property
    def _shifts(self) -> Mapping[str, float]:
        """By how much experience moves each learner's log error."""
        found = {}
        for trial in known(self.trials):
            look = self._look(trial)
            if look is not None and look in self.beliefs.seen and isinstance(trial.recipe, Train):
                found[trial.recipe.learner] = self.beliefs.error(look) - self.scale.seen(trial)
        return found

    def _shift(self, leaf: Train) -> float:
        """By how much the log error of a training is expected to be above the one seen."""
        usual, own = self._shifts.get(leaf.learner, 0.0), self._seen.get(leaf)
        whole = [error for other, error in self._seen.items() if other.learner == leaf.learner and not _selects(other)]
        if own is None or not whole or not _selects(leaf):
            return usual
        return max(usual, min(whole) + usual - own)

    @cached_property
    def _seen(self) -> Mapping[Train, float]:
        """The log error of each training measured."""
        return {t.recipe: self.scale.seen(t) for t in known(self.trials) if isinstance(t.recipe, Train)}

    @cached_property
    def _pick(self) -> str:
        """The look seen that is expected to be best."""
        return min(self.beliefs.seen, key=self.beliefs.error)

    def _look(self, trial: Trial) -> str | None:
        return self._known(trial.recipe)

    def _known(self, recipe: object) -> str | None:
        """Return the published look that a recipe is; the defaults of a learner, on a table without text."""
        if not {column.kind for column in self.context.schema.columns} <= TABULAR:
            return None
        return self.look_of(recipe)

    def look_of(self, recipe: object) -> str | None:
        """Return the look that a recipe is by its form."""
        if isinstance(recipe, Train) and not (recipe.data or recipe.plan.parts or recipe.plan.settings):
            return self.experience.look(recipe.learner, DEFAULT)
        if isinstance(recipe, Train) and dict(recipe.plan.settings) == {"look": TUNED}:
            return self.experience.look(recipe.learner, TUNED)
        if isinstance(recipe, Combine) and dict(recipe.settings) == {"look": JOINED}:
            return self.experience.look(trainings(recipe)[0].learner, JOINED)
        return None

    def _adds(self, recipe: Recipe) -> bool:
        """Tell whether a training reads some columns alone, and among them one that no model has read yet.

        What it knows is then new, and brings a share of the room that is left once it is joined with the best model.
        """
        if not isinstance(recipe, Train) or modality_of(recipe.plan) is None:
            return False
        read = [read_by(t.recipe, self.context.schema) for t in known(self.trials) if not is_constant(t)]
        return bool(read) and bool(read_by(recipe, self.context.schema) - frozenset().union(*read))

    def _noise_of(self, trial: Trial) -> float:
        return self.scale.noise(trial.validation[self.context.task.aim])

    def _tuned(self, move: Move, trial: Trial, learner: str) -> Gain:
        """Return what one more try of tuning should bring.

        The best of 201 settings lowers the log error by as much as was published; the best of k by a share of that
        which grows with log k. What earlier tries have brought is behind the learner's best trial already.
        """
        whole = self.experience.gain(learner, DEFAULT, TUNED)
        if whole is None:
            return self._of_prior(move, math.exp(self.scale.seen(trial)))
        done = sum(isinstance(t.recipe, Train) and t.recipe.learner == learner for t in self.trials)
        step = math.log((done + 1) / done) / math.log(PULLS)
        behind = self.scale.seen(trial) - self._best
        return self._lower(whole[0] * step - behind, whole[1] * step)

    def _joined(self, move: Move, trial: Trial) -> Gain:
        """Return what an ensemble should bring over its best member: what those of tuned models brought."""
        leaves = trainings(move.recipe)
        found = [g for leaf in leaves if (g := self.experience.gain(leaf.learner, TUNED, JOINED)) is not None]
        if not found:
            return self._of_prior(move, math.exp(self.scale.seen(trial)))
        return self._lower(sum(g[0] for g in found) / len(found), max(g[1] for g in found))

    def _cheaper(self, move: Move, trial: Trial) -> Gain:
        """Return what making a model cheaper is worth.

        It brings no quality: its prior counts in full next to the best trial and fades with the distance from it.
        """
        behind = math.exp(self.scale.seen(trial)) - math.exp(self._best)
        taken = 1.0 if self.context.tolerance > 0 else LOSSLESS
        share = move.prior.gain.value * taken * math.exp(-max(0.0, behind) / FADES)
        return Gain(share, 0.0, move.prior.gain.high, share / math.exp(self._best), self._way)

    def _of_prior(self, move: Move, room: float) -> Gain:
        """Return what a prior says: a normal belief about a share of the room that its trial leaves."""
        gain, best = move.prior.gain, math.exp(self._best)
        mean = best - room + gain.value * room
        spread = max(1e-9, (gain.high - gain.low) / 3.92 * room)
        share = _improvement(mean, spread)
        low, high = mean - 1.96 * spread, max(share, mean + 1.96 * spread)
        return Gain(share, low if low > 1e-9 * spread else 0.0, high, share / best, self._way)

    def _lower(self, mean: float, spread: float) -> Gain:
        """Return the gain of a log error that should fall by a normal amount."""
        spread = max(spread, 1e-9)
        lower = _improvement(mean, spread)
        return self._gain(lower, mean + 1.96 * spread)

    def _gain(self, lower: float, most: float) -> Gain:
        """Return the gain of a log error that is expected to fall by ``lower``, and by ``most`` at best."""
        best = math.exp(self._best)
        share, high = (best * -math.expm1(-min(max(0.0, x), 20.0)) for x in (lower, max(lower, most)))
        return Gain(share, 0.0, high, share / best, self._way)


def _selects(leaf: Train) -> bool:
    return any(step.lever == SELECT for step in leaf.plan.parts)


def _thrifty(recipe: Recipe) -> bool:
    """Tell whether an ensemble was asked to save at some cost in quality."""
    return isinstance(recipe, Combine) and recipe.settings.number("thrift", 0.0) > 0


def _share(recipe: Recipe) -> float:
    """Return the share of the rows that a training on fewer of them saw."""
    return recipe.data[0].settings.number("share", 0.25) if isinstance(recipe, Train) and recipe.data else 1.0


def _improvement(mean: float, spread: float) -> float:
    """Return the expected positive part of a normal figure."""
    z = mean / spread
    return spread * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) + mean * (1 + math.erf(z / math.sqrt(2))) / 2
