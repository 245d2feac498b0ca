"""The end of a run: decide among what was weighed, train the chosen recipe on everything but test, read test."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from steelyard.contracts import Answer, Ending, Errand, Job, Trial, known
from steelyard.data import Dataset
from steelyard.decide import Decision, candidate, decide
from steelyard.errors import Exit, NothingMeasured, RunUnwritable
from steelyard.measure import paired
from steelyard.recipe import Recipe, Train, trainings
from steelyard.search.executors import Finished
from steelyard.search.loop import TICK, Loop
from steelyard.search.making import part_answer, validation_of
from steelyard.search.store import Store
from steelyard.tasks import metric
from steelyard.units import Estimate, Seconds

READING = 2.0
"""Seconds kept behind a refit for weighing and reading test once more, should the refit not make it in time."""


@dataclass(slots=True)
class Pairs:
    """Paired differences between trials by number, on the validation rows; answers are read once."""

    dataset: Dataset
    store: Store
    recipes: dict[int, Recipe]
    _answers: dict[int, Answer] = field(default_factory=dict)

    def __call__(self, first: int, second: int) -> Estimate:
        """Return first minus second in the aim, higher better, with its 95% interval."""
        where, held = validation_of(self.dataset)
        rows = self.dataset.partition.validation
        groups = None if self.dataset.groups is None else self.dataset.groups[rows]
        return paired(
            metric(self.dataset.task.aim),
            self.dataset.task,
            held.target,
            part_answer(self._answer(first), where),
            part_answer(self._answer(second), where),
            weights=held.weights,
            groups=groups,
        )

    def _answer(self, number: int) -> Answer:
        if number not in self._answers:
            self._answers[number] = self.store.answers(self.recipes[number])
        return self._answers[number]


def choose(loop: Loop) -> Decision:
    """Decide among the weighed trials.

    Raises
    ------
    NothingMeasured
        If there is none.
    """
    trials = [t for _, t in sorted(loop.history.trials.items())]
    prices, spec, dataset = loop.allowance.prices, loop.spec, loop.dataset
    found = [c for t in trials if (c := candidate(t, prices, spec, dataset.task)) is not None]
    if not found:
        raise NothingMeasured(_nothing(trials, loop.stopped))
    constants = [c.number for c in found if isinstance(c.recipe, Train) and c.recipe.learner == "constant"]
    return decide(
        found,
        metric=metric(dataset.task.aim),
        paired=Pairs(dataset, loop.store, {t.number: t.recipe for t in trials}),
        spec=spec,
        task=dataset.task,
        baseline=constants[0] if constants else None,
    )


def _nothing(trials: list[Trial], stopped: str) -> str:
    failed = [t for t in trials if t.ending in {Ending.FAILED, Ending.REFUSED, Ending.OUT_OF_MEMORY}]
    if failed:
        reasons = "; ".join(dict.fromkeys(t.note or t.ending.value for t in failed))
        return f"No candidate could be measured: {reasons}"
    return (
        f"Nothing was measured. {stopped} Raise `budget.minutes` (or money, or trials); even the constant model "
        "needs a few seconds to be trained, exported and timed."
    )


def conclude_run(loop: Loop, decision: Decision) -> bool:
    """Refit the chosen recipe where time allows, weigh what ships and read test; return whether it worked."""
    trial = loop.history.trials[decision.number]
    left = loop.allowance.remaining() - READING
    needed = sum(loop.allowance.refit_seconds(t) for t in _members(loop, trial))
    again = not loop.journal.interrupted or needed < 10.0
    finished: Finished | None = None
    if again and needed <= left:
        loop.watcher.phase("refitting")
        finished = _send(loop, trial, Errand.FINAL, Seconds(left))
    if finished is not None and finished.left is None and loop.store.refitted(trial.recipe).exists():
        finished = _send(loop, trial, Errand.FINAL, Seconds(max(READING, loop.allowance.remaining())))
    if finished is None or finished.left is None:
        why = finished.problem if finished else f"it needs about {needed:.0f} s, and {max(left, 0.0):.0f} s were left"
        _say_unrefitted(loop, why)
        loop.watcher.phase("reading test")
        finished = _send(loop, trial, Errand.TEST, Seconds(max(READING, loop.allowance.remaining())))
        again = False
    if finished.left is None:
        loop.journal.note(f"The test rows were not read: {finished.problem}.")
        return False
    facts = {"verdict": dict(finished.left), "refitted": again, "seconds": finished.seconds}
    loop.journal.write("test_read", facts)
    return True


def _say_unrefitted(loop: Loop, why: str) -> None:
    parts = loop.dataset.partition.parts
    trained = f"the bundle of {parts[0].name}, trained on {len(parts[0].fit):,} rows, ships as it was measured"
    loop.journal.note(f"There was no refit on everything but test ({why}); {trained}.")


def _members(loop: Loop, trial: Trial) -> list[Trial]:
    """Return the trials whose trainings a refit of ``trial`` repeats."""
    own = {t.recipe: t for t in known(tuple(loop.history.trials.values()))}
    return [own[leaf] for leaf in trainings(trial.recipe) if leaf in own] or [trial]


def _send(loop: Loop, trial: Trial, errand: Errand, seconds: Seconds) -> Finished:
    """Have one job done while nothing else runs."""
    loop.executor.submit(
        Job(
            number=trial.number,
            recipe=trial.recipe,
            errand=errand,
            fingerprint=loop.dataset.fingerprint,
            store=loop.store.path,
            seconds=seconds,
            threads=loop.threads,
            serving_threads=loop.spec.serving.threads,
            rounds=rounds_of(trial.recipe, loop.store),
        )
    )
    while True:
        news = loop.executor.wait(TICK)
        loop.tick()
        if news.finished:
            if news.finished[0].exit_code == Exit.RUN_UNWRITABLE:
                raise RunUnwritable(news.finished[0].problem)
            return news.finished[0]


def rounds_of(recipe: Recipe, store: Store) -> tuple[int, ...]:
    """Return the rounds of each training under a recipe, left to right: the mean over its parts, 0 for none."""
    found = []
    for leaf in trainings(recipe):
        outcome = store.outcome(leaf)
        took = outcome.rounds if outcome is not None else ()
        found.append(max(1, round(math.fsum(took) / len(took))) if took else 0)
    return tuple(found)
