"""The end of a run: decide among what was weighed, train the chosen recipe on everything but test, read test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from steelyard.contracts import Answer, Ending, Errand, Floats, Ints, Task, Trial, known
from steelyard.data import Dataset
from steelyard.decide import Candidate, Decision, Shrunken, candidate, confirm, decide, guarded
from steelyard.decide.targets import check, targets
from steelyard.errors import NothingMeasured
from steelyard.measure import jointly, paired
from steelyard.money import Prices
from steelyard.recipe import BASELINES, Given, Recipe, Train, trainings
from steelyard.search.allowance import SHIPPING, trained_for
from steelyard.search.codec import weight_from_json
from steelyard.search.courier import send
from steelyard.search.escalating import escalated, models
from steelyard.search.executors import Finished
from steelyard.search.final import Shipped, shipped_to_json
from steelyard.search.loop import Loop
from steelyard.search.making import part_answer, validation_of
from steelyard.search.rechecking import Rechecked, holds, refits_above, slower_now
from steelyard.search.store import Store, measured_bundle
from steelyard.spec import Spec
from steelyard.tasks import Metric, metric
from steelyard.units import Estimate, Seconds

READING = 2.0
"""Seconds that weighing what ships, and reading test, may take where the budget leaves them less."""
HOPE = 0.5
"""Share of the time that a refit should take with which it is still tried: one that ends late is not taken."""
BRIEF, SOON = 0.5, 1.5
"""Seconds that a refit may need to be made although less than :data:`SHIPPING` is left, and what it leaves at least."""
PATIENCE = 10.0
"""Seconds of a refit that is still made after Ctrl-C."""


class _Rows(NamedTuple):
    """The validation rows, and where they stand among those that were scored."""

    task: Task
    aim: Metric
    where: Ints
    target: NDArray[Any]
    weights: Floats | None
    groups: Ints | None

    def answer(self, whole: Answer) -> Answer:
        """Return the answers of these rows."""
        return part_answer(whole, self.where)


@dataclass(slots=True)
class Pairs:
    """Paired differences between trials by number, on the validation rows; answers are read once."""

    dataset: Dataset
    store: Store
    recipes: dict[int, Recipe]
    known: dict[tuple[int, int], Estimate] = field(default_factory=dict)
    _answers: dict[int, Answer] = field(default_factory=dict)

    def __call__(self, first: int, second: int) -> Estimate:
        """Return first minus second in the aim, higher better, with its 95% interval; each pair is resampled once."""
        if (first, second) not in self.known:
            self.known[first, second] = self._compared(first, second)
        return self.known[first, second]

    def _compared(self, first: int, second: int) -> Estimate:
        rows = self._rows
        one, other = (rows.answer(self.answer(number)) for number in (first, second))
        return paired(rows.aim, rows.task, rows.target, one, other, weights=rows.weights, groups=rows.groups)

    def joint(self, numbers: Sequence[int]) -> Floats:
        """Return the aim of several trials, higher better, on the same resamples: shape (B, trials)."""
        rows = self._rows
        answers = [rows.answer(self.answer(number)) for number in numbers]
        return jointly(rows.aim, rows.task, rows.target, answers, weights=rows.weights, groups=rows.groups)

    @property
    def _rows(self) -> _Rows:
        where, held = validation_of(self.dataset)
        clusters, task = self.dataset.clusters, self.dataset.task
        groups = None if clusters is None else clusters[self.dataset.partition.validation]
        return _Rows(task, metric(task.aim), where, held.target, held.weights, groups)

    def answer(self, number: int) -> Answer:
        """Return what a trial answered to the scored rows."""
        if number not in self._answers:
            self._answers[number] = self.store.answers(self.recipes[number])
        return self._answers[number]


def pairs_of(loop: Loop) -> Pairs:
    """Return what compares the trials of a run."""
    gate, recipes = loop.search.terms.guard, {number: t.recipe for number, t in loop.history.trials.items()}
    known = dict(gate.pairs.known) if isinstance(gate, Gate) else {}
    return Pairs(loop.dataset, loop.store, recipes, known)


def expected_of(loop: Loop) -> dict[int, float]:
    """Return, by number, the aim that each trial is expected to have, higher better, luck taken off."""
    aim = loop.dataset.task.aim
    trials = [t for _, t in sorted(loop.history.trials.items())]
    return {
        t.number: loop.search.expected(t)
        for t in known(trials)
        if not isinstance(t.recipe, Given) and math.isfinite(t.validation[aim].value)
    }


def candidates_of(trials: Sequence[Trial], prices: Prices, spec: Spec, dataset: Dataset) -> list[Candidate]:
    """Return what of the trials can be decided on."""
    found = (candidate(t, prices, spec, dataset.task, dataset.schema) for t in trials)
    return [c for c in found if c is not None]


@dataclass(slots=True)
class Gate:
    """The guard, for a search that goes on: asked after every trial, it compares what is new alone."""

    pairs: Pairs
    prices: Prices
    spec: Spec
    _last: tuple[tuple[tuple[int, bool], ...], dict[int, Shrunken]] | None = None

    def __call__(self, trials: Sequence[Trial]) -> Mapping[int, Shrunken]:
        """Return what is found of each shrunk model that was weighed, by number."""
        known = tuple((t.number, t.weight is not None) for t in trials)
        if self._last is None or self._last[0] != known:
            self.pairs.recipes.update({t.number: t.recipe for t in trials})
            self._last = known, guard(trials, self.pairs, self.prices, self.spec, self.pairs.dataset)[0]
        return self._last[1]


def guard(
    trials: Sequence[Trial], pairs: Pairs, prices: Prices, spec: Spec, dataset: Dataset
) -> tuple[dict[int, Shrunken], float]:
    """Return what the guard finds of the shrunk models among some trials so far, and the loss that it allows."""
    found = candidates_of(trials, prices, spec, dataset)
    if not found:
        return {}, 0.0
    aim = metric(dataset.task.aim)
    return guarded(found, metric=aim, paired=pairs, spec=spec, task=dataset.task, baseline=baseline_of(found))


def choose(loop: Loop, pairs: Pairs, barred: Mapping[int, str] | None = None) -> Decision:
    """Decide among the weighed trials; ``barred`` are out of the question, by number, with the reason.

    Raises
    ------
    NothingMeasured
        If there is none.
    """
    trials = [t for _, t in sorted(loop.history.trials.items())]
    prices, spec, dataset = loop.allowance.prices, loop.spec, loop.dataset
    found = candidates_of(trials, prices, spec, dataset)
    if not found:
        raise NothingMeasured(_nothing(trials, dataset.task.aim, loop.stopped))
    return decide(
        found,
        metric=metric(dataset.task.aim),
        paired=pairs,
        joint=pairs.joint,
        spec=spec,
        task=dataset.task,
        baseline=baseline_of(found),
        expected=expected_of(loop),
        barred=barred,
    )


def baseline_of(candidates: Iterable[Candidate]) -> int | None:
    """Return the constant model's trial."""
    found = (c.number for c in candidates if isinstance(c.recipe, Train) and c.recipe.learner in BASELINES)
    return next(found, None)


