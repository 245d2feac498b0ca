"""What a training is worth on fewer rows: subsets of the training rows, scored on rows that never change.

Each larger subset holds every smaller one of the same deal (the lever ``subsample`` chooses them), and early stopping
takes its rows from the subset too: a subset of n rows is what n labels would have bought.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from steelyard.bundle.rules import answer_of
from steelyard.contracts import Answer, Ints, Job, Split, Work
from steelyard.data import Dataset
from steelyard.levers.training.parts import folds_of
from steelyard.recipe import Settings, Train
from steelyard.registry import levers
from steelyard.search.bagging import bag
from steelyard.search.fitting import trainer_of
from steelyard.search.making import Answers, Bench
from steelyard.search.meter import JobMeter
from steelyard.search.store import Store
from steelyard.search.training import fit_once
from steelyard.tasks import metric
from steelyard.units import Seconds


@dataclass(frozen=True, slots=True)
class Point:
    """One training on ``rows`` rows: its score, higher better, and the seconds it took (0: it was known before).

    ``deal`` tells subsets apart that were drawn anew; those of one deal lie inside each other.
    """

    rows: int
    score: float
    seconds: float = 0.0
    deal: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """Where trainings take place: a data set, the folder it lies in, the threads that one training may use."""

    dataset: Dataset
    folder: Path
    threads: int = 1

    def bench(self, recipe: Train, seconds: float = math.inf) -> Bench:
        """Return a bench for one training that ends within so many seconds."""
        limit = Seconds(seconds)
        job = Job(
            number=0,
            recipe=recipe,
            fingerprint=self.dataset.fingerprint,
            store=self.folder,
            seconds=limit,
            threads=self.threads,
        )
        return Bench(job=job, store=Store(self.folder), dataset=self.dataset, meter=JobMeter(limit))


def subset(dataset: Dataset, fit: Ints, share: float, deal: int) -> Ints:
    """Return a share of some rows, the same of every class (or tenth of the target's range).

    Parameters
    ----------
    dataset : Dataset
        Where the rows lie.
    fit : int64 ndarray of shape (n,)
        Positions to choose from.
    share : float
        How many of them, above 0 to 1; at least one row of every class is kept.
    deal : int
        The seed of the shuffling.

    Returns
    -------
    int64 ndarray
        Positions, sorted as in ``fit``.
    """
    if share >= 1.0:
        return fit
    rows = dataset.rows
    places = Split({}, rows.target[fit], np.asarray(fit, dtype=np.int64))
    work = Work(task=dataset.task, schema=dataset.schema, seed=deal)
    lever = levers().get("subsample")
    kept: Split = lever.apply(places, Settings(share=share), work, JobMeter(Seconds(math.inf)))  # type: ignore[attr-defined]
    return kept.rows


def answer_on(site: Site, recipe: Train, fit: Ints, score: Ints, *, seconds: float = math.inf) -> Answer:
    """Train a recipe on some rows, as a trial would, and return what it answers to others.

    The answers are the framework's own: that a bundle answers the same is checked where a trial exports one.

    Raises
    ------
    steelyard.search.fitting.Refused
        If the recipe cannot be executed.
    steelyard.search.making.OutOfTime
        If a bag had no time for all of its models.
    """
    bench = site.bench(recipe, seconds)
    trainer, folds = trainer_of(recipe, bench), folds_of(recipe.plan)
    fitted = bag(trainer, fit, folds) if folds > 1 else fit_once(trainer, fit)
    return answer_of(site.dataset.task, np.asarray(fitted.scores(site.dataset.rows.take(score).columns)))


def score_of(dataset: Dataset, rows: Ints, answer: Answer) -> float:
    """Return the aim of some answers, higher better; NaN where it is undefined."""
    aim, held = metric(dataset.task.aim), dataset.rows.take(rows)
    return aim.higher_is_better(aim.measure(dataset.task, held.target, answer, held.weights))


def measured(
    site: Site,
    recipe: Train,
    share: float,
    deal: int,
    *,
    parts: int | None = None,
    seconds: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Point:
    """Train a recipe on a share of the rows of each part, and score all of them together.

    Parameters
    ----------
    site : Site
        The data.
    recipe : Train
        What to train; rounds that the whole data set fixed are found anew.
    share : float
        Of the rows of each part that train.
    deal : int
        Which subset.
    parts : int, optional
        How many of the parts (folds), the first ones; all by default.
    seconds : float
        The most that it may take; a learner that cannot stop in time may take longer.

    Returns
    -------
    Point
        ``rows`` is the mean number of rows that one training saw.
    """
    began = clock()
    free = replace(recipe, plan=replace(recipe.plan, rounds=None))
    chosen = site.dataset.partition.parts[:parts]
    answers, counts = Answers(site.dataset), []
    for number, part in enumerate(chosen):
        left = (seconds - (clock() - began)) / (len(chosen) - number)
        fit = subset(site.dataset, part.fit, share, deal * 1_000 + number)
        answers.put(part.score, answer_on(site, free, fit, part.score, seconds=left))
        counts.append(len(fit))
    rows = np.concatenate([part.score for part in chosen])
    return Point(round(float(np.mean(counts))), scored(site.dataset, answers.whole(), rows), clock() - began, deal)


def scored(dataset: Dataset, answer: Answer, rows: Ints) -> float:
    """Return the aim of the validation rows among some scored ones, from answers aligned with ``partition.scored``."""
    held = np.intersect1d(rows, dataset.partition.validation)
    where = np.searchsorted(dataset.partition.scored, held)
    return score_of(dataset, held, Answer(answer.scores[where], answer.decided[where]))
