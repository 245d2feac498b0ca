"""What a net learns of a teacher: probabilities at a temperature, beside its own classes."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.contracts import Lesson, Problem, Split
from steelyard.levers.shrinking.distilling.lessons import lesson_of, unrolled
from steelyard.recipe import Plan, Settings
from steelyard.registry import learners
from steelyard.testing.pupils import Watch
from steelyard.testing.scenes import scene

torch = pytest.importorskip("torch", reason="the extra `deep` is not installed")
lessons = pytest.importorskip("steelyard.learners.nets.lessons")


def loss_of(logits, split, temperature=1.0, smoothing=0.0):
    lesson = replace(split.lesson, temperature=temperature)
    target = torch.from_numpy(lessons.targets_of(split, lesson))
    weights = torch.ones(len(split)) if split.weights is None else torch.from_numpy(split.weights).float()
    return lessons.lesson_loss(temperature, smoothing)(torch.tensor(logits), target, weights)


def rows(scores, trust, target=None, weights=None):
    scores = np.array(scores, np.float64)
    target = np.zeros(len(scores), np.int64) if target is None else np.array(target)
    share = np.broadcast_to(np.array(trust, np.float64), (len(scores),))
    return Split({}, target, np.arange(len(scores)), weights, lesson=Lesson(scores, share))


def test_without_temperature_it_is_the_cross_entropy_of_rows_that_stand_once_for_each_class():
    """What other learners are given and what nets are given is the same lesson."""
    random = np.random.default_rng(0)
    scores = random.dirichlet(np.ones(3) * 3, 20)
    split = rows(scores, random.random(20), random.integers(0, 3, 20), random.random(20) + 0.5)
    logits = random.normal(size=(20, 3)).astype(np.float32)
    flat, place = unrolled(split), []
    for row, number in enumerate(split.rows):
        place += [row] * int((flat.rows == number).sum())
    each = torch.nn.functional.cross_entropy(
        torch.tensor(logits[place]), torch.from_numpy(flat.target), reduction="none"
    )
    usual = (each * torch.from_numpy(flat.weights)).sum() / flat.weights.sum()
    assert float(loss_of(logits, split)) == pytest.approx(float(usual), rel=0.02)


def test_it_is_least_where_the_student_says_what_the_teacher_does_at_any_temperature():
    scores = [[0.7, 0.2, 0.1], [0.05, 0.05, 0.9]]
    same = np.log(np.array(scores, np.float32))
    for temperature in (1.0, 2.0, 8.0):
        told = rows(scores, 1.0)
        at_best = torch.tensor(same, requires_grad=True)
        lesson = replace(told.lesson, temperature=temperature)
        target = torch.from_numpy(lessons.targets_of(told, lesson))
        lessons.lesson_loss(temperature, 0.0)(at_best, target, torch.ones(2)).backward()
        assert float(at_best.grad.abs().max()) < 1e-5
        off = loss_of(same + np.array([[0.5, 0, 0], [0, 0.5, 0]], np.float32), told, temperature)
        assert float(off) > float(loss_of(same, told, temperature)) + 1e-3


def test_a_high_temperature_makes_much_of_classes_that_are_unlikely():
    """A wrong order among unlikely classes costs nothing at 1 and much at 4."""
    told = rows([[0.98, 0.015, 0.005]], 1.0)
    right, wrong = np.log([[0.98, 0.015, 0.005]]), np.log([[0.98, 0.005, 0.015]])
    cost = [
        float(loss_of(wrong.astype(np.float32), told, t) - loss_of(right.astype(np.float32), told, t)) for t in (1, 4)
    ]
    assert cost[1] > 5 * cost[0] > 0


def test_what_is_not_trusted_to_the_teacher_is_the_truths():
    logits = np.array([[2.0, -1.0, 0.0]], np.float32)
    truth = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor([2]))
    assert float(loss_of(logits, rows([[0.9, 0.1, 0.0]], 0.0, [2]), 5.0)) == pytest.approx(float(truth))


def test_rows_weigh_as_they_are_told_to():
    logits = np.array([[2.0, -1.0], [0.0, 1.0]], np.float32)
    scores = [[0.9, 0.1], [0.3, 0.7]]
    one, other = (float(loss_of(logits[[i]], rows([scores[i]], 1.0))) for i in (0, 1))
    both = float(loss_of(logits, rows(scores, 1.0, weights=np.array([3.0, 1.0]))))
    assert both == pytest.approx((3 * one + other) / 4)


def test_a_net_learns_what_its_teacher_says_and_not_what_is_true():
    """The teacher knows nothing: after the lesson the student does not either, whatever the labels say."""
    world = scene("text", Problem.MULTICLASS)

    def knows_nothing(columns):
        from steelyard.contracts import Answer

        count = len(next(iter(columns.values())))
        scores = np.tile([0.6, 0.3, 0.1], (count, 1))
        return Answer(scores, scores.argmax(1))

    random = np.random.default_rng(1)
    nothing = world.train.take(np.arange(0))
    lesson = lesson_of(world.train, nothing, knows_nothing, world.task, Watch(), random=random, temperature=2.0)
    np.testing.assert_array_equal(lesson.target, world.train.target)
    learner = learners().get("text-cnn")
    assert learner.takes_lessons
    plan = Plan(settings=Settings(epochs=4, embedding=16, channels=16, vocabulary=300))
    fitted = learner.fit(plan, lesson, world.valid, world.work, Watch())
    assert np.abs(fitted.scores(world.valid.columns) - [0.6, 0.3, 0.1]).max() < 0.15
