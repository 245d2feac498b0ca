"""The loop: ask for a move, execute it, tell how it ended, until nothing is worth its price or the budget ends."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from steelyard.contracts import Context, Ending, Errand, Job, Move, Problem, Trial, known
from steelyard.data import Dataset
from steelyard.errors import Exit, RunUnwritable
from steelyard.levers.training.hurdles import hurdles
from steelyard.money import Prices
from steelyard.money.energy import hourly
from steelyard.recipe import Given, Recipe, Shrink, Train, digest, line_above, to_json
from steelyard.registry import learners, levers
from steelyard.search.allowance import Allowance, seconds_of
from steelyard.search.chains import step_seconds
from steelyard.search.codec import trial_to_json
from steelyard.search.courier import TICK, let_go, send
from steelyard.search.executors import Executor, Finished
from steelyard.search.experience import experience
from steelyard.search.history import History, lost_trial, trial_of
from steelyard.search.incumbent import INCUMBENT
from steelyard.search.interface import STANDS
from steelyard.search.journal import Journal
from steelyard.search.meter import PART_STEP
from steelyard.search.modality import only, starters
from steelyard.search.moves import Ranked, Search, Terms
from steelyard.search.scale import is_constant
from steelyard.search.spending import Free, OverHorizon, Worth, per_second
from steelyard.search.store import Store, measured_bundle, outcome_from_json
from steelyard.search.watching import Watcher
from steelyard.search.wishes import Wishes
from steelyard.spec import Spec
from steelyard.tasks import metric
from steelyard.units import Seconds

LONG = 0.05
"""Share of the budget from which on a learner's first training begins with a share of the rows."""
SECONDS_A_MONTH = 365.25 / 12 * 86_400
_LOST = {"late": Ending.BUDGET_SPENT, "memory": Ending.OUT_OF_MEMORY, "refused": Ending.REFUSED}


def context_of(spec: Spec, dataset: Dataset, threads: int, reads: Mapping[str, Sequence[str]] | None = None) -> Context:
    """Return what levers may know of a run before its first trial; some learners read some columns alone."""
    task, schema, partition = dataset.task, dataset.schema, dataset.partition
    seen = {name: only(schema, [c for c in schema.features if c.name in kept]) for name, kept in (reads or {}).items()}
    return Context(
        task=task,
        schema=schema,
        rows=round(sum(len(p.fit) for p in partition.parts) / len(partition.parts)),
        calibration_rows=len(np.intersect1d(partition.calibration, partition.development)),
        parts=len(partition.parts),
        trials=(),
        space=lambda name: learners().get(name).space(task, seen.get(name, schema)),
        learner=learners().get,
        seed=spec.seed,
        threads=threads,
        unlabelled=0 if dataset.unlabelled is None else len(dataset.unlabelled),
        tolerance=spec.quality.tolerance,
    )


def allowed(names: Sequence[str], only: Sequence[str] | None, without: Sequence[str]) -> tuple[str, ...]:
    """Return the names that a spec's ``only`` and ``without`` leave."""
    return tuple(n for n in names if (only is None or n in only) and n not in without)


def search_of(spec: Spec, dataset: Dataset, threads: int, prices: Prices) -> tuple[Search, tuple[str, ...]]:
    """Return the search over what the spec allows and the task admits, and why other learners were left out."""
    names = allowed(learners().names(), spec.learners.only, spec.learners.without)
    asked = frozenset(spec.learners.only or ())
    willing, reads, refused = starters([learners().get(n) for n in names], dataset.task, dataset.schema, asked)
    pulled = [levers().get(n) for n in allowed(levers().names(), spec.levers.only, spec.levers.without)]
    if dataset.task.problem is Problem.FORECASTING:
        pulled = [lever for lever in pulled if getattr(lever, "forecasts", False)]
    terms = terms_of(spec, dataset, prices, cores=threads * spec.workers)
    return Search(context_of(spec, dataset, threads, reads), willing, pulled, terms, reads), refused


