"""From which sureness on a bundle answers alone, so that a promise about quality holds: Learn then Test.

What it holds for: rows that are independent of each other and as good as drawn from what will be served, and that the
bundle was not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.scores import IN_MONEY, sureness
from steelyard.contracts import NUMERIC, Answer, Evidence, Problem, Task
from steelyard.errors import DataUnfit, RequestInvalid
from steelyard.promise import (
    at_stake,
    boldest,
    boldest_kept,
    can_promise,
    rows_kept_needed,
    share_of,
    units_needed,
)
from steelyard.serve.escalation.plan import Cut, Escalated, Promise
from steelyard.tasks.money import widest

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Where to cut, what that promises, the share that it escalates, and which of the rows seen that were."""

    rule: Cut
    promise: Promise
    escalated: Escalated
    passed_on: Mask


def against_another(task: Task, evidence: Evidence, *, measure: str, tolerance: float, confidence: float) -> Calibrated:
    """Calibrate against another model: of the quality of always asking it at most ``tolerance`` is lost.

    Parameters
    ----------
    task
        Its aim is what the promise speaks of.
    evidence
        The bundle's answers, the other model's, and the truth.
    measure
        What sureness is read off.
    tolerance
        Most that may be lost, in units of the aim.
    confidence
        Chance that the promise holds, over draws of the calibration rows.

    Raises
    ------
    DataUnfit
        If the aim is none that a promise can be made about, rows are too few, or no row can be kept.
    """
    rows, most = len(evidence.target), 1 - confidence
    if not can_promise(task):
        raise DataUnfit(
            f"nothing can be promised about {task.aim}, which is no mean over independent rows; choose with --metric "
            "accuracy, balanced_accuracy, log_loss, brier, value or (of two classes) roc_auc"
        )
    stake = at_stake(task, evidence)
    limit = tolerance / stake.span
    needed = units_needed(limit, counted=stake.counted, most=most)
    if stake.units < needed:
        of_each = "" if stake.units == rows else " of the rarest class"
        raise DataUnfit(
            f"a loss of at most {tolerance:g} in {task.aim} needs {needed:,} labelled rows{of_each} to be promised "
            f"with {confidence:.0%} confidence, there are {stake.units:,}: give more rows, or raise --tolerance"
        )
    sure = sureness(measure, evidence.answers[0].scores, task, evidence.answers[0].amounts)
    at = boldest(sure, stake, limit, most=most)
    if at is None or not (sure >= at).any():
        raise DataUnfit(
            f"there is no sureness from which the bundle loses at most {tolerance:g} in {task.aim} with "
            f"{confidence:.0%} confidence on {rows:,} rows: serve the other model alone, give more rows, or raise "
            "--tolerance"
        )
    promise = Promise(metric=task.aim, lost_at_most=tolerance, confidence=confidence)
    return _calibrated(measure, at, sure < at, promise)


def for_persons(
    task: Task, answer: Answer, target: NDArray[np.int64], *, measure: str, limit: float, confidence: float
) -> Calibrated:
    """Calibrate for persons: of the rows that nobody sees at most a share of ``limit`` is decided wrongly.

    Raises
    ------
    DataUnfit
        If rows are too few, or the bundle errs too often wherever it is sure.
    """
    rows, most = len(target), 1 - confidence
    needed = rows_kept_needed(limit, most=most)
    if rows < needed:
        raise DataUnfit(
            f"at most {limit:.2%} of wrong decisions need {needed:,} labelled rows to be promised with "
            f"{confidence:.0%} confidence, and there are {rows:,}: give more rows, or raise --max-error"
        )
    sure = sureness(measure, answer.scores, task, answer.amounts)
    at = boldest_kept(sure, np.not_equal(answer.decided, target), limit, most=most)
    if at is None:
        raise DataUnfit(
            f"there is no sureness from which at most {limit:.2%} of the bundle's decisions are wrong with "
            f"{confidence:.0%} confidence on {rows:,} rows ({needed:,} sure rows without an error would show it): give "
            "more rows, raise --max-error, or train a better bundle"
        )
    promise = Promise(metric="error", error_at_most=limit, confidence=confidence)
    return _calibrated(measure, at, sure < at, promise)


def _calibrated(measure: str, at: float, passed_on: Mask, promise: Promise) -> Calibrated:
    share = share_of(int(passed_on.sum()), len(passed_on))
    return Calibrated(Cut.model_validate({"measure": measure, "at": at}), promise, Escalated(**share), passed_on)


def check_measure(measure: str, task: Task) -> None:
    """Refuse a task, or a measure of sureness, that nothing can be calibrated for.

    Raises
    ------
    RequestInvalid
        If the bundle predicts values or tags, or is asked what its decisions are worth and does not know.
    """
    if task.problem is Problem.TAGGING:
        raise RequestInvalid(
            f"{task.target!r} holds tags of tokens, and only answers of one class a row can be escalated"
        )
    if task.problem in NUMERIC:
        raise RequestInvalid(
            f"{task.target!r} is a number, and a bundle that predicts numbers does not say how sure it is: only "
            "classes can be escalated"
        )
    if measure in IN_MONEY and not widest(task):
        raise RequestInvalid("the bundle does not know what decisions are worth; use --measure margin or confidence")
