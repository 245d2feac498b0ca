"""What the device would pass on to a server: fitted on calibration rows, measured on validation rows, kept as an event.

The rows that it is measured on are the run's own validation rows; where these are the calibration rows too (folds),
the place to cut is fitted anew without each fifth of them, as every combining rule is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle import apply_rule
from steelyard.bundle.scores import sureness
from steelyard.contracts import Answer, Evidence, Ints, Problem, Rule
from steelyard.data import Dataset
from steelyard.decide import Candidate, Decision
from steelyard.errors import SteelyardError
from steelyard.measure.judging import quality
from steelyard.promise import DOUBT, at_stake, boldest, can_promise, share_of, units_needed
from steelyard.recipe import Given
from steelyard.search.store import Store
from steelyard.spec import Spec
from steelyard.tasks import Metric

FASTER = 3.0
"""How many times as fast as the server's model the one is at least that answers first, where both would be the same."""
CROSS = 5
FEWEST = 80
"""Rows on which a promise is rested at least, as those of the lever ``cascade`` are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The models of the three ways, as candidates: alone on the device, on the server, and first on the device."""

    edge: Candidate
    server: Candidate
    front: Candidate | None


def models(candidates: Sequence[Candidate], decision: Decision, aim: Metric, feasible: set[int]) -> Chosen:
    """Return which model answers where.

    The device alone answers with what was decided on. The server has the best model that was not rejected. First on the
    device is what was decided on, or, where that is the server's model too, the best one that is :data:`FASTER` times
    as fast and keeps the limits of the device.

    Parameters
    ----------
    candidates
        What was weighed.
    feasible
        Numbers of those that keep the limits of the device.
    """
    pool = [c for c in candidates if c.number not in decision.rejected and not isinstance(c.recipe, Given)]
    by_number = {c.number: c for c in candidates}
    edge = by_number[decision.number]
    server = max([*pool, edge], key=lambda c: (aim.higher_is_better(c.quality.value), -c.number))
    if edge is not server:
        return Chosen(edge=edge, server=server, front=edge)
    fast = [c for c in pool if c.number in feasible and c.p95.value * FASTER <= server.p95.value]
    front = max(fast, key=lambda c: (aim.higher_is_better(c.quality.value), -c.number), default=None)
    return Chosen(edge=edge, server=server, front=front)


def escalated(chosen: Chosen, spec: Spec, dataset: Dataset, store: Store) -> dict[str, Any]:
    """Return what the device first would pass on and how good the mix is, as plain JSON; or why there is none."""
    found: dict[str, Any] = {"edge": chosen.edge.number, "server": chosen.server.number, "front": None, "why": ""}
    if chosen.front is None:
        return {
            **found,
            "why": "no weighed model that keeps the device's limits is three times as fast as the server's",
        }
    problem, task = dataset.task.problem, dataset.task
    if problem not in {Problem.BINARY, Problem.MULTICLASS}:
        return {**found, "why": "a bundle that predicts no classes does not say how sure it is"}
    if not can_promise(task):
        return {
            **found,
            "why": f"nothing can be promised about {task.aim}, which is no mean over independent rows; choose by "
            "accuracy, balanced_accuracy, log_loss, brier, value or (of two classes) roc_auc",
        }
    try:
        return {**found, "front": chosen.front.number, **_mixed(chosen.front, chosen.server, spec, dataset, store)}
    except _NoPlace as problem_found:
        return {**found, "why": str(problem_found)}


class _NoPlace(SteelyardError):
    """There is no sureness from which the promise holds."""


