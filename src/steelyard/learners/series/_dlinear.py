"""DLinear: the trend of a history and what is left of it, each through a linear map to the steps ahead.

Zeng, Chen, Zhang, Xu: Are Transformers effective for time series forecasting? AAAI 2023, arXiv 2205.13504. The paper
trains the two maps by gradient descent; here they are the exact solution of the same least squares with a ridge
penalty, which needs no deep-learning framework and no number of epochs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from onnx import TensorProto

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
from steelyard.learners._graph import Graph
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess
from steelyard.learners.series._choice import early_and_late, judged
from steelyard.learners.series._rows import Front, ahead_of, history_feed, refuse_others, targets_of
from steelyard.recipe import Plan, Settings

AUTO, CHANNEL, LAST, WINDOW = "auto", "channel", "last", "window"
SCALINGS = (CHANNEL, LAST, WINDOW)
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Ridge penalties that are tried, in units of the mean square of an input."""
LONGEST = 3000
"""Steps of a history beyond which the exact solution takes too long."""
MOST = 400_000
"""Windows that the maps are fitted on at most; every so-manieth of more."""
LEAST = 1e-6


class DLinear:
    """One linear map of the trend and one of the rest, shared by all series, in closed form.

    ``channel`` scales each series by its mean and spread in training; ``last`` also takes the last value off each
    history and puts it back on the forecast (the paper's NLinear); ``window`` also divides by how far the history
    moves, for series of different size. Columns known ahead are not read.
    """

    name = "dlinear"
    honours = frozenset({"settings"})
    about = "Linear maps of a history's trend and of the rest to the steps ahead, solved exactly."
    problems = frozenset({Problem.FORECASTING})

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse what is no forecast, and histories too long to solve for."""
        del schema
        if (refusal := refuse_others(self.name, task)) is not None:
            return refusal
        steps = line_of(task).history
        if steps > LONGEST:
            return Refusal(
                f"{self.name} takes histories of up to {LONGEST:,} steps, not {steps:,}: lower forecast.history."
            )
        return None

    def space(self, task: Task, schema: Schema) -> Space:
        """Return the width of the trend and the scaling; penalties are always tried in training."""
        del task, schema
        return Space(
            {
                "kernel": Setting(
                    default=25, low=1, high=501, log=True, unit="steps", about="Steps that the trend is averaged over."
                ),
                "scaling": Setting(
                    default=AUTO,
                    options=(AUTO, *SCALINGS),
                    about="What histories are scaled by; auto: tried in training.",
                ),
            }
        )

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return the time of the products and solutions."""
        del schema
        steps = line_of(task).history
        windows = min(rows * len(task.series), MOST)
        sums = 4 * windows * steps * (5e-9 + 1e-10 * (steps + task.horizon))
        return guess(seconds=0.5 + sums + 16 * 3e-9 * steps**3 + 2e-6 * windows * task.horizon, gain=0.3)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedDLinear:
        """Choose penalty, and scaling where none is given, on the later training rows, then solve on all."""
        del valid
        settings, task = settings_of(self.name, self.space(work.task, work.schema), plan), work.task
        ways = list(_ways(settings))
        halves = early_and_late(train, task.horizon)
        if halves is not None:
            early, late = train.take(halves[0]), train.take(halves[1])
            front, found = Front((history_feed(task),)), {}
            read = np.asarray(front(late.columns)["history"], np.float32)
            for each in dict.fromkeys(way for way, _ in ways):
                squares = _squares(early, task, each, int(settings.number("kernel", 25)))
                for one in (p for way, p in ways if way == each):
                    found[each, one] = judged(task, late, squares.solved(one).answered(read))
            scaling, penalty = max(found, key=lambda way: found[way])
        else:
            scaling, penalty = ways[0][0] if settings["scaling"] != AUTO else LAST, PENALTIES[2]
            meter.note(f"{self.name}: too few times to try scalings and penalties; {scaling} and {penalty:g} are taken")
        return _squares(train, task, scaling, int(settings.number("kernel", 25))).solved(penalty)


def _ways(settings: Settings) -> Iterator[tuple[str, float]]:
    scaling = str(settings["scaling"])
    return product(SCALINGS if scaling == AUTO else (scaling,), PENALTIES)


def averaging(steps: int, kernel: int) -> Floats:
    """Return the matrix of a moving average whose ends are padded with the first and last value, (steps, steps).

    Examples
    --------
    >>> (np.array([[1.0, 4.0, 4.0]]) @ averaging(3, 3)).tolist()
    [[2.0, 3.0, 4.0]]
    """
    width = min(kernel, 2 * steps - 1) | 1
    offsets = np.arange(width) - width // 2
    made = np.zeros((steps, steps))
    for step in range(steps):
        np.add.at(made[:, step], np.clip(step + offsets, 0, steps - 1), 1.0 / width)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class _Squares:
    """The sums that a least squares is solved from, however large its penalty."""

    task: Task
    scaling: str
    mean: Floats
    spread: Floats
    basis: Floats
    inputs: Floats
    outputs: Floats
    middle: Floats
    windows: int

    def solved(self, penalty: float) -> FittedDLinear:
        """Return the maps of a penalty."""
        steps = self.inputs.shape[0]
        gram = self.basis.T @ self.inputs @ self.basis
        weight = penalty * np.trace(self.inputs) / steps
        gram[np.diag_indices_from(gram)] += max(weight, LEAST)
        maps = self.basis @ np.linalg.solve(gram, self.basis.T @ self.outputs)
        offset = self.middle[steps:] - self.middle[:steps] @ maps
        return FittedDLinear(self.task, self.scaling, self.mean, self.spread, maps, offset)


