"""Every check of the suite for levers that distil, proved by one that must fail it."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.contracts import OF_ROWS, Problem
from steelyard.levers.shrinking._distil import Distil
from steelyard.recipe import Combine, Plan, Train
from steelyard.testing import lever_lessons as suite
from steelyard.testing import levers
from steelyard.testing.hands import Hand
from steelyard.testing.situations import led_by_an_ensemble


class TeachesABlend(Distil):
    def student(self, settings):
        return Combine(lever="ensemble", parents=(super().student(settings),))


class FixesTheRounds(Distil):
    def student(self, settings):
        return Train(learner="lightgbm", plan=Plan(rounds=10))


class Keeps(Distil):
    """A lever that does something to its lessons."""

    def teach(self, split, *more):
        return self.spoil(super().teach(split, *more))


class LosesAColumn(Keeps):
    def spoil(self, lesson):
        return replace(lesson, columns=dict(list(lesson.columns.items())[1:]))


class LosesRows(Keeps):
    def spoil(self, lesson):
        return lesson.take(np.arange(10))


class RoundsNumbers(Keeps):
    def spoil(self, lesson):
        return replace(lesson, columns={name: cells.astype(np.float32) for name, cells in lesson.columns.items()})


class WeighsNothing(Keeps):
    def spoil(self, lesson):
        return replace(lesson, weights=np.zeros(len(lesson)))


class InventsAClass(Keeps):
    def spoil(self, lesson):
        return replace(lesson, target=lesson.target + 1)


class IsSure(Keeps):
    def spoil(self, lesson):
        sure = np.eye(lesson.lesson.scores.shape[1])[np.zeros_like(lesson.target)]
        return replace(lesson, lesson=replace(lesson.lesson, scores=sure))


class IsSureOfOneClassARow(Keeps):
    def spoil(self, lesson):
        return replace(lesson, target=np.zeros_like(lesson.target), lesson=None)


class ForgetsAClass(Keeps):
    def spoil(self, lesson):
        return replace(lesson, lesson=replace(lesson.lesson, scores=lesson.lesson.scores[:, 1:]))


class TrustsBeyondMeasure(Keeps):
    def spoil(self, lesson):
        return replace(lesson, lesson=replace(lesson.lesson, trust=lesson.lesson.trust + 1))


class TellsTheTruth(Distil):
    def teach(self, split, *more):
        return split


class RoundsValues(Keeps):
    def spoil(self, lesson):
        return replace(lesson, target=np.round(lesson.target))


CLASSES, VALUES = Problem.MULTICLASS, Problem.REGRESSION
PAIRS = [
    (suite.check_the_student_is_a_training, TeachesABlend, CLASSES),
    (suite.check_the_student_is_a_training, FixesTheRounds, CLASSES),
    (suite.check_lessons_are_rows_of_the_table, LosesAColumn, CLASSES),
    (suite.check_lessons_are_rows_of_the_table, LosesRows, CLASSES),
    (suite.check_lessons_are_rows_of_the_table, RoundsNumbers, CLASSES),
    (suite.check_lessons_are_rows_of_the_table, WeighsNothing, CLASSES),
    (suite.check_lessons_are_rows_of_the_table, InventsAClass, CLASSES),
    (suite.check_lessons_are_rows_of_the_table, ForgetsAClass, CLASSES),
    (suite.check_lessons_are_rows_of_the_table, TrustsBeyondMeasure, CLASSES),
    (suite.check_lessons_say_what_the_teacher_says, IsSure, CLASSES),
    (suite.check_lessons_say_what_the_teacher_says, IsSureOfOneClassARow, CLASSES),
    (suite.check_lessons_say_what_the_teacher_says, TellsTheTruth, CLASSES),
    (suite.check_lessons_say_what_the_teacher_says, RoundsValues, VALUES),
]


@pytest.mark.parametrize(("check", "saboteur", "problem"), PAIRS, ids=lambda part: getattr(part, "__name__", part))
def test_a_check_finds_the_fault_that_it_is_for_and_no_other(check, saboteur, problem):
    hand = Hand(lever=saboteur(), situation=led_by_an_ensemble(problem))
    assert check in set(levers.yield_checks(hand)), "the suite would not run this check"
    with pytest.raises(AssertionError):
        check(hand)
    check(replace(hand, lever=Distil()))


def test_every_check_has_a_saboteur():
    assert {check for check, _, _ in PAIRS} == set(suite.yield_checks())


def test_it_is_checked_for_every_problem():
    for problem in OF_ROWS:
        hand = Hand(lever=Distil(), situation=led_by_an_ensemble(problem))
        for check in suite.yield_checks():
            check(hand)
