"""Trainings: fit each part, export it, read it back, score the rows it did not see."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard.bundle import Bundle
from steelyard.clock import Phase, phase
from steelyard.contracts import Answer, Fitted, Ints, Split
from steelyard.data import Dataset
from steelyard.levers.training.parts import folds_of
from steelyard.recipe import BASELINES, Train
from steelyard.search.bagging import bag
from steelyard.search.cutting import cut_early
from steelyard.search.fitting import Refused, Trainer, cut_short, trainer_of
from steelyard.search.importance import Importance
from steelyard.search.making import Answers, Bench, Made, OutOfTime, Pruned, check_parity, shipped, staked
from steelyard.tasks import metric

PARITY_ROWS = 2_000
CHEAP = 3.0
"""Seconds of one training up to which it is repeated on all rows once its rounds are known."""

__all__ = ["Refused", "Trained", "train_once", "train_parts"]


@dataclass(frozen=True, slots=True)
class Trained:
    """A training that was exported: the model in its framework, its bundle, and what that answers to other rows."""

    fitted: Fitted
    bundle: Bundle
    answer: Answer


def train_parts(recipe: Train, bench: Bench, folder: Path) -> Made:
    """Train and export every part of a recipe into ``folder``; score each on the rows kept from it."""
    trainer = trainer_of(recipe, bench)
    parts, answers, rounds = bench.dataset.partition.parts, Answers(bench.dataset), list[int]()
    importance = Importance(bench.dataset)
    for number, part in enumerate(parts):
        bench.meter.share_out(len(parts) - number)
        if bench.meter.remaining() <= 0:
            raise OutOfTime
        made = train_once(trainer, folder / part.name, fit=part.fit, score=part.score)
        fitted, answer = made.fitted, made.answer
        if cut_short(fitted):
            if number or trainer.recipe.plan.rounds is not None or not fitted.rounds:
                raise OutOfTime  # fewer rounds than the recipe says, or than the parts before took, are another model
            trainer = trainer.fixed(fitted.rounds)
            bench.meter.note(f"The deadline stopped training after {fitted.rounds} rounds; the recipe records them.")
        answers.put(part.score, answer)
        rounds += [] if fitted.rounds is None else [fitted.rounds]
        if not bench.meter.part_done(_aim(bench.dataset, part.score, answer)):
            raise Pruned
        if shows_columns(recipe):
            importance.look(made.bundle, part)
    found = importance.found()
    return Made(recipe=trainer.recipe, answer=answers.whole(), rounds=tuple(rounds), importance=found)


def train_once(trainer: Trainer, folder: Path, *, fit: Ints, score: Ints) -> Trained:
    """Train on some rows, export into ``folder``, check the bundle against the framework, answer other rows."""
    bench, folds = trainer.bench, folds_of(trainer.recipe.plan)
    fitted = bag(trainer, fit, folds) if folds > 1 else fit_once(trainer, fit)
    with phase(Phase.PREPARING):
        artefact, held = fitted.export(), bench.dataset.rows.take(score)
    bundle = shipped(folder, artefact, bench.about(trainer.ships_as, training_rows=len(fit)))
    answer, few = staked(bundle.answer(held.columns), held), _first(held, PARITY_ROWS)
    check_parity(bench.dataset.task, fitted.scores(few.columns), answer.scores[: len(few)], bench.dataset.rows.target)
    return Trained(fitted, bundle, answer)


def fit_once(trainer: Trainer, fit: Ints) -> Fitted:
    """Train one model, on all rows or on those that early stopping leaves; then again on all where that is due."""
    if not trainer.stops_early:
        return trainer.fit(fit, None)
    bench = trainer.bench
    kept, early = cut_early(bench.dataset, fit, trainer.recipe.seed)
    began = time.monotonic()
    fitted = trainer.fit(kept, early)
    took, left = time.monotonic() - began, bench.meter.remaining()
    if not fitted.rounds or cut_short(fitted) or not worth_again(trainer, len(fit)):
        return fitted
    if left > 2 * took:
        return trainer.fit(fit, None, rounds=fitted.rounds)
    bench.meter.note("There was no time to train again on the rows that early stopping had set aside.")
    return fitted


def worth_again(trainer: Trainer, rows: int) -> bool:
    """Tell whether to train once more on all rows for the rounds that early stopping found, as the refit will.

    Where time orders the rows the ones set aside are the latest, and what follows is most like them; elsewhere it
    is done where it is cheap by the learner's own prior.
    """
    seconds = trainer.learner.prior(trainer.work.task, trainer.work.schema, rows).seconds.value
    return trainer.bench.dataset.times is not None or seconds <= CHEAP


def shows_columns(recipe: Train) -> bool:
    """Tell whether a training is one that the importance of columns is measured on: a learner's first on some columns.

    Other settings, or a bag, change little in what columns are worth, and there are many of them.
    """
    plain = not recipe.plan.settings and not recipe.data and folds_of(recipe.plan) == 1
    return plain and recipe.learner not in BASELINES


def _aim(dataset: Dataset, rows: Ints, answer: Answer) -> float:
    aim = metric(dataset.task.aim)
    return aim.higher_is_better(aim.measure(dataset.task, dataset.rows.target[rows], answer))


def _first(split: Split, count: int) -> Split:
    return split if len(split) <= count else split.take(np.arange(count))
