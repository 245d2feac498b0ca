"""Make probabilities mean what they say: one temperature, or a rising curve for each class."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.scores import tempered
from steelyard.contracts import (
    NUMERIC,
    Context,
    Evidence,
    Floats,
    Move,
    Prior,
    Problem,
    Rule,
    Setting,
    Space,
    Stage,
    Task,
    Trial,
    Work,
)
from steelyard.errors import need
from steelyard.learners._settings import settings_of
from steelyard.levers.combining._shared import ends_with, is_constant
from steelyard.levers.priors import FITTING_A_RULE, gain
from steelyard.levers.ranking import ranked
from steelyard.levers.refusal import LeverRefused
from steelyard.recipe import Combine, Plan, Settings

AIMS = frozenset({"log_loss", "brier", "ece", "value"})
"""Aims that look at what probabilities mean, money among them: it decides by expected value."""
NEEDS = {"temperature": 100, "isotonic": 1_000}
"""Calibration rows that each method takes: one number, or a curve with as many steps as the rows ask for."""
CLASSES = 5
"""Classes up to which curves are fitted one by one and scaled to a sum of one."""
OF_EACH_CLASS = 50
"""Rows of the rarest class that its own curve takes."""
RANGE = (0.05, 20.0)
"""Temperatures tried."""
HALVINGS = 60
FIRST = 3
"""How many of the best models are calibrated."""


class Calibrate:
    """Fits a map of the probabilities on calibration rows; the model and, of two classes, the order of rows stay.

    ``temperature`` divides the logarithms of the probabilities by one number that makes the log loss least (Guo et
    al.). ``isotonic`` reads each probability off a rising curve, fitted by pooling neighbours that fall; several
    classes have one each and are scaled to a sum of one (Zadrozny, Elkan). Both end short of 0 and 1 by what one
    more row would leave open (Platt's targets), so that a few rows without an error do not make a model certain.
    """

    name = "calibrate"
    stage = Stage.COMBINING
    paper = (
        "Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks. ICML 2017, arXiv 1706.04599; "
        "Zadrozny, Elkan: Transforming Classifier Scores into Accurate Multiclass Probability Estimates. KDD 2002, "
        "doi:10.1145/775047.775151"
    )
    about = "Makes probabilities mean what they say, where the aim or money depends on it."
    fits_on = "calibration"
    needs_rows = NEEDS["temperature"]
    space = Space({"method": Setting(default="temperature", options=tuple(NEEDS), about="What the map is.")})

    def moves(self, trial: Trial, context: Context) -> Iterator[Move]:
        """Propose each method for which there are rows, on the best models, where the aim asks for probabilities."""
        task, seen = context.task, {t.recipe for t in context.trials}
        if task.problem in NUMERIC or task.aim not in AIMS:
            return
        open_ = [t.number for t in ranked(context.trials, task) if _open(t)][:FIRST]
        if trial.number not in open_:
            return
        bring = gain(0.03 / (1 + open_.index(trial.number)), 0.0, 0.2, "large where a model is too sure of itself")
        for method, rows in NEEDS.items():
            settings = Settings() if method == "temperature" else Settings(method=method)
            recipe = Combine(lever=self.name, parents=(trial.recipe,), settings=settings)
            few = context.calibration_rows < rows or (method == "isotonic" and task.width > CLASSES)
            if not few and recipe not in seen:
                why = f"{method} scaling, so that probabilities mean what they say"
                yield Move(recipe=recipe, lever=self.name, prior=Prior(FITTING_A_RULE, bring), why=why)

    def fit(self, evidence: Evidence, settings: Settings, work: Work) -> Rule:
        """Return ``{"rule": "temperature", "at": t}`` or ``{"rule": "isotonic", "curves": [...]}``.

        Raises
        ------
        LeverRefused
            If the task has no probabilities, or there are too few rows for the method.
        SettingsRefused
            If a setting is unknown or no option.
        """
        method = str(settings_of(self.name, self.space, Plan(settings=settings))["method"])
        if work.task.problem in NUMERIC or len(evidence.answers) != 1:
            raise LeverRefused(
                f"calibrate maps the probabilities of one model; got {len(evidence.answers)} of a "
                f"{work.task.problem.value} task"
            )
        truth, scores = np.asarray(evidence.target, dtype=np.int64), np.asarray(evidence.answers[0].scores)
        _enough(method, truth, work.task)
        weights = np.ones(len(truth)) if evidence.weights is None else evidence.weights
        if method == "temperature":
            return {"rule": "temperature", "at": best_temperature(scores, truth, weights)}
        codes = [1] if work.task.problem is Problem.BINARY else range(work.task.width)
        return {"rule": "isotonic", "curves": [rising_curve(scores[:, c], truth == c, weights) for c in codes]}


def _open(trial: Trial) -> bool:
    return not is_constant(trial.recipe) and not ends_with(trial.recipe, "calibrate", "threshold")


def _enough(method: str, truth: NDArray[np.int64], task: Task) -> None:
    rows, way_out = len(truth), "give more rows, or leave it out with `levers: {without: [calibrate]}`"
    if rows < NEEDS[method]:
        raise LeverRefused(f"calibrate by {method} needs {NEEDS[method]} calibration rows, there are {rows}; {way_out}")
    if method == "temperature":
        return
    if task.width > CLASSES:
        raise LeverRefused(
            f"calibrate by isotonic curves is for {CLASSES} classes at most, there are {task.width}; use "
            "method=temperature"
        )
    rarest = int(np.bincount(truth, minlength=task.width).min())
    if rarest < OF_EACH_CLASS:
        raise LeverRefused(
            f"calibrate by isotonic curves needs {OF_EACH_CLASS} calibration rows of each class, the rarest has "
            f"{rarest}; use method=temperature"
        )


def best_temperature(scores: Floats, truth: NDArray[np.int64], weights: Floats) -> float:
    """Return the temperature of least log loss, within :data:`RANGE`.

    The log loss is convex in one over the temperature, so that the sign of its slope is halved down to the minimum.
    What happened counts for a little less than 1, and the other classes share the rest, as if of one more row all
    had happened alike.

    Parameters
    ----------
    scores : float64 ndarray of shape (n, classes)
        Probabilities.
    truth : int64 ndarray of shape (n,)
        Class codes.
    weights : float64 ndarray of shape (n,)
        Positive row weights.

    Examples
    --------
    >>> sure = np.tile([[0.99, 0.01]], (1000, 1))
    >>> round(best_temperature(sure, (np.arange(1000) % 5 == 0).astype(np.int64), np.ones(1000)), 2)  # right by 80%
    3.32
    """
    rows, classes = scores.shape
    meant = np.full((rows, classes), 1.0 / (classes * (rows + 1)))
    meant[np.arange(rows), truth] += rows / (rows + 1)
    logs = np.log(tempered(scores, 1.0))

    def slope(at: float) -> float:
        """Return how the loss changes with one over the temperature."""
        excess = ((tempered(scores, at) - meant) * logs).sum(axis=1)
        return float(np.average(excess, weights=weights))

    low, high = (math.log(end) for end in RANGE)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(math.exp(middle)) > 0 else (low, middle)
    return math.exp((low + high) / 2)


def rising_curve(scores: Floats, hits: NDArray[np.bool_], weights: Floats) -> dict[str, list[float]]:
    """Return the rising curve from scores to frequencies of least squared error, as its corners.

    Rows of one score are pooled first. The lowest and the highest stretch stay as far from 0 and 1 as half a row more
    would take them.

    Examples
    --------
    >>> curve = rising_curve(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True]), np.ones(4))
    >>> curve["from"], [round(chance, 3) for chance in curve["to"]]
    ([0.1, 0.2, 0.3, 0.4], [0.25, 0.5, 0.5, 0.75])
    """
    levels, where = np.unique(scores, return_inverse=True)
    mass, won = np.bincount(where, weights), np.bincount(where, weights * hits)
    optimize = need("scipy.optimize", for_="an isotonic curve")
    fitted = optimize.isotonic_regression(won / mass, weights=mass)
    rows, blocks = np.bincount(where), np.asarray(fitted.blocks)
    first, last = (0.5 / (rows[blocks[k] : blocks[k + 1]].sum() + 1) for k in (0, -2))
    chances = np.clip(fitted.x, min(first, 0.5), max(1 - last, 0.5))
    corners = np.union1d(blocks[:-1], blocks[1:] - 1)
    return {"from": levels[corners].tolist(), "to": chances[corners].tolist()}