def _mixed(front: Candidate, server: Candidate, spec: Spec, dataset: Dataset, store: Store) -> dict[str, Any]:
    task, partition = dataset.task, dataset.partition
    answers = tuple(store.answers(c.recipe) for c in (front, server))
    measure = "worth" if task.aim == "value" else "margin"
    everything = np.ones(len(partition.scored), dtype=bool)
    rule = _fitted(answers, everything, measure, spec, dataset)
    where = np.searchsorted(partition.scored, partition.validation)
    mixed, passed = _judged(answers, rule, where, measure, spec, dataset)
    split = dataset.rows.take(partition.validation)
    names = [task.aim, *(["value"] if task.value is not None and task.aim != "value" else [])]
    groups = None if dataset.groups is None else dataset.groups[partition.validation]
    figures = [
        quality(task, split.target, answer, weights=split.weights, groups=groups, names=names)
        for answer in (answers[0].take(where), answers[1].take(where), mixed)
    ]
    return {
        "rule": dict(rule),
        "escalated": share_of(int(passed.sum()), len(passed)),
        "quality": {
            way: {name: one.to_json() for name, one in found.items()}
            for way, found in zip(("front", "server", "cascade"), figures, strict=True)
        },
        "promise": {"metric": task.aim, "lost_at_most": spec.quality.tolerance, "confidence": 1 - DOUBT},
    }


def _judged(  # noqa: PLR0917 - answers, the rule, where, and what it is fitted by
    answers: Sequence[Answer], rule: Rule, where: Ints, measure: str, spec: Spec, dataset: Dataset
) -> tuple[Answer, NDArray[np.bool_]]:
    """Return the answers of the mix to the validation rows, and which of them were passed on."""
    used = np.searchsorted(dataset.partition.scored, _calibration(dataset))
    shared = np.isin(where, used)
    part = np.random.default_rng(11).permutation(len(where)) % CROSS
    mixed = apply_rule(rule, [a.take(where) for a in answers], dataset.task)
    scores, decided = mixed.scores.copy(), mixed.decided.copy()
    passed = sureness(measure, answers[0].take(where).scores, dataset.task, answers[0].take(where).amounts) < rule["at"]
    for group in range(CROSS):
        held = shared & (part == group)
        if not held.any():
            continue
        known = np.ones(len(dataset.partition.scored), dtype=bool)
        known[where[held]] = False
        try:
            other = _fitted(answers, known, measure, spec, dataset)
        except _NoPlace:
            other = {**rule, "at": 1.0}  # no place without these rows: all of them are passed on
        few = [a.take(where[held]) for a in answers]
        one = apply_rule(other, few, dataset.task)
        scores[held], decided[held] = one.scores, one.decided
        passed[held] = sureness(measure, few[0].scores, dataset.task, few[0].amounts) < other["at"]
    return Answer(scores=scores, decided=decided), passed


def _calibration(dataset: Dataset) -> Ints:
    partition = dataset.partition
    return np.intersect1d(partition.calibration, partition.development, assume_unique=True)


def _fitted(
    answers: Sequence[Answer], known: NDArray[np.bool_], measure: str, spec: Spec, dataset: Dataset
) -> dict[str, Any]:
    """Return the boldest cut whose promise holds on the calibration rows in ``known``."""
    scored, task = dataset.partition.scored, dataset.task
    rows = np.intersect1d(_calibration(dataset), scored[known])
    index = np.searchsorted(scored, rows)
    split = dataset.rows.take(rows)
    evidence = Evidence(tuple(a.take(index) for a in answers), split.target, split.weights)
    tolerance = spec.quality.tolerance
    stake = at_stake(task, evidence)
    limit = tolerance / stake.span if tolerance > 0 else 0.0
    needed = max(FEWEST, units_needed(limit, counted=stake.counted)) if limit > 0 else math.inf
    if len(rows) < FEWEST or stake.units < needed:
        raise _NoPlace(
            f"a loss of at most {tolerance:g} in {task.aim} cannot be promised on {len(rows):,} calibration rows; give "
            "more rows, or raise quality.tolerance"
        )
    sure = sureness(measure, evidence.answers[0].scores, task, evidence.answers[0].amounts)
    at = boldest(sure, stake, limit)
    if at is None or not (sure >= at).any():
        raise _NoPlace(
            f"there is no sureness from which the device loses at most {tolerance:g} in {task.aim} with "
            f"{1 - DOUBT:.0%} confidence on {len(rows):,} rows; raise quality.tolerance"
        )
    return {"rule": "cascade", "measure": measure, "at": at}