def escalation(loop: Loop, decision: Decision) -> dict[str, Any]:
    """Return which models would answer on the device and on a server, and what the first would pass on."""
    prices, spec, dataset = loop.allowance.prices, loop.spec, loop.dataset
    trials = [t for _, t in sorted(loop.history.trials.items())]
    found = [c for t in trials if (c := candidate(t, prices, spec, dataset.task, dataset.schema)) is not None]
    limits = [t for t in targets(spec, dataset.task) if t.name.startswith("edge_")]
    keep = {c.number for c in found if all(check(limit, c).met for limit in limits)}
    return escalated(models(found, decision, metric(dataset.task.aim), keep), spec, dataset, loop.store)


def _nothing(trials: list[Trial], aim: str, stopped: str) -> str:
    undefined = [t for t in known(trials) if not math.isfinite(t.validation[aim].value)]
    if undefined:
        return (
            f"{aim} is undefined on the validation rows (a class that never occurs there, zeros to divide by ...), so "
            "nothing can be compared by it; name another `quality.metric`"
        )
    failed = [t for t in trials if t.ending in {Ending.FAILED, Ending.REFUSED, Ending.OUT_OF_MEMORY}]
    if failed:
        reasons = "; ".join(dict.fromkeys(t.note or t.ending.value for t in failed))
        return f"No candidate could be measured: {reasons}"
    return (
        f"Nothing was measured. {stopped} Raise `budget.minutes` (or money, or trials); even the constant model "
        "needs a few seconds to be trained, exported and timed."
    )


def conclude_run(loop: Loop, decision: Decision, pairs: Pairs) -> Decision:
    """Ship the chosen recipe's bundle, check that it keeps the targets, and read test; return what then holds.

    Each step is an event, so a run that is killed goes on from the step it was at. Ctrl-C cuts a refit short. Where the
    refit shows that a step of shrinking broke, it is decided again without that step.
    """
    while loop.history.shipped is None:
        broken = _ship(loop, loop.history.trials[decision.number], pairs)
        if broken is None:
            break
        step, why = broken
        fresh = {number: why for number, t in loop.history.trials.items() if holds(t.recipe, step)}
        loop.journal.note(f"Trial {decision.number} does not ship. {why}")
        decision = choose(loop, pairs, {**decision.barred, **fresh})
        loop.journal.write("decided", {"decision": decision.to_json()})
    trial = loop.history.trials[decision.number]
    shipped = loop.history.shipped
    assert shipped is not None, "something ships by now"
    if loop.history.test is None:
        loop.watcher.phase("reading test")
        loop.journal.write("test_reading", {"bundle": str(shipped.bundle)})
        finished = _insist(loop, trial, Errand.TEST, str(shipped.bundle))
        if finished.left is None:
            loop.journal.note(f"The test rows were not read: {finished.problem}.")
        else:
            loop.journal.write("test_read", {"test": dict(finished.left), "seconds": finished.seconds})
    if isinstance(trial.recipe, Given) and not trial.recipe.ships:
        return decision
    confirmed = confirm(
        decision,
        shipped.weight,
        loop.allowance.prices,
        loop.spec,
        refitted=shipped.refitted,
        recipe=trial.recipe,
        schema=loop.dataset.schema,
    )
    return decision if confirmed.reasons[-1] in decision.reasons else confirmed


