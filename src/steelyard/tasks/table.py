"""Every metric, in one table, and how to find one."""

from __future__ import annotations

import math

from steelyard.contracts import NUMERIC, Problem, Task
from steelyard.errors import nearest
from steelyard.tasks import decided, forecasting, money, probabilities, ranking, regression, tagging
from steelyard.tasks.metric import CLASSIFICATION, Metric, MetricUnfit

BINARY = frozenset({Problem.BINARY})
REGRESSION = frozenset({Problem.REGRESSION})
TAGGING = frozenset({Problem.TAGGING})
FORECASTING = frozenset({Problem.FORECASTING})

_TABLE = (
    Metric(
        name="accuracy",
        about="Share of decisions that are right.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=CLASSIFICATION,
        figure=decided.accuracy,
    ),
    Metric(
        name="balanced_accuracy",
        about="Share of each class that is found, averaged over the classes.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=CLASSIFICATION,
        figure=decided.balanced_accuracy,
    ),
    Metric(
        name="precision",
        about="Share of the rows called positive that are; several classes: averaged over them.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=CLASSIFICATION,
        figure=decided.precision,
        positive=True,
    ),
    Metric(
        name="recall",
        about="Share of the positive rows that are called so; several classes: averaged over them.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=CLASSIFICATION,
        figure=decided.recall,
        positive=True,
    ),
    Metric(
        name="f1",
        about="Harmonic mean of precision and recall of the positive class.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=BINARY,
        figure=decided.f1,
        positive=True,
    ),
    Metric(
        name="f1_macro",
        about="F1 of each class, averaged over the classes.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=CLASSIFICATION,
        figure=decided.f1_macro,
    ),
    Metric(
        name="f1_micro",
        about="F1 of all decisions pooled; with one class a row it equals the accuracy.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=CLASSIFICATION,
        figure=decided.f1_micro,
    ),
    Metric(
        name="roc_auc",
        about="Chance that a positive row scores above a negative one; several classes: mean of one against rest.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="scores",
        problems=CLASSIFICATION,
        figure=ranking.roc_auc,
        per_class=True,
    ),
    Metric(
        name="pr_auc",
        about="Average precision of the positive class over all thresholds.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="scores",
        problems=BINARY,
        figure=ranking.pr_auc,
        positive=True,
    ),
    Metric(
        name="log_loss",
        about="Mean of minus the logarithm of the probability given to what happened.",
        better="lower",
        low=0.0,
        high=math.inf,
        unit="nats",
        needs="scores",
        problems=CLASSIFICATION,
        figure=probabilities.log_loss,
    ),
    Metric(
        name="brier",
        about="Mean squared distance of the probabilities from what happened; summed over three classes or more.",
        better="lower",
        low=0.0,
        high=2.0,
        unit="",
        needs="scores",
        problems=CLASSIFICATION,
        figure=probabilities.brier,
    ),
    Metric(
        name="ece",
        about="Expected calibration error: distance of confidence from accuracy, over 15 bins of confidence.",
        better="lower",
        low=0.0,
        high=1.0,
        unit="",
        needs="scores",
        problems=CLASSIFICATION,
        figure=probabilities.ece,
    ),
    Metric(
        name="mae",
        about="Mean distance from the true value.",
        better="lower",
        low=0.0,
        high=math.inf,
        unit="units of the target",
        needs="decided",
        problems=NUMERIC,
        figure=regression.mae,
    ),
    Metric(
        name="rmse",
        about="Root of the mean squared distance from the true value.",
        better="lower",
        low=0.0,
        high=math.inf,
        unit="units of the target",
        needs="decided",
        problems=NUMERIC,
        figure=regression.rmse,
    ),
    Metric(
        name="r2",
        about="Share of the target's variance that is explained.",
        better="higher",
        low=-math.inf,
        high=1.0,
        unit="",
        needs="decided",
        problems=REGRESSION,
        figure=regression.r2,
    ),
    Metric(
        name="mape",
        about="Mean distance as a share of the true value (0.1 is 10%); undefined where a true value is zero.",
        better="lower",
        low=0.0,
        high=math.inf,
        unit="",
        needs="decided",
        problems=REGRESSION,
        figure=regression.mape,
    ),
    Metric(
        name="entity_f1",
        about="Harmonic mean of precision and recall of entities, found whole and of the right type.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=TAGGING,
        figure=tagging.entity_f1,
        spans=True,
    ),
    Metric(
        name="entity_precision",
        about="Share of predicted entities that are there, whole and of the right type.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=TAGGING,
        figure=tagging.entity_precision,
        spans=True,
    ),
    Metric(
        name="entity_recall",
        about="Share of the entities that are found, whole and of the right type.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=TAGGING,
        figure=tagging.entity_recall,
        spans=True,
    ),
    Metric(
        name="token_accuracy",
        about="Share of tokens whose tag is right.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=TAGGING,
        figure=tagging.token_accuracy,
    ),
    Metric(
        name="smape",
        about="Mean of 200 |error| / (|true| + |forecast|), in percent, as the M4 competition defines it.",
        better="lower",
        low=0.0,
        high=200.0,
        unit="%",
        needs="decided",
        problems=FORECASTING,
        figure=forecasting.smape,
    ),
    Metric(
        name="mase",
        about="Mean distance from the true value, over that of the seasonal naive forecast within the history.",
        better="lower",
        low=0.0,
        high=math.inf,
        unit="",
        needs="decided",
        problems=FORECASTING,
        figure=forecasting.mase,
    ),
    Metric(
        name="coverage",
        about="Share of true values within the prediction interval; it should be the interval's level.",
        better="higher",
        low=0.0,
        high=1.0,
        unit="",
        needs="decided",
        problems=FORECASTING,
        figure=forecasting.coverage,
    ),
    Metric(
        name="value",
        about="Money that a thousand decisions bring, at the value of outcomes in the spec; numbers: of errors.",
        better="higher",
        low=-math.inf,
        high=math.inf,
        unit="money per 1,000 decisions",
        needs="decided",
        problems=CLASSIFICATION | NUMERIC,
        figure=money.value,
        priced=True,
    ),
)