def terms_of(spec: Spec, dataset: Dataset, prices: Prices, *, cores: int) -> Terms:
    """Return what the search goes by: experience, what quality is worth, and whether the clock counts.

    Improvements have a price where the aim is money and the spec says how many requests come; then they count over
    the horizon. Costs follow this run's clock where a budget of time or money binds it.
    """
    limit = seconds_of(spec.budget, prices, cores)
    rate, currency = per_second(hourly(prices, cores)), prices.currency
    worth: Worth = Free(rate, currency)
    traffic, task = spec.serving.traffic, dataset.task
    if task.aim == "value" and traffic is not None and traffic.mean_rps > 0:
        decisions = traffic.mean_rps * SECONDS_A_MONTH * spec.horizon_months
        worth = OverHorizon(rate, currency, decisions)
    bound = math.isfinite(limit)
    wishes = Wishes(spec, task, prices, dataset.schema)
    return Terms(
        experience=experience(),
        worth=worth,
        measured_pace=bound,
        long=limit * LONG,
        meets=wishes.meets,
        reaches=wishes.reaches,
        serving=wishes.serving,
    )


def _lost(recipe: Recipe, finished: Finished) -> str:
    """Say why a job left nothing."""
    if not isinstance(recipe, Shrink):
        return f"{finished.problem[:1].upper()}{finished.problem[1:]}."
    if finished.cause == "late":
        most = finished.job.seconds
        return f"{recipe.lever} had not ended after the {most:.0f} s that a step of shrinking had here; {STANDS}."
    return f"{recipe.lever} left nothing ({finished.problem}); {STANDS}."


def _shortens(recipe: Train) -> bool:
    """Tell whether a learner trains in rounds, and so can end a first look at it when its time is up."""
    return "rounds" in learners().get(recipe.learner).honours


