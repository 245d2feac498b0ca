"""Choose the probability from which a case is called positive, by what decisions are worth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steelyard.contracts import Context, Evidence, Move, Prior, Problem, Rule, Space, Stage, Task, Trial, Work
from steelyard.learners._settings import settings_of
from steelyard.levers.combining._shared import ends_with, is_constant
from steelyard.levers.combining.cuts import AIMS, chosen, odds_cut, score_cut
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.ranking import ranked
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Plan, Recipe, Settings

OF_EACH_CLASS = 10
"""Calibration rows that each class needs at least: with fewer, one row decides."""


class Threshold:
    """Tries every cut between two neighbouring scores on calibration rows and keeps the best one.

    Where decisions have a value, the mean value decides, otherwise the aim. Of cuts that are equally good the
    one nearest to Elkan's optimum for calibrated probabilities (0.5 without values) is taken. Where the money at stake
    differs from row to row and is known when the decision is made, each row has its own threshold (Bahnsen et al.),
    and what is chosen is by how much the model's odds are off.
    """

    name = "threshold"
    stage = Stage.COMBINING
    paper = (
        "Elkan: The Foundations of Cost-Sensitive Learning. IJCAI 2001; Bahnsen, Aouada, Ottersten: Example-Dependent "
        "Cost-Sensitive Logistic Regression for Credit Scoring. ICMLA 2014, doi:10.1109/ICMLA.2014.48"
    )
    about = "Moves the decision threshold to where decisions are worth most."
    fits_on = "calibration"
    needs_rows = 100
    space = Space()

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose a threshold on any model that has none, for binary tasks whose aim depends on decisions.

        Not on the constant model, whose every row has the same score, and not on one that was calibrated last: that
        keeps the order of the rows, so that every cut there is a cut on its parent.
        """
        if not trial.ending.usable or not _applies(context.task) or context.calibration_rows < self.needs_rows:
            return
        recipe = Combine(lever=self.name, parents=(trial.recipe,))
        if not _open(trial.recipe) or recipe in {t.recipe for t in context.trials}:
            return
        order = [t.number for t in ranked(context.trials, context.task) if _open(t.recipe)]
        rank = 1 + (order.index(trial.number) if trial.number in order else len(order))
        bring = gain(0.05 / rank, 0.0, 0.3, "large where wrong decisions differ in price, nothing where 0.5 is right")
        why = "decides where decisions are worth most instead of at the more probable class"
        yield Move(recipe=recipe, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def fit(self, evidence: Evidence, settings: Settings, work: Work) -> Rule:
        """Return ``{"rule": "threshold", "positive": k, "at": t, "chosen": {...}}``: a score of t or more decides k.

        Where amounts are known when a decision is made, each row has a threshold of its own: then the rule is
        ``{"rule": "odds", "positive": k, "times": o, "chosen": {...}}``, by which the odds of class k count so many
        times before the row's expected money decides. ``chosen`` holds the 95% interval of the number and the rows.

        Raises
        ------
        LeverRefused
            If the task is not binary, its aim does not depend on a threshold, rows are too few, or a setting
            is unknown.
        """
        settings_of(self.name, self.space, Plan(settings=settings))
        task = work.task
        if not _applies(task):
            raise LeverRefused(
                f"threshold has nothing to choose by: it needs a binary task with `value`, or one of the metrics "
                f"{', '.join(AIMS)}; this one is {task.problem.value} with {task.aim}"
            )
        assert task.positive is not None
        positive = task.classes.index(task.positive)
        hits = np.asarray(evidence.target) == positive
        self._enough(hits)
        weights = np.ones(len(hits)) if evidence.weights is None else evidence.weights
        if any(amount.known for amount in task.amounts):
            at, low, high = odds_cut(evidence, hits, weights, task, positive)
            name, key = "odds", "times"
        else:
            at, low, high = score_cut(evidence, hits, weights, task, positive)
            name, key = "threshold", "at"
        return {"rule": name, "positive": positive, key: at, "chosen": chosen(low, high, len(hits))}

    def _enough(self, hits: np.ndarray) -> None:
        """Refuse where a threshold would rest on a handful of rows."""
        rows, fewer = len(hits), int(min(hits.sum(), (~hits).sum()))
        if rows < self.needs_rows or fewer < OF_EACH_CLASS:
            raise LeverRefused(
                f"threshold needs {self.needs_rows} calibration rows with {OF_EACH_CLASS} of each class, there are "
                f"{rows} with {fewer} of the rarer one; give more rows, or leave it out with "
                "`levers: {without: [threshold]}`"
            )


def _applies(task: Task) -> bool:
    return task.problem is Problem.BINARY and (task.value is not None or task.aim in AIMS)


def _open(recipe: Recipe) -> bool:
    """Tell whether a threshold could change what a model decides to the better."""
    return not is_constant(recipe) and not ends_with(recipe, Threshold.name, "calibrate")