METRICS: dict[str, Metric] = {each.name: each for each in _TABLE}
"""Every metric by name."""

_AIM = {
    Problem.BINARY: "roc_auc",
    Problem.MULTICLASS: "accuracy",
    Problem.REGRESSION: "rmse",
    Problem.TAGGING: "entity_f1",
    Problem.FORECASTING: "mase",
}


def metric(name: str, task: Task | None = None) -> Metric:
    """Return the metric of that name; with a task, only if it applies to it.

    Raises
    ------
    MetricUnfit
        If there is none (the nearest name is suggested), or it says nothing about the task.

    Examples
    --------
    >>> metric("rmse").better
    'lower'
    """
    found = METRICS.get(name)
    if found is None:
        raise MetricUnfit(f"no metric named {name!r}{nearest(name, METRICS)}; known: {', '.join(METRICS)}")
    if task is not None and (why := found.refusal(task)):
        raise MetricUnfit(f"{why}; these apply: {', '.join(m.name for m in metrics_for(task))}")
    return found


def metrics_for(task: Task) -> tuple[Metric, ...]:
    """Return every metric that applies to a task.

    Examples
    --------
    >>> task = Task(problem=Problem.REGRESSION, target="y", aim="rmse")
    >>> [m.name for m in metrics_for(task)]
    ['mae', 'rmse', 'r2', 'mape']
    """
    return tuple(each for each in METRICS.values() if each.refusal(task) is None)


def default_aim(problem: Problem) -> str:
    """Return the name of the metric that choosing goes by where the spec names none.

    Examples
    --------
    >>> default_aim(Problem.BINARY)
    'roc_auc'
    """
    return _AIM[problem]
