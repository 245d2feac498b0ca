"""Which recipe to try next: every move one lever away, ordered by what it should bring for what it should cost.

A model's first trainings, its tuning and its ensembling are judged by published results, updated by this run's own
figures (:mod:`steelyard.search.prospects`); every other pull by the prior that its lever states. The move with the
highest expected improvement a second goes first (expected improvement under a normal belief: Jones et al. 1998,
doi:10.1023/A:1008306431147), and none is made that is not expected to return its price (cost-aware stopping: Xie et
al. 2025, arXiv 2507.12453).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from steelyard.contracts import Context, Ending, Learner, Lever, Move, Prior, Stage, Trial, known
from steelyard.decide.altered import plain
from steelyard.decide.columns import whole
from steelyard.levers.training.parts import SELECT
from steelyard.recipe import Given, Plan, Recipe, Settings, Shrink, Step, Train, describe, digest, trainings
from steelyard.search.chains import Chains, Guarding
from steelyard.search.experience import Experience, experience
from steelyard.search.modality import only, reading
from steelyard.search.prospects import Prospects
from steelyard.search.scale import is_constant
from steelyard.search.spending import OVERHEAD, Free, Gain, Pace, Worth
from steelyard.tasks import metric

TASTE = 0.1
"""Share of the rows for the first look at a learner that takes long."""
FEWEST = 5_000
"""Rows that such a look needs."""
LEAST = 2e-4
"""Expected improvement, as a share of the way from the constant model to a perfect one, below which none is tried."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A move with what it should bring and its cost in seconds of one core."""

    move: Move
    gain: Gain
    seconds: float

    @property
    def improvement(self) -> float:
        """Expected improvement over the best trial, as a share of the way to perfect."""
        return self.gain.share

    @property
    def rate(self) -> float:
        """Improvement a second."""
        return self.improvement / (self.seconds + OVERHEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a search goes by beside its trials: experience, what an improvement is worth, and the machine's pace."""

    experience: Experience
    worth: Worth = field(default_factory=Free)
    measured_pace: bool = False
    """Whether costs follow the clock of this run. Without, the order depends on recipes and scores alone."""
    meets: Callable[[Trial], bool] = lambda _: True
    """Whether a trial keeps the limits of serving. Until one does, other learners and cheaper models pay anyway."""
    long: float = math.inf
    """Seconds from which on a learner's first training begins with a share of the rows."""
    reaches: Callable[[Trial], bool] = lambda _: True
    """Whether a trial reaches the quality that was asked for."""
    serving: Callable[[Trial], float | None] = lambda _: None
    """What serving a weighed trial costs, in money per 1,000 decisions; ``None`` where decisions have no value."""
    guard: Guarding | None = None
    """What the guard finds of the shrunk models among the trials so far; without it none is rejected."""


class Search:
    """Ask for the next move, tell how a trial ended.

    ``context`` is everything but the trials; ``learners`` and ``levers`` are those that may be used; ``reads`` the
    columns of those learners that cannot read them all.
    """

    def __init__(
        self,
        context: Context,
        learners: Sequence[Learner],
        levers: Sequence[Lever],
        terms: Terms | None = None,
        reads: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._context = context
        self._learners = learners
        self._levers = levers
        self.terms = terms or Terms(experience=experience())
        self._reads = reads or {}
        self.trials: list[Trial] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The learners that may be used."""
        return tuple(learner.name for learner in self._learners)

    def context(self, trials: Sequence[Trial]) -> Context:
        """Return what levers may know, with these trials."""
        return replace(self._context, trials=tuple(trials))

    def tell(self, trial: Trial) -> None:
        """Take a trial that ended, whatever its ending; one told before is replaced. The incumbent is left aside."""
        if isinstance(trial.recipe, Given):  # it was not made: nothing follows from it for what could be
            return
        self.trials = [t for t in self.trials if t.number != trial.number] + [trial]
        self.trials.sort(key=lambda t: t.number)

    def ask(self, running: Sequence[Trial] = (), affordable: Callable[[Ranked], bool] | None = None) -> Move | None:
        """Return the best move not tried and not running, or ``None`` when none is worth trying.

        ``affordable`` may turn moves down, for instance those that cannot end before the deadline.
        """
        fits = affordable or (lambda _: True)
        if all(is_constant(t) for t in known(self.trials)):
            return self._first(running, fits)
        wanting = not any(self.terms.meets(t) for t in known(self.trials) if not is_constant(t))
        moves = (r for r in self.rank(running) if self.pays(r) or (wanting and self._may_meet(r)))
        return next((r.move for r in moves if fits(r)), None)

    def _may_meet(self, ranked: Ranked) -> bool:
        """Tell whether a move may keep limits that the others break: another learner, or a model made cheaper."""
        stages = {lever.name: lever.stage for lever in self._levers}
        return ranked.move.lever == "start" or stages.get(ranked.move.lever) is Stage.SHRINKING

    def _first(self, running: Sequence[Trial], fits: Callable[[Ranked], bool]) -> Move | None:
        """Return the start to begin with: until a model was measured, nothing else says what the rest may bring."""
        starts = [r for r in self._starts(running) if fits(r)]
        if not starts or any(not is_constant(t) for t in running):
            return None
        return self._prospects().opening(starts, self.terms.worth).move

    def pays(self, ranked: Ranked) -> bool:
        """Tell whether a move is expected to return its price; without values, whether it should improve at all."""
        money = self.terms.worth.money(ranked.gain)
        if money is None:
            return ranked.improvement >= LEAST
        return money.value > self.terms.worth.price(ranked.seconds + OVERHEAD).value

    def outlook(self, ranked: Ranked) -> str:
        """Return what a move should return for what price, as a sentence."""
        time = _words(ranked.seconds + OVERHEAD)
        price = self.terms.worth.price(ranked.seconds + OVERHEAD)
        cost = f"{price.value:.2g} {price.unit}"
        what, money = describe(ranked.move.recipe), self.terms.worth.money(ranked.gain)
        if money is not None:
            gain = f"return {money.value:,.2g} {self.terms.worth.currency} ({money.low:,.2g} to {money.high:,.2g})"
        else:
            value, low, high = ranked.gain.units
            gain = f"better {self._context.task.aim} by {value:.2g} ({low:.2g} to {high:.2g})"
        return f"{time} more, for {what}, would be expected to {gain} for {cost}."

    def rank(self, running: Sequence[Trial] = ()) -> list[Ranked]:
        """Return every move of every lever and every start, best rate first."""
        return sorted((*self._starts(running), *self._pulls(running)), key=_order, reverse=True)

    def expected(self, trial: Trial) -> float:
        """Return the aim that a measured trial is expected to have, higher better, luck taken off."""
        return self._prospects().expected(trial)

    def _prospects(self, trials: Sequence[Trial] | None = None) -> Prospects:
        return Prospects(self._context, tuple(self.trials if trials is None else trials), self.terms.experience)

    def _pace(self) -> Pace:
        return Pace.of(self.trials if self.terms.measured_pace else (), self._context)

    def _starts(self, running: Sequence[Trial]) -> list[Ranked]:
        """Return the first trainings that were not made: on all rows, or on a share first where all take long."""
        pace, prospects, tried = self._pace(), self._prospects(self._sound()), self._tried(running)
        found = []
        for learner in self._learners:
            move = self._start(learner)
            if digest(move.recipe) in tried:
                continue
            seconds = pace.corrected(move)
            taste = self._taste(learner) if seconds > self.terms.long else None
            if taste is not None and digest(taste.recipe) not in tried:
                move, seconds = taste, pace.corrected(taste)
            found.append(Ranked(move, prospects.start(move), seconds))
        return found

    def _start(self, learner: Learner) -> Move:
        columns = self._reads.get(learner.name)
        return Move(
            recipe=Train(learner=learner.name, plan=self._plan(learner), seed=self._context.seed),
            lever="start",
            prior=self._prior(learner, self._context.rows),
            why=learner.about if columns is None else f"what {', '.join(columns)} alone can tell",
        )

    def _taste(self, learner: Learner) -> Move | None:
        """Return a first training on a tenth of the rows, or ``None`` where those would be too few to say anything."""
        context = self._context
        rows = round(context.rows * TASTE)
        if rows < FEWEST or not any(lever.name == "subsample" for lever in self._levers):
            return None
        step = Step(lever="subsample", settings=Settings(share=TASTE))
        return Move(
            recipe=Train(learner=learner.name, plan=self._plan(learner), seed=context.seed, data=(step,)),
            lever="start",
            prior=self._prior(learner, rows),
            why=f"a look at {learner.name} with {TASTE:.0%} of the rows, since all of them take long",
        )

    def _plan(self, learner: Learner) -> Plan:
        columns = self._reads.get(learner.name)
        return Plan() if columns is None else reading(Plan(), columns)

    def _prior(self, learner: Learner, rows: int) -> Prior:
        """Return what a first training should cost and bring; on some columns alone, their share of what all bring."""
        context, columns = self._context, self._reads.get(learner.name)
        features = context.schema.features
        kept = [column for column in features if columns is None or column.name in columns]
        prior = learner.prior(context.task, only(context.schema, kept), rows)
        share = 1.0 if columns is None else len(kept) / len(features)
        seconds = prior.seconds.scaled(context.parts, unit="s")
        return Prior(seconds, prior.gain.scaled(share, unit=prior.gain.unit, source=prior.gain.source))

    def _pulls(self, running: Sequence[Trial]) -> Iterator[Ranked]:
        waiting = tuple(replace(t, ending=Ending.FAILED, note="still running") for t in running)
        told, sound = self._told(), self._sound()
        prospects, pace, seen = self._prospects(sound), self._pace(), self._tried(running)
        chains = Chains.of(self.trials, running, sound, self._context, self.terms)
        for lever in self._levers:
            mine = told if lever.name == SELECT else sound
            context = replace(self._context, trials=(*mine, *waiting))
            shrinks = lever.stage is Stage.SHRINKING
            for trial in known(mine):
                if shrinks and not chains.begins(trial):
                    continue
                for move in lever.moves(trial, context):
                    if (name := digest(move.recipe)) not in seen and (not shrinks or chains.admits(move)):
                        seen.add(name)
                        gain = prospects.pull(move, trial, lever.stage)
                        gain = chains.worth(gain, move, trial) if shrinks else gain
                        yield Ranked(move, gain, pace.corrected(move))

    def _told(self) -> tuple[Trial, ...]:
        """Return the trials as levers may see them: nothing is built on altered data that prove nothing."""
        return tuple(self._aside(t, plain, "on altered data, which are not better for sure") for t in self._kept())

    def _kept(self) -> tuple[Trial, ...]:
        """Return the trials without the steps of shrinking that the guard rejects, or could not look at yet.

        Nothing is built on them.
        """
        if self.terms.guard is None or not any(isinstance(t.recipe, Shrink) for t in known(self.trials)):
            return tuple(self.trials)
        found = self.terms.guard(tuple(self.trials))
        out = {t.number for t in known(self.trials) if isinstance(t.recipe, Shrink)}
        out -= {number for number, each in found.items() if each.kept}
        aside = "a step of shrinking that was rejected, or not weighed yet"
        return tuple(replace(t, ending=Ending.PRUNED, note=aside) if t.number in out else t for t in self.trials)

    def _sound(self) -> tuple[Trial, ...]:
        """Return them as levers may that are after quality: nothing is built on columns that luck may have chosen.

        Fewer columns are cheaper to collect and serve. Which to leave out was chosen by the rows that judge the
        choice, so what stands on it looks better than it is, and more so with each step. Columns with a price are
        another matter: doing without them is what was asked for.
        """
        if any(column.price is not None for column in self._context.schema.features):
            return self._told()
        return tuple(self._aside(t, whole, "on columns that are not better than all for sure") for t in self._told())

    def _aside(self, trial: Trial, bare_of: Callable[[Train], Train], why: str) -> Trial:
        """Return a trial, pruned where one of its trainings does not look better for sure than its bare form."""
        for leaf in trainings(trial.recipe) if trial.ending.usable else ():
            if (bare := bare_of(leaf)) != leaf and not self._surely(leaf, bare):
                return replace(trial, ending=Ending.PRUNED, note=why)
        return trial

    def _surely(self, better: Train, worse: Train) -> bool:
        """Tell whether all that a training's figure may be lies above another's; the paired test at the end is sharper.

        Not where one of them was not measured.
        """
        aim, found = metric(self._context.task.aim), {}
        for trial in known(self.trials):
            if trial.recipe in (better, worse):
                found[trial.recipe] = trial.validation[aim.name]
        if len(found) < 2:
            return False
        low = min(aim.higher_is_better(found[better].low), aim.higher_is_better(found[better].high))
        return low > aim.higher_is_better(found[worse].value)

    def _tried(self, running: Sequence[Trial]) -> set[str]:
        recipes = [t.recipe for t in (*self.trials, *running)]
        return {digest(r) for recipe in recipes for r in (recipe, as_asked(recipe))}


def as_asked(recipe: Recipe) -> Recipe:
    """Return a training as it was asked for, before a deadline wrote its rounds into it."""
    return replace(recipe, plan=replace(recipe.plan, rounds=None)) if isinstance(recipe, Train) else recipe


def _words(seconds: float) -> str:
    """Return a duration for people.

    Examples
    --------
    >>> _words(720), _words(8.4), _words(1.2)
    ('12 minutes', '8 seconds', '1 second')
    """
    number, noun = (round(seconds / 60), "minute") if seconds >= 100 else (round(seconds), "second")
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _order(ranked: Ranked) -> tuple[float, str]:
    rate = ranked.rate
    return rate if math.isfinite(rate) else math.inf, digest(ranked.move.recipe)
