"""Train on a share of the rows: a cheap look at what the rest is worth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from steelyard.contracts import Context, Ints, Meter, Move, Prior, Problem, Setting, Space, Split, Stage, Trial, Work
from steelyard.learners._settings import settings_of
from steelyard.levers.priors import gain, training_seconds
from steelyard.recipe import Plan, Settings, Step, Train

MANY_ROWS = 20_000
WORTH_SECONDS = 2.0
"""A training that should take less than this on one core is not worth making cheaper, in s."""
BINS = 10


class Subsample:
    """Keeps a share of the training rows, the same share of every class (or tenth of the target's range).

    A larger share with the same seed holds every row of a smaller one, so trials at growing shares draw a
    learning curve.
    """

    name = "subsample"
    stage = Stage.DATA
    paper = "Provost, Jensen, Oates: Efficient Progressive Sampling. KDD 1999, doi:10.1145/312129.312188"
    about = "Trains on a share of the rows, the same of every class: cheaper, and shows what more rows are worth."
    forecasts = True
    space = Space(
        {"share": Setting(default=0.25, low=0.001, high=1.0, unit="of the rows", about="Share of the rows that train.")}
    )

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose a quarter of the rows, where there are 20,000 or more and the training is not cheap anyway."""
        recipe = trial.recipe
        if not trial.ending.usable or not isinstance(recipe, Train) or context.rows < MANY_ROWS:
            return
        if any(step.lever == self.name for step in recipe.data):
            return
        whole = training_seconds(recipe.learner, context.rows, context)
        if whole.value < WORTH_SECONDS:
            return
        settings = self.space.complete(Settings())
        cheaper = replace(recipe, data=(*recipe.data, Step(lever=self.name, settings=settings)))
        if cheaper in {t.recipe for t in context.trials}:
            return
        share = settings.number("share", 1.0)
        cost = training_seconds(recipe.learner, math.ceil(context.rows * share), context)
        bring = gain(0.002, 0.0, 0.01, "rarely better than all rows; what it brings is a cheaper refit and a curve")
        why = f"trains on {share:.0%} of {context.rows:,} rows, for when the rest adds nothing"
        yield Move(recipe=cheaper, lever=self.name, prior=Prior(cost, bring), why=why)

    def apply(self, split: Split, settings: Settings, work: Work, meter: Meter) -> Split:  # noqa: ARG002 - nothing to report
        """Return the rows that train, in their old order; at least one of every class.

        Raises
        ------
        SettingsRefused
            If a setting is unknown or out of its range.
        """
        share = settings_of(self.name, self.space, Plan(settings=settings)).number("share", 1.0)
        random = np.random.default_rng(work.seed)
        strata = _strata(split, work)
        kept = [_some(np.flatnonzero(strata == one), share, random) for one in np.unique(strata)]
        return split.take(np.sort(np.concatenate(kept)) if kept else np.arange(0))


def _strata(split: Split, work: Work) -> Ints:
    """Return a code a row, shape (n,): its class, or the tenth of the target's distribution it lies in."""
    if work.task.problem is Problem.TAGGING:  # rows with anything but the usual tag, and others
        return np.array([bool((tags != 0).any()) for tags in split.target], dtype=np.int64)
    if work.task.problem is Problem.FORECASTING:  # values ahead overlap from row to row, and are spread as these are
        return np.zeros(len(split), dtype=np.int64)
    if work.task.problem is not Problem.REGRESSION:
        return split.target.astype(np.int64)
    ranks = np.argsort(np.argsort(split.target, kind="stable"), kind="stable")
    return np.asarray(ranks * BINS // max(len(split), 1), dtype=np.int64)


def _some(rows: Ints, share: float, random: np.random.Generator) -> Ints:
    """Return the first of shuffled rows, so that a larger share contains a smaller one."""
    return random.permutation(rows)[: math.ceil(share * len(rows))]
