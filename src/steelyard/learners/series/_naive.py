"""What was a season ago is what comes: what doing nothing costs, of a forecast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from steelyard.contracts import (
    Artefact,
    Columns,
    Floats,
    Ints,
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
from steelyard.data.histories import line_of
from steelyard.learners._graph import Graph
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess
from steelyard.learners.series._rows import Front, history_feed, refuse_others, targets_of
from steelyard.recipe import Plan


class SeasonalNaive:
    """Answers with the last season of the history, again and again; without a season, with its last value.

    It learns nothing: the least that a forecast must beat (Hyndman, Athanasopoulos: Forecasting: Principles and
    Practice, section 5.2).
    """

    name = "seasonal-naive"
    honours = frozenset({"settings"})
    about = "What was a season ago, or the last value where there is no season: what doing nothing costs."
    problems = frozenset({Problem.FORECASTING})

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse what is no forecast."""
        del schema
        return refuse_others(self.name, task)

    def space(self, task: Task, schema: Schema) -> Space:
        """Return no settings."""
        del task, schema
        return Space()

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return next to no time, and no gain."""
        del task, schema
        return guess(seconds=0.05 + 1e-8 * rows, gain=0.0)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedNaive:
        """Look at nothing but the task."""
        del train, valid, meter
        settings_of(self.name, self.space(work.task, work.schema), plan)
        return FittedNaive(work.task, places(work.task))


def places(task: Task) -> Ints:
    """Return which step of the history each step ahead repeats; of histories shorter than a season the last.

    Examples
    --------
    >>> from steelyard.contracts import Problem, Timeline
    >>> line = Timeline(time="t", history=4, size=1.0, unit="count")
    >>> places(Task(problem=Problem.FORECASTING, target="y", aim="mase", horizon=5, series=("y",), season=3,
    ...             timeline=line)).tolist()
    [1, 2, 3, 1, 2]
    """
    history = line_of(task).history
    season = task.season if task.season <= history else 1
    return np.asarray(history - season + np.arange(task.horizon) % season, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class FittedNaive:
    """Which steps of the history are repeated, int64 (horizon,)."""

    task: Task
    repeated: Ints
    rounds: int | None = None

    @property
    def _front(self) -> Front:
        return Front((history_feed(self.task),))

    def scores(self, columns: Columns) -> Floats:
        """Return the values of the steps that are repeated."""
        history = np.asarray(self._front(columns)["history"], dtype=np.float32)
        seen = targets_of(history, self.task)[:, self.repeated].astype(np.float64)
        return seen.reshape(len(seen), -1)

    def export(self) -> Artefact:
        """Return a graph that picks steps and channels."""
        graph, task = Graph(), self.task
        feed = self._front.feeds[0]
        history = graph.input("history", TensorProto.FLOAT, ["n", feed.options["steps"], feed.options["channels"]])
        steps = graph.add("Gather", history, graph.constant(self.repeated), axis=1)
        own = graph.add("Gather", steps, graph.constant(np.arange(len(task.series))), axis=2)
        scores = graph.add("Flatten", own, output="scores", axis=1)
        return Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", task.width])), self._front.feeds)
