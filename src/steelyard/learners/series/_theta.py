"""The Theta method: exponential smoothing with half of the trend as drift, computed from a history inside the graph.

Assimakopoulos, Nikolopoulos: The theta model: a decomposition approach to forecasting. International Journal of
Forecasting 2000, doi:10.1016/S0169-2070(00)00066-2; as simple exponential smoothing with drift: Hyndman, Billah:
Unmasking the Theta method. International Journal of Forecasting 2003, doi:10.1016/S0169-2070(01)00143-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.contracts import (
    Artefact,
    Columns,
    Floats,
    Meter,
    Prior,
    Problem,
    Refusal,
    Schema,
    Setting,
    Space,
    Split,
    Task,
    Work,
)
from steelyard.data.histories import line_of
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess
from steelyard.learners.series._choice import judged, some_of
from steelyard.learners.series._rows import Front, history_feed, refuse_others, targets_of
from steelyard.learners.series._theta_graph import theta_graph
from steelyard.learners.series._theta_steps import ADDITIVE, MULTIPLICATIVE, NONE, WAYS, forecasts
from steelyard.recipe import Plan

AUTO = "auto"
TRIED = 400
"""Training rows on which the ways of removing a season are compared."""


class Theta:
    """Smooths each history with the rate that foretells it best, and adds half of its trend.

    Nothing is fitted across series: the rate of smoothing, the trend and the seasonal figures are those of a row's own
    history, found where it is answered. Training only chooses how a season is taken out, on training origins.
    """

    name = "theta"
    honours = frozenset({"settings"})
    about = "The Theta method: each history smoothed, with half of its trend as drift; a season taken out first."
    problems = frozenset({Problem.FORECASTING})

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse what is no forecast."""
        del schema
        return refuse_others(self.name, task)

    def space(self, task: Task, schema: Schema) -> Space:
        """Return how a season is taken out."""
        del task, schema
        about = "How a season is taken out before smoothing; auto: the best of them on training rows."
        return Space({"seasonal": Setting(default=AUTO, options=(AUTO, *WAYS), about=about)})

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return the time that comparing the ways takes, and a small gain."""
        del schema
        return guess(seconds=0.2 + 1e-6 * min(rows, TRIED) * line_of(task).history * len(task.series), gain=0.1)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedTheta:
        """Choose how a season is taken out."""
        del valid, meter
        task = work.task
        way = str(settings_of(self.name, self.space(task, work.schema), plan)["seasonal"])
        if way == AUTO:
            some = some_of(train, TRIED)
            ways = WAYS if task.season > 1 and 2 * task.season <= line_of(task).history else (NONE,)
            scores = [judged(task, some, FittedTheta(task, one).scores(some.columns)) for one in ways]
            way = ways[int(np.argmax(scores))]
        return FittedTheta(task, way)


@dataclass(frozen=True, slots=True)
class FittedTheta:
    """How a season is taken out: :data:`steelyard.learners.series._theta_steps.WAYS`."""

    task: Task
    way: str
    rounds: int | None = None

    @property
    def _front(self) -> Front:
        return Front((history_feed(self.task, counted=True),))

    def scores(self, columns: Columns) -> Floats:
        """Return the forecasts of some rows, step by step in numpy."""
        read, task = self._front(columns), self.task
        width = len(task.series)
        values = targets_of(np.asarray(read["history"], np.float32), task).astype(np.float64)
        lengths = np.asarray(read["lengths"], np.float64)[:, :width]
        flat = values.transpose(0, 2, 1).reshape(-1, values.shape[1])
        made = forecasts(flat, lengths.reshape(-1), task.season, task.horizon, self.way)
        return made.reshape(len(values), width, task.horizon).transpose(0, 2, 1).reshape(len(values), -1)

    def export(self) -> Artefact:
        """Return the method as a graph, in double precision: which rate is best must not depend on rounding."""
        return Artefact(theta_graph(self.task, self._front.feeds[0], self.way), self._front.feeds)


__all__ = ["ADDITIVE", "AUTO", "MULTIPLICATIVE", "FittedTheta", "Theta"]
