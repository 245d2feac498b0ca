"""The figures on all rows are scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from steelyard.contracts import Answer, Problem, Task
from steelyard.tasks import metric, metrics_for


def expected_binary(y, p, d, w, worth):
    return {
        "accuracy": sk.accuracy_score(y, d, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, d, sample_weight=w),
        "precision": sk.precision_score(y, d, sample_weight=w),
        "recall": sk.recall_score(y, d, sample_weight=w),
        "f1": sk.f1_score(y, d, sample_weight=w),
        "f1_macro": sk.f1_score(y, d, average="macro", sample_weight=w),
        "f1_micro": sk.f1_score(y, d, average="micro", sample_weight=w),
        "roc_auc": sk.roc_auc_score(y, p[:, 1], sample_weight=w),
        "pr_auc": sk.average_precision_score(y, p[:, 1], sample_weight=w),
        "log_loss": sk.log_loss(y, p, sample_weight=w),
        "brier": sk.brier_score_loss(y, p[:, 1], sample_weight=w),
        "value": 1000 * np.average([worth[t][c] for t, c in zip(y, d, strict=True)], weights=w),
    }


@pytest.mark.parametrize("weighted", [False, True])
def test_binary_figures_equal_scikit_learns(binary, answers, rng, weighted):
    target, answer = answers(binary, rng, 300, levels=4)
    weights = rng.random(300) + 0.1 if weighted else None
    for name, figure in expected_binary(target, answer.scores, answer.decided, weights, binary.value).items():
        assert metric(name).measure(binary, target, answer, weights) == pytest.approx(figure, rel=1e-12), name


@pytest.mark.parametrize("weighted", [False, True])
def test_multiclass_figures_equal_scikit_learns(several, answers, rng, weighted):
    y, answer = answers(several, rng, 300)
    w = rng.random(300) + 0.1 if weighted else None
    p, d = answer.scores, answer.decided
    figures = {
        "accuracy": sk.accuracy_score(y, d, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, d, sample_weight=w),
        "precision": sk.precision_score(y, d, average="macro", sample_weight=w),
        "recall": sk.recall_score(y, d, average="macro", sample_weight=w),
        "f1_macro": sk.f1_score(y, d, average="macro", sample_weight=w),
        "f1_micro": sk.f1_score(y, d, average="micro", sample_weight=w),
        "roc_auc": sk.roc_auc_score(y, p, multi_class="ovr", sample_weight=w),
        "log_loss": sk.log_loss(y, p, sample_weight=w),
        "brier": sk.brier_score_loss(y, p, sample_weight=w, labels=range(5)),
    }
    for name, figure in figures.items():
        assert metric(name).measure(several, y, answer, w) == pytest.approx(figure, abs=1e-12), name


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_figures_equal_scikit_learns(numeric, answers, rng, weighted):
    y, answer = answers(numeric, rng, 200)
    w = rng.random(200) + 0.1 if weighted else None
    p = answer.decided
    figures = {
        "mae": sk.mean_absolute_error(y, p, sample_weight=w),
        "rmse": sk.root_mean_squared_error(y, p, sample_weight=w),
        "r2": sk.r2_score(y, p, sample_weight=w),
        "mape": sk.mean_absolute_percentage_error(y, p, sample_weight=w),
    }
    assert {m.name for m in metrics_for(numeric)} == figures.keys()
    for name, figure in figures.items():
        assert metric(name).measure(numeric, y, answer, w) == pytest.approx(figure, rel=1e-12), name


def test_precision_speaks_of_the_positive_class_wherever_it_stands(binary, answers, rng):
    target, answer = answers(binary, rng, 200)
    turned = Task(problem=Problem.BINARY, target="y", aim="f1", classes=("no", "yes"), positive="no")
    for name, judge in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        figure = judge(target, answer.decided, pos_label=0)
        assert metric(name).measure(turned, target, answer) == pytest.approx(figure), name
    auc = sk.average_precision_score(target == 0, answer.scores[:, 0])
    assert metric("pr_auc").measure(turned, target, answer) == pytest.approx(auc)


def test_the_calibration_error_equals_a_plain_loop_over_bins(several, answers, rng):
    target, answer = answers(several, rng, 400)
    weights = rng.random(400) + 0.1
    gap = 0.0
    confidence, right = answer.scores.max(axis=1), answer.scores.argmax(axis=1) == target
    for low in range(15):
        inside = (confidence * 15 >= low) & ((confidence * 15 < low + 1) | (low == 14))
        if inside.any():
            share = weights[inside].sum() / weights.sum()
            gap += share * abs(
                np.average(right[inside], weights=weights[inside])
                - np.average(confidence[inside], weights=weights[inside])
            )
    assert metric("ece").measure(several, target, answer, weights) == pytest.approx(gap)


def test_scores_in_single_precision_are_judged_without_a_warning(several, answers, rng):
    target, answer = answers(several, rng, 100)
    rounded = Answer(answer.scores.astype(np.float32).astype(np.float64), answer.decided)
    for each in metrics_for(several):
        exact = each.measure(several, target, answer)
        assert each.measure(several, target, rounded) == pytest.approx(exact, abs=1e-5), each.name


def only(code, n=6):
    """Rows of one class, with a confident answer of that class."""
    scores = np.tile([0.9, 0.1] if code == 0 else [0.1, 0.9], (n, 1))
    return np.full(n, code), Answer(scores, np.full(n, code))


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "roc_auc", "pr_auc"])
def test_figures_of_the_positive_class_are_undefined_where_it_never_occurs(binary, name):
    target, answer = only(0)
    assert math.isnan(metric(name).measure(binary, target, answer))
    assert np.isnan(metric(name).resample(binary, target, answer, np.ones((3, 6)))).all()


def test_roc_auc_of_several_classes_is_undefined_where_one_is_absent(several, answers, rng):
    target, answer = answers(several, rng, 60)
    present = np.where(target == 4, 0, target)
    assert math.isnan(metric("roc_auc").measure(several, present, answer))
    assert np.isnan(metric("roc_auc").resample(several, present, answer, np.ones((2, 60)))).all()


def test_every_figure_of_no_rows_is_undefined(binary, several, numeric):
    for task in (binary, several, numeric):
        empty = Answer(np.empty((0, task.width)), np.empty(0, dtype=np.int64))
        for each in metrics_for(task):
            assert math.isnan(each.measure(task, np.empty(0), empty)), each.name
            assert np.isnan(each.resample(task, np.empty(0), empty, np.empty((2, 0)))).all(), each.name


@pytest.mark.parametrize("broken", [math.nan, -0.5, 3.0])
def test_figures_of_scores_that_are_no_probabilities_are_undefined(binary, answers, rng, broken):
    target, answer = answers(binary, rng, 50)
    scores = answer.scores.copy()
    scores[7, 1] = broken
    for each in metrics_for(binary):
        figure = each.measure(binary, target, Answer(scores, answer.decided))
        assert math.isnan(figure) == (each.needs == "scores"), each.name


def test_r2_is_undefined_where_the_target_does_not_vary(numeric):
    answer = Answer(np.ones((4, 1)), np.ones(4))
    assert math.isnan(metric("r2").measure(numeric, np.full(4, 0.1), answer))


def test_mape_is_undefined_where_a_true_value_is_zero(numeric):
    target, answer = np.array([0.0, 1.0]), Answer(np.ones((2, 1)), np.ones(2))
    assert math.isnan(metric("mape").measure(numeric, target, answer))
    both, without = metric("mape").resample(numeric, target, answer, np.array([[1.0, 1.0], [0.0, 2.0]]))
    assert math.isnan(both)
    assert without == 0.0
