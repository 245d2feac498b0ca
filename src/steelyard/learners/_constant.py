"""The model that looks at nothing, and so tells whether machine learning is worth anything here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from steelyard.contracts import (
    Artefact,
    Columns,
    Feed,
    Floats,
    Meter,
    Prior,
    Problem,
    Refusal,
    Schema,
    Space,
    Split,
    Task,
    Work,
)
from steelyard.learners._graph import Graph
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess
from steelyard.recipe import Plan
from steelyard.tasks.money import cheapest, per_unit


class Constant:
    """Answers every row with the shares of the classes or the mean; where errors cost money, with what costs least."""

    name = "constant"
    honours = frozenset({"settings"})
    about = "The most frequent class or the mean, whatever the row says: the least that a model must beat."

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse forecasting, whose model that learns nothing is the seasonal naive one."""
        del schema
        if task.problem is Problem.FORECASTING:
            return Refusal("constant forecasts nothing: `seasonal-naive` is what doing nothing costs there.")
        return None

    def space(self, task: Task, schema: Schema) -> Space:
        """Return no settings."""
        del task, schema
        return Space()

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return next to no time, and no gain."""
        del task, schema
        return guess(seconds=0.05 + 1e-8 * rows, gain=0.0)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedConstant:
        """Average."""
        del valid, meter
        settings_of(self.name, self.space(work.task, work.schema), plan)
        if work.task.problem is Problem.REGRESSION:
            return FittedConstant(np.array([[_number(train, work.task)]]))
        counts = np.bincount(train.target, weights=train.weights, minlength=work.task.width)
        return FittedConstant(counts.reshape(1, -1) / counts.sum())


def _number(train: Split, task: Task) -> float:
    """Return the mean, or what costs least: without a look at the rows nothing does better."""
    weights = np.ones(len(train)) if train.weights is None else train.weights
    if task.value is None:
        return float(np.average(train.target, weights=weights))
    over, under = per_unit(task, len(train), train.amounts)
    return cheapest(train.target, -over * weights, -under * weights)


@dataclass(frozen=True, slots=True)
class FittedConstant:
    """One row of scores, shape (1, width)."""

    answer: Floats
    rounds: int | None = None

    def scores(self, columns: Columns) -> Floats:
        """Return the same scores for every row."""
        return np.repeat(self.answer, len(next(iter(columns.values()))), axis=0)

    def export(self) -> Artefact:
        """Return a graph that reads no column, only how many rows there are."""
        graph = Graph()
        rows = graph.input("rows", TensorProto.DOUBLE, ["n", 0])
        count = graph.add("Shape", rows, start=0, end=1)
        shape = graph.add("Concat", count, graph.constant(np.array([1], np.int64)), axis=0)
        scores = graph.add("Expand", graph.constant(self.answer.astype(np.float32)), shape, output="scores")
        model = graph.seal((scores, TensorProto.FLOAT, ["n", self.answer.shape[1]]))
        return Artefact(model, (Feed("numbers", ("rows",), ()),))
