"""The figures on resamples equal scikit-learn's on those rows under those weights, whatever the ties."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.contracts import Answer, Problem, Task
from steelyard.tasks import METRICS, metric, metrics_for

FLAVOURS = {"plain": {}, "tied": {"levels": 3}}


@pytest.fixture
def agrees(scikit):
    """Each resample's figure is scikit-learn's on the rows that are in it, weighted by how often."""

    def see(each, task, target, answer, counts):
        drawn = each.resample(task, target, answer, counts)
        assert drawn.shape == (len(counts),)
        assert drawn.dtype == np.float64
        for figure, row in zip(drawn, counts, strict=True):
            inside = row > 0
            there = Answer(answer.scores[inside], answer.decided[inside])
            exact = scikit(each.name, task, target[inside], there, row[inside])
            assert figure == pytest.approx(exact, abs=1e-9, rel=1e-9, nan_ok=True), each.name

    return see


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("kind", ["binary", "several", "numeric"])
def test_every_metric_resamples_exactly(request, agrees, kind, flavour, weighted):
    task, answers, drawn, rng = (request.getfixturevalue(name) for name in (kind, "answers", "drawn", "rng"))
    target, answer = answers(task, rng, 80, **FLAVOURS[flavour])
    weights = rng.random(80) + 0.1 if weighted else None
    counts = drawn(rng, 8, 80, weights)
    for each in metrics_for(task):
        agrees(each, task, target, answer, counts)


def test_every_metric_resamples_exactly_where_classes_come_and_go(agrees, several, answers, drawn, rng):
    target, answer = answers(several, rng, 9)
    counts = drawn(rng, 25, 9)
    for each in metrics_for(several):
        agrees(each, several, target, answer, counts)
    areas = metric("roc_auc").resample(several, target, answer, counts)
    assert np.isnan(areas).any(), "the rows are few enough that some resample misses a class"


def test_every_metric_resamples_exactly_where_the_positive_class_comes_and_goes(agrees, binary, drawn, rng):
    target = np.array([0, 0, 0, 0, 1])
    scores = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.4, 0.6]])
    answer = Answer(scores, scores.argmax(axis=1))
    counts = drawn(rng, 25, 5)
    for each in metrics_for(binary):
        agrees(each, binary, target, answer, counts)


def test_more_classes_than_a_block_resample_exactly(agrees, answers, drawn, rng):
    many = Task(problem=Problem.MULTICLASS, target="y", aim="accuracy", classes=tuple(f"c{i}" for i in range(130)))
    target, answer = answers(many, rng, 400)
    counts = drawn(rng, 4, 400)
    for name in ("precision", "recall", "f1_macro", "balanced_accuracy"):
        agrees(metric(name), many, target, answer, counts)


def test_a_constant_score_has_an_area_of_one_half(binary, rng):
    target = rng.integers(0, 2, 40)
    flat = Answer(np.full((40, 2), 0.5), np.zeros(40, dtype=np.int64))
    assert metric("roc_auc").measure(binary, target, flat) == 0.5
    assert metric("roc_auc").resample(binary, target, flat, np.ones((2, 40))) == pytest.approx(0.5)


def test_r2_of_a_resample_that_does_not_vary_is_undefined_even_off_centre(agrees, numeric, rng):
    target, guess = np.r_[np.full(6, 0.1), 7.7], np.r_[rng.random(6), 7.0]
    counts = np.column_stack([rng.random((40, 6)), np.zeros(40)])
    assert np.isnan(metric("r2").resample(numeric, target, Answer(guess[:, None], guess), counts)).all()
    agrees(metric("r2"), numeric, target, Answer(guess[:, None], guess), counts + 0.1)


def test_an_answer_that_is_certain_has_the_log_loss_of_scikit_learn(agrees, binary):
    target, scores = np.array([1, 1, 0, 1]), np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    counts = np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 0.0, 1.0], [0.0, 1.0, 2.0, 1.0]])
    agrees(metric("log_loss"), binary, target, Answer(scores, scores.argmax(axis=1)), counts)


def test_every_metric_in_the_table_was_resampled_here(binary, several, numeric):
    seen = {each.name for task in (binary, several, numeric) for each in metrics_for(task)}
    elsewhere = {"smape", "mase", "coverage", "entity_f1", "entity_precision", "entity_recall", "token_accuracy"}
    assert seen | elsewhere == set(METRICS)  # of forecasting and tagging, each in a file of its own