def _ship(loop: Loop, trial: Trial, pairs: Pairs) -> tuple[Recipe, str] | None:
    """Settle which bundle ships, the refit where it can be had, and weigh it.

    Nothing is settled where a step of shrinking broke in the refit: that step is returned, and why.
    """
    bundle, seconds, notes, rechecked = _refit(loop, trial)
    refitted = bundle != _measured(loop, trial)
    weight = trial.weight
    trials = [t for _, t in sorted(loop.history.trials.items())]
    lose = guard(trials, pairs, loop.allowance.prices, loop.spec, loop.dataset)[1] if rechecked else 0.0
    for each in rechecked:
        if why := each.broken(lose, loop.dataset.task.aim):
            return each.recipe, why
    if refitted:
        loop.watcher.phase("weighing")
        weighed = _insist(loop, trial, Errand.WEIGH, bundle)
        seconds += weighed.seconds
        if weighed.left is None:
            notes.append(f"The refitted bundle was not weighed ({weighed.problem}); its trial's figures stand for it.")
        else:
            weight = weight_from_json(weighed.left)
            if why := slower_now(trial.recipe, weight, loop.store.bundles):
                return trial.recipe, why
    assert weight is not None, "only what was weighed is decided on"
    shipped = Shipped(bundle=Path(bundle), refitted=refitted, weight=weight)
    loop.journal.write("shipped", {"shipped": shipped_to_json(shipped), "seconds": seconds, "notes": notes})
    return None


class _Refitted(NamedTuple):
    """The bundle that ships, the seconds it took, what is to be said of it, and what each step of shrinking lost."""

    bundle: str
    seconds: float
    notes: list[str]
    rechecked: tuple[Rechecked, ...] = ()


def _refit(loop: Loop, trial: Trial) -> _Refitted:
    if isinstance(trial.recipe, Given):
        return _Refitted(_measured(loop, trial), 0.0, [])
    needed = sum(loop.allowance.refit_seconds(t) for t in trained_for(trial, tuple(loop.history.trials.values())))
    left = Seconds(loop.allowance.remaining() - SHIPPING)
    if needed <= BRIEF:  # a second for one, with what its worker may have to load
        left = max(left, Seconds(min(2 * BRIEF, loop.allowance.remaining() - SOON)))
    if (loop.journal.interrupted and needed > PATIENCE) or needed * HOPE > left:
        why = f"it needs {needed:.0f} s, {max(left, 0):.0f} s are left"
        return _Refitted(_measured(loop, trial), 0.0, [_unrefitted(loop, why)])
    loop.watcher.phase("refitting")
    job = replace(loop.job(trial, Errand.REFIT, left), rounds=rounds_of(trial.recipe, loop.store))
    try:
        finished = send(loop.executor, job, loop.tick)
    except KeyboardInterrupt:
        loop.journal.interrupted = True
        return _Refitted(_measured(loop, trial), 0.0, [_unrefitted(loop, "it was stopped by Ctrl-C")])
    left_ = finished.left
    if left_ is None:
        return _Refitted(_measured(loop, trial), finished.seconds, [_unrefitted(loop, finished.problem)])
    rechecked = tuple(Rechecked.from_json(each) for each in left_.get("rechecked", ()))
    return _Refitted(left_["bundle"], finished.seconds, list(left_["notes"]), rechecked)


def _insist(loop: Loop, trial: Trial, errand: Errand, bundle: str) -> Finished:
    """Have a short closing job done, once more if Ctrl-C came in between."""
    seconds = Seconds(max(READING, loop.allowance.remaining()))
    job = loop.job(trial, errand, seconds, bundle=bundle)
    if errand is Errand.WEIGH:
        job = replace(job, beside=refits_above(trial.recipe, loop.store.bundles))
    try:
        return send(loop.executor, job, loop.tick)
    except KeyboardInterrupt:
        loop.journal.interrupted = True
        return send(loop.executor, job, loop.tick)


def _measured(loop: Loop, trial: Trial) -> str:
    return measured_bundle(trial.recipe, loop.dataset.partition.parts[0].name)


def _unrefitted(loop: Loop, why: str) -> str:
    parts = loop.dataset.partition.parts
    trained = f"the bundle of {parts[0].name}, trained on {len(parts[0].fit):,} rows, ships as it was measured"
    return f"There was no refit on everything but test ({why}); {trained}."


def rounds_of(recipe: Recipe, store: Store) -> tuple[int, ...]:
    """Return the rounds of each training under a recipe, left to right: the mean over its parts, 0 for none."""
    found = []
    for leaf in trainings(recipe):
        outcome = store.outcome(leaf)
        took = outcome.rounds if outcome is not None else ()
        found.append(max(1, round(math.fsum(took) / len(took))) if took else 0)
    return tuple(found)