@dataclass(slots=True, kw_only=True)
class Loop:
    """Runs trials until it is time to decide. All state is in the journal's events; this only moves it on."""

    spec: Spec
    dataset: Dataset
    store: Store
    search: Search
    executor: Executor
    journal: Journal
    allowance: Allowance
    watcher: Watcher
    threads: int
    given: Given | None = None
    """What is used today, if the spec names it: weighed before anything is trained."""
    running: dict[int, Trial] = field(default_factory=dict)
    stopped: str = ""

    @property
    def history(self) -> History:
        """What happened so far."""
        return self.journal.history

    def run(self) -> str:
        """Run trials; return the sentence that says why it stopped."""
        for number, (recipe, lever) in sorted(self.history.open.items()):  # cut short by an earlier session's end
            self._submit(number, recipe, lever, 0.0)
        try:
            self._weigh_given()
            while not self._idle_and_done():
                self._fill()
                self._hear()
        except KeyboardInterrupt:
            self.stopped = "Stopped by Ctrl-C."
            self.journal.interrupted = True
            self._let_go()
        return self.stopped

    def try_once(self, recipe: Recipe, lever: str, why: str, foreseen: float) -> int:
        """Try one recipe, weigh what came of it, and return its number."""
        number = self.history.next_number
        facts = {"number": number, "recipe": to_json(recipe), "lever": lever, "why": why}
        self.journal.write("started", facts)
        self._submit(number, recipe, lever, foreseen)
        while self.running:
            self._hear()
        self._weigh()
        return number

    def _weigh_given(self) -> None:
        """Have what is used today answer the rows that choose, if that was not done before."""
        history = self.history
        recipes = (*(t.recipe for t in history.trials.values()), *(r for r, _ in history.open.values()))
        if self.given is not None and self.given not in recipes:
            number, why = history.next_number, "what is used today"
            facts = {"number": number, "recipe": to_json(self.given), "lever": INCUMBENT, "why": why}
            self.journal.write("started", facts)
            self._submit(number, self.given, INCUMBENT, 0.0)

    def _let_go(self) -> None:
        """Stop what runs, without an ending: a resumed run takes it up again; weigh what was measured."""
        let_go(self.executor)
        self.running.clear()
        self._weigh()

    def _idle_and_done(self) -> bool:
        if self.running:
            return False
        self._weigh()
        if not self.stopped and (self._why_stop() or self._next() is None):
            self.stopped = self._why_stop() or self._why_nothing()
        return bool(self.stopped)

    def _why_stop(self) -> str:
        budget, done = self.spec.budget, len(self._trials()) + len(self._made(self.running.values()))
        if budget.trials is not None and done >= budget.trials:
            return f"The budget of {budget.trials} trials is spent."
        if self.allowance.job_seconds(self._trials(), self._best()) <= 0:
            return "The budget is spent: what is left is kept for the refit, the test rows and the report."
        return ""

    def _why_nothing(self) -> str:
        """Say why no move is made any more, what the best of those left would have brought, and what came too late."""
        left = self.search.rank()
        paying = [r for r in left if self.search.pays(r)]
        late = sum(t.ending is Ending.BUDGET_SPENT for t in self._trials())
        if paying and math.isfinite(self.allowance.limit()):
            why = f"No move left is expected to end within the budget. {self.search.outlook(paying[0])}"
        elif left:
            why = f"No move left is expected to return its price. {self.search.outlook(left[0])}"
        else:
            why = "Every move there is was made."
        if late:
            why += f" {late} of the trials did not end in time: a larger budget may measure more."
        return why

    def _next(self) -> Move | None:
        trials = self._trials()
        first = not self.running and all(is_constant(t) or not t.ending.usable for t in trials)

        def affordable(ranked: Ranked) -> bool:
            move = ranked.move
            shortens = move.lever == "start" and isinstance(move.recipe, Train) and _shortens(move.recipe)
            return self.allowance.affords(ranked, trials, self._best(), shortens=shortens, first=first)

        return self.search.ask(self._made(self.running.values()), affordable)

    def _fill(self) -> None:
        """Start what may be started."""
        while len(self.running) < self.executor.slots and not self._why_stop():
            move = self._next()
            if move is None:
                return
            number = max(self.history.next_number, *(n + 1 for n in self.running), 0)
            facts = {"number": number, "recipe": to_json(move.recipe), "lever": move.lever, "why": move.why}
            self.journal.write("started", facts)
            self._submit(number, move.recipe, move.lever, move.prior.seconds.value)

    def _submit(self, number: int, recipe: Recipe, lever: str, foreseen: float) -> None:
        seconds = self.allowance.job_seconds(self._trials(), self._best())
        expected = self.allowance.foreseen(foreseen)
        if isinstance(recipe, Shrink):
            seconds = Seconds(step_seconds(seconds, expected))
        self.running[number] = Trial(
            number=number, recipe=recipe, lever=lever, ending=Ending.FAILED, note="running", foreseen=expected
        )
        self.watcher.started(number, recipe)
        self.executor.submit(
            Job(
                number=number,
                recipe=recipe,
                fingerprint=self.dataset.fingerprint,
                store=self.store.path,
                seconds=seconds,
                threads=self.threads,
                hurdles=self._hurdles(recipe),
            )
        )

    def _hurdles(self, recipe: Recipe) -> Mapping[int, float]:
        """Return what a training must show: per round within its first part, and per finished part."""
        if not isinstance(recipe, Train) or not recipe.plan.settings:
            return {}  # a learner's defaults are always finished: everything else is compared with them
        rounds = [replace(t, curve=tuple(p for p in t.curve if p[0] < PART_STEP)) for t in self._trials()]
        folds = [replace(t, curve=tuple(p for p in t.curve if p[0] >= PART_STEP)) for t in self._trials()]
        burden = getattr(learners().get(recipe.learner), "burden", None)
        return {**hurdles(rounds, recipe, burden=burden), **hurdles(folds, recipe, warm_up=0.0, burden=burden)}

    def _hear(self) -> None:
        news = self.executor.wait(TICK)
        for report in news.reports:
            self.watcher.reported(report.number, report.step, report.value)
        for report in news.losses:
            self.watcher.losing(report.number, report.step, report.value)
        for finished in news.finished:
            self._end(finished)
        self.tick()

    def tick(self) -> None:
        """Tell the watcher what was spent, and leave it on disk for a session that goes on from here."""
        elapsed = self.allowance.elapsed()
        with contextlib.suppress(OSError):  # a clock that cannot be written costs a resumed run seconds, not results
            self.store.path.joinpath(".clock").write_text(f"{elapsed:.3f}", encoding="ascii")
        self.watcher.spent(elapsed, self.allowance.remaining(), self.journal.money(elapsed))

    def _end(self, finished: Finished) -> None:
        started = self.running.pop(finished.job.number)
        if finished.exit_code == Exit.RUN_UNWRITABLE:
            raise RunUnwritable(finished.problem)
        notes: tuple[str, ...] = ()
        if finished.left is not None:
            outcome = outcome_from_json(finished.left)
            trial = trial_of(started.number, started.lever, outcome, self.dataset.partition.protocol)
            notes = outcome.notes
        else:
            ending = _LOST.get(finished.cause, Ending.FAILED)
            note = _lost(started.recipe, finished)
            trial = lost_trial(
                started.number, started.lever, started.recipe, ending, note=note, seconds=finished.seconds
            )
        trial = replace(trial, foreseen=started.foreseen)
        self.journal.write("ended", {"trial": trial_to_json(trial), "notes": list(notes)})
        if finished.left is None:
            self.store.forget(started.recipe)
        self.search.tell(trial)
        self.watcher.ended(trial)

    def _weigh(self) -> None:
        """Weigh what was measured and not weighed yet, one after the other, while nothing else runs."""
        first = self.dataset.partition.parts[0].name
        for trial in known(tuple(t for _, t in sorted(self.history.trials.items()))):
            left = self.allowance.remaining() - 0.3
            if trial.weight is None and left > 0:
                bundle = measured_bundle(trial.recipe, first)
                job = self.job(trial, Errand.WEIGH, Seconds(min(30.0, left)), bundle=bundle)
                made_from = {digest(r): measured_bundle(r, first) for r in line_above(trial.recipe)}
                self._weighed(send(self.executor, replace(job, beside=made_from), self.tick))

    def job(self, trial: Trial, errand: Errand, seconds: Seconds, *, bundle: str = "") -> Job:
        """Return a job that is about a trial that was measured."""
        return Job(
            number=trial.number,
            recipe=trial.recipe,
            errand=errand,
            fingerprint=self.dataset.fingerprint,
            store=self.store.path,
            seconds=seconds,
            threads=self.threads,
            serving_threads=self.spec.serving.threads,
            bundle=bundle,
        )

    def _weighed(self, finished: Finished) -> None:
        number = finished.job.number
        note = f"It could not be weighed: {finished.problem}." if finished.left is None else ""
        facts = {"number": number, "weight": finished.left, "note": note, "seconds": finished.seconds}
        self.journal.write("weighed", facts)
        self.search.tell(self.history.trials[number])

    def _trials(self) -> tuple[Trial, ...]:
        """Return the trials that were made here, in order: all but the incumbent."""
        return self._made(t for _, t in sorted(self.history.trials.items()))

    @staticmethod
    def _made(trials: Iterable[Trial]) -> tuple[Trial, ...]:
        return tuple(t for t in trials if not isinstance(t.recipe, Given))

    def _best(self) -> Trial | None:
        aim = metric(self.dataset.task.aim)
        values = [(aim.higher_is_better(t.validation[aim.name].value), -t.number, t) for t in known(self._trials())]
        return max(values, key=lambda v: v[:2])[2] if values else None
