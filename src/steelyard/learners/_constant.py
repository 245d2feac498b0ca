"""The model that looks at nothing, and so tells whether machine learning is worth anything here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.contracts import (
    Artefact,
    Columns,
    Feed,
    Floats,
    Kind,
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
from steelyard.contracts.ragged import flattened, lengths_of, parted
from steelyard.learners._graph import Graph
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess
from steelyard.recipe import Plan
from steelyard.tasks.money import cheapest, per_unit


class Constant:
    """Answers every row with the shares of the classes or the mean; where errors cost money, with what costs least."""

    name = "constant"
    honours = frozenset({"settings"})
    problems = frozenset(Problem) - {Problem.FORECASTING}
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

    def fit(
        self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter
    ) -> FittedConstant | FittedOutside:
        """Average."""
        del valid, meter
        settings_of(self.name, self.space(work.task, work.schema), plan)
        if work.task.problem is Problem.TAGGING:
            return FittedOutside.of(train, work)
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


@dataclass(frozen=True, slots=True)
class FittedOutside:
    """One token's scores, shape (classes,): the shares of tags, whatever the token is."""

    answer: Floats
    column: str
    rounds: int | None = None

    @classmethod
    def of(cls, train: Split, work: Work) -> FittedOutside:
        """Count the tags of all tokens, each row by its weight."""
        tags, lengths = flattened(train.target)
        weights = None if train.weights is None else np.repeat(train.weights, lengths)
        counts = np.bincount(tags.astype(np.int64), weights=weights, minlength=work.task.width)
        return cls(counts / counts.sum(), work.schema.of(Kind.TOKENS)[0].name)

    def scores(self, columns: Columns) -> NDArray[np.object_]:
        """Return the same scores for every token."""
        lengths = lengths_of(columns[self.column])
        return parted(np.repeat(self.answer[None], int(lengths.sum()), axis=0), lengths)

    def export(self) -> Artefact:
        """Return a graph that reads where tokens are, and nothing of them."""
        graph = Graph()
        mask = graph.input("mask", TensorProto.FLOAT, ["n", "tokens"])
        count = graph.add("Shape", mask, start=0, end=2)
        shape = graph.add("Concat", count, graph.constant(np.array([1], np.int64)), axis=0)
        row = graph.constant(self.answer.astype(np.float32).reshape(1, 1, -1))
        scores = graph.add("Expand", row, shape, output="scores")
        model = graph.seal((scores, TensorProto.FLOAT, ["n", "tokens", len(self.answer)]))
        return Artefact(model, (Feed("token-mask", ("mask",), (self.column,)),))
