"""Choose the probability from which a case is called positive, by what decisions are worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from steelyard.contracts import Context, Evidence, Floats, Move, Prior, Problem, Rule, Space, Stage, Task, Trial, Work
from steelyard.learners._settings import settings_of
from steelyard.levers.combining._shared import ends_with, is_constant
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.ranking import ranked
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Plan, Recipe, Settings

OF_EACH_CLASS = 10
"""Calibration rows that each class needs at least: with fewer, one row decides."""
NEVER = math.nextafter(1.0, 2.0)
"""A threshold that no probability reaches."""


@dataclass(frozen=True)
class _Cuts:
    """Weighted counts of outcomes at every place where the ordered rows can be cut, each of shape (cuts,)."""

    tp: Floats
    fp: Floats
    fn: Floats
    tn: Floats


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _accuracy(c: _Cuts) -> Floats:
    return _ratio(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn)


def _balanced(c: _Cuts) -> Floats:
    return (_ratio(c.tp, c.tp + c.fn) + _ratio(c.tn, c.tn + c.fp)) / 2


def _f1(c: _Cuts) -> Floats:
    return _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def _f1_macro(c: _Cuts) -> Floats:
    return (_f1(c) + _ratio(2 * c.tn, 2 * c.tn + c.fp + c.fn)) / 2


AIMS: dict[str, Callable[[_Cuts], Floats]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced,
    "f1": _f1,
    "f1_macro": _f1_macro,
    "f1_micro": _accuracy,
}
"""Aims that one threshold serves. Precision or recall alone are not among them: deciding nothing, or everything,
would be best."""


class Threshold:
    """Tries every cut between two neighbouring scores on calibration rows and keeps the best one.

    Where decisions have a value, the mean value decides, otherwise the aim. Of cuts that are equally good the
    one nearest to Elkan's optimum for calibrated probabilities (0.5 without values) is taken.
    """

    name = "threshold"
    stage = Stage.COMBINING
    paper = "Elkan: The Foundations of Cost-Sensitive Learning. IJCAI 2001"
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
        """Return ``{"rule": "threshold", "positive": k, "at": t}``: a score of class k of t or more decides k.

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
        return {"rule": "threshold", "positive": positive, "at": _best_cut(evidence, hits, weights, task, positive)}

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


def _best_cut(evidence: Evidence, hits: np.ndarray, weights: Floats, task: Task, positive: int) -> float:
    """Return the best threshold over every cut, in O(n log n)."""
    scores = np.asarray(evidence.answers[0].scores[:, positive], dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last_of_equals = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    counts = _counts(hits[order], weights[order], last_of_equals)
    above, below = ordered[last_of_equals], np.append(ordered[last_of_equals][1:], 0.0)
    middle = (above + below) / 2
    places = np.append(NEVER, np.where(middle > below, middle, above))  # neighbours in double have no middle
    places[-1] = 0.0  # everything is positive, unseen lower scores too
    worth = _worth(counts, task, positive)
    best = np.flatnonzero(worth >= worth.max() - 1e-12 * max(1.0, abs(float(worth.max()))))
    return float(places[best[np.argmin(np.abs(places[best] - _prior_belief(task, positive)))]])


def _counts(hits: np.ndarray, weights: Floats, ends: np.ndarray) -> _Cuts:
    """Return the outcomes when the first 0, or all rows up to each end, are called positive."""
    tp = np.append(0.0, np.cumsum(weights * hits)[ends])
    fp = np.append(0.0, np.cumsum(weights * ~hits)[ends])
    return _Cuts(tp=tp, fp=fp, fn=tp[-1] - tp, tn=fp[-1] - fp)


def _worth(c: _Cuts, task: Task, positive: int) -> Floats:
    """Return what each cut is worth: mean money per decision, or the aim."""
    if task.value is None:
        return AIMS[task.aim](c)
    other = 1 - positive
    money = (
        c.tp * task.value[positive][positive]
        + c.fn * task.value[positive][other]
        + c.fp * task.value[other][positive]
        + c.tn * task.value[other][other]
    )
    return np.asarray(money / (c.tp[-1] + c.fp[-1]), dtype=np.float64)


def _prior_belief(task: Task, positive: int) -> float:
    """Return the threshold that is best for calibrated probabilities: Elkan 2001, equation 2; 0.5 without values.

    Examples
    --------
    >>> value = ((0.0, -1.0), (-5.0, 0.0))
    >>> task = Task(problem=Problem.BINARY, target="y", aim="value", classes=("n", "y"), positive="y", value=value)
    >>> round(_prior_belief(task, 1), 4)
    0.1667
    """
    if task.value is None:
        return 0.5
    other = 1 - positive
    gain_if_negative = task.value[other][other] - task.value[other][positive]
    gain_if_positive = task.value[positive][positive] - task.value[positive][other]
    whole = gain_if_negative + gain_if_positive
    return min(max(gain_if_negative / whole, 0.0), 1.0) if whole > 0 else 0.5
