"""Trainings: fit each part, export it, read it back, score the rows it did not see."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from steelyard.contracts import Answer, Fitted, Ints, Learner, Split
from steelyard.data import Dataset
from steelyard.recipe import Train
from steelyard.registry import learners, levers
from steelyard.search.making import Answers, Bench, Made, OutOfTime, Pruned, check_parity, ship
from steelyard.tasks import metric

PARITY_ROWS = 2_000
CHEAP = 3.0
"""Seconds of one training up to which it is repeated on all rows once its rounds are known."""


class Refused(Exception):
    """A recipe that cannot be executed, with the reason."""


def train_parts(recipe: Train, bench: Bench, folder: Path) -> Made:
    """Train and export every part of a recipe into ``folder``; score each on the rows kept from it."""
    learner = willing(recipe, bench)
    parts, answers, rounds = bench.dataset.partition.parts, Answers(bench.dataset), list[int]()
    for number, part in enumerate(parts):
        bench.meter.share_out(len(parts) - number)
        if bench.meter.remaining() <= 0:
            raise OutOfTime
        fitted, answer = train_once(recipe, learner, bench, folder / part.name, fit=part.fit, score=part.score)
        if cut_short(fitted):
            if number or recipe.plan.rounds is not None or not fitted.rounds:
                raise OutOfTime  # fewer rounds than the recipe says, or than the parts before took, are another model
            recipe = replace(recipe, plan=replace(recipe.plan, rounds=fitted.rounds))
            bench.meter.note(f"The deadline stopped training after {fitted.rounds} rounds; the recipe records them.")
        answers.put(part.score, answer)
        rounds += [] if fitted.rounds is None else [fitted.rounds]
        if not bench.meter.part_done(_aim(bench.dataset, part.score, answer)):
            raise Pruned
    return Made(recipe=recipe, answer=answers.whole(), rounds=tuple(rounds))


def cut_short(fitted: Fitted) -> bool:
    """Tell whether the deadline ended a training before its time."""
    return bool(getattr(fitted, "stopped", False))


def train_once(
    recipe: Train, learner: Learner, bench: Bench, folder: Path, *, fit: Ints, score: Ints
) -> tuple[Fitted, Answer]:
    """Train on some rows, export into ``folder``, check the bundle against the framework, answer other rows."""
    dataset = bench.dataset
    if "rounds" in learner.honours and recipe.plan.rounds is None:
        kept, early = cut_early(dataset, fit, recipe.seed)
        began = time.monotonic()
        fitted = _fit(recipe, learner, bench, kept, early)
        took, left = time.monotonic() - began, bench.meter.remaining()
        if fitted.rounds and not cut_short(fitted) and worth_again(dataset, learner, len(fit)):
            if left > 2 * took:
                fixed = replace(recipe, plan=replace(recipe.plan, rounds=fitted.rounds))
                fitted = _fit(fixed, learner, bench, fit, None)
            else:
                bench.meter.note("There was no time to train again on the rows that early stopping had set aside.")
    else:
        fitted = _fit(recipe, learner, bench, fit, None)
    held = dataset.rows.take(score)
    answer = ship(folder, fitted.export(), bench.about(recipe, training_rows=len(fit)), held.columns)
    few = _first(held, PARITY_ROWS)
    check_parity(dataset.task, fitted.scores(few.columns), answer.scores[: len(few)], dataset.rows.target)
    return fitted, answer


def _fit(recipe: Train, learner: Learner, bench: Bench, fit: Ints, early: Ints | None) -> Fitted:
    """Train on some rows, stopping early by others if there are any."""
    dataset, work = bench.dataset, replace(bench.work, seed=recipe.seed)
    train = dataset.rows.take(fit)
    for step in recipe.data:
        train = levers().get(step.lever).apply(train, step.settings, work, bench.meter)  # type: ignore[attr-defined]
    valid = None if early is None else dataset.rows.take(early)
    fitted = learner.fit(recipe.plan, train, valid, work, bench.meter)
    if bench.meter.pruned:
        raise Pruned
    return fitted


def worth_again(dataset: Dataset, learner: Learner, rows: int) -> bool:
    """Tell whether to train once more on all rows for the rounds that early stopping found, as the refit will.

    Where time orders the rows the ones set aside are the latest, and what follows is most like them; elsewhere it
    is done where it is cheap by the learner's own prior.
    """
    seconds = learner.prior(dataset.task, dataset.schema, rows).seconds.value
    return dataset.times is not None or seconds <= CHEAP


def willing(recipe: Train, bench: Bench) -> Learner:
    """Return the recipe's learner once it has agreed to the task and to every part of the plan."""
    learner = learners().get(recipe.learner)
    if refusal := learner.accepts(bench.dataset.task, bench.dataset.schema):
        raise Refused(refusal.sentence)
    asked = {step.lever for step in recipe.plan.parts}
    if recipe.plan.settings:
        asked.add("settings")
    if recipe.plan.rounds is not None:
        asked.add("rounds")
    if strange := sorted(asked - learner.honours):
        raise Refused(f"{recipe.learner} does not honour {', '.join(strange)}; it would be ignored, so it is refused.")
    known = learner.space(bench.dataset.task, bench.dataset.schema).settings
    if unknown := sorted(set(recipe.plan.settings) - set(known)):
        raise Refused(f"{recipe.learner} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return learner


def cut_early(dataset: Dataset, fit: Ints, seed: int) -> tuple[Ints, Ints]:
    """Set rows aside for early stopping, so that the rows a trial is scored on never steer its training.

    The last rows in time where the split is by time, whole groups where it is by group, else a stratified sample.
    A tenth of the rows, or 15% where there are fewer than 5,000.
    """
    share = 0.15 if len(fit) < 5_000 else 0.1
    keep = max(1, round(len(fit) * share))
    if dataset.times is not None:
        times = dataset.times[fit]
        if dataset.groups is not None:  # a group is as late as its latest row
            _, group = np.unique(dataset.groups[fit], return_inverse=True)
            latest = np.full(group.max() + 1, -np.inf)
            np.maximum.at(latest, group, times)
            times = latest[group]
        late = times > np.sort(times)[-keep - 1]
        if late.any():  # rows of one time stay together
            return fit[~late], fit[late]
    generator = np.random.default_rng([seed, 7])
    if dataset.groups is not None:
        names = generator.permutation(np.unique(dataset.groups[fit]))
        late = np.isin(dataset.groups[fit], names[: max(1, round(len(names) * share))])
        return fit[~late], fit[late]
    order = generator.permutation(len(fit))
    by_target = order[np.argsort(dataset.rows.target[fit][order], kind="stable")]
    picked = np.zeros(len(fit), dtype=bool)
    picked[by_target[np.linspace(0, len(fit) - 1, keep).round().astype(np.int64)]] = True
    return fit[~picked], fit[picked]


def _aim(dataset: Dataset, rows: Ints, answer: Answer) -> float:
    aim = metric(dataset.task.aim)
    return aim.higher_is_better(aim.measure(dataset.task, dataset.rows.target[rows], answer))


def _first(split: Split, count: int) -> Split:
    return split if len(split) <= count else split.take(np.arange(count))
