"""Errors of forecasts: as M4 and Hyndman and Koehler define them, over the values that are known."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.contracts import Answer, Problem, Task
from steelyard.measure import quality
from steelyard.tasks import metric, metrics_for
from steelyard.tasks.forecasting import by_step
from steelyard.tasks.money import brought

TASK = Task(problem=Problem.FORECASTING, target="y", aim="mase", horizon=2, series=("a", "b"), season=1)
TARGET = np.array([[1.0, 10.0, 2.0, np.nan], [3.0, 0.0, 5.0, 40.0]])
TOLD = np.array([[2.0, 12.0, 2.0, 7.0], [1.0, 0.0, 5.0, 60.0]])
SCALES = np.array([[0.5, 4.0], [2.0, 0.0]])
ANSWER = Answer(TOLD, TOLD, low=TOLD - 1.5, high=TOLD + 1.5, scales=SCALES)


def figure(name, task=TASK, answer=ANSWER):
    return metric(name).measure(task, TARGET, answer)


def test_errors_are_means_over_the_values_that_are_known():
    assert figure("mae") == pytest.approx((1 + 2 + 0 + 2 + 0 + 0 + 20) / 7)
    assert figure("rmse") == pytest.approx(np.sqrt((1 + 4 + 0 + 4 + 0 + 0 + 400) / 7))


def test_smape_is_that_of_m4_and_zero_where_both_are_zero():
    parts = [1 / 3, 2 / 22, 0, 2 / 4, 0, 0, 20 / 100]
    assert figure("smape") == pytest.approx(200 * np.mean(parts))


def test_mase_leaves_out_what_has_no_scale():
    assert figure("mase") == pytest.approx(np.mean([1 / 0.5, 2 / 4, 0, 2 / 2, 0]))
    assert np.isnan(figure("mase", answer=replace(ANSWER, scales=None)))


def test_coverage_counts_the_true_values_within_the_interval():
    assert figure("coverage") == pytest.approx(4 / 7)
    assert np.isnan(figure("coverage", answer=replace(ANSWER, low=None, high=None)))


def test_money_is_counted_a_value_ahead():
    task = replace(TASK, value=((-1.0, -4.0),))
    np.testing.assert_allclose(brought(task, TARGET, ANSWER), [-3 / 3, (-4 * 2 - 20) / 4])
    assert "value" in {each.name for each in metrics_for(task)}
    assert "value" not in {each.name for each in metrics_for(TASK)}


def test_every_metric_has_an_interval_over_blocks_of_origins():
    random = np.random.default_rng(0)
    target = random.normal(size=(60, 4)) + 10
    told = target + random.normal(size=(60, 1))
    answer = Answer(told, told, scales=np.ones((60, 2)))
    alone, blocks = (quality(TASK, target, answer, groups=groups)["mae"] for groups in (None, np.arange(60) // 6))
    assert alone.value == blocks.value
    assert alone.low < alone.value < alone.high


def test_each_step_ahead_has_its_own_figures():
    found = by_step(TASK, TARGET, ANSWER)
    assert found["mae"] == pytest.approx([(1 + 2 + 2 + 0) / 4, (0 + 0 + 20) / 3])
    assert found["coverage"] == pytest.approx([2 / 4, 2 / 3])
