"""What a lever must keep that teaches a student. Run by :func:`check_lever` on levers that distil."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from steelyard.contracts import DistillingLever, Problem, ShrinkingLever, Split
from steelyard.levers.shrinking.distilling.lessons import unrolled
from steelyard.recipe import Shrink, Train
from steelyard.testing.hands import Hand, act

LEFT_OUT = 0.05
"""Share of a teacher's probabilities that a lesson may leave out: those of classes that it all but rules out."""


def yield_checks() -> Iterator[Callable[[Hand], None]]:
    """Yield the checks."""
    yield check_the_student_is_a_training
    yield check_lessons_are_rows_of_the_table
    yield check_lessons_say_what_the_teacher_says


def check_the_student_is_a_training(hand: Hand) -> None:
    """See that the student is a training whose rounds are free, so that rows of its own say when it stops.

    Or they are those that the lever's own setting ``rounds`` gives. It is none where ``apply`` cuts it out of its
    teacher's graph.
    """
    assert isinstance(hand.lever, DistillingLever)
    student = hand.lever.student(hand.settings)
    if student is None and isinstance(hand.lever, ShrinkingLever):
        return
    assert isinstance(student, Train), f"the student is a {type(student).__name__}, not a training"
    given = (None, hand.settings.get("rounds"))
    assert student.plan.rounds in given, f"the student's rounds are fixed at {student.plan.rounds}"
    assert hand.lever.student(hand.settings) == student, "the same settings gave another student"
    for trial, move in hand.moves():
        if isinstance(move.recipe, Shrink) and move.recipe.parent == trial.recipe:
            hand.lever.student(move.recipe.settings)  # refuses none of what the lever itself proposes


def check_lessons_are_rows_of_the_table(hand: Hand) -> None:
    """See that lessons have the table's columns and types, targets of the task, and weights above 0."""
    taught, rows, task = act(hand), hand.situation.rows, hand.situation.context.task
    if taught is None:
        return
    assert len(taught) >= len(rows), f"{len(taught)} lessons came of {len(rows)} rows"
    assert list(taught.columns) == list(rows.columns), "columns were added, removed or reordered"
    for name, values in taught.columns.items():
        assert values.dtype == rows.columns[name].dtype, f"column {name!r} changed its type"
        assert len(values) == len(taught), f"column {name!r} has {len(values)} cells for {len(taught)} rows"
    assert len(taught.target) == len(taught), f"there are {len(taught.target)} targets for {len(taught)} rows"
    assert taught.weights is None or (taught.weights > 0).all(), "a weight is not above 0"
    if task.problem is Problem.REGRESSION:
        assert np.isfinite(taught.target).all(), "a target is not finite"
        return
    assert set(np.unique(taught.target)) <= set(range(task.width)), "a target is no code of a class"
    if taught.lesson is not None:
        assert taught.lesson.scores.shape == (len(taught), task.width), "there is not one probability a row and class"
        assert ((taught.lesson.trust >= 0) & (taught.lesson.trust <= 1)).all(), "a share of trust is not from 0 to 1"


def check_lessons_say_what_the_teacher_says(hand: Hand) -> None:
    """See that targets are the teacher's answers: its values, or classes that weigh as much as it gives them."""
    taught, task = act(hand), hand.situation.context.task
    if taught is None:
        return
    scores = hand.situation.teacher(taught.columns).scores
    if task.problem is Problem.REGRESSION:
        assert np.allclose(taught.target, scores[:, 0]), "a target is not the value that the teacher answers"
        return
    taught = unrolled(taught)
    scores = hand.situation.teacher(taught.columns).scores
    weights = _weights(taught)
    given, meant = np.bincount(taught.target, weights, task.width), weights @ scores
    off = np.abs(given - meant).sum() / weights.sum()
    assert off <= LEFT_OUT, f"classes weigh otherwise than the teacher says, by {off:.0%} of all weight"


def _weights(split: Split) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.ones(len(split)) if split.weights is None else split.weights