def _squares(rows: Split, task: Task, scaling: str, kernel: int) -> _Squares:
    """Return the sums over every history and series whose values ahead are all known."""
    every = -(-len(rows) * len(task.series) // MOST)
    rows = rows.take(np.arange(0, len(rows), max(1, every)))
    read = np.asarray(Front((history_feed(task),))(rows.columns)["history"], np.float32)
    values = targets_of(read, task).astype(np.float64)
    ahead = ahead_of(rows.target, task)
    mean, spread = _sizes(values, task)
    blank = FittedDLinear(task, scaling, mean, spread, np.zeros((0, 0)), np.zeros(0))
    scaled, base, size = blank.scaled(values)
    wanted = ((ahead - mean) / spread).transpose(0, 2, 1).reshape(-1, task.horizon)
    wanted = (wanted - base) / size
    full = ~np.isnan(wanted).any(axis=1)
    if not full.any():
        full, wanted = np.ones(len(wanted), dtype=bool), np.nan_to_num(wanted)
    inputs, outputs = scaled[full], wanted[full]
    middle = np.concatenate([inputs.mean(axis=0), outputs.mean(axis=0)])
    inputs, outputs = inputs - middle[: values.shape[1]], outputs - middle[values.shape[1] :]
    trend = averaging(values.shape[1], kernel)
    return _Squares(
        task=task,
        scaling=scaling,
        mean=mean,
        spread=spread,
        basis=np.concatenate([trend, np.eye(len(trend)) - trend], axis=1),
        inputs=inputs.T @ inputs / len(inputs),
        outputs=inputs.T @ outputs / len(inputs),
        middle=middle,
        windows=len(inputs),
    )


def _sizes(values: Floats, task: Task) -> tuple[Floats, Floats]:
    """Return the mean and the spread of each series in training; of a long table one for all."""
    axes = (0, 1, 2) if line_of(task).series else (0, 1)
    mean = np.broadcast_to(values.mean(axis=axes), (values.shape[2],))
    spread = np.broadcast_to(values.std(axis=axes), (values.shape[2],))
    return np.array(mean), np.maximum(spread, LEAST)


@dataclass(frozen=True, slots=True)
class FittedDLinear:
    """Trend and rest are linear in the history, so both maps are one: ``maps`` (steps, horizon), ``offset`` (horizon,).

    ``mean`` and ``spread`` are those of each series, shape (series,).
    """

    task: Task
    scaling: str
    mean: Floats
    spread: Floats
    maps: Floats
    offset: Floats
    rounds: int | None = None

    @property
    def _front(self) -> Front:
        return Front((history_feed(self.task),))

    def scaled(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Return histories (n x series, steps) as the maps see them, and what was taken off and divided by."""
        flat = ((values - self.mean) / self.spread).transpose(0, 2, 1).reshape(-1, values.shape[1])
        ones = np.ones((len(flat), 1))
        base = 0.0 * ones if self.scaling == CHANNEL else flat[:, -1:]
        size = ones
        if self.scaling == WINDOW:
            size = np.abs(flat - base).mean(axis=1, keepdims=True)
            size = np.where(size < LEAST, 1.0, size)
        return (flat - base) / size, base, size

    def answered(self, read: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Floats:
        """Return the forecasts of histories as their front end makes them."""
        flat, base, size = self.scaled(targets_of(read, self.task).astype(np.float64))
        made = (flat @ self.maps + self.offset) * size + base
        made = made.reshape(len(read), len(self.task.series), self.task.horizon).transpose(0, 2, 1)
        return np.asarray((made * self.spread + self.mean).reshape(len(read), -1))

    def scores(self, columns: Columns) -> Floats:
        """Return the forecasts of some rows."""
        return self.answered(np.asarray(self._front(columns)["history"], np.float32))

    def export(self) -> Artefact:
        """Return the maps as one product behind the scaling."""
        graph, task, width = Graph(), self.task, len(self.task.series)
        feed = self._front.feeds[0]
        steps, channels = int(feed.options["steps"]), int(feed.options["channels"])

        def real(values: Floats) -> str:
            return graph.constant(np.asarray(values, np.float32))

        def whole(*values: int) -> str:
            return graph.constant(np.array(values, np.int64))

        history = graph.input("history", TensorProto.FLOAT, ["n", steps, channels])
        own = graph.add("Gather", history, whole(*range(width)), axis=2)
        even = graph.add("Div", graph.add("Sub", own, real(self.mean)), real(self.spread))
        flat = graph.add("Transpose", even, perm=[0, 2, 1])
        base = graph.add("Slice", flat, whole(steps - 1), whole(steps), whole(2)) if self.scaling != CHANNEL else ""
        size = ""
        if base:
            flat = graph.add("Sub", flat, base)
        if self.scaling == WINDOW:
            moves = graph.add("ReduceMean", graph.add("Abs", flat), whole(2), keepdims=1)
            faint = graph.add("Less", moves, real(np.array(LEAST)))
            size = graph.add("Where", faint, real(np.array(1.0)), moves)
            flat = graph.add("Div", flat, size)
        made = graph.add("Add", graph.add("MatMul", flat, real(self.maps)), real(self.offset))
        made = graph.add("Mul", made, size) if size else made
        made = graph.add("Add", made, base) if base else made
        back = graph.add("Transpose", made, perm=[0, 2, 1])
        back = graph.add("Add", graph.add("Mul", back, real(self.spread)), real(self.mean))
        scores = graph.add("Flatten", back, output="scores", axis=1)
        return Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", task.width])), self._front.feeds)
