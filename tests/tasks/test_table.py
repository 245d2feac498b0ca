"""The table of metrics: complete, consistent, and helpful about a miss."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import pytest

from steelyard.contracts import Problem
from steelyard.errors import SteelyardError
from steelyard.tasks import METRICS, default_aim, metric, metrics_for

NAMES = [
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "f1_macro",
    "f1_micro",
    "roc_auc",
    "pr_auc",
    "log_loss",
    "brier",
    "ece",
    "mae",
    "rmse",
    "r2",
    "mape",
    "entity_f1",
    "entity_precision",
    "entity_recall",
    "token_accuracy",
    "smape",
    "mase",
    "coverage",
    "value",
]


def test_the_table_holds_every_metric_of_the_design():
    assert list(METRICS) == NAMES


def test_every_record_is_frozen_and_says_what_it_is():
    for each in METRICS.values():
        assert each.about.endswith("."), each.name
        assert each.low < each.high, each.name
        with pytest.raises(dataclasses.FrozenInstanceError):
            each.low = 0.0


def test_a_misspelt_metric_is_refused_with_the_nearest_name():
    with pytest.raises(SteelyardError, match="did you mean 'roc_auc'"):
        metric("roc_acu")


def test_a_metric_of_another_problem_is_refused_with_those_that_apply(several):
    with pytest.raises(
        SteelyardError, match=r"'rmse' is for forecasting and regression, not for multiclass.*these apply: accuracy"
    ):
        metric("rmse", several)


def test_measuring_what_does_not_apply_is_refused(several, answers, rng):
    target, answer = answers(several, rng, 10)
    with pytest.raises(SteelyardError, match="'f1' is for binary"):
        metric("f1").measure(several, target, answer)


def test_value_applies_only_where_outcomes_are_worth_something(binary):
    assert "value" in {m.name for m in metrics_for(binary)}
    worthless = dataclasses.replace(binary, value=None)
    assert "value" not in {m.name for m in metrics_for(worthless)}
    with pytest.raises(SteelyardError, match="needs the money"):
        metric("value", worthless)


def test_metrics_of_the_positive_class_need_one_to_be_named(binary):
    nameless = dataclasses.replace(binary, positive=None)
    lost = {m.name for m in metrics_for(binary)} - {m.name for m in metrics_for(nameless)}
    assert lost == {"precision", "recall", "f1", "pr_auc"}


def test_several_classes_need_no_positive_one(several):
    assert {"precision", "recall"} <= {m.name for m in metrics_for(several)}


def test_money_carries_the_currency_of_the_task(binary):
    assert metric("value").unit_for(binary) == "EUR per 1,000 decisions"
    assert metric("log_loss").unit_for(binary) == "nats"


def test_lower_is_better_turns_the_sign():
    assert metric("rmse").higher_is_better(2.0) == -2.0
    assert metric("r2").higher_is_better(0.5) == 0.5
    assert math.isnan(metric("rmse").higher_is_better(math.nan))


@pytest.mark.parametrize("problem", list(Problem))
def test_every_problem_has_an_aim_that_applies_to_it(problem):
    assert problem in metric(default_aim(problem)).problems


def test_importing_the_table_loads_nothing_heavy():
    code = "import steelyard.tasks, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sklearn", "scipy", "polars", "pandas", "onnxruntime"} & set(loaded)
